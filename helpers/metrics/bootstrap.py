"""Uncertainty by resampling: an interval for a statistic, and a fair comparison of two models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# values of one block of resamples that are in memory at once (32 MB of float64)
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A statistic of the sample and the interval that resampling gives it."""

    value: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        """``0.950 [0.941, 0.958]``."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., np.ndarray] = np.mean,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a statistic over independent units, usually users.

    Parameters
    ----------
    values : array-like
        (m,) one number a unit.
    statistic : callable
        Called as ``statistic(samples, axis=1)`` on (b, m) resamples; must return (b,). NumPy's
        ``mean``, ``median`` and ``std`` do.
    n : int
        Number of resamples.
    seed : int
        Seed of the resampling.
    level : float
        Coverage, between 0 and 1.

    Returns
    -------
    Interval
        ``value``, ``low`` and ``high`` in the unit of ``values``.

    Raises
    ------
    ValueError
        Empty or not finite values, ``n`` below 1, ``level`` not between 0 and 1.

    Notes
    -----
    Efron (1979). Ratings of one user are not independent: resample users, not ratings.
    """
    array = _checked(values, "values", n, level)
    value = float(np.asarray(statistic(array[None, :], axis=1))[0])
    resampled = _resample(array, statistic, n, seed)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


def paired_bootstrap(
    first: ArrayLike, second: ArrayLike, n: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Interval of the mean difference ``first - second`` over the same units.

    Both models see the same users, so the spread between users cancels; comparing two separate
    intervals instead hides real differences.

    Parameters
    ----------
    first, second : array-like
        (m,) one number a unit, in the same order.
    n, seed, level : int, int, float
        See `bootstrap_interval`.

    Returns
    -------
    Interval
        A difference is established at ``level`` where ``low`` and ``high`` have the same sign.

    Raises
    ------
    ValueError
        Different lengths, or as `bootstrap_interval`.
    """
    left, right = _checked(first, "first", n, level), _checked(second, "second", n, level)
    if left.shape != right.shape:
        raise ValueError(
            f"first has {left.size} values and second has {right.size}: expected the same units in both"
        )
    return bootstrap_interval(left - right, np.mean, n, seed, level)


def rmse_gap(
    first: ArrayLike,
    second: ArrayLike,
    actual: ArrayLike,
    users: ArrayLike,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of the difference of two RMSE on the same rows, with users as the units.

    Ratings of one user are not independent, so users are drawn, each with all of their rows.

    Parameters
    ----------
    first, second, actual : array-like
        (m,) two predictions of the same ratings, and the ratings.
    users : array-like
        (m,) index of the user of each row, 0 or more.
    n, seed, level : int, int, float
        See `bootstrap_interval`.

    Returns
    -------
    Interval
        RMSE of ``first`` minus RMSE of ``second``; below 0 where ``first`` is the better.

    Raises
    ------
    ValueError
        Different lengths, or as `bootstrap_interval`.
    """
    left, right, truth = (
        _checked(part, name, n, level)
        for part, name in ((first, "first"), (second, "second"), (actual, "actual"))
    )
    who = np.asarray(users)
    sizes = [part.size for part in (left, right, truth, who)]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"first, second, actual, users have {sizes} values: expected as many in each"
        )
    _, unit = np.unique(who, return_inverse=True)
    rows = np.bincount(unit)
    ours, theirs = (np.bincount(unit, (part - truth) ** 2) for part in (left, right))

    def difference(drawn: np.ndarray, axis: int) -> np.ndarray:
        index = drawn.astype(np.int64)
        count = rows[index].sum(axis)
        return np.sqrt(ours[index].sum(axis) / count) - np.sqrt(theirs[index].sum(axis) / count)

    return bootstrap_interval(np.arange(len(rows)), difference, n, seed, level)


def _resample(
    array: np.ndarray, statistic: Callable[..., np.ndarray], n: int, seed: int
) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // array.size)
    blocks = []
    for start in range(0, n, rows):
        index = generator.integers(0, array.size, size=(min(rows, n - start), array.size))
        blocks.append(np.asarray(statistic(array[index], axis=1)))
    return np.concatenate(blocks)


def _checked(values: ArrayLike, name: str, n: int, level: float) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{name}: expected one dimension and at least one value, got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        where = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name}: expected finite numbers, got {array[where]} at position {where}")
    if n < 1:
        raise ValueError(f"n={n}: expected at least 1 resample")
    if not 0 < level < 1:
        raise ValueError(f"level={level}: expected a share between 0 and 1, such as 0.95")
    return array
