"""The post's NeuMF, with one-hot vectors and dense layers where embeddings belong, and the way across.

A one-hot vector times a matrix is one row of it, so ``Dense`` on one-hot input computes
``relu(kernel[index] + bias)``: the row that an ``Embedding`` looks up, if its table is ``kernel + bias``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers.models.base import check_indices
from helpers.models.ncf import TOWER

if TYPE_CHECKING:
    import keras

FloatArray = npt.NDArray[np.float32]


def onehot_neumf(
    n_users: int, n_items: int, k: int = 32, *, dropout: float = 0.25, seed: int = 0
) -> keras.Model:
    """Build the network of the post: four dense layers with ReLU on two one-hot inputs, then NeuMF.

    Parameters
    ----------
    n_users, n_items : int
        Widths of the inputs.
    k : int
        Units of each of the four "embedding" layers.
    dropout : float
        The post's places: before each of the first three hidden layers.
    seed : int
        Of all first weights.

    Returns
    -------
    keras.Model
        Takes ``{"user": (B, n_users), "item": (B, n_items)}`` float32 and returns (B, 1). Layers are
        named as in `helpers.models.ncf.neumf`.

    References
    ----------
    Li 2020, AWS post, function ``build_graph``.
    """
    import keras

    generator = np.random.default_rng(seed)
    layers = keras.layers
    widths = {"user": n_users, "item": n_items}
    inputs = {side: keras.Input((width,), name=side) for side, width in widths.items()}

    def dense(width: int, name: str) -> Any:
        start = keras.initializers.GlorotUniform(int(generator.integers(2**31)))
        return layers.Dense(width, activation="relu", kernel_initializer=start, name=name)

    rows = {
        (side, b): dense(k, f"{side}_{b}")(inputs[side]) for b in ("gmf", "mlp") for side in widths
    }
    product = layers.Multiply(name="product")([rows["user", "gmf"], rows["item", "gmf"]])
    x = layers.Concatenate(name="side_by_side")([rows["user", "mlp"], rows["item", "mlp"]])
    for number, width in enumerate(TOWER, start=1):
        if dropout and number <= 3:
            drop = layers.Dropout(
                dropout, seed=int(generator.integers(2**31)), name=f"dropout_{number}"
            )
            x = drop(x)
        x = dense(width, f"hidden_{number}")(x)
    start = keras.initializers.GlorotUniform(int(generator.integers(2**31)))
    last = layers.Dense(1, activation="sigmoid", kernel_initializer=start, name="chance")
    return keras.Model(
        inputs, last(layers.Concatenate(name="both")([product, x])), name="onehot_neumf"
    )


def as_table(kernel: npt.ArrayLike, bias: npt.ArrayLike) -> FloatArray:
    """Return the embedding table that equals a dense layer on one-hot input, before its activation.

    Parameters
    ----------
    kernel : array, (n, k)
        Of the dense layer, one row for each of the n positions.
    bias : array, (k,)

    Returns
    -------
    ndarray of float32, (n, k)
        ``kernel + bias``: every one-hot vector has exactly one 1, so each row meets the bias once.

    Raises
    ------
    ValueError
        The shapes do not belong to one layer.
    """
    rows, shift = np.asarray(kernel, dtype=np.float32), np.asarray(bias, dtype=np.float32)
    if rows.ndim != 2 or shift.shape != rows.shape[1:]:
        raise ValueError(f"kernel {rows.shape} and bias {shift.shape}: expected (n, k) and (k,)")
    return rows + shift


def copy_weights(onehot: keras.Model, model: keras.Model) -> None:
    """Put the weights of `onehot_neumf` into a `neumf` with ``activation="relu"``; they then agree.

    Kernel and bias go to tables of their own, and dropout gets the same seeds, so that the two also learn
    alike: the same batches leave them as near as rounding lets them be. `as_table` puts kernel and bias into
    one table, which is enough where nothing is trained any more.

    Parameters
    ----------
    onehot : keras.Model
        From `onehot_neumf`.
    model : keras.Model
        From `helpers.models.ncf.neumf`, of the same sizes; changed in place.

    Raises
    ------
    ValueError
        The second model has no ReLU after its embeddings: the two would differ.
    """
    names = {layer.name for layer in model.layers}
    if "user_gmf_relu" not in names:
        raise ValueError(
            'model has no ReLU on its embeddings: build it with neumf(…, activation="relu")'
        )
    for layer in onehot.layers:
        if layer.name.startswith("dropout_") and layer.name in names:
            model.get_layer(layer.name).seed_generator.state.assign(layer.seed_generator.state)
        weights = layer.get_weights()
        if not weights:
            continue
        if f"{layer.name}_relu" in names:
            kernel, bias = weights
            model.get_layer(f"{layer.name}_bias").set_weights([bias[None, :]])
            weights = [kernel]
        model.get_layer(layer.name).set_weights(weights)


def one_hot(indices: npt.ArrayLike, depth: int) -> FloatArray:
    """Return one-hot rows, (n, depth) float32, and refuse what ``tf.one_hot`` would turn into zeros.

    Parameters
    ----------
    indices : array of int, (n,)
        Contiguous indices, 0 to depth - 1.
    depth : int

    Raises
    ------
    IndexError
        An index outside 0 … depth - 1: often a raw id.
    """
    index = check_indices(np.asarray(indices), depth, "indices")
    rows = np.zeros((len(index), depth), dtype=np.float32)
    rows[np.arange(len(index)), index] = 1.0
    return rows


def input_bytes(n_rows: int, n_users: int, n_items: int) -> dict[str, int]:
    """Memory of an epoch's inputs, in bytes: materialized as the post does, and as indices.

    Parameters
    ----------
    n_rows, n_users, n_items : int
        Examples of the epoch, and widths of the two one-hot vectors.

    Returns
    -------
    dict of str to int
        ``"one-hot"`` counts float32 rows, ``"indices"`` two int32 an example.
    """
    return {"one-hot": n_rows * (n_users + n_items) * 4, "indices": n_rows * 2 * 4}
