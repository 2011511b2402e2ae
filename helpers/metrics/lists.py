"""What the recommended lists are like: how much of the catalog they show, how obvious they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.metrics.pairs import as_pairs, check_ids
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
        lists[start : start + step] = shuffle[_best(part, k, start)]
    return lists


def _best(matrix: npt.NDArray[Any], k: int, start: int) -> npt.NDArray[np.int64]:
    """Return the columns of the k best of every row, best first; of equal ones the first in order."""
    limit = -np.partition(-matrix, k - 1, axis=1)[:, k - 1 : k]
    if np.isneginf(limit).any():
        short = start + int(np.flatnonzero(np.isneginf(limit[:, 0]))[0])
        raise ValueError(
            f"row {short} has fewer than k={k} items left that are not seen; use a smaller k"
        )
    # all above the limit, then as many at the limit as still fit, in order of index
    above, at = matrix > limit, matrix == limit
    at &= np.cumsum(at, axis=1, dtype=np.int32) <= k - above.sum(axis=1, keepdims=True)
    items = np.nonzero(above | at)[1].reshape(len(matrix), k)
    order = np.argsort(-np.take_along_axis(matrix, items, axis=1), axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1)


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
