"""The feedback loop: a shop learns from the clicks on what it showed, round after round."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .policies import Policy
from .traffic import visit
from .world import FloatArray, Shop


class Rounds(NamedTuple):
    """What happened in each round.

    Attributes
    ----------
    regret : numpy.ndarray
        (n_rounds,): clicks per request that the best order would have brought more, in expectation.
    gini : numpy.ndarray
        (n_rounds,): concentration of all impressions so far over the items.
    shown : numpy.ndarray
        (n_items,): impressions of each item after the last round.
    """

    regret: FloatArray
    gini: FloatArray
    shown: FloatArray


def gini(counts: npt.ArrayLike) -> float:
    """Return how unequally counts are spread: 0 if all are equal, towards 1 if one has everything.

    Raises
    ------
    ValueError
        If a count is negative or all are 0.
    """
    x = np.sort(np.asarray(counts, dtype=np.float64).ravel())
    if not len(x) or x[0] < 0 or not x.sum():
        raise ValueError("gini: expected counts of 0 or more, not all 0")
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
    """Run a shop that orders its items by the clicks of all rounds before.

    Parameters
    ----------
    shop : Shop
        The truth; the model does not see it, and treats all segments alike.
    n_rounds, n_requests : int
        Rounds of training, and requests served in each.
    explore : float
        Share of requests that get a random list.
    learn : str
        What orders the items: ``"clicks"``, how many there were, as in a list of bestsellers;
        ``"rate"``, clicks over impressions; ``"looks"``, clicks over expected looks, that is the
        rate with the display bias taken out.
    seed : int
        Same seed, same customers.

    Notes
    -----
    Rates are pulled towards the overall rate by ten impressions (or looks), so an item that was
    never shown stands in the middle. The first round shows a random order.

    Raises
    ------
    ValueError
        If ``learn`` is something else.
    """
    if learn not in ("clicks", "rate", "looks"):
        raise ValueError(f"learn is {learn!r}, expected clicks, rate or looks")
    rng = np.random.default_rng(seed)
    n = shop.n_items
    best = shop.clicks_per_request(np.tile(np.argsort(-shop.mean_appeal), (shop.n_segments, 1)))
    random_list = shop.examination.sum() * shop.mean_appeal.mean()
    looks = shop.examination if learn == "looks" else np.ones(shop.n_slots)
    clicks, seen, shown = np.zeros(n), np.zeros(n), np.zeros(n)
    regret, spread = np.zeros(n_rounds), np.zeros(n_rounds)
    tie = rng.random(n)  # the first order, and among equals
    for number in range(n_rounds):
        overall = clicks.sum() / seen.sum() if seen.sum() else 0.0
        worth = clicks if learn == "clicks" else (clicks + 10 * overall) / (seen + 10)
        order = np.lexsort((tie, -worth))
        orders = np.tile(order, (shop.n_segments, 1))
        traffic = visit(shop, Policy(orders, explore), n_requests, rng)
        shown_now, clicks_now = traffic.counts(n)
        clicks, shown = clicks + clicks_now, shown + shown_now
        seen = seen + np.bincount(
            traffic.items.ravel(), weights=np.tile(looks, n_requests), minlength=n
        )
        earned = (1 - explore) * shop.clicks_per_request(orders) + explore * random_list
        regret[number], spread[number] = best - earned, gini(shown)
    return Rounds(regret, spread, shown)
