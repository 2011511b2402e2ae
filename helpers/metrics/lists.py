"""Recommended lists: the best items of every user, and what such lists are like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import PairSource, as_matrix, as_pairs, check_ids
from helpers.metrics.rating import finite


def best(scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k largest along the last axis, largest first; equal ones by place.

    Minus infinity is allowed and comes last: a caller may mask what must not be found. Raise
    ``ValueError`` for a NaN, and for a ``k`` that is not from 1 to the length of the axis.
    """
    n = scores.shape[-1]
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}; expected 1 to {n}, the number of items")
    rows = scores.reshape(-1, n)
    places = np.empty((len(rows), k), dtype=np.int64)
    for place, row in zip(places, rows, strict=True):
        top = np.partition(row, n - k)[n - k :]  # the k-th largest is first; a NaN would be here
        if np.isnan(top.max()):
            raise ValueError(f"scores hold NaN at place {np.isnan(row).argmax()}; expected numbers")
        pool = np.flatnonzero(row >= top[0])
        place[:] = pool[np.argsort(-row[pool], kind="stable")][:k]
    return places.reshape(*scores.shape[:-1], k)


def top_k(
    model: Any, k: int = 10, *, seen: PairSource | None = None, block: int = 2048
) -> npt.NDArray[np.int32]:
    """Return the k best items of every user, best first; equal scores in order of item.

    Parameters
    ----------
    model : Recommender, or array of float, (n_users, n_items)
        Higher is better. A model scores ``block`` users at a time, an array is not changed.
    k : int
        Length of the lists.
    seen : Interactions or (users, items), optional
        Pairs that may not be recommended.

    Returns
    -------
    ndarray of int32, (n_users, k)

    Raises
    ------
    ValueError
        NaN or infinite scores, unknown ids, or a user with fewer than k items left.
    """
    fitted = hasattr(model, "scores")
    n_users, n_items = (model.n_users, model.n_items) if fitted else check_scores(model).shape
    best(np.zeros(n_items), k)  # refuses a k that is not the length of a list
    pairs = as_pairs(([], []) if seen is None else seen, "seen", n_users=n_users, n_items=n_items)
    taken = as_matrix(pairs)
    short = np.flatnonzero(n_items - np.diff(taken.indptr) < k)
    if len(short):
        raise ValueError(
            f"user {short[0]} has fewer than k={k} items left that are not seen; use a smaller k"
        )
    lists = np.empty((n_users, k), dtype=np.int32)
    for user, row in enumerate(score_rows(model, np.arange(n_users), n_items, block)):
        left = row.copy()  # a masked copy of the whole matrix would be a peak
        left[taken.indices[taken.indptr[user] : taken.indptr[user + 1]]] = -np.inf
        lists[user] = best(left, k)
    return lists


def score_rows(
    model: Any, users: npt.NDArray[Any], n_items: int, block: int
) -> Iterator[npt.NDArray[Any]]:
    """Yield the scores of every item for one user after the other; never copy a whole matrix."""
    if not hasattr(model, "scores"):
        matrix = check_scores(model, n_items)
        yield from (matrix[user] for user in check_ids(users, len(matrix), "user"))
    else:
        for start in range(0, len(users), block):
            yield from check_scores(model.scores(users[start : start + block]), n_items)


def coverage(lists: npt.ArrayLike, n_items: int) -> float:
    """Return the share of the catalog's ``n_items`` that is in at least one list, 0 to 1."""
    return len(np.unique(check_ids(lists, n_items, "item"))) / n_items


def contradictions(one: npt.ArrayLike, other: npt.ArrayLike, atol: float = 1e-9) -> int:
    """Count the items, 0 to n, that are above some other item by one score and below by the other.

    Parameters
    ----------
    one, other : array of float, (n,)
        Scores of the same items, higher is better. They may differ by a constant.
    atol : float
        Differences up to this are ties, which may be broken either way.
    """
    a, b = finite(one=one, other=other)
    order = np.argsort(-b, kind="stable")
    a, b = a[order], b[order]
    lowest = np.minimum.accumulate(a)
    ahead = np.searchsorted(-b, -b - atol)  # so many are clearly ahead by the other score
    return int(((ahead > 0) & (a > lowest[ahead - 1] + atol)).sum())


def check_scores(scores: npt.ArrayLike, n_items: int = 1) -> npt.NDArray[Any]:
    """Return ``scores`` as finite floats, (n_users, at least n_items), or raise ``ValueError``."""
    matrix = np.asarray(scores)
    if matrix.ndim != 2 or not len(matrix) or matrix.shape[1] < n_items:
        raise ValueError(
            f"scores have shape {matrix.shape}; expected a row per user, {n_items} items or more; "
            "if the ids are raw, map them through Interactions.item_of first"
        )
    if not np.issubdtype(matrix.dtype, np.floating):
        matrix = matrix.astype(np.float64)
    if not (np.isfinite(matrix.min()) and np.isfinite(matrix.max())):  # without a copy
        row, item = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(
            f"scores hold {matrix[row, item]}, first in row {row}, item {item}; "
            "expected finite numbers"
        )
    return matrix
