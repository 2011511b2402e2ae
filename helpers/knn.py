"""Nearest-neighbor search over faiss: the index, its recall and its cost.

The index itself is the local SageMaker's: `local_sagemaker.algorithms.index`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from local_sagemaker.algorithms.index import VectorIndex, as_vectors, import_faiss, keep_first

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VectorIndex", "cheapest", "keep_first", "recall_at_k", "trade_off", "vectors_like"]


def recall_at_k(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the share, 0 to 1, of the true neighbors that were found, whatever their order.

    Both are items, (queries, k); -1 in ``found`` counts as missed. Raise ValueError if they differ
    in shape or are empty.
    """
    found, truth = np.asarray(found), np.asarray(truth)
    if found.shape != truth.shape or not truth.size:
        shapes = f"found {found.shape} and truth {truth.shape}"
        raise ValueError(f"{shapes}: expected equal shapes, not empty")
    width = int(max(found.max(), truth.max())) + 2
    rows = np.arange(len(truth))[:, None] * width
    return float(np.isin(rows + truth + 1, np.where(found >= 0, rows + found + 1, -1)).mean())


def vectors_like(fitted: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n normal vectors, float32, with the mean and the covariance of fitted ones, (m, d)."""
    fitted = as_vectors(fitted, "fitted").astype(np.float64)
    variances, axes = np.linalg.eigh(np.cov(fitted.T))
    spread = axes * np.sqrt(np.maximum(variances, 0))
    drawn = fitted.mean(axis=0) + rng.normal(size=(n, fitted.shape[1])) @ spread.T
    return drawn.astype(np.float32)


#: kind -> its name, the knob of its search and the settings to try
_LADDERS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "flat": ("Flat", "effort", (0,)),
    "ivfflat": ("IVFFlat", "probes", (1, 2, 4, 8, 16, 32, 64)),
    "ivfpq": ("IVFPQ", "probes", (1, 4, 16, 64)),
    "hnsw": ("HNSW", "effort", (10, 20, 40, 80, 160, 320)),
}


def trade_off(
    vectors: np.ndarray, queries: np.ndarray, *, k: int = 10, as_distance: bool = True
) -> pd.DataFrame:
    """Return recall, work and time of each kind of index at several settings, on one thread.

    Returns
    -------
    pandas.DataFrame
        One row per setting, Flat first: ``index``, ``setting``, ``recall``, ``compared`` (share of
        the vectors, 0 to 1, by faiss' own count, the same on every machine) and ``ms``
        (milliseconds per query, the better of two runs).
    """
    import pandas as pd

    from helpers.metrics.lists import best

    faiss = import_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the graph is then the same in every run
    try:
        truth = best(queries @ vectors.T, k)
        rows: list[tuple[Any, ...]] = []
        for kind, (name, knob, settings) in _LADDERS.items():
            index = VectorIndex(vectors, kind, codes=12, links=16, as_distance=as_distance)
            counter = faiss.cvar.hnsw_stats if kind == "hnsw" else faiss.cvar.indexIVF_stats
            for setting in settings:
                counter.reset()
                took = []
                for _ in range(2):
                    began = time.perf_counter()
                    found = index.search(queries, k, **{knob: setting}).items  # type: ignore[arg-type]
                    took.append(1000 * (time.perf_counter() - began) / len(queries))
                share = counter.ndis / 2 / len(queries) / len(vectors) if setting else 1.0
                recall = recall_at_k(found, truth)
                rows.append((name, setting or "-", recall, share, min(took)))
    finally:
        faiss.omp_set_num_threads(before)
    return pd.DataFrame(rows, columns=["index", "setting", "recall", "compared", "ms"])


def cheapest(table: pd.DataFrame, wanted: float) -> pd.DataFrame:
    """Return the first row of each index in a `trade_off` that reaches the recall ``wanted``."""
    return table[table["recall"] >= wanted].drop_duplicates("index").set_index("index")
