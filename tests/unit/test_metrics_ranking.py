"""Ranking metrics against independent oracles, on ties above all."""

from __future__ import annotations

import tracemalloc
from itertools import combinations, product
from math import comb, log2

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from helpers.metrics import coverage, evaluate, expected_sampled, rank_held_out, top_k
from helpers.metrics.lists import best
from helpers.metrics.ranking import hit_rate, mrr, ndcg, precision, recall
from helpers.models.baselines import ImplicitALS
from tests.worlds import interactions

METRICS = {"hit_rate": hit_rate, "recall": recall, "precision": precision, "ndcg": ndcg, "mrr": mrr}


def slow_metrics(scores: list[float], relevant: set[int], k: int) -> dict[str, float]:
    """Average every metric over all ways the relevant items can stand inside their tie groups."""
    choices = []
    start = 0
    for value in sorted(set(scores), reverse=True):
        group = [i for i, s in enumerate(scores) if s == value]
        inside = len([i for i in group if i in relevant])
        choices.append(list(combinations(range(start + 1, start + len(group) + 1), inside)))
        start += len(group)
    total = dict.fromkeys(METRICS, 0.0)
    worlds = list(product(*choices))
    for world in worlds:
        positions = sorted(p for group in world for p in group)
        top = [p for p in positions if p <= k]
        ideal = sum(1 / log2(p + 1) for p in range(1, min(k, len(relevant)) + 1))
        total["hit_rate"] += bool(top)
        total["recall"] += len(top) / len(relevant)
        total["precision"] += len(top) / k
        total["ndcg"] += sum(1 / log2(p + 1) for p in top) / ideal
        total["mrr"] += 1 / top[0] if top else 0.0
    return {name: value / len(worlds) for name, value in total.items()}


def test_every_metric_equals_a_slow_oracle_on_1000_cases_with_ties() -> None:
    rng = np.random.default_rng(0)
    for case in range(1000):
        n_items, levels, k = rng.integers(4, 12), rng.integers(1, 6), int(rng.integers(1, 8))
        scores = rng.integers(0, levels, n_items).astype(np.float64)
        relevant = rng.choice(n_items, size=int(rng.integers(1, 5)), replace=False)
        ranks = rank_held_out(scores[None, :], (np.zeros(len(relevant), dtype=int), relevant))
        expected = slow_metrics(scores.tolist(), set(relevant.tolist()), k)
        for name, metric in METRICS.items():
            assert metric(ranks, k)[0] == pytest.approx(expected[name], abs=1e-12), (case, name)


def test_ndcg_equals_scikit_learn_on_1000_cases_with_ties() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 12, (1000, 60)).astype(np.float64)
    truth = (rng.random(scores.shape) < 0.05).astype(int)
    truth[np.arange(1000), rng.integers(0, 60, 1000)] = 1
    for k, cases in ((10, 1000), (1, 50), (5, 50), (60, 50)):
        ours = ndcg(rank_held_out(scores, np.nonzero(truth)), k)[:cases]
        theirs = [
            ndcg_score(t[None], s[None], k=k) for t, s in zip(truth[:cases], scores, strict=False)
        ]
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_seen_items_count_as_if_they_were_cut_out_of_the_row() -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 9, (300, 40)).astype(np.float32)
    before, cells = scores.copy(), rng.random(scores.shape)
    ranks = rank_held_out(scores, np.nonzero(cells > 0.93), seen=np.nonzero(cells < 0.3))
    for row, user in list(enumerate(ranks.users))[:60]:
        left = np.flatnonzero(cells[user] >= 0.3)
        relevant = set(np.flatnonzero(cells[user][left] > 0.93).tolist())
        expected = slow_metrics(scores[user][left].tolist(), relevant, 5)
        for name, metric in METRICS.items():
            assert metric(ranks, 5)[row] == pytest.approx(expected[name], abs=1e-12)
    assert (ranks.n_candidates == (cells[ranks.users] >= 0.3).sum(axis=1)).all()
    assert (scores == before).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": [[np.nan, 1.0, 2.0]]}, "hold nan, first in row 0, item 0"),
        ({"model": [[1.0, 2.0, np.inf]]}, "hold inf, first in row 0, item 2"),
        ({"model": [1.0, 2.0]}, r"shape \(2,\)"),
        ({"held_out": ([0], [3])}, "row per user, 4 items or more; if the ids are raw, map them"),
        ({"held_out": (["a"], ["b"])}, "user ids have dtype <U1; expected whole numbers"),
        ({"held_out": ([0], [-1])}, "unknown item -1"),
        ({"held_out": ([1], [0])}, "unknown user 1"),
        ({"held_out": ([], [])}, "holds no pairs"),
        ({"held_out": ([0.0], [1.0])}, "float64; expected whole numbers"),
        ({"held_out": ([0, 0], [1])}, "two 1-d arrays"),
        ({"held_out": "u1.test"}, "is a str; expected Interactions"),
        ({"seen": ([0], [1])}, "1 held-out items are also in seen, the first of user 0, item 1"),
    ],
)
def test_bad_input_is_named(change: dict, message: str) -> None:
    given = {"model": [[0.5, 1.0, 2.0]], "held_out": ([0], [1])} | change
    with pytest.raises(ValueError, match=message):
        rank_held_out(**given)


