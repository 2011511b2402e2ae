"""Mult-VAE: a user-level network whose hidden layer is a distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.optimizers import Weights
from helpers.models.userlevel import (
    HistoryModel,
    Users,
    hidden_in_graph,
    hidden_layer,
    multinomial,
)

if TYPE_CHECKING:
    from helpers.data import Interactions


@dataclass(kw_only=True, eq=False)
class MultVAE(HistoryModel):
    """Multinomial variational autoencoder. See `HistoryModel` for the other settings.

    From the hidden layer come a mean and a log variance for each of ``latent`` numbers. Training
    scores a draw from that distribution, and adds ``strength`` times its divergence from the
    standard normal one. Scoring uses the mean.

    Parameters
    ----------
    latent : int
        Width of the distribution.
    strength : float
        Weight of the divergence; it grows from 0 over the first half of training.

    References
    ----------
    Liang, Krishnan, Hoffman and Jebara 2018, "Variational autoencoders for collaborative
    filtering". Its networks are 600 and 200 wide, for data sets a thousand times as large.
    """

    latent: int = 32
    strength: float = 0.1

    def _train(self, data: Interactions, users: Users, start: Weights) -> None:
        import tensorflow as tf

        generator = np.random.default_rng([self.seed, 3])

        def drawn(scale: float, *shape: int) -> npt.NDArray[np.float32]:
            return generator.normal(0, scale, shape).astype(np.float32)

        narrow = np.sqrt(self.hidden)
        start["to_mean"] = drawn(1.0 / narrow, self.hidden, self.latent)
        start["to_log_variance"] = drawn(0.1 / narrow, self.hidden, self.latent)
        start["item_out"] = drawn(0.3 / np.sqrt(self.latent), data.n_items, self.latent)
        noise = tf.random.Generator.from_seed(self.seed)

        def loss(w: dict[str, Any], taken: Any, shown: Any, strength: Any) -> tuple[Any, Any]:
            hidden = hidden_in_graph(w, shown)
            mean, log_variance = hidden @ w["to_mean"], hidden @ w["to_log_variance"]
            draw = mean + tf.exp(log_variance / 2) * noise.normal(tf.shape(mean))
            scores = tf.matmul(draw, w["item_out"], transpose_b=True) + w["item_bias"]
            divergence = strength * tf.reduce_mean(kl_to_standard_normal(mean, log_variance))
            return multinomial(scores, taken) + divergence, 0.0

        steps = -(-len(users) // self.batch_size) * self.epochs
        ramp = np.minimum(1, 2 * np.arange(1, steps + 1, dtype=np.float32) / steps)
        strengths = iter(self.strength * ramp)

        def strength(_users: Users, _rows: sparse.csr_matrix) -> np.float32:
            return np.float32(next(strengths))

        self._minimize(loss, start, users, strength)

    def score_histories(self, histories: Any) -> npt.NDArray[np.float32]:
        """Return the score of every item for anyone's histories, as `HistoryModel` does."""
        self._fitted()
        mean = hidden_layer(self.weights, histories) @ self.weights["to_mean"]
        return np.asarray(mean @ self.weights["item_out"].T + self.weights["item_bias"])


def kl_to_standard_normal(mean: Any, log_variance: Any) -> Any:
    """Return the divergence of normal distributions from the standard one, (n,), in nats.

    Both are (n, latent), one independent coordinate per column; Kullback-Leibler, 0 for zeros.
    """
    import tensorflow as tf

    return 0.5 * tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance, axis=1)
