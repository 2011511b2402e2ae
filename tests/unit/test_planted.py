"""Planted worlds hold what they promise."""

import numpy as np
import pytest

from helpers.planted import DAY, HOUR, WEEK_BEGINS, planted_week, taste_world


def test_everyone_likes_what_is_near():
    world = taste_world(n_users=5, n_items=7, width=0.3)
    assert world.ratings.shape == (5, 7)
    np.testing.assert_allclose(world.ratings, world.stars(world.user_taste, world.item_place))
    assert world.stars(0.2, 0.2).item() == 5.0
    assert world.stars(-1, 1).item() == pytest.approx(1.0, abs=1e-6)
    middle = world.stars(0.0, [-0.5, 0.0, 0.5])[0]
    assert middle[1] > middle[0] == pytest.approx(middle[2]), "no straight line does this"


def test_a_narrower_taste_has_a_higher_rank():
    ratings = [taste_world(width=width).ratings for width in (2.0, 0.5, 0.2)]
    low, middle, high = ((np.linalg.svd(r, compute_uv=False) > 0.1).sum() for r in ratings)
    assert low < middle < high


@pytest.mark.parametrize("wrong", [{"n_users": 0}, {"width": 0}, {"noise": -1}, {"noise": np.nan}])
def test_impossible_taste_worlds_are_named(wrong):
    (given,) = (f"{name}={value}" for name, value in wrong.items())
    with pytest.raises(ValueError, match=given):
        taste_world(**wrong)


def test_the_week_has_its_four_incidents():
    week = planted_week(seed=0)
    hour = (week["time"].astype(int) - WEEK_BEGINS) // HOUR
    day = hour * HOUR // DAY
    answers, shown = week[week["kind"] == "response"], week[week["kind"] == "impression"]
    errors = (answers["status"] >= 500).groupby(hour[answers.index]).mean()
    assert set(errors[errors > 0.05].index) >= {57, 58, 59} and (errors > 0.12).sum() <= 6
    slow = answers.groupby("model")["latency_ms"].apply(lambda v: np.median(v.astype(float)))
    assert slow["mf-2"] == pytest.approx(2 * slow["mf-1"], rel=0.1)
    per_day = shown.groupby(day[shown.index])["item"].nunique()
    assert per_day[4] == 8 and per_day.drop(4).min() > 55
    clicks = (week["kind"] == "click").groupby(day).sum() / per_day.index.map(
        day[shown.index].value_counts()
    )
    assert clicks.idxmax() == 4, "favorites are clicked most"
    shares = shown.groupby(day[shown.index])["item"].value_counts(normalize=True).unstack(0)
    moved = shares.sub(shares[0], axis=0).abs().sum()  # day 0 against each
    assert moved[1] < 0.3 < 0.6 < moved[5]
    assert week["time"].is_monotonic_increasing and len(week) > 10_000
    assert not week.duplicated(["request_id", "kind", "position"]).any()
