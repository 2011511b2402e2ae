"""Hidden layers under an inner product: factorization with layers, and towers on given features.

The 2018 talk has both orders: ``"relu-dense"``, ``relu(rows) @ weight + bias``, in its symbolic
``get_one_layer_mlp``, ``"dense-relu"``, ``relu(rows @ weight + bias)``, in its Gluon ``MFBlock``.
The prediction is the inner product of the user's and the item's row after the layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helpers.metrics.rating import finite
from helpers.models.base import NotFittedError, at_least, one_of
from helpers.models.mf import Index, Lookup, MatrixFactorization, Triples
from helpers.models.training import Adam, Weights

if TYPE_CHECKING:
    from helpers.data import Interactions

ORDERS = ("relu-dense", "dense-relu")
LAYERS = ("none", "user", "both", "shared")


def tower(rows: np.ndarray, weight: np.ndarray, bias: np.ndarray, order: str) -> np.ndarray:
    """Return rows, (n, factors), after a hidden layer, (n, hidden), in one of two `ORDERS`.

    The weight is (factors, hidden), which MXNet keeps transposed, the bias (hidden,).
    """
    if order not in ORDERS:
        raise ValueError(f"order={order!r}: expected one of {', '.join(ORDERS)}")
    if order == "relu-dense":
        return np.maximum(rows, 0) @ weight + bias
    return np.maximum(rows @ weight + bias, 0)


def _layer_of(layers: str, side: str) -> str:
    """Return the name of a side's layer: user_dense, item_dense, dense (shared), or "" for none."""
    if layers == "shared":
        return "dense"
    return f"{side}_dense" if layers in ("both", side) else ""


def _outputs(weights: Weights, layer: str, order: str, rows: np.ndarray) -> np.ndarray:
    """Return rows after their layer, or as they are without one."""
    return tower(rows, weights[layer], weights[f"{layer}_bias"], order) if layer else rows


