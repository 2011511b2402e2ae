"""Recall against cost: what each index finds, how many vectors it compares, how long it takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from helpers.knn.index import VectorIndex, exact_search, import_faiss
from helpers.knn.measure import recall_at_k

#: kind, its name, the knob of its search and the settings to try
LADDERS: Mapping[str, tuple[str, str, Sequence[int]]] = {
    "ivfflat": ("IVFFlat", "probes", (1, 2, 4, 8, 16, 32, 64)),
    "ivfpq": ("IVFPQ", "probes", (1, 4, 16, 64)),
    "hnsw": ("HNSW", "effort", (10, 20, 40, 80, 160, 320)),
}


def vectors_like(fitted: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw vectors with the mean and the covariance, hence the spectrum, of fitted ones.

    Parameters
    ----------
    fitted : numpy.ndarray
        (m, d): vectors of a trained model.
    n : int
        How many to draw, from a normal distribution.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray
        (n, d), float32.
    """
    fitted = np.asarray(fitted, dtype=np.float64)
    variances, axes = np.linalg.eigh(np.cov(fitted.T))
    spread = axes * np.sqrt(np.maximum(variances, 0))
    return (fitted.mean(axis=0) + rng.normal(size=(n, fitted.shape[1])) @ spread.T).astype(
        np.float32
    )


def trade_off(
    vectors: np.ndarray, queries: np.ndarray, *, k: int = 10, as_distance: bool = True
) -> pd.DataFrame:
    """Measure each kind of index at several settings, on one thread, against the exact inner products.

    The share of vectors compared is faiss' own count, and the same on every machine; milliseconds are not.

    Parameters
    ----------
    vectors, queries : numpy.ndarray
        (n, d) and (m, d).
    k : int
        Neighbors asked for.
    as_distance : bool
        Turn inner products into distances first, see `VectorIndex`.

    Returns
    -------
    pandas.DataFrame
        One row a setting, Flat first: ``index``, ``setting``, ``recall``, ``compared`` (share of the
        vectors, 0 to 1) and ``ms`` (milliseconds a query, the better of two runs).
    """
    faiss = import_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the graph is then the same in every run
    try:
        truth = exact_search(vectors, queries, k).items
        flat, seconds = _twice(VectorIndex(vectors), queries, k)
        rows: list[tuple[str, object, float, float, float]] = [
            ("Flat", "-", recall_at_k(flat, truth), 1.0, seconds)
        ]
        for kind, (name, knob, settings) in LADDERS.items():
            index = VectorIndex(
                vectors, kind, codes=12, links=16, build_effort=40, as_distance=as_distance
            )
            counter = faiss.cvar.hnsw_stats if kind == "hnsw" else faiss.cvar.indexIVF_stats
            for setting in settings:
                counter.reset()
                found, seconds = _twice(index, queries, k, **{knob: setting})
                compared = counter.ndis / 2 / len(queries) / len(vectors)
                rows.append((name, setting, recall_at_k(found, truth), compared, seconds))
    finally:
        faiss.omp_set_num_threads(before)
    table = pd.DataFrame(rows, columns=["index", "setting", "recall", "compared", "ms"])
    table["ms"] *= 1000 / len(queries)
    return table


def cheapest(table: pd.DataFrame, wanted: float) -> pd.DataFrame:
    """Find the first setting of each index that reaches a recall.

    Parameters
    ----------
    table : pandas.DataFrame
        From `trade_off`.
    wanted : float
        Recall, 0 to 1.

    Returns
    -------
    pandas.DataFrame
        Its rows, with ``index`` as the index; an index that never gets there has none.
    """
    return table[table["recall"] >= wanted].drop_duplicates("index").set_index("index")


def _twice(
    index: VectorIndex, queries: np.ndarray, k: int, **settings: Any
) -> tuple[np.ndarray, float]:
    """Search all queries two times; what was found, and the seconds of the faster one."""
    took = []
    for _ in range(2):
        began = time.perf_counter()
        found = index.search(queries, k, **settings).items
        took.append(time.perf_counter() - began)
    return found, min(took)
