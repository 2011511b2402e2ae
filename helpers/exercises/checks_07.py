"""Checks of chapter 07, top-x with k-NN: small machines and lists whose right order is known by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .cases import Case, cases
from .checking import NotYet, expect
from .converters import array, integers, items, pair, single
from .cost import grows, multiplications, steps
from .grading import Exercise, Quiz
from .registry import register

WIDE = [(np.ones((2, n)), np.ones((n, 3)), np.ones(n)) for n in (20, 80)]
V = np.array([[1, 0], [0, 2], [3, 1], [1, 1], [-1, 2]], dtype=np.float32)
W1 = np.array([7, -7, 0.5, 1, -0.25], dtype=np.float32)
FOUND = np.array([[4, 2, 0, 1], [3, 1, 2, 0], [0, 1, 2, -1]])
BLOCKED = np.array([[0, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 0, 0]], dtype=bool)


def indices(value: Any, name: str) -> np.ndarray:
    """Return whole numbers as indices; refuse floats, with which nothing can be looked up."""
    found = integers(value, name)
    if np.asarray(value).dtype.kind == "f":
        raise NotYet(f"`{name}` returned floats: an index is a whole number, or `titles[…]` fails.")
    return found


def line_of(labels: Any, scores: Any) -> str:
    """Return a line of the k-NN container's answer."""
    numbers = {"labels": [float(x) for x in labels], "distances": [float(x) for x in scores]}
    return json.dumps({"predicted_label": numbers["labels"][0]} | numbers)


def some_line(rng: np.random.Generator) -> Case:
    """Return an answer about up to a hundred neighbors, without ties."""
    n = int(rng.choice([1, 2, 7, 100]))
    scores = np.sort(rng.permutation(400)[:n] / 64 - 2)
    return Case((line_of(rng.permutation(300)[:n] + 1, scores),), f"of a line with {n} labels")


def all_of_a_tie(got: list[int], line: str) -> None:
    """Raise `NotYet` unless the labels 4 and 6, whose scores are equal, follow label 8."""
    said = f"`best_first` of the labels 4, 6, 8 with inner products 1.5, 1.5, 2 gave {got}"
    expect(got in ([8, 6, 4], [8, 4, 6]), f"{said}: equal scores have two labels, and 8 is best.")


def equally_long(value: Any, before: np.ndarray, users: np.ndarray) -> None:
    """Raise `NotYet` unless all items are equally long and no inner product has changed."""
    longer, asked = value
    shapes = (len(before), before.shape[1] + 1), (len(users), users.shape[1] + 1)
    told = f"returned the shapes {longer.shape} and {asked.shape}, expected {shapes[0]} and {shapes[1]}"
    expect((longer.shape, asked.shape) == shapes, f"`lengthen` {told}.")
    lengths, inner = np.linalg.norm(longer, axis=1), before @ users.T
    kept = [np.allclose(m[:, :-1], old, 1e-4) for m, old in ((longer, before), (asked, users))]
    level = np.allclose(lengths, lengths[0], 1e-4)
    same = np.allclose(longer @ asked.T, inner, 1e-4, 1e-5 * abs(inner).max())
    holds = {
        "returned a number that is not finite.": np.isfinite(longer).all(),
        "must keep the columns that are there and add one behind them: scaling a vector changes its inner products.": min(
            kept
        ),
        f"gave items of the lengths {lengths[:3].round(3).tolist()}, expected one length for all: *squared* lengths add up column by column.": level,
        "changed inner products: what must stand in the users' new column so that the items' does not count?": same,
    }
    for sentence, fine in holds.items():
        expect(fine, f"`lengthen` {sentence}")


