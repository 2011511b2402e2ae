"""A Bayesian factorization machine, sampled by Gibbs: every weight a distribution, not a number.

After Rendle, "Bayesian Factorization Machines" (2011), as in libFM and myFM. Instead of a learning rate and
weight decays it has priors whose own strengths are sampled too, and the prediction is the mean over many
samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from helpers.models.base import NotFittedError


@dataclass
class GibbsFM:
    """A factorization machine whose weights are drawn, over and over, from their posterior.

    Features come in blocks of which each row has exactly one (users, items, …): that lets all weights of a
    block be drawn at once, because no row joins two of them.

    Parameters
    ----------
    num_factors : int
        Length of each feature's vector.
    samples, burn_in : int
        Draws in all, and how many first ones the mean leaves out.
    init_sigma : float
        Spread of the factors at the start.
    seed : int
        Of everything drawn.

    Attributes
    ----------
    history : list of float
        RMSE on the training rows of each draw.
    seconds : float
        Time of the draws.
    """

    num_factors: int = 8
    samples: int = 200
    burn_in: int = 10
    init_sigma: float = 0.1
    seed: int = 0
    history: list[float] = field(init=False, repr=False, compare=False, default_factory=list)
    seconds: float = field(init=False, repr=False, compare=False, default=0.0)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be sampled."""
        if self.num_factors < 1 or self.samples < 1:
            raise ValueError(
                f"num_factors={self.num_factors}, samples={self.samples}: expected at least 1 of each"
            )
        if not 0 <= self.burn_in < self.samples:
            raise ValueError(
                f"burn_in={self.burn_in}: expected 0 to {self.samples - 1}, below samples"
            )

    def fit_predict(
        self,
        train: np.ndarray,
        y: np.ndarray,
        test: np.ndarray,
        sizes: tuple[int, ...],
        on_sample: Callable[[int, np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """Sample, and return the mean prediction of the test rows.

        Parameters
        ----------
        train, test : numpy.ndarray
            (n, blocks) and (m, blocks): the feature of each block that a row has, counted within its block.
        y : numpy.ndarray
            (n,) ratings.
        sizes : tuple of int
            How many features each block has.
        on_sample : callable, optional
            Called with the number of each draw after the burn-in and the mean prediction so far.

        Returns
        -------
        numpy.ndarray
            (m,), float64.

        Raises
        ------
        ValueError
            Shapes do not fit.
        IndexError
            A feature is not below the size of its block.
        """
        train, test, y = np.asarray(train), np.asarray(test), np.asarray(y, dtype=np.float64)
        _check(train, test, y, sizes)
        began = time.perf_counter()
        chain = _Chain(
            train, y, sizes, self.num_factors, self.init_sigma, np.random.default_rng(self.seed)
        )
        total, self.history = np.zeros(len(test)), []
        for draw in range(self.samples):
            chain.draw()
            self.history.append(float(np.sqrt(np.mean(chain.residual**2))))
            if draw >= self.burn_in:
                total += chain.predict(test)
                if on_sample:
                    on_sample(draw, total / (draw - self.burn_in + 1))
        self.seconds = time.perf_counter() - began
        self._chain = chain
        return total / (self.samples - self.burn_in)

    @property
    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Linear weights and factors of each block in the last draw.

        Raises
        ------
        NotFittedError
            Before `fit_predict`.
        """
        if not hasattr(self, "_chain"):
            raise NotFittedError("nothing was sampled yet: call fit_predict first")
        return list(zip(self._chain.linear, self._chain.factors, strict=True))


class _Block:
    """The rows of each feature of one block, and sums over them."""

    def __init__(self, column: np.ndarray, size: int) -> None:
        n = len(column)
        self.column = column
        self.counts = np.bincount(column, minlength=size).astype(np.float64)
        self._sum = sparse.csr_matrix(
            (np.ones(n), column, np.arange(n + 1)), shape=(n, size)
        ).T.tocsr()

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum values of rows by feature: (n, …) to (size, …)."""
        return self._sum @ values


class _Chain:
    """The state of the sampler: weights, residuals y − ŷ of all rows, precisions."""

    def __init__(
        self,
        train: np.ndarray,
        y: np.ndarray,
        sizes: tuple[int, ...],
        k: int,
        sigma: float,
        random: np.random.Generator,
    ) -> None:
        self._random = random
        self._blocks = [_Block(train[:, b], size) for b, size in enumerate(sizes)]
        self.constant = float(y.mean())
        self.linear = [np.zeros(size) for size in sizes]
        self.factors = [random.normal(0, sigma, (size, k)) for size in sizes]
        self._noise = 1.0  # precision of ratings around the prediction
        self._rows = train
        self.residual = y - self.predict(train)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predict rows with the weights of this draw."""
        total = np.zeros((len(rows), self.factors[0].shape[1]))
        own = np.zeros(len(rows))
        found = np.full(len(rows), self.constant)
        for b, (linear, factors) in enumerate(zip(self.linear, self.factors, strict=True)):
            found += linear[rows[:, b]]
            picked = factors[rows[:, b]]
            total += picked
            own += np.einsum("nf,nf->n", picked, picked)
        return found + 0.5 * (np.einsum("nf,nf->n", total, total) - own)

    def draw(self) -> None:
        """Draw every weight once, given all the others."""
        n = len(self.residual)
        self._noise = self._random.gamma((n + 1) / 2, 2 / (1 + self.residual @ self.residual))
        shift = self._random.normal(self.residual.mean(), 1 / np.sqrt(self._noise * n))
        self.constant += shift
        self.residual -= shift
        for b, block in enumerate(self._blocks):
            old = self.linear[b]
            mean, precision = self._prior(old)
            sums = block.sum(self.residual) + block.counts * old
            precisions = self._noise * block.counts + precision
            self.linear[b] = self._normal(self._noise * sums + precision * mean, precisions)
            self.residual -= (self.linear[b] - old)[block.column]
        for b, block in enumerate(self._blocks):
            others = np.zeros((n, self.factors[b].shape[1]))
            for other, factors in enumerate(self.factors):
                if other != b:
                    others += factors[self._rows[:, other]]
            self._draw_factors(b, block, others)

    def _draw_factors(self, b: int, block: _Block, others: np.ndarray) -> None:
        """Draw the factors of a block one dimension after another: each is a linear weight of ``others``."""
        squares = block.sum(others**2)
        for f in range(others.shape[1]):
            h, old = others[:, f], self.factors[b][:, f].copy()
            mean, precision = self._prior(old)
            sums = block.sum(h * self.residual) + squares[:, f] * old
            precisions = self._noise * squares[:, f] + precision
            new = self._normal(self._noise * sums + precision * mean, precisions)
            self.factors[b][:, f] = new
            self.residual -= h * (new - old)[block.column]

    def _prior(self, weights: np.ndarray) -> tuple[float, float]:
        """Draw mean and precision of the prior that these weights come from."""
        n, center = len(weights), weights.mean()
        spread = ((weights - center) ** 2).sum() + n / (n + 1) * center**2
        precision = self._random.gamma((n + 1) / 2, 2 / (1 + spread))
        mean = self._random.normal(n * center / (n + 1), 1 / np.sqrt((n + 1) * precision))
        return mean, precision

    def _normal(self, weighted: np.ndarray, precision: np.ndarray) -> np.ndarray:
        return self._random.normal(weighted / precision, 1 / np.sqrt(precision))


def _check(train: np.ndarray, test: np.ndarray, y: np.ndarray, sizes: tuple[int, ...]) -> None:
    for name, rows in (("train", train), ("test", test)):
        if rows.ndim != 2 or rows.shape[1] != len(sizes):
            raise ValueError(
                f"{name} has shape {rows.shape}: expected a column for each of {len(sizes)} blocks"
            )
        for b, size in enumerate(sizes):
            if len(rows) and (rows[:, b].min() < 0 or rows[:, b].max() >= size):
                raise IndexError(f"{name}, block {b}: features must be in 0..{size - 1}")
    if y.shape != (len(train),) or not len(y):
        raise ValueError(
            f"{len(train)} rows, ratings of shape {y.shape}: expected one a row, at least one"
        )
    if not np.isfinite(y).all():
        raise ValueError("ratings hold NaN or infinity")
