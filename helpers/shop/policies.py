"""What a shop shows: an order for each segment, with a known amount of chance in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .world import FloatArray, Shop

IntArray = npt.NDArray[np.int64]


class Shown(NamedTuple):
    """Lists on screens.

    Attributes
    ----------
    items : numpy.ndarray
        (n_requests, n_slots), best slot first.
    propensity : numpy.ndarray
        (n_requests, n_slots): chance with which the policy puts this item into this slot.
    explored : numpy.ndarray
        (n_requests,) bool: whether the list was drawn at random.
    """

    items: IntArray
    propensity: FloatArray
    explored: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Policy:
    """Shows each segment its order; a small share of requests gets items in random order.

    Attributes
    ----------
    orders : numpy.ndarray
        (n_segments, n_items): all items, best first.
    explore : float
        Share of the requests whose list is drawn uniformly from the whole catalog.

    Notes
    -----
    An item on its own slot has the propensity ``1 - explore + explore / n_items``,
    anywhere else ``explore / n_items``. With ``explore = 0`` most are 0: what is
    never shown can never be weighted.
    """

    orders: IntArray
    explore: float = 0.0

    def __post_init__(self) -> None:
        """Refuse orders that are none."""
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore is {self.explore}, expected a share from 0 to 1")
        n = self.orders.shape[-1]
        if self.orders.ndim != 2 or not (np.sort(self.orders, axis=1) == np.arange(n)).all():
            raise ValueError("orders: every row must hold each item once, best first")

    def propensity(
        self, segment: npt.ArrayLike, item: npt.ArrayLike, position: npt.ArrayLike
    ) -> FloatArray:
        """Return the chance that the policy puts an item into a slot for a segment."""
        own = self.orders[np.asarray(segment), np.asarray(position)] == np.asarray(item)
        return (1 - self.explore) * own + self.explore / self.orders.shape[1]

    def show(self, segments: IntArray, n_slots: int, rng: np.random.Generator) -> Shown:
        """Make a list for each request.

        Parameters
        ----------
        segments : numpy.ndarray
            (n_requests,): who asks.
        n_slots : int
            Items on a screen.
        rng : numpy.random.Generator
            Source of chance.
        """
        items = self.orders[segments, :n_slots]
        explored = rng.random(len(segments)) < self.explore
        n = int(explored.sum())
        if n:
            everything = np.broadcast_to(np.arange(self.orders.shape[1]), (n, self.orders.shape[1]))
            items[explored] = rng.permuted(everything, axis=1)[:, :n_slots]
        chance = self.propensity(segments[:, None], items, np.arange(n_slots))
        return Shown(items, chance, explored)


def production_policy(
    shop: Shop,
    *,
    explore: float = 0.0,
    skill: float = 0.5,
    overlooked: int | None = 0,
    seed: int = 0,
) -> Policy:
    """Return the policy of a model that is good, but not perfect.

    Parameters
    ----------
    shop : Shop
        Whose truth the model knows in part.
    explore : float
        Share of random lists.
    skill : float
        0 orders at random, 1 by the truth.
    overlooked : int, optional
        An item that the model puts on the last slot of every segment, whatever it is worth;
        by default the best one.
    seed : int
        Same seed, same model.
    """
    if not 0 <= skill <= 1:
        raise ValueError(f"skill is {skill}, expected 0 to 1")
    rng = np.random.default_rng(seed)
    noise = rng.permuted(shop.appeal, axis=1)
    orders = np.argsort(-(skill * shop.appeal + (1 - skill) * noise), axis=1, kind="stable")
    if overlooked is not None:
        last = shop.n_slots - 1
        kept = np.array([row[row != overlooked] for row in orders])
        orders = np.insert(kept, last, overlooked, axis=1)
    return Policy(orders.astype(np.int64), explore)
