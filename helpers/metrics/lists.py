"""What the recommended lists are like: how much of the catalog they show, how obvious they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import as_pairs, check_ids
from helpers.metrics.ranks import check_scores, rows_of, seen_rows

_CELLS = (
    1 << 20
)  # scores looked at at a time: copies of a whole matrix would be the peak of a chapter


def top_k(
    scores: npt.ArrayLike,
    k: int = 10,
    *,
    seen: Any = None,
    users: npt.ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> npt.NDArray[np.int32]:
    """Return the k best items of every row, best first.

    Parameters
    ----------
    scores : array of float, (n_rows, n_items)
        Higher is better. Not changed.
    k : int
        Length of the lists.
    seen : Interactions, (users, items) or sparse matrix, optional
        Pairs that may not be recommended.
    users : array of int, (n_rows,), optional
        The user of each row; row r is user r without it.
    rng : numpy.random.Generator, optional
        Order equal scores at random; without it, lower item index first.

    Returns
    -------
    ndarray of int32, (n_rows, k)

    Raises
    ------
    ValueError
        For NaN scores, and where a row has fewer than k items left.
    """
    matrix = check_scores(scores)
    n_rows, n_items = matrix.shape
    if not 1 <= k <= n_items:
        raise ValueError(f"k is {k}; expected 1 to {n_items}, the number of items")
    seen_row = seen_item = np.empty(0, dtype=np.int64)
    if seen is not None:
        seen_row, seen_item = seen_rows(seen, rows_of(users, n_rows)[0], n_items, subset=True)
    shuffle = np.arange(n_items) if rng is None else rng.permutation(n_items)
    lists = np.empty((n_rows, k), dtype=np.int32)
    step = max(1, _CELLS // n_items)
    for start in range(0, n_rows, step):
        part = np.array(matrix[start : start + step])
        first, last = np.searchsorted(seen_row, (start, start + step))
        part[seen_row[first:last] - start, seen_item[first:last]] = -np.inf
        if rng is not None:
            part = part[:, shuffle]
        found = best(part, k)
        short = np.isneginf(np.take_along_axis(part, found[:, -1:], axis=1)).ravel()
        if short.any():
            raise ValueError(
                f"row {start + short.argmax()} has fewer than k={k} items left that are not seen; "
                "use a smaller k"
            )
        lists[start : start + step] = shuffle[found]
    return lists


def best(scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k largest scores, largest first; equal ones in order of place.

    Parameters
    ----------
    scores : ndarray of float, (..., n)
        Minus infinity is allowed and comes last; a caller may mask what must not be found.
    k : int
        From 1 to n.

    Returns
    -------
    ndarray of int64, (..., k)

    Raises
    ------
    ValueError
        ``k`` out of range, or a NaN among the scores.
    """
    n = scores.shape[-1]
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}; expected 1 to {n}, the number of items")
    rows = scores.reshape(-1, n)
    places = np.empty((len(rows), k), dtype=np.int64)
    for place, row in zip(places, rows, strict=True):
        top = np.partition(row, n - k)[n - k :]  # the k-th largest comes first, a NaN would be here
        if np.isnan(top.max()):
            raise ValueError(f"scores hold NaN at place {np.isnan(row).argmax()}; expected numbers")
        pool = np.flatnonzero(row >= top[0])
        place[:] = pool[np.argsort(-row[pool], kind="stable")][:k]
    return places.reshape(*scores.shape[:-1], k)


def coverage(lists: npt.ArrayLike, n_items: int) -> float:
    """Share of the catalog that stands in at least one list.

    Parameters
    ----------
    lists : array of int, (n_users, k)
        Recommended items, as from `top_k`.
    n_items : int
        Size of the catalog.
    """
    return len(np.unique(check_ids(lists, n_items, "item"))) / n_items


def novelty(
    lists: npt.ArrayLike, train: Any, *, n_users: int | None = None
) -> npt.NDArray[np.float64]:
    """Mean surprise of each user's list, in bits: how rarely its items were taken before.

    An item that `count` of `n_users` users took carries
    ``-log2((count + 1) / (n_users + 1))`` bits; the ones keep items finite that nobody took.

    Parameters
    ----------
    lists : array of int, (n_users, k)
        Recommended items.
    train : Interactions, (users, items) or sparse matrix
        What was taken before.
    n_users : int, optional
        Number of users, where `train` is a pair of arrays.

    Returns
    -------
    ndarray of float64, (n_users,)

    References
    ----------
    Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems".
    """
    pairs = as_pairs(train, "train", n_users=n_users)
    n_items = max(pairs.n_items, int(np.max(lists)) + 1)
    counts = np.bincount(pairs.items, minlength=n_items)
    bits = -np.log2((counts + 1) / (pairs.n_users + 1))
    return bits[check_ids(lists, n_items, "item")].mean(axis=1)


def genre_matrix(data: Any) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Return each item's genres as shares that sum to 1, and the names of the columns.

    Parameters
    ----------
    data : Interactions
        Its item table has a column `genres` of tuples.

    Returns
    -------
    ndarray of float32, (n_items, n_genres)
        A row of zeros for an item without genres.
    list of str
        Genres in alphabetical order.
    """
    names = sorted({genre for genres in data.items["genres"] for genre in genres})
    column = {name: c for c, name in enumerate(names)}
    matrix = np.zeros((data.n_items, len(names)), dtype=np.float32)
    for item, genres in enumerate(data.items["genres"]):
        for genre in genres:
            matrix[item, column[genre]] = 1.0 / len(genres)
    return matrix, names


def genre_calibration(
    lists: npt.ArrayLike, history: Any, genres: npt.ArrayLike, *, smoothing: float = 0.01
) -> npt.NDArray[np.float64]:
    """Distance between the genres a user took and the genres recommended, 0 for equal shares.

    The Kullback-Leibler divergence of the list's mixture of genres from the
    history's; the list's is mixed with `smoothing` of the history's, so that a
    missing genre costs much but not infinitely much.

    Parameters
    ----------
    lists : array of int, (n_users, k)
        Recommended items; row r belongs to user r.
    history : Interactions, (users, items) or sparse matrix
        What the users took.
    genres : array of float, (n_items, n_genres)
        Shares, as from `genre_matrix`.
    smoothing : float
        Between 0 and 1, both excluded.

    Returns
    -------
    ndarray of float64, (n_users,)
        In nats; NaN for a user without history or genres.

    References
    ----------
    Steck 2018, "Calibrated recommendations".
    """
    shares = np.asarray(genres, dtype=np.float64)
    items = check_ids(lists, len(shares), "item")
    pairs = as_pairs(history, "history", n_users=len(items), n_items=len(shares))
    taken = np.stack(
        [
            np.bincount(pairs.users, weights=column[pairs.items], minlength=len(items))
            for column in shares.T
        ],
        axis=1,
    )
    shown = shares[items].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = taken / taken.sum(axis=1, keepdims=True)
        q = shown / shown.sum(axis=1, keepdims=True)
        q = (1 - smoothing) * q + smoothing * p
        return np.where(p > 0, p * np.log(p / q), p).sum(axis=1)
