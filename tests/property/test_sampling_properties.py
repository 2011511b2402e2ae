"""What holds for every sampler, on data that hypothesis makes up (the same in every run)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from helpers.sampling import NegativeSampler, SamplingError

# derandomize: examples follow from the test's own text, so a run cannot fail by bad luck
STEADY = settings(derandomize=True, max_examples=60, deadline=None, database=None)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Which cells are training positives, and which are held out."""
    n_users, n_items = draw(st.integers(1, 12)), draw(st.integers(2, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cells = rng.random((n_users, n_items))
    train = cells < draw(st.floats(0.02, 0.95))
    train[0, 0] = True
    return train, ~train & (cells > 0.9)


@STEADY
@given(
    worlds(),
    st.sampled_from(["uniform", "popularity", "hard"]),
    st.sampled_from(["train", "all"]),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
)
def test_no_negative_is_a_positive_under_a_strict_policy(
    world, strategy, avoid, ratio, seed
) -> None:
    train, held = world
    refused = train | held if avoid == "all" else train
    options = {"known": np.nonzero(refused)} if avoid == "all" else {}
    if strategy == "hard":
        options["score"] = lambda users, items: -items.astype(float)
    sampler = NegativeSampler(
        np.nonzero(train), strategy=strategy, avoid=avoid, shape=train.shape, **options
    )
    drawable = ~refused & (train.any(axis=0) if strategy == "popularity" else True)
    users = np.arange(len(train))
    if not drawable.any(axis=1).all():
        with pytest.raises(SamplingError, match="no negative exists for user"):
            sampler.draw(users, ratio, rng=np.random.default_rng(seed))
        users = users[drawable.any(axis=1)]
    assume(len(users))
    drawn = sampler.draw(users, ratio, rng=np.random.default_rng(seed))
    assert drawn.shape == (len(users), ratio) and drawn.dtype == np.int32
    assert drawable[users[:, None], drawn].all()


@STEADY
@given(st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0]), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_the_distribution_is_popularity_to_the_power_alpha(alpha, n_items, seed) -> None:
    """Chi-square of 20,000 draws for a user with some positives, below the 1 - 1e-6 quantile."""
    world = np.random.default_rng(seed)
    items = np.concatenate(
        [np.arange(n_items), world.integers(0, n_items, 5 * n_items) ** 2 % n_items]
    )
    users = np.arange(len(items)) + 1  # user 0 has other positives, which must be refused
    own = world.choice(n_items, size=max(1, n_items // 4), replace=False)
    sampler = NegativeSampler(
        (np.append(users, np.zeros(len(own), dtype=int)), np.append(items, own)),
        strategy="popularity",
        alpha=alpha,
    )
    drawn = sampler.draw(np.zeros(4_000, dtype=int), 5, rng=np.random.default_rng(seed))
    weight = np.bincount(np.append(items, own)).astype(float) ** alpha
    weight[own] = 0.0
    expected = weight / weight.sum() * drawn.size
    observed = np.bincount(drawn.ravel(), minlength=n_items)
    assert observed[own].sum() == 0
    open_items = expected > 0
    if open_items.sum() > 1:
        common = expected >= 5  # rare items together, or the statistic is not chi-square
        obs, exp = observed[common].astype(float), expected[common]
        if (open_items & ~common).any():
            obs = np.append(obs, observed[~common].sum())
            exp = np.append(exp, expected[~common].sum())
        statistic = ((obs - exp) ** 2 / exp).sum()
        assert statistic < chi2.ppf(1 - 1e-6, max(1, len(exp) - 1))
