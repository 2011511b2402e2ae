"""Nearest-neighbor search over faiss: exact and approximate indexes, and filters."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

KINDS = ("flat", "ivfflat", "ivfpq", "hnsw")
METRICS = ("inner_product", "l2")
_EFFORT = 128  # candidates that a search of HNSW keeps, unless it says otherwise
_SEED = 0  # of the cells' training
_TRAINING_ROWS_PER_CELL = 64  # enough for k-means; faiss takes no more than 256


def import_faiss() -> Any:
    """Return faiss untyped: its typed wrappers do not know their own keyword arguments."""
    return importlib.import_module("faiss")


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
        self.kind, self.metric, self.size = kind, metric, n
        self.cells = cells or math.isqrt(n)
        self.probes = math.isqrt(self.cells)
        self._as_distance = as_distance and metric == "inner_product" and kind != "flat"
        if self._as_distance:
            squares = np.einsum("nd,nd->n", vectors, vectors)
            self._longest = float(squares.max())
            vectors = np.column_stack([vectors, np.sqrt(np.maximum(self._longest - squares, 0))])
        if kind == "ivfpq":
            vectors = np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % codes)))
        self.faiss = self._empty(n, vectors.shape[1], codes, links)
        if not self.faiss.is_trained:
            rows = min(n, self.cells * _TRAINING_ROWS_PER_CELL)
            chosen = np.sort(np.random.default_rng(_SEED).choice(n, rows, replace=False))
            self.faiss.train(vectors[chosen] if rows < n else vectors)
        self.faiss.add(np.ascontiguousarray(vectors))

    def _empty(self, n: int, width: int, codes: int, links: int) -> Any:
        faiss = import_faiss()
        euclidean = self.metric == "l2" or self._as_distance
        metric = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
        if self.kind == "hnsw":
            index = faiss.IndexHNSWFlat(width, links, metric)
            index.hnsw.efConstruction = links * 5 // 2
            return index
        coarse = faiss.IndexFlat(width, metric)
        if self.kind == "flat":
            return coarse
        if self.kind == "ivfflat":
            index = faiss.IndexIVFFlat(coarse, width, self.cells, metric)
        else:
            bits = min(8, max(1, int(math.log2(n))))
            index = faiss.IndexIVFPQ(coarse, width, self.cells, codes, bits, metric)
            index.do_polysemous_training = False  # ten seconds for codes that search never compares
            index.pq.cp.seed = _SEED
            index.pq.cp.niter = 8  # 25 find no more, in three times the time
            index.pq.cp.min_points_per_centroid = 1
        index.cp.seed = _SEED
        index.cp.min_points_per_centroid = 1  # small data is no reason for a warning
        return index

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
