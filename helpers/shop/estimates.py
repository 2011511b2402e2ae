"""Estimates from the log of a shop: click rates, weights against display bias, errors, tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from helpers.models.base import all_finite

from .policies import Policy, Traffic
from .world import FloatArray, Shop

if TYPE_CHECKING:
    import pandas as pd

Z95 = 1.959963984540054  # standard errors on each side of a 95 % interval


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error."""

    value: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - Z95 * self.error

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + Z95 * self.error

    def off_by(self, truth: float) -> float:
        """Return how many standard errors the truth is away."""
        return abs(self.value - truth) / self.error

    def __str__(self) -> str:
        """Return the value and its interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def compare(estimates: dict[str, Estimate], truth: float) -> pd.DataFrame:
    """Return a table of estimates: interval, standard error, and how many errors it is off."""
    import pandas as pd

    rows = [(str(e), f"{e.error:.3f}", f"{e.off_by(truth):.1f}") for e in estimates.values()]
    columns = ["estimate [95 %]", "standard error", "errors off the truth"]
    return pd.DataFrame(rows, columns=columns, index=list(estimates))


def policy_value(traffic: Traffic, orders: npt.ArrayLike) -> Estimate:
    """Estimate clicks per request of other orders, (n_segments, n_items), from an explored log.

    Item-position model of S. Li et al., 2018: *Offline Evaluation of Ranking Policies with Click
    Models*. KDD.
    """
    slots = traffic.items.shape[1]
    wanted = np.asarray(orders)[traffic.segments, :slots] == traffic.items
    weights = np.divide(1.0, traffic.propensity, out=np.zeros(wanted.shape), where=wanted)
    all_finite(orders=orders, weights=weights)
    each = (weights * traffic.clicks).sum(axis=1)
    return Estimate(float(each.mean()), float(each.std() / np.sqrt(len(each))))


class Looks(NamedTuple):
    """Examination of each slot relative to the top and its standard error, (n_slots,) each."""

    value: FloatArray
    error: FloatArray


def looks_from_random_lists(traffic: Traffic) -> Looks:
    """Estimate the examination of each slot relative to the top from explored requests.

    Slots of random lists hold equally good items on average: click rates differ by looks alone.
    """
    if not traffic.explored.any():
        raise ValueError("no request was explored: slots and items cannot be told apart")
    clicks = traffic.clicks[traffic.explored].sum(axis=0)
    return _relative(clicks, np.full(len(clicks), clicks[0]), int(traffic.explored.sum()))


def looks_from_swaps(traffic: Traffic, partner: npt.ArrayLike) -> Looks:
    """Estimate the examination of each slot relative to the top from a `swap_visit`.

    A coin decided whether two items were swapped, so both slots held both equally often. From
    T. Joachims et al., 2017: *Unbiased Learning-to-Rank with Biased Feedback*. WSDM.
    """
    slots = np.arange(traffic.clicks.shape[1])
    chosen = np.asarray(partner) == slots[:, None]  # (n_slots, n_requests)
    chosen[0] = True  # the top is no partner
    here = [traffic.clicks[rows, slot].sum() for slot, rows in zip(slots, chosen, strict=True)]
    return _relative(here, [traffic.clicks[rows, 0].sum() for rows in chosen], chosen.sum(axis=1))


def _relative(here: npt.ArrayLike, top: npt.ArrayLike, n: npt.ArrayLike) -> Looks:
    """Return clicks here over clicks on top of n requests, with the error of the delta method."""
    a, b, n = (np.asarray(x, dtype=np.float64) for x in (here, top, n))
    if not b.all():
        raise ValueError("looks: the top was never clicked, so nothing compares with it; log more")
    value = a / b
    error = np.sqrt(a * (1 - a / n) + value**2 * b * (1 - b / n)) / b
    error[0] = 0.0
    return Looks(value, error)


def interval_coverage(
    shop: Shop, policy: Policy, item: int, n_requests: int, n_logs: int, rng: np.random.Generator
) -> float:
    """Return the share of ``n_logs`` logs whose 95 % interval for an item on top holds the truth.

    The estimator adds ``1 / propensity`` for each click on the top slot, and divides by the
    requests (D. Horvitz and D. Thompson, 1952). Counts are drawn instead of customers: the same law
    as `visit` on that slot, in a fraction of the time. A log without the item there is a miss.
    """
    chance = policy.propensity(np.arange(shop.n_segments), item, 0)  # (n_segments,)
    visitors = rng.multinomial(n_requests, shop.share, size=n_logs)  # (n_logs, n_segments)
    shown = rng.binomial(visitors, chance)
    clicks = rng.binomial(shown, shop.appeal[:, item] * shop.examination[0])
    weight = np.divide(1.0, chance, out=np.zeros_like(chance), where=chance > 0)
    value = clicks @ weight / n_requests
    error = np.sqrt(np.maximum(clicks @ weight**2 / n_requests - value**2, 0) / n_requests)
    truth = shop.mean_appeal[item] * shop.examination[0]
    return float((np.abs(value - truth) <= Z95 * error).mean())


def peeking(
    rate: float, n_per_arm: int, n_looks: int, n_tests: int, rng: np.random.Generator
) -> FloatArray:
    """Run tests of two arms with the same click rate; return how far apart each look finds them.

    (n_tests, n_looks) in standard errors, as in the z test of two proportions: above 1.96 is a
    false alarm at 5 %. Looks are equally spaced until an arm has ``n_per_arm`` customers.
    """
    if not 0 < rate < 1 or not 1 <= n_looks <= n_per_arm:
        given = f"rate {rate}, {n_per_arm} customers, {n_looks} looks"
        raise ValueError(f"peeking at {given}: expected 0 to 1, and at least one customer per look")
    step = n_per_arm // n_looks
    arms = (rng.binomial(step, rate, size=(n_tests, n_looks)) for _ in range(2))
    one, two = (np.cumsum(arm, axis=1) for arm in arms)
    seen = step * np.arange(1, n_looks + 1)
    pooled = (one + two) / (2 * seen)
    error = np.sqrt(np.maximum(2 * seen * pooled * (1 - pooled), 1e-300))
    return np.asarray(np.abs(one - two) / error)
