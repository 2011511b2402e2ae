"""A shop whose truth is known: how much each kind of customer likes each item, and how far they look."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def examination(n_slots: int, bias: float) -> FloatArray:
    """Return the chance that a customer looks at each slot, (n_slots,).

    Parameters
    ----------
    n_slots : int
        Length of the list on the screen.
    bias : float
        Strength of the display bias: slot ``k``, counted from 0, is looked at with chance
        ``(k + 1) ** -bias``. With 0 all are looked at; with 1 the tenth by one in ten.

    Raises
    ------
    ValueError
        If there is no slot, or the bias is negative.
    """
    if n_slots < 1 or bias < 0:
        raise ValueError(f"examination of {n_slots} slots, bias {bias}: expected at least 1 and 0")
    return np.arange(1, n_slots + 1, dtype=np.float64) ** -float(bias)


@dataclass(frozen=True)
class Shop:
    """A shop under the position-based click model: *looked at* times *liked* is *clicked*.

    Attributes
    ----------
    appeal : numpy.ndarray
        (n_segments, n_items): chance that a customer of the segment clicks the item once they look at it.
    share : numpy.ndarray
        (n_segments,): share of each segment in the traffic; sums to 1.
    examination : numpy.ndarray
        (n_slots,): chance that a slot is looked at; the top one is always, 1.

    References
    ----------
    N. Craswell et al., 2008: *An Experimental Comparison of Click Position-Bias Models*. WSDM.
    """

    appeal: FloatArray
    share: FloatArray
    examination: FloatArray

    def __post_init__(self) -> None:
        """Refuse what is not a chance."""
        if self.appeal.ndim != 2 or self.share.shape != (len(self.appeal),):
            given = f"appeal {self.appeal.shape}, share {self.share.shape}"
            raise ValueError(f"{given}: expected (segments, items) and (segments,)")
        for name in ("appeal", "share", "examination"):
            values = getattr(self, name)
            if not ((values >= 0) & (values <= 1)).all():
                raise ValueError(
                    f"{name} holds {values.min():g} to {values.max():g}, expected chances, 0 to 1"
                )
        if abs(self.share.sum() - 1) > 1e-9:
            raise ValueError(f"share sums to {self.share.sum():g}, expected 1")
        if not 1 <= self.n_slots <= self.n_items:
            raise ValueError(
                f"{self.n_slots} slots for {self.n_items} items: expected 1 to all of them"
            )

    @property
    def n_segments(self) -> int:
        """Kinds of customers."""
        return len(self.appeal)

    @property
    def n_items(self) -> int:
        """Size of the catalog."""
        return self.appeal.shape[1]

    @property
    def n_slots(self) -> int:
        """Length of the list on the screen."""
        return len(self.examination)

    @property
    def mean_appeal(self) -> FloatArray:
        """The truth about items, (n_items,): the click rate of each if everybody saw it on top."""
        return self.share @ self.appeal

    def with_bias(self, bias: float) -> Shop:
        """Return the same shop with another strength of display bias."""
        return replace(self, examination=examination(self.n_slots, bias))

    def best_orders(self) -> npt.NDArray[np.int64]:
        """Return for each segment all items, best first, (n_segments, n_items)."""
        return np.argsort(-self.appeal, axis=1, kind="stable")

    def clicks_per_request(self, orders: npt.ArrayLike) -> float:
        """Return the expected clicks of a request if each segment is shown its order, best first."""
        shown = np.asarray(orders)[:, : self.n_slots]
        chances = np.take_along_axis(self.appeal, shown, axis=1) * self.examination
        return float(self.share @ chances.sum(axis=1))

    def any_click(self, orders: npt.ArrayLike) -> float:
        """Return the expected share of requests with a click if each segment is shown its order."""
        shown = np.asarray(orders)[:, : self.n_slots]
        chances = np.take_along_axis(self.appeal, shown, axis=1) * self.examination
        return float(self.share @ (1 - (1 - chances).prod(axis=1)))


def plant_shop(
    n_items: int = 20, n_slots: int = 10, n_segments: int = 3, *, bias: float = 1.0, seed: int = 0
) -> Shop:
    """Plant a shop.

    Parameters
    ----------
    n_items, n_slots, n_segments : int
        Sizes.
    bias : float
        Strength of the display bias, see :func:`examination`.
    seed : int
        Same seed, same shop.

    Returns
    -------
    Shop
        Most items appeal to few; segments agree in part. Item 0 is liked best by the average customer.
    """
    rng = np.random.default_rng(seed)
    common = rng.beta(1.0, 6.0, size=n_items)
    taste = rng.beta(1.0, 6.0, size=(n_segments, n_items))
    appeal = 0.5 * common + 0.5 * taste
    share = np.arange(n_segments, 0, -1, dtype=np.float64)
    share /= share.sum()
    order = np.argsort(-(share @ appeal), kind="stable")
    return Shop(np.ascontiguousarray(appeal[:, order]), share, examination(n_slots, bias))
