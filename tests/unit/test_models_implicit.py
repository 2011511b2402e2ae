"""Factorization of clicks: gradients against numbers, and planted worlds that each loss must learn."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.models.implicit import TUNED_BY_LOSS, LogisticMF, LossMF
from helpers.sampling import NegativeSampler
from tests import worlds as planted
from tests.unit import numeric


@pytest.fixture(scope="module")
def blocks():
    """Two kinds of users, each taking from its own half of the items."""
    rng = np.random.default_rng(0)
    pairs = [(u, i + 10 * (u % 2)) for u in range(40) for i in rng.choice(10, 6, replace=False)]
    users, items = np.array(pairs).T
    return planted.interactions(users, items, np.ones(len(users)))


@pytest.mark.parametrize("loss", TUNED_BY_LOSS)
def test_gradients_are_those_of_the_loss(blocks, loss):
    model = LossMF(loss, epochs=1, ratio=2).fit(blocks)
    users = np.array([3, 7, 0])
    found = model._gradient(users, np.random.default_rng(4))
    s, y = model.scores(users).astype(float), blocks.matrix()[users].toarray()
    rows, positives = y.nonzero()
    drawn = NegativeSampler(blocks).draw(
        users[rows], ratio=2, rng=np.random.default_rng(4), positives=positives
    )

    def total():
        if loss == "multi-label":
            return np.sum(np.logaddexp(0, s) - y * s)
        if loss == "listwise":
            return -np.sum(y * (s - np.log(np.exp(s).sum(axis=1, keepdims=True))))
        p, n = s[rows, positives], s[rows[:, None], drawn]
        if loss == "pairwise":
            return np.logaddexp(0, n - p[:, None]).mean(axis=1).sum()
        return np.logaddexp(0, -p).sum() + np.logaddexp(0, n).sum()

    dense = found if loss in ("multi-label", "listwise") else found.toarray()
    np.testing.assert_allclose(dense, numeric.gradient(total, s), atol=1e-4)


@pytest.mark.parametrize("loss", TUNED_BY_LOSS)
def test_each_loss_learns_the_two_kinds_of_users(blocks, loss):
    model = LossMF(loss, factors=4, epochs=30, batch_size=10)
    model.learning_rate = 0.05
    scores = model.fit(blocks).scores(np.arange(40))
    is_own = np.arange(40)[:, None] % 2 == np.arange(20) // 10
    own, other = np.where(is_own, scores, np.inf), np.where(is_own, -np.inf, scores)
    assert (own.min(axis=1) > other.max(axis=1)).mean() > 0.9


def test_logistic_mf_learns_from_the_negatives_it_is_told_to(blocks):
    first = LogisticMF(epochs=4, seed=1).fit(blocks).history
    assert first[-1] < first[0]
    for settings in ({"resample": False}, {"strategy": "popularity", "alpha": 1.0}):
        assert LogisticMF(epochs=4, seed=1, **settings).fit(blocks).history != first


def test_compiled_loops_let_rows_coast_as_dense_adam_does(monkeypatch):
    items = np.repeat(np.arange(5), (150, 60, 8, 1, 1))  # most users wait for hundreds of steps
    data = planted.interactions(np.arange(220) % 150, items, np.ones(220))
    fits = []
    for large in (10**9, 0):
        monkeypatch.setattr("helpers.models.implicit._LARGE", large)
        fits.append(LogisticMF(factors=3, epochs=2, batch_size=2).fit(data))
    np.testing.assert_allclose(fits[1].history, fits[0].history, rtol=1e-5)
    scores = (fit.scores(np.arange(150)) for fit in fits)
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_logistic_mf_scores_are_the_log_odds_of_the_sample():
    data = planted.low_rank_ratings(200, 60).data
    model = LogisticMF(factors=4, epochs=150, ratio=3).fit(data)
    users, items, labels = NegativeSampler(data).epoch(3, rng=np.random.default_rng(9))
    p = 1 / (1 + np.exp(-model.scores(np.arange(200))[users, items]))
    assert p.mean() == pytest.approx(labels.mean(), abs=0.03)
