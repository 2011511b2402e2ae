"""Checks of chapter 07, top-x with k-NN: small machines and lists whose right order is known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import Case, cases, shown
from .checking import NotYet, expect
from .converters import array, integers, pair, single
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


def verdict(value: Any, name: str) -> bool:
    """Return True or False."""
    one = np.asarray(value)
    if one.size != 1 or one.dtype.kind not in "biuf" or one.item() not in (0, 1):
        raise NotYet(f"`{name}` returned {shown(value)}, expected True or False.")
    return bool(one.item())


def of_a_list(items: list[int], scores: list[float], wrong: bool, why: str) -> Case:
    """Return a list whose wrong verdict has one reason."""
    given = np.array(items), np.array(scores, dtype=float), 1e-6
    return Case(given, f"of items {items}, scores {scores}, tolerance 1e-6", wrong=[(wrong, why)])


def some_list(rng: np.random.Generator) -> Case:
    """Return a list that is right, with scores that are equal but for rounding, or has one slip."""
    n = int(rng.integers(4, 30))
    scores = rng.integers(-4, 4, n) / 2 + rng.normal(0, 2e-8, n)
    items = np.lexsort([rng.random(n), -scores.round(3)])[: rng.integers(2, n + 1)]
    slip, (one, other) = rng.integers(8), rng.choice(len(items), 2, replace=False)
    if slip == 0:
        items[[one, other]] = items[[other, one]]
    elif slip == 1:
        items[one] = rng.integers(n)
    elif slip == 2:
        items[one] = -1
    elif slip == 3:
        items[one] = items[other]
    return Case((items, scores, 1e-6))


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
        "changed inner products: which number in the users' new column makes the items' new column not count?": same,
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
            "The rows before `n_users` belong to users, the others to items. Of the equation, keep the terms that depend on the item.",
            "With `np.hstack`, append a column of ones to the users' factors, and the items' weights, as a column, to the items' factors.",
        ],
        minutes=6,
    ),
    Quiz(
        "07.q1",
        "Above, Ben's best inner product is 0.82, Ana's is 0.7. What may the e-mail program conclude?",
        "b",
        {
            "Ben will like his film more than Ana will like hers, so write to him first.": "Look at their best stars: 3.32 and 4.7. Which terms are not in the inner product?",
            "Nothing: the terms that were left out differ from user to user.": "The terms w0 and w_u do not change a user's order, so they were dropped. Add them again before you compare users.",
            "Ben has rated more films than Ana.": "A longer history often gives a longer vector, but one score does not tell how many ratings there were.",
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
        "07.7",
        "is_top",
        verdict,
        cases=[
            of_a_list([3, 0], [2, 0.5, 1, 3], False, "these are the two largest, best first."),
            of_a_list(
                [0, 3], [2, 0.5, 1, 3], True, "item 3 is better than item 0: the order counts."
            ),
            of_a_list(
                [0, 2], [2, 0.5, 1, 3], True, "item 3 is missing: compare with *all* scores."
            ),
            of_a_list([3, 1], [2, 0.5, 1, 3], True, "items 0 and 2 are better than item 1."),
            of_a_list(
                [0, 2, 1],
                [3, 2, 2, 0],
                False,
                "items 1 and 2 have equal scores, so either may come first: compare scores, not items.",
            ),
            of_a_list(
                [1, 0], [-1, -1, -2], False, "the scores are equal, so either may come first."
            ),
            of_a_list(
                [0, 2],
                [3, 2, 2, 0],
                False,
                "items 1 and 2 have equal scores, so either may be in it.",
            ),
            of_a_list(
                [0, 1], [1, 1.0000001, 0], False, "these two differ by less than `tolerance`."
            ),
            of_a_list([0, 0], [2, 2, 1], True, "item 0 is there twice."),
            of_a_list([0, 1, 0], [2, 2, 2, 1], True, "item 0 is there twice."),
            of_a_list(
                [0, 1, 3],
                [3, 2, 1.000002, 1],
                True,
                "item 2 is better than item 3 by twice the `tolerance`.",
            ),
            of_a_list([-1, 1], [1, 2, 3], True, "-1 is no item, but NumPy looks up the last one."),
            of_a_list(
                [2, -2], [1, 2, 3], True, "-2 is no item, but NumPy looks one up from the end."
            ),
        ],
        inputs=some_list,
        hints=[
            "Two right lists can differ in their items, but not in their scores. Which scores must the best list have?",
            "Compare `scores[items]` with the largest scores, sorted: `np.sort(scores)[::-1][:len(items)]`. Before that, refuse negative items and repeated ones.",
        ],
        minutes=8,
    ),
    Quiz(
        "07.q2",
        "You forget `index_metric` in the k-NN job. Its default is L2. What do you get?",
        "c",
        {
            "The same lists: the nearest item is the one with the largest inner product.": "Only if all items were equally long: ‖u - a‖² = ‖u‖² - 2⟨u, a⟩ + ‖a‖². Which items does the last term push away?",
            "An error, as user vectors are not items.": "The dimensions agree, so nothing complains. That makes it dangerous.",
            "Other lists, and no warning: items with long vectors are far away from everyone.": "Items with long vectors drop out, the best ones among them. One more column makes all items equally long.",
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
            "Squared lengths add up column by column. How much is missing from an item's squared length to that of the longest item?",
            "Items get `sqrt(M**2 - length**2)`, where M is the largest length. Users get 0, so that no inner product changes.",
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
            "⟨s_u, s_i⟩ adds up all pairs of one user feature and one item feature. Which pairs are missing?",
            "By chapter 06's identity, the pairs inside one item add up to ½ (‖s‖² - Σ x_j² ‖v_j‖²). Add them to x @ w1 in the last column.",
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
            "`blocked[np.arange(n)[:, None], found]` looks up all pairs at once. But index -1 looks up the last item.",
            'A stable argsort of "not allowed" moves the allowed items to the front and keeps their order. Cut at `k`, then put -1 where no allowed item is left.',
        ],
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "07.q3",
        "Nine in ten films are out of stock today. You search the best 100 and drop those. How many are left?",
        "b",
        {
            "100: the search goes on until it has enough.": "The index knows nothing of the stock. It found 100 and stopped.",
            "About 10 if stock has nothing to do with taste, fewer if the best sell out first, none for some users.": "So filter before the search when much is blocked, or search for more. And have a list to fall back on.",
            "Exactly 10 for every user.": "The mean may be 10, but it varies from user to user. And films do not sell out at random.",
        },
    ),
)
