"""Matrix factorization as a Keras 3 model: the twin of the NumPy and MXNet versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.models.training import Weights

if TYPE_CHECKING:
    import keras


def keras_mf(
    n_users: int,
    n_items: int,
    k: int,
    biases: bool = False,
    mean: float = 0.0,
    weight_decay: float = 0.0,
) -> keras.Model:
    """Build two embeddings and their inner product, with biases if wanted.

    Parameters
    ----------
    n_users, n_items, k : int
        Sizes of the embeddings.
    biases : bool
        Add a bias for each user and item.
    mean : float
        Added to every prediction.
    weight_decay : float
        Adds ``weight_decay / 2 · (|p|² + |q|²)``, averaged over the batch, to the loss. Compile with a
        loss of half the squared error (`half_squared_error`) for the loss of the NumPy version.

    Returns
    -------
    keras.Model
        Takes ``{"user": (B,), "item": (B,)}`` integers and returns (B, 1) float32. The embeddings are
        named as in the NumPy weights; `copy_to_keras` fills them.
    """
    import keras

    def penalty(rows: Any) -> Any:
        # Keras divides an activity penalty by the batch size itself
        return weight_decay / 2 * keras.ops.sum(keras.ops.square(rows))

    user = keras.Input((), name="user", dtype="int32")
    item = keras.Input((), name="item", dtype="int32")

    def lookup(index: Any, rows: int, width: int, name: str) -> Any:
        start: Any = (
            keras.initializers.Zeros() if width == 1 else keras.initializers.RandomNormal(0, 0.02)
        )
        regularizer = penalty if weight_decay and width > 1 else None
        layer = keras.layers.Embedding(
            rows, width, embeddings_initializer=start, activity_regularizer=regularizer, name=name
        )
        return layer(index)

    rows = [lookup(user, n_users, k, "user_factors"), lookup(item, n_items, k, "item_factors")]
    predicted = keras.layers.Dot(axes=1, name="inner_product")(rows)
    if biases:
        of_user, of_item = (
            lookup(user, n_users, 1, "user_bias"),
            lookup(item, n_items, 1, "item_bias"),
        )
        predicted = keras.layers.Add(name="with_biases")([predicted, of_user, of_item])
    if mean:
        predicted = keras.layers.Rescaling(1.0, offset=mean, name="mean")(predicted)
    return keras.Model({"user": user, "item": item}, predicted, name="matrix_factorization")


def half_squared_error(actual: Any, predicted: Any) -> Any:
    """Half the mean squared error, the loss of the NumPy version: its slope is the error itself.

    Parameters
    ----------
    actual, predicted : tensor
        (B,) or (B, 1); reshaped first, because (B,) minus (B, 1) would be (B, B).

    Returns
    -------
    tensor
        A single number.
    """
    import keras

    error = keras.ops.reshape(predicted, (-1,)) - keras.ops.reshape(actual, (-1,))
    return keras.ops.mean(keras.ops.square(error)) / 2


def copy_to_keras(weights: Weights, model: keras.Model) -> None:
    """Put NumPy weights into a model of `keras_mf` with the same sizes.

    Parameters
    ----------
    weights : dict
        As `helpers.models.mf_arithmetic.initial_weights` makes them.
    model : keras.Model
        Changed in place.
    """
    for name, table in weights.items():
        model.get_layer(name).set_weights([table.reshape(len(table), -1)])


def keras_forward(model: keras.Model, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Predictions of a model of `keras_mf`: (n,) float32."""
    return np.asarray(model({"user": users, "item": items})).ravel()


def keras_gradients(
    model: keras.Model, users: np.ndarray, items: np.ndarray, ratings: np.ndarray
) -> Weights:
    """Gradient of one batch's loss, as TensorFlow finds it.

    Parameters
    ----------
    model : keras.Model
        Made by `keras_mf`; its weight decay is part of the loss.
    users, items : numpy.ndarray
        (n,) contiguous indices.
    ratings : numpy.ndarray
        (n,) in stars.

    Returns
    -------
    dict
        By name of a table, in the shapes of the NumPy weights.
    """
    import tensorflow as tf

    with tf.GradientTape() as tape:
        predicted = model({"user": users, "item": items}, training=True)
        loss = half_squared_error(tf.constant(ratings, tf.float32), predicted)
        loss += sum(model.losses)
    found = tape.gradient(loss, model.trainable_variables)
    result = {}
    for variable, slope in zip(model.trainable_variables, found, strict=True):
        table = tf.convert_to_tensor(slope).numpy()  # lookups give only the rows that were read
        name = variable.path.split("/")[0]
        result[name] = table[:, 0] if name.endswith("_bias") else table
    return result
