"""Counts of what comes after what, compiled by numba: what `order` does by sparse products."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from local_sagemaker.algorithms.fm_kernels import compiled


@compiled
def _fill(events, ends, items, places, weights, starts, indices, values):  # type: ignore[no-untyped-def]
    """Sum the weights of what came before each item's events; without room, only count cells."""
    at = np.full(len(starts) - 1, -1, np.int64)  # the cell of each item in this row, or an old one
    cells, fill = 0, len(indices) > 0
    for now in range(len(starts) - 1):
        begin = starts[now] = cells
        for n in range(ends[now], ends[now + 1]):
            event = events[n]
            for d in range(min(len(weights), places[event])):
                before = items[event - 1 - d]
                if at[before] < begin:
                    at[before] = cells
                    if fill:
                        indices[cells] = before
                    cells += 1
                if fill:
                    values[at[before]] += weights[d]
    starts[-1] = cells


def count_before(
    after: sparse.csr_matrix, places: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]
) -> sparse.csr_matrix:
    """Return how often the column's item came before the row's, (n_items, n_items) float32.

    ``after`` has a one per event, (events, n_items), user by user in their order, ``places`` the
    event's place in its user's history, and ``weights`` what a pair counts at each distance.
    """
    by_item = after.tocsc()
    starts = np.zeros(after.shape[1] + 1, np.int64)
    read = by_item.indices, by_item.indptr, after.indices, places, weights, starts
    _fill(*read, np.empty(0, np.int32), np.empty(0, np.float32))
    indices, values = np.empty(starts[-1], np.int32), np.zeros(starts[-1], np.float32)
    _fill(*read, indices, values)
    return sparse.csr_matrix((values, indices, starts), shape=(after.shape[1],) * 2)
