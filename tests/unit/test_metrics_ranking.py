"""Ranking metrics against independent oracles, on ties above all."""

from __future__ import annotations

import tracemalloc
from itertools import combinations, product
from math import log2

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from helpers.metrics import (
    calibration,
    coverage,
    evaluate,
    expected_sampled,
    genre_calibration,
    hit_rate,
    mrr,
    ndcg,
    novelty,
    precision,
    rank_candidates,
    rank_held_out,
    recall,
    summarize,
    top_k,
)

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


def random_case(rng: np.random.Generator, n_items: int, levels: int, most: int = 4) -> tuple:
    scores = rng.integers(0, levels, n_items).astype(np.float64)
    relevant = rng.choice(n_items, size=int(rng.integers(1, most + 1)), replace=False)
    return scores, relevant


def test_every_metric_equals_a_slow_oracle_on_1000_cases_with_ties() -> None:
    rng = np.random.default_rng(0)
    for case in range(1000):
        scores, relevant = random_case(rng, int(rng.integers(4, 12)), int(rng.integers(1, 6)))
        k = int(rng.integers(1, 8))
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
    cells = rng.random(scores.shape)
    seen, held = np.nonzero(cells < 0.3), np.nonzero(cells > 0.93)
    ranks = rank_held_out(scores, held, seen=seen)
    for row, user in list(enumerate(ranks.users))[:60]:
        left = np.flatnonzero(cells[user] >= 0.3)
        relevant = set(np.flatnonzero(cells[user][left] > 0.93).tolist())
        expected = slow_metrics(scores[user][left].tolist(), relevant, 5)
        for name, metric in METRICS.items():
            assert metric(ranks, 5)[row] == pytest.approx(expected[name], abs=1e-12)
    assert (ranks.n_candidates == (cells[ranks.users] >= 0.3).sum(axis=1)).all()


def test_many_held_out_items_give_the_same_ranks_as_few() -> None:
    """Rows with many held-out items are sorted instead of compared: another code path."""
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 50, (20, 400)).astype(np.float32)
    cells = rng.random(scores.shape)
    seen, held = np.nonzero(cells < 0.2), np.nonzero(cells > 0.8)
    ranks = rank_held_out(scores, held, seen=seen)
    assert ranks.n_held_out.min() > 24
    for pair in range(0, len(ranks.row), 97):
        user, item = ranks.users[ranks.row[pair]], ranks.items[pair]
        open_scores = scores[user][cells[user] >= 0.2]
        assert ranks.above[pair] == (open_scores > scores[user, item]).sum()
        assert ranks.tied[pair] == (open_scores == scores[user, item]).sum()


@pytest.mark.parametrize(("ties", "position"), [("best", 1), ("worst", 5), ("item-order", 3)])
def test_a_rule_for_ties_decides_a_constant_model(ties: str, position: int) -> None:
    ranks = rank_held_out(np.ones((1, 5)), ([0], [2]), ties=ties)
    assert ranks.above[0] + 1 == position and ranks.tied[0] == 1
    assert mrr(ranks)[0] == 1 / position


def test_several_held_out_items_of_one_tie_group_take_different_places() -> None:
    scores = np.array([[2.0, 1.0, 1.0, 1.0, 0.0]])
    held = ([0, 0], [1, 3])
    assert rank_held_out(scores, held, ties="best").above.tolist() == [1, 2]
    assert rank_held_out(scores, held, ties="worst").above.tolist() == [2, 3]
    assert rank_held_out(scores, held, ties="item-order").above.tolist() == [1, 3]


def test_item_order_with_seen_items_equals_a_stable_sort() -> None:
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 6, (100, 50)).astype(np.float32)
    held = (np.arange(100), rng.integers(0, 50, 100))
    cells = rng.random(scores.shape)
    cells[held] = 1.0
    ranks = rank_held_out(scores, held, seen=np.nonzero(cells < 0.3), ties="item-order")
    masked = np.where(cells < 0.3, -np.inf, scores)
    order = np.argsort(-masked, axis=1, kind="stable")
    assert (np.argmax(order == held[1][:, None], axis=1) == ranks.above).all()


