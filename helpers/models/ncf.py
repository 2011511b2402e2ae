"""Neural collaborative filtering: GMF, MLP and NeuMF in Keras, their training, scores of all items.

Each network takes ``{"user": (B,), "item": (B,)}`` contiguous int32 indices and returns (B, 1): the
chance of a click in a sample with negatives. Layers have fixed names, by which `PairScores` finds
their weights. After He et al. 2017, and the AWS post of Li 2020, "the post" below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers.models.base import Recommender, at_least
from helpers.models.training import FusedAdam, falling
from helpers.sampling import LabeledPairs, NegativeSampler

if TYPE_CHECKING:
    import keras

    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]
EpochRunner = Callable[[LabeledPairs, float], float]  # examples, learning rate: mean loss
_TOWER = (64, 32, 16, 8)  # hidden layers of MLP in the post and in the paper's largest network
_PAIRS_AT_ONCE = 1 << 16  # pairs whose hidden layers are in memory at once


@dataclass
class Network:
    """Settings of a network, and the parts that it is built of.

    ``dropout`` is the share dropped before each of the first three hidden layers, as in the post.
    ``activation``, "linear" or "relu", is that of the embeddings. "relu" is the post's: before it a
    bias is added that all rows share. ``regularization`` is L2 of the vectors that an example looks
    up, part of ``model.losses``. ``one_hot`` builds the post's network: rows of zeros and a single
    1, (B, n_users) and (B, n_items) float32, go through dense layers with a ReLU in the place of
    embeddings. ``seed`` decides all first weights.
    """

    n_users: int
    n_items: int
    factors: int = 32
    dropout: float = 0.0
    activation: str = "linear"
    regularization: float = 0.0
    one_hot: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Make the inputs; refuse settings that make no network."""
        import keras

        at_least(1, self, "n_users", "n_items", "factors")
        at_least(0, self, "regularization", "dropout")
        if self.activation not in ("linear", "relu") or self.dropout >= 1:
            raise ValueError(f"{self}: expected activation 'linear' or 'relu', a dropout below 1")
        self._keras, self._rng = keras, np.random.default_rng(self.seed)
        kind = "float32" if self.one_hot else "int32"
        self._sizes = {"user": self.n_users, "item": self.n_items}
        self._inputs = {
            side: keras.Input((size,) if self.one_hot else (), name=side, dtype=kind)
            for side, size in self._sizes.items()
        }

    def product(self) -> Any:
        """Return GMF's branch, (B, factors)."""
        rows = [self._vectors(side, "gmf") for side in self._sizes]
        return self._keras.layers.Multiply(name="product")(rows)

    def perceptron(self) -> Any:
        """Return MLP's branch, (B, 8)."""
        layers = self._keras.layers
        rows = [self._vectors(side, "mlp") for side in self._sizes]
        x = layers.Concatenate(name="side_by_side")(rows)
        for number, width in enumerate(_TOWER, start=1):
            if self.dropout and number <= 3:
                x = layers.Dropout(self.dropout, seed=self._seed(), name=f"dropout_{number}")(x)
            x = self._dense(width, "relu", f"hidden_{number}")(x)
        return x

    def joined(self, name: str, *branches: Callable[[Network], Any]) -> keras.Model:
        """Return the model of a name that joins branches in one number."""
        ends = [branch(self) for branch in branches]
        both = self._keras.layers.Concatenate(name="both")
        chance = self._dense(1, "sigmoid", "chance")(both(ends) if len(ends) > 1 else ends[0])
        model: keras.Model = self._keras.Model(self._inputs, chance, name=name)
        return model

    def _vectors(self, side: str, branch: str) -> Any:
        """Look up a side's vectors for a branch, (B, factors)."""
        keras, index, name = self._keras, self._inputs[side], f"{side}_{branch}"
        if self.one_hot:
            return self._dense(self.factors, "relu", name)(index)
        # on what is looked up, not on the table; Keras divides by the batch size itself
        pull = keras.regularizers.L2(self.regularization / 2) if self.regularization else None
        rows = keras.layers.Embedding(
            self._sizes[side],
            self.factors,
            embeddings_initializer=keras.initializers.RandomNormal(0.0, 0.01, self._seed()),
            activity_regularizer=pull,
            name=name,
        )(index)
        if self.activation == "linear":
            return rows
        # a table of one row that everybody looks up: the bias of the post's dense layer
        layer = keras.layers.Embedding(1, self.factors, "zeros", name=f"{name}_bias")
        bias = layer(keras.ops.zeros_like(index))
        rows = keras.layers.Add(name=f"{name}_sum")([rows, bias])
        return keras.layers.Activation(self.activation, name=f"{name}_relu")(rows)

    def _dense(self, width: int, activation: str, name: str) -> Any:
        start, layers = self._keras.initializers.GlorotUniform(self._seed()), self._keras.layers
        return layers.Dense(width, activation, kernel_initializer=start, name=name)

    def _seed(self) -> int:
        return int(self._rng.integers(2**31))


