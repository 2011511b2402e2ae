"""Checks that every model shares: indices in range, and a fit before a prediction."""

from __future__ import annotations

import numpy as np


class NotFittedError(RuntimeError):
    """A model was asked before it had learned anything."""


def check_indices(indices: np.ndarray, size: int, name: str) -> np.ndarray:
    """Return ``indices`` as a one-dimensional integer array, or say what is wrong with them.

    Parameters
    ----------
    indices : array-like
        Contiguous zero-based indices.
    size : int
        How many rows there are.
    name : str
        What to call them in an error.

    Returns
    -------
    numpy.ndarray
        (n,) of an integer dtype.

    Raises
    ------
    TypeError
        They are not whole numbers.
    ValueError
        They are not one-dimensional.
    IndexError
        One of them is below 0 or not below ``size``: often a raw id where an index belongs.
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


def check_pairs(
    users: np.ndarray, items: np.ndarray, n_users: int, n_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Check both with `check_indices`, and that there are as many of one as of the other.

    Parameters
    ----------
    users, items : array-like
        (n,) contiguous indices.
    n_users, n_items : int
        How many there are.

    Returns
    -------
    tuple of numpy.ndarray
        Both, (n,) of an integer dtype.

    Raises
    ------
    ValueError
        Their lengths differ, or as `check_indices`.
    """
    users, items = check_indices(users, n_users, "users"), check_indices(items, n_items, "items")
    if len(users) != len(items):
        raise ValueError(
            f"{len(users)} users and {len(items)} items: expected pairs, as many of each"
        )
    return users, items
