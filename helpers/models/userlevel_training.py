"""Fit a user-level network with one of four losses; score users by their histories."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.checks import NotFittedError, check_indices
from helpers.models.neighbors import binary_matrix
from helpers.models.optimizers import Weights
from helpers.models.userlevel import first_weights, forward, hide_items

if TYPE_CHECKING:
    from helpers.data import Interactions

LOSSES = ("binary", "multinomial", "pairwise", "sampled")
Step = Callable[[npt.NDArray[np.int64], sparse.csr_matrix, sparse.csr_matrix], float]


def minimize(
    step: Step,
    taken: sparse.csr_matrix,
    users: npt.NDArray[np.int64],
    *,
    epochs: int,
    batch_size: int,
    hidden_share: float,
    seed: int,
) -> list[float]:
    """Call ``step`` for batches of users in a new order every epoch, with other items hidden every time.

    Parameters
    ----------
    step : callable
        Takes users (B,), their rows of ``taken`` and the same rows with items hidden (B, n_items);
        changes the weights and returns the loss.
    taken : scipy.sparse.csr_matrix, (n_users, n_items)
    users : numpy.ndarray
        Whom to learn from.
    epochs, batch_size, seed : int
    hidden_share : float
        See `helpers.models.userlevel.hide_items`.

    Returns
    -------
    list of float
        Mean loss of each epoch.
    """
    generator = np.random.default_rng([seed, 1])
    history = []
    for _ in range(epochs):
        order = generator.permutation(users)
        parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        losses = [step(part, taken[part], hide_items(taken[part], hidden_share, generator)) for part in parts]
        history.append(float(np.average(losses, weights=[len(part) for part in parts])))
    return history


def adam(variables: list[Any], learning_rate: float) -> Callable[[list[Any]], None]:
    """Adam in one pass over each array, as TensorFlow's own kernel does it; half the time of Keras' Adam.

    Parameters
    ----------
    variables : list of tf.Variable
        Changed in place.
    learning_rate : float

    Returns
    -------
    callable
        Takes one gradient a variable, and makes a step; for use inside a ``tf.function``.

    References
    ----------
    Kingma and Ba 2015, "Adam: a method for stochastic optimization".
    """
    import tensorflow as tf

    moments = [[tf.Variable(tf.zeros_like(v)) for v in variables] for _ in range(2)]
    powers = [tf.Variable(1.0), tf.Variable(1.0)]

    def step(slopes: list[Any]) -> None:
        for power, beta in zip(powers, (0.9, 0.999), strict=True):
            power.assign(power * beta)
        for variable, first, second, slope in zip(variables, *moments, slopes, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=first.handle, v=second.handle,
                beta1_power=powers[0], beta2_power=powers[1], lr=learning_rate,
                beta1=0.9, beta2=0.999, epsilon=1e-7,
                grad=tf.convert_to_tensor(slope),  # lookups give only some rows
            )  # fmt: skip

    return step


class HistoryModel:
    """What every model that scores users by their histories shares.

    A subclass sets `weights` in ``fit`` and says in ``score_histories`` how they score.
    """

    weights: Weights
    history: list[float]

    def score_histories(self, histories: Any) -> npt.NDArray[np.float32]:
        """Return the score of every item for some histories, (n_users, n_items)."""
        raise NotImplementedError

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the score of every item for some users of the training data, (len(users), n_items).

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError, IndexError
            As `helpers.models.checks.check_indices`.
        """
        taken = self._known()
        return self.score_histories(taken[check_indices(np.asarray(users), taken.shape[0], "users")])

    def _known(self) -> sparse.csr_matrix:
        if not hasattr(self, "_taken"):
            raise NotFittedError(f"{type(self).__name__}: call fit(data) before asking it")
        taken: sparse.csr_matrix = self._taken
        return taken

    def _remember(self, data: Interactions) -> npt.NDArray[np.int64]:
        """Keep the histories; return the users who have one."""
        self._taken = binary_matrix(data)
        return np.flatnonzero(np.diff(self._taken.indptr))


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
        for name, value in {
            "hidden": hidden,
            "epochs": epochs,
            "batch_size": batch_size,
            "n_drawn": n_drawn,
        }.items():
            if value < 1:
                raise ValueError(f"{name}={value}: expected at least 1")
        if learning_rate <= 0 or decay < 0 or not 0 <= dropout < 1:
            raise ValueError(
                f"learning_rate={learning_rate}, decay={decay}, dropout={dropout}: "
                "expected above 0, 0 or more, and a share from 0 to below 1"
            )
        self.loss, self.hidden, self.epochs, self.learning_rate = loss, hidden, epochs, learning_rate
        self.dropout, self.decay, self.batch_size, self.seed = dropout, decay, batch_size, seed
        self.n_drawn, self.alpha, self.corrected = n_drawn, alpha, corrected

    def fit(self, data: Interactions) -> UserLevel:
        """Train on the users of ``data`` who have a history."""
        from helpers.models.userlevel_keras import copy_from_keras, keras_user_level

        users = self._remember(data)
        taken = self._known()
        start = first_weights(data.n_items, self.hidden, data.item_counts(), len(users), self.seed)
        model = keras_user_level(start, form="multi-hot")
        step = self._step(model, data)
        self.history = minimize(
            step, taken, users, epochs=self.epochs, batch_size=self.batch_size,
            hidden_share=self.dropout, seed=self.seed,
        )  # fmt: skip
        self.weights = copy_from_keras(model)
        del model, step
        gc.collect()  # the compiled step and the network refer to each other
        return self

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

    def _step(self, model: Any, data: Interactions) -> Step:
        """One step of Adam on one batch, compiled once for all batch sizes."""
        import tensorflow as tf

        variables = [variable.value for variable in model.trainable_variables]
        descend = adam(variables, self.learning_rate)
        extra_inputs = self._draws(data)
        to_loss = self._loss_of(model)
        tables = [model.get_layer(name).table for name in ("history", "items")]

        @tf.function(reduce_retracing=True)  # type: ignore[misc, unused-ignore]
        def improve(taken: Any, shown: Any, extra: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = to_loss(taken, shown, extra)
                total = loss
                if self.decay:
                    total += self.decay * tf.add_n([tf.reduce_sum(tf.square(t)) for t in tables])
            descend(tape.gradient(total, variables))
            return loss

        def step(users: npt.NDArray[np.int64], rows: sparse.csr_matrix, shown: sparse.csr_matrix) -> float:
            extra = {name: tf.constant(value) for name, value in extra_inputs(users, rows).items()}
            return float(improve(tf.constant(rows.toarray()), tf.constant(shown.toarray()), extra))

        return step

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

            def pairs(users: npt.NDArray[np.int64], rows: sparse.csr_matrix) -> dict[str, np.ndarray]:
                row = np.repeat(np.arange(len(users), dtype=np.int32), np.diff(rows.indptr))
                negative = sampler.draw(users[row], ratio=1, rng=generator)[:, 0].astype(np.int32)
                return {"row": row, "positive": rows.indices.astype(np.int32), "negative": negative}

            return pairs
        if self.loss == "sampled":
            weight = np.maximum(data.item_counts(), 0.5) ** self.alpha  # never 0: all items can be drawn
            chance = weight / weight.sum()

            def sample(users: npt.NDArray[np.int64], rows: sparse.csr_matrix) -> dict[str, np.ndarray]:
                drawn = generator.choice(data.n_items, self.n_drawn, p=chance).astype(np.int32)
                log_expected = (
                    np.log(self.n_drawn * chance[drawn]) if self.corrected else np.zeros(self.n_drawn)
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
