"""Checks of chapter 04, negative sampling and ranking metrics: toy cases whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect, number, numbers
from .grading import Exercise, Quiz
from .registry import register


def _close(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6


# 04.1


def draw_negatives(taken: Any, n_items: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``n`` items, (n,), uniform over those not in ``taken``."""
    return rng.choice(np.setdiff1d(np.arange(n_items), taken), size=n)


def _negatives_of_one_user(f: Callable[..., Any]) -> None:
    taken = np.array([1, 3])
    got = numbers(f(taken, 6, 4000, np.random.default_rng(0)), "draw_negatives", (4000,))
    expect(
        not np.isin(got, taken).any(),
        "of 6 items the user took 1 and 3, and `draw_negatives` returned one of them: a taken item is no negative.",
    )
    expect(
        np.isin(got, np.arange(6)).all(),
        f"with 6 items `draw_negatives` must return items 0 to 5, it returned {got.max():g} as its largest.",
    )
    share = np.bincount(got.astype(int), minlength=6)[[0, 2, 4, 5]] / 4000
    expect(
        share.min() > 0,
        f"4,000 draws from the free items 0, 2, 4, 5 never gave {[0, 2, 4, 5][int(share.argmin())]}: "
        "does `draw_negatives` leave out an end of the range?",
    )
    expect(
        np.abs(share - 0.25).max() < 0.05,
        f"the free items 0, 2, 4, 5 must come equally often from `draw_negatives`; their shares were {share.round(2)}.",
    )


def _negatives_follow_the_generator(f: Callable[..., Any]) -> None:
    one, same, other = (np.asarray(f([2], 50, 30, np.random.default_rng(s))) for s in (0, 0, 1))
    expect(
        np.array_equal(one, same),
        "the same `rng` must give the same draw: `draw_negatives` takes its numbers from somewhere else.",
    )
    expect(
        not np.array_equal(one, other),
        "another `rng` must give another draw: does `draw_negatives` use the `rng` it is given?",
    )
    got = numbers(f(list(range(9)), 10, 3, np.random.default_rng(0)), "draw_negatives", (3,))
    expect(
        (got == 9).all(),
        "with items 0 to 8 taken of 10, `draw_negatives` must return item 9, three times.",
    )


# 04.2


def collision_odds(counts: Any, n_items: int) -> float:
    """Return the share of first draws that hit a positive of their user."""
    c = np.asarray(counts, dtype=float)
    return float((c * c / n_items).sum() / c.sum())


def _odds_of_two_users(f: Callable[..., Any]) -> None:
    got = number(f(np.array([1, 3]), 10), "collision_odds")
    expect(
        not _close(got, 0.2),
        "for counts 1 and 3 of 10 items `collision_odds` gave 0.2, the mean over *users*; who draws more often?",
    )
    expect(
        not _close(got, 1.0),
        "for counts 1 and 3 of 10 items `collision_odds` gave 1: that is the expected number of collisions, not their share.",
    )
    expect(
        not _close(got, 25.0), "`collision_odds` must be a share between 0 and 1, not a percentage."
    )
    expect(
        _close(got, 0.25),
        f"counts 1 and 3 of 10 items: 1 draw collides with chance 1/10 and 3 draws with 3/10 each; `collision_odds` says {got:.4g}.",
    )


def _odds_of_lists_and_ends(f: Callable[..., Any]) -> None:
    got = number(f([2, 2, 2], 8), "collision_odds")
    expect(
        _close(got, 0.25),
        f"if all took 2 of 8 items the odds are 1/4, also for a list; `collision_odds` says {got:.4g}.",
    )
    got = number(f(np.array([0, 4]), 16), "collision_odds")
    expect(
        _close(got, 0.25),
        f"a user without positives draws nothing; for counts 0, 4 of 16 `collision_odds` says {got:.4g}.",
    )


# 04.3


