"""Matrix factorization of clicks: logistic with sampled negatives, and under four losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit, softmax

from helpers.models.base import Recommender, above_zero, at_least, binary_matrix, one_of
from helpers.models.training import Adam, Rows, Weights, falling
from helpers.sampling import LabeledPairs, NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]

_LARGE = 3_000_000  # examples from which on compiled loops save more than their loading takes

# learning rate and regularization of `LossMF`: the best of a dozen tries per loss, by NDCG@10 on
# five films per user of the training part
TUNED_BY_LOSS = {
    "pointwise": (0.1, 1e-3),
    "multi-label": (0.1, 1e-3),
    "pairwise": (0.1, 1e-4),
    "listwise": (0.3, 3e-2),
}


@dataclass(kw_only=True)
class LogisticMF(Recommender):
    """Fit the log odds that a user takes an item, ``mean + a_u + b_i + u.v``.

    Adam learns from every positive and ``ratio`` sampled negatives, in batches. The odds are those
    of the sample, not of the whole matrix. ``history`` has the mean cross-entropy of every epoch,
    on its own examples, in nats. Adam moves every row at every step; from 3 million examples on, a
    row that a batch does not read catches up later, with a relative error of 1e-5.

    Source: Johnson 2014, "Logistic matrix factorization for implicit feedback data"; Rendle et al.
    2020, "Neural collaborative filtering vs. matrix factorization revisited".

    Parameters
    ----------
    factors, epochs, ratio, batch_size : int
        Length of the vectors, passes over the positives, negatives per positive, examples in a
        step.
    regularization, learning_rate, resample : float, float, bool
        L2 penalty of the vectors that an example reads; Adam's first rate, which falls to a tenth;
        whether each epoch draws fresh negatives.
    strategy, alpha, seed
        As for `helpers.sampling.NegativeSampler`; for the first vectors and the negatives.
    """

    factors: int = 32
    epochs: int = 12
    ratio: int = 5
    regularization: float = 0.01
    learning_rate: float = 0.02
    batch_size: int = 8192
    resample: bool = True
    strategy: Literal["uniform", "popularity"] = "uniform"
    alpha: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "factors", "epochs", "ratio", "batch_size")
        at_least(0, self, "regularization")
        above_zero(self, "learning_rate")

    def fit(self, data: Interactions) -> LogisticMF:
        """Learn from the interactions, whatever their rating."""
        self._learn_from(data)
        sampler = NegativeSampler(data, strategy=self.strategy, alpha=self.alpha)
        rng = np.random.default_rng(self.seed)
        # columns: vector, own bias, and a one that meets the other side's bias
        self._tables = {
            "user": _with_bias(rng, self.n_users, self.factors, self.factors),
            "item": _with_bias(rng, self.n_items, self.factors, self.factors + 1),
        }
        self.mean = float(-np.log(self.ratio))  # log odds of a positive in the sample
        adam = Adam(self.learning_rate, epsilon_hat=True)
        self.history = []
        for epoch in range(self.epochs):
            if epoch == 0 or self.resample:
                examples = sampler.epoch(self.ratio, rng=rng)
            else:
                order = rng.permutation(len(examples.labels))
                examples = LabeledPairs(*(column[order] for column in examples))
            adam.learning_rate = falling(self.learning_rate, epoch, self.epochs)
            self.history.append(self._run_epoch(examples, adam))
        return self

    def _run_epoch(self, examples: LabeledPairs, adam: Adam) -> float:
        """Take a step per batch and return the mean loss."""
        if len(examples.labels) >= _LARGE:
            from helpers.models.mf_compiled import run_logistic_epoch  # loads a compiler

            numbers = self.mean, self.regularization
            return run_logistic_epoch(self._tables, examples, adam, self.batch_size, *numbers)
        total = 0.0
        user, item = self._tables["user"], self._tables["item"]
        for start in range(0, len(examples.labels), self.batch_size):
            users, items, labels = (column[start : start + self.batch_size] for column in examples)
            logit = np.einsum("nk,nk->n", user[users], item[items]) + self.mean
            total += float(np.logaddexp(0.0, np.where(labels > 0, -logit, logit)).sum())
            by_logit = (expit(logit) - labels) / np.float32(len(labels))
            # products with this sparse matrix sum the gradients of each user and of each item
            shape = len(user), len(item)
            cells = sparse.csr_matrix((by_logit, (users, items)), shape=shape, dtype=np.float32)
            gradients = {"user": cells @ item, "item": cells.T @ user}
            for side, index in (("user", users), ("item", items)):
                count = np.bincount(index, minlength=len(self._tables[side]))
                pull = (count * (self.regularization / len(labels))).astype(np.float32)
                gradients[side] += pull[:, None] * self._tables[side]
            gradients["user"][:, self.factors + 1] = 0.0  # the columns of ones are not learned
            gradients["item"][:, self.factors] = 0.0
            adam.step(self._tables, {"user": slice(None), "item": slice(None)}, gradients)
        return total / len(examples.labels)

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the log odds of every item for some users, (len(users), n_items)."""
        users = self._users(users)
        return self._tables["user"][users] @ self._tables["item"].T + np.float32(self.mean)


