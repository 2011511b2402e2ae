"""One hidden layer on either side of an inner product: the arithmetic, and a model for given features.

A *tower* turns each row of an array into another row. Both orders of the 2018 talk are here:

- ``"relu-dense"``: ``relu(rows) @ weight + bias``, as its symbolic network does;
- ``"dense-relu"``: ``relu(rows @ weight + bias)``, as its Gluon block does.

The prediction is the inner product of the user's and the item's row after their towers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from helpers.models.checks import NotFittedError
from helpers.models.training import Adam, Weights

ORDERS = ("relu-dense", "dense-relu")
LAYERS = ("none", "user", "both", "shared")


def dense_name(layers: str, side: str) -> str | None:
    """Which dense layer a side passes through.

    Parameters
    ----------
    layers : {"none", "user", "both", "shared"}
        Where the hidden layer sits.
    side : {"user", "item"}
        Which side is asked about.

    Returns
    -------
    str or None
        ``"user_dense"``, ``"item_dense"``, ``"dense"`` (one layer for both sides) or None.

    Raises
    ------
    ValueError
        An unknown ``layers``.
    """
    if layers not in LAYERS:
        raise ValueError(f"layers={layers!r}: expected one of {', '.join(LAYERS)}")
    if layers == "shared":
        return "dense"
    if layers == "both" or layers == side:
        return f"{side}_dense"
    return None


def tower(rows: np.ndarray, weight: np.ndarray, bias: np.ndarray, order: str) -> np.ndarray:
    """Pass rows through one hidden layer.

    Parameters
    ----------
    rows : numpy.ndarray
        (n, k).
    weight, bias : numpy.ndarray
        (k, hidden) and (hidden,). MXNet keeps the weight transposed.
    order : {"relu-dense", "dense-relu"}
        See the module.

    Returns
    -------
    numpy.ndarray
        (n, hidden), not negative for ``"dense-relu"``.
    """
    if order == "relu-dense":
        return np.maximum(rows, 0) @ weight + bias
    if order == "dense-relu":
        return np.maximum(rows @ weight + bias, 0)
    raise ValueError(f"order={order!r}: expected one of {', '.join(ORDERS)}")


def tower_slopes(
    rows: np.ndarray, out: np.ndarray, weight: np.ndarray, order: str, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Backward pass of `tower`.

    Parameters
    ----------
    rows, weight, order
        As given to `tower`.
    out : numpy.ndarray
        (n, hidden), what `tower` returned.
    slope : numpy.ndarray
        (n, hidden), gradient of the loss for ``out``.

    Returns
    -------
    tuple of numpy.ndarray
        Gradients for ``rows`` (n, k), ``weight`` (k, hidden) and ``bias`` (hidden,). The rectifier's
        own gradient at exactly 0 is 0, as in MXNet and TensorFlow.
    """
    if order == "relu-dense":
        return (slope @ weight.T) * (rows > 0), np.maximum(rows, 0).T @ slope, slope.sum(axis=0)
    slope = slope * (out > 0)
    return slope @ weight.T, rows.T @ slope, slope.sum(axis=0)


def parameter_count(n_users: int, n_items: int, k: int, hidden: int | None, layers: str) -> int:
    """Numbers a network without bias terms learns: two embeddings and its hidden layers.

    Parameters
    ----------
    n_users, n_items, k : int
        Sizes of the embeddings.
    hidden : int or None
        Outputs of a hidden layer; ignored for ``layers="none"``.
    layers : {"none", "user", "both", "shared"}
        See `dense_name`.

    Returns
    -------
    int
    """
    dense = {name for side in ("user", "item") if (name := dense_name(layers, side))}
    return (n_users + n_items) * k + len(dense) * (k + 1) * (hidden or 0)