def popularity_probabilities(counts: Any, alpha: float) -> np.ndarray:
    """Return the chance of each item in one draw, (n_items,)."""
    weights = np.asarray(counts, dtype=float) ** alpha
    return weights / weights.sum()


def _probabilities_of_toy_counts(f: Callable[..., Any]) -> None:
    counts = np.array([4, 1, 0])
    name = "popularity_probabilities"
    got = numbers(f(counts, 1), name, (3,))
    expect(
        not np.allclose(got, counts),
        f"`{name}` must sum to 1; for counts 4, 1, 0 it returned the counts themselves.",
    )
    expect(
        np.allclose(got, [0.8, 0.2, 0]),
        f"with alpha 1, counts 4, 1, 0 give 0.8, 0.2, 0; `{name}` says {got.round(3)}.",
    )
    got = numbers(f(counts, 0.5), name, (3,))
    expect(
        not np.allclose(got, [0.8, 0.2, 0]),
        f"`{name}` is the same for alpha 1 and 0.5: `alpha` must be the power of the counts.",
    )
    expect(
        _close(got.sum(), 1),
        f"`{name}` with alpha 0.5 sums to {got.sum():.3g}, expected 1: take the power first, then divide.",
    )
    expect(
        np.allclose(got, [2 / 3, 1 / 3, 0]),
        f"with alpha 0.5, counts 4, 1, 0 have weights 2, 1, 0; `{name}` says {got.round(3)}.",
    )
    got = numbers(f([4, 1, 0], 0), name, (3,))
    expect(
        np.allclose(got, 1 / 3),
        f"with alpha 0 every item has the same chance, also one without clicks; `{name}` says {got.round(3)}.",
    )


# 04.4


def draw_many(users: Any, taken: np.ndarray, ratio: int, rng: np.random.Generator) -> np.ndarray:
    """Return (len(users), ratio) negatives, uniform over what each row's user has not taken."""
    users = np.repeat(users, ratio)
    items = rng.integers(0, taken.shape[1], len(users))
    again = np.flatnonzero(taken[users, items])
    while len(again):
        items[again] = rng.integers(0, taken.shape[1], len(again))
        again = again[taken[users[again], items[again]]]
    return items.reshape(-1, ratio)


def _many_for_toy_users(f: Callable[..., Any]) -> None:
    taken = np.zeros((3, 8), dtype=bool)
    taken[0, :6] = taken[1, [1, 5]] = True
    before = taken.copy()
    users = np.repeat([0, 1, 2, 1], [500, 1000, 200, 300])
    got = numbers(f(users, taken, 4, np.random.default_rng(0)), "draw_many", (2000, 4)).astype(int)
    expect(np.array_equal(taken, before), "`draw_many` must leave `taken` as it was.")
    expect(((got >= 0) & (got < 8)).all(), "with 8 items `draw_many` must return items 0 to 7.")
    hits = taken[users[:, None], got]
    expect(
        not hits.any(),
        f"`draw_many` returned {int(hits.sum())} of 8,000 items that their user had taken: a second draw can collide, too.",
    )
    free = np.bincount(got[users == 1].ravel(), minlength=8)[[0, 2, 3, 4, 6, 7]] / (1300 * 4)
    expect(
        np.abs(free - 1 / 6).max() < 0.03,
        f"user 1 has six items left, equally likely; `draw_many` gave them shares {free.round(2)}: "
        "a collision must be drawn again, not moved to a neighbor.",
    )
    share = np.bincount(got[users == 0].ravel(), minlength=8)[6:] / 2000
    expect(
        np.abs(share - 0.5).max() < 0.06,
        f"user 0 has items 6 and 7 left, equally likely; `draw_many` gave them shares {share.round(2)}.",
    )
    expect(
        (got[:-1] != got[1:]).any(axis=1).mean() > 0.5,
        "every row needs draws of its own; `draw_many` repeats one row's for others.",
    )