def some_search(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return the items that a search found, -1 behind them, what is blocked, and how many to keep."""
    n_users, n_items = int(rng.integers(1, 6)), int(rng.integers(3, 90))
    width = int(rng.integers(1, n_items + 1))
    found = np.argsort(rng.random((n_users, n_items)), axis=1)[:, :width]
    found[np.arange(width) >= rng.integers(width // 2, width + 2, n_users)[:, None]] = -1
    return found, rng.random((n_users, n_items)) < rng.random(), int(rng.integers(1, width + 3))


TWO = np.array([[1.0, 0, 1, 0], [0, 0.5, 1, 2]])
PARTS = np.array([[1.0, 0], [0, 1], [2, 1], [1, -1]]), np.array([0.5, -1, 0.25, 2])

register(
    Exercise(
        "07.1",
        "fold",
        pair(("the users' matrix", single), ("the items' matrix", single)),
        cases=cases((V, W1, 2), (V, W1, 4)),
        inputs=lambda rng: (rng.normal(size=(7, 3)), rng.normal(size=7), int(rng.integers(1, 7))),
        mistakes={
            "return v[:n_users], v[n_users:]": "those are the factors alone; each matrix gets one more column.",
            "return np.hstack([v[:n_users], w1[:n_users, None]]), np.hstack([v[n_users:], w1[n_users:, None]])": "the weight of the user then multiplies the weight of the item; the equation adds an item's weight, once.",
            "return np.hstack([v[:n_users], w1[:n_users, None]]), np.hstack([v[n_users:], v[n_users:, :1] * 0 + 1])": "that adds the *user's* weight, the same for every item of a list: whose weight moves an item up?",
            "return [np.hstack([part, part[:, :1] * 0 + 1]) for part in (v[:n_users], v[n_users:])]": "that adds 1 to every inner product: which column must hold the items' weights?",
            "return np.hstack([v[:n_users], v[:n_users, :1] * 0 + 1]), np.hstack([v, w1[:, None]])": "the items' matrix has the users' rows as well.",
            "return np.hstack([v[:n_users, :1] * 0 + 1, v[:n_users]]), np.hstack([w1[n_users:, None], v[n_users:]])": "the inner products are right, but the formula has the new column *behind* the factors.",
        }.items(),
        hints=[
            "Rows up to `n_users` are the users', the rest the items'. Of the equation, keep what depends on the item.",
            "Put a column of ones behind the users' factors and the items' weights, as a column, behind the items' factors: `np.hstack`.",
        ],
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
        indices,
        cases=[
            *cases(([3.0, 1.0, 4.0], 4), ([[1.0, 2.0], [2.0, 1.0]], 2), ([7e4, 1.0], 70_000)),
            Case(([3.0, 0.0], 4), raises=ValueError),
            Case(([5.0, 2.0], 4), raises=ValueError),
            Case(([[1.0, 2.0], [3.0, -4.0]], 4), raises=ValueError),
        ],
        inputs=lambda rng: (
            rng.integers(1, 9067, (rng.integers(1, 4), 5)).astype(float).tolist(),
            9066,
        ),
        mistakes={
            "return np.asarray(labels).astype(int)": "the first row of the item matrix has the label 1, and which row is that?",
            "return np.asarray(labels).astype(int).ravel() - 1": "a table of labels keeps its shape.",
            "return np.asarray(labels).astype(int) - 2": "the first row has the index 0, so the label 1 is item 0.",
        }.items(),
        hints=[
            "Row 0 of the item matrix was stored with label 1. The answer must be whole numbers, to index with.",
            "`np.asarray(labels).astype(int) - 1`, and an `if` that raises `ValueError` when the smallest is below 0 or the largest is `n_items` or more.",
        ],
        minutes=4,
    ),
    Exercise(
        "07.3",
        "best_first",
        items,
        cases=[
            Case(
                (line_of([3, 9, 1, 7], [0.5, 0.9, 1.25, 2.1]),),
                "of the labels 3, 9, 1, 7 with inner products 0.5, 0.9, 1.25, 2.1",
            ),
            Case((line_of([2], [-0.5]),), "of the single label 2"),
            Case((line_of([4, 6, 8], [1.5, 1.5, 2]),), judge=all_of_a_tie),
        ],
        inputs=some_line,
        mistakes={
            'return json.loads(line)["labels"]': "that is the order in which they came. These are inner products: is the smallest the best?",
            'return [int(1000 * d) for d in json.loads(line)["distances"][::-1]]': "expected the labels that belong to the distances.",
            'return sorted(json.loads(line)["labels"], reverse=True)': "that sorts the labels themselves; their numbers say nothing, the distances do.",
            'return sorted(json.loads(line)["labels"])': "that sorts the labels themselves; their numbers say nothing, the distances do.",
        }.items(),
        hints=[
            "`json.loads(line)` gives a dictionary with two lists. The distances rise along the line; they are inner products.",
            "Turn the list of labels round: `[::-1]`.",
        ],
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
        pair(("the items' matrix", array), ("the users' matrix", array)),
        cases=[Case((np.array([[0.0, 1], [3, 4], [1, 0]]), np.eye(2)), judge=equally_long)],
        inputs=lambda rng: Case(
            (rng.normal(size=(40, 5)) * rng.gamma(1, 1, (40, 1)), rng.normal(size=(9, 5))),
            "of random vectors",
            judge=equally_long,
        ),
        hints=[
            "Squared lengths add up column by column. What must the new column's square be, so that every item reaches the longest one's?",
            "Items get `sqrt(M**2 - length**2)` with M the longest length; users get 0, so that the inner products stay.",
        ],
        minutes=8,
    ),
    Exercise(
        "07.5",
        "item_vectors",
        array,
        cases=cases((np.eye(4), *PARTS), (TWO, *PARTS)),
        inputs=lambda rng: (
            rng.normal(size=(6, 8)) * (rng.random((6, 8)) < 0.6),
            *(rng.normal(size=(8, 3)), rng.normal(size=8)),
        ),
        mistakes={
            "return x @ v": "that is s of every item; one more column is missing.",
            "return np.hstack([x @ v, (x @ w1)[:, None]])": "the last number adds up the weights only; the pairs of features inside an item are missing.",
            "s = x @ v\nreturn np.hstack([s, (x @ w1 + (s * s).sum(1) - (x * x) @ (v * v).sum(1))[:, None]])": "each pair of features counts once, not twice.",
            "s = x @ v\nreturn np.hstack([s, (x @ w1 + (s * s).sum(1) / 2)[:, None]])": "that pairs every feature with itself as well: take the squares of the terms away, as in chapter 06.",
            "s = x @ v\nreturn np.hstack([s, (x @ w1 + ((s * s).sum(1) - x @ (v * v).sum(1)) / 2)[:, None]])": "x is 0.5 and 2 here as well: its square belongs to the square of v.",
            "y = (x != 0) * 1.0\ns = y @ v\nreturn np.hstack([s, (y @ w1 + ((s * s).sum(1) - y @ (v * v).sum(1)) / 2)[:, None]])": "values other than 1 multiply.",
        }.items(),
        checks=[
            grows(
                measure,
                7,
                WIDE[0],
                WIDE[1],
                "`item_vectors` does sixteen times the work for four times the features: in O(kn) nothing goes over pairs of features.",
            )
            for measure in (steps, multiplications)
        ],
        hints=[
            "With s = Σ x_j v_j, a user's vector meets the item's in ⟨s_u, s_i⟩. What else does the equation say about the item's features among themselves?",
            "The pairs inside one item sum to ½ (‖s‖² - Σ x_j² ‖v_j‖²), chapter 06's identity; add them to x @ w1 in the last column.",
        ],
        minutes=12,
        stretch=True,
    ),
    Exercise(
        "07.6",
        "first_allowed",
        integers,
        cases=cases((FOUND[1:2], BLOCKED[1:2], 2), (FOUND, BLOCKED, 2), (FOUND, BLOCKED, 6)),
        inputs=some_search,
        mistakes={
            "return found[:, :k]": "blocked items stand in the list: does the filter look at `blocked[user, item]`?",
            "cut = found[:, :k]\nreturn np.where(blocked[np.arange(len(cut))[:, None], cut], -1, cut)": "the list is cut before it is filtered: filter first, then cut at `k`.",
            "return [np.append([i for i in np.sort(f) if i >= 0 and not b[i]], [-1] * k)[:k] for f, b in zip(found, blocked)]": "keep the order of the search, best first.",
            "fine = (found >= 0) & ~blocked[np.arange(len(found))[:, None], found]\norder = np.argsort(~fine, axis=1)[:, :k]\nreturn np.where(np.take_along_axis(fine, order, 1), np.take_along_axis(found, order, 1), -1)": "keep the order of the search, best first: `argsort` mixes equal values unless it is told to be stable.",
            "order = np.argsort(blocked[np.arange(len(found))[:, None], found], axis=1, kind='stable')\nreturn np.take_along_axis(found, order, 1)[:, :k]": "where too few are allowed, fill up with -1, not with blocked items.",
            "fine = (found >= 0) & ~blocked[np.arange(len(found))[:, None], found]\norder = np.argsort(~fine, axis=1, kind='stable')[:, :k]\nreturn np.where(np.take_along_axis(fine, order, 1), np.take_along_axis(found, order, 1), -1)": "with fewer than `k` items found, fill up with -1 to `k` columns.",
        }.items(),
        hints=[
            "`blocked[np.arange(n)[:, None], found]` looks up every pair at once. Mind that index -1 looks up the last item.",
            'A stable argsort of "not allowed" moves the allowed ones to the front in their order; cut at k, then put -1 where nothing allowed is left.',
        ],
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
