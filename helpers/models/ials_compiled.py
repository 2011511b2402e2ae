"""A turn of implicit ALS, compiled by numba: what `baselines` does by whole tables, row by row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from numba import config
from scipy import sparse

from local_sagemaker.algorithms.fm_kernels import compiled

FloatArray = npt.NDArray[np.float32]
CORES: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


@compiled
def _product(x, others, taken, shared, ridge, wanted, out):  # type: ignore[no-untyped-def]
    """Multiply a row's matrix and x; where ``wanted`` is 1, subtract that from the right side."""
    sign = np.float32(1 - 2 * wanted)
    for f in range(len(x)):
        out[f] = sign * ridge * x[f]
    for g in range(len(x)):
        for f in range(len(x)):
            out[f] += sign * x[g] * shared[g, f]
    for n in range(len(taken)):
        i, weight = taken[n], np.float32(0)
        for f in range(len(x)):  # a view of the row would be counted, which takes time
            weight += x[f] * others[i, f]
        weight = wanted + sign * weight
        for f in range(len(x)):
            out[f] += weight * others[i, f]


@compiled
def _improve(rows, part, cells, others, shared, ridge, steps):  # type: ignore[no-untyped-def]
    """Move some rows by steps of conjugate gradient towards their least-squares solutions."""
    k, zero, one = rows.shape[1], np.float32(0), np.float32(1)
    residual, direction, curved = (
        np.empty(k, np.float32),
        np.empty(k, np.float32),
        np.empty(k, np.float32),
    )
    indptr, indices = cells
    for row in range(part[0], part[1]):
        x, taken = rows[row], indices[indptr[row] : indptr[row + 1]]
        _product(x, others, taken, shared, ridge[row], one, residual)
        size = zero
        for f in range(k):
            direction[f] = residual[f]
            size += residual[f] * residual[f]
        for _ in range(steps):
            if size < np.float32(1e-30):  # solved
                break
            _product(direction, others, taken, shared, ridge[row], zero, curved)
            bend = zero
            for f in range(k):
                bend += direction[f] * curved[f]
            length, new = size / bend, zero
            for f in range(k):
                x[f] += length * direction[f]
                residual[f] -= length * curved[f]
                new += residual[f] * residual[f]
            for f in range(k):
                direction[f] = residual[f] + new / size * direction[f]
            size = new


def improve(
    rows: FloatArray,
    taken: sparse.csr_matrix,
    others: FloatArray,
    shared: FloatArray,
    ridge: FloatArray,
    steps: int,
) -> None:
    """Move every row towards its solution, in place; see `baselines.ImplicitALS`.

    ``rows`` (n, factors) are one side's vectors and ``others`` the other's, ``taken`` (n, others)
    who took what, ``shared`` (factors, factors) the weighted sum over all cells, ``ridge`` (n,).
    Threads are as many as cores that this process may use, or as ``NUMBA_NUM_THREADS`` says.
    """
    shares = np.searchsorted(taken.indptr, np.linspace(0, taken.nnz, 8 * CORES + 1)[1:-1])
    cuts = [0, *shares.tolist(), len(rows)]
    read = (taken.indptr, taken.indices), others, shared, ridge, steps
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(lambda *part: _improve(rows, part, *read), cuts[:-1], cuts[1:]))