def _many_are_fast_and_seeded(f: Callable[..., Any]) -> None:
    import time

    rng = np.random.default_rng(0)
    taken = rng.random((200, 400)) < 0.1
    users = rng.integers(0, 200, 40_000)
    started = time.perf_counter()
    one = np.asarray(f(users, taken, 5, np.random.default_rng(3)))
    seconds = time.perf_counter() - started
    expect(
        seconds < 2.0,
        f"`draw_many` took {seconds:.1f} s for 200,000 negatives: draw them all in one call, without a loop over rows.",
    )
    same = np.asarray(f(users, taken, 5, np.random.default_rng(3)))
    expect(np.array_equal(one, same), "the same `rng` must give the same draw in `draw_many`.")


# 04.5


def undo_sampling(p: Any, keep: Any) -> Any:
    """Return the chance in the whole matrix of what a model trained on sampled negatives calls ``p``."""
    p = np.asarray(p, dtype=float)
    return keep * p / (keep * p + 1 - p)


def _undo_by_hand(f: Callable[..., Any]) -> None:
    name = "undo_sampling"
    got = number(f(0.5, 0.1), name)
    expect(
        not _close(got, 0.05),
        f"`{name}` of 0.5 with keep 0.1 is not 0.05: not the chance is multiplied by the keep rate, but the odds.",
    )
    expect(
        not _close(got, 10 / 11),
        f"`{name}` went the wrong way: with a tenth of the negatives kept, the true chance is smaller than 0.5.",
    )
    expect(
        not _close(got, 0.1),
        f"`{name}` of 0.5 with keep 0.1 gave 0.1: those are the odds, 1 to 10; what chance is that?",
    )
    expect(_close(got, 1 / 11), f"even odds become 1 to 10 with keep 0.1; `{name}` says {got:.4g}.")
    got = number(f(0.3, 1.0), name)
    expect(
        _close(got, 0.3),
        f"with keep 1 nothing was left out and 0.3 stays 0.3; `{name}` says {got:.4g}.",
    )


def _undo_arrays(f: Callable[..., Any]) -> None:
    got = numbers(f(np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.5, 0.5])), "undo_sampling", (3,))
    expect(
        np.allclose(got, [0, 1 / 3, 1]),
        f"`undo_sampling` of 0, 0.5, 1 with keep 0.5 says {got.round(3)}; 0 and 1 must stay.",
    )
    got = numbers(f(np.full((2, 2), 0.5), np.array([[1.0], [3.0]])), "undo_sampling", (2, 2))
    expect(
        np.allclose(got, [[0.5, 0.5], [0.75, 0.75]]),
        "`undo_sampling` must also take one keep rate a row, as an array of shape (2, 1).",
    )


# 04.6