def _with_bias(rng: np.random.Generator, n: int, factors: int, bias: int) -> FloatArray:
    """Draw vectors and append two columns: zeros at ``bias``, ones in the other."""
    table = np.ones((n, factors + 2), dtype=np.float32)
    table[:, :factors] = rng.normal(0, 0.1 / np.sqrt(factors), (n, factors))
    table[:, bias] = 0.0
    return table


@dataclass
class LossMF(Recommender):
    """Fit ``score = b_i + u.v`` under one of four losses; see `TUNED_BY_LOSS` for their settings.

    ``"pointwise"`` is the logistic loss on every positive and ``ratio`` sampled negatives,
    ``"multi-label"`` the logistic loss on every item of the catalog, ``"pairwise"`` is BPR, each
    positive against ``ratio`` sampled negatives, and ``"listwise"`` the softmax over the catalog.
    ``batch_size`` counts users. ``seed`` decides the first vectors, the order of users and the
    negatives. ``learning_rate`` and ``regularization`` may be changed before ``fit``.

    Source: Rendle et al. 2009, "BPR"; Liang et al. 2018, "Variational autoencoders for
    collaborative filtering" (multinomial and logistic likelihoods).
    """

    loss: str
    factors: int = 32
    epochs: int = 12
    ratio: int = 5
    batch_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "factors", "epochs", "ratio", "batch_size")
        one_of(TUNED_BY_LOSS, self, "loss")
        self.learning_rate, self.regularization = TUNED_BY_LOSS[self.loss]

    def fit(self, data: Interactions) -> LossMF:
        """Learn from the interactions, whatever their rating."""
        self._learn_from(data)
        rng = np.random.default_rng(self.seed)
        self._clicked = clicked = binary_matrix(data)
        spread, k = 0.1 / np.sqrt(self.factors), self.factors
        self.user_factors = rng.normal(0, spread, (self.n_users, k)).astype(np.float32)
        self.item_factors = rng.normal(0, spread, (self.n_items, k)).astype(np.float32)
        # log odds of a click among the cells that the loss looks at; orders ignore it
        share = clicked.nnz / np.prod(clicked.shape)
        odds = share / (1 - share) if self.loss == "multi-label" else 1 / self.ratio
        self.item_bias = np.full(self.n_items, np.log(odds), dtype=np.float32)
        self._sampler = NegativeSampler(data) if self.loss in ("pointwise", "pairwise") else None
        adam = Adam(self.learning_rate)
        n_batches = max(1, self.n_users // self.batch_size)
        for epoch in range(self.epochs):
            adam.learning_rate = falling(self.learning_rate, epoch, self.epochs)
            for users in np.array_split(rng.permutation(self.n_users), n_batches):
                self._step(adam, users, self._gradient(users, rng))
        return self

    def _gradient(self, users: npt.NDArray[np.int64], rng: np.random.Generator) -> Any:
        """Return the gradient of the loss for every score, sparse where the loss samples."""
        clicked: sparse.csr_matrix = self._clicked[users]
        if self._sampler is None:
            scores = self.user_factors[users] @ self.item_factors.T + self.item_bias
            targets = clicked.toarray()
            if self.loss == "multi-label":
                return expit(scores) - targets
            return softmax(scores, axis=1) * targets.sum(axis=1, keepdims=True) - targets
        rows, positives = clicked.nonzero()
        drawn = self._sampler.draw(users[rows], ratio=self.ratio, rng=rng, positives=positives)
        p = self._of_pairs(users[rows], positives)
        n = self._of_pairs(np.repeat(users[rows], self.ratio), drawn.ravel()).reshape(drawn.shape)
        if self.loss == "pointwise":
            of_positive, of_negative = expit(p) - 1, expit(n)
        else:
            of_negative = expit(n - p[:, None]) / self.ratio
            of_positive = -of_negative.sum(axis=1)
        cells = np.concatenate([rows, np.repeat(rows, self.ratio)])
        columns = np.concatenate([positives, drawn.ravel()])
        values = np.concatenate([of_positive, of_negative.ravel()])
        return sparse.csr_matrix((values, (cells, columns)), shape=clicked.shape, dtype=np.float32)

    def _of_pairs(self, users: npt.NDArray[Any], items: npt.NDArray[Any]) -> FloatArray:
        products = np.einsum("nk,nk->n", self.user_factors[users], self.item_factors[items])
        return products + self.item_bias[items]

    def _step(self, adam: Adam, users: npt.NDArray[np.int64], by_score: Any) -> None:
        """Step against the mean loss of some users: their rows, all items, all biases."""
        scale, pull = np.float32(1 / len(users)), np.float32(self.regularization)
        mine, items = self.user_factors[users], self.item_factors
        gradients = {
            "user_factors": (by_score @ items) * scale + pull * mine,
            "item_factors": (by_score.T @ mine) * scale + pull * items,
            "item_bias": np.asarray(by_score.sum(axis=0)).ravel() * scale,
        }
        weights: Weights = {name: getattr(self, name) for name in gradients}
        rows: Rows = {"user_factors": users, "item_factors": slice(None), "item_bias": slice(None)}
        adam.step(weights, rows, gradients)

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        users = self._users(users)
        return self.user_factors[users] @ self.item_factors.T + self.item_bias