def _tower_gradients(
    weight: np.ndarray, order: str, rows: np.ndarray, out: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients for rows, weight and bias, given that for ``out``, their `tower`."""
    if order == "relu-dense":
        of_rows, of_weight = (gradient @ weight.T) * (rows > 0), np.maximum(rows, 0).T @ gradient
    else:
        gradient = gradient * (out > 0)
        of_rows, of_weight = gradient @ weight.T, rows.T @ gradient
    return of_rows, of_weight, gradient.sum(axis=0)


@dataclass(kw_only=True)
class NonlinearFactorization(MatrixFactorization):
    """Fit matrix factorization whose embeddings pass through a hidden layer before they meet.

    Everything else, from the first weights to early stopping, is `MatrixFactorization`'s, so a
    difference between the two is a difference of the models. ``weights`` has in addition
    ``user_dense`` (factors, hidden), ``user_dense_bias`` (hidden,) and the same for ``item``, or
    one ``dense`` and ``dense_bias`` where the layer is shared.

    Parameters
    ----------
    layers, order : {"none", "user", "both", "shared"}, {"relu-dense", "dense-relu"}
        Sides with a hidden layer, where ``"shared"`` is the same layer for both; see `tower`.
    hidden : int or None
        Outputs of the hidden layer; None for ``factors``, which ``layers="user"`` needs.
    dropout : float
        Share of each side's outputs set to zero in training; the others are scaled up.
    dense_regularization, output_regularization : float
        Add ``dense_regularization / 2 · Σ weight²`` of the layers to a batch's loss, and the
        latter as ``regularization``, but on the vectors that leave the towers.
    """

    layers: str = "both"
    order: str = "dense-relu"
    hidden: int | None = None
    dropout: float = 0.0
    dense_regularization: float = 0.0
    output_regularization: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(LAYERS, self, "layers")
        one_of(ORDERS, self, "order")
        if self.hidden is not None:
            at_least(1, self, "hidden")
        if self.layers == "user" and self.hidden not in (None, self.factors):
            raise ValueError(
                f"hidden={self.hidden}: expected factors={self.factors} on one side only"
            )
        at_least(0, self, "dense_regularization", "output_regularization", "dropout")
        if self.dropout >= 1:
            raise ValueError(f"dropout={self.dropout}: expected less than 1")

    def first_weights(self, data: Interactions) -> Weights:
        """Return the weights that a training on ``data`` starts from; the seed decides them."""
        chance = np.random.default_rng([self.seed, 1])
        return self._draw_weights(data.n_users, data.n_items, chance)

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors after the towers, (n_users, hidden) and (n_items, hidden)."""
        self._fitted()
        return self._vectors(self.weights, "user"), self._vectors(self.weights, "item")

    def _vectors(self, weights: Weights, side: str, index: Index = slice(None)) -> np.ndarray:
        layer = _layer_of(self.layers, side)
        return _outputs(weights, layer, self.order, weights[f"{side}_factors"][index])

    def _draw_weights(self, n_users: int, n_items: int, generator: np.random.Generator) -> Weights:
        """Draw dense weights by Xavier or He et al. (2015); the rest as without a layer."""
        weights = super()._draw_weights(n_users, n_items, generator)
        shape = self.factors, self.hidden or self.factors
        for layer in (_layer_of(self.layers, "user"), _layer_of(self.layers, "item")):
            if layer and layer not in weights:
                weights[layer] = self._draw(generator, shape, np.sqrt(2 / self.factors))
                weights[f"{layer}_bias"] = np.zeros(shape[1], np.float32)
        self._noise = np.random.default_rng([self.seed, 2])
        return weights

    def _forward(self, weights: Weights, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        f, g = self._vectors(weights, "user", users), self._vectors(weights, "item", items)
        return np.einsum("nh,nh->n", f, g) + self._offset(weights, users, items)

    def _offset(self, weights: Weights, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        offset = np.full(len(users), self.mean, np.float32)
        if self.biases:
            offset += weights["user_bias"][users] + weights["item_bias"][items]
        return offset

    def _mask(self, shape: tuple[int, ...]) -> np.ndarray | np.float32:
        """Return zeros with probability ``dropout``, else what keeps the mean at 1."""
        if not self.dropout:
            return np.float32(1)
        keep = self._noise.random(shape, dtype=np.float32) >= self.dropout
        return keep / np.float32(1 - self.dropout)

    def _gradients(self, weights: Weights, batch: Triples, lookups: dict[str, Lookup]) -> Weights:
        users, items, ratings = batch
        n = np.float32(len(ratings))
        index = {"user": users, "item": items}
        out = {side: self._vectors(weights, side, rows) for side, rows in index.items()}
        mask = {side: self._mask(out[side].shape) for side in index}
        kept = {side: out[side] * mask[side] for side in index}
        product = np.einsum("nh,nh->n", kept["user"], kept["item"])
        error = (product + self._offset(weights, users, items) - ratings) / n
        result = {
            name: np.float32(0 if name.endswith("bias") else self.dense_regularization) * table
            for name, table in weights.items()
            if "dense" in name
        }
        for side, other in (("user", "item"), ("item", "user")):
            gradient = error[:, None] * kept[other] * mask[side]
            gradient = gradient + np.float32(self.output_regularization) / n * out[side]
            if layer := _layer_of(self.layers, side):
                rows = weights[f"{side}_factors"][index[side]]
                found = _tower_gradients(weights[layer], self.order, rows, out[side], gradient)
                gradient = found[0]
                result[layer] += found[1]
                result[f"{layer}_bias"] += found[2]
            result[f"{side}_factors"] = lookups[side].one_hot @ gradient
            if self.biases:
                result[f"{side}_bias"] = lookups[side].one_hot @ error
        return result


@dataclass(kw_only=True)
class FeatureTowers:
    """Fit a network whose users and items come with one feature each instead of ids.

    It is the talk's network with the embedding replaced by a dense layer of ``units`` outputs, so
    that it can answer for a user it has never seen. On the sides that ``layers`` names ("none",
    "user" or "both") a rectifier and a dense layer follow, of ``hidden`` outputs, or ``units`` with
    "user", since both sides must end alike. Adam takes ``epochs`` steps on the whole table of
    ratings, at a learning rate that falls to zero. ``seed`` decides the first weights.
    """

    units: int = 16
    layers: str = "both"
    hidden: int = 8
    epochs: int = 800
    learning_rate: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(LAYERS[:3], self, "layers")
        at_least(1, self, "units", "hidden", "epochs")

    def fit(self, users: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> FeatureTowers:
        """Learn from features, (n_users,) and (n_items,), and a full table of their stars."""
        (x,), (y,) = finite(users=users), finite(items=items)
        finite(ratings=ratings.ravel())
        if ratings.shape != (len(x), len(y)):
            raise ValueError(f"ratings have shape {ratings.shape}, expected {(len(x), len(y))}")
        self.mean = float(ratings.mean())
        self.weights = self._draw_weights()
        adam = Adam(self.learning_rate)
        every = {name: slice(None) for name in self.weights}
        for epoch in range(self.epochs):
            adam.learning_rate = self.learning_rate * (1 - epoch / self.epochs)
            adam.step(self.weights, every, self._gradients(x, y, ratings))
        return self

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return the stars of users for items, known or new, (len(users), len(items))."""
        if not hasattr(self, "weights"):
            raise NotFittedError("FeatureTowers: call fit(users, items, ratings) before predict")
        (x,), (y,) = finite(users=users), finite(items=items)
        return self._vectors("user", x) @ self._vectors("item", y).T + self.mean

    def _draw_weights(self) -> Weights:
        generator = np.random.default_rng(self.seed)
        weights: Weights = {}
        for side in ("user", "item"):
            weights[f"{side}_first"] = generator.normal(0, 1, self.units)
            # kinks spread over the features' range, not all at zero
            weights[f"{side}_first_bias"] = generator.uniform(-1, 1, self.units)
            if layer := _layer_of(self.layers, side):
                out = self.units if self.layers == "user" else self.hidden
                drawn = generator.normal(0, 1 / np.sqrt(self.units), (self.units, out))
                weights[layer], weights[f"{layer}_bias"] = drawn, np.zeros(out)
        return weights

    def _first(self, side: str, features: np.ndarray) -> np.ndarray:
        first, bias = self.weights[f"{side}_first"], self.weights[f"{side}_first_bias"]
        return np.outer(features, first) + bias

    def _vectors(self, side: str, features: np.ndarray) -> np.ndarray:
        layer = _layer_of(self.layers, side)
        return _outputs(self.weights, layer, "relu-dense", self._first(side, features))

    def _gradients(self, x: np.ndarray, y: np.ndarray, ratings: np.ndarray) -> Weights:
        f, g = self._vectors("user", x), self._vectors("item", y)
        error = (f @ g.T + self.mean - ratings) / ratings.size
        result: Weights = {}
        sides = ("user", x, f, error @ g), ("item", y, g, error.T @ f)
        for side, features, out, gradient in sides:
            if layer := _layer_of(self.layers, side):
                gradient, result[layer], result[f"{layer}_bias"] = _tower_gradients(
                    self.weights[layer], "relu-dense", self._first(side, features), out, gradient
                )
            result[f"{side}_first"] = features @ gradient
            result[f"{side}_first_bias"] = gradient.sum(axis=0)
        return result
