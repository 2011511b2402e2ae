"""The two towers of a DSSM in Keras: a row of an id table, and a network over what an item is made of.

Each *part* of an item comes as one array, and its kind decides the layer that reads it:

========================  ============================  ==========================================
array                     part                          layer
========================  ============================  ==========================================
int, (n,)                 an id                         Embedding
float or csr, (n, d)      a bag: genres, trigrams, …    Dense
int, (n, length)          words in order, 0 is padding  Embedding, LSTM
uint8, (n, h, w, 3)       a picture                     Rescaling, two convolutions, a mean
========================  ============================  ==========================================

Each ends with ``hidden`` numbers; they are added, rectified, mapped to ``k`` numbers and divided by their
length.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from helpers import gates
from helpers.models.dssm_parts import Parts, kind_of

if TYPE_CHECKING:
    import keras


def item_tower(
    parts: Parts, k: int = 32, hidden: int = 64, part_dropout: float = 0.0, decay: float = 0.0
) -> keras.Model:
    """Build the network from an item's parts to a vector of length 1.

    Parameters
    ----------
    parts : mapping of str to array
        See the module; only shapes and kinds are read.
    k, hidden : int
        Numbers of the vector, and of each part's layer.
    part_dropout : float
        Chance that a part of an example is blanked in training, so that the tower also works for an
        item without a genre, or for a title alone.
    decay : float
        Weight of the squared weights of bags and ids in the loss.

    Returns
    -------
    keras.Model
        Takes a dict with the same names, returns (n, k) float32.
    """
    keras = gates.import_keras()

    if not parts:
        raise ValueError("parts is empty; expected at least one array that describes the items")
    inputs, outputs = {}, []
    for name, part in parts.items():
        inputs[name], out = _reader(name, part, hidden, decay)
        outputs.append(
            keras.layers.Dropout(part_dropout, noise_shape=(None, 1))(out) if part_dropout else out
        )
    joined = keras.layers.Add()(outputs) if len(outputs) > 1 else outputs[0]
    vector = keras.layers.Dense(k, name="to_shared_space")(keras.layers.Activation("relu")(joined))
    return keras.Model(inputs, keras.layers.UnitNormalization()(vector), name="item_tower")


def _reader(name: str, part: Any, hidden: int, decay: float) -> tuple[Any, Any]:
    """Return the input of a part and what its own layer makes of it."""
    import keras

    layers, kind = keras.layers, kind_of(name, part)
    small = _squared_weights()(decay) if decay else None
    if kind == "id":
        given = keras.Input((), name=name, dtype="int32")
        n = int(np.max(part)) + 1
        return given, layers.Embedding(
            n, hidden, embeddings_regularizer=small, name=f"{name}_rows"
        )(given)
    if kind == "bag":
        dense = _sparse_dense() if sparse.issparse(part) else layers.Dense
        given = keras.Input((part.shape[1],), name=name, sparse=sparse.issparse(part))
        return given, dense(hidden, kernel_regularizer=small, name=f"{name}_bag")(given)
    if kind == "words":
        given = keras.Input(part.shape[1:], name=name, dtype="int32")
        rows = layers.Embedding(int(np.max(part)) + 1, 32, mask_zero=True, name=f"{name}_rows")(
            given
        )
        # rows have one length, so its steps can be laid out: a loop in the graph takes longer
        return given, layers.LSTM(hidden, unroll=True, name=f"{name}_lstm")(rows)
    given = keras.Input(part.shape[1:], name=name, dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1)(given)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name=f"{name}_edges")(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name=f"{name}_shapes")(x)
    return given, layers.Dense(hidden, name=f"{name}_look")(layers.Flatten()(x))


@cache
def _squared_weights() -> Any:
    """Return Keras' L2 penalty as TensorFlow's one operation for it, whose slope is one more."""
    import keras
    import tensorflow as tf

    class SquaredWeights(keras.regularizers.L2):  # type: ignore[misc, unused-ignore]
        def __call__(self, weights: Any) -> Any:
            return 2 * self.l2 * tf.nn.l2_loss(weights)

    return SquaredWeights


@cache
def _sparse_dense() -> Any:
    """Return a Dense layer for sparse rows: one product, where Keras' own looks up, sorts and adds."""
    import keras
    import tensorflow as tf

    class SparseDense(keras.layers.Dense):  # type: ignore[misc, unused-ignore]
        def call(self, rows: Any, training: bool | None = None) -> Any:
            return tf.sparse.sparse_dense_matmul(rows, self.kernel) + self.bias

    return SparseDense