@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_k_must_be_a_whole_number(k: object) -> None:
    ranks = rank_held_out([[1.0, 2.0]], ([0], [1]))
    for metric in METRICS.values():
        with pytest.raises(ValueError, match="expected a whole number"):
            metric(ranks, k)


# --- sampled candidates ------------------------------------------------------------------------


def exact_sampled(above: int, tied: int, n: int, m: int, k: int) -> float:
    """Chance of a hit among m of n - 1 others, in whole numbers, over every place of the group."""
    hits = sum(
        comb(place, j) * comb(n - 1 - place, m - j)
        for place in range(above, above + tied)
        for j in range(min(k, m + 1))
    )
    return hits / comb(n - 1, m) / tied


@pytest.mark.parametrize(("levels", "n_items"), [(8, 60), (10**6, 60), (1, 400)])
def test_expected_sampled_is_exact(levels: int, n_items: int) -> None:
    rng = np.random.default_rng(7)
    scores = rng.integers(0, levels, (20, n_items)).astype(float)
    ranks = rank_held_out(scores, (np.arange(20), rng.integers(0, n_items, 20)))
    for m, k in ((1, 10), (20, 5), (20, 10), (n_items - 1, 10)):
        exact = [
            exact_sampled(int(a), int(t), n_items, m, k)
            for a, t in zip(ranks.above, ranks.tied, strict=True)
        ]
        np.testing.assert_allclose(expected_sampled(ranks, m, k), exact, atol=1e-9)
    np.testing.assert_allclose(expected_sampled(ranks, 999), hit_rate(ranks), atol=1e-9)


def test_expected_sampled_takes_one_held_out_item_per_user() -> None:
    with pytest.raises(ValueError, match="expected one per user"):
        expected_sampled(rank_held_out([[1.0, 2.0, 3.0]], ([0, 0], [0, 1])), 1)
    with pytest.raises(ValueError, match="n_negatives is 0; expected a whole number"):
        expected_sampled(rank_held_out([[1.0, 2.0, 3.0]], ([0], [0])), 0)


# --- lists and results -------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 8, 40])
def test_best_and_top_k_equal_a_stable_sort(k: int) -> None:
    rng = np.random.default_rng(9)
    scores = rng.integers(0, 7, (200, 40)).astype(np.float32)
    before, order = scores.copy(), np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert (best(scores, k) == order).all() and (best(scores[3], k) == order[3]).all()
    assert (best(scores.reshape(10, 20, 40), k) == order.reshape(10, 20, k)).all()
    seen = rng.random(scores.shape) < (0.3 if k < 40 else 0)
    masked = np.where(seen, -np.inf, scores)
    expected = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    assert (top_k(scores, k, seen=np.nonzero(seen)) == expected).all()
    assert (scores == before).all()