def gmf(n_users: int, n_items: int, factors: int = 32, **settings: Any) -> keras.Model:
    """Return generalized matrix factorization, ``sigmoid(h · (p * q) + c)``; see `Network`."""
    return Network(n_users, n_items, factors, **settings).joined("gmf", Network.product)


def mlp(n_users: int, n_items: int, factors: int = 32, **settings: Any) -> keras.Model:
    """Return a perceptron on both embeddings side by side; see `Network`."""
    return Network(n_users, n_items, factors, **settings).joined("mlp", Network.perceptron)


def neumf(n_users: int, n_items: int, factors: int = 32, **settings: Any) -> keras.Model:
    """Return NeuMF: GMF and MLP with embeddings of their own, joined at the end; see `Network`."""
    network = Network(n_users, n_items, factors, **settings)
    return network.joined("neumf", Network.product, Network.perceptron)


def train(
    model: keras.Model,
    data: Interactions,
    *,
    epochs: int = 10,
    ratio: int = 5,
    batch_size: int = 2048,
    learning_rate: float = 0.003,
    seed: int = 0,
) -> list[float]:
    """Train a network by Adam on positives and fresh negatives; return the mean loss of each epoch.

    The positives are ``data``; each has ``ratio`` negatives, which epoch e draws from
    ``default_rng([seed, e])``. The learning rate falls linearly to a tenth over the epochs. The
    losses are in nats, on the epoch's own examples, regularization included. ``model`` takes
    ``{"user": (B,), "item": (B,)}``, returns chances, (B, 1), and is changed in place. Raise
    ``ValueError`` for a setting that trains nothing.
    """
    if min(epochs, batch_size) < 1 or learning_rate <= 0:
        given = f"epochs={epochs}, batch_size={batch_size}, learning_rate={learning_rate}"
        raise ValueError(f"{given}: expected at least 1, at least 1, and above 0")
    sampler, run, history = NegativeSampler(data), epoch_runner(model, batch_size), []
    for epoch in range(epochs):
        examples = sampler.epoch(ratio, rng=np.random.default_rng([seed, epoch]))
        history.append(run(examples, falling(learning_rate, epoch, epochs)))
    return history


def epoch_runner(model: keras.Model, batch_size: int) -> EpochRunner:
    """Return ``run(examples, learning_rate)``: one epoch as one graph; it returns the mean loss.

    Examples are taken in their order. Keras' ``fit`` goes back to Python after each step, which
    takes longer than a step of a small batch.
    """
    import tensorflow as tf

    def loss(users: Any, items: Any, labels: Any) -> Any:
        chance = model({"user": users, "item": items}, training=True)
        value = cross_entropy(labels, chance[:, 0])
        return value + tf.add_n(model.losses) if model.losses else value

    return compiled_epoch(loss, [v.value for v in model.trainable_variables], batch_size)


