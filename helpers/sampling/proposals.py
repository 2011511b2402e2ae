"""Where candidates for negatives come from, and the bit set that refuses known positives."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import Pairs

ItemArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]


class BitSet:
    """One bit per cell of the user-item matrix: 472 MB for ML-20M's 3.8 billion cells.

    A look-up reads one byte. A set of 20 million pairs would take several times the memory.
    """

    def __init__(self, pairs: Pairs) -> None:
        self.n_items, self.row_bytes = pairs.n_items, (pairs.n_items + 7) // 8
        self.bits = np.zeros(pairs.n_users * self.row_bytes, dtype=np.uint8)
        for start in range(0, len(pairs.users), 1 << 20):  # blocks keep temporary arrays small
            users, items = (ids[start : start + (1 << 20)] for ids in pairs[:2])
            bit = np.left_shift(1, items & 7).astype(np.uint8)
            np.bitwise_or.at(self.bits, self._byte(users, items), bit)

    def _byte(self, users: IntArray, items: IntArray) -> npt.NDArray[Any]:
        """Return the place of each cell's byte; 32 bits suffice below 2 GiB and are faster."""
        index = np.dtype(np.int32 if self.bits.size < 1 << 31 else np.int64)
        first: npt.NDArray[Any] = users.astype(index)
        return first * self.row_bytes + (items >> 3)

    def has(self, users: IntArray, items: IntArray) -> npt.NDArray[np.bool_]:
        """Return which pairs are in the set; ids broadcast and must be inside the matrix."""
        found = self.bits.take(self._byte(users, items), mode="clip")
        found >>= (items & 7).astype(np.uint8)
        found &= 1
        return found.view(np.bool_)

    def items_of(self, user: int) -> npt.NDArray[np.int64]:
        """Return the items of one user, ascending."""
        row = self.bits[user * self.row_bytes : (user + 1) * self.row_bytes]
        return np.flatnonzero(np.unpackbits(row, count=self.n_items, bitorder="little"))


class Proposal(Protocol):
    """A distribution over items, possibly another one for every row of a batch."""

    def draw(self, rng: np.random.Generator, rows: npt.NDArray[np.int64], width: int) -> ItemArray:
        """Draw `width` items for each row, (len(rows), width)."""
        ...

    def weights(self, row: int) -> FloatArray:
        """Return the weight of every item for one row, (n_items,), at any scale, as a new array."""
        ...


class Uniform:
    """Every item of the catalog with the same probability."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items

    def draw(self, rng: np.random.Generator, rows: npt.NDArray[np.int64], width: int) -> ItemArray:
        """Draw `width` items for each row, (len(rows), width)."""
        return rng.integers(0, self.n_items, (len(rows), width), dtype=np.int32)

    def weights(self, row: int) -> FloatArray:
        """Return the weight of every item, (n_items,); the same for every row."""
        return np.ones(self.n_items)


class Weighted:
    """Items in proportion to weights, (n_items,), by Walker's alias method.

    The table takes one pass over the items. A draw takes one random number and two look-ups,
    whatever the size of the catalog.
    """

    def __init__(self, weights: FloatArray) -> None:
        self._weights = np.asarray(weights, dtype=np.float64)
        n = len(self._weights)
        self._keep = self._weights / self._weights.sum() * n  # 1.0 is a fair share
        self._alias = np.arange(n, dtype=np.int32)
        small = list(np.flatnonzero(self._keep < 1.0))
        large = list(np.flatnonzero(self._keep >= 1.0))
        while small and large:
            s, g = small.pop(), large[-1]
            self._alias[s] = g
            self._keep[g] -= 1.0 - self._keep[s]
            if self._keep[g] < 1.0:
                small.append(large.pop())
        # rounding leaves some over: a fair share for each, and nothing for a weight of zero
        self._keep[small] = self._weights[small] > 0
        self._alias[small] = np.where(self._weights[small] > 0, small, self._weights.argmax())

    def draw(self, rng: np.random.Generator, rows: npt.NDArray[np.int64], width: int) -> ItemArray:
        """Draw `width` items for each row, (len(rows), width)."""
        place = rng.random((len(rows), width))
        place *= len(self._keep)
        column = place.astype(np.int32)
        place -= column
        return np.where(place < self._keep.take(column), column, self._alias.take(column))

    def weights(self, row: int) -> FloatArray:
        """Return the weight of every item, (n_items,); the same for every row."""
        return self._weights.copy()


class InBatch:
    """The positives of the other rows of the same batch of `batch_size` rows.

    Rows left over at the end join the last whole batch: a batch of a few rows may hold one user.
    """

    def __init__(self, positives: ItemArray, n_items: int, batch_size: int) -> None:
        self.positives, self.n_items, self.batch_size = positives, n_items, batch_size

    def draw(self, rng: np.random.Generator, rows: npt.NDArray[np.int64], width: int) -> ItemArray:
        """Draw `width` items for each row, (len(rows), width)."""
        first, end = self._batch(rows)
        place = (rng.random((len(rows), width)) * (end - first)[:, None]).astype(np.int64)
        return self.positives.take(place + first[:, None])

    def weights(self, row: int) -> FloatArray:
        """Return how often each item is in the batch of `row`, (n_items,)."""
        first, end = self._batch(np.array([row]))
        batch = self.positives[first[0] : end[0]]
        return np.bincount(batch, minlength=self.n_items).astype(np.float64)

    def _batch(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return first and last-plus-one row of the batch of each row."""
        last = max(0, len(self.positives) // self.batch_size - 1)
        number = np.minimum(rows // self.batch_size, last)
        end = np.where(number == last, len(self.positives), (number + 1) * self.batch_size)
        return number * self.batch_size, end
