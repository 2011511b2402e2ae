"""Where candidates for a negative come from, before known positives are refused."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

ItemArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]


class Proposal(Protocol):
    """A distribution over items, possibly another one for every row of a batch."""

    def draw(self, rng: np.random.Generator, rows: npt.NDArray[np.int64], width: int) -> ItemArray:
        """Draw `width` items for each row, (len(rows), width)."""
        ...

    def weights(self, row: int) -> FloatArray:
        """Return the weight of every item for one row, (n_items,); any scale."""
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
    """Items in proportion to given weights, by Walker's alias method.

    The table costs one pass over the items; a draw costs one random number and
    two look-ups, whatever the size of the catalog.

    Parameters
    ----------
    weights : ndarray of float, (n_items,)
        Not negative, at least one positive; any scale.
    """

    def __init__(self, weights: FloatArray) -> None:
        self._weights = np.asarray(weights, dtype=np.float64)
        n = len(self._weights)
        self._keep = self._weights / self._weights.sum() * n  # 1.0 is a fair share
        self._alias = np.arange(n, dtype=np.int32)
        small = list(np.flatnonzero(self._keep < 1.0))
        large = list(np.flatnonzero(self._keep >= 1.0))
        heaviest = int(np.argmax(self._weights))
        while small and large:
            s, g = small.pop(), large[-1]
            self._alias[s] = g
            self._keep[g] -= 1.0 - self._keep[s]
            if self._keep[g] < 1.0:
                small.append(large.pop())
        for s in small:  # left over by rounding: a fair share, or nothing where nothing is due
            self._keep[s] = 1.0 if self._weights[s] > 0 else 0.0
            self._alias[s] = s if self._weights[s] > 0 else heaviest

    def draw(self, rng: np.random.Generator, rows: npt.NDArray[np.int64], width: int) -> ItemArray:
        """Draw `width` items for each row, (len(rows), width)."""
        place = rng.random((len(rows), width))
        place *= len(self._keep)
        column = place.astype(np.int32)
        place -= column
        return np.where(place < self._keep.take(column), column, self._alias.take(column))

    def weights(self, row: int) -> FloatArray:
        """Return the weight of every item, (n_items,); the same for every row."""
        return self._weights


class InBatch:
    """The positives of the other rows of the same batch.

    Rows 0..batch_size-1 are the first batch, and so on. Rows left over at the end
    join the last whole batch: a batch of a few rows may hold one user only.

    Parameters
    ----------
    positives : ndarray of int32, (n_rows,)
        The positive item of every row, in the order of training.
    n_items : int
        Size of the catalog.
    batch_size : int
        Rows in a batch.
    """

    def __init__(self, positives: ItemArray, n_items: int, batch_size: int) -> None:
        self.positives, self.n_items, self.batch_size = positives, n_items, batch_size

    def draw(self, rng: np.random.Generator, rows: npt.NDArray[np.int64], width: int) -> ItemArray:
        """Draw `width` items for each row, (len(rows), width)."""
        first, end = self._batch(rows)
        size = end - first
        place = (rng.random((len(rows), width)) * size[:, None]).astype(np.int64)
        return self.positives.take(place + first[:, None])

    def weights(self, row: int) -> FloatArray:
        """Return how often each item stands in the batch of `row`, (n_items,)."""
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
