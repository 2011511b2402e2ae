"""Mult-VAE: a user-level network whose hidden layer is a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.histories import HistoryModel, Prepare, Step, check_settings
from helpers.models.training import Weights, adam_step, freed_afterwards
from helpers.models.userlevel import first_weights, hidden_layer

if TYPE_CHECKING:
    from helpers.data import Interactions


class MultVAE(HistoryModel):
    """Multinomial variational autoencoder.

    ``hidden`` is that of `helpers.models.userlevel`; from it come a mean and a log variance for each of
    ``latent`` numbers. Training scores a draw from that distribution, and pays ``strength`` times its
    distance (KL divergence) from the standard normal one; scoring uses the mean.

    Parameters
    ----------
    hidden, latent : int
        Widths of the hidden layer and of the distribution.
    epochs, batch_size, seed : int
    learning_rate : float
        Adam's.
    dropout : float
        Share of a history that is hidden in training.
    strength : float
        Weight of the divergence at the end of training; it grows to that from 0 over the first half.

    Attributes
    ----------
    weights : dict
        ``item_in`` (n_items, hidden), ``hidden_bias`` (hidden,), ``to_mean`` and ``to_log_variance``
        (hidden, latent), ``item_out`` (n_items, latent), ``item_bias`` (n_items,).
    history : list of float
        Mean loss of each epoch, divergence included, in nats a user.

    References
    ----------
    Liang, Krishnan, Hoffman and Jebara 2018, "Variational autoencoders for collaborative filtering". Its
    networks are 600 and 200 wide, for data sets a thousand times as large as latest-small.
    """

    def __init__(
        self,
        hidden: int = 64,
        latent: int = 32,
        epochs: int = 20,
        learning_rate: float = 0.005,
        dropout: float = 0.5,
        strength: float = 0.1,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        check_settings(
            learning_rate,
            dropout,
            hidden=hidden,
            latent=latent,
            epochs=epochs,
            batch_size=batch_size,
        )
        if strength < 0:
            raise ValueError(f"strength={strength}: expected 0 or more")
        self.hidden, self.latent, self.epochs, self.batch_size = hidden, latent, epochs, batch_size
        self.learning_rate, self.dropout, self.strength, self.seed = (
            learning_rate,
            dropout,
            strength,
            seed,
        )

    def fit(self, data: Interactions) -> MultVAE:
        """Train on the users of ``data`` who have a history."""
        users = self._remember(data)
        with freed_afterwards():
            self.weights = self._trained(data, users)
        return self

    def _trained(self, data: Interactions, users: npt.NDArray[np.int64]) -> Weights:
        start = first_weights(data.n_items, self.hidden, data.item_counts(), len(users), self.seed)
        generator = np.random.default_rng([self.seed, 3])
        for name in ("to_mean", "to_log_variance"):
            scale = (1.0 if name == "to_mean" else 0.1) / np.sqrt(self.hidden)
            start[name] = generator.normal(0, scale, (self.hidden, self.latent)).astype(np.float32)
        start["item_out"] = generator.normal(
            0, 0.3 / np.sqrt(self.latent), (data.n_items, self.latent)
        ).astype(np.float32)
        prepare, step, weights = self._step(start, -(-len(users) // self.batch_size) * self.epochs)
        self._minimize(prepare, step, users)
        return {name: variable.numpy() for name, variable in weights.items()}

    def score_histories(self, histories: Any) -> npt.NDArray[np.float32]:
        """Return the score of every item for histories of anyone, (n_users, n_items).

        Parameters
        ----------
        histories : scipy.sparse matrix (n_users, n_items) or array of int (n_users, length)
            Or padded lists. Who has no history gets one and the same row.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError, IndexError
            As `helpers.models.userlevel.forward`.
        """
        self._known()
        mean = hidden_layer(self.weights, histories) @ self.weights["to_mean"]
        scores: npt.NDArray[np.float32] = (
            mean @ self.weights["item_out"].T + self.weights["item_bias"]
        )
        return scores

    def _step(self, start: Weights, steps: int) -> tuple[Prepare, Step, dict[str, Any]]:
        """What a batch's step takes, one step of Adam, and the variables it changes."""
        import tensorflow as tf

        from helpers.models.userlevel_losses import multinomial

        w = {name: tf.Variable(value, name=name) for name, value in start.items()}
        generator = tf.random.Generator.from_seed(self.seed)

        def loss(taken: Any, shown: Any, strength: Any) -> tuple[Any, Any]:
            length = tf.maximum(tf.reduce_sum(shown, axis=1, keepdims=True), 1.0)
            hidden = tf.tanh(tf.matmul(shown, w["item_in"]) / tf.sqrt(length) + w["hidden_bias"])
            mean, log_variance = hidden @ w["to_mean"], hidden @ w["to_log_variance"]
            drawn = mean + tf.exp(log_variance / 2) * generator.normal(tf.shape(mean))
            scores = tf.matmul(drawn, w["item_out"], transpose_b=True) + w["item_bias"]
            divergence = strength * tf.reduce_mean(kl_to_standard_normal(mean, log_variance))
            return multinomial(scores, taken) + divergence, 0.0

        strengths = iter(
            self.strength * np.minimum(1, 2 * np.arange(1, steps + 1, dtype=np.float32) / steps)
        )
        rate = np.float32(self.learning_rate)

        def prepare(
            users: npt.NDArray[np.int64], rows: sparse.csr_matrix, shown: sparse.csr_matrix
        ) -> tuple[Any, ...]:
            return rate, rows.toarray(), shown.toarray(), np.float32(next(strengths))

        return prepare, adam_step(loss, list(w.values())), w


def kl_to_standard_normal(mean: Any, log_variance: Any) -> Any:
    """How far a normal distribution with independent coordinates is from the standard one.

    Parameters
    ----------
    mean, log_variance : tensor or array, (n, latent)

    Returns
    -------
    tensor, (n,)
        ``½ Σ (exp(log_variance) + mean² - 1 - log_variance)``, in nats; 0 for mean 0 and log variance 0.
    """
    import tensorflow as tf

    return 0.5 * tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance, axis=1)
