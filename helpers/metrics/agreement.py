"""Whether two scores put the items in the same order, ties allowed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def contradictions(one: npt.ArrayLike, other: npt.ArrayLike, atol: float = 1e-9) -> int:
    """Count the items that two scores place on different sides of some other item.

    An item counts when another stands clearly above it by ``other`` and clearly below it by ``one``; clearly
    means by more than ``atol``. Scores that differ by a constant never contradict each other, and ties may be
    broken either way. Takes O(n log n), not a look at every pair.

    Parameters
    ----------
    one, other : array of float, (n,)
        Scores of the same items, higher is better.
    atol : float
        Differences up to this are ties.

    Returns
    -------
    int
        0 where the orders agree, at most n.

    Raises
    ------
    ValueError
        Different lengths, or a NaN.

    Examples
    --------
    >>> contradictions([3, 2, 1], [0.3, 0.2, 0.2])
    0
    >>> contradictions([3, 1, 2], [0.3, 0.2, 0.1])
    1
    """
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"scores of shapes {a.shape} and {b.shape}; expected two rows of equal length"
        )
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("a score is NaN; expected numbers")
    order = np.argsort(-b, kind="stable")
    a, b = a[order], b[order]
    lowest = np.minimum.accumulate(a)
    ahead = np.searchsorted(-b, -b - atol)  # so many are clearly ahead by the other score
    return int(((ahead > 0) & (a > lowest[ahead - 1] + atol)).sum())
