"""Checks of chapter 03: parameters, rank, ReLU's gradient, dropout, hidden biases, best of tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import Case, cases
from .checking import expect
from .converters import array, number, pair, whole
from .grading import Exercise, Quiz
from .registry import register

ROWS = np.array([[2.0, -3.0], [-1.0, 4.0]])
A, B = np.array([1.0, 2.0]), np.array([3.0, -1.0])
USERS, ITEMS = np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0]])
W, V = np.array([[1.0, 0.5, 2.0], [-1.0, 2.0, 0.0]]), np.array([[0.0, 1.0, 1.0], [2.0, -1.0, 0.5]])
C, D = np.array([1.0, 0.0, -2.0]), np.array([0.0, 3.0, 1.0])
ERRORS = np.array([0.93, 0.90, 0.91, 0.98])


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


def some_gradient(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return rows without a zero, and a gradient for each of their numbers."""
    shape = rng.integers(1, 6, 2)
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape)


def some_pair(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return two rows and a share of dropout."""
    k = rng.integers(1, 6)
    return rng.normal(size=k), rng.normal(size=k), float(rng.uniform(0, 0.9))


def some_towers(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return embeddings after the ReLU, and the weights and bias of both sides."""
    n_users, n_items, k, h = rng.integers(1, 7, 4)
    P, Q = (np.maximum(rng.normal(size=(n, k)), 0) for n in (n_users, n_items))
    layers = [rng.normal(size=shape) for shape in ((k, h), h, (k, h), h)]
    return P, Q, *layers


def some_search(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return the errors of some settings, at times equal ones, and a number of tries."""
    errors = rng.uniform(0.1, 2, rng.integers(2, 12))  # far apart: a mean of draws is not exact
    return errors.round(int(rng.choice([2, 8]))), int(rng.integers(1, 40))


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
            "(n_users + n_items) * k => n_users * n_items * k": "each user and each item has one row: add the rows, do not multiply them.",
            " + dense * (k * hidden + hidden) => ": "the numbers of the layers are missing.",
        }.items(),
        hints=[
            "How many numbers has one layer from `k` inputs to `hidden` outputs, its biases included?",
            "One layer has `k * hidden + hidden`. How many layers are there for each word of `layers`?",
        ],
    ),
    Quiz(
        "03.q1",
        "Only the user's side has a hidden layer. An item has two numbers: its place and a constant. Which taste can this network give to no user?",
        "b",
        {
            "The further right, the better.": "That is a straight line in the item's place, and the network can give it.",
            "Best in the middle, worse to both sides.": "Whatever the user's layer does, for one user the score is a straight line in the item's place.",
            "All places alike.": "That is a flat line, and the network can give it.",
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
            "[k:] => [:k]": "those are the k singular values that the best table keeps; the error comes from the others.",
            " ** 2 => ": "square the singular values that are left out before adding them.",
            "table.size => len(table)": "the mean is over all cells of the table, not over its rows.",
            "np.sqrt(np.sum(singular[k:] ** 2) / table.size) => np.sum(singular[k:] ** 2) / table.size": "the root is missing: that is the mean of the squared errors.",
            "[k:] => [k + 1 :]": "one singular value too many is kept: the first one left out has the index k.",
        }.items(),
        hints=[
            "The best table of rank k keeps the k largest singular values. The squares of the others add up to the squared error.",
            "`np.linalg.svd(table, compute_uv=False)` are the singular values, largest first: add the squares of those from index `k` on, divide by `table.size`, take the root.",
        ],
        minutes=8,
        stretch=True,
    ),
    Exercise(
        "03.4",
        "relu_gradient",
        array,
        cases=cases((ROWS, np.array([[5.0, 7.0], [-4.0, -6.0]]))),
        inputs=some_gradient,
        mistakes={
            "return gradient": "a number that ReLU has set to zero cannot change the output: no gradient passes there.",
            "return np.maximum(rows, 0) * gradient": "ReLU's own derivative is 0 or 1: do not multiply by the number itself.",
            "return rows * gradient": "ReLU's own derivative is 0 or 1: do not multiply by the number itself.",
            "return np.sign(rows) * gradient": "below zero ReLU is flat: its derivative there is 0, not -1.",
            "return np.maximum(gradient, 0)": "the sign of the *gradient* does not matter; the sign of the rows does.",
            "return (rows > 0) * np.maximum(gradient, 0)": "a negative gradient passes, too; only the sign of the *rows* matters.",
            "return (rows > 0) * 1.0": "that is ReLU's own derivative; multiply it by the gradient that arrives.",
            "return gradient * (rows < 0)": "the gradient passes where the number is *above* zero.",
        }.items(),
        hints=[
            "If the number is -3, ReLU gives 0. And if it is -2.9? So what is the gradient there?",
            "The gradient passes unchanged where `rows > 0`, and is 0 elsewhere: `np.where` chooses.",
        ],
        minutes=4,
    ),
    Quiz(
        "03.q2",
        "Users and items both end in a ReLU, and there are no bias terms. What is the lowest rating such a network can predict?",
        "c",
        {
            "Any number: the layer's weights may be negative.": "The weights may be negative, but the outputs of the ReLU are not. Can a sum of products of such numbers be negative?",
            "One star, the lowest of the scale.": "The network does not know the scale. Which numbers can its inner product be?",
            "Zero.": "No term of the sum is negative. A low rating needs terms that are zero.",
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
            "(1 / (1 - p) ** 2 - 1) => (1 / (1 - p) ** 2)": "that is the mean of z²; the variance is this minus the squared mean, 1.",
            "(1 / (1 - p) ** 2 - 1) => (1 / (1 - p) - 1)": "that counts one mask; here each side has a mask of its own.",
            "(1 / (1 - p) ** 2 - 1) => (1 / (1 - p) - 1) ** 2": "the variance of a product is not the product of the variances: subtract 1 after you multiply.",
            "(1 / (1 - p) ** 2 - 1) => (1 / p**2 - 1)": "p is the share that is set to zero; a number is kept with probability 1 - p.",
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
        "03.8",
        "hidden_biases",
        pair(("of_user", array), ("of_item", array)),
        cases=cases((USERS, ITEMS, W, C, V, D), (USERS[1:], ITEMS[1:], V, D, W, C)),
        inputs=some_towers,
        mistakes={
            "return P @ W @ c, Q @ V @ d": "that multiplies each side by its own bias; in the product it meets the bias of the *other* side.",
            "return (P @ W + c) @ d, (Q @ V + d) @ c": "c · d depends on no user and no item: leave it out of both.",
            "return (P @ W + c) @ d, Q @ V @ c": "c · d depends on no user: leave it out.",
            "return P @ W @ d, (Q @ V + d) @ c": "c · d depends on no item: leave it out.",
            "return P @ W, Q @ V": "these are vectors; a bias term is one number per user or item.",
            "return (P @ W).sum(axis=1), (Q @ V).sum(axis=1)": "a sum over the outputs is no term of the product: which vector multiplies them?",
            "return (P @ W).mean(axis=1), (Q @ V).mean(axis=1)": "a mean over the outputs is no term of the product: which vector multiplies them?",
            "return P @ W @ (Q @ V).mean(axis=0), Q @ V @ (P @ W).mean(axis=0)": "pW · qV depends on both: it belongs to neither.",
            "return P @ W @ (Q @ V + d).mean(axis=0), Q @ V @ (P @ W + c).mean(axis=0)": "pW · qV depends on both: it belongs to neither.",
        }.items(),
        hints=[
            "Multiply out (pW + c) · (qV + d): which of the four terms contains p and not q?",
            "The user's term is d · pW, the item's is c · qV: for all rows at once, `@` twice.",
        ],
        minutes=6,
    ),
    Exercise(
        "03.9",
        "expected_best",
        number,
        cases=cases(
            (np.array([0.90, 0.92]), 2),
            (ERRORS, 1),
            (ERRORS, 2),
            (np.array([0.95, 0.9, 0.9]), 3),
            (ERRORS, 32),
        ),
        inputs=some_search,
        mistakes={
            "return np.min(errors)": "that is the best of all errors; a search of few tries often misses it.",
            "return np.mean(errors)": "that is the mean of a single try; the best of several is lower.",
            "ordered = np.sort(errors) => ordered = np.asarray(errors)": "the chances belong to the errors in their order: sort them first.",
            "ordered = np.sort(errors) => ordered = np.sort(errors)[::-1]": "that is the largest error to expect; the best is the smallest.",
            "return np.mean(np.sort(errors)[:tries])": "that is the mean of the best `tries` errors; here `tries` of them are drawn by chance.",
            "from math import comb\nx = np.sort(errors)\nn = len(x)\nt = min(tries, n)\nreturn sum(x[i] * comb(n - i - 1, t - 1) for i in range(n)) / comb(n, t)": "that draws without replacement; here one setting can be drawn twice.",
            "return np.quantile(errors, 1 / (tries + 1))": "a quantile is near; the mean over all draws is asked for.",
            "return np.quantile(errors, 1 / tries)": "a quantile is near; the mean over all draws is asked for.",
        }.items(),
        hints=[
            "All tries miss the i smallest errors with a chance that you can write down. What is it for one try, and for `tries` of them?",
            "Sort; the chance to miss the i smallest of n is ((n - i) / n) ** tries. The i-th smallest is the best with the chance to miss i - 1 of them, minus the chance to miss i.",
        ],
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "03.q3",
        "A paper tries 50 settings of its network and finds RMSE 0.905. Factorization, with a library's defaults, has 0.918. What does that show about hidden layers?",
        "a",
        {
            "Nothing yet: give factorization the same 50 tries, and both several seeds.": "The two differ in their search as well as in their layer, so the difference cannot be attributed to the layer.",
            "They are worth 0.013 stars.": "The two also differ in their search. How much would 50 tries gain for factorization?",
            "They help if the test set is large enough for 0.013 to be no accident.": "A large test set shows that the two *runs* differ, not that it is the layer that makes the difference.",
        },
    ),
)
