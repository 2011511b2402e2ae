"""What items are made of: which kind a part is, and its rows as a tower takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Parts = Mapping[str, Any]  # by name: an array or csr matrix with one row an item


def kind_of(name: str, part: Any) -> str:
    """Return "id", "bag", "words" or "picture", or say what is wrong with a part."""
    if sparse.issparse(part):
        return "bag"
    array = np.asarray(part)
    if array.ndim == 1 and np.issubdtype(array.dtype, np.integer):
        return "id"
    if array.ndim == 2 and np.issubdtype(array.dtype, np.floating):
        return "bag"
    if array.ndim == 2 and np.issubdtype(array.dtype, np.integer):
        return "words"
    if array.ndim == 4 and array.shape[-1] == 3 and array.dtype == np.uint8:
        return "picture"
    raise ValueError(
        f"part {name!r} has shape {array.shape} and dtype {array.dtype}; expected int (n,), float or sparse "
        "(n, d), int (n, length) or uint8 (n, height, width, 3)"
    )


class PartReader:
    """Rows of parts, looked up inside a graph.

    TensorFlow keeps the dense parts, so that a batch brings only the numbers of its items. Sparse bags stay
    here, and a batch brings their entries.

    Parameters
    ----------
    parts : mapping of str to array
        See `helpers.models.dssm_keras`.
    """

    def __init__(self, parts: Parts) -> None:
        import tensorflow as tf

        self._names = list(parts)
        self._bags = {name: part for name, part in parts.items() if sparse.issparse(part)}
        self._tables = {name: tf.constant(p) for name, p in parts.items() if name not in self._bags}

    def entries(
        self,
        rows: npt.NDArray[Any],
        generator: np.random.Generator | None = None,
        dropout: float = 0.0,
    ) -> list[npt.NDArray[Any]]:
        """Return the entries of sparse bags, two arrays a bag: their places (n, 2) int64, their values (n,).

        Parameters
        ----------
        rows : numpy.ndarray
            (batch,) item indices; a place is (row of the batch, column).
        generator, dropout : numpy.random.Generator, float
            In training: the share of entries that are left out; the others are scaled up.
        """
        found: list[npt.NDArray[Any]] = []
        for bag in self._bags.values():
            some = bag[rows].tocoo()
            row, column, value = some.row, some.col, some.data
            if generator is not None and dropout > 0:
                kept = generator.random(len(value)) >= dropout
                row, column, value = row[kept], column[kept], value[kept] / np.float32(1 - dropout)
            found += [np.column_stack([row, column]).astype(np.int64), value]
        return found

    def look_up(self, rows: Any, entries: Sequence[Any]) -> dict[str, Any]:
        """Return each part's rows, a tensor or SparseTensor, as the tower of `item_tower` takes them.

        Parameters
        ----------
        rows : tensor of int, (batch,)
            Item indices.
        entries : sequence of tensors
            What `entries` returned for these rows.
        """
        import tensorflow as tf

        pairs, given = iter(entries), {}
        for name in self._names:
            if name in self._bags:
                shape = (tf.size(rows, out_type=tf.int64), self._bags[name].shape[1])
                given[name] = tf.SparseTensor(next(pairs), next(pairs), shape)
            else:
                given[name] = tf.gather(self._tables[name], rows)
        return given

    def rows(self, rows: npt.NDArray[Any]) -> dict[str, Any]:
        """Return each part of some items, (batch,) indices, at once."""
        return self.look_up(rows, self.entries(rows))
