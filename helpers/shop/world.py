"""Shop whose truth is known: the appeal of items to kinds of customers, the looks of slots."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def examination(n_slots: int, bias: float) -> FloatArray:
    """Return the chance that a customer looks at each slot, (n_slots,).

    Slot ``k``, from 0, is looked at with chance ``(k + 1) ** -bias``. The bias is 0 or more.
    """
    if n_slots < 1 or not 0 <= bias < np.inf:
        raise ValueError(f"examination of {n_slots} slots, bias {bias}: expected at least 1 and 0")
    return np.arange(1, n_slots + 1, dtype=np.float64) ** -float(bias)


@dataclass(frozen=True)
class Shop:
    """A shop under the position-based click model: *looked at* times *liked* is *clicked*.

    N. Craswell et al., 2008: *An Experimental Comparison of Click Position-Bias Models*. WSDM.
    """

    appeal: FloatArray  # (n_segments, n_items): chance that a customer who looks clicks
    share: FloatArray  # (n_segments,): of the traffic; sums to 1
    examination: FloatArray  # (n_slots,): chance that a slot is looked at; 1 for the top

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

    def _chances(self, orders: npt.ArrayLike) -> FloatArray:
        shown = np.asarray(orders)[:, : self.n_slots]
        return np.take_along_axis(self.appeal, shown, axis=1) * self.examination

    def clicks_per_request(self, orders: npt.ArrayLike) -> float:
        """Return the expected clicks of a request if each segment is shown its order."""
        return float(self.share @ self._chances(orders).sum(axis=1))

    def any_click(self, orders: npt.ArrayLike) -> float:
        """Return the expected share of requests with a click if each is shown its order."""
        return float(self.share @ (1 - (1 - self._chances(orders)).prod(axis=1)))


def plant_shop(
    n_items: int = 20, n_slots: int = 10, n_segments: int = 3, *, bias: float = 1.0, seed: int = 0
) -> Shop:
    """Return a shop where most items appeal to few, segments agree in part, and item 0 is best."""
    if not 1 <= n_slots <= n_items or n_segments < 1:
        given = f"{n_slots} slots for {n_items} items and {n_segments} segments"
        raise ValueError(f"{given}: expected 1 to all of the items, and at least 1 segment")
    rng = np.random.default_rng(seed)
    common = rng.beta(1.0, 6.0, size=n_items)
    taste = rng.beta(1.0, 6.0, size=(n_segments, n_items))
    appeal = 0.5 * common + 0.5 * taste
    share = np.arange(n_segments, 0, -1, dtype=np.float64)
    share /= share.sum()
    order = np.argsort(-(share @ appeal), kind="stable")
    return Shop(np.ascontiguousarray(appeal[:, order]), share, examination(n_slots, bias))
