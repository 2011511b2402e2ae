"""What must not come back from a search: items a user has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Seen:
    """Which items each query has seen.

    Parameters
    ----------
    indptr : numpy.ndarray
        (queries + 1,): where each query's items begin.
    items : numpy.ndarray
        Items of all queries, one after another, ascending within a query.
    """

    indptr: np.ndarray
    items: np.ndarray

    @classmethod
    def of_pairs(cls, users: np.ndarray, items: np.ndarray, n_users: int) -> Seen:
        """Make it from pairs of users and items.

        Parameters
        ----------
        users, items : numpy.ndarray
            (n,) contiguous indices; a pair may occur twice.
        n_users : int
            How many queries there will be; those without a pair have seen nothing.

        Returns
        -------
        Seen
            A row for each of 0..n_users-1.

        Raises
        ------
        ValueError
            Different lengths.
        IndexError
            A user is not below ``n_users``, or an index is negative.
        """
        users, items = np.asarray(users, dtype=np.int64), np.asarray(items, dtype=np.int64)
        if users.shape != items.shape or users.ndim != 1:
            raise ValueError(
                f"users {users.shape} and items {items.shape}: expected as many of each"
            )
        if len(users) and (users.min() < 0 or users.max() >= n_users or items.min() < 0):
            raise IndexError(
                f"users must be in 0..{n_users - 1} and items from 0: contiguous indices, not ids"
            )
        width = int(items.max(initial=0)) + 1
        keys = np.unique(users * width + items)
        counts = np.bincount(keys // width, minlength=n_users)
        return cls(np.concatenate([[0], np.cumsum(counts)]), keys % width)

    def __len__(self) -> int:
        """How many queries there are."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> np.ndarray:
        """How many items each query has seen: (queries,)."""
        return np.diff(self.indptr)

    def marks(self, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Tell which of the found items have been seen.

        Parameters
        ----------
        rows : numpy.ndarray
            (n,): which queries these are.
        found : numpy.ndarray
            (n, k): items, -1 where there is none.

        Returns
        -------
        numpy.ndarray
            (n, k) of bool.
        """
        width = int(max(self.items.max(initial=0), found.max(initial=0))) + 1
        keys = np.repeat(np.arange(len(self)), self.counts) * width + self.items
        if not len(keys):
            return np.zeros(found.shape, dtype=bool)
        wanted = rows[:, None] * width + found
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return (keys[place] == wanted) & (found >= 0)


def keep_first(
    scores: np.ndarray, items: np.ndarray, drop: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Take the first ``k`` of each row that are not dropped; -1 and NaN where a row has fewer.

    Parameters
    ----------
    scores, items : numpy.ndarray
        (n, m), best first.
    drop : numpy.ndarray
        (n, m) of bool.
    k : int
        How many to keep.

    Returns
    -------
    tuple of numpy.ndarray
        Scores and items, (n, k).
    """
    keep = ~drop & (items >= 0)
    place = np.cumsum(keep, axis=1) - 1
    keep &= place < k
    rows, columns = np.nonzero(keep)
    out_scores = np.full((len(items), k), np.nan, dtype=np.float32)
    out_items = np.full((len(items), k), -1, dtype=np.int64)
    out_scores[rows, place[rows, columns]] = scores[rows, columns]
    out_items[rows, place[rows, columns]] = items[rows, columns]
    return out_scores, out_items
