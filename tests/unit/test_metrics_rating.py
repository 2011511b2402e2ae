"""Rating errors and bootstrap intervals against numbers worked out by hand."""

import numpy as np
import pytest

from helpers.metrics import bootstrap, mae, paired_bootstrap, rmse, rmse_gap
from helpers.metrics.bootstrap import bootstrap_interval


def test_by_hand():
    assert rmse([1, 2, 3], [1, 2, 6]) == pytest.approx(np.sqrt(3))
    assert mae([1, 2, 3], [1, 2, 6]) == pytest.approx(1.0)
    assert rmse([4.0], [4]) == 0.0


def test_float32_is_added_up_in_float64():
    ones = np.full(3_000_000, 1.1, np.float32)
    assert rmse(ones, np.zeros_like(ones)) == pytest.approx(1.1, abs=1e-6)


@pytest.mark.parametrize("metric", [rmse, mae])
@pytest.mark.parametrize(
    ("predicted", "actual", "message"),
    [
        ([1, 2], [1, 2, 3], "predicted has 2, actual has 3 values"),
        ([], [], "predicted: expected at least one value"),
        ([1, np.nan], [1, 2], "predicted: .* finite numbers, got nan at position 1 \\(1 of 2"),
        ([1, 2], [1, np.inf], "actual: expected finite numbers, got inf"),
        ([[1], [2]], [1, 2], "predicted: expected one dimension, got shape \\(2, 1\\)"),
        (3.0, [3.0], "expected one dimension"),
    ],
)
def test_bad_input_is_named(metric, predicted, actual, message):
    with pytest.raises(ValueError, match=message):
        metric(predicted, actual)


def test_the_interval_is_that_of_the_normal_for_a_mean():
    values = np.random.default_rng(0).normal(2.0, 1.0, 4000)
    found = bootstrap_interval(values, n=2000)
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / np.sqrt(4000)
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)


def test_the_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        interval = bootstrap_interval(generator.normal(0, 1, 60), n=300, seed=seed)
        covered += interval.low <= 0 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_same_seed_same_interval_and_any_statistic():
    values = np.arange(50.0)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    median = bootstrap_interval(values, np.median)
    assert median.low < median.value == 24.5 < median.high
    assert str(bootstrap_interval([1.0, 1.0])) == "1.000 [1.000, 1.000]"


def test_blocks_do_not_change_the_interval(monkeypatch):
    values = np.random.default_rng(0).normal(size=30)
    whole = bootstrap_interval(values, n=10)
    monkeypatch.setattr(bootstrap, "_BLOCK", 100)  # three resamples at a time
    assert bootstrap_interval(values, n=10) == whole


def test_paired_comparison_sees_what_separate_intervals_hide():
    generator = np.random.default_rng(0)
    by_user = generator.normal(1.0, 0.5, 300)
    better, worse = by_user - 0.02 + generator.normal(0, 0.05, 300), by_user
    assert paired_bootstrap(better, worse).high < 0
    assert bootstrap_interval(better).high > bootstrap_interval(worse).low


def test_the_gap_of_two_rmse_is_that_of_the_rows_and_users_are_its_units():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), rng.integers(1, 30, 40)) * 7  # users without rows are no units
    actual = rng.normal(size=len(users))
    good, bad = actual + rng.normal(0, 0.5, len(users)), actual + rng.normal(0, 0.6, len(users))
    gap = rmse_gap(good, bad, actual, users)
    assert gap.value == pytest.approx(rmse(good, actual) - rmse(bad, actual))
    assert gap.low < gap.value < gap.high < 0
    assert rmse_gap(bad, good, actual, users).low == pytest.approx(-gap.high)
    alike = actual + np.repeat(rng.normal(size=40), np.bincount(users)[::7])  # one error per user
    by_user = rmse_gap(alike, good, actual, users)
    by_row = rmse_gap(alike, good, actual, np.arange(len(users)))
    assert by_user.high - by_user.low > by_row.high - by_row.low


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rmse_gap([1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [0]), "users has 1 values"),
        (lambda: rmse_gap([1.0], [np.nan], [1.0], [0]), "second: expected finite numbers"),
        (lambda: paired_bootstrap([1.0, 2.0], [1.0]), "first has 2, second has 1 values"),
        (lambda: bootstrap_interval([]), "values: expected at least one value"),
        (lambda: bootstrap_interval([1.0, np.nan]), "nan at position 1"),
    ],
)
def test_bad_bootstrap_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
