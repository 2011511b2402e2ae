"""Nearest-neighbor search over faiss: exact and approximate indexes, filters, recall, cost.

All kinds of index but the graph are those of a SageMaker k-NN job.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from local_sagemaker.algorithms.index import build, import_faiss, probes_of

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

__all__ = ["VectorIndex", "keep_first", "recall_at_k", "trade_off", "vectors_like"]

KINDS = ("flat", "ivfflat", "ivfpq", "hnsw")
METRICS = ("inner_product", "l2")
_EFFORT = 128  # candidates that a search of HNSW keeps, unless it says otherwise


def as_vectors(array: np.ndarray, name: str, width: int | None = None) -> np.ndarray:
    """Return a matrix, one finite vector per row, as float32; raise `ValueError` by its name."""
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.ndim != 2 or (width is not None and array.shape[1] != width):
        expected = "a matrix, one vector per row" if width is None else f"rows of {width} numbers"
        raise ValueError(f"{name}: got shape {array.shape}, expected {expected}")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name}: row {finite.argmin()} is not finite")
    return array


class Neighbors(NamedTuple):
    """Result of a search, best first; NaN and -1 where none is left.

    Scores, (queries, k) float32, are inner products, falling, or squared distances, rising. Items,
    (queries, k) int64, are rows of the indexed vectors.
    """

    scores: np.ndarray
    items: np.ndarray


def keep_first(scores: np.ndarray, items: np.ndarray, drop: np.ndarray, k: int) -> Neighbors:
    """Return the first ``k`` of each row, (n, m), that are not dropped and not -1."""
    keep = ~drop & (items >= 0)
    place = np.cumsum(keep, axis=1) - 1
    rows, columns = np.nonzero(keep & (place < k))
    kept = Neighbors(np.full((len(items), k), np.nan, np.float32), np.full((len(items), k), -1))
    for out, values in zip(kept, (scores, items), strict=True):
        out[rows, place[rows, columns]] = values[rows, columns]
    return kept


class VectorIndex:
    """Build an index over the rows of a matrix; its attribute ``faiss`` is the index of faiss.

    Parameters
    ----------
    vectors : numpy.ndarray
        (n, d), kept as float32.
    kind : {"flat", "ivfflat", "ivfpq", "hnsw"}
        Flat compares with every vector. The IVF kinds sort vectors into cells and look into the
        nearest few; PQ keeps each vector as a short code. HNSW walks along a graph.
    metric : {"inner_product", "l2"}
        What near means.
    cells : int, optional
        IVF: number of cells; the root of n by default.
    codes : int
        PQ: bytes per vector; vectors are padded with zeros to a multiple of it.
    links : int
        HNSW: links per vector; 2.5 times as many candidates are kept while building.
    as_distance : bool
        HNSW and IVF with the inner product: add a number to each vector so that the largest inner
        product becomes the shortest distance. Scores are inner products all the same.

    Raises
    ------
    ValueError
        An unknown kind or metric, no vectors, or more cells than vectors.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        kind: str = "flat",
        metric: str = "inner_product",
        *,
        cells: int | None = None,
        codes: int = 16,
        links: int = 32,
        as_distance: bool = False,
    ) -> None:
        if kind not in KINDS or metric not in METRICS:
            given = f"kind={kind!r}, metric={metric!r}"
            raise ValueError(f"{given}: expected one of {KINDS} and of {METRICS}")
        vectors = as_vectors(vectors, "vectors")
        n, self.width = vectors.shape
        if not 1 <= (cells or 1) <= n:
            raise ValueError(f"cells={cells or 1} for {n} vectors: expected a vector per cell")
        self.kind, self.size = kind, n
        self.cells = cells or math.isqrt(n)
        self.probes = probes_of(self.cells)
        self._as_distance = as_distance and metric == "inner_product" and kind != "flat"
        if self._as_distance:
            squares = np.einsum("nd,nd->n", vectors, vectors)
            self._longest = float(squares.max())
            vectors = np.column_stack([vectors, np.sqrt(np.maximum(self._longest - squares, 0))])
        euclidean = self._as_distance or metric == "l2"
        if kind == "hnsw":
            faiss = import_faiss()
            near = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
            self.faiss = faiss.IndexHNSWFlat(vectors.shape[1], links, near)
            self.faiss.hnsw.efConstruction = links * 5 // 2
            self.faiss.add(np.ascontiguousarray(vectors))
        else:
            self.faiss = build(vectors, kind, euclidean, self.cells, codes)

    def search(
        self,
        queries: np.ndarray,
        k: int,
        *,
        seen: csr_matrix | None = None,
        allowed: np.ndarray | None = None,
        probes: int | None = None,
        effort: int | None = None,
    ) -> Neighbors:
        """Return the ``k`` nearest vectors of each query, as many as the filters leave.

        Parameters
        ----------
        queries : numpy.ndarray
            (m, d).
        k : int
            From 1 to the number of vectors.
        seen : scipy.sparse.csr_matrix, optional
            (m, n), not 0 for items that a query must not get back.
        allowed : numpy.ndarray, optional
            (n,) of bool: items that anyone may get, those in stock.
        probes, effort : int, optional
            IVF: cells looked into, by default the root of their number. HNSW: candidates, 128.

        Raises
        ------
        ValueError
            ``k`` is out of range, shapes do not fit, or a query is not finite.
        """
        if not 1 <= k <= self.size:
            raise ValueError(f"k={k}: expected 1 to {self.size}, the number of vectors")
        queries = as_vectors(queries, "queries", self.width)
        if seen is not None and seen.shape != (len(queries), self.size):
            raise ValueError(f"seen has shape {seen.shape}: expected {len(queries), self.size}")
        if allowed is not None and np.shape(allowed) != (self.size,):
            raise ValueError(f"allowed has shape {np.shape(allowed)}: expected ({self.size},)")
        queries = np.pad(queries, ((0, 0), (0, self.faiss.d - self.width)))
        settings = self._settings(allowed, probes or self.probes, effort or _EFFORT)
        if seen is None:
            return self._search(queries, k, settings)
        found = Neighbors(np.empty((len(queries), k), np.float32), np.empty((len(queries), k), int))
        # fetch as many more as a query has seen, in groups of like number, and drop those
        counts = np.diff(seen.indptr)
        groups = np.ceil(np.log2(counts + 1))
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            depth = min(k + int(counts[rows].max()), self.size)
            more = self._search(queries[rows], depth, settings)
            known = np.asarray(seen[np.repeat(rows, depth), more.items.ravel()]) != 0
            kept = keep_first(*more, known.reshape(more.items.shape), k)
            found.scores[rows], found.items[rows] = kept
        return found

    def _settings(self, allowed: np.ndarray | None, probes: int, effort: int) -> Any:
        faiss, selector = import_faiss(), None
        if allowed is not None:  # faiss keeps a pointer to the bits
            self._bits = np.packbits(np.asarray(allowed, dtype=bool), bitorder="little")
            selector = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(self._bits))
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
        if self.kind == "flat":
            return faiss.SearchParameters(sel=selector) if selector is not None else None
        return faiss.SearchParametersIVF(sel=selector, nprobe=min(probes, self.cells))

    def _search(self, queries: np.ndarray, k: int, settings: Any) -> Neighbors:
        if self.kind == "hnsw":
            settings.efSearch = max(settings.efSearch, k)  # fewer candidates would find fewer
        scores, items = self.faiss.search(queries, k, params=settings)
        if self._as_distance:  # |q|² + M² - 2⟨q, x⟩, solved for the inner product
            squares = np.einsum("nd,nd->n", queries, queries)[:, None]
            scores = (squares + self._longest - scores) / 2
        if (items < 0).any():
            scores = np.where(items < 0, np.nan, scores)
        return Neighbors(scores, items)


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


