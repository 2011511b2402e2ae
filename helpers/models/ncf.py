"""The networks of neural collaborative filtering in Keras 3: GMF, MLP and NeuMF.

Each takes ``{"user": (B,), "item": (B,)}`` contiguous int32 indices and returns (B, 1): the chance of a
click in a sample with negatives. Layers have fixed names, so that `helpers.models.ncf_onehot` can copy
weights and `helpers.models.ncf_scores` can score every item at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

#: Widths of the hidden layers in the post and in the paper's largest network.
TOWER = (64, 32, 16, 8)
_ACTIVATIONS = ("linear", "relu")


def gmf(
    n_users: int,
    n_items: int,
    k: int = 32,
    *,
    activation: str = "linear",
    decay: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Build generalized matrix factorization: ``sigmoid(h · (p * q) + c)``.

    Parameters
    ----------
    n_users, n_items, k : int
        Sizes of the two embeddings, each at least 1.
    activation : {"linear", "relu"}
        On the embeddings. "relu" is the post's: a bias that all rows share is added before it, and no
        coordinate is negative after it.
    decay : float
        L2 penalty of the vectors an example touches; part of ``model.losses``.
    seed : int
        Of all first weights.

    Returns
    -------
    keras.Model
        Layers ``user_gmf``, ``item_gmf`` and ``chance``.

    Raises
    ------
    ValueError
        A size below 1, an unknown activation, a negative decay.
    """
    parts = _Parts(n_users, n_items, k, activation, decay, seed)
    return parts.model([parts.product()], "gmf")


def mlp(
    n_users: int,
    n_items: int,
    k: int = 32,
    *,
    tower: Sequence[int] = TOWER,
    dropout: float = 0.0,
    activation: str = "linear",
    decay: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Build a perceptron on both embeddings side by side: no product, the layers find their own.

    Parameters
    ----------
    n_users, n_items, k, activation, decay, seed
        As in `gmf`.
    tower : sequence of int
        Widths of the hidden layers, each at least 1; all have a ReLU.
    dropout : float
        Share dropped after the embeddings and after the first two hidden layers, as in the post.

    Returns
    -------
    keras.Model
        Layers ``user_mlp``, ``item_mlp``, ``hidden_1`` … and ``chance``.

    Raises
    ------
    ValueError
        As `gmf`; an empty tower or a dropout outside [0, 1).
    """
    parts = _Parts(n_users, n_items, k, activation, decay, seed)
    return parts.model([parts.tower(tower, dropout)], "mlp")


def neumf(
    n_users: int,
    n_items: int,
    k: int = 32,
    *,
    tower: Sequence[int] = TOWER,
    dropout: float = 0.0,
    activation: str = "linear",
    decay: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Build NeuMF: GMF and MLP with embeddings of their own, joined in the last layer.

    Parameters
    ----------
    n_users, n_items, k, tower, dropout, activation, decay, seed
        As in `mlp`. The post has ``dropout=0.25, activation="relu", decay=0``.

    Returns
    -------
    keras.Model
        The layers of `gmf` and of `mlp`; ``chance`` weighs k + tower[-1] numbers.

    Raises
    ------
    ValueError
        As `mlp`.

    References
    ----------
    He et al. 2017, "Neural collaborative filtering"; Li 2020, AWS post.
    """
    parts = _Parts(n_users, n_items, k, activation, decay, seed)
    return parts.model([parts.product(), parts.tower(tower, dropout)], "neumf")


class _Parts:
    """The inputs of one network and the branches over them; every layer gets a seed of its own."""

    def __init__(
        self, n_users: int, n_items: int, k: int, activation: str, decay: float, seed: int
    ) -> None:
        import keras

        for name, size in {"n_users": n_users, "n_items": n_items, "k": k}.items():
            if size < 1:
                raise ValueError(f"{name}={size}: expected a whole number of at least 1")
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"activation={activation!r}: expected one of {', '.join(_ACTIVATIONS)}"
            )
        if decay < 0:
            raise ValueError(f"decay={decay}: expected 0 or more")
        self.keras, self.k, self.activation, self.decay = keras, k, activation, decay
        self.generator = np.random.default_rng(seed)
        self.sizes = {"user": n_users, "item": n_items}
        self.inputs = {side: keras.Input((), name=side, dtype="int32") for side in self.sizes}

    def product(self) -> Any:
        """GMF's branch, (B, k)."""
        rows = [self._vectors(side, "gmf") for side in self.sizes]
        return self.keras.layers.Multiply(name="product")(rows)

    def tower(self, widths: Sequence[int], dropout: float) -> Any:
        """MLP's branch, (B, widths[-1])."""
        layers = self.keras.layers
        if not widths or min(widths) < 1:
            raise ValueError(f"tower={tuple(widths)}: expected widths of at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}: expected a share from 0 to below 1")
        x = layers.Concatenate(name="side_by_side")(
            [self._vectors(side, "mlp") for side in self.sizes]
        )
        for number, width in enumerate(widths, start=1):
            if dropout and number <= 3:
                x = layers.Dropout(dropout, seed=self._next_seed(), name=f"dropout_{number}")(x)
            start = self.keras.initializers.GlorotUniform(self._next_seed())
            x = layers.Dense(
                width, activation="relu", kernel_initializer=start, name=f"hidden_{number}"
            )(x)
        return x

    def model(self, branches: list[Any], name: str) -> keras.Model:
        """Join the branches in one number and give it the name of the network."""
        layers = self.keras.layers
        x = layers.Concatenate(name="both")(branches) if len(branches) > 1 else branches[0]
        start = self.keras.initializers.GlorotUniform(self._next_seed())
        chance = layers.Dense(1, activation="sigmoid", kernel_initializer=start, name="chance")(x)
        model: keras.Model = self.keras.Model(self.inputs, chance, name=name)
        return model

    def _vectors(self, side: str, branch: str) -> Any:
        """Look up a side's vectors for a branch, (B, k)."""
        keras = self.keras
        # on what is looked up, not on the table; Keras divides the penalty by the batch size itself
        penalty = keras.regularizers.L2(self.decay / 2) if self.decay else None
        layer = keras.layers.Embedding(
            self.sizes[side],
            self.k,
            embeddings_initializer=keras.initializers.RandomNormal(0.0, 0.01, self._next_seed()),
            activity_regularizer=penalty,
            name=f"{side}_{branch}",
        )
        rows = layer(self.inputs[side])
        if self.activation == "linear":
            return rows
        # a table of one row that everybody looks up: the bias of the post's dense layer
        bias = keras.layers.Embedding(
            1, self.k, embeddings_initializer="zeros", name=f"{side}_{branch}_bias"
        )
        rows = keras.layers.Add(name=f"{side}_{branch}_sum")(
            [rows, bias(keras.ops.zeros_like(self.inputs[side]))]
        )
        return keras.layers.Activation(self.activation, name=f"{side}_{branch}_relu")(rows)

    def _next_seed(self) -> int:
        return int(self.generator.integers(2**31))
