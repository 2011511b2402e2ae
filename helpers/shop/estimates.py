"""From what was logged to what is true: click rates, weights against bias, and their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .traffic import Traffic
from .world import FloatArray

#: standard errors on each side of a 95 % interval
Z95 = 1.959963984540054


class Looks(NamedTuple):
    """The examination of each slot relative to the top, with standard errors.

    Attributes
    ----------
    value, error : numpy.ndarray
        (n_slots,) each; the top is 1 by definition, without an error.
    """

    value: FloatArray
    error: FloatArray


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

    def holds(self, truth: float) -> bool:
        """Return whether the truth lies in the 95 % interval."""
        return self.low <= truth <= self.high

    def __str__(self) -> str:
        """Return the value and its interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def naive_ctr(traffic: Traffic, item: int) -> Estimate:
    """Return clicks over impressions of an item, wherever and to whomever it was shown."""
    mine = traffic.items == item
    n = int(mine.sum())
    if not n:
        raise ValueError(f"item {item} was never shown: it has no click rate")
    value = float(traffic.clicks[mine].mean())
    return Estimate(value, float(np.sqrt(value * (1 - value) / n)))


def ips(
    clicks: npt.ArrayLike,
    propensity: npt.ArrayLike,
    n_requests: int,
    *,
    clip: float | None = None,
    normalize: bool = False,
) -> Estimate:
    """Estimate what would have been clicked had *every* request been served in one given way.

    Parameters
    ----------
    clicks : array_like
        (m,): clicks of the requests that happened to be served in that way.
    propensity : array_like
        (m,): chance with which the policy served them so.
    n_requests : int
        All requests, also those served otherwise.
    clip : float, optional
        Largest weight ``1 / propensity``; less variance, and a bias downwards.
    normalize : bool
        Divide by the sum of the weights instead of by ``n_requests`` (self-normalized): a little
        bias that vanishes with ``m``, less variance, and never above the largest click.

    Returns
    -------
    Estimate
        For the self-normalized one with the error of a ratio (delta method).

    Raises
    ------
    ValueError
        If a propensity is missing, 0 or above 1, or the counts do not fit.

    References
    ----------
    D. Horvitz and D. Thompson, 1952: *A Generalization of Sampling Without Replacement From a Finite
    Universe*. JASA 47. A. Swaminathan and T. Joachims, 2015: *The Self-Normalized Estimator for
    Counterfactual Learning*. NIPS.
    """
    c, p = np.asarray(clicks, dtype=np.float64), np.asarray(propensity, dtype=np.float64)
    if c.ndim != 1 or c.shape != p.shape or not 0 < len(c) <= n_requests:
        raise ValueError(
            f"ips: {c.shape} clicks, {p.shape} propensities of {n_requests} requests; expected one each, "
            "at least one, at most all"
        )
    if not ((p > 0) & (p <= 1)).all():
        raise ValueError(
            "ips: a propensity is missing, 0 or above 1: such an impression cannot be weighted"
        )
    if clip is not None and clip < 1:
        raise ValueError(f"ips: clip is {clip}, expected a largest weight of at least 1")
    weights = 1 / p if clip is None else np.minimum(1 / p, clip)
    if normalize:
        total = weights.sum()
        value = float((weights * c).sum() / total)
        return Estimate(value, float(np.sqrt(((weights * (c - value)) ** 2).sum()) / total))
    value = float((weights * c).sum() / n_requests)
    square = float(((weights * c) ** 2).sum() / n_requests)
    return Estimate(value, float(np.sqrt(max(square - value**2, 0.0) / n_requests)))


def ips_on_top(
    traffic: Traffic, item: int, *, clip: float | None = None, normalize: bool = False
) -> Estimate:
    """Estimate the click rate of an item if everybody saw it on top, by :func:`ips`."""
    top = traffic.items[:, 0] == item
    if not top.any():
        raise ValueError(f"item {item} was never on top: no weight can make up for that; explore")
    return ips(
        traffic.clicks[top, 0],
        traffic.propensity[top, 0],
        len(traffic),
        clip=clip,
        normalize=normalize,
    )


