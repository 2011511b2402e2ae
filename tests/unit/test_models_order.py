"""Models that read the order: against their definitions, on a world of chains, with bad histories."""

import numpy as np
import pytest

from helpers.metrics import evaluate
from helpers.models import order
from helpers.models.baselines import EASE
from helpers.models.order import DecayedEASE, NextItemRidge, Transitions, decayed
from helpers.models.userlevel import event_sequences
from tests import worlds as planted


@pytest.fixture
def data():
    return planted.low_rank_ratings(50, 30).data


def before(sequences, n_items, decay, window):
    """The decayed history before every event, and the event, by loops."""
    for items in sequences:
        for at, item in enumerate(items):
            row = np.zeros(n_items)
            for step, earlier in enumerate(items[max(0, at - window) : at][::-1]):
                row[earlier] += decay**step
            yield row, item


def test_decayed_by_hand_also_of_short_long_repeated_and_unknown():
    rows = decayed([[0, 1, 2], [1], [], [2, -1, 2, -1], [3, 3, 3, 0, 0]], 4, decay=0.5, window=2)
    expected = [[0, 0.5, 1, 0], [0, 1, 0, 0], [0] * 4, [0, 0, 1.5, 0], [1.5, 0, 0, 0]]
    np.testing.assert_allclose(rows.toarray(), expected)
    assert decayed(np.array([[1, 0, -1]]), 4).toarray().tolist() == [[1, np.float32(0.8), 0, 0]]
    assert decayed([], 4).shape == (0, 4)
    with pytest.raises(IndexError, match=r"history 1 holds 4, expected an item index of 0\.\.3"):
        decayed([[0], [1, 4]], 4)
    for wrong in ([-2], [2**40]):
        with pytest.raises(IndexError, match=f"history 0 holds {wrong[0]}"):
            decayed([wrong], 4)
    for wrong in ([0.5], ["Star Duel"]):
        with pytest.raises(TypeError, match="history 0 holds .*expected whole item indices"):
            decayed([wrong], 4)


@pytest.mark.parametrize("at_a_time", [1, 40, 1 << 20])
def test_transitions_and_the_ridge_are_their_formulas(data, at_a_time, monkeypatch):
    monkeypatch.setattr(order, "_EVENTS", at_a_time)
    data = data.replace(data.frame[data.frame["item"] != 7])
    x, after = zip(*before(event_sequences(data), 30, 0.6, 3), strict=True)
    x, y = np.array(x), np.eye(30)[list(after)]
    model = Transitions(smoothing=2.0, decay=0.6, window=3).fit(data)
    np.testing.assert_allclose(model.counts.toarray(), x.T @ y, rtol=1e-5)
    share = y.mean(axis=0)
    chance = (x.T @ y + 2 * share) / ((x.T @ y).sum(axis=1, keepdims=True) + 2)
    found = model.score_histories([[4, 9], [7], [], [-1, -1]])
    np.testing.assert_allclose(found[0], (chance[9] + 0.6 * chance[4]) / 1.6, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found[1:], [share] * 3, rtol=1e-5, err_msg="nothing is known")
    np.testing.assert_allclose(model.scores(np.arange(50)).sum(axis=1), 1, rtol=1e-5)
    ridge = NextItemRidge(regularization=5.0, decay=0.6, window=3).fit(data)
    w = np.linalg.solve(x.T @ x + 5 * np.eye(30), x.T @ y)
    np.testing.assert_allclose(ridge.score_histories([[4, 9]])[0], w[9] + 0.6 * w[4], atol=1e-5)


@pytest.mark.parametrize("shape", [(50, 30), (30, 50)])
def test_decayed_ease_is_ease_with_another_row(shape):
    data = planted.low_rank_ratings(*shape).data
    ease, users = EASE(3.0).fit(data), np.arange(shape[0])
    own = ease.score_histories(data.matrix().astype(bool).astype(np.float32))
    np.testing.assert_allclose(own, ease.scores(users), atol=1e-4)
    each = ease.score_histories(decayed(np.arange(shape[1])[:, None], shape[1]))  # B, row by row
    model = DecayedEASE(regularization=3.0, decay=0.5, window=2).fit(data)
    np.testing.assert_allclose(
        model.score_histories([[8, 4, 9]])[0], each[9] + each[4] / 2, atol=1e-4
    )


@pytest.mark.parametrize("make", [Transitions, NextItemRidge])
def test_order_is_found_where_it_is_all_there_is(make):
    """Everyone walks along the same circle of items from a place of their own."""
    start, step = np.divmod(np.arange(60 * 12), 12)
    data = planted.interactions(start, (start * 7 + step) % 40, np.full(60 * 12, 4.0))
    held = np.arange(60), (np.arange(60) * 7 + 12) % 40
    shuffled = np.random.default_rng(0).permutation(len(data))
    blind = data.replace(data.frame.assign(timestamp=shuffled))
    found, lost = (evaluate(make().fit(d), held, seen=d, k=1)["hit_rate"] for d in (data, blind))
    assert found.mean == 1 and lost.mean < 0.6


def test_a_seed_orders_equal_times_only(data):
    times = np.arange(len(data)) // 4 * 4
    tied = data.replace(data.frame.sort_values("user").assign(timestamp=times))
    a, b = (np.concatenate(event_sequences(tied, seed)) for seed in (0, 1))
    assert (a != b).any() and (np.sort(a) == np.sort(b)).all()
    when = dict(zip(zip(tied.frame["user"], tied.frame["item"], strict=True), times, strict=True))
    users = np.repeat(np.arange(50), tied.user_counts())
    assert [when[p] for p in zip(users, a, strict=True)] == times.tolist()
    assert (Transitions(seed=1).fit(tied).counts != Transitions().fit(tied).counts).nnz
