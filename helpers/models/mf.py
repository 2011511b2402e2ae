"""Matrix factorization of ratings in NumPy, with biases and early stopping; the talk's model.

A rating is predicted as ``mean + user_bias[u] + item_bias[i] + user_factors[u] · item_factors[i]``.
Without biases only the inner product remains, which is the model of both talks.

Source: Koren, Bell, Volinsky (2009), "Matrix Factorization Techniques for Recommender Systems".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from helpers.metrics import rmse
from helpers.models.base import Recommender, all_finite, at_least, one_of
from helpers.models.training import Adam, Momentum, Optimizer, Weights

if TYPE_CHECKING:
    from helpers.data import Interactions

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]  # users, items, ratings: (n,) each
Index = np.ndarray | slice

_BLOCK = 1 << 18  # ratings whose vectors are in memory at a time
_LARGE = 500_000  # training rows from which on compiled loops save more than their loading takes
OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {"adam": Adam, "sgd": Momentum}
# the side whose indices read a table
SIDE = {"user_factors": "user", "user_bias": "user", "item_factors": "item", "item_bias": "item"}


def forward(
    weights: Weights, users: np.ndarray, items: np.ndarray, mean: float = 0.0
) -> np.ndarray:
    """Return the predicted rating of each pair, (n,), in stars, float32 where the weights are.

    ``weights`` has ``user_factors`` (n_users, factors), ``item_factors`` (n_items, factors) and,
    where the model has biases, ``user_bias`` (n_users,) and ``item_bias`` (n_items,). The indices
    are (n,) each; ``mean`` is added to every prediction.
    """
    if len(users) > _BLOCK:  # the vectors of all ratings take gigabytes
        parts = [slice(start, start + _BLOCK) for start in range(0, len(users), _BLOCK)]
        return np.concatenate([forward(weights, users[at], items[at], mean) for at in parts])
    p, q = weights["user_factors"][users], weights["item_factors"][items]
    predicted = np.einsum("nk,nk->n", p, q)
    if "user_bias" in weights:
        predicted += weights["user_bias"][users] + weights["item_bias"][items]
    return predicted + np.float32(mean)


class Lookup:
    """The rows of a table that a batch reads: the one-hot matrix behind an embedding.

    Reading rows is ``one_hot.T @ table``. Backwards, a row's gradient is the sum over the ratings
    that read it: ``one_hot @ gradients``.
    """

    def __init__(self, index: np.ndarray) -> None:  # (n,) a row number per rating
        counts = np.bincount(index)  # finds the rows as np.unique would, without sorting
        self.rows = np.flatnonzero(counts)  # (m,) the different row numbers, ascending
        m, n = len(self.rows), len(index)
        self.counts = counts[self.rows].astype(np.float32)  # (m,) ratings that read each row
        place = np.empty(len(counts), np.int32)
        place[self.rows] = np.arange(m, dtype=np.int32)
        position = place[index]
        self.one_hot: np.ndarray | sparse.csc_matrix  # (m, n), a single 1 in each column
        if n <= 128:  # making a sparse matrix would take longer than a dense product
            self.one_hot = (position == np.arange(m)[:, None]).astype(np.float32)
        else:
            ones, starts = np.ones(n, np.float32), np.arange(n + 1, dtype=np.int32)
            self.one_hot = sparse.csc_matrix((ones, position, starts), shape=(m, n))


def gradients(
    weights: Weights, users: np.ndarray, items: np.ndarray, ratings: np.ndarray
) -> Weights:
    """Return the gradient of a batch's loss, half the mean squared error, for whole tables.

    The arguments are those of `forward` and the ratings in stars, (n,). The result has the names,
    shapes and dtype of ``weights``, as in MXNet and Keras; rows that the batch does not read are 0.
    """
    all_finite(ratings=ratings)
    lookups = {"user": Lookup(users), "item": Lookup(items)}
    of_rows = _row_gradients(weights, (users, items, ratings), lookups, 0.0)
    result = {name: np.zeros_like(table) for name, table in weights.items()}
    for name, gradient in of_rows.items():
        result[name][lookups[SIDE[name]].rows] = gradient
    return result


def _row_gradients(
    weights: Weights, batch: Triples, lookups: dict[str, Lookup], mean: float
) -> Weights:
    """Return the gradient for the rows that a batch reads, in the order of the lookups' rows."""
    users, items, ratings = batch
    error = (forward(weights, users, items, mean) - ratings) / np.float32(len(ratings))
    by_rating = {
        "user_factors": error[:, None] * weights["item_factors"][items],
        "item_factors": error[:, None] * weights["user_factors"][users],
        "user_bias": error,
        "item_bias": error,
    }
    return {name: lookups[SIDE[name]].one_hot @ by_rating[name] for name in weights}


