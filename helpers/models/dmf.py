"""Deep matrix factorization (Xue et al. 2017): two towers that read rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers.models.base import Recommender, above_zero, at_least
from helpers.models.ncf import compiled_epoch, cross_entropy
from helpers.models.training import falling
from helpers.sampling import LabeledPairs, NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]
_LEAST = 1e-6  # the paper's floor for a prediction: the logarithm of a cosine must exist


@dataclass
class DeepMF(Recommender):
    """Two towers of ReLU layers: one reads a user's row of ratings, the other an item's column.

    The prediction is the cosine of their ends, at least 1e-6. The label of a positive is its stars
    over the highest star, that of a negative is 0, and the loss is the cross-entropy with these.
    Every step computes the towers of all users and items. As the matrix is sparse, that costs less
    than gathering the rows of a batch, each as long as the catalog.

    ``tower`` has the widths of the layers, the same for both sides. Each positive has ``ratio``
    negatives, and a step takes ``batch_size`` pairs. The learning rate of Adam falls linearly to a
    tenth. ``seed`` decides the first weights and the negatives.

    Attributes
    ----------
    history, user_ends, item_ends : list of float, numpy.ndarray, numpy.ndarray
        Mean loss of every epoch in nats; (n_users, tower[-1]) and (n_items, tower[-1]) float32, of
        length 1, or 0 if no unit fires.
    """

    tower: Sequence[int] = (64, 32)
    epochs: int = 10
    ratio: int = 5
    batch_size: int = 65536
    learning_rate: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "epochs", "ratio", "batch_size")
        above_zero(self, "learning_rate")
        if min(self.tower, default=0) < 1:
            raise ValueError(f"tower={self.tower}: expected one width or more, each at least 1")

    def fit(self, data: Interactions) -> DeepMF:
        """Fit the towers to every rating and fresh negatives in each epoch."""
        import tensorflow as tf

        self._learn_from(data)
        matrix = data.matrix()
        matrix.data /= matrix.data.max()
        weights, depth = [], len(self.tower)
        rng = np.random.default_rng(self.seed)
        for width in (self.n_items, self.n_users):  # the user's tower reads items
            for shape in pairwise((width, *self.tower)):
                first = rng.normal(0.0, np.sqrt(2 / sum(shape)), shape)
                weights.append(tf.Variable(first.astype(np.float32)))
        by_user, by_item = _sparse(matrix), _sparse(matrix.T)

        def loss(users: Any, items: Any, labels: Any) -> Any:
            p, q = _end(by_user, weights[:depth]), _end(by_item, weights[depth:])
            cosine = tf.reduce_sum(tf.gather(p, users) * tf.gather(q, items), axis=1)
            return cross_entropy(labels, tf.maximum(cosine, _LEAST))

        run = compiled_epoch(loss, weights, self.batch_size)
        sampler = NegativeSampler(data)
        stars = np.asarray(matrix[sampler.users, sampler.items], dtype=np.float32).ravel()
        self.history = []
        for epoch in range(self.epochs):
            rng = np.random.default_rng([self.seed, epoch])
            users, items, labels = sampler.epoch(self.ratio, rng=rng, shuffle=False)
            labels = np.concatenate([stars, labels[len(stars) :]])
            order = rng.permutation(len(labels))
            examples = LabeledPairs(users[order], items[order], labels[order])
            self.history.append(run(examples, falling(self.learning_rate, epoch, self.epochs)))
        self.user_ends = _end(by_user, weights[:depth]).numpy()
        self.item_ends = _end(by_item, weights[depth:]).numpy()
        return self

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the cosine of every item for some users, (len(users), n_items) float32."""
        index = self._users(users)
        return np.asarray(self.user_ends[index] @ self.item_ends.T, dtype=np.float32)


def _sparse(matrix: Any) -> Any:
    """Return a SciPy matrix as a TensorFlow one, in row order."""
    import tensorflow as tf

    cells = matrix.tocsr().tocoo()
    places = np.column_stack([cells.row, cells.col]).astype(np.int64)
    return tf.sparse.reorder(tf.SparseTensor(places, cells.data.astype(np.float32), cells.shape))


def _end(rows: Any, weights: list[Any]) -> Any:
    """Pass all rows through a tower and give the ends length 1, (n, tower[-1])."""
    import tensorflow as tf

    x = tf.nn.relu(tf.sparse.sparse_dense_matmul(rows, weights[0]))
    for weight in weights[1:]:
        x = tf.nn.relu(x @ weight)
    return tf.math.l2_normalize(x, axis=1)
