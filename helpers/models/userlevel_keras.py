"""The user-level network in Keras 3: padded lists or multi-hot rows in, a logit for every item out."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.models.training import Weights

if TYPE_CHECKING:
    import keras


@cache
def history_sum() -> type[keras.layers.Layer]:
    """Return the layer class; Keras loads here and not with this module.

    Returns
    -------
    type
        ``HistorySum(n_items, width, scaled=True)``. It takes padded lists (int32,
        (B, length), -1 where there is none) or multi-hot rows (float32, (B, n_items)) and returns the
        sum of the item rows, (B, width), divided by the root of the history's length if ``scaled``.
        Its one weight is ``table``, (n_items, width).
    """
    import keras

    class HistorySum(keras.layers.Layer):
        """Masked embedding sum, equal to a sparse matrix product."""

        def __init__(self, n_items: int, width: int, scaled: bool = True, **settings: Any) -> None:
            super().__init__(**settings)
            self.n_items, self.width, self.scaled = n_items, width, scaled

        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=(self.n_items, self.width), name="table")

        def call(self, history: Any) -> Any:
            ops = keras.ops
            listed = "int" in keras.backend.standardize_dtype(history.dtype)
            real = ops.cast(history >= 0, "float32") if listed else history
            length = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0)
            if listed:
                rows = ops.take(self.table, ops.maximum(history, 0), axis=0)  # (B, length, width)
                total = ops.einsum("blk,bl->bk", rows, real)
            else:
                total = ops.matmul(real, self.table)
            return total / ops.sqrt(length) if self.scaled else total

        def compute_output_shape(self, shape: Any) -> tuple[Any, int]:
            return shape[0], self.width

    return HistorySum


@cache
def all_items() -> type[keras.layers.Layer]:
    """Return the output layer's class: a dense layer that keeps one row an item.

    Returns
    -------
    type
        ``AllItems(n_items)``: (B, width) to (B, n_items). Its weights are ``table`` (n_items, width), the
        transpose of a Dense layer's, so that a few items can be looked up, and ``bias`` (n_items,).
    """
    import keras
    import tensorflow as tf

    class AllItems(keras.layers.Layer):
        """Inner product with every item, plus the item's bias."""

        def __init__(self, n_items: int, **settings: Any) -> None:
            super().__init__(**settings)
            self.n_items = n_items

        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=(self.n_items, shape[-1]), name="table")
            self.bias = self.add_weight(shape=(self.n_items,), initializer="zeros", name="bias")

        def call(self, hidden: Any) -> Any:
            return tf.matmul(hidden, self.table, transpose_b=True) + self.bias

        def compute_output_shape(self, shape: Any) -> tuple[Any, int]:
            return shape[0], self.n_items

    return AllItems


def keras_user_level(weights: Weights, *, form: str = "padded") -> keras.Model:
    """Build the network and put weights into it.

    Parameters
    ----------
    weights : dict
        As `helpers.models.userlevel.first_weights` makes them.
    form : {"padded", "multi-hot"}
        What goes in: int32 lists padded with -1, (B, length), or float32 rows, (B, n_items).

    Returns
    -------
    keras.Model
        Returns logits, (B, n_items) float32. Layers: ``history``, ``hidden``, ``items``.

    Raises
    ------
    ValueError
        An unknown ``form``.
    """
    import keras

    if form not in ("padded", "multi-hot"):
        raise ValueError(f"form={form!r}: expected padded or multi-hot")
    n_items, width = weights["item_in"].shape
    if form == "padded":
        history = keras.Input((None,), name="padded", dtype="int32")
    else:
        history = keras.Input((n_items,), name="multi_hot", dtype="float32")
    total = history_sum()(n_items, width, name="history")(history)
    hidden = _Hidden()(width, name="hidden")(total)
    scores = all_items()(n_items, name="items")(hidden)
    model = keras.Model(history, scores, name="user_level")
    copy_to_keras(weights, model)
    return model


@cache
def _Hidden() -> type[keras.layers.Layer]:
    """Return the class of the hidden layer: a bias and a tanh; the sum before it has the weights."""
    import keras

    class Hidden(keras.layers.Layer):
        """Bias and tanh."""

        def __init__(self, width: int, **settings: Any) -> None:
            super().__init__(**settings)
            self.width = width

        def build(self, shape: Any) -> None:
            self.bias = self.add_weight(shape=(self.width,), initializer="zeros", name="bias")

        def call(self, total: Any) -> Any:
            return keras.ops.tanh(total + self.bias)

    return Hidden


def copy_to_keras(weights: Weights, model: keras.Model) -> None:
    """Put NumPy weights into a model of `keras_user_level` with the same sizes."""
    model.get_layer("history").set_weights([weights["item_in"]])
    model.get_layer("hidden").set_weights([weights["hidden_bias"]])
    model.get_layer("items").set_weights([weights["item_out"], weights["item_bias"]])


def copy_from_keras(model: keras.Model) -> Weights:
    """Weights of a model of `keras_user_level`, by the names of `first_weights`, float32."""
    item_out, item_bias = model.get_layer("items").get_weights()
    return {
        "item_in": np.asarray(model.get_layer("history").get_weights()[0]),
        "hidden_bias": np.asarray(model.get_layer("hidden").get_weights()[0]),
        "item_out": np.asarray(item_out),
        "item_bias": np.asarray(item_bias),
    }
