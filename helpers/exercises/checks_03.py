"""Checks of chapter 03: a hidden layer, its parameters, rank floors, ReLU's slope, dropout, paired intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect
from .grading import Exercise, Quiz
from .registry import register


def _array(value: Any) -> np.ndarray:
    return np.asarray(value, dtype=float)


def _close(a: Any, b: Any) -> bool:
    a, b = _array(a), _array(b)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-5, atol=1e-7))


def hidden_layer(rows: Any, weight: Any, bias: Any) -> np.ndarray:
    """Return ``relu(rows) @ weight + bias``."""
    return np.maximum(rows, 0) @ weight + bias


def _layer_on_toy_rows(f: Callable[..., Any]) -> None:
    rows = np.array([[2.0, -3.0], [-1.0, -1.0], [1.0, 4.0]])
    weight, bias = np.array([[1.0, -2.0, 0.0], [1.0, 1.0, -1.0]]), np.array([0.5, 0.0, 1.0])
    before = rows.copy()
    got = _array(f(rows, weight, bias))
    expect(
        np.array_equal(rows, before),
        "`hidden_layer` must leave the rows it was given as they were.",
    )
    expect(
        got.shape == (3, 3),
        f"3 rows and 3 outputs: `hidden_layer` must return shape (3, 3), not {got.shape}.",
    )
    right = hidden_layer(rows, weight, bias)
    expect(
        not _close(got, rows @ weight + bias),
        "without the rectifier this is one straight map: where does `hidden_layer` cut the rows at zero?",
    )
    expect(
        not _close(got, np.maximum(rows @ weight + bias, 0)),
        "`hidden_layer` cuts after the product; the talk's symbolic network cuts the rows *before* it.",
    )
    expect(
        not _close(got, right - bias),
        "`hidden_layer` lost the bias: a row of zeros must give the bias.",
    )
    expect(
        not _close(got, np.abs(rows) @ weight + bias),
        "ReLU makes negative numbers zero, not positive: the row (-1, -1) must become (0, 0).",
    )
    expect(
        _close(got, right),
        f"the row (2, -3) becomes (2, 0), and `hidden_layer` must then give {right[0].tolist()}, "
        f"not {np.round(got[0], 3).tolist()}.",
    )


def count_parameters(n_users: int, n_items: int, k: int, hidden: int, layers: str) -> int:
    """Return how many numbers the network learns."""
    dense = {"none": 0, "user": 1, "both": 2, "shared": 1}[layers]
    return (n_users + n_items) * k + dense * (k * hidden + hidden)


def _parameters_of_toy_networks(f: Callable[..., Any]) -> None:
    def got(layers: str) -> float:
        return float(f(10, 20, 3, 4, layers))

    none, user, both, shared = (got(x) for x in ("none", "user", "both", "shared"))
    expect(
        none == 90,
        f"10 users and 20 items with 3 numbers each, no layer: `count_parameters` says {none:g}, expected 30 rows of 3.",
    )
    expect(
        user != 90 + 12,
        "`count_parameters` forgets the layer's bias: each of the 4 outputs has one of its own.",
    )
    expect(
        user != 90 + 15,
        "a layer from 3 numbers to 4 has one bias for each *output*; `count_parameters` counts one for each input.",
    )
    expect(
        user == 90 + 16,
        f"a layer on one side, from 3 numbers to 4: `count_parameters` adds {user - 90:g}; count weights and biases.",
    )
    expect(
        both == 90 + 32,
        f"two layers of their own add twice what one adds: `count_parameters` adds {both - 90:g} for 'both'.",
    )
    expect(
        shared != 90 + 32,
        "a shared layer is *one* layer, used twice: `count_parameters` must count it once.",
    )
    expect(
        shared == 90 + 16,
        f"`count_parameters` adds {shared - 90:g} for 'shared', expected one layer.",
    )


def floor(table: Any, k: int) -> float:
    """Return the smallest RMSE that any table of rank k has to this one (Eckart and Young, 1936)."""
    table = _array(table)
    singular = np.linalg.svd(table, compute_uv=False)
    return float(np.sqrt(np.sum(singular[k:] ** 2) / table.size))


def _floor_of_toy_tables(f: Callable[..., Any]) -> None:
    table = np.diag([3.0, 2.0, 1.0, 0.0])
    got = float(f(table, 1))
    expect(
        not _close(got, np.sqrt(5.0)),
        "`floor` adds the squared errors of all cells; the *mean* over the 16 cells is wanted.",
    )
    expect(
        not _close(got, np.sqrt((3 + 0) / 16)) and not _close(got, 3 / 16),
        "`floor` must square the singular values that are left out before adding them.",
    )
    expect(
        not _close(got, np.sqrt(9 / 16)),
        "`floor` measured what the k largest singular values keep; the error is what they leave out.",
    )
    expect(
        not _close(got, np.sqrt(5 / 4)),
        "`floor` divides by the number of rows; the RMSE is over all cells of the table.",
    )
    expect(
        _close(got, np.sqrt(5 / 16)),
        f"the 4 × 4 table with 3, 2, 1, 0 on its diagonal, k=1: 2 and 1 are lost, `floor` says {got:.4f}.",
    )
    expect(
        _close(f(table, 0), np.sqrt(14 / 16)),
        "with k=0 every cell is predicted as 0: `floor` is the root mean square.",
    )
    expect(_close(f(table, 3), 0.0), "a table of rank 3 must have `floor` 0 at k=3.")
    wide = np.random.default_rng(0).normal(size=(3, 5))
    expect(
        _close(f(wide, 2), floor(wide, 2)),
        "`floor` must take tables that are not square, such as 3 × 5.",
    )


def relu_slope(rows: Any, slope: Any) -> np.ndarray:
    """Return the slope that passes back through a ReLU."""
    return _array(slope) * (_array(rows) > 0)


def _slope_of_toy_rows(f: Callable[..., Any]) -> None:
    rows, slope = np.array([[2.0, -3.0], [-0.5, 0.1]]), np.array([[5.0, 7.0], [-4.0, -6.0]])
    got = _array(f(rows, slope))
    expect(
        got.shape == (2, 2),
        f"`relu_slope` must have the shape of the rows, (2, 2), not {got.shape}.",
    )
    expect(
        not _close(got, slope),
        "`relu_slope` lets everything through; a number that ReLU has cut cannot change the output.",
    )
    expect(
        not _close(got, np.maximum(rows, 0) * slope),
        "ReLU's own slope is 0 or 1: `relu_slope` must not multiply by the number itself.",
    )
    expect(
        not _close(got, np.maximum(slope, 0)),
        "`relu_slope` cuts the slope by the sign of the *slope*; what matters is whether the number was cut.",
    )
    expect(
        not _close(got, (rows > 0).astype(float)),
        "`relu_slope` has ReLU's own slope; it must still be multiplied by the one that comes from above.",
    )
    expect(
        _close(got, [[5.0, 0.0], [0.0, -6.0]]),
        f"rows (2, -3) and (-0.5, 0.1) with slopes (5, 7) and (-4, -6): `relu_slope` says {got.tolist()}.",
    )


def dropout(rows: Any, p: float, generator: np.random.Generator) -> np.ndarray:
    """Return the rows with a share p of the numbers set to zero, the others divided by 1 - p."""
    rows = _array(rows)
    return rows * (generator.random(rows.shape) >= p) / (1 - p)


def _dropout_of_ones(f: Callable[..., Any]) -> None:
    rows = np.full((400, 50), 2.0)
    got = _array(f(rows, 0.2, np.random.default_rng(0)))
    expect(
        got.shape == rows.shape,
        f"`dropout` must keep the shape (400, 50), it returned {got.shape}.",
    )
    expect(bool((rows == 2.0).all()), "`dropout` must leave the rows it was given as they were.")
    zero = float((got == 0).mean())
    expect(
        not 0.75 < zero < 0.85,
        f"with p=0.2 `dropout` set {zero:.0%} to zero: p is the share that is *lost*, not the share that is kept.",
    )
    expect(
        0.15 < zero < 0.25,
        f"with p=0.2 about a fifth must be zero; `dropout` set {zero:.0%} to zero.",
    )
    kept = got[got != 0]
    expect(
        not _close(kept, np.full(len(kept), 2.0)),
        "`dropout` must scale up what it keeps, so that the mean stays as it was.",
    )
    expect(
        not _close(kept, np.full(len(kept), 1.6)),
        "`dropout` made what it keeps smaller; after losing a fifth, the rest must grow to keep the mean.",
    )
    expect(
        _close(kept, np.full(len(kept), 2.5)),
        f"2 must become 2.5 where `dropout` keeps it at p=0.2, not {kept[0]:g}.",
    )
    share = (got == 0).mean(axis=0)
    expect(
        not np.isin(share, (0.0, 1.0)).all(),
        "`dropout` drew one mask for all rows; each number of each row needs a draw of its own.",
    )
    expect(
        not np.isin((got == 0).mean(axis=1), (0.0, 1.0)).all(),
        "`dropout` drops whole rows; each number of each row needs a draw of its own.",
    )
    expect(
        _close(f(rows, 0.0, np.random.default_rng(0)), rows),
        "with p=0 `dropout` must change nothing.",
    )


def dropout_penalty(a: Any, b: Any, p: float) -> float:
    """Return by how much dropout on both sides raises the expected squared error."""
    a, b = _array(a), _array(b)
    return float((1 / (1 - p) ** 2 - 1) * np.sum(a**2 * b**2))


def _penalty_of_toy_rows(f: Callable[..., Any]) -> None:
    a, b = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    got = float(f(a, b, 0.5))
    terms = 13.0
    expect(
        not _close(got, 4 * terms),
        "`dropout_penalty` is the second moment; the variance has the squared mean taken off.",
    )
    expect(
        not _close(got, 1 * terms),
        "`dropout_penalty` counts one mask; both sides have one of their own here.",
    )
    expect(
        not _close(got, 3.0) and not _close(got, 3 * 25.0),
        "`dropout_penalty` squares the sum; the masks of different factors are independent, so their variances add.",
    )
    expect(
        _close(got, 3 * terms),
        f"a = (1, 2), b = (3, -1), p = 0.5: both products, 3 and -2, are 4 times as large or 0; "
        f"`dropout_penalty` says {got:g}.",
    )
    expect(
        _close(f(a, b, 0.0), 0.0),
        "without dropout there is no penalty: `dropout_penalty` must be 0 at p=0.",
    )
    expect(
        _close(f(a, b, 0.2), dropout_penalty(a, b, 0.2)),
        "`dropout_penalty` is wrong at p=0.2: what is E[z²] there?",
    )


def paired_interval(first: Any, second: Any) -> tuple[float, float, float]:
    """Return the mean of ``first - second`` over seeds and its 95 % t interval."""
    from scipy import stats

    gap = _array(first) - _array(second)
    half = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
    return float(gap.mean()), float(gap.mean() - half), float(gap.mean() + half)


def _interval_of_toy_seeds(f: Callable[..., Any]) -> None:
    first, second = (
        np.array([0.90, 0.92, 0.94, 0.96, 0.98]),
        np.array([0.88, 0.91, 0.92, 0.95, 0.96]),
    )
    got = f(first, second)
    expect(
        np.ndim(got) == 1 and len(got) == 3,
        "`paired_interval` must return three numbers: mean, low, high.",
    )
    mean, low, high = (float(x) for x in got)
    gap = first - second
    expect(
        not _close(mean, -gap.mean()),
        "`paired_interval` must take `first - second`, not the other way round.",
    )
    expect(
        _close(mean, 0.016),
        f"the mean of the five differences is 0.016; `paired_interval` says {mean:g}.",
    )
    expect(_close(high - mean, mean - low), "`paired_interval` must lie evenly around the mean.")
    half, error = high - mean, gap.std(ddof=1) / np.sqrt(5)
    expect(
        half < 0.02,
        "`paired_interval` is far too wide: take the spread of the *differences*, in which what both seeds share cancels.",
    )
    expect(
        not _close(half, 1.96 * error) and abs(half - 1.96 * error) > 1e-5,
        "1.96 is for a spread that is known; with five differences `paired_interval` needs Student's t.",
    )
    t = 2.7764451
    expect(
        not _close(half, t * gap.std() / np.sqrt(5)),
        "`paired_interval` divides by n in the variance; with a mean from the same five numbers it is n - 1.",
    )
    expect(
        not _close(half, t * gap.std(ddof=1)),
        "`paired_interval` has the spread of one difference; the mean of n of them is steadier by the root of n.",
    )
    expect(
        _close(half, t * error),
        f"half the width must be t · s / √n = {t * error:.4f} here, not {half:.4f}.",
    )
    three = paired_interval(first[:3], second[:3])
    expect(
        _close(f(list(first[:3]), list(second[:3])), three),
        "with three seeds t has two degrees of freedom.",
    )


register(
    Exercise(
        "03.1",
        "hidden_layer",
        [_layer_on_toy_rows],
        [
            "Three steps, in this order: cut at zero, multiply, add.",
            "`np.maximum(rows, 0)` cuts; `@ weight` multiplies; the bias is added to every row.",
        ],
        hidden_layer,
        minutes=4,
    ),
    Exercise(
        "03.2",
        "count_parameters",
        [_parameters_of_toy_networks],
        [
            "How many numbers has one layer from `k` inputs to `hidden` outputs, its biases included?",
            "One layer has `k * hidden + hidden`. How many layers are there for each word of `layers`?",
        ],
        count_parameters,
        minutes=5,
    ),
    Quiz(
        "03.q1",
        "Only the user's side has a hidden layer; an item brings its place and a constant. "
        "Which taste can this network not give to any user?",
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
        [_floor_of_toy_tables],
        [
            "The best table of rank k keeps the k largest singular values. The squares of those it loses add up to the squared error.",
            "`np.linalg.svd(table, compute_uv=False)` are the singular values, largest first; the mean is over `table.size` cells.",
        ],
        floor,
        minutes=8,
        stretch=True,
    ),
    Exercise(
        "03.4",
        "relu_slope",
        [_slope_of_toy_rows],
        [
            "If the number is -3, ReLU gives 0. And if it were -2.9? So what is the slope there?",
            "The slope passes unchanged where the number is above zero, and is 0 elsewhere.",
        ],
        relu_slope,
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
        [_dropout_of_ones],
        [
            "Draw one number between 0 and 1 for each number of `rows`; those drawn below `p` are lost.",
            "`generator.random(rows.shape) >= p` is the mask; divide what stays by `1 - p`.",
        ],
        dropout,
        minutes=5,
    ),
    Exercise(
        "03.6",
        "dropout_penalty",
        [_penalty_of_toy_rows],
        [
            "For one factor: the product a·b is multiplied by z = z₁·z₂ with mean 1. What is the variance of z?",
            "E[z₁²] = 1 / (1 - p), and the masks are independent: Var z = 1 / (1 - p)² - 1. Add (a·b)² · Var z over the factors.",
        ],
        dropout_penalty,
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "03.7",
        "paired_interval",
        [_interval_of_toy_seeds],
        [
            "Subtract seed by seed first; then it is the interval of the mean of one list.",
            "`stats.t.ppf(0.975, n - 1)` times the standard deviation (`ddof=1`) divided by the root of n.",
        ],
        paired_interval,
        minutes=6,
    ),
    Quiz(
        "03.q3",
        "A paper tries 50 settings of its network and finds RMSE 0.905. Factorization, with a library's defaults, has 0.918. "
        "What does that show about hidden layers?",
        "a",
        {
            "Nothing yet: give factorization the same 50 tries, and both several seeds.": "The two differ in their search as well as in their layer, so the difference cannot be laid to the layer.",
            "They are worth 0.013 stars.": "The two differ in their search, too. How much do 50 tries bring to factorization?",
            "They help if the test set is large enough for 0.013 to be no accident.": "A large test set shows that the two *runs* differ, not that it is the layer that makes the difference.",
        },
    ),
)
