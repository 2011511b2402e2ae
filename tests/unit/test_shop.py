"""The simulated shop: its truth, its propensities, and estimates that are held against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers import shop as sh
from helpers.events import EventLog
from helpers.shop.policies import Traffic, gini
from helpers.shop.world import Shop


@pytest.fixture(scope="module")
def shop():
    return sh.plant_shop(seed=0)


@pytest.fixture(scope="module")
def traffic(shop):
    return sh.visit(shop, sh.production_policy(shop, explore=0.2), 40_000, np.random.default_rng(0))


def test_examination_falls_by_a_power_of_the_slot():
    assert sh.examination(4, 1.0) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert sh.examination(3, 0).tolist() == [1, 1, 1]
    for slots, bias in ((0, 1.0), (3, -0.1)):
        with pytest.raises(ValueError, match="expected at least 1 and 0"):
            sh.examination(slots, bias)


def test_clicks_per_request_by_hand():
    appeal = np.array([[0.5, 0.2, 0.1], [0.1, 0.2, 0.5]])
    shop = Shop(appeal, np.array([0.75, 0.25]), np.array([1.0, 0.5]))
    assert shop.mean_appeal == pytest.approx([0.4, 0.2, 0.2])
    same = [[0, 1, 2], [0, 1, 2]]
    assert shop.clicks_per_request(same) == pytest.approx(0.75 * 0.6 + 0.25 * 0.2)
    assert shop.any_click(same) == pytest.approx(0.75 * (1 - 0.5 * 0.9) + 0.25 * (1 - 0.9 * 0.9))
    assert shop.with_bias(0).clicks_per_request(same) == pytest.approx(0.75 * 0.7 + 0.25 * 0.3)


def test_the_planted_shop_is_the_same_for_a_seed_and_has_its_best_item_first(shop):
    again, other = sh.plant_shop(seed=0), sh.plant_shop(seed=1)
    assert np.array_equal(shop.appeal, again.appeal)
    assert not np.array_equal(shop.appeal, other.appeal)
    assert (np.diff(shop.mean_appeal) <= 0).all() and shop.appeal.max() < 1
    for sizes in ((5, 6, 1), (5, 0, 1), (5, 5, 0)):
        with pytest.raises(ValueError, match=f"{sizes[1]} slots for 5 items"):
            sh.plant_shop(*sizes)


def test_logged_propensities_are_the_frequencies(shop):
    policy = sh.production_policy(shop, explore=0.3)
    n = 60_000
    for segment in range(shop.n_segments):
        segments, rng = np.full(n, segment), np.random.default_rng(segment)
        items, explored = policy.show(segments, shop.n_slots, rng)
        for slot in (0, 4, 9):
            seen = np.bincount(items[:, slot], minlength=shop.n_items) / n
            said = policy.propensity(segment, np.arange(shop.n_items), slot)
            assert said.sum() == pytest.approx(1)
            assert np.abs(seen - said).max() < 4 * np.sqrt(0.25 / n)
    assert (np.diff(np.sort(items, axis=1)) > 0).all(), "none twice"
    assert explored.mean() == pytest.approx(0.3, abs=0.01)


def best_orders(shop):
    return np.argsort(-shop.appeal, axis=1, kind="stable")


def test_the_policy_is_better_than_chance_and_overlooks_an_item(shop):
    policy, chance = sh.production_policy(shop, overlooked=19), np.tile(np.arange(20)[::-1], (3, 1))
    worth = [shop.clicks_per_request(o) for o in (chance, policy.orders, best_orders(shop))]
    assert worth == sorted(worth)
    assert (policy.orders[:, shop.n_slots - 1] == 19).all()
    with pytest.raises(ValueError, match="explore is 1.5"):
        sh.Policy(np.array([[0, 1]]), 1.5)
    with pytest.raises(ValueError, match="each item once"):
        sh.Policy(np.array([[0, 0]]))


def test_clicks_follow_looks_times_appeal(shop, traffic):
    chance = shop.appeal[traffic.segments[:, None], traffic.items] * shop.examination
    for slot in (0, 5):
        assert traffic.clicks[:, slot].mean() == pytest.approx(chance[:, slot].mean(), abs=0.006)
    shown, clicks = (traffic.per_item(x, shop.n_items) for x in (1.0, traffic.clicks))
    assert shown.sum() == 40_000 * shop.n_slots and clicks.sum() == traffic.clicks.sum()
    of_3 = traffic.items == 3
    assert (shown[3], clicks[3]) == (of_3.sum(), traffic.clicks[of_3].sum())


def test_traffic_becomes_events_that_a_log_holds(traffic, tmp_path):
    few = Traffic(*(getattr(traffic, name)[:25] for name in traffic.__dataclass_fields__))
    log = EventLog(tmp_path / "log.sqlite")
    for part in few.events(5_000, size=10):
        log.load(part)
    shown = log.query("SELECT * FROM events WHERE kind = 'impression' ORDER BY user, position")
    assert np.array_equal(shown["item"].to_numpy().reshape(25, 10), few.items)
    assert np.array_equal(shown["propensity"].to_numpy().reshape(25, 10), few.propensity)
    assert shown["time"].tolist() == [5_000 + 1000 * row for row in range(25) for _ in range(10)]
    clicked = log.query("SELECT user, position FROM events WHERE kind = 'click' ORDER BY 1, 2")
    assert np.array_equal(clicked.to_numpy(), np.argwhere(few.clicks))


def ips_on_top(traffic, item):
    """Clicks on an item on top, each divided by its propensity, per request, with the error."""
    top = traffic.items[:, 0] == item
    each = np.where(top, traffic.clicks[:, 0] / traffic.propensity[:, 0], 0.0)
    return sh.Estimate(each.mean(), each.std() / np.sqrt(len(each)))


def test_what_was_not_logged_cannot_be_estimated(shop, traffic):
    greedy = sh.visit(shop, sh.production_policy(shop), 100, np.random.default_rng(0))
    assert (greedy.propensity == 1).all() and not greedy.explored.any()
    with pytest.raises(ValueError, match="no request was explored"):
        sh.looks_from_random_lists(greedy)
    with pytest.raises(ValueError, match="orders: found NaN"):
        sh.policy_value(traffic, best_orders(shop) * np.nan)
    zero = replace(traffic, propensity=0 * traffic.propensity)
    with pytest.raises(ValueError, match="weights: found"), np.errstate(divide="ignore"):
        sh.policy_value(zero, best_orders(shop))


def test_the_95_percent_interval_covers_the_truth_in_93_to_97_of_100(shop):
    """Item 2 leads in one segment, item 0 is shown by exploration only, and so rarely."""
    policy, rng = sh.production_policy(shop, explore=0.2), np.random.default_rng(0)
    for item in (0, 2):
        assert 0.93 <= sh.interval_coverage(shop, policy, item, 20_000, 2000, rng) <= 0.97
    assert sh.interval_coverage(shop, policy, 0, 1000, 1000, rng) < 0.92
    assert sh.interval_coverage(shop, sh.Policy(policy.orders), 0, 1000, 50, rng) == 0


def test_coverage_draws_counts_by_the_law_of_the_customers(shop):
    """Customer by customer, with the estimator of the log, the share is the same."""
    policy, rng = sh.production_policy(shop, explore=0.2), np.random.default_rng(0)
    top = Shop(shop.appeal, shop.share, shop.examination[:1])
    logs = [sh.visit(top, policy, 3000, np.random.default_rng(s)) for s in range(300)]
    found = [ips_on_top(log, 2).off_by(shop.mean_appeal[2]) < 1.96 for log in logs]
    said = sh.interval_coverage(shop, policy, 2, 3000, 4000, rng)
    assert np.mean(found) == pytest.approx(said, abs=0.05)


def test_one_look_alarms_in_5_of_100_fourteen_in_far_more_and_a_higher_bar_mends_it():
    apart = sh.peeking(0.4, 14_000, 14, 20_000, np.random.default_rng(0))
    assert apart.shape == (20_000, 14)
    assert (apart[:, -1] > 1.96).mean() == pytest.approx(0.05, abs=0.005)
    assert 0.18 < (apart.max(axis=1) > 1.96).mean() < 0.26
    assert (apart.max(axis=1) > 2.65).mean() == pytest.approx(0.05, abs=0.01)
    for bad in ((0, 100, 2), (0.5, 1, 2), (0.5, 10, 0)):
        with pytest.raises(ValueError, match="peeking"):
            sh.peeking(*bad, 5, np.random.default_rng(0))


def test_the_value_of_another_policy_is_estimated_from_this_ones_log(shop, traffic):
    best, mine = best_orders(shop), sh.production_policy(shop).orders
    for orders in (best, mine):
        assert sh.policy_value(traffic, orders).off_by(shop.clicks_per_request(orders)) < 3


@pytest.mark.parametrize("bias", [0.0, 0.5, 1.0])
def test_looks_are_found_from_random_lists_and_from_swaps(shop, bias):
    there, (one, two) = shop.with_bias(bias), map(np.random.default_rng, (1, 2))
    explored = sh.visit(there, sh.production_policy(there, explore=1.0), 40_000, one)
    swapped, partner = sh.swap_visit(there, sh.production_policy(there), 120_000, two)
    lists, swaps = sh.looks_from_random_lists(explored), sh.looks_from_swaps(swapped, partner)
    for found in (lists, swaps):
        assert np.abs(found.value - there.examination).max() < 0.08
        assert found.value[0] == 1 and found.error[0] == 0
        assert (np.abs(found.value - there.examination)[1:] < 4 * found.error[1:]).all()
    assert partner.min() == 1 and partner.max() == there.n_slots - 1
    assert swapped.clicks.mean() > explored.clicks.mean(), "swaps cost fewer clicks"


def test_looks_by_hand():
    clicks = np.array([[1, 0], [1, 1], [1, 0], [1, 0]], dtype=bool)
    none, items = np.zeros(4, int), np.tile([0, 1], (4, 1))
    traffic = Traffic(none, items, items * 0.0, none == 0, clicks)
    for found in (sh.looks_from_random_lists(traffic), sh.looks_from_swaps(traffic, none + 1)):
        assert found.value.tolist() == [1, 0.25]
        assert found.error[1] == pytest.approx(np.sqrt(0.75) / 4), "sure clicks add no error"
    silent = Traffic(none, items, items * 0.0, none == 0, clicks & False)
    with pytest.raises(ValueError, match="never clicked"):
        sh.looks_from_random_lists(silent)


def test_bestsellers_feed_on_themselves_and_exploration_helps():
    assert [gini(x) for x in ([3, 3, 3], [0, 0, 0, 8], [1, 3])] == pytest.approx([0, 0.75, 0.25])
    shop = sh.plant_shop(100, 10, 1, seed=3)
    ways = [("clicks", 0.0), ("clicks", 0.1), ("rate", 0.0), ("looks", 0.0), ("looks", 0.1)]
    runs = {
        way: [sh.feedback(shop, 20, 300, explore=way[1], learn=way[0], seed=s) for s in range(6)]
        for way in ways
    }
    last = {k: np.mean([r.regret[-1] for r in v]) for k, v in runs.items()}
    spread = {k: np.mean([r.gini[-1] for r in v]) for k, v in runs.items()}
    assert last["clicks", 0.0] > last["clicks", 0.1] > last["looks", 0.1] > 0
    assert spread["clicks", 0.0] > 0.88 > spread["looks", 0.1]
    assert last["clicks", 0.0] > 1.5 * last["rate", 0.0] > 3 * last["looks", 0.0], "each step helps"
    once, again = (sh.feedback(shop, 5, 50, seed=1).regret for _ in range(2))
    assert np.array_equal(once, again)
    with pytest.raises(ValueError, match="learn is 'all'"):
        sh.feedback(shop, learn="all")
