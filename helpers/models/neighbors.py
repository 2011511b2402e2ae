"""Item-based neighborhoods: recommend what is similar to what the user took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.checks import NotFittedError, check_indices

if TYPE_CHECKING:
    from helpers.data import Interactions

_CELLS = 1 << 23  # similarities in memory at a time


def binary_matrix(data: Interactions) -> sparse.csr_matrix:
    """Return who took what, whatever the rating: (n_users, n_items) of float32 ones."""
    if len(data) == 0:
        raise ValueError(f"{data.name}: no interactions to learn from")
    matrix = data.matrix(np.float32)
    matrix.data[:] = 1.0
    return matrix


class ItemKNN:
    """Item-based k nearest neighbors on implicit feedback.

    The similarity of two items is the cosine of their columns, shrunk towards
    zero where few users support it: ``c_ij / (sqrt(c_i c_j) + shrinkage)`` with
    c_ij users who took both. A user's score of an item is the sum of its
    similarities to what the user took.

    Parameters
    ----------
    neighbors : int
        Most similar items kept for each item.
    shrinkage : float
        0 or more, in users.

    References
    ----------
    Sarwar et al. 2001; Deshpande and Karypis 2004, "Item-based top-N recommendation algorithms".
    """

    def __init__(self, neighbors: int = 100, shrinkage: float = 10.0) -> None:
        if neighbors < 1 or shrinkage < 0:
            raise ValueError(
                f"neighbors={neighbors}, shrinkage={shrinkage}: expected at least 1, and 0 or more"
            )
        self.neighbors, self.shrinkage = neighbors, shrinkage

    def fit(self, data: Interactions) -> ItemKNN:
        """Find the neighbors of every item of `data`."""
        taken = binary_matrix(data)
        columns = taken.tocsc()
        root = np.sqrt(np.asarray(taken.sum(axis=0)).ravel())  # (n_items,)
        n_items = taken.shape[1]
        keep = min(self.neighbors, n_items)
        step = max(1, _CELLS // n_items)
        blocks = []
        for start in range(0, n_items, step):
            both = (columns[:, start : start + step].T @ taken).toarray()  # users who took both
            both /= root[start : start + step, None] * root + self.shrinkage + 1e-9
            both[np.arange(len(both)), np.arange(start, start + len(both))] = 0.0
            best = np.argpartition(-both, keep - 1, axis=1)[:, :keep]
            row = np.repeat(np.arange(len(both)), keep)
            weight = np.take_along_axis(both, best, axis=1).ravel()
            blocks.append(sparse.csr_matrix((weight, (row, best.ravel())), shape=both.shape))
        # row i holds the neighbors that vote for item i
        self.similarity = sparse.vstack(blocks, format="csr").astype(np.float32)
        self.similarity.eliminate_zeros()
        self._taken = taken
        return self

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the score of every item for some users, (len(users), n_items)."""
        if not hasattr(self, "similarity"):
            raise NotFittedError("ItemKNN: call fit(data) before scores")
        rows = self._taken[check_indices(np.asarray(users), self._taken.shape[0], "users")]
        return (rows @ self.similarity.T).toarray()
