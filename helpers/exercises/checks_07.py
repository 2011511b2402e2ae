"""Checks of chapter 07, top-x with k-NN: small machines and lists whose right order is known by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import NotYet, expect
from .grading import Exercise, Quiz
from .registry import register


def _matrix(value: Any, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an answer as floats of the shape asked for, or say what it is instead."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise NotYet(
            f"{what} is a {type(value).__name__}, expected numbers of the shape {shape}."
        ) from None
    expect(array.shape == shape, f"{what} has the shape {array.shape}, expected {shape}.")
    return array


def _pair(value: Any, name: str) -> tuple[Any, Any]:
    expect(
        isinstance(value, tuple | list) and len(value) == 2,
        f"`{name}` returned a {type(value).__name__}, expected two matrices.",
    )
    return value[0], value[1]


# 07.1


def fold(v: np.ndarray, w1: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_users, k + 1) user vectors and (n_items, k + 1) item vectors of a factorization machine."""
    ones = np.ones((n_users, 1), dtype=v.dtype)
    return np.hstack([v[:n_users], ones]), np.hstack([v[n_users:], w1[n_users:, None]])


def _fold_by_hand(f: Callable[..., Any]) -> None:
    v = np.array([[1, 0], [0, 2], [3, 1], [1, 1], [-1, 2]], dtype=np.float32)
    w1 = np.array([7, -7, 0.5, 1, -0.25], dtype=np.float32)
    users, items = _pair(f(v.copy(), w1.copy(), 2), "fold")
    rows = np.shape(users)[:1] + np.shape(items)[:1]
    expect(
        rows == (2, 3),
        f"with 5 features, the first 2 of them users, `fold` returned {rows} rows, expected 2 and 3.",
    )
    users = _matrix(users, "the first matrix of `fold` for 2 factors", (2, 3))
    items = _matrix(items, "the second matrix of `fold` for 2 factors", (3, 3))
    got, want = users @ items.T, v[:2] @ v[2:].T + w1[2:]
    factors = v[:2] @ v[2:].T
    expect(
        not np.allclose(got, factors + w1[:2, None] * w1[2:]),
        "in `fold` the weight of the user multiplies the weight of the item; "
        "the equation adds an item's weight, once.",
    )
    expect(
        not np.allclose(got, factors + w1[:2, None]),
        "`fold` adds the *user's* weight, the same for every item of a list: whose weight moves an item up?",
    )
    expect(
        not np.allclose(got, factors + 1),
        "`fold` adds 1 to every inner product: which column must hold the items' weights?",
    )
    expect(
        not np.allclose(got, want + w1[:2, None]),
        "the user's weight is in the sum as well: right for a prediction, but `fold` has one more column only.",
    )
    expect(
        np.allclose(got, want),
        f"user 0 with factors (1, 0) and item 0 with factors (3, 1) and weight 0.5 have the inner product 3.5; "
        f"by `fold` it is {got[0, 0]:g}.",
    )


# 07.2


def items_of(labels: Any, n_items: int) -> np.ndarray:
    """Return zero-based items of labels that count from 1."""
    labels = np.asarray(labels)
    items = labels.astype(np.int64) - 1
    if items.size and (items.min() < 0 or items.max() >= n_items):
        raise ValueError(f"labels {labels.min():g} to {labels.max():g}: expected 1 to {n_items}")
    return items


