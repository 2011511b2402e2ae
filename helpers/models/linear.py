"""EASE: the best linear map from what a user took to what the user takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from helpers.models.checks import NotFittedError, check_indices
from helpers.models.neighbors import binary_matrix

if TYPE_CHECKING:
    from helpers.data import Interactions


class EASE:
    """Embarrassingly shallow autoencoder: one matrix B, zero diagonal, in closed form.

    B minimises ``|X - X B|^2 + decay |B|^2`` subject to ``diag(B) = 0``. With
    ``P = (X'X + decay I)^-1`` it is ``B = I - P diag(1 / diag P)``. Inverting an
    item-by-item matrix is the cost of it; with fewer users than items the
    identity ``P = (I - X' K X) / decay``, ``K = (X X' + decay I)^-1``, needs only
    a user-by-user matrix, and ``X B = X - K X diag(1 / diag P)`` (since ``X P = K X``).

    Parameters
    ----------
    decay : float
        Weight of the squared entries of B, above 0.
    form : {"auto", "primal", "dual"}
        Which matrix to invert: items by items, users by users, or the smaller.
        Both give the same scores.

    References
    ----------
    Steck 2019, "Embarrassingly shallow autoencoders for sparse data".
    """

    def __init__(self, decay: float = 200.0, form: str = "auto") -> None:
        if decay <= 0 or form not in ("auto", "primal", "dual"):
            raise ValueError(
                f"decay={decay}, form={form!r}: expected above 0, and auto, primal or dual"
            )
        self.decay, self.form = decay, form

    def fit(self, data: Interactions) -> EASE:
        """Solve for B, or for what stands in for it in the dual form."""
        taken = binary_matrix(data)
        n_users, n_items = taken.shape
        dual = self.form == "dual" or (self.form == "auto" and n_users < n_items)
        if dual:
            # float32 throughout: K is well conditioned, its eigenvalues lie below 1 / decay
            gram = (taken @ taken.T).toarray()
            gram[np.diag_indices(n_users)] += self.decay
            inverse = _inverse(gram)
            self._through = np.ascontiguousarray((taken.T @ inverse).T)  # K X, (n_users, n_items)
            covered = np.asarray(taken.multiply(self._through).sum(axis=0)).ravel()  # diag X' K X
            self._scale = self.decay / (1.0 - covered).astype(np.float32)  # 1 / diag P
        else:
            gram = (taken.T @ taken).toarray()
            gram[np.diag_indices(n_items)] += self.decay
            weights = _inverse(gram)
            weights /= -np.diag(weights)
            weights[np.diag_indices(n_items)] = 0.0
            self.weights = weights  # B, (n_items, n_items)
        self._taken, self._dual = taken, dual
        return self

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the score of every item for some users, (len(users), n_items)."""
        if not hasattr(self, "_taken"):
            raise NotFittedError("EASE: call fit(data) before scores")
        index = check_indices(np.asarray(users), self._taken.shape[0], "users")
        rows: sparse.csr_matrix = self._taken[index]
        if not self._dual:
            return np.asarray(rows @ self.weights, dtype=np.float32)
        return rows.toarray() - self._through[index] * self._scale


def _inverse(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Invert a symmetric positive definite matrix in place, by Cholesky."""
    factor, _ = linalg.lapack.spotrf(matrix.astype(np.float32), lower=1, overwrite_a=1)
    inverse, failed = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ValueError("the matrix cannot be inverted; use a larger decay")
    lower = np.tril(inverse)
    full: npt.NDArray[np.float32] = lower + np.tril(lower, -1).T
    return full
