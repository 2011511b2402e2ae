"""Indexes of faiss over vectors: every vector compared, or cells, or codes in cells."""

import importlib
import math
from typing import Any

import numpy as np

_SEED = 0  # of the training of cells and codes
_TRAINING_ROWS_PER_CELL = 64  # enough for k-means; faiss takes no more than 256


def import_faiss() -> Any:
    """Return faiss untyped: its typed wrappers do not know their own keyword arguments."""
    return importlib.import_module("faiss")


def probes_of(cells: int) -> int:
    """Return how many cells a search looks into, unless it says otherwise."""
    return math.isqrt(cells)


def build(
    vectors: np.ndarray, kind: str, euclidean: bool, cells: int | None = None, codes: int = 16
) -> Any:
    """Return an index, flat, ivfflat or ivfpq, of vectors, (n, d) float32; √n cells by default."""
    faiss, n = import_faiss(), len(vectors)
    if kind == "ivfpq":
        vectors = np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % codes)))
    width = vectors.shape[1]
    metric = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexFlat(width, metric)
    if kind != "flat":
        cells = cells or math.isqrt(n)
        if kind == "ivfflat":
            index = faiss.IndexIVFFlat(index, width, cells, metric)
        else:
            bits = min(8, max(1, int(math.log2(n))))
            index = faiss.IndexIVFPQ(index, width, cells, codes, bits, metric)
            index.do_polysemous_training = False  # ten seconds for codes that search never compares
            index.pq.cp.seed = _SEED
            index.pq.cp.niter = 8  # 25 find no more, in three times the time
            index.pq.cp.min_points_per_centroid = 1
        index.cp.seed = _SEED
        index.cp.min_points_per_centroid = 1  # small data is no reason for a warning
        index.nprobe = probes_of(cells)
        rows = min(n, cells * _TRAINING_ROWS_PER_CELL)
        chosen = np.sort(np.random.default_rng(_SEED).choice(n, rows, replace=False))
        index.train(vectors[chosen] if rows < n else vectors)
    index.add(np.ascontiguousarray(vectors))
    return index
