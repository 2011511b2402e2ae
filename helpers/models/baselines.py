"""Baselines: the mean, biases and popularity, and the rankers item-kNN, EASE and implicit ALS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from helpers.models.base import Recommender, above_zero, at_least, binary_matrix

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]

_CELLS = 1 << 23  # similarities in memory at a time
_PAIRS = 1 << 16  # interactions whose vectors are in memory at a time
_LARGE = 500_000  # interactions from which on compiled loops save more than their loading takes
_TINY = np.float32(1e-30)  # keeps a row that is solved already from dividing by zero


class GlobalMean(Recommender):
    """Predict the mean of the training ratings for every pair."""

    def fit(self, data: Interactions) -> GlobalMean:
        """Take the mean of the ratings."""
        self._learn_from(data)
        self.mean = float(data.frame["rating"].mean())
        return self

    def predict(self, users: npt.ArrayLike, items: npt.ArrayLike) -> FloatArray:
        """Return the mean for each pair of user and item, (n,) float32, in stars."""
        users, items = self._pairs(users, items)
        return np.full(len(users), self.mean, np.float32)


@dataclass
class BiasModel(Recommender):
    """Predict ``mean + user_bias[u] + item_bias[i]``, with biases shrunk towards zero.

    Minimizes ``Σ (rating - prediction)² + 5 · Σ user_bias² + 2 · Σ item_bias²`` by ``epochs``
    alternations between two closed forms: with the other side fixed, a bias is the sum of its
    residuals divided by (their number + 5), or + 2 for items. Three ratings are thus trusted less
    than three hundred. ``mean``, ``user_bias`` (n_users,) and ``item_bias`` (n_items,) are float64,
    in stars; 0 for those without ratings.

    Source: Koren 2010, "Factor in the neighbors", section 2.1.
    """

    epochs: int = 20

    def __post_init__(self) -> None:
        at_least(1, self, "epochs")

    def fit(self, data: Interactions) -> BiasModel:
        """Find the biases of the users and items."""
        self._learn_from(data)
        users, items = (data.frame[side].to_numpy(np.intp) for side in ("user", "item"))
        ratings = data.frame["rating"].to_numpy(np.float64)
        self.mean = float(ratings.mean())
        user_weight = np.bincount(users, minlength=self.n_users) + 5.0
        item_weight = np.bincount(items, minlength=self.n_items) + 2.0
        centered, residuals = ratings - self.mean, np.empty_like(ratings)  # no memory per round
        self.user_bias = np.zeros(self.n_users)
        for _ in range(self.epochs):
            self.user_bias.take(users, out=residuals, mode="clip")
            np.subtract(centered, residuals, out=residuals)
            self.item_bias = np.bincount(items, residuals, self.n_items) / item_weight
            self.item_bias.take(items, out=residuals, mode="clip")
            np.subtract(centered, residuals, out=residuals)
            self.user_bias = np.bincount(users, residuals, self.n_users) / user_weight
        return self

    def predict(self, users: npt.ArrayLike, items: npt.ArrayLike) -> FloatArray:
        """Return the predicted stars for each pair of user and item, (n,) float32."""
        users, items = self._pairs(users, items)
        return (self.mean + self.user_bias[users] + self.item_bias[items]).astype(np.float32)


class Popularity(Recommender):
    """Rank items by their number of interactions, ``counts`` (n_items,), alike for everyone."""

    def fit(self, data: Interactions) -> Popularity:
        """Count the interactions of each item."""
        self._learn_from(data)
        self.counts = np.bincount(data.frame["item"].to_numpy(), minlength=self.n_items)
        return self

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        users = self._users(users)
        return np.tile(self.counts.astype(np.float32), (len(users), 1))


@dataclass
class ItemKNN(Recommender):
    """Score items by their similarity to what the user took.

    The similarity of two items is the cosine of their columns, shrunk towards zero where few users
    support it: ``c_ij / (sqrt(c_i c_j) + shrinkage)`` with c_ij users who took both. Of an item's
    similarities the largest are kept, as many as ``neighbors``. A user's score of an item is the
    sum of its similarities to what the user took.

    Source: Deshpande and Karypis 2004, "Item-based top-N recommendation algorithms".
    """

    neighbors: int = 100
    shrinkage: float = 10.0

    def __post_init__(self) -> None:
        at_least(1, self, "neighbors")
        at_least(0, self, "shrinkage")

    def fit(self, data: Interactions) -> ItemKNN:
        """Find the neighbors of every item."""
        self._learn_from(data)
        self._taken = binary_matrix(data)
        columns = self._taken.tocsc()
        root = np.sqrt(np.asarray(self._taken.sum(axis=0)).ravel())  # (n_items,)
        keep = min(self.neighbors, self.n_items)
        step = max(1, _CELLS // self.n_items)
        blocks = []
        for start in range(0, self.n_items, step):
            both = (columns[:, start : start + step].T @ self._taken).toarray()  # who took both
            both /= root[start : start + step, None] * root + self.shrinkage + 1e-9
            both[np.arange(len(both)), np.arange(start, start + len(both))] = 0.0
            best = np.argpartition(-both, keep - 1, axis=1)[:, :keep]
            row = np.repeat(np.arange(len(both)), keep)
            weight = np.take_along_axis(both, best, axis=1).ravel()
            blocks.append(sparse.csr_matrix((weight, (row, best.ravel())), shape=both.shape))
        # row i holds the neighbors that vote for item i
        self.similarity = sparse.vstack(blocks, format="csr").astype(np.float32)
        self.similarity.eliminate_zeros()
        return self

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        users = self._users(users)
        return (self._taken[users] @ self.similarity.T).toarray()


@dataclass
class EASE(Recommender):
    """Find the best linear map from what a user took to what the user takes, in closed form.

    The map B minimizes ``|X - X B|² + regularization |B|²`` subject to ``diag(B) = 0``. With
    ``P = (X'X + regularization I)^-1`` it is ``B = I - P diag(1 / diag P)``. With fewer users than
    items, a user-by-user matrix is inverted instead, ``K = (X X' + regularization I)^-1``:
    ``P = (I - X' K X) / regularization`` and ``X P = K X`` give ``X B = X - K X diag(1 / diag P)``.

    Source: Steck 2019, "Embarrassingly shallow autoencoders for sparse data".
    """

    regularization: float = 200.0

    def __post_init__(self) -> None:
        above_zero(self, "regularization")

    def fit(self, data: Interactions) -> EASE:
        """Solve for B, or for the two factors that take its place."""
        self._learn_from(data)
        self._taken = taken = binary_matrix(data)
        self._dual = self.n_users < self.n_items
        gram = (taken @ taken.T if self._dual else taken.T @ taken).toarray()
        gram[np.diag_indices(len(gram))] += self.regularization
        # float32 throughout: K is well conditioned, its eigenvalues are below 1/regularization
        factor, _ = linalg.lapack.spotrf(gram.astype(np.float32), lower=1, overwrite_a=1)
        half, failed = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)  # by Cholesky
        if failed:
            raise ValueError("the matrix cannot be inverted; use a larger regularization")
        lower = np.tril(half)
        inverse = lower + np.tril(lower, -1).T
        if self._dual:
            self._through = np.ascontiguousarray((taken.T @ inverse).T)  # K X
            covered = np.asarray(taken.multiply(self._through).sum(axis=0)).ravel()  # diag X' K X
            self._scale = self.regularization / (1.0 - covered).astype(np.float32)  # 1 / diag P
        else:
            self._map = inverse / -np.diag(inverse)
            np.fill_diagonal(self._map, 0.0)
        return self

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        users = self._users(users)
        if not self._dual:
            return np.asarray(self._taken[users] @ self._map)
        return np.asarray(self._taken[users].toarray() - self._through[users] * self._scale)

    def score_histories(self, rows: sparse.csr_matrix) -> FloatArray:
        """Return ``x B`` for rows of anyone, of any weights, (n_histories, n_items)."""
        self._fitted()
        if not self._dual:
            return np.asarray(rows @ self._map)
        left = rows.toarray() - (rows @ self._taken.T) @ self._through  # regularization * x P
        return np.asarray(rows.toarray() - left * (self._scale / self.regularization))


@dataclass
class ImplicitALS(Recommender):
    """Factorize the whole matrix by alternating least squares (iALS), without sampling negatives.

    Minimizes ``sum over taken (1 - u.v)² + empty_weight * sum over all cells (u.v)²`` plus
    ``regularization * (n_u + empty_weight * n_items) * |u|²`` for each user and likewise for each
    item. With the items fixed each user is a least-squares problem, and the sum over all cells is
    one small matrix that all users share: therefore no sampling is needed. Users and items take
    turns, ``epochs`` times, with ``steps`` of conjugate gradient that start where the last turn
    ended. ``seed`` decides the first item vectors, of ``factors`` numbers.

    Source: Hu, Koren and Volinsky 2008; Takács, Pilászy and Tikk 2011 (conjugate gradient);
    Rendle et al. 2021, "Revisiting the performance of iALS".
    """

    factors: int = 32
    empty_weight: float = 0.3
    regularization: float = 0.01
    epochs: int = 10
    steps: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "factors", "epochs", "steps")
        above_zero(self, "empty_weight", "regularization")

    def fit(self, data: Interactions) -> ImplicitALS:
        """Alternate between users and items."""
        self._learn_from(data)
        by_user = binary_matrix(data)
        by_item = by_user.T.tocsr()
        rng = np.random.default_rng(self.seed)
        items = rng.normal(0.0, 0.1 / np.sqrt(self.factors), (self.n_items, self.factors))
        self.item_factors = items.astype(np.float32)  # (n_items, factors)
        self.user_factors = np.zeros((self.n_users, self.factors), dtype=np.float32)
        for _ in range(self.epochs):
            self._improve(self.user_factors, by_user, self.item_factors)
            self._improve(self.item_factors, by_item, self.user_factors)
        return self

    def _improve(self, rows: FloatArray, taken: sparse.csr_matrix, other: FloatArray) -> None:
        """Move every row towards its least-squares solution, in place, without its matrix."""
        shared = self.empty_weight * (other.T @ other)
        count = np.diff(taken.indptr)
        ridge = self.regularization * (count + self.empty_weight * len(other))
        ridge = ridge.astype(np.float32)[:, None]
        if taken.nnz >= _LARGE:
            from helpers.models.ials_compiled import improve  # loads a compiler

            return improve(rows, taken, other, shared, ridge[:, 0], self.steps)
        owner = np.repeat(np.arange(len(rows)), count)

        def product(x: FloatArray) -> FloatArray:  # of each row's matrix and its vector
            weight = np.empty(len(owner), dtype=np.float32)
            for start in range(0, len(owner), _PAIRS):
                part = slice(start, start + _PAIRS)
                weight[part] = np.einsum("nk,nk->n", x[owner[part]], other[taken.indices[part]])
            chosen = sparse.csr_matrix((weight, taken.indices, taken.indptr), shape=taken.shape)
            return x @ shared + chosen @ other + ridge * x

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
        users = self._users(users)
        return self.user_factors[users] @ self.item_factors.T