def test_one_held_out_item_bounds() -> None:
    rng = np.random.default_rng(5)
    ranks = rank_held_out(
        rng.integers(0, 30, (500, 80)).astype(float), (np.arange(500), rng.integers(0, 80, 500))
    )
    before = {name: np.zeros(500) for name in METRICS}
    for k in range(1, 81):
        assert (ndcg(ranks, k) <= hit_rate(ranks, k) + 1e-12).all()
        assert (mrr(ranks, k) <= hit_rate(ranks, k) + 1e-12).all()
        for name in ("hit_rate", "ndcg", "recall", "mrr"):
            now = METRICS[name](ranks, k)
            assert (now >= before[name] - 1e-12).all(), name
            before[name] = now
        np.testing.assert_allclose(recall(ranks, k), hit_rate(ranks, k))
    assert mrr(ranks).max() <= 1.0
    np.testing.assert_allclose(hit_rate(ranks, 80), 1.0)


def test_a_constant_model_has_the_hit_rate_of_chance() -> None:
    ranks = rank_held_out(np.ones((3, 200)), (np.arange(3), [5, 0, 199]))
    np.testing.assert_allclose(hit_rate(ranks, 10), 0.05)
    np.testing.assert_allclose(
        hit_rate(rank_held_out(np.ones((1, 200)), ([0], [150]), ties="best")), 1.0
    )


def test_users_name_the_rows() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2]])
    ranks = rank_held_out(scores, ([3, 7, 9], [1, 1, 0]), users=[7, 3])
    assert ranks.users.tolist() == [7, 3]
    assert hit_rate(ranks, 1).tolist() == [1.0, 0.0]


def test_integers_and_lists_are_scores_too() -> None:
    assert hit_rate(rank_held_out([[3, 1, 2]], ([0], [0])), 1)[0] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": [[np.nan, 1.0, 2.0]]}, "NaN, first in row 0, item 0"),
        ({"scores": [1.0, 2.0]}, r"shape \(2,\)"),
        ({"held_out": ([0], [3])}, "unknown item 3"),
        ({"held_out": ([0], [-1])}, "unknown item -1"),
        ({"held_out": ([1], [0])}, "unknown user 1"),
        ({"held_out": ([], [])}, "no item of the users"),
        ({"held_out": ([0.0], [1.0])}, "float64; expected whole numbers"),
        ({"held_out": ([0, 0], [1])}, "two 1-d arrays"),
        ({"held_out": "u1.test"}, "is a str; expected Interactions"),
        ({"seen": ([0], [1])}, "1 held-out items are also in seen, the first of user 0, item 1"),
        ({"scores": [[1.0, -np.inf, 2.0]]}, "masked together with the seen"),
        ({"ties": "random"}, "expected one of expected, worst, best"),
        ({"users": [0, 1]}, "expected 1 different ids"),
    ],
)
def test_bad_input_is_named(change: dict, message: str) -> None:
    given = {"scores": [[0.5, 1.0, 2.0]], "held_out": ([0], [1])} | change
    with pytest.raises(ValueError, match=message):
        rank_held_out(given.pop("scores"), given.pop("held_out"), **given)


@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_k_must_be_a_whole_number(k: object) -> None:
    ranks = rank_held_out([[1.0, 2.0]], ([0], [1]))
    for metric in METRICS.values():
        with pytest.raises(ValueError, match="expected a whole number"):
            metric(ranks, k)


# --- candidates --------------------------------------------------------------------------------


def test_all_items_as_candidates_equal_the_full_catalog() -> None:
    rng = np.random.default_rng(6)
    scores = rng.integers(0, 9, (50, 30)).astype(float)
    held = (
        np.repeat(np.arange(50), 2),
        np.concatenate([rng.choice(30, 2, replace=False) for _ in range(50)]),
    )
    shuffled = np.stack([rng.permutation(30) for _ in range(50)])
    full = rank_held_out(scores, held)
    for ranks in (
        rank_candidates(scores, shuffled, held),
        rank_candidates(
            np.take_along_axis(scores, shuffled, axis=1), shuffled, held, gathered=True
        ),
    ):
        for name, metric in METRICS.items():
            np.testing.assert_allclose(metric(ranks, 5), metric(full, 5), atol=1e-12, err_msg=name)


