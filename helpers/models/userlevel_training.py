"""Fit a user-level network with one of four losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.histories import HistoryModel, Prepare, Step, check_settings
from helpers.models.training import Weights, adam_step, freed_afterwards
from helpers.models.userlevel import first_weights, forward

if TYPE_CHECKING:
    from helpers.data import Interactions

LOSSES = ("binary", "multinomial", "pairwise", "sampled")


class UserLevel(HistoryModel):
    """The user-level network of `helpers.models.userlevel`, trained to give back what users took.

    Each epoch hides a random part of every history (`dropout`), and the loss asks for the whole of it:
    so the network learns to complete histories.

    Parameters
    ----------
    loss : {"binary", "multinomial", "pairwise", "sampled"}
        See `helpers.models.userlevel_losses`.
    hidden : int
        Width of the hidden layer.
    epochs : int
        Passes over the users.
    learning_rate : float
        Adam's.
    dropout : float
        Share of a history that is hidden in training.
    decay : float
        Adds ``decay · (Σ item_in² + Σ item_out²)`` to a batch's loss.
    batch_size : int
        Users a step.
    n_drawn : int
        For ``"sampled"``: items drawn for a batch, by popularity to the power ``alpha``.
    alpha : float
        See ``n_drawn``.
    corrected : bool
        For ``"sampled"``: divide each drawn item by how often it is expected in the sample.
    seed : int

    Attributes
    ----------
    weights : dict
        As `helpers.models.userlevel.first_weights` names them.
    history : list of float
        Mean loss of each epoch, in nats a user.
    """

    def __init__(
        self,
        loss: str = "binary",
        hidden: int = 64,
        epochs: int = 20,
        learning_rate: float = 0.005,
        dropout: float = 0.5,
        decay: float = 0.0,
        batch_size: int = 64,
        n_drawn: int = 500,
        alpha: float = 1.0,
        corrected: bool = True,
        seed: int = 0,
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"loss={loss!r}: expected one of {', '.join(LOSSES)}")
        check_settings(
            learning_rate,
            dropout,
            hidden=hidden,
            epochs=epochs,
            batch_size=batch_size,
            n_drawn=n_drawn,
        )
        if decay < 0:
            raise ValueError(f"decay={decay}: expected 0 or more")
        self.loss, self.hidden, self.epochs, self.learning_rate = (
            loss,
            hidden,
            epochs,
            learning_rate,
        )
        self.dropout, self.decay, self.batch_size, self.seed = dropout, decay, batch_size, seed
        self.n_drawn, self.alpha, self.corrected = n_drawn, alpha, corrected

    def fit(self, data: Interactions) -> UserLevel:
        """Train on the users of ``data`` who have a history."""
        users = self._remember(data)
        with freed_afterwards():
            self.weights = self._trained(data, users)
        return self

    def _trained(self, data: Interactions, users: npt.NDArray[np.int64]) -> Weights:
        from helpers.models.userlevel_keras import copy_from_keras, keras_user_level

        start = first_weights(data.n_items, self.hidden, data.item_counts(), len(users), self.seed)
        model = keras_user_level(start, form="multi-hot")
        self._minimize(*self._step(model, data), users)
        return copy_from_keras(model)

    def score_histories(self, histories: Any) -> npt.NDArray[np.float32]:
        """Return the score of every item for histories of anyone, (n_users, n_items).

        Parameters
        ----------
        histories : scipy.sparse matrix (n_users, n_items) or array of int (n_users, length)
            Or padded lists. Who has no history gets the scores of the item biases and the hidden bias.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError, IndexError
            As `helpers.models.userlevel.forward`.
        """
        self._known()
        return forward(self.weights, histories)

    def _step(self, model: Any, data: Interactions) -> tuple[Prepare, Step]:
        """What a batch's step takes, and one step of Adam."""
        import tensorflow as tf

        to_loss, extra_inputs = self._loss_of(model), self._draws(data)
        tables = [model.get_layer(name).table for name in ("history", "items")]

        def loss(taken: Any, shown: Any, extra: Any) -> tuple[Any, Any]:
            squares = (
                [tf.reduce_sum(tf.square(t)) for t in tables] if self.decay else [tf.zeros(())]
            )
            return to_loss(taken, shown, extra), self.decay * tf.add_n(squares)

        rate = np.float32(self.learning_rate)

        def prepare(
            users: npt.NDArray[np.int64], rows: sparse.csr_matrix, shown: sparse.csr_matrix
        ) -> tuple[Any, ...]:
            return rate, rows.toarray(), shown.toarray(), extra_inputs(users, rows)

        return prepare, adam_step(loss, [variable.value for variable in model.trainable_variables])

    def _loss_of(self, model: Any) -> Callable[[Any, Any, Any], Any]:
        """Loss of a batch from its rows, what is shown of them, and what was drawn for it."""
        import keras

        from helpers.models import userlevel_losses as losses

        if self.loss == "pairwise":
            return lambda taken, shown, extra: losses.pairwise(model(shown), **extra)
        if self.loss == "sampled":
            # up to the hidden layer only: the scores of all items are what we avoid
            half = keras.Model(model.input, model.get_layer("hidden").output)
            out = model.get_layer("items")
            return lambda taken, shown, extra: losses.sampled_multinomial(
                half(shown), out.table, out.bias, **extra
            )
        whole = losses.multinomial if self.loss == "multinomial" else losses.binary_cross_entropy
        return lambda taken, shown, extra: whole(model(shown), taken)

    def _draws(
        self, data: Interactions
    ) -> Callable[[npt.NDArray[np.int64], sparse.csr_matrix], dict[str, np.ndarray]]:
        """What a batch needs beyond its rows: nothing, negatives, or a sample of the catalog."""
        from helpers.sampling import NegativeSampler

        generator = np.random.default_rng([self.seed, 2])
        if self.loss == "pairwise":
            sampler = NegativeSampler(data, avoid="train")

            def pairs(
                users: npt.NDArray[np.int64], rows: sparse.csr_matrix
            ) -> dict[str, np.ndarray]:
                row = np.repeat(np.arange(len(users), dtype=np.int32), np.diff(rows.indptr))
                negative = sampler.draw(users[row], ratio=1, rng=generator)[:, 0].astype(np.int32)
                return {"row": row, "positive": rows.indices.astype(np.int32), "negative": negative}

            return pairs
        if self.loss == "sampled":
            weight = (
                np.maximum(data.item_counts(), 0.5) ** self.alpha
            )  # never 0: all items can be drawn
            chance = weight / weight.sum()

            def sample(
                users: npt.NDArray[np.int64], rows: sparse.csr_matrix
            ) -> dict[str, np.ndarray]:
                drawn = generator.choice(data.n_items, self.n_drawn, p=chance).astype(np.int32)
                log_expected = (
                    np.log(self.n_drawn * chance[drawn])
                    if self.corrected
                    else np.zeros(self.n_drawn)
                )
                return {
                    "row": np.repeat(np.arange(len(users), dtype=np.int32), np.diff(rows.indptr)),
                    "positive": rows.indices.astype(np.int32),
                    "drawn": drawn,
                    "log_expected": log_expected.astype(np.float32),
                    "drawn_is_taken": rows[:, drawn].toarray(),
                }

            return sample
        return lambda users, rows: {}
