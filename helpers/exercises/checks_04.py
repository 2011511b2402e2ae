"""Checks of chapter 04: negatives, the gradients of a click, NDCG, the ratio undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.stats  # noqa: F401 - an import that a time limit interrupts would leave it broken

from .cases import Case, cases
from .checking import NotYet, expect
from .converters import array, integers, number, pair
from .cost import grows, steps
from .grading import Exercise, Quiz
from .registry import register

Rng = np.random.Generator


def expect_fair(name: str, drawn: np.ndarray, users: np.ndarray, taken: np.ndarray) -> None:
    """Raise `NotYet` unless every row of items is a fair draw from what its user has not taken."""
    n_items = taken.shape[1]
    outside = drawn[(drawn < 0) | (drawn >= n_items)]
    if len(outside):
        raise NotYet(f"of items 0 to {n_items - 1}, `{name}` returned {outside[0]}.")
    hits, odds = taken[users[:, None], drawn].mean(), taken[users].mean()
    few = "a second draw can collide, too" if hits < 0.7 * odds else "a taken item is no negative"
    expect(hits == 0, f"`{name}` returned {hits:.1%} items that their user had taken: {few}.")
    for user in np.unique(users):
        free, rows = np.flatnonzero(~taken[user]), drawn[users == user]
        says = f"of the free items {free.tolist()}, `{name}` gave"
        for part in (rows.ravel(), *rows.T):
            share = np.bincount(part, minlength=n_items)[free] / len(part)
            shares = f"{says} the shares {share.round(2).tolist()}, expected equal ones:"
            never = len(part) > 50 * len(free) and share.min() == 0
            expect(not never, f"{shares} does it leave out an end of the range?")
            width = 6 * (np.sqrt(len(part) / len(free)) + 1)
            fair = (np.abs(share - 1 / len(free)) < width / len(part)).all()
            expect(fair, f"{shares} a collision is drawn again, not moved to a neighbor.")
        flat = rows.ravel()
        again, width = (flat[1:] == flat[:-1]).sum(), 6 * (np.sqrt(len(flat) / len(free)) + 1)
        more = again > len(flat) / len(free) + width
        expect(not more, f"{says} the same item as before too often: draw each one anew.")
        less = again < len(flat) / len(free) - width
        expect(not less, f"{says} the same item as before too seldom: draw with replacement.")


def fair_for_one(got: np.ndarray, taken: np.ndarray, n_items: int, n: int, rng: Rng) -> None:
    """Raise `NotYet` unless ``n`` items are a fair draw."""
    name = "draw_negatives"
    expect(got.shape == (n,), f"`{name}` returned the shape {got.shape}, expected ({n},).")
    mask = np.isin(np.arange(n_items), taken)[None, :]
    expect_fair(name, got[:, None], np.zeros(n, dtype=int), mask)
    even = n > 1000 and np.ptp(np.bincount(got, minlength=n_items)[~mask[0]]) == 0
    expect(not even, f"`{name}` gave every free item equally often: {n} draws by chance differ.")


def fair_for_all(got: np.ndarray, users: Any, taken: np.ndarray, ratio: int, rng: Rng) -> None:
    """Raise `NotYet` unless the negatives are (rows, ratio) and fair."""
    want = (len(users), ratio)
    expect(got.shape == want, f"`draw_many` returned the shape {got.shape}, expected {want}.")
    expect_fair("draw_many", got, users, taken)


def follows_rng(name: str, *args: Any) -> Callable[[Callable[..., Any]], None]:
    """Return a check: the same generator gives the same draws, another one others."""

    def check(answer: Callable[..., Any]) -> None:
        draws = [list(np.ravel(answer(*args, np.random.default_rng(seed)))) for seed in (0, 0, 1)]
        same, other = (
            f"{word} `rng` must give {word} draw: `{name}`" for word in ("the same", "another")
        )
        expect(draws[0] == draws[1], f"{same} takes its numbers from elsewhere.")
        expect(draws[0] != draws[2], f"{other} does not use the one it is given.")

    return check


def some_matrix(rng: Rng, rows: int = 200, n_users: int = 0, n_items: int = 0) -> Case:
    """Return users, what each of them took (never everything), and a ratio."""
    n_users, n_items = n_users or int(rng.integers(1, 6)), n_items or int(rng.integers(2, 10))
    taken = rng.random((n_users, n_items)) < rng.random((n_users, 1))
    taken[np.arange(n_users), rng.integers(0, n_items, n_users)] = False
    args = rng.integers(0, n_users, rows), taken, int(rng.integers(1, 5)), rng
    return Case(args, judge=fair_for_all)


TAKEN = np.zeros((3, 8), dtype=bool)
TAKEN[0, :6] = TAKEN[1, [1, 5]] = True
ROWS = np.repeat([0, 1, 2, 1], [500, 1000, 200, 300])
RANKED = np.array([7, 4, 9, 2, 5])
LAW = "from scipy.stats import hypergeom\n"
HITS = "d = np.log(b) / np.log(np.arange(2, k + 2))\nh = np.isin(ranked[:k], list(held_out))\n"
SUM = "return d[: len(h)][h].sum()"
CHANCES = "p = 1 / (1 + np.exp(-items @ user))\n"
WRONG = "d = positive - negative\nw = rate / (1 + np.exp(user @ d))\n"
KEEP = "s = ratio * clicks / empty\n"

register(
    Exercise(
        "04.1",
        "draw_negatives",
        integers,
        cases=[Case((np.array([1, 3]), 6, 4000, np.random.default_rng(0)), judge=fair_for_one)],
        inputs=lambda rng: Case(
            (rng.permutation(10)[: rng.integers(1, 10)], int(rng.integers(10, 14)), 200, rng),
            judge=fair_for_one,
        ),
        checks=[follows_rng("draw_negatives", np.array([2]), 50, 30)],
        hints=[
            "Which items are free? `np.setdiff1d(np.arange(n_items), taken)` lists them.",
            "With those as `free`, `rng.choice(free, size=n)` draws uniformly, with replacement.",
        ],
        minutes=5,
    ),
    Exercise(
        "04.2",
        "collision_odds",
        number,
        cases=cases(
            (np.array([1, 3]), 10),
            (np.array([2, 2, 2]), 8),
            (np.array([0, 4]), 16),
            (np.array([2391, 20]), 9066),
        ),
        inputs=lambda rng: (rng.integers(0, 40, rng.integers(9, 50)), int(rng.integers(40, 200))),
        mistakes={
            "return np.mean(counts) / n_items": "that is the mean over *users*; who draws more often?",
            "return (counts**2).sum() / n_items": "that is the expected number of collisions, not their share.",
            "return 100 * (counts**2).sum() / n_items / counts.sum()": "a share is between 0 and 1, not a percentage.",
            "return (counts**2).mean() / n_items": "divide by the number of draws, not by the number of users.",
            "return 1 - (counts**2).sum() / n_items / counts.sum()": "that is the share of draws that do *not* collide.",
        }.items(),
        hints=[
            "User u draws c_u times, and each of those draws collides with chance c_u / n_items.",
            "Add up c_u · c_u / n_items over the users, and divide by the number of draws, the sum of c_u.",
        ],
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
        "04.4",
        "draw_many",
        integers,
        cases=[Case((ROWS, TAKEN, 4, np.random.default_rng(0)), judge=fair_for_all)],
        inputs=some_matrix,
        checks=[
            follows_rng("draw_many", ROWS, TAKEN, 2),
            grows(
                steps,
                4,
                some_matrix(np.random.default_rng(1), 300, 5, 40).args,
                some_matrix(np.random.default_rng(1), 6000, 5, 40).args,
                "with 20 times as many rows `draw_many` takes far more steps: draw all rows in one call, without a loop over them.",
            ),
        ],
        hints=[
            "Draw everything at once, look up which draws collide with `taken[users, items]`, and draw only those again.",
            "With `users = np.repeat(users, ratio)`, keep the positions that collide in an array; in each round replace them, and keep those that collide again. At the end `reshape(-1, ratio)`.",
        ],
        minutes=12,
        stretch=True,
        seconds=5,
    ),
    Exercise(
        "04.6",
        "ndcg",
        number,
        cases=cases(
            *((RANKED, {item}, k) for item, k in ((9, 5), (7, 5), (1, 5), (2, 3))),
            (np.arange(10), {2, 6}, 10),
            (np.arange(10), {2, 99}, 10),
            (np.array([5, 6, 7]), {5, 6, 7, 8, 9}, 3),
        ),
        inputs=lambda rng: (
            rng.permutation(20)[:12],
            set(rng.permutation(24)[: rng.integers(1, 14)].tolist()),
            int(rng.integers(1, 13)),
        ),
        mistakes={
            "return max([1 / (j + 1) for j in range(k) if ranked[j] in held_out], default=0)": "that is the reciprocal rank; NDCG discounts by the logarithm.",
            f"b = 2\n{HITS}d = np.append(1, d)[:k]\n{SUM} / d[: len(held_out)].sum()": "do your places begin at 0? Place j, counted from 1, has the discount 1/log2(j + 1).",
            f"b = np.e\n{HITS}{SUM}": "the logarithm is to base 2, and the sum is divided by the best possible one.",
            f"b = 2\n{HITS}{SUM}": "divide by the best possible sum.",
            f"b = 2\n{HITS}{SUM} / d.sum()": "the best possible sum has no more terms than held-out items.",
            f"b = 2\n{HITS}{SUM} / max(d[: h.sum()].sum(), 0.1)": "the best possible sum counts all held-out items, also those that the list has missed.",
            f"b = 2\n{HITS}n = np.isin(ranked, list(held_out)).sum()\n{SUM} / max(d[:n].sum(), 0.1)": "the best possible sum counts all held-out items, also those that the list has missed.",
            f"b = 2\n{HITS}top = d[h].sum()\nk = 99\n{HITS}return top / d[: len(held_out)].sum()": "the best possible sum has no more than `k` terms.",
            f"b = 2\n{HITS}return h.sum() / min(k, len(held_out))": "a hit counts less the lower it stands: where is the discount?",
            f"b = 2\nbest = min(k, len(held_out))\nk = len(ranked)\n{HITS}{SUM} / d[:best].sum()": "only the first `k` of the list count.",
        }.items(),
        hints=[
            "The discount of place j, counted from 1, is `1 / np.log2(j + 1)`; `np.isin(ranked[:k], list(held_out))` marks the hits.",
            "Divide the sum over the hits by the sum of the first `min(k, len(held_out))` discounts.",
        ],
        minutes=8,
    ),
    Exercise(
        "04.7",
        "expected_hit",
        number,
        cases=cases((3, 5, 2, 1), (1, 100, 20, 1), (11, 100, 99, 10), (400, 9000, 100, 10)),
        inputs=lambda rng: (
            int(rng.integers(1, 31)),
            int(rng.integers(30, 120)),
            int(rng.integers(12, 30)),
            int(rng.integers(1, 13)),
        ),
        mistakes={
            "from scipy.stats import binom\nreturn binom.cdf(k - 1, n_candidates, (place - 1) / (n_items - 1))": "that is a draw *with* replacement.",
            f"{LAW}return hypergeom.cdf(k, n_items - 1, place - 1, n_candidates)": "fewer than `k` above the item, so at most `k - 1`.",
            f"{LAW}return hypergeom.cdf(k - 1, n_items, place - 1, n_candidates)": "the item itself is not among the others.",
            f"{LAW}return hypergeom.cdf(k - 1, n_items - 1, place, n_candidates)": "how many stand above place 3? The item itself does not.",
            f"{LAW}return 1 - hypergeom.cdf(k - 1, n_items - 1, place - 1, n_candidates)": "that is the chance of a miss.",
            "return float((place - 1) * n_candidates / (n_items - 1) < k)": "a chance is asked for, not whether the expected place is a hit.",
        }.items(),
        hints=[
            "In the small case: 4 others, 2 of them above, 2 drawn, and a hit if at most 0 of those above are drawn. Which of these are `n_items - 1`, `place - 1`, `n_candidates` and `k - 1`?",
            "Add up, for i from 0 to `k - 1`, the ways to draw i of the `place - 1` above and the rest from below. Or ask `hypergeom.cdf` for at most `k - 1`.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "04.8",
        "click_gradient",
        array,
        cases=cases(
            (np.zeros(2), np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1, 0])),
            (np.array([2.0]), np.array([[1.0]]), np.array([1])),
        ),
        inputs=lambda rng: (
            rng.normal(size=(k := int(rng.integers(1, 6)))),
            rng.normal(size=(n := int(rng.integers(1, 8)), k)),
            rng.integers(0, 2, n),
        ),
        mistakes={
            f"{CHANCES}return (p - labels) @ items": "that is the sum over the pairs; the loss is their mean.",
            f"{CHANCES}return (labels - p) @ items / len(p)": "the sign is the other way round: the gradient points where the loss *rises*.",
            "return (items @ user - labels) @ items / len(labels)": "the error takes the chance, not the score: where is the sigmoid?",
            f"{CHANCES}return (p * (1 - p) * (p - labels)) @ items / len(p)": "that is the gradient of half the *squared* error; in that of the cross-entropy, p (1 - p) cancels.",
            f"{CHANCES}return np.mean(p - labels)": "that is the mean error; by the chain rule, each error multiplies its item's vector.",
            f"{CHANCES}return (p - labels)[:, None] * items": "those are the gradients pair by pair: what is their mean?",
            f"{CHANCES}return np.outer(p - labels, user) / len(p)": "that is the gradient of the items' vectors.",
            f"{CHANCES}return (p - labels) @ items / len(user)": "divide by the number of pairs, not by that of the factors.",
            "p = 1 / (1 + np.exp(items @ user))\nreturn (p - labels) @ items / len(p)": "the exponent has a minus: σ(s) = 1 / (1 + exp(-s)).",
            f"{CHANCES}return user - (p - labels) @ items / len(p)": "that is the vector after a step; return the gradient alone.",
            f"{CHANCES}return p @ items / len(p)": "that is right where the label is 0; what is the gradient where it is 1?",
        }.items(),
        hints=[
            "The scores are `items @ user`, and the gradient with respect to each is p - y. How does a score change with the user's vector?",
            "With `errors = 1 / (1 + np.exp(-items @ user)) - labels`, it is the mean of `errors[:, None] * items` over the pairs.",
        ],
        minutes=8,
    ),
    Exercise(
        "04.9",
        "bpr_step",
        pair(("user", array), ("positive", array), ("negative", array)),
        cases=cases(
            (np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.0, 2.0]), 0.5),
            (np.array([1.0]), np.array([2.0]), np.array([-1.0]), 0.1),
        ),
        inputs=lambda rng: (
            *rng.normal(size=(3, int(rng.integers(1, 6)))),
            float(rng.uniform(0.01, 1)),
        ),
        mistakes={
            f"{WRONG}return user - w * d, positive - w * user, negative + w * user": "that climbs: the loss rises. Step *against* the gradient.",
            f"{WRONG}w = rate - w\nreturn user + w * d, positive + w * user, negative - w * user": "the step is largest where the order is wrong: the factor is 1 - σ(difference).",
            f"{WRONG}user = user + w * d\nreturn user, positive + w * user, negative - w * user": "the items must see the *old* vector of the user.",
            f"{WRONG}i, j = positive + w * user, negative - w * user\nreturn user + w * (i - j), i, j": "the user must see the *old* vectors of the items.",
            f"{WRONG}return user + w * d, positive + w * user, negative + w * user": "the negative moves the other way: its score must fall.",
            f"{WRONG}return user + w * d, positive + w * user, negative": "the negative moves, too.",
            f"{WRONG}return user + w * d, positive, negative": "the items move, too.",
            f"{WRONG}return user + w * positive, positive + w * user, negative - w * user": "the user's gradient has the difference of the two items' vectors.",
            f"{WRONG}w = w / rate\nreturn user + w * d, positive + w * user, negative - w * user": "where is the `rate`?",
            f"{WRONG}w = rate\nreturn user + w * d, positive + w * user, negative - w * user": "a pair in the right order moves less: the factor is 1 - σ(difference).",
            f"{WRONG}w = w * (1 - w / rate)\nreturn user + w * d, positive + w * user, negative - w * user": "σ has the gradient σ (1 - σ), but in that of -log σ the first σ cancels.",
            f"{WRONG}return -w / rate * d, -w / rate * user, w / rate * user": "those are the gradients; return the new vectors.",
            "i, j = (rate / (1 + np.exp(-s)) for s in (-user @ positive, user @ negative))\nreturn user + i * positive - j * negative, positive + i * user, negative - j * user": "that is a step of cross-entropy on two labels; BPR takes the sigmoid of the *difference*.",
        }.items(),
        hints=[
            "With d the difference of the scores, the gradient of -log σ(d) is σ(d) - 1. How does d change with each of the three vectors?",
            "d is `user @ (positive - negative)`. With `push = rate * (1 - σ(d))`, the user moves by `push * (positive - negative)`, the positive by `push * user`. And the negative?",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "04.10",
        "true_chance",
        array,
        cases=cases(
            (1 / 3, 10, 100, 5),
            (0.5, 10, 100, 4),
            (
                np.array([[0.5, 0.2], [0.5, 0.9]]),
                np.array([[5.0], [30.0]]),
                np.array([[90.0], [60.0]]),
                3,
            ),
        ),
        inputs=lambda rng: (
            rng.uniform(0.01, 0.99, (3, 5)),
            rng.integers(1, 40, size := [(), (3, 1)][rng.integers(2)]) + 0.0,
            rng.integers(40, 400, size) + 0.0,
            int(rng.integers(1, 21)),
        ),
        mistakes={
            f"{KEEP}return s * p": "not the chance is multiplied by the keep rate, but the odds.",
            f"{KEEP}return s * p / (1 + s * p)": "the odds are p / (1 - p), positives to negatives, not p.",
            f"{KEEP}return p / s": "not the chance is multiplied by the keep rate, but the odds.",
            f"{KEEP}return s * p / (1 - p)": "those are the odds; what chance is that?",
            f"{KEEP}return p / (p + s * (1 - p))": "that goes the wrong way: with half of the empty cells in the sample, the true chance is smaller.",
            "return p / (p + ratio * (1 - p))": "`ratio` counts negatives per click, not how often an empty cell comes.",
            "s = clicks / empty\nreturn s * p / (s * p + 1 - p)": "each click draws `ratio` negatives.",
            "s = ratio * clicks / (clicks + empty)\nreturn s * p / (s * p + 1 - p)": "negatives are drawn from the empty cells only.",
            "s = ratio / empty\nreturn s * p / (s * p + 1 - p)": "every click draws its own negatives: how many are drawn in all?",
            f"{KEEP}return s * p / (s * p + (1 - s) * (1 - p))": "empty cells are in the sample at the keep rate; 1 minus it plays no part.",
        }.items(),
        hints=[
            "In the example the odds are 4 to 8 in the sample and 4 to 16 in the matrix. Which factor turns one into the other, and how does it follow from 10, 100 and 5?",
            "The factor is `keep = ratio * clicks / empty`. Multiply the odds p / (1 - p) by it; odds o are the chance o / (1 + o).",
        ],
        minutes=8,
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
