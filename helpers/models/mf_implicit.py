"""Matrix factorization that learns from positives and sampled negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit

from helpers.models.checks import NotFittedError, check_indices
from helpers.sampling import LabeledPairs, NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]


class LogisticMF:
    """Logistic matrix factorization: the chance that a user takes an item.

    ``p = sigmoid(mean + a_u + b_i + u.v)``, trained on every positive and
    `ratio` sampled negatives by Adam in batches. The probabilities are those of
    the sample: `helpers.sampling.undo_sampling` brings them back to the matrix.

    Parameters
    ----------
    n_factors : int
        Length of the vectors.
    epochs : int
        Passes over the positives.
    ratio : int
        Negatives a positive.
    learning_rate : float
        Adam's; it falls linearly to a tenth over the epochs.
    decay : float
        L2 penalty of the vectors an example touches.
    batch_size : int
        Examples a step.
    resample : bool
        Fresh negatives every epoch; without it those of the first epoch stay.
    seed : int
        Of the initial vectors and of the negatives.
    **sampling
        Settings of `helpers.sampling.NegativeSampler`: strategy, alpha, avoid, known.

    Attributes
    ----------
    history : list of float
        Mean cross-entropy of every epoch, on its own examples, in nats.

    References
    ----------
    Johnson 2014, "Logistic matrix factorization for implicit feedback data";
    Rendle et al. 2020, "Neural collaborative filtering vs. matrix factorization revisited".
    """

    def __init__(
        self,
        n_factors: int = 32,
        epochs: int = 12,
        ratio: int = 5,
        learning_rate: float = 0.02,
        decay: float = 0.01,
        batch_size: int = 8192,
        resample: bool = True,
        seed: int = 0,
        **sampling: Any,
    ) -> None:
        for name, value in {
            "n_factors": n_factors,
            "epochs": epochs,
            "batch_size": batch_size,
        }.items():
            if value < 1:
                raise ValueError(f"{name}={value}: expected at least 1")
        if learning_rate <= 0 or decay < 0:
            raise ValueError(
                f"learning_rate={learning_rate}, decay={decay}: expected above 0, and 0 or more"
            )
        self.n_factors, self.epochs, self.ratio = n_factors, epochs, ratio
        self.learning_rate, self.decay, self.batch_size = learning_rate, decay, batch_size
        self.resample, self.seed, self.sampling = resample, seed, sampling

    def fit(self, data: Interactions) -> LogisticMF:
        """Train for `epochs` epochs."""
        sampler = NegativeSampler(data, **self.sampling)
        rng = np.random.default_rng(self.seed)
        n_users, n_items, k = sampler.n_users, sampler.n_items, self.n_factors
        # columns: vector, own bias, and a one that meets the other side's bias
        self._users = _with_bias(rng.normal(0, 0.1 / np.sqrt(k), (n_users, k)), own=k)
        self._items = _with_bias(rng.normal(0, 0.1 / np.sqrt(k), (n_items, k)), own=k + 1)
        self.mean = float(-np.log(self.ratio))  # log odds of a positive in the sample
        # the column of ones is not learned
        self._optimizers = _Adam(self._users, fixed=k + 1), _Adam(self._items, fixed=k)
        self._steps = 0
        self.history = []
        examples = sampler.epoch(self.ratio, rng=rng)
        for epoch in range(self.epochs):
            if epoch and self.resample:
                examples = sampler.epoch(self.ratio, rng=rng)
            elif epoch:
                order = rng.permutation(len(examples.labels))
                examples = LabeledPairs(*(column[order] for column in examples))
            rate = self.learning_rate * (1.0 - 0.9 * epoch / max(1, self.epochs - 1))
            self.history.append(self._epoch(examples, rate))
        return self

    def _epoch(self, examples: LabeledPairs, rate: float) -> float:
        """Take one Adam step a batch; return the mean loss."""
        total = 0.0
        for start in range(0, len(examples.labels), self.batch_size):
            users, items, labels = (column[start : start + self.batch_size] for column in examples)
            logit = np.einsum("nk,nk->n", self._users[users], self._items[items]) + self.mean
            total += float(np.logaddexp(0.0, np.where(labels > 0, -logit, logit)).sum())
            slope = (expit(logit) - labels) / np.float32(len(labels))
            # as a sparse matrix, the slopes gather themselves by user and by item
            cells = sparse.csr_matrix(
                (slope, (users, items)),
                shape=(len(self._users), len(self._items)),
                dtype=np.float32,
            )
            gradients = cells @ self._items, cells.T @ self._users
            self._steps += 1
            for side, touched in enumerate((users, items)):
                count = np.bincount(touched, minlength=len(gradients[side]))
                penalty = (count * (self.decay / len(labels))).astype(np.float32)
                self._optimizers[side].step(gradients[side], penalty, rate, self._steps)
        return total / len(examples.labels)

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the log odds of every item for some users, (len(users), n_items)."""
        index = check_indices(np.asarray(users), len(self._fitted()), "users")
        return self._users[index] @ self._items.T + np.float32(self.mean)

    def predict(self, users: npt.ArrayLike, items: npt.ArrayLike) -> FloatArray:
        """Return the probability of a positive in the sample, (n,), for pairs of user and item."""
        row = check_indices(np.asarray(users), len(self._fitted()), "users")
        column = check_indices(np.asarray(items), len(self._items), "items")
        logit = np.einsum("nk,nk->n", self._users[row], self._items[column]) + np.float32(self.mean)
        return np.asarray(expit(logit), dtype=np.float32)

    def _fitted(self) -> FloatArray:
        if not hasattr(self, "_users"):
            raise NotFittedError("LogisticMF: call fit(data) before predict or scores")
        return self._users


def _with_bias(vectors: npt.NDArray[np.float64], own: int) -> FloatArray:
    """Append a bias column (zeros, at `own`) and a column of ones."""
    n, k = vectors.shape
    table = np.ones((n, k + 2), dtype=np.float32)
    table[:, :k] = vectors
    table[:, own] = 0.0
    return table


class _Adam:
    """Adam (Kingma and Ba 2015) on one table, in place and without new arrays in a step."""

    def __init__(self, table: FloatArray, fixed: int) -> None:
        self.table, self.fixed = table, fixed
        self.first, self.second, self.work = (np.zeros_like(table) for _ in range(3))

    def step(self, gradient: FloatArray, penalty: FloatArray, rate: float, step: int) -> None:
        """Follow `gradient` (overwritten) and the L2 `penalty` of each row."""
        work = np.multiply(self.table, penalty[:, None], out=self.work)
        gradient += work
        gradient[:, self.fixed] = 0.0
        self.first *= np.float32(0.9)
        self.first += np.multiply(gradient, np.float32(0.1), out=work)
        self.second *= np.float32(0.999)
        np.multiply(gradient, gradient, out=work)
        self.second += np.multiply(work, np.float32(0.001), out=work)
        np.sqrt(self.second, out=work)
        work += np.float32(1e-8)
        np.divide(self.first, work, out=work)
        work *= np.float32(rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step))
        self.table -= work