def policy_value(traffic: Traffic, orders: npt.ArrayLike, *, clip: float | None = None) -> Estimate:
    """Estimate clicks per request of another order, from a log of this one.

    Parameters
    ----------
    traffic : Traffic
        With exploration.
    orders : array_like
        (n_segments, n_items): what would be shown, best first.
    clip : float, optional
        Largest weight.

    References
    ----------
    S. Li et al., 2018: *Offline Evaluation of Ranking Policies with Click Models*. KDD (item-position model).
    """
    slots = traffic.items.shape[1]
    wanted = np.asarray(orders)[traffic.segments, :slots] == traffic.items
    weights = np.divide(1.0, traffic.propensity, out=np.zeros(wanted.shape), where=wanted)
    if clip is not None:
        weights = np.minimum(weights, clip)
    each = (weights * traffic.clicks).sum(axis=1)
    return Estimate(float(each.mean()), float(each.std() / np.sqrt(len(each))))


def looks_from_random_lists(traffic: Traffic) -> Looks:
    """Estimate the examination of each slot relative to the top from explored requests.

    In random lists all slots hold equally good items on average, so their click rates differ by looks alone.

    Raises
    ------
    ValueError
        If no request was explored, or none was clicked on top.
    """
    if not traffic.explored.any():
        raise ValueError("no request was explored: slots and items cannot be told apart")
    clicks = traffic.clicks[traffic.explored].sum(axis=0)
    return _relative(clicks, np.full(len(clicks), clicks[0]), int(traffic.explored.sum()))


def looks_from_swaps(traffic: Traffic, partner: npt.ArrayLike) -> Looks:
    """Estimate the examination of each slot relative to the top from swaps with the top.

    Whether two items were swapped was a coin's choice, so both slots of a pair held both equally often.

    Raises
    ------
    ValueError
        If a slot was never swapped, or the top was never clicked while it was.

    References
    ----------
    T. Joachims, A. Swaminathan, T. Schnabel, 2017: *Unbiased Learning-to-Rank with Biased Feedback*. WSDM.
    """
    partner = np.asarray(partner)
    slots = np.arange(traffic.clicks.shape[1])
    chosen = partner == slots[:, None]  # (n_slots, n_requests); the top is nobody's partner
    chosen[0] = True
    here = np.array(
        [traffic.clicks[rows, slot].sum() for slot, rows in zip(slots, chosen, strict=True)]
    )
    return _relative(
        here, np.array([traffic.clicks[rows, 0].sum() for rows in chosen]), chosen.sum(axis=1)
    )


def _relative(here: npt.ArrayLike, top: npt.ArrayLike, n: npt.ArrayLike) -> Looks:
    """Return clicks on each slot over clicks on top of the same n requests, with the delta method's error."""
    a, b, n = (np.asarray(x, dtype=np.float64) for x in (here, top, n))
    if not b.all():
        raise ValueError(
            "looks: the top was never clicked, so nothing can be compared with it; log more"
        )
    value = a / b
    error = np.sqrt(a * (1 - a / n) + value**2 * b * (1 - b / n)) / b
    error[0] = 0.0
    return Looks(value, error)


def clicks_per_look(traffic: Traffic, looks: npt.ArrayLike, n_items: int) -> FloatArray:
    """Return clicks over expected looks of each item, (n_items,); nan for an item never shown."""
    looks = np.asarray(looks, dtype=np.float64)
    seen = np.bincount(
        traffic.items.ravel(), weights=np.tile(looks, len(traffic)), minlength=n_items
    )
    _, clicks = traffic.counts(n_items)
    return np.divide(clicks, seen, out=np.full(n_items, np.nan), where=seen > 0)
