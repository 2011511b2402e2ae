"""Checks of chapter 03: a hidden layer, its parameters, rank floors, ReLU's slope, dropout, intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import Case, cases
from .checking import expect
from .converters import array, number, pair, whole
from .grading import Exercise, Quiz
from .registry import register

ROWS, WEIGHT = np.array([[2.0, -3.0], [-1.0, 4.0]]), np.array([[1.0, 0.5, -2.0], [-1.0, 2.0, 0.5]])
BIAS, A, B = np.array([0.0, 1.0, 0.5]), np.array([1.0, 2.0]), np.array([3.0, -1.0])
FIRST, SECOND = np.array([0.90, 0.92, 0.97, 0.93]), np.array([0.88, 0.91, 0.92, 0.90])


def some_layer(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return rows, a weight matrix and a bias, square or not."""
    n, k, h = rng.integers(1, 7, 3)
    parts = rng.normal(0, rng.choice([1, 10]), (n, k)), rng.normal(size=(k, h)), rng.normal(size=h)
    return tuple(part.astype(np.float32) for part in parts)


def some_network(rng: np.random.Generator) -> Case:
    """Return the sizes of a network; a layer on one side leads back to k numbers."""
    n_users, n_items, k, hidden = (int(n) for n in rng.integers(1, (20, 30, 9, 9)))
    layers = str(rng.choice(["none", "user", "both", "shared"]))
    sizes = {"k": k, "hidden": k if layers == "user" else hidden, "layers": layers}
    return Case((n_users, n_items), keywords=sizes)


def some_table(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return a table, square or not, and a rank below its own."""
    shape = rng.integers(2, 9, 2)
    return rng.normal(3, 2, shape), rng.integers(1, shape.min())


def some_slope(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return rows without a zero, and a slope for each of their numbers."""
    shape = rng.integers(1, 6, 2)
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape)