@dataclass(kw_only=True)
class MatrixFactorization(Recommender):
    """Fit matrix factorization by mini-batches, with early stopping.

    A batch's loss is the mean of ``(error² + regularization · (|p|² + |q|²) +
    bias_regularization · (b_u² + b_i²)) / 2`` over its ratings, with the factors ``p``, ``q`` and
    the biases ``b_u``, ``b_i`` of a rating's user and item. The defaults were chosen on the
    validation slice of the training rows, never on test rows.

    Parameters
    ----------
    factors, biases, epochs, batch_size : int, bool, int, int
        Length of the vectors; whether to add a constant, a number per user and one per item; most
        passes over the training rows; ratings in a step.
    optimizer, learning_rate : {"adam", "sgd"}, float
        See `helpers.models.training`; ``"sgd"`` has momentum.
    regularization, bias_regularization : float
        Pull towards zero on factors and on biases, 0 or more.
    init, init_scale : {"normal", "xavier"}, float
        First factors: normal with standard deviation ``init_scale``, or uniform within
        ``±sqrt(init_scale / ((rows + factors) / 2))``, MXNet's ``Xavier(magnitude=init_scale)``.
    validation_share, patience, refit : float, int, bool
        Share of the training rows held out; epochs without a better RMSE on them after which
        training stops; whether to train then from the start on all rows, up to the best epoch.
    seed : int
        For first weights, validation slice and order of the rows; same seed, same result.

    Attributes
    ----------
    weights, mean, best_epoch : dict of str to numpy.ndarray, float, int
        Tables of the best epoch, see `forward`; mean of the training ratings, 0 without biases;
        the best epoch, counted from 1.
    history : pandas.DataFrame
        A row per epoch before the refit: ``epoch``, ``train``, ``validation`` and the watched
        sets, RMSE in stars. Empty if there are neither.
    seconds, samples : float, int
        Time in training steps, a refit included, and ratings in them, each once per epoch.
    """

    factors: int = 32
    biases: bool = True
    epochs: int = 40
    batch_size: int = 2000
    optimizer: str = "adam"
    learning_rate: float = 0.01
    regularization: float = 0.13
    bias_regularization: float = 0.0
    init: str = "normal"
    init_scale: float = 0.02
    validation_share: float = 0.1
    patience: int = 2
    refit: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "factors", "epochs", "batch_size", "patience")
        at_least(0, self, "regularization", "bias_regularization", "validation_share")
        if self.validation_share >= 1:
            raise ValueError(f"validation_share={self.validation_share}: expected less than 1")
        one_of(OPTIMIZERS, self, "optimizer")
        one_of(("normal", "xavier"), self, "init")

    def fit(
        self, data: Interactions, watch: Mapping[str, Interactions] | None = None
    ) -> MatrixFactorization:
        """Learn from ratings; record the RMSE of the ``watch`` sets by name in ``history``."""
        self._learn_from(data)
        rows = _triples(data)
        held_out = np.zeros(len(data), bool)
        order = np.random.default_rng(self.seed).permutation(len(data))
        held_out[order[: int(len(data) * self.validation_share)]] = True
        watched = {name: _triples(other) for name, other in (watch or {}).items()}
        if held_out.any():
            watched = {"validation": _select(rows, held_out), **watched}
        self.seconds, self.samples = 0.0, 0
        self.history = self._train(_select(rows, ~held_out), watched, self.epochs)
        if self.refit and held_out.any():
            self._train(rows, {}, self.best_epoch)
        return self

    def _train(self, train: Triples, watched: dict[str, Triples], epochs: int) -> pd.DataFrame:
        """Train from fresh weights, keep those of the best epoch; return the RMSE by epoch."""
        generator = np.random.default_rng([self.seed, 1])
        self.mean = float(train[2].mean(dtype=np.float64)) if self.biases else 0.0
        weights = self._draw_weights(self.n_users, self.n_items, generator)
        optimizer: Optimizer = OPTIMIZERS[self.optimizer](self.learning_rate)
        history: list[dict[str, float]] = []
        best = np.inf
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            shuffled = _select(train, generator.permutation(len(train[2])))
            self._run_epoch(weights, shuffled, optimizer)
            self.seconds += time.perf_counter() - started
            self.samples += len(train[2])
            if watched:
                row: dict[str, float] = {"epoch": epoch}
                for name, (users, items, ratings) in {"train": train, **watched}.items():
                    row[name] = rmse(self._forward(weights, users, items), ratings)
                history.append(row)
            # without a validation slice the last epoch counts as the best
            score = history[-1]["validation"] if "validation" in watched else -epoch
            if score < best:
                best, self.best_epoch = score, epoch
                self.weights = {name: table.copy() for name, table in weights.items()}
            elif epoch - self.best_epoch >= self.patience:
                break
        return pd.DataFrame(history)

    def _run_epoch(self, weights: Weights, train: Triples, optimizer: Optimizer) -> None:
        """Take a step for each batch of the training rows, in their order."""
        alike = type(self)._gradients is MatrixFactorization._gradients
        if len(train[2]) >= _LARGE and alike and isinstance(optimizer, Adam):
            from helpers.models.mf_compiled import run_epoch  # loads a compiler

            numbers = self.mean, self.regularization, self.bias_regularization
            return run_epoch(weights, train, optimizer, self.batch_size, *numbers)
        for start in range(0, len(train[2]), self.batch_size):
            batch = _select(train, slice(start, start + self.batch_size))
            lookups = {"user": Lookup(batch[0]), "item": Lookup(batch[1])}
            rows: dict[str, Index] = {name: slice(None) for name in weights}
            rows |= {name: lookups[side].rows for name, side in SIDE.items() if name in weights}
            optimizer.refresh(weights, rows)
            gradients = self._gradients(weights, batch, lookups)
            self._regularize(gradients, weights, lookups)
            optimizer.step(weights, rows, gradients)
        optimizer.refresh(weights, {name: slice(None) for name in weights})

    def _regularize(self, gradients: Weights, weights: Weights, lookups: dict[str, Lookup]) -> None:
        """Add the pull towards zero to the gradients of the rows that a batch reads."""
        for name, side in SIDE.items():
            pull = self.bias_regularization if name.endswith("bias") else self.regularization
            if pull and name in gradients:
                lookup, gradient = lookups[side], gradients[name]
                shares = np.float32(pull) / np.float32(lookup.one_hot.shape[1]) * lookup.counts
                shares = shares.reshape((-1,) + (1,) * (gradient.ndim - 1))
                gradient += shares * weights[name][lookup.rows]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, int], scale: float) -> np.ndarray:
        """Return numbers by Xavier, or normal ones with the standard deviation ``scale``."""
        if self.init == "normal":
            return rng.normal(0, scale, shape).astype(np.float32)
        limit = np.sqrt(self.init_scale / (sum(shape) / 2))
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    # NonlinearFactorization replaces the next four

    def _draw_weights(self, n_users: int, n_items: int, generator: np.random.Generator) -> Weights:
        """Return the weights that a training starts from."""
        weights = {}
        for name, n in (("user_factors", n_users), ("item_factors", n_items)):
            weights[name] = self._draw(generator, (n, self.factors), self.init_scale)
        if self.biases:
            weights["user_bias"] = np.zeros(n_users, np.float32)
            weights["item_bias"] = np.zeros(n_items, np.float32)
        return weights

    def _forward(self, weights: Weights, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the predictions for pairs, (n,)."""
        return forward(weights, users, items, self.mean)

    def _gradients(self, weights: Weights, batch: Triples, lookups: dict[str, Lookup]) -> Weights:
        """Return the gradient of a batch's loss, unregularized, for the rows that it reads."""
        return _row_gradients(weights, batch, lookups, self.mean)

    def _vectors(self, weights: Weights, side: str, index: Index = slice(None)) -> np.ndarray:
        """Return the vectors of users or items that enter the dot product."""
        return weights[f"{side}_factors"][index]

    def predict(self, users: npt.ArrayLike, items: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the predicted stars for each pair of user and item, (n,) float32."""
        users, items = self._pairs(users, items)
        return self._forward(self.weights, users, items)

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the predicted stars of every item for some users, (len(users), n_items)."""
        users = self._users(users)
        p, q = self._vectors(self.weights, "user", users), self._vectors(self.weights, "item")
        table: npt.NDArray[np.float32] = p @ q.T + np.float32(self.mean)
        if self.biases:
            table += self.weights["user_bias"][users, None] + self.weights["item_bias"]
        return table


@dataclass(kw_only=True)
class TalkModel(MatrixFactorization):
    """`MatrixFactorization` with the settings of the 2018 talk, where Gluon's SGD trains it.

    Two embeddings of 64 numbers and their inner product; no biases, no regularization, no early
    stopping. On the split u1 of ML-100K the talk prints 0.7518 and 0.8108 as RMSE of training and
    test rows. These are mean absolute errors; the RMSE of the same model are 0.965 and 1.048.
    """

    factors: int = 64
    biases: bool = False
    epochs: int = 10
    batch_size: int = 50
    optimizer: str = "sgd"
    learning_rate: float = 0.02
    regularization: float = 0.0
    init: str = "xavier"
    init_scale: float = 2.24
    validation_share: float = 0.0


def _triples(data: Interactions) -> Triples:
    frame = data.frame
    return frame["user"].to_numpy(), frame["item"].to_numpy(), frame["rating"].to_numpy(np.float32)


def _select(triples: Triples, rows: Index) -> Triples:
    users, items, ratings = triples
    return users[rows], items[rows], ratings[rows]
