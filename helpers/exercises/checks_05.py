"""Checks of chapter 05, neural collaborative filtering: toy cases whose answers are known by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect, numbers
from .grading import Exercise, Quiz
from .registry import register

# 05.1


def contiguous(raw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each raw id, (n,), and the different ids, (n_different,)."""
    ids, index = np.unique(raw, return_inverse=True)
    return index, ids


def _index_and_ids(f: Callable[..., Any], raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both answers as arrays, or say what is wrong with their form."""
    got = f(raw)
    expect(
        isinstance(got, tuple | list) and len(got) == 2,
        f"`contiguous` returned a {type(got).__name__}, expected two things: `index` and `ids`.",
    )
    index = numbers(got[0], "contiguous", (len(raw),))
    expect(
        (index == np.round(index)).all(),
        "`index` must hold whole numbers; `contiguous` gave fractions.",
    )
    return index.astype(np.int64), np.asarray(got[1])


def _ids_with_gaps(f: Callable[..., Any]) -> None:
    raw = np.array([31, 164979, 31, 1, 5000])
    index, ids = _index_and_ids(f, raw)
    expect(
        index.min() == 0,
        f"for the ids 31, 164979, 31, 1, 5000 the smallest `index` is {index.min()}: count from 0.",
    )
    expect(
        index.max() == 3,
        f"four different ids need the indices 0 to 3; the largest `index` of `contiguous` is {index.max():,}: gaps stay.",
    )
    expect(
        ids.shape == (4,),
        f"`ids` must hold each different id once: four of them here, not {ids.size}.",
    )
    expect(
        np.array_equal(ids[index], raw),
        f"`ids[index]` must give `raw` back: 31, 164979, 31, 1, 5000; it gives {', '.join(map(str, ids[index]))}.",
    )


def _ids_that_are_words(f: Callable[..., Any]) -> None:
    raw = np.array(["u7", "u10", "u7"])
    index, ids = _index_and_ids(f, raw)
    expect(
        ids.shape == (2,) and np.array_equal(ids[index], raw),
        "ids may be words: for u7, u10, u7 `ids[index]` must give them back.",
    )
    index, ids = _index_and_ids(f, np.arange(3))
    expect(
        sorted(index.tolist()) == [0, 1, 2] and np.array_equal(ids[index], np.arange(3)),
        "ids that are 0, 1, 2 already need the indices 0 to 2 all the same.",
    )


# 05.2


def gmf(p: np.ndarray, q: np.ndarray, h: np.ndarray, c: float) -> np.ndarray:
    """Return the chance of each pair of a batch, (B,)."""
    return 1 / (1 + np.exp(-((p * q) @ h + c)))


def _gmf_by_hand(f: Callable[..., Any]) -> None:
    p, q = np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[3.0, -1.0], [5.0, 1.0]])
    got = numbers(f(p, q, np.array([1.0, 1.0]), 0.0), "gmf", (2,))
    expect(
        not np.allclose(got, [1, 3]),
        "`gmf` gave 1 and 3 for weights of 1: those are the weighed sums; a chance is their sigmoid.",
    )
    expect(
        np.allclose(got, [0.7310586, 0.9525741]),
        f"p = (1, 2), q = (3, -1), h = (1, 1), c = 0: the sigmoid of 3 - 2 is .731; `gmf` says {got[0]:.3f}.",
    )
    got = numbers(f(p, q, np.array([2.0, 1.0]), 0.0), "gmf", (2,))
    expect(
        not np.allclose(got, [0.7310586, 0.9525741]),
        "`gmf` is the same for h = (1, 1) and h = (2, 1): each product of coordinates has a weight of its own.",
    )
    expect(
        np.allclose(got, [0.9820138, 0.9525741]),
        f"p = (1, 2), q = (3, -1), h = (2, 1): the sigmoid of 6 - 2 is .982; `gmf` says {got[0]:.3f}.",
    )
    got = numbers(f(p, q, np.array([2.0, 1.0]), -4.0), "gmf", (2,))
    expect(
        np.allclose(got, [0.5, 0.2689414]),
        f"with c = -4 the first pair has the sigmoid of 0, a half; `gmf` says {got[0]:.3f}: where does c come in?",
    )


# 05.3


def request(users: Any, items: Any) -> str:
    """Return the text of a request body with one instance a pair."""
    pairs = zip(users, items, strict=True)
    return json.dumps(
        {"instances": [{"user": int(user), "item": int(item)} for user, item in pairs]}
    )


def _body_of_two_pairs(f: Callable[..., Any]) -> None:
    try:
        got = f(np.array([3, 4], dtype=np.int32), np.array([70, 80], dtype=np.int32))
    except TypeError as error:
        expect(
            "JSON serializable" not in str(error),
            f"{error}: `int(…)` makes one of Python's numbers of it.",
        )
        raise
    expect(
        isinstance(got, str | bytes),
        f"`request` returned a {type(got).__name__}, expected text: `json.dumps` writes it.",
    )
    try:
        body = json.loads(got)
    except json.JSONDecodeError as error:
        body = None
        expect(False, f"the text of `request` is not JSON: {error}.")
    expect(
        isinstance(body, dict) and list(body) == ["instances"], "the body has one key, `instances`."
    )
    rows = body["instances"]
    expect(
        isinstance(rows, list),
        '`instances` must be a list with one object a pair; columns go under the key "inputs".',
    )
    expect(
        len(rows) == 2,
        f"two pairs, two instances: `request` wrote {len(rows)}. Pair each user with the item at the same place.",
    )
    expect(
        all(isinstance(row, dict) and set(row) == {"user", "item"} for row in rows),
        f"each instance needs the inputs `user` and `item` by name; the first is {json.dumps(rows[0])}.",
    )
    expect(
        all(type(value) is int for row in rows for value in row.values()),
        f"an index is a whole number: not {json.dumps(rows[0])}; the model takes int32.",
    )
    expect(
        rows == [{"user": 3, "item": 70}, {"user": 4, "item": 80}],
        f"for users 3, 4 and items 70, 80 the first instance is {json.dumps(rows[0])}.",
    )


# 05.4


def as_table(kernel: Any, bias: Any) -> np.ndarray:
    """Return the embedding table, (n, k), that equals a dense layer on one-hot input."""
    return np.asarray(kernel) + np.asarray(bias)


def _table_of_three_users(f: Callable[..., Any]) -> None:
    kernel = np.array([[1.0, 0.0], [2.0, -5.0], [0.0, 4.0]])
    bias = np.array([10.0, -1.0])
    got = numbers(f(kernel.copy(), bias.copy()), "as_table", (3, 2))
    dense = np.eye(3) @ kernel + bias
    expect(
        not np.allclose(got, kernel),
        "`as_table` returned the kernel alone: a dense layer adds its bias, for every input.",
    )
    expect(
        not np.allclose(got, np.maximum(dense, 0)),
        "`as_table` applied the ReLU: the table stands before it, and the network has a ReLU after the look-up.",
    )
    expect(
        np.allclose(got, dense),
        f"one-hot of user 1 times the kernel, plus the bias, is {dense[1].tolist()}; row 1 of `as_table` is {got[1].tolist()}.",
    )


# 05.5


def first_layer(
    users: np.ndarray, items: np.ndarray, kernel: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Return the first hidden layer for every pair, (n_users, n_items, width)."""
    k = users.shape[1]
    of_users, of_items = users @ kernel[:k] + bias, items @ kernel[k:]
    return np.maximum(of_users[:, None, :] + of_items[None, :, :], 0)


def _layer_of_all_pairs(f: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    users, items = rng.standard_normal((3, 2)), rng.standard_normal((4, 2))
    kernel, bias = rng.standard_normal((4, 5)), rng.standard_normal(5)
    got = numbers(f(users, items, kernel, bias), "first_layer", (3, 4, 5))
    pairs = np.concatenate([np.repeat(users, 4, axis=0), np.tile(items, (3, 1))], axis=1)
    before = (pairs @ kernel + bias).reshape(3, 4, 5)
    expect(
        not np.allclose(got, before),
        "a hidden layer ends in a ReLU: `first_layer` gives numbers below 0.",
    )
    expect(
        not np.allclose(got, np.maximum(before + bias, 0)),
        "`first_layer` adds the bias twice: once for the user's half and once for the item's.",
    )
    halves = (
        np.maximum(users @ kernel[:2] + bias, 0)[:, None] + np.maximum(items @ kernel[2:], 0)[None]
    )
    expect(
        not np.allclose(got, halves),
        "`first_layer` applies the ReLU to each half: only the sum of the halves is what the layer sees.",
    )
    expect(
        not np.allclose(got, np.maximum(before - bias, 0)),
        "`first_layer` leaves out the bias of the layer.",
    )
    swapped = np.maximum((users @ kernel[2:])[:, None] + (items @ kernel[:2])[None] + bias, 0)
    expect(
        not np.allclose(got, swapped),
        "the kernel's first k rows belong to the user: `first_layer` swaps them.",
    )
    expect(
        np.allclose(got, np.maximum(before, 0)),
        "`first_layer` of user 0 and item 0 must equal the layer on both vectors side by side; "
        f"it gives {got[0, 0, 0]:.3g} where {max(before[0, 0, 0], 0):.3g} is expected.",
    )


def _layer_without_pairs(f: Callable[..., Any]) -> None:
    import tracemalloc

    users, items = np.ones((50, 64)), np.ones((400, 64))
    tracemalloc.start()
    got = numbers(f(users, items, np.ones((128, 1)), np.zeros(1)), "first_layer", (50, 400, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expect(
        np.allclose(got, 128),
        "64 ones beside 64 ones, weights of 1: every number of `first_layer` is 128.",
    )
    expect(
        peak < 5e6,
        f"`first_layer` held {peak / 1e6:.0f} MB for 20,000 pairs of width 1: it builds the pairs. Multiply "
        "users and items apart, and add the halves.",
    )


# 05.6


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the predictions of deep matrix factorization, (n_users, n_items)."""
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.maximum((a @ b.T) / np.maximum(lengths, 1e-12), 1e-6)


def _cosines_by_hand(f: Callable[..., Any]) -> None:
    a, b = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[6.0, 8.0], [0.0, 2.0], [-1.0, 0.0]])
    got = numbers(f(a, b), "cosines", (2, 3))
    expect(
        not np.isclose(got[0, 0], 50),
        "(3, 4) and (6, 8) point the same way, so their cosine is 1, not their product 50.",
    )
    expect(
        got.min() >= 0,
        "(1, 0) and (-1, 0) have the cosine -1, and the prediction is at least 0.000001: its logarithm must exist.",
    )
    expect(
        got.min() > 0,
        "`cosines` has a 0 in it: the smallest prediction is 0.000001, since its logarithm must exist.",
    )
    expect(
        np.allclose(got, [[1, 0.8, 1e-6], [0.6, 1e-6, 1e-6]]),
        f"(3, 4) and (0, 2) have the cosine 8/10; `cosines` says {got[0, 1]:.3g}.",
    )


def _cosines_of_nothing(f: Callable[..., Any]) -> None:
    with np.errstate(all="ignore"):
        got = numbers(f(np.zeros((1, 2)), np.array([[1.0, 0.0]])), "cosines", (1, 1))
    expect(
        np.isfinite(got).all(),
        "an end of all zeros has no length to divide by; `cosines` must give 0.000001 there, not nan.",
    )
    expect(
        np.isclose(got[0, 0], 1e-6),
        f"an end of all zeros gets 0.000001; `cosines` says {got[0, 0]:.3g}.",
    )


register(
    Exercise(
        "05.1",
        "contiguous",
        [_ids_with_gaps, _ids_that_are_words],
        [
            "Which ids are there? The place of an id in a list of the different ones is its index.",
            "`np.unique` lists them, and with `return_inverse=True` also says where each came to stand.",
        ],
        contiguous,
        minutes=6,
    ),
    Exercise(
        "05.2",
        "gmf",
        [_gmf_by_hand],
        [
            "`p * q` multiplies by coordinate; a matrix product with `h` weighs and adds the coordinates of each row.",
            "Then add c, and take the sigmoid: `1 / (1 + np.exp(-x))`.",
        ],
        gmf,
        minutes=4,
    ),
    Quiz(
        "05.q1",
        "The post puts a ReLU on its embeddings. What can its GMF branch no longer say?",
        "b",
        {
            "Nothing is lost: the weights h can be negative.": "h has one sign for all users. Can the product of a coordinate then differ in sign between two of them?",
            "That one coordinate draws one user to a film and puts another off.": "Without negative coordinates every product is 0 or more, and h gives it the same sign for everybody.",
            "A chance below one half.": "The constant c and negative weights still lead below one half.",
        },
    ),
    Quiz(
        "05.q2",
        "A job with `instance_count=2` has ended. What did its two workers do?",
        "b",
        {
            "Each trained a model of its own; the two were averaged at the end.": "Two such models may mean different things by coordinate 3, and their average nothing.",
            "They added up their slopes before every step, so both hold the same weights.": "That is why the program saves on both, and keeps only the first one's files.",
            "One kept the users' vectors, the other the items'.": "That would be splitting the model. Mirrored means that each holds all of it.",
        },
    ),
    Exercise(
        "05.3",
        "request",
        [_body_of_two_pairs],
        [
            'One dictionary a pair: `{"user": …, "item": …}`; `zip` walks through both arrays at once.',
            "`json.dumps({\"instances\": [...]})`, with `int(…)` around each number, as NumPy's are not JSON's.",
        ],
        request,
        minutes=6,
    ),
    Quiz(
        "05.q3",
        "A colleague draws 1 negative a click, not 5: the accuracy on held-out clicks jumps. Is the model better?",
        "b",
        {
            "Yes: it recognizes more of the films people went on to see.": "It says yes to more films of every kind. Do the hidden ones stand higher in the lists?",
            "It cannot be told: all chances rose with the share of positives, and the order may be the same.": "Half of its training examples are positive now, not a sixth. Compare lists, under one protocol.",
            "No: fewer negatives always make a worse model.": "Often, as chapter 04 saw, but this number does not show it.",
        },
    ),
    Exercise(
        "05.4",
        "as_table",
        [_table_of_three_users],
        [
            "A one-hot vector of user 1 times the kernel is the kernel's row 1. What does the layer do next?",
            "It adds the same bias to every row: NumPy does that when an (n, k) and a (k,) meet.",
        ],
        as_table,
        minutes=6,
    ),
    Exercise(
        "05.5",
        "first_layer",
        [_layer_of_all_pairs, _layer_without_pairs],
        [
            "[user, item] @ kernel = user @ kernel[:k] + item @ kernel[k:]. Compute both products for all users and for all items.",
            "`a[:, None, :] + b[None, :, :]` adds every row of one to every row of the other; add the bias once, then the ReLU.",
        ],
        first_layer,
        minutes=12,
        stretch=True,
    ),
    Exercise(
        "05.6",
        "cosines",
        [_cosines_by_hand, _cosines_of_nothing],
        [
            "All inner products at once are `a @ b.T`; all products of lengths, `np.outer` of the two arrays of norms.",
            "Keep the divisor above zero with `np.maximum(lengths, 1e-12)`, and the result at or above 1e-6.",
        ],
        cosines,
        minutes=8,
        stretch=True,
    ),
)
