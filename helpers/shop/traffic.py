"""Customers come, look from the top, and click: what the log of a shop holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .policies import IntArray, Policy, Shown
from .world import FloatArray, Shop

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Traffic:
    """Requests and what came of them, as a log holds them.

    Attributes
    ----------
    segments : numpy.ndarray
        (n_requests,): who asked.
    items, propensity : numpy.ndarray
        (n_requests, n_slots): what was shown, and with which chance.
    explored : numpy.ndarray
        (n_requests,) bool: whether the list was random.
    clicks : numpy.ndarray
        (n_requests, n_slots) bool.
    """

    segments: IntArray
    items: IntArray
    propensity: FloatArray
    explored: npt.NDArray[np.bool_]
    clicks: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.segments)

    def frame(self) -> pd.DataFrame:
        """Return one row an impression: request, segment, position, item, propensity, explored, click."""
        import pandas as pd

        n, slots = self.items.shape
        return pd.DataFrame(
            {
                "request": np.repeat(np.arange(n), slots),
                "segment": np.repeat(self.segments, slots),
                "position": np.tile(np.arange(slots), n),
                "item": self.items.ravel(),
                "propensity": self.propensity.ravel(),
                "explored": np.repeat(self.explored, slots),
                "click": self.clicks.ravel().astype(np.int64),
            }
        )

    def counts(self, n_items: int, slots: int | None = None) -> tuple[FloatArray, FloatArray]:
        """Return impressions and clicks of each item, (n_items,) each, in the first ``slots`` slots."""
        shown, clicked = self.items[:, :slots].ravel(), self.clicks[:, :slots].ravel()
        impressions = np.bincount(shown, minlength=n_items).astype(np.float64)
        return impressions, np.bincount(
            shown, weights=clicked.astype(np.float64), minlength=n_items
        ).astype(np.float64)


def visit(shop: Shop, policy: Policy, n_requests: int, rng: np.random.Generator) -> Traffic:
    """Let customers come.

    Parameters
    ----------
    shop : Shop
        The truth.
    policy : Policy
        What is shown.
    n_requests : int
        How many requests.
    rng : numpy.random.Generator
        Source of chance.
    """
    segments = rng.choice(shop.n_segments, size=n_requests, p=shop.share)
    shown = policy.show(segments, shop.n_slots, rng)
    return answer(shop, segments, shown, rng)


def answer(shop: Shop, segments: IntArray, shown: Shown, rng: np.random.Generator) -> Traffic:
    """Let customers look at the lists before them; each slot is looked at, and clicked, by itself."""
    slots = shown.items.shape[1]
    chance = shop.appeal[segments[:, None], shown.items] * shop.examination[:slots]
    clicks = rng.random(chance.shape) < chance
    return Traffic(segments, shown.items, shown.propensity, shown.explored, clicks)


def swap_visit(
    shop: Shop, policy: Policy, n_requests: int, rng: np.random.Generator
) -> tuple[Traffic, IntArray]:
    """Let customers come while one other slot is swapped with the top one in half of the requests.

    Returns
    -------
    traffic : Traffic
        ``propensity`` is that of the policy before the swap: this traffic serves to measure slots.
    partner : numpy.ndarray
        (n_requests,): the slot, 1 or further down, that was chosen to be swapped, or not, by a coin.
    """
    segments = rng.choice(shop.n_segments, size=n_requests, p=shop.share)
    shown = policy.show(segments, shop.n_slots, rng)
    partner = rng.integers(1, shop.n_slots, n_requests)
    rows = np.flatnonzero(rng.random(n_requests) < 0.5)
    items = shown.items.copy()
    items[rows, 0], items[rows, partner[rows]] = (
        shown.items[rows, partner[rows]],
        shown.items[rows, 0],
    )
    return answer(shop, segments, shown._replace(items=items), rng), partner
