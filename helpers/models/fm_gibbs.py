"""A Bayesian factorization machine, sampled by Gibbs (Rendle 2011, as in libFM and myFM).

Its rows are made of *relation blocks* (Rendle 2013): features of a user or an item are written
once, and each rating only says which user and which item it is of.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import config
from scipy import sparse

from helpers.metrics.rating import finite
from helpers.models.base import all_finite, at_least, binary_matrix, check_indices
from local_sagemaker.algorithms.fm_kernels import compiled

if TYPE_CHECKING:
    from helpers.data import Interactions

Array = npt.NDArray[np.float64]
# Features that share a prior: a matrix (rows, features), or a number n for n one-hot rows
Group = Any
_FIRST_SIGMA = 0.1  # standard deviation of the first factors


def rated_together(data: Interactions) -> list[list[Group]]:
    """Return the blocks of users and of items of SVD++ flipped, for `GibbsFM.fit_predict`.

    A user's row has a one for the user and 1/√n for each of the n items that the user rated. An
    item's row has a one for the item and 1/√n for each of the n users who rated it. Pass training
    rows only: who rated what in the test rows is part of the answer.
    """
    seen = binary_matrix(data).astype(np.float64)
    groups = []
    for ones in (seen, seen.T.tocsr()):
        counts = np.maximum(np.diff(ones.indptr), 1)
        groups.append([ones.shape[0], sparse.diags(1 / np.sqrt(counts)) @ ones])
    return groups


@dataclass
class GibbsFM:
    """A factorization machine whose weights are drawn from their posterior, again and again.

    It has no learning rate. The strengths of its priors are sampled too, one for each group of
    features, and the prediction is the mean over many draws.

    Each of the ``chains`` begins elsewhere and makes ``samples`` draws, of which the mean leaves
    out the first ``burn_in``. ``factors`` is the length of each feature's vector, and ``seconds``
    the time of the draws. Chains run side by side on the cores there are, with the same result.
    """

    factors: int = 8
    samples: int = 200
    burn_in: int = 10
    seed: int = 0
    chains: int = 1

    def __post_init__(self) -> None:
        at_least(1, self, "factors", "chains")
        if not 0 <= self.burn_in < self.samples:
            raise ValueError(f"{self}: expected 0 <= burn_in < samples")

    def fit_predict(
        self,
        train: npt.ArrayLike,
        y: npt.ArrayLike,
        test: npt.ArrayLike,
        blocks: Sequence[Group | Sequence[Group]],
    ) -> Array:
        """Return the mean prediction of the test rows, (m,) float64.

        Parameters
        ----------
        train, test : array-like of int, (n, blocks) and (m, blocks)
            Which row of each block a rating is of, from 0: for example its user and its item.
        y : array-like of float, (n,)
            The ratings of the training rows.
        blocks : sequence
            The rows of each block: a list of groups of features, to be put side by side, or one
            group. A group is a matrix, sparse or dense, or a number n for n one-hot rows.

        Returns
        -------
        ndarray of float64, (m,)
            A row of a block without training ratings, as of a new user, is defined: its own
            feature is drawn from the prior of its group, so in the mean it is like the others.

        Raises
        ------
        ValueError
            Shapes that do not fit, ratings or features that are not finite, no training row.
        IndexError
            A row that a block does not have.
        """
        (y,) = finite(ratings=y)
        learned, asked = _columns(train, len(blocks), "train"), _columns(test, len(blocks), "test")
        if len(y) != len(learned[0]):
            raise ValueError(f"{len(learned[0])} rows, {len(y)} ratings: expected as many of each")

        def mean_of_a_chain(rng: np.random.Generator) -> Array:
            named = enumerate(zip(blocks, learned, strict=True))
            made = [_Block(f"block {b}", *given, self.factors, rng) for b, given in named]
            rows = [block.checked(of, "test") for block, of in zip(made, asked, strict=True)]
            chain, total = _Chain(made, y, rng), np.zeros(len(asked[0]))
            for sample in range(self.samples):
                chain.draw()
                if sample >= self.burn_in:
                    total += chain.predict(rows)
            return total / (self.samples - self.burn_in)

        began = time.perf_counter()
        starts = np.random.default_rng(self.seed).spawn(self.chains)
        with ThreadPoolExecutor(config.NUMBA_NUM_THREADS) as pool:  # type: ignore[attr-defined]
            found = list(pool.map(mean_of_a_chain, starts))
        self.seconds = time.perf_counter() - began
        return np.asarray(np.mean(found, axis=0))


def _columns(rows: npt.ArrayLike, blocks: int, name: str) -> list[np.ndarray]:
    """Return the column of each block."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != blocks:
        raise ValueError(
            f"{name} has shape {rows.shape}: expected a column for each of {blocks} blocks"
        )
    return list(rows.T)