@dataclass
class FeatureTowers:
    """A network whose users and items come with features instead of ids.

    Each side is a first layer of ``k`` units on its features, then, where ``layers`` says so, a
    rectifier and a dense layer with ``hidden`` outputs: the network of the talk with the embedding
    replaced by a dense layer, so that it has something to say about a user it has never seen. With
    ``layers="none"`` the score is an inner product of linear maps of the features.

    Parameters
    ----------
    k : int
        Units of the first layer.
    hidden : int
        Outputs of the second layer; with ``layers="user"`` both sides must end with ``k`` numbers,
        so ``hidden`` is not used.
    layers : {"none", "user", "both"}
        Which sides have the hidden layer.
    steps : int
        Steps of Adam on the whole table of ratings.
    learning_rate : float
        Of Adam; it falls to zero along the steps.
    seed : int
        First weights.
    """

    k: int = 16
    hidden: int = 8
    layers: str = "both"
    steps: int = 800
    learning_rate: float = 0.03
    seed: int = 0
    weights: Weights = field(init=False, repr=False, compare=False)
    mean: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        if self.layers not in ("none", "user", "both"):
            raise ValueError(f"layers={self.layers!r}: expected 'none', 'user' or 'both'")
        for name in ("k", "hidden", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)}: expected a whole number of at least 1"
                )

    def fit(self, users: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> FeatureTowers:
        """Learn from a full table of ratings.

        Parameters
        ----------
        users, items : numpy.ndarray
            (n_users, d) and (n_items, e) features; one dimension means one feature.
        ratings : numpy.ndarray
            (n_users, n_items), in stars.

        Returns
        -------
        FeatureTowers
            This object.
        """
        x, y = _columns(users), _columns(items)
        if ratings.shape != (len(x), len(y)):
            raise ValueError(
                f"ratings have shape {ratings.shape}, expected {(len(x), len(y))}: users × items"
            )
        generator = np.random.default_rng(self.seed)
        self.mean = float(ratings.mean())
        self.weights = self._start(x.shape[1], y.shape[1], generator)
        adam = Adam(self.learning_rate)
        every = {name: np.arange(len(array)) for name, array in self.weights.items()}
        for step in range(self.steps):
            adam.learning_rate = self.learning_rate * (1 - step / self.steps)
            adam.step(self.weights, every, self._slopes(x, y, ratings))
        return self

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predicted stars of every user for every item.

        Parameters
        ----------
        users, items : numpy.ndarray
            Features as in `fit`; the users and items may be new.

        Returns
        -------
        numpy.ndarray
            (len(users), len(items)).
        """
        if not hasattr(self, "weights"):
            raise NotFittedError("FeatureTowers: call fit(users, items, ratings) before predict")
        f, g = self._side("user", _columns(users))[1], self._side("item", _columns(items))[1]
        return f @ g.T + self.mean

    def _start(self, n_user: int, n_item: int, generator: np.random.Generator) -> Weights:
        weights: Weights = {}
        for side, d in (("user", n_user), ("item", n_item)):
            weights[f"{side}_first"] = generator.normal(0, 1 / np.sqrt(d), (d, self.k))
            # kinks spread over the features' range, not all at zero
            weights[f"{side}_first_bias"] = generator.uniform(-1, 1, self.k)
            if name := dense_name(self.layers, side):
                out = self.k if self.layers == "user" else self.hidden
                weights[name] = generator.normal(0, 1 / np.sqrt(self.k), (self.k, out))
                weights[f"{name}_bias"] = np.zeros(out)
        return weights

    def _side(self, side: str, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows after the first layer, and after the tower where there is one."""
        rows = features @ self.weights[f"{side}_first"] + self.weights[f"{side}_first_bias"]
        name = dense_name(self.layers, side)
        if name is None:
            return rows, rows
        return rows, tower(rows, self.weights[name], self.weights[f"{name}_bias"], "relu-dense")

    def _slopes(self, x: np.ndarray, y: np.ndarray, ratings: np.ndarray) -> Weights:
        (user_rows, f), (item_rows, g) = self._side("user", x), self._side("item", y)
        error = (f @ g.T + self.mean - ratings) / ratings.size
        result: Weights = {}
        for side, features, rows, out, slope in (
            ("user", x, user_rows, f, error @ g),
            ("item", y, item_rows, g, error.T @ f),
        ):
            if name := dense_name(self.layers, side):
                slope, result[name], result[f"{name}_bias"] = tower_slopes(
                    rows, out, self.weights[name], "relu-dense", slope
                )
            result[f"{side}_first"] = features.T @ slope
            result[f"{side}_first_bias"] = slope.sum(axis=0)
        return {name: result[name] for name in self.weights}


def _columns(features: np.ndarray) -> np.ndarray:
    """Features as (n, d) float64; one dimension becomes one column."""
    array = np.asarray(features, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(
            f"features of shape {array.shape}: expected one row each, of finite numbers"
        )
    return array
