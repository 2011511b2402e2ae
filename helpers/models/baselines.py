"""The models every other model must beat: a constant, user and item biases, and popularity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helpers.models.checks import NotFittedError, check_pairs

if TYPE_CHECKING:
    from helpers.data import Interactions


class GlobalMean:
    """Predicts the mean of the training ratings for every pair."""

    mean: float

    def fit(self, data: Interactions) -> GlobalMean:
        """Take the mean of ``data``'s ratings."""
        _need_rows(data)
        self.mean = float(data.frame["rating"].mean())
        self._sizes = data.n_users, data.n_items
        return self

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The mean, once a pair: (n,) float32, in stars."""
        users, items = _checked_pair(self, users, items)
        return np.full(len(users), self.mean, np.float32)


class BiasModel:
    """``mean + user_bias[u] + item_bias[i]``, with biases shrunk towards zero.

    Minimises ``Σ (rating - prediction)² + user_decay · Σ user_bias² + item_decay · Σ item_bias²`` by
    alternating between the two closed forms: with the other side fixed, a bias is the sum of its
    residuals divided by (their number + decay). A user with three ratings is thus trusted less than
    one with three hundred.

    Parameters
    ----------
    user_decay, item_decay : float
        Ratings of "nothing special" that are mixed in; 0 gives plain least squares.
    rounds : int
        Alternations; 20 are plenty.

    Attributes
    ----------
    mean : float
        Mean of the training ratings, in stars.
    user_bias, item_bias : numpy.ndarray
        (n_users,) and (n_items,) float64, in stars; 0 for those without ratings.

    Notes
    -----
    Koren (2010), "Factor in the Neighbors", section 2.1.
    """

    mean: float
    user_bias: np.ndarray
    item_bias: np.ndarray

    def __init__(self, user_decay: float = 5.0, item_decay: float = 2.0, rounds: int = 20) -> None:
        if user_decay < 0 or item_decay < 0:
            raise ValueError(
                f"user_decay={user_decay}, item_decay={item_decay}: expected 0 or more"
            )
        if rounds < 1:
            raise ValueError(f"rounds={rounds}: expected at least 1")
        self.user_decay = user_decay
        self.item_decay = item_decay
        self.rounds = rounds

    def fit(self, data: Interactions) -> BiasModel:
        """Find the biases of ``data``'s users and items."""
        _need_rows(data)
        users, items = data.frame["user"].to_numpy(), data.frame["item"].to_numpy()
        ratings = data.frame["rating"].to_numpy(np.float64)
        self._sizes = data.n_users, data.n_items
        self.mean = float(ratings.mean())
        # the sums over a user's ratings; a side without ratings divides 0 by at least 1
        user_weight = np.maximum(np.bincount(users, minlength=data.n_users) + self.user_decay, 1)
        item_weight = np.maximum(np.bincount(items, minlength=data.n_items) + self.item_decay, 1)
        centered = ratings - self.mean
        self.user_bias = np.zeros(data.n_users)
        for _ in range(self.rounds):
            self.item_bias = (
                np.bincount(items, centered - self.user_bias[users], data.n_items) / item_weight
            )
            self.user_bias = (
                np.bincount(users, centered - self.item_bias[items], data.n_users) / user_weight
            )
        return self

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predicted stars for pairs of user and item: (n,) float32."""
        users, items = _checked_pair(self, users, items)
        return (self.mean + self.user_bias[users] + self.item_bias[items]).astype(np.float32)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Predicted stars of some users for every item: (len(users), n_items) float32."""
        users, _ = _checked_pair(self, users, np.zeros(len(np.atleast_1d(users)), np.int64))
        return (self.mean + self.user_bias[users, None] + self.item_bias).astype(np.float32)


class Popularity:
    """Ranks items by how many interactions they have, the same for everyone.

    Attributes
    ----------
    counts : numpy.ndarray
        (n_items,) interactions in training.
    """

    counts: np.ndarray

    def fit(self, data: Interactions) -> Popularity:
        """Count ``data``'s interactions by item."""
        _need_rows(data)
        self._sizes = data.n_users, data.n_items
        self.counts = np.bincount(data.frame["item"].to_numpy(), minlength=data.n_items)
        return self

    def scores(self, users: np.ndarray) -> np.ndarray:
        """The same row for every user: (len(users), n_items) float32."""
        users, _ = _checked_pair(self, users, np.zeros(len(np.atleast_1d(users)), np.int64))
        return np.tile(self.counts.astype(np.float32), (len(users), 1))


def _need_rows(data: Interactions) -> None:
    if len(data) == 0:
        raise ValueError(f"{data.name}: no ratings to learn from")


def _checked_pair(
    model: GlobalMean | BiasModel | Popularity, users: np.ndarray, items: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of equal length and in range, for a model that has been fitted."""
    if not hasattr(model, "_sizes"):
        raise NotFittedError(f"{type(model).__name__}: call fit(data) before asking it")
    return check_pairs(users, items, *model._sizes)