def some_pair(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return two rows and a share of dropout."""
    k = rng.integers(1, 6)
    return rng.normal(size=k), rng.normal(size=k), float(rng.uniform(0, 0.9))


def some_seeds(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return the errors of two models for each of some seeds, which move both."""
    n = rng.integers(2, 12)
    shared = rng.normal(0.9, 0.05, n)
    return shared + rng.normal(0.01, 0.02, n), shared + rng.normal(0, 0.01, n)


def some_dropout(rng: np.random.Generator) -> Case:
    """Return rows, a share and a generator; any mask is right."""
    rows = rng.normal(size=rng.integers(1, 6, 2))
    return Case((rows, float(rng.uniform(0, 0.9)), rng), judge=_zero_or_scaled)


def _zero_or_scaled(got: np.ndarray, rows: np.ndarray, p: float, _: Any) -> None:
    """Judge one call: each number is lost, or divided by 1 - p."""
    _shape(got, rows)
    kept = got != 0
    factor = np.median(got[kept] / rows[kept]) if kept.any() else 1 / (1 - p)
    said = f"with p = {p:.2g} `dropout` multiplies what it keeps by {factor:.4g}"
    expect(not np.isclose(factor, 1) or p < 1e-3, f"{said}: scale it up, so that the mean stays.")
    expect(np.isclose(factor, 1 / (1 - p)), f"{said}: it must grow, just enough to keep the mean.")
    same = np.allclose(got[kept], rows[kept] * factor, rtol=1e-4)
    expect(same, "`dropout` must multiply all that it keeps by one number and do nothing else.")


def _mask(got: np.ndarray, rows: np.ndarray, p: float, generator: Any) -> None:
    """Judge a call with many numbers: how many are lost, and which."""
    _shape(got, rows)
    lost = got == 0
    share = lost.mean()
    said = f"with p = {p:g} `dropout` set {share:.0%} of the numbers to zero"
    for axis, which in ((0, "columns"), (1, "rows")):
        lines = np.isin(lost.mean(axis=axis), (0.0, 1.0)).mean()
        here = lines < 0.5 or share in (0, 1)
        expect(here, f"`dropout` drops whole {which}; draw for each number.")
    expect(abs(share - 1 + p) > 0.02, f"{said}: p is the share that is *lost*, not kept.")
    expect(abs(share - p) < 0.02, f"{said}, expected about {p:.0%}.")
    _zero_or_scaled(got, rows, p, generator)


def _shape(got: np.ndarray, rows: np.ndarray) -> None:
    expect(got.shape == rows.shape, f"`dropout` returned {got.shape}, expected {rows.shape}.")


def _draws_each_time(dropout: Callable[..., Any]) -> None:
    """Expect that the given generator decides, and each number on its own."""
    rng, ones = np.random.default_rng(0), np.ones((1, 8))
    masks = [array(dropout(ones, 0.5, rng), "dropout") / 2 for _ in range(40)]
    expect(np.ptp(masks, axis=0).any(), "`dropout` drew the same mask twice; use `generator`.")
    numbers = {mask.sum() for mask in masks}
    expect(len(numbers) > 1, "`dropout` loses a fixed number; each is lost with probability p.")
    again = [array(dropout(ones, 0.5, np.random.default_rng(1)), "dropout") for _ in range(8)]
    expect(np.ptp(again, axis=0).max() == 0, "`dropout` draws from elsewhere; use `generator`.")


register(
    Exercise(
        "03.1",
        "hidden_layer",
        array,
        cases=cases((ROWS[:1], WEIGHT, BIAS), (ROWS, WEIGHT, BIAS)),
        inputs=some_layer,
        mistakes={
            "np.maximum(rows, 0) => rows": "without the rectifier this is one straight map: cut the rows at zero first.",
            "return np.maximum(rows @ weight + bias, 0)": "that cuts after the product; the formula cuts the rows *before* it.",
            " + bias => ": "the bias is missing: a row of zeros must give the bias.",
            "np.maximum(rows, 0) => np.abs(rows)": "ReLU makes negative numbers zero, not positive.",
            " + bias => + bias.sum()": "each output has its own bias.",
        }.items(),
        hints=[
            "Three steps, in this order: cut at zero, multiply, add.",
            "`np.maximum(rows, 0)` cuts; `@ weight` multiplies; `+ bias` adds the bias to every row.",
        ],
        minutes=4,
    ),
    Exercise(
        "03.2",
        "count_parameters",
        whole,
        cases=[
            Case((10, 20), keywords={"k": 3, "hidden": h, "layers": layers})
            for h, layers in ((3, "none"), (3, "user"), (4, "both"), (4, "shared"))
        ],
        inputs=some_network,
        mistakes={
            "(k * hidden + hidden) => k * hidden": "the layer's bias is missing: each of its outputs has one of its own.",
            "(k * hidden + hidden) => (k * hidden + k)": "a layer has one bias for each *output*, not for each input.",
            '"shared": 1 => "shared": 2': "a shared layer is *one* layer, used twice: count it once.",
            '"both": 2 => "both": 1': "both sides have a layer of their own: two layers.",
            "(n_users + n_items) * k => n_users * n_items * k": "each user and each item has one row: add them up.",
            " + dense * (k * hidden + hidden) => ": "the layers have numbers, too.",
        }.items(),
        hints=[
            "How many numbers has one layer from `k` inputs to `hidden` outputs, its biases included?",
            "One layer has `k * hidden + hidden`. How many layers are there for each word of `layers`?",
        ],
    ),
    Quiz(
        "03.q1",
        "Only the user's side has a hidden layer; an item brings its place and a constant. Which taste can this network not give to any user?",
        "b",
        {
            "The further right, the better.": "That is a straight line in the item's place, which it can draw.",
            "Best in the middle, worse to both sides.": "However wild the user's side, for one user the score stays a straight line in the item's place.",
            "All places alike.": "That is a straight line of slope zero, which it can draw.",
        },
    ),
    Exercise(
        "03.3",
        "floor",
        number,
        cases=cases(
            (np.diag([3.0, 2.0, 1.0, 0.0]), 1),
            (np.array([[3.0, 1.0, 2.0], [1.0, -2.0, 4.0]]), 1),
            (np.array([[3.0, 1.0], [1.0, -2.0], [2.0, 4.0]]), 1),
            (np.diag([3.0, 2.0, 1.0, 0.0]), 2),
        ),
        inputs=some_table,
        mistakes={
            " / table.size => ": "that adds the squared errors of all cells; their *mean* is asked for.",
            "[k:] => [:k]": "that is what the k largest singular values keep; the error is what they leave out.",
            " ** 2 => ": "square the singular values that are left out before adding them.",
            "table.size => len(table)": "the mean is over all cells of the table, not over its rows.",
            "np.sqrt(np.sum(singular[k:] ** 2) / table.size) => np.sum(singular[k:] ** 2) / table.size": "the root is missing: that is the mean of the squared errors.",
            "[k:] => [k + 1 :]": "one singular value too many is kept: the first one left out has the index k.",
        }.items(),
        hints=[
            "The best table of rank k keeps the k largest singular values. The squares of those it loses add up to the squared error.",
            "`np.linalg.svd(table, compute_uv=False)` are the singular values, largest first: add the squares of those from index `k` on, divide by `table.size`, take the root.",
        ],
        minutes=8,
        stretch=True,
    ),
    Exercise(
        "03.4",
        "relu_slope",
        array,
        cases=cases((ROWS, np.array([[5.0, 7.0], [-4.0, -6.0]]))),
        inputs=some_slope,
        mistakes={
            "return slope": "a number that ReLU has cut cannot change the output: no slope passes there.",
            "return np.maximum(rows, 0) * slope": "ReLU's own slope is 0 or 1: do not multiply by the number itself.",
            "return np.maximum(slope, 0)": "the sign of the *slope* does not matter; what matters is whether the number was cut.",
            "return (rows > 0) * np.maximum(slope, 0)": "a negative slope passes, too; only the sign of the *rows* matters.",
            "return (rows > 0) * 1.0": "that is ReLU's own slope; multiply it by the one that comes from above.",
            "return slope * (rows < 0)": "the slope passes where the number is *above* zero.",
        }.items(),
        hints=[
            "If the number is -3, ReLU gives 0. And if it were -2.9? So what is the slope there?",
            "The slope passes unchanged where `rows > 0`, and is 0 elsewhere: `np.where` chooses.",
        ],
        minutes=4,
    ),
    Quiz(
        "03.q2",
        "Users and items both end in a ReLU, and there are no bias terms. What is the lowest rating such a network can predict?",
        "c",
        {
            "Any number: the layer's weights may be negative.": "The weights may, but what leaves the ReLU may not. What is a sum of products of numbers that are not negative?",
            "One star, the lowest of the scale.": "The network knows nothing of the scale; which numbers can its inner product be?",
            "Zero.": "No term of the sum is negative, so nothing can be held against an item; terms can only be missing.",
        },
    ),
    Exercise(
        "03.5",
        "dropout",
        array,
        cases=[
            Case(
                (np.random.default_rng(0).normal(size=(400, 50)), p, np.random.default_rng(1)),
                judge=_mask,
            )
            for p in (0.25, 0.7)
        ],
        inputs=some_dropout,
        checks=[_draws_each_time],
        hints=[
            "Draw one number between 0 and 1 for each number of `rows`; those drawn below `p` are lost.",
            "`generator.random(rows.shape) >= p` is the mask of what stays: multiply by it, and divide by `1 - p`.",
        ],
    ),
    Exercise(
        "03.6",
        "dropout_penalty",
        number,
        cases=cases((A, B, 0.2), (A, B, 0.5), (A, B, 0.0)),
        inputs=some_pair,
        mistakes={
            "(1 / (1 - p) ** 2 - 1) => (1 / (1 - p) ** 2)": "that is the second moment; the variance has the squared mean taken off.",
            "(1 / (1 - p) ** 2 - 1) => (1 / (1 - p) - 1)": "that counts one mask; both sides have one of their own here.",
            "(1 / (1 - p) ** 2 - 1) => (1 / (1 - p) - 1) ** 2": "the variance of a product of two masks is not the product of their variances: subtract 1 after multiplying.",
            "(1 / (1 - p) ** 2 - 1) => (1 / p**2 - 1)": "p is the share that is lost; a mask keeps with 1 - p.",
            "np.sum(a**2 * b**2) => np.sum(a * b) ** 2": "square each product, then add: the masks of different factors are independent, so their variances add.",
            "np.sum(a**2 * b**2) => np.sum(a**2) * np.sum(b**2)": "multiply factor by factor, then add.",
        }.items(),
        hints=[
            "For one factor: the product a·b is multiplied by z = z₁·z₂ with mean 1. What is the variance of z?",
            "E[z₁²] = 1 / (1 - p), and the masks are independent: Var z = 1 / (1 - p)² - 1. Add (a·b)² · Var z over the factors.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "03.7",
        "paired_interval",
        pair(("mean", number), ("low", number), ("high", number)),
        cases=cases((FIRST, SECOND), (SECOND[:3], FIRST[:3]), (FIRST, np.zeros(4))),
        inputs=some_seeds,
        mistakes={
            "np.asarray(first) - np.asarray(second) => second - first": "it is `first - second`, not the other way round.",
            "stats.t.ppf(0.975, len(gap) - 1) => 1.96": "1.96 is for a spread that is known; with a few differences it takes Student's t.",
            "std(ddof=1) => std()": "that divides by n in the variance; with a mean from the same numbers it is n - 1.",
            " / np.sqrt(len(gap)) => ": "that is the spread of one difference; the mean of n of them is steadier by the root of n.",
            "gap.std(ddof=1) => np.sqrt(first.var(ddof=1) + second.var(ddof=1))": "take the spread of the *differences*: what moves both of a pair cancels there.",
            "0.975 => 0.95": "2.5 % lie on each side: it is the 0.975 quantile.",
            "gap.mean() - half, gap.mean() + half => gap.mean() + half, gap.mean() - half": "the lower end comes before the upper one.",
            "gap.mean(), gap.mean() - half, gap.mean() + half => gap.mean() - half, gap.mean(), gap.mean() + half": "the mean comes first, then the lower and the upper end.",
        }.items(),
        hints=[
            "Subtract seed by seed first; then it is the interval of the mean of one list.",
            "`stats.t.ppf(0.975, n - 1)` times the standard deviation of the differences (`ddof=1`), divided by the root of n, is half the width.",
        ],
        minutes=6,
    ),
    Quiz(
        "03.q3",
        "A paper tries 50 settings of its network and finds RMSE 0.905. Factorization, with a library's defaults, has 0.918. What does that show about hidden layers?",
        "a",
        {
            "Nothing yet: give factorization the same 50 tries, and both several seeds.": "The two differ in their search as well as in their layer, so the difference cannot be laid to the layer.",
            "They are worth 0.013 stars.": "The two differ in their search, too. How much do 50 tries bring to factorization?",
            "They help if the test set is large enough for 0.013 to be no accident.": "A large test set shows that the two *runs* differ, not that it is the layer that makes the difference.",
        },
    ),
)
