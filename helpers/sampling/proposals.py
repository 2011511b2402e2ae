"""Distributions that candidates for negatives come from, and the bit set that refuses positives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import Pairs

ItemArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]

_BLOCK = 1 << 20  # pairs at a time: the temporary arrays stay small


class BitSet:
    """One bit per cell of the user-item matrix: 472 MB for ML-20M's 3.8 billion cells."""

    def __init__(self, n_users: int, n_items: int, *sources: Pairs) -> None:
        self.n_items, self.row_bytes = n_items, (n_items + 7) // 8
        self.bits = np.zeros(n_users * self.row_bytes, dtype=np.uint8)
        for pairs in sources:
            for start in range(0, len(pairs.users), _BLOCK):
                block = slice(start, start + _BLOCK)
                users, items = pairs.users[block], pairs.items[block]
                bit = np.left_shift(1, items & 7).astype(np.uint8)
                np.bitwise_or.at(self.bits, self._byte(users, items), bit)

    def _byte(self, users: IntArray, items: IntArray) -> npt.NDArray[Any]:
        """Return the place of each cell's byte; 32 bits suffice below 2 GiB and are faster."""
        rows: IntArray = users.astype(np.int32 if self.bits.size < 1 << 31 else np.int64)
        return rows * self.row_bytes + (items >> 3)

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


class Uniform:
    """Every item of the catalog alike: weights of ones, (n_items,). Base of other distributions."""

    def __init__(self, weights: FloatArray) -> None:
        self._weights = weights

    def weights(self, row: int) -> FloatArray:
        """Return the weight of every item for one row, (n_items,), as a new array."""
        return self._weights.copy()

    def draw(self, rng: np.random.Generator, rows: IntArray, width: int) -> ItemArray:
        """Draw ``width`` items for each row, (len(rows), width)."""
        return rng.integers(0, len(self._weights), (len(rows), width), dtype=np.int32)


class Weighted(Uniform):
    """Items in proportion to weights, (n_items,), by Walker's alias method: two look-ups a draw."""

    def __init__(self, weights: FloatArray) -> None:
        super().__init__(weights)
        self._keep = weights / weights.sum() * len(weights)  # 1.0 is a fair share
        self._alias = np.arange(len(weights), dtype=np.int32)
        small = list(np.flatnonzero(self._keep < 1.0))
        large = list(np.flatnonzero(self._keep >= 1.0))
        while small and large:
            s, g = small.pop(), large[-1]
            self._alias[s] = g
            self._keep[g] -= 1.0 - self._keep[s]
            if self._keep[g] < 1.0:
                small.append(large.pop())
        # rounding leaves some over: a fair share for each, and nothing for a weight of zero
        self._keep[small] = weights[small] > 0
        self._alias[small] = np.where(weights[small] > 0, small, weights.argmax())

    def draw(self, rng: np.random.Generator, rows: IntArray, width: int) -> ItemArray:
        place = rng.random((len(rows), width))
        place *= len(self._keep)
        column = place.astype(np.int32)
        place -= column
        return np.where(place < self._keep.take(column), column, self._alias.take(column))


class InBatch(Uniform):
    """The positives of the other rows of the same batch; rows left over join the last batch."""

    def __init__(self, positives: ItemArray, n_items: int, batch_size: int) -> None:
        self.positives, self.n_items = positives, n_items
        n_batches = max(1, len(positives) // batch_size)
        number = np.minimum(np.arange(len(positives)) // batch_size, n_batches - 1)
        self.first, self.size = number * batch_size, np.bincount(number)[number]

    def weights(self, row: int) -> FloatArray:
        batch = self.positives[self.first[row] :][: self.size[row]]
        return np.bincount(batch, minlength=self.n_items).astype(np.float64)

    def draw(self, rng: np.random.Generator, rows: IntArray, width: int) -> ItemArray:
        place = (rng.random((len(rows), width)) * self.size[rows, None]).astype(np.int64)
        return self.positives.take(place + self.first[rows, None])
