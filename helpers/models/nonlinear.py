"""Matrix factorization with a hidden layer on one side or on both, in NumPy; chapter 03 built it.

``prediction = mean + user_bias[u] + item_bias[i] + f(user_factors[u]) . g(item_factors[i])``, where f
and g are towers of `helpers.models.towers`. Everything else, from the first weights to early stopping,
is `MatrixFactorization`'s, so that a difference between the two is a difference of the models.

Source: the 2018 talk's ``get_one_layer_mlp`` (``layers="user"`` or ``"both"``, ``"relu-dense"``) and
its second ``MFBlock`` (``layers="shared"``, ``"dense-relu"``), here with optional biases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helpers.models.mf import MatrixFactorization, Triples
from helpers.models.mf_arithmetic import Lookup
from helpers.models.towers import ORDERS, dense_name, tower, tower_slopes
from helpers.models.training import Optimizer, Weights

if TYPE_CHECKING:
    from helpers.data import Interactions


def side_vectors(
    weights: Weights, side: str, layers: str, order: str, index: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """What one side brings to the inner product: its embedding rows after the tower.

    Parameters
    ----------
    weights : dict
        As `NonlinearFactorization` holds them.
    side : {"user", "item"}
        Which side.
    layers, order : str
        See `helpers.models.towers`.
    index : numpy.ndarray or slice
        Which rows; all of them by default.

    Returns
    -------
    numpy.ndarray
        (n, hidden) float32, or (n, k) on a side without a hidden layer.
    """
    rows = weights[f"{side}_factors"][index]
    name = dense_name(layers, side)
    return rows if name is None else tower(rows, weights[name], weights[f"{name}_bias"], order)


@dataclass
class NonlinearFactorization(MatrixFactorization):
    """Matrix factorization whose embeddings pass through a hidden layer before they meet.

    Parameters
    ----------
    layers : {"none", "user", "both", "shared"}
        Where the hidden layer sits; ``"shared"`` sends users and items through one and the same layer,
        ``"none"`` is `MatrixFactorization`.
    order : {"relu-dense", "dense-relu"}
        Rectifier before the layer, as in the talk's symbolic network, or after it, as in its block.
    hidden : int or None
        Outputs of the hidden layer; None for ``k``. With ``layers="user"`` it must be ``k``: the other
        side brings ``k`` numbers to the inner product.
    dropout : float
        Share of each side's outputs that is set to zero in training, the others scaled up.
    dense_decay : float
        Adds ``dense_decay / 2 · Σ weight²`` of the hidden layers to a batch's loss.
    output_decay : float
        As ``weight_decay``, but on what leaves the towers: the vectors that meet in the inner product,
        which is where `MatrixFactorization` has its decay.

    The other parameters and all attributes are those of `MatrixFactorization`; ``weights`` has in
    addition ``user_dense`` (k, hidden), ``user_dense_bias`` (hidden,) and the same for ``item``, or one
    ``dense`` and ``dense_bias`` where the layer is shared.
    """

    layers: str = "both"
    order: str = "dense-relu"
    hidden: int | None = None
    dropout: float = 0.0
    dense_decay: float = 0.0
    output_decay: float = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        super().__post_init__()
        dense_name(self.layers, "user")
        if self.order not in ORDERS:
            raise ValueError(f"order={self.order!r}: expected one of {', '.join(ORDERS)}")
        if self.hidden is not None and self.hidden < 1:
            raise ValueError(
                f"hidden={self.hidden}: expected a whole number of at least 1, or None"
            )
        if self.layers == "user" and self.hidden not in (None, self.k):
            raise ValueError(
                f"hidden={self.hidden} with k={self.k}: with a layer on the user side only, the product "
                "needs as many outputs as the item's embedding has numbers; leave hidden out"
            )
        for name in ("dense_decay", "output_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected 0 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: expected a share from 0 to below 1")

    def first_weights(self, data: Interactions) -> Weights:
        """Weights that a training on ``data`` starts from; the seed decides them."""
        return self._start(data, np.random.default_rng([self.seed, 1]))

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """What meets in the inner product: users (n_users, hidden) and items (n_items, hidden)."""
        weights = self._fitted()
        return self._side(weights, "user"), self._side(weights, "item")

    def _side(
        self, weights: Weights, side: str, index: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        return side_vectors(weights, side, self.layers, self.order, index)

    def _start(self, data: Interactions, generator: np.random.Generator) -> Weights:
        """Embeddings as without a layer; dense weights by Xavier or He et al. (2015), their biases zero."""
        weights = super()._start(data, generator)
        out = self.hidden or self.k
        for side in ("user", "item"):
            name = dense_name(self.layers, side)
            if name and name not in weights:
                if self.init == "xavier":
                    limit = np.sqrt(self.init_scale / ((self.k + out) / 2))
                    drawn = generator.uniform(-limit, limit, (self.k, out))
                else:
                    drawn = generator.normal(0, np.sqrt(2 / self.k), (self.k, out))
                weights[name] = drawn.astype(np.float32)
                weights[f"{name}_bias"] = np.zeros(out, np.float32)
        self._noise = np.random.default_rng([self.seed, 2])
        return weights

    def _forward(self, weights: Weights, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        product = np.einsum(
            "nh,nh->n", self._side(weights, "user", users), self._side(weights, "item", items)
        )
        return product + self._offset(weights, users, items)

    def _offset(self, weights: Weights, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        offset = np.full(len(users), self.mean, np.float32)
        if self.biases:
            offset += weights["user_bias"][users] + weights["item_bias"][items]
        return offset

    def _mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """Zero with probability ``dropout``, else what keeps the mean at 1."""
        keep = self._noise.random(shape, dtype=np.float32) >= self.dropout
        return keep / np.float32(1 - self.dropout)

    def _learn(self, weights: Weights, batch: Triples, optimizer: Optimizer) -> None:
        lookups = {"user": Lookup(batch[0]), "item": Lookup(batch[1])}
        rows = {name: np.arange(len(array)) for name, array in weights.items() if "dense" in name}
        for side, lookup in lookups.items():
            rows |= {
                name: lookup.rows for name in (f"{side}_factors", f"{side}_bias") if name in weights
            }
        optimizer.refresh(weights, rows)
        optimizer.step(weights, rows, self._slopes(weights, batch, lookups))

    def _slopes(self, weights: Weights, batch: Triples, lookups: dict[str, Lookup]) -> Weights:
        """Gradient of one batch's loss, for the rows that it reads, as in `mf_arithmetic.row_gradients`."""
        users, items, ratings = batch
        n = np.float32(len(ratings))
        index = {"user": users, "item": items}
        out = {side: self._side(weights, side, rows) for side, rows in index.items()}
        mask = {
            side: self._mask(out[side].shape) if self.dropout else np.float32(1) for side in index
        }
        kept = {side: out[side] * mask[side] for side in index}
        product = np.einsum("nh,nh->n", kept["user"], kept["item"])
        error = (product + self._offset(weights, users, items) - ratings) / n
        result = {
            name: np.float32(0 if name.endswith("bias") else self.dense_decay) * array
            for name, array in weights.items()
            if "dense" in name
        }
        for side, other in (("user", "item"), ("item", "user")):
            slope = (
                error[:, None] * kept[other] * mask[side]
                + np.float32(self.output_decay) / n * out[side]
            )
            if name := dense_name(self.layers, side):
                rows = weights[f"{side}_factors"][index[side]]
                slope, weight, bias = tower_slopes(
                    rows, out[side], weights[name], self.order, slope
                )
                result[name] += weight
                result[f"{name}_bias"] += bias
            lookup = lookups[side]
            pull = lookup.counts / n
            table = weights[f"{side}_factors"][lookup.rows]
            result[f"{side}_factors"] = (
                lookup.one_hot @ slope + self.weight_decay * pull[:, None] * table
            )
            if self.biases:
                bias = weights[f"{side}_bias"][lookup.rows]
                result[f"{side}_bias"] = lookup.one_hot @ error + self.bias_decay * pull * bias
        return result
