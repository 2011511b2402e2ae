"""Policies of a shop, the traffic that they get, and rounds of feedback between the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .world import FloatArray, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Policy:
    """Show each segment its order, and a share of the requests a random list.

    With ``explore = 0`` most propensities are 0: what is never shown can never be weighted.
    """

    orders: IntArray  # (n_segments, n_items): all items, best first
    explore: float = 0.0  # share of the requests whose list is drawn from the whole catalog

    def __post_init__(self) -> None:
        """Refuse orders that are none."""
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore is {self.explore}, expected a share from 0 to 1")
        n = self.orders.shape[-1]
        if self.orders.ndim != 2 or not (np.sort(self.orders, axis=1) == np.arange(n)).all():
            raise ValueError("orders: every row must hold each item once, best first")

    def propensity(self, segments: IntArray, items: Any, slots: Any) -> FloatArray:
        """Return the chances that the policy puts items into slots for segments."""
        own = self.orders[segments, slots] == items
        return (1 - self.explore) * own + self.explore / self.orders.shape[1]

    def show(self, segments: IntArray, n_slots: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Return the items on the screen of each request, and which of the lists are random."""
        items = self.orders[segments, :n_slots]
        explored = rng.random(len(segments)) < self.explore
        if n := int(explored.sum()):
            everything = np.broadcast_to(np.arange(self.orders.shape[1]), (n, self.orders.shape[1]))
            items[explored] = rng.permuted(everything, axis=1)[:, :n_slots]
        return items, explored


def production_policy(shop: Shop, *, explore: float = 0.0, overlooked: int = 0) -> Policy:
    """Return the policy of a model that is good, but not perfect.

    It orders by the mean of truth and noise, and puts the item ``overlooked``, by default the best
    one, on the last slot of every segment. ``explore`` is the share of random lists.
    """
    noise = np.random.default_rng(0).permuted(shop.appeal, axis=1)
    orders = np.argsort(-(0.5 * shop.appeal + 0.5 * noise), axis=1, kind="stable")
    kept = np.array([row[row != overlooked] for row in orders])
    orders = np.insert(kept, shop.n_slots - 1, overlooked, axis=1)
    return Policy(orders.astype(np.int64), explore)


@dataclass(frozen=True)
class Traffic:
    """Requests and what came of them, as a log holds them."""

    segments: IntArray  # (n_requests,): who asked
    items: IntArray  # (n_requests, n_slots): what was shown
    propensity: FloatArray  # (n_requests, n_slots): with which chance it was in this slot
    explored: npt.NDArray[np.bool_]  # (n_requests,): whether the list was random
    clicks: npt.NDArray[np.bool_]  # (n_requests, n_slots)

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.segments)

    def per_item(self, values: npt.ArrayLike, n_items: int) -> FloatArray:
        """Return the sum of values, (n_requests, n_slots) or (n_slots,), of each item shown."""
        weights = np.broadcast_to(np.asarray(values, np.float64), self.items.shape).ravel()
        sums = np.bincount(self.items.ravel(), weights=weights, minlength=n_items)
        return sums.astype(np.float64)  # no requests, no weights: then they are integers

    def events(self, begin: int, size: int = 5_000) -> Iterator[pd.DataFrame]:
        """Return impressions, then clicks, of ``size`` requests at a time, for `EventLog.load`.

        ``begin`` is the time of the first request, in milliseconds since 1970; one comes a second.
        """
        import pandas as pd

        slots = self.items.shape[1]
        for rows in np.split(np.arange(len(self)), range(size, len(self), size)):
            shown = pd.DataFrame({"item": self.items[rows].ravel(), "kind": "impression"})
            shown["request_id"] = np.repeat([f"r{row:07d}" for row in rows], slots)
            shown["position"] = np.tile(np.arange(slots), len(rows))
            shown["user"] = np.repeat(rows, slots)
            shown["time"] = begin + 1000 * shown["user"]
            shown["propensity"], shown["model"] = self.propensity[rows].ravel(), "planted"
            shown = shown.assign(latency_ms=None, status=None)
            yield shown
            yield shown[self.clicks[rows].ravel()].assign(kind="click", propensity=None)


