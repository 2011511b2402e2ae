"""Scores of every item for some users, read off a network's weights without building a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from helpers.models.base import check_indices

if TYPE_CHECKING:
    import keras

FloatArray = npt.NDArray[np.float32]
_BLOCK = 1 << 16  # pairs whose hidden layers are in memory at once


class PairScores:
    """All-item scores of a trained `gmf`, `mlp` or `neumf`.

    The log odds of a click, so that no two items tie at a chance of 1. Two things make it fast: GMF is
    one matrix product, since ``h · (p * q) = (h * p) · q``; and the first hidden layer of MLP is linear
    before its ReLU, so the user's and the item's half are computed once each and added.

    Parameters
    ----------
    model : keras.Model
        With the layers' names of `helpers.models.ncf`. The weights are copied.
    """

    def __init__(self, model: keras.Model) -> None:
        weights = {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}
        names = {layer.name for layer in model.layers}
        self._vectors: dict[str, FloatArray] = {}
        for name in ("user_gmf", "item_gmf", "user_mlp", "item_mlp"):
            if name in weights:
                table = weights[name][0] + weights.get(f"{name}_bias", [np.float32(0)])[0]
                self._vectors[name] = np.maximum(table, 0) if f"{name}_relu" in names else table
        numbers = sum(name.startswith("hidden_") for name in weights)
        self._tower = [weights[f"hidden_{i}"] for i in range(1, numbers + 1)]
        self._last, self._constant = weights["chance"][0][:, 0], weights["chance"][1]
        first = next(iter(self._vectors))
        self.n_users = len(self._vectors[first])
        self.n_items = len(self._vectors[first.replace("user", "item")])

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        """Return the log odds of a click, (len(users), n_items) float32.

        Parameters
        ----------
        users : array of int
            Contiguous indices.

        Raises
        ------
        IndexError
            An index the network has no vector for.
        """
        index = check_indices(np.asarray(users), self.n_users, "users")
        out = np.full((len(index), self.n_items), self._constant, dtype=np.float32)
        k = 0
        if "user_gmf" in self._vectors:
            p, q = self._vectors["user_gmf"][index], self._vectors["item_gmf"]
            k = q.shape[1]
            out += (p * self._last[:k]) @ q.T
        if self._tower:
            self._add_tower(out, index, self._last[k:])
        return out

    def _add_tower(self, out: FloatArray, users: npt.NDArray[np.int64], last: FloatArray) -> None:
        p, q = self._vectors["user_mlp"][users], self._vectors["item_mlp"]
        (kernel, bias), *rest = self._tower
        of_users, of_items = p @ kernel[: p.shape[1]] + bias, q @ kernel[p.shape[1] :]
        step = max(1, _BLOCK // self.n_items)
        for start in range(0, len(users), step):
            x = of_users[start : start + step, None, :] + of_items
            x = np.maximum(x, 0, out=x).reshape(-1, x.shape[2])
            for weight, shift in rest:
                x = x @ weight
                x += shift
                np.maximum(x, 0, out=x)
            out[start : start + step] += (x @ last).reshape(-1, self.n_items)
