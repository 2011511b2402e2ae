"""Ask millions of times a second: has this user already taken this item?

One bit a cell of the user-item matrix. 138,493 users and 27,278 items are
3.8 billion cells and 472 MB of bits, which a look-up reads at random; a hash
set of the 20 million pairs would take several times that and be slower.
Where even the bits are too many, sorted keys and a binary search answer the
same question with eight bytes a pair.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

#: Above this many bytes of bits, keys are sorted instead.
BITSET_LIMIT = 1 << 30

IntArray = npt.NDArray[np.integer[Any]]


class Known(Protocol):
    """Membership of (user, item) pairs."""

    #: Number of distinct items each user is known to have taken, (n_users,).
    counts: npt.NDArray[np.int64]

    def hits(self, users: IntArray, items: IntArray) -> npt.NDArray[np.bool_]:
        """Tell, cell by cell, which items the users are known to have taken."""
        ...

    def row(self, user: int) -> npt.NDArray[np.bool_]:
        """Return the whole row of one user, (n_items,)."""
        ...


class BitSet:
    """One bit a cell: `n_users` rows of ceil(n_items / 8) bytes.

    Parameters
    ----------
    users, items : ndarray of int, (n_pairs,)
        Contiguous ids; a repeated pair counts once.
    n_users, n_items : int
        Size of the matrix.
    """

    def __init__(self, users: IntArray, items: IntArray, n_users: int, n_items: int) -> None:
        self.n_items = n_items
        self.row_bytes = (n_items + 7) // 8
        self.bits = np.zeros(n_users * self.row_bytes, dtype=np.uint8)
        for start in range(0, len(users), 1 << 20):  # blocks keep the temporary arrays small
            block = slice(start, start + (1 << 20))
            byte = self._byte(users[block], items[block])
            np.bitwise_or.at(self.bits, byte, np.left_shift(1, items[block] & 7).astype(np.uint8))
        ones = np.array([bin(b).count("1") for b in range(256)], dtype=np.uint8)
        step = max(1, (1 << 22) // max(1, self.row_bytes))
        rows = self.bits.reshape(n_users, self.row_bytes)
        self.counts = np.concatenate(
            [ones[rows[s : s + step]].sum(axis=1, dtype=np.int64) for s in range(0, n_users, step)]
            or [np.zeros(0, dtype=np.int64)]
        )

    def _byte(self, users: IntArray, items: IntArray) -> npt.NDArray[Any]:
        """Return the place of each cell's byte; 32 bits suffice below 2 GiB and are faster."""
        index = np.dtype(np.int32 if self.bits.size < 1 << 31 else np.int64)
        first: npt.NDArray[Any] = users.astype(index)
        return first * self.row_bytes + (items >> 3)

    def hits(self, users: IntArray, items: IntArray) -> npt.NDArray[np.bool_]:
        """Tell which items the users have taken; the two arrays broadcast.

        Ids are not checked here: this is the inner loop.
        """
        found = self.bits.take(self._byte(users, items), mode="clip")  # ids were checked before
        found >>= (items & 7).astype(np.uint8)
        found &= 1
        return found.view(np.bool_)

    def row(self, user: int) -> npt.NDArray[np.bool_]:
        """Return the whole row of one user, (n_items,)."""
        row = self.bits[user * self.row_bytes : (user + 1) * self.row_bytes]
        return np.unpackbits(row, count=self.n_items, bitorder="little").view(np.bool_)


class SortedKeys:
    """Eight bytes a pair, for catalogs whose bits would not fit.

    The key of a pair is ``user * n_items + item``; a look-up is a binary
    search. Parameters are those of `BitSet`.
    """

    def __init__(self, users: IntArray, items: IntArray, n_users: int, n_items: int) -> None:
        self.n_items = n_items
        self.keys = np.unique(users.astype(np.int64) * n_items + items)
        self.counts = np.bincount(self.keys // n_items, minlength=n_users).astype(np.int64)

    def hits(self, users: IntArray, items: IntArray) -> npt.NDArray[np.bool_]:
        """Tell which items the users have taken; the two arrays broadcast."""
        wanted = users.astype(np.int64) * self.n_items + items
        if not len(self.keys):
            return np.zeros(wanted.shape, dtype=np.bool_)
        place = np.searchsorted(self.keys, wanted)
        return self.keys.take(place, mode="clip") == wanted

    def row(self, user: int) -> npt.NDArray[np.bool_]:
        """Return the whole row of one user, (n_items,)."""
        first, last = np.searchsorted(self.keys, [user * self.n_items, (user + 1) * self.n_items])
        row = np.zeros(self.n_items, dtype=np.bool_)
        row[self.keys[first:last] - user * self.n_items] = True
        return row


def known_pairs(
    users: IntArray, items: IntArray, n_users: int, n_items: int, *, limit: int = BITSET_LIMIT
) -> BitSet | SortedKeys:
    """Choose the bitset where it fits in `limit` bytes, else sorted keys.

    Examples
    --------
    >>> seen = known_pairs(np.array([0, 0, 1]), np.array([2, 0, 1]), n_users=2, n_items=3)
    >>> seen.hits(np.array([0, 1, 1]), np.array([2, 2, 1]))
    array([ True, False,  True])
    """
    kind = BitSet if n_users * ((n_items + 7) // 8) <= limit else SortedKeys
    return kind(users, items, n_users, n_items)
