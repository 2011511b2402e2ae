"""Deep matrix factorization (Xue et al. 2017): two towers that read rows and columns of the matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers.models.base import NotFittedError, check_indices
from helpers.models.ncf_training import cross_entropy
from helpers.sampling import LabeledPairs, NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]
LEAST = 1e-6  # the paper's floor for a prediction: a cosine can be 0, its logarithm must exist


class DeepMF:
    """A user is the row of what they rated, an item the column of who rated it.

    Each passes through a tower of ReLU layers; the prediction is the cosine of the two ends, at least
    1e-6. The label of a positive is its stars over the highest star, that of a negative is 0, and the
    loss is the cross-entropy with these ("normalized cross-entropy").

    The towers of all users and items are computed in every step. As the matrix is sparse, that costs
    less than gathering the rows of a batch, of which each is as long as the catalog.

    Parameters
    ----------
    tower : sequence of int
        Widths of the layers, the same for both sides.
    epochs, ratio, batch_size : int
        Passes over the positives, negatives a positive, pairs a step.
    learning_rate : float
        Adam's; it falls linearly to a tenth over the epochs.
    values : {"stars", "clicks"}
        What the matrix and the labels hold; "clicks" puts a 1 for every rating.
    seed : int
        Of the first weights and the negatives.

    Attributes
    ----------
    history : list of float
        Mean loss of every epoch, in nats.
    user_ends, item_ends : ndarray of float32, (n_users, tower[-1]), (n_items, tower[-1])
        Ends of the towers, of length 1; all zeros where no unit fires.

    References
    ----------
    Xue et al. 2017, "Deep matrix factorization models for recommender systems".
    """

    def __init__(
        self,
        tower: Sequence[int] = (64, 32),
        epochs: int = 10,
        ratio: int = 5,
        batch_size: int = 65536,
        learning_rate: float = 0.01,
        values: str = "stars",
        seed: int = 0,
    ) -> None:
        if not tower or min(tower) < 1 or min(epochs, ratio, batch_size) < 1:
            raise ValueError(
                f"tower={tuple(tower)}, epochs={epochs}, ratio={ratio}, batch_size={batch_size}: "
                "expected whole numbers of at least 1"
            )
        if learning_rate <= 0 or values not in ("stars", "clicks"):
            raise ValueError(
                f"learning_rate={learning_rate}, values={values!r}: expected above 0, and 'stars' or 'clicks'"
            )
        self.tower, self.epochs, self.ratio, self.batch_size = (
            tuple(tower),
            epochs,
            ratio,
            batch_size,
        )
        self.learning_rate, self.values, self.seed = learning_rate, values, seed

    def fit(self, data: Interactions) -> DeepMF:
        """Train on every rating and fresh negatives in each epoch."""
        import keras
        import tensorflow as tf

        matrix = data.matrix()
        matrix.data /= matrix.data.max()
        if self.values == "clicks":
            matrix.data[:] = 1.0
        weights = self._first_weights(data.n_users, data.n_items)
        optimizer = keras.optimizers.Adam(self.learning_rate)
        optimizer.build(weights)
        by_user, by_item = _sparse(matrix), _sparse(matrix.T)
        depth = len(self.tower)

        @tf.function
        def epoch(users: Any, items: Any, labels: Any) -> Any:
            n, total = tf.shape(labels)[0], 0.0
            for start in tf.range(0, n, self.batch_size):
                part = slice(start, tf.minimum(start + self.batch_size, n))
                with tf.GradientTape() as tape:
                    p, q = _end(by_user, weights[:depth]), _end(by_item, weights[depth:])
                    cosine = tf.reduce_sum(
                        tf.gather(p, users[part]) * tf.gather(q, items[part]), axis=1
                    )
                    loss = cross_entropy(labels[part], tf.maximum(cosine, LEAST))
                optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
                total += loss * tf.cast(part.stop - start, tf.float32)
            return total / tf.cast(n, tf.float32)

        sampler = NegativeSampler(data)
        stars = np.asarray(matrix[sampler.users, sampler.items], dtype=np.float32).ravel()
        self.history = []
        for number in range(self.epochs):
            rate = self.learning_rate * (1 - 0.9 * number / max(1, self.epochs - 1))
            optimizer.learning_rate = rate
            examples = _epoch(
                sampler, stars, self.ratio, np.random.default_rng([self.seed, number])
            )
            self.history.append(float(epoch(*(tf.constant(column) for column in examples))))
        self.user_ends = _end(by_user, weights[:depth]).numpy()
        self.item_ends = _end(by_item, weights[depth:]).numpy()
        return self

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the cosine of every item for some users, (len(users), n_items)."""
        if not hasattr(self, "user_ends"):
            raise NotFittedError("DeepMF: call fit(data) before scores")
        index = check_indices(np.asarray(users), len(self.user_ends), "users")
        return np.asarray(self.user_ends[index] @ self.item_ends.T, dtype=np.float32)

    def _first_weights(self, n_users: int, n_items: int) -> list[Any]:
        """Weights of the user's tower, which reads items, then of the item's, without biases."""
        import keras

        generator, weights = np.random.default_rng(self.seed), []
        for width_in in (n_items, n_users):
            for width in self.tower:
                start = generator.normal(0.0, np.sqrt(2 / (width_in + width)), (width_in, width))
                weights.append(keras.Variable(start.astype(np.float32)))
                width_in = width
        return weights


def _sparse(matrix: Any) -> Any:
    """Return a SciPy matrix as a TensorFlow one, in row order."""
    import tensorflow as tf

    cells = matrix.tocsr().tocoo()
    places = np.column_stack([cells.row, cells.col]).astype(np.int64)
    return tf.sparse.reorder(tf.SparseTensor(places, cells.data.astype(np.float32), cells.shape))


def _end(rows: Any, weights: list[Any]) -> Any:
    """Pass all rows through a tower and give the ends length 1, (n, tower[-1])."""
    import tensorflow as tf

    x = tf.nn.relu(tf.sparse.sparse_dense_matmul(rows, weights[0].value))
    for weight in weights[1:]:
        x = tf.nn.relu(x @ weight.value)
    return tf.math.l2_normalize(x, axis=1)


def _epoch(
    sampler: NegativeSampler, stars: FloatArray, ratio: int, rng: np.random.Generator
) -> LabeledPairs:
    """Positives with their stars as labels and fresh negatives with 0, shuffled."""
    examples = sampler.epoch(ratio, rng=rng, shuffle=False)
    labels = examples.labels.copy()
    labels[: len(stars)] = stars
    order = rng.permutation(len(labels))
    return LabeledPairs(examples.users[order], examples.items[order], labels[order])
