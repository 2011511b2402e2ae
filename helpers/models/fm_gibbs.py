"""A Bayesian factorization machine, sampled by Gibbs (Rendle 2011, as in libFM and myFM)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.metrics.rating import finite
from helpers.models.base import at_least, check_indices

Array = npt.NDArray[np.float64]
_FIRST_SIGMA = 0.1  # standard deviation of the first factors


@dataclass
class GibbsFM:
    """A factorization machine whose weights are drawn from their posterior, again and again.

    It has no learning rate. The strengths of its priors are sampled too, and the prediction is the
    mean over many draws. Each row has exactly one feature of each block (users, items, …), so all
    weights of a block can be drawn at once.

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
        self, train: npt.ArrayLike, y: npt.ArrayLike, test: npt.ArrayLike, sizes: Sequence[int]
    ) -> Array:
        """Return the mean prediction of the test rows, (m,) float64.

        ``train`` (n, blocks) and ``test`` (m, blocks) have the feature of each row in each block,
        from 0; ``y`` (n,) has the ratings, and ``sizes`` the number of features of each block.
        Raise ``ValueError`` for shapes that do not fit and ratings that are not finite, and
        ``IndexError`` for a feature that is not below its block's size.
        """
        learned, asked = _columns(train, sizes, "train"), _columns(test, sizes, "test")
        (y,) = finite(ratings=y)
        if len(y) != len(learned[0]):
            raise ValueError(f"{len(learned[0])} rows, {len(y)} ratings: expected as many of each")
        began, rng = time.perf_counter(), np.random.default_rng(self.seed)
        blocks = [_Block(c, n, self.factors, rng) for c, n in zip(learned, sizes, strict=True)]
        chain, total = _Chain(blocks, y, rng), np.zeros(len(asked[0]))
        for sample in range(self.samples):
            chain.draw()
            if sample >= self.burn_in:
                total += chain.predict(asked)
        self.seconds = time.perf_counter() - began
        return total / (self.samples - self.burn_in)


def _columns(rows: npt.ArrayLike, sizes: Sequence[int], name: str) -> list[np.ndarray]:
    """Return the checked features of each block."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != len(sizes):
        raise ValueError(
            f"{name} has shape {rows.shape}: expected a column for each of {len(sizes)} blocks"
        )
    blocks = enumerate(zip(rows.T, sizes, strict=True))
    return [check_indices(column, size, f"{name}, block {b}") for b, (column, size) in blocks]


class _Block:
    """One block of features: its weights, and which training row has which feature."""

    def __init__(
        self, column: np.ndarray, size: int, factors: int, rng: np.random.Generator
    ) -> None:
        n = len(column)
        self.column, self.counts = column, np.bincount(column, minlength=size).astype(np.float64)
        self.linear, self.factors = np.zeros(size), rng.normal(0, _FIRST_SIGMA, (size, factors))
        ones = sparse.csr_matrix((np.ones(n), column, np.arange(n + 1)), shape=(n, size))
        self._by_feature = ones.T.tocsr()

    def sum(self, values: Array) -> Array:
        """Sum values of rows by feature, (n, …) to (size, …)."""
        return np.asarray(self._by_feature @ values)


class _Chain:
    """The state of the sampler: weights, residuals of all rows, precisions."""

    def __init__(self, blocks: list[_Block], y: Array, rng: np.random.Generator) -> None:
        self._blocks, self._rng = blocks, rng
        self._constant = float(y.mean())
        self._noise = 1.0  # precision of ratings around the prediction
        self._residual = y - self.predict([block.column for block in blocks])

    def predict(self, columns: Sequence[np.ndarray]) -> Array:
        """Predict rows, given their feature in each block, with the weights of this draw."""
        picked = [b.factors[column] for b, column in zip(self._blocks, columns, strict=True)]
        total, own = np.zeros_like(picked[0]), np.zeros(len(picked[0]))
        found = np.full(len(own), self._constant)
        for block, column, factors in zip(self._blocks, columns, picked, strict=True):
            found += block.linear[column]
            total += factors
            own += np.einsum("nf,nf->n", factors, factors)
        return np.asarray(found + 0.5 * (np.einsum("nf,nf->n", total, total) - own))

    def draw(self) -> None:
        """Draw every weight once, given all the others."""
        n, residual = len(self._residual), self._residual
        self._noise = float(self._rng.gamma((n + 1) / 2, 2 / (1 + residual @ residual)))
        shift = float(self._rng.normal(residual.mean(), 1 / np.sqrt(self._noise * n)))
        self._constant += shift
        residual -= shift
        for block in self._blocks:
            new = self._drawn(block.linear, block.sum(residual), block.counts)
            residual -= (new - block.linear)[block.column]
            block.linear = new
        for block in self._blocks:
            rest = (other.factors[other.column] for other in self._blocks if other is not block)
            others = sum(rest, np.zeros((n, block.factors.shape[1])))
            squares = block.sum(others**2)
            for f, h in enumerate(others.T):  # each dimension is a linear weight of `others`
                new = self._drawn(block.factors[:, f], block.sum(h * residual), squares[:, f])
                residual -= h * (new - block.factors[:, f])[block.column]
                block.factors[:, f] = new

    def _drawn(self, old: Array, sums: Array, squares: Array) -> Array:
        """Draw new weights of features with values h: sums of h · residual and of h² by feature."""
        n, center = len(old), old.mean()
        spread = ((old - center) ** 2).sum() + n / (n + 1) * center**2
        prior = self._rng.gamma((n + 1) / 2, 2 / (1 + spread))  # precision
        mean = self._rng.normal(n * center / (n + 1), 1 / np.sqrt((n + 1) * prior))
        precision = self._noise * squares + prior
        weighted = self._noise * (sums + squares * old) + prior * mean
        return self._rng.normal(weighted / precision, 1 / np.sqrt(precision))