class _Block:
    """A relation block: its rows, which of them each rating is of, and its weights of this draw."""

    def __init__(
        self,
        name: str,
        groups: Group | Sequence[Group],
        column: np.ndarray,
        factors: int,
        rng: np.random.Generator,
    ) -> None:
        single = isinstance(groups, int) or hasattr(groups, "shape")
        parts = [
            sparse.identity(g) if isinstance(g, int | np.integer) else sparse.csr_matrix(g)
            for g in ([groups] if single else groups)
        ]
        if len({part.shape[0] for part in parts}) != 1:
            found = [part.shape for part in parts]
            raise ValueError(f"{name} has groups of shapes {found}: expected as many rows in each")
        self.name, self.rows = name, sparse.hstack(parts, format="csr", dtype=np.float64)
        all_finite(**{name: self.rows})
        self.column = self.checked(column, "train")
        self.by_feature, self._squares = self.rows.tocsc(), self.rows.power(2)
        ends = np.cumsum([part.shape[1] for part in parts])
        self.groups = [slice(e - p.shape[1], e) for e, p in zip(ends, parts, strict=True)]
        self.linear = np.zeros(ends[-1])
        self.factors = rng.normal(0, _FIRST_SIGMA, (factors, ends[-1]))
        self.sums = (self.rows @ self.factors.T).T.copy()  # of each row, (factors, rows)

    def checked(self, column: np.ndarray, name: str) -> np.ndarray:
        """Return a column of rows of this block."""
        return check_indices(column, self.rows.shape[0], f"{name}, {self.name}").astype(np.intp)

    def alone(self) -> Array:
        """Return what each row adds by itself: its weights and the pairs within it, (rows,)."""
        pairs = (self.sums**2).sum(axis=0) - self._squares @ (self.factors**2).sum(axis=0)
        return np.asarray(self.rows @ self.linear + pairs / 2)


class _Chain:
    """The state of the sampler: weights, residuals of all ratings, precisions."""

    def __init__(self, blocks: list[_Block], y: Array, rng: np.random.Generator) -> None:
        self._blocks, self._rng = blocks, rng
        self._constant = float(y.mean())
        self._noise = 1.0  # precision of ratings around the prediction
        self._residual = y - self.predict([block.column for block in blocks])

    def predict(self, columns: Sequence[np.ndarray]) -> Array:
        """Predict ratings, given their row in each block, with the weights of this draw."""
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
        for block in self._blocks:
            self._sweep(block, block.linear, np.ones(n))
            rest = [other for other in self._blocks if other is not block]
            for f, weights in enumerate(block.factors):
                others = [other.sums[f].take(other.column) for other in rest] or [np.zeros(n)]
                self._sweep(block, weights, reduce(np.add, others), block.sums[f])

    def _sweep(
        self, block: _Block, weights: Array, others: Array, sums: Array | None = None
    ) -> None:
        """Draw one weight of each feature of a block: a linear one, or one factor with its sums.

        A rating's score changes by h = x·(others + c) with the weight of a feature x. What a
        factor meets in the other blocks is in ``others``, and c is what it meets in its own. A
        linear weight meets nothing: its ``others`` are ones, and c is 0.
        """
        own = np.zeros(block.rows.shape[0]) if sums is None else sums
        before, within = own.copy(), np.zeros(len(own))
        cache = _cache(block.column, others, self._residual, np.zeros((len(own), 5)))
        by, chance = block.by_feature, self._rng.normal(size=len(weights))
        for group in block.groups:
            features = by.indptr[group.start : group.stop + 1], by.indices, by.data
            prior = (*self._prior(weights[group]), self._noise, float(sums is not None))
            _draw_weights(features, prior, weights[group], chance[group], own, within, cache)
        self._residual -= others * (own - before).take(block.column)
        self._residual -= within.take(block.column)

    def _prior(self, weights: Array) -> tuple[float, float]:
        """Draw the mean and the precision of a group's prior, given its weights."""
        n, center = len(weights), weights.mean()
        spread = ((weights - center) ** 2).sum() + n / (n + 1) * center**2
        precision = self._rng.gamma((n + 1) / 2, 2 / (1 + spread))
        return self._rng.normal(n * center / (n + 1), 1 / np.sqrt((n + 1) * precision)), precision


@compiled
def _cache(column, others, residual, cache):  # type: ignore[no-untyped-def]
    """Sum 1, o, o², e and o·e over the ratings of each row of a block: others o, residual e."""
    for n in range(len(column)):
        row, o, e = cache[column[n]], others[n], residual[n]
        row[0] += 1
        row[1] += o
        row[2] += o * o
        row[3] += e
        row[4] += o * e
    return cache


@compiled
def _draw_weights(features, prior, weights, chance, own, within, cache):  # type: ignore[no-untyped-def]
    """Draw weights one after the other, from the sums in the cache instead of the ratings."""
    ends, rows, values = features
    mean, strength, noise, pairs = prior
    for j in range(len(weights)):
        old, squares, products = weights[j], 0.0, 0.0
        for at in range(ends[j], ends[j + 1]):
            r, x = rows[at], values[at]
            c = pairs * (own[r] - x * old)
            squares += x * x * (c * (c * cache[r, 0] + 2 * cache[r, 1]) + cache[r, 2])
            products += x * (c * cache[r, 3] + cache[r, 4])
        precision = strength + noise * squares
        center = (strength * mean + noise * (products + squares * old)) / precision
        weights[j] = center + chance[j] / np.sqrt(precision)
        for at in range(ends[j], ends[j + 1]):
            r, move = rows[at], values[at] * (weights[j] - old)
            c = pairs * (own[r] - values[at] * old)
            cache[r, 3] -= move * (c * cache[r, 0] + cache[r, 1])
            cache[r, 4] -= move * (c * cache[r, 1] + cache[r, 2])
            own[r] += move
            within[r] += move * c
