"""Models that read the order: against their formulas, on a circle of items, with bad histories."""

import numpy as np
import pytest

from helpers.metrics import evaluate
from helpers.models.base import binary_matrix
from helpers.models.baselines import EASE
from helpers.models.order import DecayedEASE, NextItemRidge, Transitions, decayed
from helpers.models.userlevel import event_sequences
from tests import worlds as planted


def test_decayed_by_hand_also_of_short_long_repeated_and_unknown():
    rows = decayed([[0, 1, 2], [1], [], [2, -1, 2, -1], [3, 3, 3, 0, 0]], 4, decay=0.5, window=2)
    expected = [[0, 0.5, 1, 0], [0, 1, 0, 0], [0] * 4, [0, 0, 1.5, 0], [1.5, 0, 0, 0]]
    assert rows.toarray().tolist() == expected and decayed([], 4).shape == (0, 4)
    assert decayed(np.array([[1, 0, -1]]), 4).toarray().tolist() == [[1, np.float32(0.8), 0, 0]]
    for wrong, error, said in (
        (4, IndexError, r"history 1 holds 4, expected 0\.\.3, or -1"),
        (-2, IndexError, "holds -2"),
        (2**40, IndexError, "holds 1099511627776"),
        ("Star Duel", TypeError, "history 1 holds <U9, expected whole item indices"),
    ):
        with pytest.raises(error, match=said):
            decayed([[0], [wrong]], 4)


@pytest.mark.parametrize("large", [10**9, 0])  # 0: by compiled loops
def test_transitions_and_the_ridge_are_their_formulas(large, monkeypatch):
    monkeypatch.setattr("helpers.models.order._LARGE", large)
    data = planted.low_rank_ratings(50, 30).data
    data = data.replace(data.frame[data.frame["item"] != 7])
    sequences = event_sequences(data)
    x = decayed([s[:at] for s in sequences for at in range(len(s))], 30, 0.6, 3).toarray()
    y = np.eye(30)[np.concatenate(sequences)]
    model = Transitions(smoothing=2.0, decay=0.6, window=3).fit(data)
    np.testing.assert_allclose(model.counts.toarray(), x.T @ y, rtol=1e-5)
    chance = (x.T @ y + 2 * y.mean(axis=0)) / ((x.T @ y).sum(axis=1, keepdims=True) + 2)
    found = model.score_histories([[4, 9], [7], [], [-1, -1]])
    np.testing.assert_allclose(found[0], (chance[9] + 0.6 * chance[4]) / 1.6, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found[1:], [y.mean(axis=0)] * 3, rtol=1e-5)
    np.testing.assert_allclose(model.scores(np.arange(50)).sum(axis=1), 1, rtol=1e-5)
    ridge = NextItemRidge(regularization=5.0, decay=0.6, window=3).fit(data)
    w = np.linalg.solve(x.T @ x + 5 * np.eye(30), x.T @ y)
    np.testing.assert_allclose(ridge.score_histories([[4, 9]])[0], w[9] + 0.6 * w[4], atol=1e-5)


@pytest.mark.parametrize("shape", [(50, 30), (30, 50)])
def test_decayed_ease_is_ease_with_another_row(shape):
    data = planted.low_rank_ratings(*shape).data
    ease, all_of_them = EASE(3.0).fit(data), np.arange(shape[1])
    own, same = ease.score_histories(binary_matrix(data)), ease.scores(np.arange(shape[0]))
    np.testing.assert_allclose(own, same, atol=1e-4)
    b = ease.score_histories(decayed(all_of_them[:, None], shape[1]))
    found = DecayedEASE(regularization=3.0, decay=0.5, window=2).fit(data)
    np.testing.assert_allclose(found.score_histories([[8, 4, 9]])[0], b[9] + b[4] / 2, atol=1e-4)


@pytest.mark.parametrize("make", [Transitions, NextItemRidge])
def test_order_is_found_where_it_is_all_there_is(make):
    who, step = np.divmod(np.arange(60 * 12), 12)  # all walk along one circle
    data = planted.interactions(who, (who * 7 + step) % 40, np.full(60 * 12, 4.0))
    held = np.arange(60), (np.arange(60) * 7 + 12) % 40
    blind = data.frame.assign(timestamp=np.random.default_rng(0).permutation(len(data)))
    found, lost = (make().fit(d).scores(held[0]) for d in (data, data.replace(blind)))
    found, lost = (evaluate(s, held, seen=data, k=1)["hit_rate"].mean for s in (found, lost))
    assert found == 1 and lost < 0.6


def test_a_seed_orders_equal_times_only():
    data = planted.interactions([0] * 8 + [1] * 8, [*range(8), *range(8)], [4.0] * 16)
    tied = data.replace(data.frame.assign(timestamp=np.arange(16) // 4))
    a, b = (np.reshape(event_sequences(tied, seed), (4, 4)) for seed in (0, 1))
    assert (a != b).any() and (np.sort(a) == data.frame["item"].to_numpy().reshape(4, 4)).all()
    assert (Transitions(seed=1).fit(tied).counts != Transitions().fit(tied).counts).nnz
