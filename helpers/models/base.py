"""Base class of the models, and the checks of settings and indices that they share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    from helpers.data import Interactions


class NotFittedError(RuntimeError):
    """A model was asked before it was fitted."""


class Recommender:
    """A model of users and items: ``fit`` returns the model, `scores` rates all items for users.

    A subclass begins ``fit`` with `_learn_from`, `scores` with `_users`, ``predict`` with `_pairs`.
    """

    n_users: int  # size of the matrix it was fitted on
    n_items: int

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the score of every item for some users, (len(users), n_items) float32."""
        raise NotImplementedError(f"{type(self).__name__} has no scores")

    def _learn_from(self, data: Interactions) -> None:
        """Remember the size of the matrix; refuse one without interactions."""
        if len(data) == 0:
            raise ValueError(f"{data.name}: no interactions to learn from")
        self.n_users, self.n_items = data.n_users, data.n_items

    def _fitted(self) -> None:
        """Raise `NotFittedError` unless the model has been fitted."""
        if not hasattr(self, "n_items"):
            raise NotFittedError(f"{type(self).__name__}: call fit(data) before asking it")

    def _users(self, users: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return checked user indices, (n,)."""
        self._fitted()
        return check_indices(users, self.n_users, "users")

    def _pairs(
        self, users: npt.ArrayLike, items: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return checked user and item indices of one length, both (n,)."""
        users, items = self._users(users), check_indices(items, self.n_items, "items")
        if len(users) != len(items):
            raise ValueError(f"{len(users)} users and {len(items)} items: expected as many of each")
        return users, items


def at_least(least: float, model: object, *settings: str) -> None:
    """Raise `ValueError` with the name of the model's first setting below ``least``."""
    for name in settings:
        if not least <= (value := getattr(model, name)) < np.inf:
            raise ValueError(f"{name}={value}: expected {least} or more, and finite")


def above_zero(model: object, *settings: str) -> None:
    """Raise `ValueError` with the name of the model's first setting that is not above 0."""
    for name in settings:
        if not 0 < (value := getattr(model, name)) < np.inf:
            raise ValueError(f"{name}={value}: expected a finite number above 0")


def all_finite(**values: Any) -> None:
    """Raise `ValueError` with the name of the first array or sparse matrix that is not finite."""
    for name, value in values.items():
        if not np.isfinite(value.data if sparse.issparse(value) else np.asarray(value)).all():
            raise ValueError(f"{name}: found NaN or infinity, expected finite numbers")


def one_of(known: Iterable[str], model: object, setting: str) -> None:
    """Raise `ValueError` with the name of the model's setting unless it is among the known."""
    if (value := getattr(model, setting)) not in known:
        raise ValueError(f"{setting}={value!r}: expected one of {', '.join(known)}")


def check_indices(indices: npt.ArrayLike, size: int, name: str) -> npt.NDArray[np.int64]:
    """Return ``indices`` as an integer array, (n,).

    Raise ``TypeError`` unless they are whole numbers, ``ValueError`` for a second dimension and
    ``IndexError`` outside 0 to ``size - 1``, as raw ids often are.
    """
    array = np.atleast_1d(np.asarray(indices))
    if array.size == 0:
        return array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name}: expected whole numbers, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, got shape {array.shape}")
    if array.min() < 0 or array.max() >= size:
        wrong = array[(array < 0) | (array >= size)][0]
        raise IndexError(
            f"{name}: index {wrong} is not in 0..{size - 1}; "
            "models take contiguous indices, not raw ids (see Interactions.user_of and item_of)"
        )
    return array


def binary_matrix(data: Interactions) -> sparse.csr_matrix:
    """Return who took what, whatever the rating: (n_users, n_items) of float32 ones."""
    matrix = data.matrix()
    matrix.data[:] = 1.0
    return matrix