def visit(shop: Shop, policy: Policy, n_requests: int, rng: np.random.Generator) -> Traffic:
    """Return the traffic of so many requests under a policy."""
    return _visit(shop, policy, n_requests, rng, swap=False)[0]


def swap_visit(
    shop: Shop, policy: Policy, n_requests: int, rng: np.random.Generator
) -> tuple[Traffic, IntArray]:
    """Return traffic where one other slot is swapped with the top one in half of the requests.

    Also return that slot, (n_requests,), from 1; a coin decided whether it was swapped. The
    propensities are those before the swap: this traffic serves to measure slots.
    """
    return _visit(shop, policy, n_requests, rng, swap=True)


def _visit(
    shop: Shop, policy: Policy, n_requests: int, rng: np.random.Generator, swap: bool
) -> tuple[Traffic, IntArray]:
    segments = rng.choice(shop.n_segments, size=n_requests, p=shop.share)
    items, explored = policy.show(segments, shop.n_slots, rng)
    propensity = policy.propensity(segments[:, None], items, np.arange(shop.n_slots))
    partner = np.zeros(n_requests, dtype=np.int64)
    if swap:
        partner = rng.integers(1, shop.n_slots, n_requests)
        rows = np.flatnonzero(rng.random(n_requests) < 0.5)
        items[rows, 0], items[rows, partner[rows]] = items[rows, partner[rows]], items[rows, 0]
    # each slot is looked at, and clicked, by itself
    chance = shop.appeal[segments[:, None], items] * shop.examination
    clicks = rng.random(chance.shape) < chance
    return Traffic(segments, items, propensity, explored, clicks), partner


class Rounds(NamedTuple):
    """Rounds of feedback, (n_rounds,) each: regret in clicks per request, Gini of impressions."""

    regret: FloatArray
    gini: FloatArray


def gini(counts: npt.ArrayLike) -> float:
    """Return how unequally counts are spread: 0 if all are equal, near 1 if one has everything."""
    x = np.sort(np.asarray(counts, dtype=np.float64).ravel())
    n = len(x)
    return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * x.sum()))


def feedback(
    shop: Shop,
    n_rounds: int = 30,
    n_requests: int = 500,
    *,
    explore: float = 0.0,
    learn: str = "clicks",
    seed: int = 0,
) -> Rounds:
    """Return rounds of a shop that orders its items, for all segments alike, by all earlier clicks.

    ``learn`` says how: by ``clicks``, as a list of bestsellers; by the ``rate`` of clicks per
    impression; by clicks per expected ``looks``, which is the rate without the display bias. Rates
    are pulled towards the overall rate by ten impressions (or looks), so an item that was never
    shown counts as average. ``explore`` is the share of requests with a random list; the first
    round shows a random order.
    """
    if learn not in ("clicks", "rate", "looks"):
        raise ValueError(f"learn is {learn!r}, expected clicks, rate or looks")
    rng, n = np.random.default_rng(seed), shop.n_items
    best = shop.clicks_per_request(np.tile(np.argsort(-shop.mean_appeal), (shop.n_segments, 1)))
    random_list = shop.examination.sum() * shop.mean_appeal.mean()
    looks = shop.examination if learn == "looks" else np.ones(shop.n_slots)
    clicks, seen, shown = np.zeros(n), np.zeros(n), np.zeros(n)
    regret, spread = np.zeros(n_rounds), np.zeros(n_rounds)
    tie = rng.random(n)  # the first order, and among equals
    for number in range(n_rounds):
        overall = clicks.sum() / seen.sum() if seen.sum() else 0.0
        worth = clicks if learn == "clicks" else (clicks + 10 * overall) / (seen + 10)
        orders = np.tile(np.lexsort((tie, -worth)), (shop.n_segments, 1))
        traffic = visit(shop, Policy(orders, explore), n_requests, rng)
        clicks = clicks + traffic.per_item(traffic.clicks, n)
        shown, seen = shown + traffic.per_item(1.0, n), seen + traffic.per_item(looks, n)
        earned = (1 - explore) * shop.clicks_per_request(orders) + explore * random_list
        regret[number], spread[number] = best - earned, gini(shown)
    return Rounds(regret, spread)