def ndcg(ranked: Any, held_out: Any, k: int) -> float:
    """Return the normalized discounted cumulative gain of one list at ``k``."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    hits = np.isin(np.asarray(ranked)[:k], list(held_out))
    return float(discount[: len(hits)][hits].sum() / discount[: len(held_out)].sum())


def _ndcg_of_one(f: Callable[..., Any]) -> None:
    ranked = np.array([7, 4, 9, 2, 5])
    got = number(f(ranked, {9}, 5), "ndcg")
    expect(
        not _close(got, 1 / 3),
        "the only held-out item on place 3: 1/3 is its reciprocal rank; `ndcg` discounts by the logarithm.",
    )
    expect(
        not _close(got, 1 / np.log2(3)),
        "the only held-out item on place 3 must get 1/log2(4) in `ndcg`: do your places begin at 0?",
    )
    expect(not _close(got, 1 / np.log(4)), "`ndcg` takes the logarithm to base 2: `np.log2`.")
    expect(
        _close(got, 0.5), f"the only held-out item on place 3 has `ndcg` 0.5, yours says {got:.4g}."
    )
    expect(
        _close(number(f(ranked, {7}, 5), "ndcg"), 1),
        "the only held-out item on place 1 must have `ndcg` 1.",
    )
    expect(
        _close(number(f(ranked, {1}, 5), "ndcg"), 0),
        "a held-out item that is not in the list gives `ndcg` 0.",
    )
    expect(
        _close(number(f(ranked, {2}, 3), "ndcg"), 0),
        "with k=3 a hit on place 4 does not count: `ndcg` must look at the first `k` only.",
    )


def _ndcg_of_several(f: Callable[..., Any]) -> None:
    ranked = np.arange(10)
    got = number(f(ranked, {2, 6}, 10), "ndcg")
    want = (1 / 2 + 1 / 3) / (1 + 1 / np.log2(3))
    expect(
        not _close(got, 5 / 6),
        "hits on places 3 and 7: `ndcg` gave the sum .833; divide by the best possible sum.",
    )
    full = (1 / np.log2(np.arange(2, 12))).sum()
    expect(
        not _close(got, (5 / 6) / full),
        "with two held-out items at most two places can be right: the best possible sum of `ndcg` has two terms, not `k`.",
    )
    expect(
        _close(got, want),
        f"hits on places 3 and 7 of two held-out items have `ndcg` .511, yours says {got:.4g}.",
    )
    got = number(f([5, 6, 7], [5, 6, 7, 8, 9], 3), "ndcg")
    expect(
        _close(got, 1),
        f"five held-out items, and the three places with k=3 are all right: the best possible `ndcg`, 1; yours says {got:.4g}.",
    )


# 04.7


def expected_hit(place: int, n_items: int, n_candidates: int, k: int) -> float:
    """Return the chance that fewer than ``k`` sampled candidates stand above the item."""
    from scipy.stats import hypergeom

    return float(hypergeom.cdf(k - 1, n_items - 1, place - 1, n_candidates))


def _hit_by_hand(f: Callable[..., Any]) -> None:
    name = "expected_hit"
    got = number(f(3, 5, 2, 1), name)  # 2 of 4 others above, 2 drawn: none of them with chance 1/6
    where = "place 3 of 5 items, 2 candidates, k=1: two of the four others stand above, and none of them may be drawn"
    expect(
        not _close(got, 1 / 4), f"{where}. `{name}` gave 1/4: that is a draw *with* replacement."
    )
    expect(
        not _close(got, 5 / 6),
        f"{where}. `{name}` gave 5/6: fewer than `k` above the item, so at most `k - 1`.",
    )
    expect(
        not _close(got, 1 / 10) and not _close(got, 3 / 10),
        f"{where}. `{name}` gave {got:.2g}: the item itself is not among the others.",
    )
    expect(not _close(got, 0), f"{where}. `{name}` gave 0: how many stand above place 3?")
    expect(_close(got, 1 / 6), f"{where}. `{name}` says {got:.4g}.")


def _hit_at_the_ends(f: Callable[..., Any]) -> None:
    got = number(f(1, 100, 20, 1), "expected_hit")
    expect(
        _close(got, 1),
        f"nothing stands above place 1, so its `expected_hit` is 1; yours says {got:.4g}.",
    )
    got = number(f(11, 100, 99, 10), "expected_hit")
    expect(
        _close(got, 0),
        f"with all 99 others as candidates place 11 is not in the top ten; `expected_hit` says {got:.4g}.",
    )
    got = number(f(400, 9000, 100, 10), "expected_hit")
    expect(
        abs(got - 0.98705) < 2e-3,
        f"for place 400 of 9,000, 100 candidates, k=10, `expected_hit` says {got:.4g}: place 5 is expected, so a hit is likely but not sure.",
    )


register(
    Exercise(
        "04.1",
        "draw_negatives",
        [_negatives_of_one_user, _negatives_follow_the_generator],
        [
            "Which items are free? `np.setdiff1d(np.arange(n_items), taken)` lists them.",
            "`rng.choice(free, size=n)` draws uniformly, with replacement.",
        ],
        draw_negatives,
        minutes=5,
    ),
    Exercise(
        "04.2",
        "collision_odds",
        [_odds_of_two_users, _odds_of_lists_and_ends],
        [
            "User u draws c_u times, and each of those draws collides with chance c_u / n_items.",
            "Add up c_u · c_u / n_items over the users, and divide by the number of draws, the sum of c_u.",
        ],
        collision_odds,
        minutes=5,
    ),
    Quiz(
        "04.q1",
        "The matrix is 1.6 % full. Why do more than three times as many of the draws collide?",
        "c",
        {
            "Because popular items are drawn more often.": "These draws were uniform: every item came equally often.",
            "Because of chance: another seed gives 1.6 %.": "The formula has no seed, and it agrees with the measurement.",
            "Because users with many positives draw most often, and have the most to collide with.": "The odds weigh each user by c_u, the density does not. With popularity draws they rise again.",
        },
    ),
    Quiz(
        "04.q2",
        "A colleague's training sampler refuses held-out positives as well, and HR@10 goes up. What happened?",
        "b",
        {
            "The labels are cleaner, so the model is better.": "Cleaner by what only the test set knows. How did the counting model do, which learned nothing?",
            "The model is told which items are held out: they alone never come as negatives.": "And the leak grows with every epoch. Refuse training positives only; refuse all in an evaluation's candidates.",
            "Fewer collisions make training faster, so it gets further.": "An epoch has as many steps either way. What do the labels 0 say about a held-out item?",
        },
    ),
    Exercise(
        "04.3",
        "popularity_probabilities",
        [_probabilities_of_toy_counts],
        [
            "Take the power first: counts to the power of `alpha` are the weights.",
            "Divide the weights by their sum.",
        ],
        popularity_probabilities,
        minutes=3,
    ),
    Exercise(
        "04.4",
        "draw_many",
        [_many_for_toy_users, _many_are_fast_and_seeded],
        [
            "Draw everything at once, look up which draws collide with `taken[users, items]`, and draw only those again.",
            "Keep the positions that collide in an array; in each round replace them, and keep those that collide again.",
        ],
        draw_many,
        minutes=12,
        stretch=True,
    ),
    Exercise(
        "04.5",
        "undo_sampling",
        [_undo_by_hand, _undo_arrays],
        [
            "What are the odds p / (1 - p) of 0.5? Multiply them by `keep`, then turn odds into a chance.",
            "The formula above the exercise is the answer, with s = `keep`.",
        ],
        undo_sampling,
        minutes=4,
    ),
    Exercise(
        "04.6",
        "ndcg",
        [_ndcg_of_one, _ndcg_of_several],
        [
            "The discount of place j, counted from 1, is `1 / np.log2(j + 1)`; `np.isin(ranked[:k], list(held_out))` marks the hits.",
            "Divide the sum over the hits by the sum of the first `min(k, len(held_out))` discounts.",
        ],
        ndcg,
        minutes=8,
    ),
    Exercise(
        "04.7",
        "expected_hit",
        [_hit_by_hand, _hit_at_the_ends],
        [
            "`place - 1` of the `n_items - 1` others stand above. The item is a hit if at most `k - 1` of those are drawn.",
            "`hypergeom.cdf(k - 1, others, above, drawn)` is the chance of at most `k - 1`.",
        ],
        expected_hit,
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "04.q3",
        "A paper reports HR@10 = 0.72 with 100 sampled candidates. Yours has 0.07 on the full catalog. Which is better?",
        "a",
        {
            "It cannot be told: both must be measured under one protocol.": "One of our models has about both numbers at once. Rank both on the full catalog, and give intervals.",
            "The paper's, by a factor of ten.": "The same model can have both numbers: look at the curves above.",
            "Yours, because the full catalog is harder.": "Harder it is, but by how much depends on the model. Without one protocol there is no order.",
        },
    ),
)