def compiled_epoch(loss: Any, variables: list[Any], batch_size: int) -> EpochRunner:
    """Return `epoch_runner` of any loss of users, items and labels, and the variables it moves."""
    import tensorflow as tf

    optimizer = FusedAdam(variables)
    rate = tf.Variable(0.001, trainable=False)
    column, truth = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)

    @tf.function(input_signature=(column, column, truth))  # one graph for epochs of every length
    def epoch(users: Any, items: Any, labels: Any) -> Any:
        n, total = tf.shape(labels)[0], 0.0
        for start in tf.range(0, n, batch_size):
            end = tf.minimum(start + batch_size, n)
            with tf.GradientTape() as tape:
                value = loss(users[start:end], items[start:end], labels[start:end])
            optimizer.apply(tape.gradient(value, variables), rate)
            total += value * tf.cast(end - start, tf.float32)
        return total / tf.cast(n, tf.float32)

    def run(examples: LabeledPairs, learning_rate: float) -> float:
        rate.assign(learning_rate)
        return float(epoch(*(tf.constant(values) for values in examples)))

    return run


def cross_entropy(labels: Any, chance: Any) -> Any:
    """Return the mean binary cross-entropy in nats of two (B,) tensors."""
    import tensorflow as tf

    p = tf.clip_by_value(chance, 1e-7, 1 - 1e-7)
    return -tf.reduce_mean(labels * tf.math.log(p) + (1 - labels) * tf.math.log(1 - p))


class PairScores(Recommender):
    """Scores of every item by a trained `gmf`, `mlp` or `neumf`, without building pairs.

    They are log odds of a click, so that no two items tie at a chance of 1. GMF is one matrix
    product, since ``h · (p * q) = (h * p) · q``. The first hidden layer of MLP is linear before
    its ReLU, so the user's and the item's half are computed once each and added. The weights of the
    model are copied.
    """

    def __init__(self, model: keras.Model) -> None:
        weights = {layer.name: layer.get_weights() for layer in model.layers}
        self._vectors: dict[str, FloatArray] = {}
        for name in ("user_gmf", "item_gmf", "user_mlp", "item_mlp"):
            if name in weights:
                table = weights[name][0] + weights.get(f"{name}_bias", [np.float32(0)])[0]
                self._vectors[name] = np.maximum(table, 0) if f"{name}_relu" in weights else table
        self._tower = [layer for name, layer in weights.items() if name.startswith("hidden_")]
        self._last, self._constant = weights["chance"][0][:, 0], weights["chance"][1]
        self.n_users, self.n_items = (len(table) for table in list(self._vectors.values())[:2])

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the log odds of a click, (len(users), n_items) float32."""
        index = self._users(users)
        out = np.full((len(index), self.n_items), self._constant, dtype=np.float32)
        factors = 0
        if "user_gmf" in self._vectors:
            p, q = self._vectors["user_gmf"][index], self._vectors["item_gmf"]
            factors = q.shape[1]
            out += (p * self._last[:factors]) @ q.T
        if self._tower:
            self._add_tower(out, index, self._last[factors:])
        return out

    def _add_tower(self, out: FloatArray, users: npt.NDArray[np.int64], last: FloatArray) -> None:
        p, q = self._vectors["user_mlp"][users], self._vectors["item_mlp"]
        (kernel, bias), *rest = self._tower
        of_users, of_items = p @ kernel[: p.shape[1]] + bias, q @ kernel[p.shape[1] :]
        step = max(1, _PAIRS_AT_ONCE // self.n_items)
        for start in range(0, len(users), step):
            x = of_users[start : start + step, None, :] + of_items
            x = np.maximum(x, 0, out=x).reshape(-1, x.shape[2])
            for weight, shift in rest:
                x = x @ weight
                x += shift
                np.maximum(x, 0, out=x)
            out[start : start + step] += (x @ last).reshape(-1, self.n_items)
