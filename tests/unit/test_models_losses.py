"""Four losses for one model: slopes against numbers, and a planted world that each must learn."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.models.checks import NotFittedError
from helpers.models.losses import LOSSES, TUNED, LossMF, listwise_slope, multi_label_slope
from tests import worlds as planted


@pytest.fixture(scope="module")
def blocks():
    """Two kinds of users, each taking from its own half of the items."""
    rng = np.random.default_rng(0)
    pairs = [(u, i + 10 * (u % 2)) for u in range(40) for i in rng.choice(10, 6, replace=False)]
    users, items = np.array(pairs).T
    return planted.interactions(users, items, np.ones(len(users)))


def numeric(loss, scores, step=1e-4):
    slope = np.zeros_like(scores)
    for place in np.ndindex(scores.shape):
        up, down = scores.copy(), scores.copy()
        up[place] += step
        down[place] -= step
        slope[place] = (loss(up) - loss(down)) / (2 * step)
    return slope


@pytest.fixture
def toy():
    rng = np.random.default_rng(1)
    return rng.normal(size=(3, 5)), (rng.random((3, 5)) < 0.4).astype(float)


def test_multi_label_slope_is_that_of_its_loss(toy):
    scores, clicked = toy

    def loss(s):
        return np.sum(np.logaddexp(0, s) - clicked * s)

    assert multi_label_slope(scores, clicked) == pytest.approx(numeric(loss, scores), abs=1e-6)


def test_listwise_slope_is_that_of_its_loss(toy):
    scores, clicked = toy

    def loss(s):
        return -np.sum(clicked * (s - np.log(np.exp(s).sum(axis=1, keepdims=True))))

    assert listwise_slope(scores, clicked) == pytest.approx(numeric(loss, scores), abs=1e-6)


@pytest.mark.parametrize("loss", ["pointwise", "pairwise"])
def test_sampled_slope_is_that_of_its_loss(blocks, loss):
    from helpers.sampling import NegativeSampler

    model = LossMF(loss, n_factors=3, epochs=1, ratio=2).fit(blocks)
    clicked = (blocks.matrix() > 0).astype(np.float32).tocsr()
    users = np.array([3, 7, 0])
    slope = model._slope(
        clicked[users], users, NegativeSampler(blocks), np.random.default_rng(4)
    ).toarray()
    scores = model.scores(users).astype(float)
    rows, positives = clicked[users].nonzero()
    drawn = NegativeSampler(blocks).draw(
        users[rows], ratio=2, rng=np.random.default_rng(4), positives=positives
    )

    def total(s):
        p, n = s[rows, positives], s[rows[:, None], drawn]
        if loss == "pairwise":
            return np.logaddexp(0, n - p[:, None]).mean(axis=1).sum()
        return np.logaddexp(0, -p).sum() + np.logaddexp(0, n).sum()

    assert slope == pytest.approx(numeric(total, scores), abs=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_learns_the_two_kinds_of_users(blocks, loss):
    model = LossMF(loss, n_factors=4, epochs=30, learning_rate=0.05, batch_users=10).fit(blocks)
    scores = model.scores(np.arange(40))
    own = np.where(np.arange(40)[:, None] % 2 == np.arange(20) // 10, scores, np.nan)
    other = np.where(np.arange(40)[:, None] % 2 != np.arange(20) // 10, scores, np.nan)
    assert (np.nanmin(own, axis=1) > np.nanmax(other, axis=1)).mean() > 0.9
    assert scores.dtype == np.float32 and scores.shape == (40, 20)


def test_a_seed_gives_the_same_model(blocks):
    one, same, other = (
        LossMF("pairwise", 4, 2, seed=s).fit(blocks).scores([0, 5]) for s in (0, 0, 1)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_what_is_out_of_range_is_refused(blocks):
    with pytest.raises(ValueError, match="loss='hinge': expected one of pointwise"):
        LossMF("hinge")
    with pytest.raises(ValueError, match="epochs=0"):
        LossMF("pairwise", epochs=0)
    with pytest.raises(NotFittedError):
        LossMF("pairwise").scores([0])
    with pytest.raises(IndexError):
        LossMF("pairwise", 2, 1).fit(blocks).scores([99])
    assert (
        set(TUNED) == set(LOSSES)
        and LossMF.tuned("listwise").learning_rate == TUNED["listwise"]["learning_rate"]
    )