#: kind -> the settings of its search that `trade_off` tries: probes of IVF, effort of HNSW
_TRIED: dict[str, tuple[int, ...]] = {
    "flat": (0,),
    "ivfflat": (1, 2, 4, 8, 16, 32, 64),
    "ivfpq": (1, 4, 16, 64),
    "hnsw": (10, 20, 40, 80, 160, 320),
}
_NAMES = dict(zip(KINDS, ("Flat", "IVFFlat", "IVFPQ", "HNSW"), strict=True))


def trade_off(
    vectors: np.ndarray, queries: np.ndarray, *, k: int = 10, **settings: Any
) -> pd.DataFrame:
    """Return recall, work and time of each kind of index at several settings, on one thread.

    ``settings`` are the index's, and ``tried`` (kind -> its settings).

    Returns
    -------
    pandas.DataFrame
        One row per setting, Flat first: ``index``, ``setting``, ``recall``, ``compared`` (share of
        the vectors, 0 to 1, by faiss' own count and with all centroids of IVF, the same on every
        machine), ``ms`` (milliseconds of one core per query, the better of two runs) and
        ``built`` (seconds).
    """
    import pandas as pd

    faiss, before = import_faiss(), import_faiss().omp_get_max_threads()
    rows: list[tuple[Any, ...]] = []
    faiss.omp_set_num_threads(1)  # the graph is then the same in every run
    try:
        truth = VectorIndex(vectors).search(queries, k).items
        for kind, efforts in settings.pop("tried", _TRIED).items():
            began = time.process_time()
            index = VectorIndex(vectors, kind, codes=12, links=16, **settings)
            built, in_cells = time.process_time() - began, kind.startswith("ivf")
            counter = faiss.cvar.indexIVF_stats if in_cells else faiss.cvar.hnsw_stats
            for setting in efforts:
                counter.reset()
                took = []
                for _ in range(2):
                    began = time.process_time()
                    found = index.search(queries, k, probes=setting, effort=setting).items
                    took.append(1000 * (time.process_time() - began) / len(queries))
                compared = counter.ndis / 2 / len(queries) + in_cells * index.cells
                share = compared / len(vectors) if setting else 1.0
                recall = recall_at_k(found, truth)
                rows.append((_NAMES[kind], setting or "-", recall, share, min(took), built))
    finally:
        faiss.omp_set_num_threads(before)
    return pd.DataFrame(rows, columns=["index", "setting", "recall", "compared", "ms", "built"])
