"""Does 0.3 mean three in ten? Reliability of predicted probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram as numbers.

    Attributes
    ----------
    predicted, observed : ndarray of float64, (n_bins,)
        Mean predicted probability and share of positives in each bin that is not empty.
    count : ndarray of int64, (n_bins,)
        Predictions in each bin.
    ece : float
        Expected calibration error: mean of ``|predicted - observed|``, weighted by count.
    ratio : float
        Mean prediction over share of positives: 1 is right on average, 10 is ten times too high.
    """

    predicted: FloatArray
    observed: FloatArray
    count: npt.NDArray[np.int64]
    ece: float
    ratio: float


def calibration(
    probabilities: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    bins: int = 10,
    strategy: Literal["width", "quantile"] = "width",
) -> Calibration:
    """Compare predicted probabilities with what happened.

    Parameters
    ----------
    probabilities : array of float, (n,)
        Between 0 and 1.
    outcomes : array of 0 and 1, (n,)
        What happened.
    bins : int
        Number of bins.
    strategy : {"width", "quantile"}
        Bins of equal width, or with about equally many predictions: with rare
        positives almost everything falls into the first bin of equal width.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        For numbers outside 0..1, other outcomes, and different or no lengths.

    References
    ----------
    Naeini, Cooper and Hauskrecht 2015 (expected calibration error).
    """
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(outcomes, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape or not len(p):
        raise ValueError(
            f"probabilities have shape {p.shape}, outcomes {y.shape}; expected one length, not empty"
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            f"probabilities run from {p.min()} to {p.max()}; expected 0 to 1 (logits? use a sigmoid)"
        )
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("outcomes hold other numbers than 0 and 1")
    if bins < 1 or strategy not in ("width", "quantile"):
        raise ValueError(
            f"bins={bins}, strategy={strategy!r}; expected 1 or more, width or quantile"
        )
    if strategy == "width":
        which = np.minimum((p * bins).astype(np.int64), bins - 1)
    else:
        edges = np.quantile(p, np.arange(1, bins) / bins)
        which = np.searchsorted(edges, p, side="right")
    count = np.bincount(which, minlength=bins)
    full = count > 0
    predicted = np.bincount(which, weights=p, minlength=bins)[full] / count[full]
    observed = np.bincount(which, weights=y, minlength=bins)[full] / count[full]
    ece = float(np.average(np.abs(predicted - observed), weights=count[full]))
    ratio = float(p.mean() / y.mean()) if y.any() else float("inf")
    return Calibration(predicted, observed, count[full], ece, ratio)
