"""A Bayesian factorization machine, sampled by Gibbs (Rendle 2011, as in libFM and myFM).

Its rows are made of *relation blocks* (Rendle 2013): features of a user or an item are written
once, and each rating only says which user and which item it is of.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.metrics.rating import finite
from helpers.models.base import all_finite, at_least, binary_matrix, check_indices
from local_sagemaker.algorithms.fm_kernels import compiled

if TYPE_CHECKING:
    from helpers.data import Interactions

Array = npt.NDArray[np.float64]
Group = Any  # sparse or dense features (rows, features) that share a prior; or n: one-hot rows
_FIRST_SIGMA = 0.1  # standard deviation of the first factors


def rated_together(data: Interactions) -> list[list[Group]]:
    """Return the blocks of SVD++ flipped: who and what else was rated, from these rows only.

    A user's block row has a one for the user, and 1/√n for each of the n items that the user
    rated; an item's has a one for the item, and 1/√n for each of its n users. Pass training rows:
    that a pair is among the test rows is known to nobody who predicts it.
    """
    seen = binary_matrix(data).astype(np.float64)
    return [[seen.shape[0], _shared(seen)], [seen.shape[1], _shared(seen.T.tocsr())]]


def _shared(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Divide rows of ones by the root of their number."""
    counts = np.diff(rows.indptr)
    return sparse.diags(1 / np.sqrt(np.maximum(counts, 1))) @ rows


@dataclass
class GibbsFM:
    """A factorization machine whose weights are drawn from their posterior, again and again.

    It has no learning rate. The strengths of its priors are sampled too, one for each group of
    features, and the prediction is the mean over many draws.

    There are ``samples`` draws, of which the mean leaves out the first ``burn_in``. ``factors`` is
    the length of each feature's vector, and ``seconds`` the time of the draws.
    """

    factors: int = 8
    samples: int = 200
    burn_in: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "factors")
        if not 0 <= self.burn_in < self.samples:
            raise ValueError(f"{self}: expected 0 <= burn_in < samples")

    def fit_predict(
        self,
        train: npt.ArrayLike,
        y: npt.ArrayLike,
        test: npt.ArrayLike,
        blocks: Sequence[int | Sequence[Group]],
    ) -> Array:
        """Return the mean prediction of the test rows, (m,) float64.

        Parameters
        ----------
        train, test : array-like of int, (n, blocks) and (m, blocks)
            The row of each block that a rating is of, from 0: for example its user and its item.
        y : array-like of float, (n,)
            The ratings of the training rows.
        blocks : sequence
            A block's rows: its groups side by side, each a matrix (rows, features), sparse or
            dense, or a number n for n one-hot rows. A block of one such group may be the number.

        Returns
        -------
        ndarray of float64, (m,)
            A block row without a training rating, such as a new user, is drawn from the prior:
            it gets what an average row gets, and its features' weights, where others have them.

        Raises
        ------
        ValueError
            Shapes that do not fit; ratings or features that are not finite; no training row.
        IndexError
            A row that a block has not.
        """
        groups = [[block] if isinstance(block, int) else list(block) for block in blocks]
        (y,), rng = finite(ratings=y), np.random.default_rng(self.seed)
        made = [_Block(block, b, self.factors, rng) for b, block in enumerate(groups)]
        learned, asked = _columns(train, made, "train"), _columns(test, made, "test")
        if len(y) != len(learned[0]):
            raise ValueError(f"{len(learned[0])} rows, {len(y)} ratings: expected as many of each")
        began = time.perf_counter()
        chain, total = _Chain(made, learned, y, rng), np.zeros(len(asked[0]))
        for sample in range(self.samples):
            chain.draw()
            if sample >= self.burn_in:
                total += chain.predict(asked)
        self.seconds = time.perf_counter() - began
        return total / (self.samples - self.burn_in)


class _Block:
    """A relation block: its features by column, their groups, and the weights they have now."""

    def __init__(
        self, groups: list[Group], place: int, factors: int, rng: np.random.Generator
    ) -> None:
        parts = [
            sparse.identity(g, format="csr") if isinstance(g, int) else sparse.csr_matrix(g)
            for g in groups
        ]
        if len({part.shape[0] for part in parts}) != 1:
            shapes = [part.shape for part in parts]
            raise ValueError(f"block {place}: groups of shapes {shapes}, expected as many rows")
        self.rows = sparse.hstack(parts, format="csr", dtype=np.float64)
        all_finite(**{f"block {place}": self.rows})
        self.by_feature = self.rows.tocsc()
        ends = np.cumsum([part.shape[1] for part in parts])
        self.groups = [slice(e - p.shape[1], e) for e, p in zip(ends, parts, strict=True)]
        self._squares = self.rows.power(2)
        self.linear = np.zeros(self.rows.shape[1])
        self.factors = rng.normal(0, _FIRST_SIGMA, (factors, self.rows.shape[1]))
        self.sums = np.ascontiguousarray((self.rows @ self.factors.T).T)  # (factors, rows)

    def alone(self) -> Array:
        """Return the score of each row by itself, (rows,)."""
        pairs = (self.sums**2).sum(axis=0) - self._squares @ (self.factors**2).sum(axis=0)
        return np.asarray(self.rows @ self.linear + pairs / 2)


