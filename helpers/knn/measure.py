"""How much an approximate search misses, and how fast it is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from helpers.knn.index import VectorIndex


def recall_at_k(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true neighbors that were found, whatever their order.

    Parameters
    ----------
    found, truth : numpy.ndarray
        (queries, k) items; -1 in ``found`` counts as missed.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        Shapes differ.
    """
    found, truth = np.asarray(found), np.asarray(truth)
    if found.shape != truth.shape or not truth.size:
        raise ValueError(
            f"found {found.shape} and truth {truth.shape}: expected equal shapes, not empty"
        )
    width = int(max(found.max(), truth.max())) + 2
    rows = np.arange(len(truth))[:, None] * width
    return float(np.isin(rows + truth + 1, np.where(found >= 0, rows + found + 1, -1)).mean())


def queries_per_second(
    index: VectorIndex, queries: np.ndarray, k: int, seconds: float = 1.0, **settings: Any
) -> float:
    """Search all queries at once until time is up.

    Parameters
    ----------
    index : VectorIndex
        What to search.
    queries : numpy.ndarray
        (m, d).
    k : int
        How many neighbors.
    seconds : float
        How long to measure; at least one round.
    **settings : int
        ``probes`` or ``effort`` of `VectorIndex.search`.

    Returns
    -------
    float
        Queries a second.
    """
    index.search(queries[:1], k, **settings)  # first-time costs are not the search
    began, rounds = time.perf_counter(), 0
    while True:
        index.search(queries, k, **settings)
        rounds += 1
        passed = time.perf_counter() - began
        if passed >= seconds:
            return rounds * len(queries) / passed