def _labels_become_items(f: Callable[..., Any]) -> None:
    got = np.asarray(f([3.0, 1.0, 4.0], 4))
    expect(
        got.shape == (3,),
        f"`items_of` of three labels returned the shape {got.shape}, expected (3,).",
    )
    expect(
        not np.array_equal(got, [3, 1, 4]),
        "`items_of` of the labels 3, 1, 4 returned 3, 1, 4: the first row of the item matrix has the label 1, "
        "and which row is that?",
    )
    expect(
        np.array_equal(got, [2, 0, 3]),
        f"with four items the labels 3, 1, 4 mean rows 2, 0, 3; `items_of` says {got.tolist()}.",
    )
    expect(
        np.issubdtype(got.dtype, np.integer),
        f"`items_of` returned {got.dtype}: an index must be a whole number, or `titles[...]` refuses it.",
    )
    block = np.asarray(f(np.array([[1.0, 2.0], [2.0, 1.0]]), 2))
    expect(
        block.shape == (2, 2) and block.tolist() == [[0, 1], [1, 0]],
        f"`items_of` must keep the shape of a table of labels; for a (2, 2) table it returned {block.tolist()}.",
    )


def _labels_are_checked(f: Callable[..., Any]) -> None:
    for labels, wrong in (([1.0, 0.0], 0), ([5.0, 2.0], 5)):
        try:
            got = np.asarray(f(labels, 4))
        except ValueError:
            continue
        raise NotYet(
            f"label {wrong} belongs to none of four items, and `items_of` turned it into "
            f"{got.ravel()[int(wrong == 0)]}: raise a `ValueError` for labels outside of 1 to `n_items`."
        )


# 07.3


def best_first(line: str) -> list[float]:
    """Return the labels of one answer line, the largest inner product first."""
    answer = json.loads(line)
    return answer["labels"][::-1]


_LINE = (
    '{"predicted_label": 3.0, "labels": [3.0, 9.0, 1.0, 7.0], "distances": [0.5, 0.9, 1.25, 2.1]}'
)


def _order_of_a_line(f: Callable[..., Any]) -> None:
    got = f(_LINE)
    expect(
        not isinstance(got, str | dict),
        f"`best_first` returned a {type(got).__name__}, expected the labels of the line as a list.",
    )
    got = np.asarray(got, dtype=np.float64).ravel().tolist()
    expect(
        got != [3, 9, 1, 7],
        "`best_first` returned the labels as they came. These are inner products: is the smallest the best?",
    )
    expect(
        sorted(got) != [0.5, 0.9, 1.25, 2.1],
        "`best_first` returned the distances, expected the labels that belong to them.",
    )
    expect(
        got not in ([9, 7, 3, 1], [1, 3, 7, 9]),
        "`best_first` sorted the labels themselves; their numbers say nothing, the distances do.",
    )
    expect(
        got == [7, 1, 9, 3],
        "for labels 3, 9, 1, 7 with inner products .5, .9, 1.25, 2.1 `best_first` must begin with the label "
        f"of the largest and end with that of the smallest; it says {got}.",
    )
    one = (
        np.asarray(f('{"predicted_label": 2.0, "labels": [2.0], "distances": [-0.5]}'))
        .ravel()
        .tolist()
    )
    expect(one == [2], f"a line with the single label 2 gives 2; `best_first` says {one}.")


# 07.4


