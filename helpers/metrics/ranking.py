"""Hit rate, NDCG, recall, precision and reciprocal rank, one number a user.

Every function takes `Ranks` and returns an array (n_evaluated,), so that a mean
is ``.mean()`` and an interval is a bootstrap over users. Where scores are tied and
the rule is "expected", each value is the exact mean over all orders of the tied
items; NDCG then equals scikit-learn's ``ndcg_score`` with its default treatment of ties.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from helpers.metrics.ranks import Ranks

FloatArray = npt.NDArray[np.float64]


def hit_rate(ranks: Ranks, k: int = 10) -> FloatArray:
    """Whether at least one held-out item stands in the top k: 1, 0, or its chance where tied.

    Parameters
    ----------
    ranks : Ranks
        From `rank_held_out` or `rank_candidates`.
    k : int
        Length of the list, at least 1.

    Returns
    -------
    ndarray of float64, (n_evaluated,)

    Examples
    --------
    >>> from helpers.metrics.ranks import rank_held_out
    >>> hit_rate(rank_held_out([[3.0, 2.0, 1.0]], ([0], [1])), k=1)
    array([0.])
    """
    _check_k(k)
    first, size, relevant = _first_group(ranks)
    # the group of the best held-out item has `places` of its `size` positions inside the top k
    places = np.clip(k - ranks.above[first], 0, size)
    missed = np.ones(len(first))
    for j in range(
        int(relevant.max())
    ):  # all `relevant` items fall outside: C(size-places, r) / C(size, r)
        left = size - j
        missed *= np.where(j < relevant, np.maximum(left - places, 0) / np.maximum(left, 1), 1.0)
    return 1.0 - missed


def recall(ranks: Ranks, k: int = 10) -> FloatArray:
    """Share of a user's held-out items that stand in the top k.

    The denominator is the number of held-out items, also where it exceeds k.
    Parameters and shape as in `hit_rate`.
    """
    return _found(ranks, k) / ranks.n_held_out


def precision(ranks: Ranks, k: int = 10) -> FloatArray:
    """Share of the top k that is held out; at most ``n_held_out / k``.

    The denominator is k, also where the ranking is shorter. Parameters and
    shape as in `hit_rate`.
    """
    return _found(ranks, k) / k


def ndcg(ranks: Ranks, k: int = 10) -> FloatArray:
    """Normalized discounted cumulative gain of the top k, with gains 0 and 1.

    A held-out item at position p <= k gains ``1 / log2(p + 1)``; the sum is
    divided by that of a list with the held-out items on top. With one held-out
    item it is at most the hit rate. Parameters and shape as in `hit_rate`.

    References
    ----------
    Järvelin and Kekäläinen 2002; ties as in McSherry and Najork 2008.
    """
    _check_k(k)
    discount = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
    start, end = np.minimum(ranks.above, k), np.minimum(ranks.above + ranks.tied, k)
    gain = (discount[end] - discount[start]) / ranks.tied
    dcg = np.bincount(ranks.row, weights=gain, minlength=len(ranks.users))
    return dcg / discount[np.minimum(ranks.n_held_out, k)]


def mrr(ranks: Ranks, k: int | None = None) -> FloatArray:
    """Reciprocal of the position of the best held-out item, 0 beyond k.

    The mean over users is the mean reciprocal rank; it is never above 1.

    Parameters
    ----------
    ranks : Ranks
        From `rank_held_out` or `rank_candidates`.
    k : int, optional
        Length of the list; the whole ranking without it.

    Returns
    -------
    ndarray of float64, (n_evaluated,)
    """
    if k is not None:
        _check_k(k)
    first, size, relevant = _first_group(ranks)
    above = ranks.above[first]
    last = np.full(len(first), np.iinfo(np.int64).max) if k is None else np.full(len(first), k)
    total, remaining = np.zeros(len(first)), np.ones(len(first))
    steps = size - relevant + 1  # places in the group where its first held-out item can stand
    for x in range(int(min(steps.max(), last.max()))):
        left = np.maximum(size - x, 1)
        here = np.where(x < steps, remaining * np.minimum(relevant / left, 1.0), 0.0)
        total += np.where(above + x + 1 <= last, here / (above + x + 1), 0.0)
        remaining = remaining - here
    return total


def _found(ranks: Ranks, k: int) -> FloatArray:
    """Return the expected number of held-out items in the top k, (n_evaluated,)."""
    _check_k(k)
    inside = np.clip(k - ranks.above, 0, ranks.tied) / ranks.tied
    return np.bincount(ranks.row, weights=inside, minlength=len(ranks.users)).astype(np.float64)


def _first_group(
    ranks: Ranks,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return index, tie-group size and held-out items in that group of each user's best pair."""
    first = np.flatnonzero(np.diff(ranks.row, prepend=-1))
    same = ranks.above == ranks.above[first][ranks.row]
    return first, ranks.tied[first], np.bincount(ranks.row[same], minlength=len(first))


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k is {k!r}; expected a whole number, 1 or more")
