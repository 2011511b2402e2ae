"""What a factorization machine says of rows, and how good that is: no training, and no numba."""

from __future__ import annotations

import numpy as np
from scipy import sparse

_ROWS_AT_ONCE = 50_000  # bounds the memory of scoring: rows times factors


def fm_scores(x: sparse.csr_matrix, w0: float, w1: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Score rows in time proportional to their non-zeros times the number of factors.

    Parameters
    ----------
    x : scipy.sparse.csr_matrix
        (n, features).
    w0, w1, v : float, numpy.ndarray, numpy.ndarray
        Constant, (features,) and (features, factors).

    Returns
    -------
    numpy.ndarray
        (n,), float32.

    Raises
    ------
    ValueError
        ``x`` has another number of features.
    """
    x = sparse.csr_matrix(x, dtype=np.float32)
    if x.shape[1] != len(v):
        raise ValueError(
            f"rows of {x.shape[1]} features, but the machine has {len(v)}: they must be equal"
        )
    own = np.einsum("jf,jf->j", v, v)
    found = np.empty(x.shape[0], dtype=np.float32)
    for begin in range(0, x.shape[0], _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        part = x[rows]
        total = part @ v
        pairs = np.einsum("nf,nf->n", total, total) - part.multiply(part) @ own
        found[rows] = w0 + part @ w1 + 0.5 * pairs
    return found


def quality(scores: np.ndarray, y: np.ndarray, classifies: bool) -> dict[str, float]:
    """How good scores are, under the names that SageMaker's container prints.

    Parameters
    ----------
    scores, y : numpy.ndarray
        (n,): scores (log-odds where it classifies) and labels.
    classifies : bool
        Whether ``y`` holds 0 and 1.

    Returns
    -------
    dict of str to float
        ``rmse``; or accuracy, cross-entropy and F1.
    """
    scores, y = scores.astype(np.float64), y.astype(np.float64)
    if not classifies:
        return {"rmse": float(np.sqrt(np.mean((scores - y) ** 2)))}
    said, true = scores >= 0, y >= 0.5
    hits = float(np.sum(said & true))
    return {
        "binary_classification_accuracy": float(np.mean(said == true)),
        "binary_classification_cross_entropy": float(np.mean(np.logaddexp(0, scores) - y * scores)),
        "binary_f_1.000": 2 * hits / max(float(said.sum() + true.sum()), 1.0),
    }