def test_candidates_may_have_rows_of_different_length() -> None:
    ranks = rank_candidates([[5.0, 4.0, 3.0, 2.0]], [[2, 0, -1]], ([0], [2]))
    assert ranks.above.tolist() == [1] and ranks.n_candidates.tolist() == [2]


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([[1, 2, 2]], "user 0 hold item 2 twice"),
        ([[0, 2]], "user 0 lack the held-out item 1"),
        ([[1, 9]], "unknown item 9"),
        ([[1, 2], [1, 2]], "one row a user"),
    ],
)
def test_bad_candidates_are_named(candidates: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_candidates([[0.1, 0.2, 0.3]], candidates, ([0], [1]))


def test_expected_sampled_is_the_mean_over_samples() -> None:
    rng = np.random.default_rng(7)
    scores = rng.integers(0, 40, (1, 60)).astype(float)  # with ties
    held = ([0], [11])
    others = np.delete(np.arange(60), 11)
    ranks = rank_held_out(scores, held)
    drawn = np.stack([np.append(rng.choice(others, 20, replace=False), 11) for _ in range(4_000)])
    many = rank_candidates(
        np.repeat(scores, 4_000, axis=0), drawn, (np.arange(4_000), np.full(4_000, 11))
    )
    for name, k in (("hit_rate", 5), ("ndcg", 5)):
        simulated = METRICS[name](many, k)
        error = simulated.std() / np.sqrt(len(simulated))
        assert expected_sampled(ranks, 20, k, name)[0] == pytest.approx(
            simulated.mean(), abs=4 * error
        )


def test_expected_sampled_with_every_negative_is_the_full_metric() -> None:
    rng = np.random.default_rng(8)
    ranks = rank_held_out(
        rng.integers(0, 30, (40, 50)).astype(float), (np.arange(40), rng.integers(0, 50, 40))
    )
    np.testing.assert_allclose(expected_sampled(ranks, 49, 10), hit_rate(ranks, 10), atol=1e-9)
    np.testing.assert_allclose(expected_sampled(ranks, 999, 10, "ndcg"), ndcg(ranks, 10), atol=1e-9)


def test_expected_sampled_in_a_large_group_of_equals_is_nearly_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranks = rank_held_out(np.ones((1, 3000)), ([0], [5]))
    short = [expected_sampled(ranks, m, 10)[0] for m in (20, 100, 1000)]
    monkeypatch.setattr("helpers.metrics.candidates._EXACT", 3000)
    exact = [expected_sampled(ranks, m, 10)[0] for m in (20, 100, 1000)]
    np.testing.assert_allclose(short, exact, atol=1e-4)
    np.testing.assert_allclose(exact, [10 / 21, 10 / 101, 10 / 1001], rtol=1e-6)  # chance


# --- lists, probabilities, results -------------------------------------------------------------


def test_top_k_equals_a_stable_sort() -> None:
    rng = np.random.default_rng(9)
    scores = rng.integers(0, 7, (200, 40)).astype(np.float32)
    cells = rng.random(scores.shape)
    before = scores.copy()
    got = top_k(scores, 8, seen=np.nonzero(cells < 0.3))
    masked = np.where(cells < 0.3, -np.inf, scores)
    assert (got == np.argsort(-masked, axis=1, kind="stable")[:, :8]).all()
    assert (scores == before).all()


def test_top_k_with_rng_spreads_over_equals() -> None:
    lists = [top_k(np.ones((1, 100)), 10, rng=np.random.default_rng(seed)) for seed in range(60)]
    assert coverage(np.concatenate(lists), 100) > 0.95
    assert coverage(top_k(np.ones((9, 100)), 10), 100) == 0.1


def test_top_k_of_many_blocks_equals_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    scores = np.round(generator.random((50, 30)), 1)  # many equals
    users = generator.permutation(60)[:50]
    seen = (generator.integers(0, 60, 300), generator.integers(0, 30, 300))

    def lists() -> list[np.ndarray]:
        return [
            top_k(scores, 8, seen=seen, users=users),
            top_k(scores, 8, seen=seen, users=users, rng=np.random.default_rng(1)),
        ]

    whole = lists()
    monkeypatch.setattr("helpers.metrics.lists._CELLS", 7 * 30)
    for one, several in zip(whole, lists(), strict=True):
        np.testing.assert_array_equal(one, several)
    hopeless = (np.repeat(20, 30), np.arange(30))
    with pytest.raises(ValueError, match="row 20 has fewer than k=8 items left"):
        top_k(scores, 8, seen=hopeless)


def test_top_k_needs_little_beside_the_scores() -> None:
    scores = np.random.default_rng(0).random((2_000, 9_000), dtype=np.float32)
    tracemalloc.start()
    try:
        top_k(scores)
        assert tracemalloc.get_traced_memory()[1] < scores.nbytes / 2
    finally:
        tracemalloc.stop()


def test_top_k_refuses_a_list_longer_than_what_is_left() -> None:
    with pytest.raises(ValueError, match="fewer than k=2 items left"):
        top_k([[1.0, 2.0, 3.0]], 2, seen=([0, 0], [0, 1]))


def test_novelty_by_hand() -> None:
    bits = novelty([[0], [1]], ([0, 1, 2], [0, 0, 0]), n_users=3)
    np.testing.assert_allclose(bits, [0.0, 2.0])  # (3+1)/(3+1) and (0+1)/(3+1)


def test_genre_calibration_by_hand() -> None:
    genres = np.array([[1.0, 0.0], [0.0, 1.0]])
    history = ([0, 0, 1, 1], [0, 1, 0, 1])  # both users took half of each
    divergence = genre_calibration([[0, 1], [0, 0]], history, genres)
    q = np.array([0.995, 0.005])
    assert divergence[0] == pytest.approx(0.0, abs=1e-12)
    assert divergence[1] == pytest.approx(0.5 * np.log(0.5 / q).sum())


def test_calibration_by_hand() -> None:
    result = calibration([0.1, 0.1, 0.9, 0.9], [0, 1, 1, 1], bins=2)
    np.testing.assert_allclose(result.predicted, [0.1, 0.9])
    np.testing.assert_allclose(result.observed, [0.5, 1.0])
    assert result.count.tolist() == [2, 2]
    assert result.ece == pytest.approx(0.25)
    assert result.ratio == pytest.approx(0.5 / 0.75)


def test_true_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(10)
    p = rng.random(100_000) ** 3
    for strategy in ("width", "quantile"):
        assert calibration(p, rng.random(100_000) < p, strategy=strategy).ece < 0.01


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        ([1.5], [1], "expected 0 to 1"),
        ([0.5], [2], "other numbers"),
        ([], [], "not empty"),
        ([0.5, 0.5], [1], "one length"),
    ],
)
def test_bad_probabilities_are_named(p: list, y: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibration(p, y)


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
        assert (result.values == blocks[name].values).all() and (
            result.users == blocks[name].users
        ).all()


def test_results_carry_intervals_and_compare_in_pairs() -> None:
    rng = np.random.default_rng(12)
    held = (np.arange(400), rng.integers(0, 50, 400))
    good = rng.random((400, 50))
    good[held] += 0.3
    better, worse = (
        evaluate(good, held)["hit_rate"],
        evaluate(rng.random((400, 50)), held)["hit_rate"],
    )
    assert better.interval.low < better.mean < better.interval.high
    assert better.compare(worse).low > 0
    assert str(worse).startswith("HR@10 0.")
    with pytest.raises(ValueError, match="k is 10 here and 5 there"):
        better.compare(evaluate(good, held, k=5)["hit_rate"])
    with pytest.raises(ValueError, match="are not the same"):
        better.compare(evaluate(good, (held[0][1:], held[1][1:]))["hit_rate"])
    with pytest.raises(ValueError, match="unknown metrics"):
        summarize(rank_held_out(good, held), metrics=("auc",))