def user_tower(n_users: int, k: int, width: int = 0, decay: float = 0.0) -> keras.Model:
    """Build the users' tower: a row that all share, a row of one's own, a layer on one's history.

    Parameters
    ----------
    n_users, k : int
        Sizes.
    width : int
        Columns of the history's profile; 0 for a tower of ids alone.
    decay : float
        Weight of the squared rows of the batch in the loss; pulls users to what they share.

    Returns
    -------
    keras.Model
        Takes ``{"user": (n,) int, "profile": (n, width) float}``, returns (n, k) float32 of length 1.
    """
    import keras

    layers = keras.layers
    given = {"user": keras.Input((), name="user", dtype="int32")}
    small = keras.initializers.RandomNormal(0, 0.1)
    rows = layers.Embedding(n_users, k, embeddings_initializer=small, name="user_rows")(
        given["user"]
    )
    if decay:
        rows = layers.ActivityRegularization(l2=decay)(rows)
    shared = layers.Embedding(1, k, name="shared_row")(keras.ops.zeros_like(given["user"]))
    total = [rows, shared]
    if width:
        given["profile"] = keras.Input((width,), name="profile")
        total.append(layers.Dense(k, use_bias=False, name="user_profile")(given["profile"]))
    return keras.Model(given, layers.UnitNormalization()(layers.Add()(total)), name="user_tower")


def log_sum_exp(logits: Any) -> Any:
    """Return the logarithm of each row's sum of exponentials, (n,).

    Parameters
    ----------
    logits : tensor
        (n, m); minus infinity leaves a column out, but not a whole row. The slope reuses the exponentials,
        which TensorFlow's own computes twice.
    """
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[misc, unused-ignore]
    def compute(rows: Any) -> Any:
        top = tf.reduce_max(rows, axis=1, keepdims=True)
        powers = tf.exp(rows - top)
        total = tf.reduce_sum(powers, axis=1, keepdims=True)
        return (tf.math.log(total) + top)[:, 0], lambda given: powers * (given[:, None] / total)

    return compute(logits)


def cosine_loss(a: Any, b: Any, label: Any = 1.0) -> Any:
    """Return the cosine loss of the rows of two tensors, (n,).

    Parameters
    ----------
    a, b : tensor
        (n, k). A row of zeros has no direction: its cosine counts as 0.
    label : tensor or float
        (n,), 1 for a pair that belongs together (loss 1 - cosine), 0 for one that does not (max(0, cosine)).
    """
    from keras import ops

    squares = ops.sum(ops.square(a), axis=-1) * ops.sum(ops.square(b), axis=-1)
    alive = ops.cast(squares > 0, squares.dtype)
    cosine = alive * ops.sum(a * b, axis=-1) / ops.sqrt(squares + (1 - alive))
    return label * (1 - cosine) + (1 - label) * ops.relu(cosine)


def cosine_slopes(
    a: np.ndarray, b: np.ndarray, label: Any = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the loss of each row, (n,), and the slopes of their sum for ``a`` and ``b``, by TensorFlow."""
    import tensorflow as tf

    left, right = tf.Variable(a, dtype=tf.float32), tf.Variable(b, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = cosine_loss(left, right, tf.constant(label, tf.float32))
        total = tf.reduce_sum(loss)
    slopes = tape.gradient(total, [left, right])
    return loss.numpy(), slopes[0].numpy(), slopes[1].numpy()