def test_best_refuses_what_has_no_order() -> None:
    with pytest.raises(ValueError, match="NaN at place 1"):
        best(np.array([[3.0, np.nan, 1.0]]), 2)
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k is {k}; expected 1 to 3"):
            best(np.zeros((2, 3)), k)


def test_a_model_in_blocks_of_users_is_ranked_like_its_whole_matrix() -> None:
    data = interactions([0, 0, 1, 2, 3, 4, 4], [0, 1, 1, 2, 0, 2, 3], np.ones(7))
    model, held_out = ImplicitALS(factors=2).fit(data), ([3, 0, 4], [1, 3, 0])
    lists, ranks = (
        f(model.scores(range(5)), *a, seen=data)
        for f, a in ((top_k, [2]), (rank_held_out, [held_out]))
    )
    for block in (1, 2, 5):
        assert (top_k(model, 2, seen=data, block=block) == lists).all()
        of_blocks = rank_held_out(model, held_out, seen=data, block=block)
        assert all(np.array_equal(a, b) for a, b in zip(of_blocks, ranks, strict=True))


def test_top_k_needs_little_beside_the_scores() -> None:
    scores = np.random.default_rng(0).random((2_000, 9_000), dtype=np.float32)
    tracemalloc.start()
    try:
        top_k(scores, seen=([0, 1], [0, 1]))
        rank_held_out(scores, ([0, 1], [1, 2]), seen=([0, 1], [0, 1]))
        assert tracemalloc.get_traced_memory()[1] < scores.nbytes / 10
    finally:
        tracemalloc.stop()


def test_top_k_refuses_a_list_longer_than_what_is_left() -> None:
    with pytest.raises(ValueError, match="user 1 has fewer than k=2 items left"):
        top_k([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], 2, seen=([1, 1], [0, 1]))
    with pytest.raises(ValueError, match="hold -inf, first in row 0, item 1"):
        top_k([[1.0, -np.inf, 3.0]], 1)
    for k in (-1, 0, 4):
        with pytest.raises(ValueError, match=f"k is {k}; expected 1 to 3, the number of items"):
            top_k([[1.0, 2.0, 3.0]], k)


def test_a_hit_and_the_coverage_by_hand() -> None:
    assert hit_rate(rank_held_out([[3, 1, 2]], ([0], [0])), 1)[0] == 1.0
    assert coverage([[0, 1], [1, 3]], 6) == 0.5


class Fixed:
    """A model that looks its scores up."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def scores(self, users: np.ndarray) -> np.ndarray:
        return self.table[users]


def test_a_model_in_blocks_equals_its_matrix() -> None:
    rng = np.random.default_rng(11)
    table = rng.random((70, 30))
    held = (np.arange(10, 70), rng.integers(0, 30, 60))
    whole = evaluate(table, held, k=5, metrics=("hit_rate", "mrr"))
    blocks = evaluate(Fixed(table), held, k=5, metrics=("hit_rate", "mrr"), block=7)
    for name, result in whole.items():
        assert (result.values == blocks[name].values).all()
        assert (result.users == blocks[name].users).all()


def test_results_carry_intervals_and_compare_in_pairs() -> None:
    rng = np.random.default_rng(12)
    held = (np.arange(400), rng.integers(0, 50, 400))
    good = rng.random((400, 50))
    good[held] += 0.3
    better, worse = (evaluate(s, held)["hit_rate"] for s in (good, rng.random((400, 50))))
    assert better.interval.low < better.mean < better.interval.high
    assert better.compare(worse).low > 0
    assert str(worse).startswith("HR@10 0.")
    with pytest.raises(ValueError, match=r"\(.HR., 10, .full catalog.\) here and \(.HR., 5,"):
        better.compare(evaluate(good, held, k=5)["hit_rate"])
    with pytest.raises(ValueError, match="seen removed.\\) there; compare results of one"):
        better.compare(evaluate(good, held, seen=([], []))["hit_rate"])
    with pytest.raises(ValueError, match="are not the same"):
        better.compare(evaluate(good, (held[0][1:], held[1][1:]))["hit_rate"])
    with pytest.raises(ValueError, match="unknown metrics"):
        evaluate(good, held, metrics=("auc",))