def lengthen(items: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both with one more column, so that the nearest by L2 have the largest inner product."""
    squares = (items * items).sum(axis=1)
    column = np.sqrt(squares.max() - squares)
    return np.hstack([items, column[:, None]]), np.hstack(
        [users, np.zeros((len(users), 1), users.dtype)]
    )


def _longer_by_one(f: Callable[..., Any]) -> None:
    name = "lengthen"
    items = np.array([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0]])
    users = np.array([[1.0, 0.0], [0.0, 2.0]])
    before = items.copy(), users.copy()
    more, asked = _pair(f(items, users), name)
    expect(
        np.array_equal(items, before[0]) and np.array_equal(users, before[1]),
        f"`{name}` must leave the matrices it is given as they were.",
    )
    more = _matrix(more, f"the first matrix of `{name}` for (3, 2) items", (3, 3))
    asked = _matrix(asked, f"the second matrix of `{name}` for (2, 2) users", (2, 3))
    expect(
        np.isfinite(more).all() and np.isfinite(asked).all(),
        f"`{name}` returned numbers that are not finite.",
    )
    expect(
        np.allclose(more[:, :2], items) and np.allclose(asked[:, :2], users),
        f"`{name}` must keep the columns that are there and add one behind; scaling a vector changes its inner products.",
    )
    lengths = np.linalg.norm(more, axis=1)
    expect(
        np.allclose(lengths, lengths[0]),
        f"after `{name}` all items must be equally long, as squared lengths add up column by column; "
        f"for items of length 5, 1, 1 they are {lengths.round(3)}.",
    )
    expect(
        np.allclose(more @ asked.T, items @ users.T),
        f"`{name}` changed inner products: what must stand in the users' new column so that the items' does not count?",
    )


def _longer_on_many(f: Callable[..., Any]) -> None:
    rng = np.random.default_rng(7)
    items = (rng.normal(size=(200, 5)) * rng.gamma(1, 1, size=(200, 1))).astype(np.float32)
    users = rng.normal(size=(20, 5)).astype(np.float32)
    more, asked = (np.asarray(m, dtype=np.float64) for m in _pair(f(items, users), "lengthen"))
    expect(
        np.isfinite(more).all(),
        "`lengthen` returned numbers that are not finite for 200 items of float32.",
    )
    distances = ((asked[:, None] - more[None]) ** 2).sum(axis=2)
    inner = users.astype(np.float64) @ items.T.astype(np.float64)
    nearest, best = distances.argmin(axis=1), inner.argmax(axis=1)
    expect(
        np.array_equal(nearest, best),
        f"of 20 users {(nearest != best).sum()} have another nearest item by L2 than by inner product after `lengthen`.",
    )


# 07.5


def item_vectors(x: np.ndarray, v: np.ndarray, w1: np.ndarray) -> np.ndarray:
    """Return (n_items, k + 1) vectors of items that are described by the features in ``x``."""
    s = x @ v
    pairs = ((s * s).sum(axis=1) - (x * x) @ (v * v).sum(axis=1)) / 2
    return np.hstack([s, (x @ w1 + pairs)[:, None]])


def _side_features(f: Callable[..., Any]) -> None:
    v = np.array([[1, 0], [0, 1], [2, 1], [1, -1]], dtype=np.float64)
    w1 = np.array([0.5, -1, 0.25, 2])
    name = "item_vectors"
    single = _matrix(f(np.eye(4), v, w1), f"`{name}` for 4 items", (4, 3))
    expect(
        np.allclose(single[:, :2], v),
        f"an item with one feature of value 1 keeps that feature's factors; `{name}` gave {single[0, :2]} for (1, 0).",
    )
    expect(
        np.allclose(single[:, 2], w1),
        "an item with one feature of value 1 has no pair of features inside it, so its last number is the weight "
        f"of that feature, 0.5; `{name}` says {single[0, 2]:g}.",
    )
    x = np.array([[1.0, 0, 1, 0], [0, 0.5, 1, 2]])
    got = _matrix(f(x, v, w1), f"`{name}` for 2 items", (2, 3))
    expect(
        np.allclose(got[:, :2], x @ v),
        "an item with features 0 and 2 has the factors v_0 + v_2 = (3, 1); "
        f"`{name}` says {got[0, :2]}. Values other than 1 multiply.",
    )
    linear = x @ w1
    inside = np.array(
        [
            sum(x[r, j] * x[r, m] * (v[j] @ v[m]) for j in range(4) for m in range(j))
            for r in range(2)
        ]
    )
    expect(
        not np.allclose(got[:, 2], linear),
        f"`{name}` adds up the weights only. An item with features 0 and 2 also has their pair ⟨v_0, v_2⟩ inside, "
        "and it differs from item to item.",
    )
    expect(
        not np.allclose(got[:, 2], linear + 2 * inside),
        f"each pair counts once; `{name}` counts it twice.",
    )
    s = x @ v
    expect(
        not np.allclose(got[:, 2], linear + (s * s).sum(axis=1) / 2),
        f"`{name}` pairs every feature with itself as well: take the squares of the terms away, as in chapter 06.",
    )
    expect(
        np.allclose(got[:, 2], linear + inside),
        f"an item with features 0 and 2 has the last number .5 + .25 + 2 = 2.75; `{name}` says {got[0, 2]:g}, "
        f"and {got[1, 2]:g} instead of {linear[1] + inside[1]:g} for values .5, 1, 2 of features 1, 2, 3.",
    )


# 07.6


def first_allowed(found: np.ndarray, blocked: np.ndarray, k: int) -> np.ndarray:
    """Return (n_users, k) items: the first of each row of ``found`` that are not blocked, -1 where none is left."""
    rows = np.arange(len(found))[:, None]
    fine = (found >= 0) & ~blocked[rows, found]
    order = np.argsort(~fine, axis=1, kind="stable")[:, :k]
    kept = np.where(np.take_along_axis(fine, order, 1), np.take_along_axis(found, order, 1), -1)
    return np.pad(kept, ((0, 0), (0, max(0, k - kept.shape[1]))), constant_values=-1)


def _allowed_by_hand(f: Callable[..., Any]) -> None:
    name = "first_allowed"
    found = np.array([[4, 2, 0, 1], [3, 1, 2, 0], [0, 1, 2, 3]])
    blocked = np.zeros((3, 5), dtype=bool)
    blocked[0, [2, 3]] = blocked[2] = True
    before = found.copy(), blocked.copy()
    got = _matrix(f(found, blocked, 2), f"`{name}` for 3 users and k=2", (3, 2)).astype(int)
    expect(
        np.array_equal(found, before[0]) and np.array_equal(blocked, before[1]),
        f"`{name}` must leave `found` and `blocked` as they were.",
    )
    expect(
        not np.array_equal(got[0], [4, 2]),
        f"item 2 is blocked for user 0 and stands in the list of `{name}`: does the filter look at `blocked[user, item]`?",
    )
    expect(
        got[0].tolist() not in ([0, 4], [0, 1]),
        f"`{name}` must keep the order of the search, best first; user 0 has 4 before 0.",
    )
    expect(
        not np.array_equal(got[0], [4, -1]),
        f"user 0 has the items 4, 0 and 1 left, and `{name}` returned one only: filter first, then cut at k.",
    )
    expect(
        np.array_equal(got[0], [4, 0]),
        f"found 4, 2, 0, 1 with 2 and 3 blocked gives 4, 0 for k=2; `{name}` says {got[0].tolist()}.",
    )
    expect(
        np.array_equal(got[1], [3, 1]),
        f"nothing is blocked for user 1: 3, 1 for k=2; `{name}` says {got[1].tolist()}.",
    )
    expect(
        np.array_equal(got[2], [-1, -1]),
        f"everything is blocked for user 2: `{name}` must fill up with -1, not with blocked items; it says {got[2].tolist()}.",
    )


def _allowed_at_the_ends(f: Callable[..., Any]) -> None:
    name = "first_allowed"
    found = np.array([[2, -1, 0, -1]])
    got = _matrix(
        f(found, np.zeros((1, 3), dtype=bool), 3), f"`{name}` for 1 user and k=3", (1, 3)
    ).astype(int)
    expect(
        np.array_equal(got[0], [2, 0, -1]),
        f"an index that finds nothing answers -1, which is no item: 2, -1, 0, -1 gives 2, 0, -1; `{name}` says {got[0].tolist()}.",
    )
    got = _matrix(
        f(np.array([[1, 0]]), np.zeros((1, 3), dtype=bool), 4),
        f"`{name}` for 2 found items and k=4",
        (1, 4),
    ).astype(int)
    expect(
        np.array_equal(got[0], [1, 0, -1, -1]),
        f"two found items and k=4: `{name}` must fill up with -1; it says {got[0].tolist()}.",
    )


register(
    Exercise(
        "07.1",
        "fold",
        [_fold_by_hand],
        [
            "Rows up to `n_users` are the users', the rest the items'. Of the equation, keep what depends on the item.",
            "Put a column of ones behind the users' factors and the items' weights, as a column, behind the items' factors: `np.hstack`.",
        ],
        fold,
        minutes=6,
    ),
    Quiz(
        "07.q1",
        "Ana's best inner product is 1.2, Ben's is 0.4. What may the e-mail program conclude?",
        "b",
        {
            "Ana will like her film more than Ben his, so she should be written to first.": "Ben may be one who gives five stars to everything. Where is that in the inner product?",
            "Nothing: what was left out differs from user to user.": "The terms w0 and w_u do not change a user's order, so they were dropped; add them again before comparing users.",
            "Ana has rated more films than Ben.": "A longer history often gives longer vectors, but no number of ratings can be read off one score.",
        },
    ),
    Exercise(
        "07.2",
        "items_of",
        [_labels_become_items, _labels_are_checked],
        [
            "Row 0 of the item matrix was stored with label 1. The answer must be whole numbers, to index with.",
            "`np.asarray(labels).astype(int) - 1`, and an `if` that raises `ValueError` when the smallest is below 0 or the largest is `n_items` or more.",
        ],
        items_of,
        minutes=4,
    ),
    Exercise(
        "07.3",
        "best_first",
        [_order_of_a_line],
        [
            "`json.loads(line)` gives a dictionary with two lists. The distances rise along the line; they are inner products.",
            "Turn the list of labels round: `[::-1]`.",
        ],
        best_first,
        minutes=4,
    ),
    Quiz(
        "07.q2",
        "You forget `index_metric` in the k-NN job. Its default is L2. What do you get?",
        "c",
        {
            "The same lists: the nearest item is the one with the largest inner product.": "Only if all items were equally long: ‖u - a‖² = ‖u‖² - 2⟨u, a⟩ + ‖a‖². Which items does the last term push away?",
            "An error, as user vectors are not items.": "The dimensions agree, so nothing complains. That is what makes it dangerous.",
            "Other lists, and no warning: items with long vectors are far away from everyone.": "The items with strong opinions, the best ones among them, drop out. One more column makes all equally long.",
        },
    ),
    Exercise(
        "07.4",
        "lengthen",
        [_longer_by_one, _longer_on_many],
        [
            "Squared lengths add up column by column. What must the new column's square be, so that every item reaches the longest one's?",
            "Items get `sqrt(M**2 - length**2)` with M the longest length; users get 0, so that the inner products stay.",
        ],
        lengthen,
        minutes=8,
    ),
    Exercise(
        "07.5",
        "item_vectors",
        [_side_features],
        [
            "With s = Σ x_j v_j, a user's vector meets the item's in ⟨s_u, s_i⟩. What else does the equation say about the item's features among themselves?",
            "The pairs inside one item sum to ½ (‖s‖² - Σ x_j² ‖v_j‖²), chapter 06's identity; add them to x @ w1 in the last column.",
        ],
        item_vectors,
        minutes=12,
        stretch=True,
    ),
    Exercise(
        "07.6",
        "first_allowed",
        [_allowed_by_hand, _allowed_at_the_ends],
        [
            "`blocked[np.arange(n)[:, None], found]` looks up every pair at once. Mind that index -1 looks up the last item.",
            'A stable argsort of "not allowed" moves the allowed ones to the front in their order; cut at k, then put -1 where nothing allowed is left.',
        ],
        first_allowed,
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "07.q3",
        "Nine in ten films are out of stock today. You search the best 100 and drop those. How many are left?",
        "b",
        {
            "100: the search goes on until it has enough.": "The index knows nothing of the stock; it found 100 and stopped.",
            "About 10 if stock has nothing to do with taste, fewer if the best sell out first, none for some users.": "So filter before the search when much is blocked, or search for more, and have something to fall back on.",
            "Exactly 10 for every user.": "The mean may be 10; each user's list has its own luck, and popular films are not sold out at random.",
        },
    ),
)
