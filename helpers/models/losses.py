"""One model, four losses: what a ranking learns depends on what it is punished for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit, softmax

from helpers.models.checks import NotFittedError, check_indices
from helpers.models.training import Adam
from helpers.sampling import NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[Any]
LOSSES = ("pointwise", "multi-label", "pairwise", "listwise")
#: the best of a dozen settings each, by NDCG@10 on five films a user of the training part of latest-small
TUNED: dict[str, dict[str, Any]] = {
    "pointwise": {"epochs": 12, "learning_rate": 0.1, "decay": 1e-3},
    "multi-label": {"epochs": 12, "learning_rate": 0.1, "decay": 1e-3},
    "pairwise": {"epochs": 12, "learning_rate": 0.1, "decay": 1e-4},
    "listwise": {"epochs": 12, "learning_rate": 0.3, "decay": 3e-2},
}


def multi_label_slope(scores: FloatArray, clicked: FloatArray) -> FloatArray:
    """Return the slope of the multi-label cross-entropy, (users, items).

    Every item is a yes-or-no question of its own: ``sigmoid(score) - clicked``.
    """
    return expit(scores) - clicked


def listwise_slope(scores: FloatArray, clicked: FloatArray) -> FloatArray:
    """Return the slope of the listwise (softmax) loss, (users, items).

    A click is a choice of one item among all: ``n_clicks * softmax(scores) - clicked``, row by row.
    """
    return softmax(scores, axis=1) * clicked.sum(axis=1, keepdims=True) - clicked


class LossMF:
    """Matrix factorization with a bias an item, ``score = b_i + u.v``, under one of four losses.

    Parameters
    ----------
    loss : str
        ``"pointwise"``: logistic loss on every positive and `ratio` sampled negatives.
        ``"multi-label"``: logistic loss on every item of the catalog.
        ``"pairwise"``: BPR, each positive against `ratio` sampled negatives.
        ``"listwise"``: softmax over the catalog.
    n_factors, epochs, batch_users : int
        Length of the vectors, passes over the users, users a step.
    ratio : int
        Negatives a positive, where the loss samples.
    learning_rate, decay : float
        Adam's rate, and the L2 penalty of all vectors.
    seed : int
        Of the initial vectors, the order of users and the negatives.

    Attributes
    ----------
    users, items : numpy.ndarray
        (n_users, n_factors) and (n_items, n_factors) float32, once fitted.
    bias : numpy.ndarray
        (n_items,) float32.

    Raises
    ------
    ValueError
        If the loss is not one of the four, or a size is below 1.

    References
    ----------
    Rendle et al. 2009, "BPR"; Liang et al. 2018, "Variational autoencoders for collaborative filtering"
    (multinomial and logistic likelihoods).
    """

    def __init__(
        self,
        loss: str,
        n_factors: int = 32,
        epochs: int = 20,
        *,
        learning_rate: float = 0.02,
        decay: float = 1e-3,
        ratio: int = 5,
        batch_users: int = 64,
        seed: int = 0,
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"loss={loss!r}: expected one of {', '.join(LOSSES)}")
        for name, value in {"n_factors": n_factors, "epochs": epochs, "ratio": ratio}.items():
            if value < 1:
                raise ValueError(f"{name}={value}: expected at least 1")
        self.loss, self.n_factors, self.epochs = loss, n_factors, epochs
        self.learning_rate, self.decay, self.ratio = learning_rate, decay, ratio
        self.batch_users, self.seed = batch_users, seed

    @classmethod
    def tuned(cls, loss: str, seed: int = 0) -> LossMF:
        """Return an unfitted model with the settings of :data:`TUNED`."""
        return cls(loss, **TUNED.get(loss, {}), seed=seed)

    def fit(self, data: Interactions) -> LossMF:
        """Train for `epochs` epochs."""
        rng = np.random.default_rng(self.seed)
        clicked = (data.matrix() > 0).astype(np.float32).tocsr()
        n_users, n_items = clicked.shape
        spread = 0.1 / np.sqrt(self.n_factors)
        self.users = rng.normal(0, spread, (n_users, self.n_factors)).astype(np.float32)
        self.items = rng.normal(0, spread, (n_items, self.n_factors)).astype(np.float32)
        self.bias = np.full(n_items, self._first_bias(clicked), dtype=np.float32)
        sampler = NegativeSampler(data) if self.loss in ("pointwise", "pairwise") else None
        adam = Adam(self.learning_rate)
        for epoch in range(self.epochs):
            adam.learning_rate = self.learning_rate * (1 - 0.9 * epoch / max(1, self.epochs - 1))
            for users in np.array_split(
                rng.permutation(n_users), max(1, n_users // self.batch_users)
            ):
                self._step(adam, users, self._slope(clicked[users], users, sampler, rng))
        return self

    def _first_bias(self, clicked: Any) -> float:
        """Return the log odds of a click among the cells that the loss looks at; orders ignore it."""
        if self.loss == "multi-label":
            share = clicked.nnz / np.prod(clicked.shape)
            return float(np.log(share / (1 - share)))
        return float(-np.log(self.ratio))

    def _slope(
        self,
        clicked: Any,
        users: IntArray,
        sampler: NegativeSampler | None,
        rng: np.random.Generator,
    ) -> Any:
        """Return the slope of the loss by every score, (users, items): dense, or sparse where it samples."""
        if sampler is None:
            slope = listwise_slope if self.loss == "listwise" else multi_label_slope
            return slope(self.users[users] @ self.items.T + self.bias, clicked.toarray())
        rows, positives = clicked.nonzero()
        negatives = sampler.draw(users[rows], ratio=self.ratio, rng=rng, positives=positives)
        p = self._pairs(users[rows], positives)
        n = self._pairs(np.repeat(users[rows], self.ratio), negatives.ravel()).reshape(
            negatives.shape
        )
        if self.loss == "pointwise":
            of_positive, of_negative = expit(p) - 1, expit(n)
        else:
            of_negative = expit(n - p[:, None]) / self.ratio
            of_positive = -of_negative.sum(axis=1)
        cells = np.concatenate([rows, np.repeat(rows, self.ratio)])
        columns = np.concatenate([positives, negatives.ravel()])
        values = np.concatenate([of_positive, of_negative.ravel()])
        return sparse.csr_matrix((values, (cells, columns)), shape=clicked.shape, dtype=np.float32)

    def _pairs(self, users: IntArray, items: IntArray) -> FloatArray:
        return np.einsum("nk,nk->n", self.users[users], self.items[items]) + self.bias[items]

    def _step(self, adam: Adam, users: IntArray, slope: Any) -> None:
        """Move the batch's users, all items and all biases against the slope of the mean loss of a user."""
        scale = np.float32(1 / len(users))
        mine, decay = self.users[users], np.float32(self.decay)
        gradients = {
            "users": (slope @ self.items) * scale + decay * mine,
            "items": (slope.T @ mine) * scale + decay * self.items,
            "bias": np.asarray(slope.sum(axis=0)).ravel() * scale,
        }
        everything = np.arange(len(self.items))
        weights = {"users": self.users, "items": self.items, "bias": self.bias}
        adam.step(weights, {"users": users, "items": everything, "bias": everything}, gradients)

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the score of every item for some users, (len(users), n_items)."""
        if not hasattr(self, "users"):
            raise NotFittedError("LossMF: call fit(data) before scores")
        index = check_indices(np.asarray(users), len(self.users), "users")
        return self.users[index] @ self.items.T + self.bias
