"""Vectors that can be searched: exact (Flat), by cells (IVFFlat, IVFPQ), along a graph (HNSW)."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from helpers.knn.filters import Seen, keep_first

KINDS = ("flat", "ivfflat", "ivfpq", "hnsw")
METRICS = ("inner_product", "l2", "cosine")
_TRAINING_ROWS_PER_CELL = 64  # enough for k-means; faiss takes no more than 256


class Neighbors(NamedTuple):
    """What a search found, best first.

    Parameters
    ----------
    scores : numpy.ndarray
        (queries, k), float32: inner products or cosines, falling; squared distances, rising; NaN where none
        is left.
    items : numpy.ndarray
        (queries, k), int64: rows of the indexed vectors; -1 where none is left.
    """

    scores: np.ndarray
    items: np.ndarray


def import_faiss() -> Any:
    """Import faiss where it is first used; its typed wrappers do not know their own keyword arguments."""
    return importlib.import_module("faiss")


def _vectors(array: np.ndarray, name: str, width: int | None = None) -> np.ndarray:
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.ndim != 2:
        raise ValueError(f"{name}: expected a matrix, a vector a row, got shape {array.shape}")
    if width is not None and array.shape[1] != width:
        raise ValueError(
            f"{name}: vectors of {array.shape[1]} numbers, but the index holds vectors of {width}"
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name}: row {np.flatnonzero(~np.isfinite(array).all(axis=1))[0]} is not finite"
        )
    return array


def _normalized(array: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return array / np.maximum(norms, np.finfo(np.float32).tiny)


class VectorIndex:
    """An index over the rows of a matrix.

    Parameters
    ----------
    vectors : numpy.ndarray
        (n, d), kept as float32.
    kind : {"flat", "ivfflat", "ivfpq", "hnsw"}
        Flat compares with every vector. The IVF kinds sort vectors into cells and look into the nearest few;
        PQ keeps each as a short code. HNSW walks along a graph.
    metric : {"inner_product", "l2", "cosine"}
        What near means.
    cells : int, optional
        IVF: number of cells; the root of n unless said.
    probes : int, optional
        IVF: cells looked into; the root of ``cells`` unless said. A search may say otherwise.
    codes : int
        PQ: bytes a vector; vectors are padded with zeros to a multiple of it.
    links, build_effort, effort : int
        HNSW: links a vector, candidates while building and while searching.
    as_distance : bool
        HNSW and IVF with the inner product: add a number to each vector so that the largest inner product
        becomes the shortest distance. Scores are inner products all the same.
    seed : int
        Of the cells' training.

    Attributes
    ----------
    faiss : faiss.Index
        The index itself.

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
        probes: int | None = None,
        codes: int = 16,
        links: int = 32,
        build_effort: int = 80,
        effort: int = 128,
        as_distance: bool = False,
        seed: int = 0,
    ) -> None:
        if kind not in KINDS or metric not in METRICS:
            raise ValueError(
                f"kind={kind!r}, metric={metric!r}: expected one of {KINDS} and of {METRICS}"
            )
        vectors = _vectors(vectors, "vectors")
        n, self.width = vectors.shape
        if not n:
            raise ValueError("vectors: none to index")
        self.kind, self.metric, self.size = kind, metric, n
        self._as_distance = as_distance and metric == "inner_product" and kind != "flat"
        if metric == "cosine":
            vectors = _normalized(vectors)
        if self._as_distance:
            squares = np.einsum("nd,nd->n", vectors, vectors)
            self._longest = float(squares.max())
            vectors = np.column_stack([vectors, np.sqrt(np.maximum(self._longest - squares, 0))])
        if kind == "ivfpq":
            vectors = np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % codes)))
        self.cells = max(1, min(cells or math.isqrt(n), n))
        if cells and cells > n:
            raise ValueError(f"cells={cells} for {n} vectors: expected at most as many")
        self.probes = probes or max(1, math.isqrt(self.cells))
        self.effort = effort
        self.faiss = self._build(np.ascontiguousarray(vectors), codes, links, build_effort, seed)

    def _build(
        self, vectors: np.ndarray, codes: int, links: int, build_effort: int, seed: int
    ) -> Any:
        faiss = import_faiss()

        width = vectors.shape[1]
        euclidean = self.metric == "l2" or self._as_distance
        metric = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
        if self.kind == "flat":
            index = faiss.IndexFlat(width, metric)
        elif self.kind == "hnsw":
            index = faiss.IndexHNSWFlat(width, links, metric)
            index.hnsw.efConstruction = build_effort
        else:
            coarse = faiss.IndexFlat(width, metric)
            if self.kind == "ivfflat":
                index = faiss.IndexIVFFlat(coarse, width, self.cells, metric)
            else:
                bits = min(8, max(1, int(math.log2(len(vectors)))))
                index = faiss.IndexIVFPQ(coarse, width, self.cells, codes, bits, metric)
                index.do_polysemous_training = (
                    False  # ten seconds for codes that search never compares
                )
                codes_training = index.pq.cp
                codes_training.seed = seed
                codes_training.niter = 8  # 25 rounds find no more, in three times the time
                codes_training.min_points_per_centroid = 1
            index.cp.seed = seed
            index.cp.min_points_per_centroid = 1  # small data is no reason for a warning
            rows = min(len(vectors), self.cells * _TRAINING_ROWS_PER_CELL)
            chosen = np.random.default_rng(seed).choice(len(vectors), rows, replace=False)
            index.train(vectors[np.sort(chosen)] if rows < len(vectors) else vectors)
        index.add(vectors)
        return index

    def search(
        self,
        queries: np.ndarray,
        k: int,
        *,
        seen: Seen | None = None,
        allowed: np.ndarray | None = None,
        probes: int | None = None,
        effort: int | None = None,
    ) -> Neighbors:
        """Find the ``k`` nearest vectors of each query, best first.

        Parameters
        ----------
        queries : numpy.ndarray
            (m, d).
        k : int
            How many.
        seen : Seen, optional
            Items that a query must not get back, one row a query.
        allowed : numpy.ndarray, optional
            (n,) of bool: items that anyone may get, those in stock.
        probes, effort : int, optional
            In place of the index' own: cells of IVF, candidates of HNSW.

        Returns
        -------
        Neighbors
            -1 where filters, or an approximate index, leave fewer than ``k``.

        Raises
        ------
        ValueError
            ``k`` is not from 1 to the number of vectors, or shapes do not fit.
        """
        if not 1 <= k <= self.size:
            raise ValueError(
                f"k={k}: expected 1 to {self.size}, the number of vectors in the index"
            )
        queries = _vectors(queries, "queries", self.width)
        if seen is not None and len(seen) != len(queries):
            raise ValueError(
                f"seen has {len(seen)} rows for {len(queries)} queries: expected one each"
            )
        if allowed is not None and np.shape(allowed) != (self.size,):
            raise ValueError(f"allowed has shape {np.shape(allowed)}: expected ({self.size},)")
        queries = self._prepared(queries)
        settings = self._settings(allowed, probes, effort)
        if seen is None:
            return self._found(*self._search(queries, k, settings), queries)
        return self._unseen(queries, k, seen, settings)

    def _prepared(self, queries: np.ndarray) -> np.ndarray:
        if self.metric == "cosine":
            queries = _normalized(queries)
        missing = self.faiss.d - queries.shape[1]
        return np.pad(queries, ((0, 0), (0, missing))) if missing else queries

    def _settings(self, allowed: np.ndarray | None, probes: int | None, effort: int | None) -> Any:
        faiss = import_faiss()

        selector = None
        if allowed is not None:
            self._bits = np.packbits(
                np.asarray(allowed, dtype=bool), bitorder="little"
            )  # faiss keeps a pointer
            selector = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(self._bits))
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(sel=selector, efSearch=effort or self.effort)
        if self.kind == "flat":
            return faiss.SearchParameters(sel=selector) if selector is not None else None
        cells = min(probes or self.probes, self.cells)
        return faiss.SearchParametersIVF(sel=selector, nprobe=cells)

    def _search(self, queries: np.ndarray, k: int, settings: Any) -> tuple[np.ndarray, np.ndarray]:
        if self.kind == "hnsw" and settings.efSearch < k:
            settings.efSearch = k  # fewer candidates than wanted find fewer
        return self.faiss.search(queries, k, params=settings)

    def _found(self, scores: np.ndarray, items: np.ndarray, queries: np.ndarray) -> Neighbors:
        if self._as_distance:  # |q|² + M² − 2⟨q, x⟩, solved for the inner product
            squares = np.einsum("nd,nd->n", queries, queries)[:, None]
            scores = (squares + self._longest - scores) / 2
        if (items < 0).any():
            scores = np.where(items < 0, np.nan, scores)
        return Neighbors(scores, items)

    def _unseen(self, queries: np.ndarray, k: int, seen: Seen, settings: Any) -> Neighbors:
        """Fetch as many more as a query has seen, in groups of like number, and drop those."""
        scores = np.full((len(queries), k), np.nan, dtype=np.float32)
        items = np.full((len(queries), k), -1, dtype=np.int64)
        extra = np.ceil(np.log2(seen.counts + 1)).astype(int)
        for group in np.unique(extra):
            rows = np.flatnonzero(extra == group)
            depth = min(k + int(seen.counts[rows].max()), self.size)
            found = self._found(*self._search(queries[rows], depth, settings), queries[rows])
            drop = seen.marks(rows, found.items)
            scores[rows], items[rows] = keep_first(found.scores, found.items, drop, k)
        return Neighbors(scores, items)

    def save(self, path: Path) -> None:
        """Write the faiss index; `faiss.read_index` reads it."""
        faiss = import_faiss()

        faiss.write_index(self.faiss, str(path))


def exact_search(vectors: np.ndarray, queries: np.ndarray, k: int) -> Neighbors:
    """Find the largest inner products with a matrix product and a partial sort: no index, no faiss.

    Parameters
    ----------
    vectors, queries : numpy.ndarray
        (n, d) and (m, d).
    k : int
        How many.

    Returns
    -------
    Neighbors
        Best first.

    Raises
    ------
    ValueError
        ``k`` is not from 1 to n.
    """
    if not 1 <= k <= len(vectors):
        raise ValueError(f"k={k}: expected 1 to {len(vectors)}, the number of vectors")
    scores = np.asarray(queries, dtype=np.float32) @ np.asarray(vectors, dtype=np.float32).T
    items = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, items, axis=1), axis=1, kind="stable")
    items = np.take_along_axis(items, order, axis=1)
    return Neighbors(np.take_along_axis(scores, items, axis=1), items)