def _columns(rows: npt.ArrayLike, blocks: list[_Block], name: str) -> list[np.ndarray]:
    """Return the checked block rows of each block."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != len(blocks):
        raise ValueError(
            f"{name} has shape {rows.shape}: expected a column for each of {len(blocks)} blocks"
        )
    sizes = (block.rows.shape[0] for block in blocks)
    return [
        check_indices(column, size, f"{name}, block {b}").astype(np.intp)
        for b, (column, size) in enumerate(zip(rows.T, sizes, strict=True))
    ]


class _Chain:
    """The state of the sampler: weights, residuals of all rows, precisions."""

    def __init__(
        self, blocks: list[_Block], columns: list[np.ndarray], y: Array, rng: np.random.Generator
    ) -> None:
        self._blocks, self._columns, self._rng = blocks, columns, rng
        self._constant = float(y.mean())
        self._noise = 1.0  # precision of ratings around the prediction
        self._residual = y - self.predict(columns)

    def predict(self, columns: Sequence[np.ndarray]) -> Array:
        """Predict rows, given their row in each block, with the weights of this draw."""
        found = np.full(len(columns[0]), self._constant)
        total = np.zeros((len(self._blocks[0].factors), len(found)))
        for block, column in zip(self._blocks, columns, strict=True):
            picked = block.sums.take(column, axis=1)
            found += block.alone()[column] + np.einsum("fn,fn->n", total, picked)
            total += picked
        return found

    def draw(self) -> None:
        """Draw every weight once, given all the others."""
        n, residual = len(self._residual), self._residual
        self._noise = float(self._rng.gamma((n + 1) / 2, 2 / (1 + residual @ residual)))
        shift = float(self._rng.normal(residual.mean(), 1 / np.sqrt(self._noise * n)))
        self._constant += shift
        residual -= shift
        pairs = list(zip(self._blocks, self._columns, strict=True))
        for block, column in pairs:
            own = np.zeros(block.rows.shape[0])
            self._sweep(block, column, block.linear, own, np.ones(n), within=0.0)
        for block, column in pairs:
            rest = [(other, its) for other, its in pairs if other is not block]
            for f, weights in enumerate(block.factors):
                others = [other.sums[f][its] for other, its in rest] or [np.zeros(n)]
                self._sweep(block, column, weights, block.sums[f], reduce(np.add, others))

    def _sweep(
        self,
        block: _Block,
        column: np.ndarray,
        weights: Array,
        own: Array,
        others: Array,
        within: float = 1.0,
    ) -> None:
        """Draw one weight of every feature of a block: the linear one, or one factor."""
        residual, before, shift = self._residual, own.copy(), np.zeros(len(own))
        sums = _sums_by_row(column, others, residual, np.zeros((len(own), 5)))
        by, chance = block.by_feature, self._rng.normal(size=len(weights))
        for group in block.groups:
            normal = (*self._prior(weights[group]), self._noise, within)
            features = by.indptr[group.start : group.stop + 1], by.indices, by.data
            _draw_weights(features, normal, weights[group], chance[group], own, shift, sums)
        residual -= shift[column] + others * (own - before)[column]

    def _prior(self, weights: Array) -> tuple[float, float]:
        """Draw the precision and the mean of the prior of a group, given its weights."""
        n, center = len(weights), weights.mean()
        spread = ((weights - center) ** 2).sum() + n / (n + 1) * center**2
        prior = self._rng.gamma((n + 1) / 2, 2 / (1 + spread))
        return prior, self._rng.normal(n * center / (n + 1), 1 / np.sqrt((n + 1) * prior))


@compiled
def _sums_by_row(column, others, residual, sums):  # type: ignore[no-untyped-def]
    """Sum 1, o, o², e and o·e of ratings by their block row: others o, residual e."""
    for n in range(len(column)):
        r, o, e = column[n], others[n], residual[n]
        sums[r, 0] += 1
        sums[r, 1] += o
        sums[r, 2] += o * o
        sums[r, 3] += e
        sums[r, 4] += o * e
    return sums


@compiled
def _draw_weights(features, normal, weights, chance, own, shift, sums):  # type: ignore[no-untyped-def]
    ends, rows, values = features
    prior, mean, noise, within = normal
    for j in range(len(weights)):
        old, squares, products = weights[j], 0.0, 0.0
        for at in range(ends[j], ends[j + 1]):
            r, x = rows[at], values[at]
            c = within * (own[r] - x * old)
            squares += x * x * (c * (c * sums[r, 0] + 2 * sums[r, 1]) + sums[r, 2])
            products += x * (c * sums[r, 3] + sums[r, 4])
        precision = prior + noise * squares
        center = (prior * mean + noise * (products + squares * old)) / precision
        weights[j] = center + chance[j] / np.sqrt(precision)
        step = weights[j] - old
        for at in range(ends[j], ends[j + 1]):
            r, x = rows[at], values[at]
            c, move = within * (own[r] - x * old), x * step
            sums[r, 3] -= move * (c * sums[r, 0] + sums[r, 1])
            sums[r, 4] -= move * (c * sums[r, 1] + sums[r, 2])
            own[r] += move
            shift[r] += move * c
