"""Matrix factorization in NumPy: chapter 02's reference implementation, with early stopping.

The arithmetic stands in `helpers.models.mf_arithmetic`, the optimizers in
`helpers.models.training`; this file is the training loop around them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from helpers.metrics import rmse
from helpers.models.checks import NotFittedError, check_indices, check_pairs
from helpers.models.mf_arithmetic import forward, initial_weights, lookups_of, row_gradients
from helpers.models.training import Adam, Momentum, Optimizer, Weights

if TYPE_CHECKING:
    from helpers.data import Interactions

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]  # users, items, ratings: (n,) each


@dataclass
class MatrixFactorization:
    """Matrix factorization, trained by mini-batches, with early stopping.

    The defaults were chosen on the validation slice of the training rows, never on test rows.

    Parameters
    ----------
    k : int
        Number of factors.
    biases : bool
        Add a constant, a number for each user and one for each item. Without them the model is the talks'.
    epochs : int
        Most passes over the training rows.
    batch_size : int
        Ratings in one step.
    optimizer : {"adam", "sgd"}
        ``"sgd"`` uses ``momentum``.
    learning_rate, momentum : float
        See `helpers.models.training`.
    weight_decay, bias_decay : float
        Pull towards zero, see `row_gradients`.
    init, init_scale : str, float
        See `initial_weights`.
    validation_share : float
        Share of the training rows held out to decide when to stop; 0 trains for all ``epochs``.
    patience : int
        Epochs without a better validation RMSE after which training stops.
    refit : bool
        Once the best epoch is known, train again from the start on all rows for that many epochs.
    track : bool
        Write ``history``. False saves the errors after each epoch where nobody reads them; it needs
        ``validation_share=0``.
    seed : int
        Initial weights, validation slice and order of the rows; same seed, same result.

    Attributes
    ----------
    weights : dict of str to numpy.ndarray
        Of the best epoch, see `initial_weights`.
    mean : float
        Mean of the training ratings; 0 without biases.
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``train``, ``validation`` and the watched sets, RMSE in stars.
        With ``refit``, the epochs before the refit.
    best_epoch : int
        The epoch whose weights were kept, counted from 1.
    seconds : float
        Time spent on training steps (a refit included), without the RMSE of each epoch.
    samples : int
        Ratings those steps took in, each counted once an epoch.
    """

    k: int = 32
    biases: bool = True
    epochs: int = 40
    batch_size: int = 2000
    optimizer: str = "adam"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.13
    bias_decay: float = 0.0
    init: str = "normal"
    init_scale: float = 0.02
    validation_share: float = 0.1
    patience: int = 2
    refit: bool = True
    track: bool = True
    seed: int = 0
    weights: Weights = field(init=False, repr=False, compare=False)
    mean: float = field(init=False, repr=False, compare=False)
    history: pd.DataFrame = field(init=False, repr=False, compare=False)
    best_epoch: int = field(init=False, repr=False, compare=False)
    seconds: float = field(init=False, repr=False, compare=False)
    samples: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        for name in ("k", "epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)}: expected a whole number of at least 1"
                )
        for name in ("weight_decay", "bias_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected 0 or more")
        if not 0 <= self.validation_share < 1:
            raise ValueError(
                f"validation_share={self.validation_share}: expected a share from 0 to below 1"
            )
        if not self.track and self.validation_share:
            raise ValueError(
                f"track=False with validation_share={self.validation_share}: expected 0"
            )
        if self.optimizer not in ("adam", "sgd"):
            raise ValueError(f"optimizer={self.optimizer!r}: expected 'adam' or 'sgd'")

    def fit(
        self, data: Interactions, watch: Mapping[str, Interactions] | None = None
    ) -> MatrixFactorization:
        """Learn from ``data``.

        Parameters
        ----------
        data : Interactions
            Training rows; indices up to its ``n_users`` and ``n_items``.
        watch : mapping of str to Interactions, optional
            Sets whose RMSE is written into ``history`` after each epoch; no decision is taken on them.

        Returns
        -------
        MatrixFactorization
            This object.
        """
        if len(data) == 0:
            raise ValueError(f"{data.name}: no ratings to learn from")
        triples = _triples(data)
        generator = np.random.default_rng(self.seed)
        held_out = np.zeros(len(data), bool)
        held_out[generator.permutation(len(data))[: int(len(data) * self.validation_share)]] = True
        watched = {name: _triples(other) for name, other in (watch or {}).items()}
        if held_out.any():
            watched = {"validation": _select(triples, held_out), **watched}
        self.seconds, self.samples = 0.0, 0
        errors_of = watched if self.track else None
        self.history = pd.DataFrame(
            self._train(data, _select(triples, ~held_out), errors_of, self.epochs)
        )
        if self.refit and held_out.any():
            self._train(data, triples, None, self.best_epoch)
        return self

    def _train(
        self, data: Interactions, train: Triples, watched: dict[str, Triples] | None, epochs: int
    ) -> list[dict[str, float]]:
        """Train from fresh weights; keep those of the best validation epoch, or the last.

        Returns the RMSE of ``train`` and of the watched sets after each epoch, or nothing without them.
        """
        generator = np.random.default_rng([self.seed, 1])
        self.mean = float(train[2].mean(dtype=np.float64)) if self.biases else 0.0
        weights = self._start(data, generator)
        optimizer = self._make_optimizer()
        history: list[dict[str, float]] = []
        best = np.inf
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            self._run_epoch(weights, train, generator.permutation(len(train[2])), optimizer)
            self.seconds += time.perf_counter() - started
            self.samples += len(train[2])
            if watched is not None:
                row: dict[str, float] = {"epoch": epoch}
                for name, (users, items, ratings) in {"train": train, **watched}.items():
                    row[name] = rmse(self._forward(weights, users, items), ratings)
                history.append(row)
            # without a validation slice the last epoch counts as the best
            score = history[-1]["validation"] if watched and "validation" in watched else -epoch
            if score < best:
                best, self.best_epoch = score, epoch
                self.weights = {name: array.copy() for name, array in weights.items()}
            elif epoch - self.best_epoch >= self.patience:
                break
        return history

    def _run_epoch(
        self, weights: Weights, train: Triples, order: np.ndarray, optimizer: Optimizer
    ) -> None:
        """One pass over the training rows in the given order."""
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            users, items, ratings = (column[batch] for column in train)
            self._learn(weights, (users, items, ratings), optimizer)
        optimizer.refresh(weights, {name: np.arange(len(table)) for name, table in weights.items()})

    # what a model with more to it than two tables replaces, see `helpers.models.nonlinear`:

    def _start(self, data: Interactions, generator: np.random.Generator) -> Weights:
        """First weights."""
        return initial_weights(
            data.n_users, data.n_items, self.k, generator,
            biases=self.biases, init=self.init, scale=self.init_scale,
        )  # fmt: skip

    def _forward(self, weights: Weights, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictions for pairs, (n,) float32."""
        return forward(weights, users, items, self.mean)

    def _side(
        self, weights: Weights, side: str, index: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """What rows of one side bring to the inner product."""
        return weights[f"{side}_factors"][index]

    def _learn(self, weights: Weights, batch: Triples, optimizer: Optimizer) -> None:
        """One step on one batch."""
        users, items, ratings = batch
        lookups = lookups_of(weights, users, items)
        rows = {name: lookup.rows for name, lookup in lookups.items()}
        optimizer.refresh(weights, rows)
        slopes = row_gradients(
            weights, users, items, ratings, lookups, self.mean, self.weight_decay, self.bias_decay
        )
        optimizer.step(weights, rows, slopes)

    def _make_optimizer(self) -> Optimizer:
        if self.optimizer == "adam":
            return Adam(self.learning_rate)
        return Momentum(self.learning_rate, self.momentum)

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predicted stars for pairs of user and item.

        Parameters
        ----------
        users, items : numpy.ndarray
            (n,) contiguous indices.

        Returns
        -------
        numpy.ndarray
            (n,) float32.
        """
        weights = self._fitted()
        users, items = check_pairs(
            users, items, len(weights["user_factors"]), len(weights["item_factors"])
        )
        return self._forward(weights, users, items)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Predicted stars of some users for every item.

        Parameters
        ----------
        users : numpy.ndarray
            (n,) contiguous indices.

        Returns
        -------
        numpy.ndarray
            (n, n_items) float32.
        """
        weights = self._fitted()
        users = check_indices(users, len(weights["user_factors"]), "users")
        table = self._side(weights, "user", users) @ self._side(weights, "item").T + np.float32(
            self.mean
        )
        if self.biases:
            table += weights["user_bias"][users, None] + weights["item_bias"]
        return table

    def _fitted(self) -> Weights:
        if not hasattr(self, "weights"):
            raise NotFittedError(f"{type(self).__name__}: call fit(data) before predict or scores")
        return self.weights


def _triples(data: Interactions) -> Triples:
    frame = data.frame
    return frame["user"].to_numpy(), frame["item"].to_numpy(), frame["rating"].to_numpy(np.float32)


def _select(triples: Triples, rows: np.ndarray) -> Triples:
    users, items, ratings = triples
    return users[rows], items[rows], ratings[rows]
