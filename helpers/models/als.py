"""Implicit alternating least squares: every empty cell is a weak zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.checks import NotFittedError, check_indices
from helpers.models.neighbors import binary_matrix

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]

_PAIRS = 1 << 16  # interactions whose vectors are in memory at once
_TINY = np.float32(1e-30)  # keeps a row that is solved already from dividing by zero


class ImplicitALS:
    """Matrix factorization on the whole matrix, without sampling a single negative.

    Minimises ``sum over taken (1 - u.v)^2 + empty_weight * sum over all cells
    (u.v)^2`` plus a penalty, ``decay * (n_u + empty_weight * n_items)`` for a user
    and likewise for an item. With the items fixed each user is a least-squares
    problem, and the sum over all cells is one small matrix shared by all users:
    that is why no sampling is needed.

    Parameters
    ----------
    n_factors : int
        Length of the vectors.
    empty_weight : float
        Weight of an empty cell beside 1 for a taken one, above 0.
    decay : float
        Penalty, above 0.
    rounds : int
        Times that users and items take turns.
    steps : int
        Steps of conjugate gradient in a turn; they start where the last turn ended.
    seed : int
        Of the initial item vectors.

    References
    ----------
    Hu, Koren and Volinsky 2008; Takács, Pilászy and Tikk 2011 (conjugate gradient);
    Rendle et al. 2021, "Revisiting the performance of iALS".
    """

    def __init__(
        self,
        n_factors: int = 32,
        empty_weight: float = 0.3,
        decay: float = 0.01,
        rounds: int = 10,
        steps: int = 3,
        seed: int = 0,
    ) -> None:
        if min(n_factors, rounds, steps) < 1 or empty_weight <= 0 or decay <= 0:
            raise ValueError(
                f"n_factors={n_factors}, rounds={rounds}, steps={steps}, empty_weight={empty_weight}, "
                f"decay={decay}: expected whole numbers from 1 on, and weights above 0"
            )
        self.n_factors, self.empty_weight, self.decay = n_factors, empty_weight, decay
        self.rounds, self.steps, self.seed = rounds, steps, seed

    def fit(self, data: Interactions) -> ImplicitALS:
        """Alternate between users and items, `rounds` times."""
        taken = binary_matrix(data)
        by_item = taken.T.tocsr()
        rng = np.random.default_rng(self.seed)
        spread = 0.1 / np.sqrt(self.n_factors)
        items = rng.normal(0.0, spread, (taken.shape[1], self.n_factors))
        self.item_factors = items.astype(np.float32)  # (n_items, n_factors)
        self.user_factors = np.zeros((taken.shape[0], self.n_factors), dtype=np.float32)
        for _ in range(self.rounds):
            self._improve(self.user_factors, taken, self.item_factors)
            self._improve(self.item_factors, by_item, self.user_factors)
        return self

    def _improve(self, rows: FloatArray, taken: sparse.csr_matrix, other: FloatArray) -> None:
        """Move every row of `rows` towards its least-squares solution, in place.

        All rows take the steps of their own conjugate gradient at once. A
        product with a row's matrix needs that matrix nowhere: it is the shared
        part, the penalty, and a sum over what the row has taken.
        """
        shared = self.empty_weight * (other.T @ other)
        count = np.diff(taken.indptr)
        penalty = (self.decay * (count + self.empty_weight * len(other))).astype(np.float32)[
            :, None
        ]
        owner = np.repeat(np.arange(len(rows)), count)

        def product(x: FloatArray) -> FloatArray:
            weight = np.empty(len(owner), dtype=np.float32)
            for start in range(0, len(owner), _PAIRS):
                part = slice(start, start + _PAIRS)
                weight[part] = np.einsum("nk,nk->n", x[owner[part]], other[taken.indices[part]])
            chosen = sparse.csr_matrix((weight, taken.indices, taken.indptr), shape=taken.shape)
            return x @ shared + chosen @ other + penalty * x

        residual = taken @ other - product(rows)
        direction = residual.copy()
        size = np.einsum("nk,nk->n", residual, residual)
        for _ in range(self.steps):
            curved = product(direction)
            length = size / np.maximum(np.einsum("nk,nk->n", direction, curved), _TINY)
            rows += length[:, None] * direction
            residual -= length[:, None] * curved
            new = np.einsum("nk,nk->n", residual, residual)
            direction = residual + (new / np.maximum(size, _TINY))[:, None] * direction
            size = new

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the score of every item for some users, (len(users), n_items)."""
        if not hasattr(self, "item_factors"):
            raise NotFittedError("ImplicitALS: call fit(data) before scores")
        index = check_indices(np.asarray(users), len(self.user_factors), "users")
        return self.user_factors[index] @ self.item_factors.T
