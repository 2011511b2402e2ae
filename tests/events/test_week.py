"""The planted week has the incidents it promises, and the index of drift is what its formula says."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.events.week import DAY, HOUR, WEEK_BEGINS, planted_week, psi


@pytest.fixture(scope="module")
def week():
    return planted_week(seed=0)


def test_the_week_has_its_four_incidents(week):
    day, hour = (
        (week["time"].astype(int) - WEEK_BEGINS) // DAY,
        (week["time"].astype(int) - WEEK_BEGINS) // HOUR,
    )
    answers, shown = week[week["kind"] == "response"], week[week["kind"] == "impression"]
    errors = (answers["status"] >= 500).groupby(hour[answers.index]).mean()
    assert set(errors[errors > 0.05].index) >= {57, 58, 59} and (errors > 0.12).sum() <= 6
    slow = answers.groupby("model")["latency_ms"].apply(lambda v: np.median(v.astype(float)))
    assert slow["mf-2"] == pytest.approx(2 * slow["mf-1"], rel=0.1)
    per_day = shown.groupby(day[shown.index])["item"].nunique()
    assert per_day[4] == 8 and per_day.drop(4).min() > 55
    counts = [
        np.bincount(shown["item"][day[shown.index].isin(d)].astype(int), minlength=60)
        for d in ([0], [1], [5])
    ]
    assert psi(counts[0], counts[1]) < 0.1 < 0.25 < psi(counts[0], counts[2])
    assert week["time"].is_monotonic_increasing and len(week) > 10_000
    assert not week.duplicated(["request_id", "kind", "position"]).any()


def test_psi_by_hand():
    assert psi([10, 10], [10, 10]) == 0
    assert psi([0.5, 0.5], [2.5, 0.5]) == pytest.approx(
        (0.75 - 0.5) * np.log(1.5) + (0.25 - 0.5) * np.log(0.5)
    )
    assert np.isfinite(psi([0, 9], [9, 0])) and psi([0, 9], [9, 0]) > 1
    for bad in (([1], [1, 2]), ([], []), ([-1], [1])):
        with pytest.raises(ValueError, match="psi"):
            psi(*bad)
    with pytest.raises(ValueError, match="16 items"):
        planted_week(n_items=10)
