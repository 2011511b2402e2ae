"""User-level models: what a user took goes in, a score for every item comes out, in one pass.

The network of the 2016 talk's last part::

    hidden = tanh(hidden_bias + sum of item_in[i] over the history / sqrt(its length))
    scores = item_out @ hidden + item_bias

A user has no parameters, so one who came after training is scored like any other. Histories are given
as a sparse matrix or as lists of item indices of one width, padded with -1. This module is the NumPy
form; `userlevel_keras` and `userlevel_mxnet` are the same function, `userlevel_training` fits it.

Source: Dirac 2016, "Using MXNet for Recommendation Modeling at Scale", the part on user-level models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.training import Weights

if TYPE_CHECKING:
    from helpers.data import Interactions

PADDING = -1


def event_sequences(data: Interactions, ties: int | None = 0) -> list[npt.NDArray[np.int32]]:
    """List what each user took, earliest first.

    Parameters
    ----------
    data : Interactions
    ties : int or None
        Seed of the draw that orders equal timestamps; None keeps them in file order.

    Returns
    -------
    list of numpy.ndarray of int32
        One array of item indices a user, (n_events,); empty for a user without a row.
    """
    user, when = data.frame["user"].to_numpy(), data.frame["timestamp"].to_numpy()
    decide = (
        np.arange(len(data)) if ties is None else np.random.default_rng(ties).permutation(len(data))
    )
    order = np.lexsort((decide, when, user))
    items = data.frame["item"].to_numpy(np.int32)[order]
    return np.split(items, np.cumsum(data.user_counts())[:-1])


def pad_histories(
    histories: Sequence[npt.ArrayLike], width: int | None = None, *, n_items: int | None = None
) -> npt.NDArray[np.int32]:
    """Lists of item indices as one table, padded with -1 at the end.

    Parameters
    ----------
    histories : sequence of array-like of int
        One list a user, earliest first; may be empty.
    width : int, optional
        Columns; the longest history by default. Of a longer history the latest ``width`` stay.
    n_items : int, optional
        Where given, the indices are checked as by `check_padded`.

    Returns
    -------
    numpy.ndarray of int32, (n_users, width)
        (0, 0) for no user and no width; at least one column for users without history.

    Raises
    ------
    ValueError
        ``width`` below 1.
    TypeError, IndexError
        As `check_padded`; a -1 inside a history is refused, too.
    """
    if width is not None and width < 1:
        raise ValueError(f"width={width}: expected at least 1, or None for the longest history")
    lists = [np.asarray(h).ravel() for h in histories]
    for row, items in enumerate(lists):
        if items.size and not np.issubdtype(items.dtype, np.integer):
            raise TypeError(f"history {row} holds {items.dtype}, expected whole item indices")
        if items.size and items.min() < 0:
            raise IndexError(
                f"history {row} holds {items.min()}: -1 is padding, expected indices of 0 or more"
            )
    if width is None:
        width = max((len(items) for items in lists), default=0) or min(1, len(lists))
    table = np.full((len(lists), width), PADDING, np.int32)
    for row, items in zip(table, lists, strict=True):
        row[: min(len(items), width)] = items[max(0, len(items) - width) :]
    return table if n_items is None else check_padded(table, n_items)


def check_padded(padded: npt.ArrayLike, n_items: int) -> npt.NDArray[np.int32]:
    """Return padded lists as an integer table, or say what is wrong with them.

    Parameters
    ----------
    padded : array-like of int, (n_users, width)
        Item indices, -1 where there is none.
    n_items : int
        Size of the catalog.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    TypeError
        They are not whole numbers.
    ValueError
        They are not a table.
    IndexError
        One is not below ``n_items``, or below -1. Frameworks would raise, clip or read
        another row, each in its own way.
    """
    table = np.asarray(padded)
    if table.ndim != 2:
        raise ValueError(f"padded histories have shape {table.shape}, expected (n_users, width)")
    if table.size and not np.issubdtype(table.dtype, np.integer):
        raise TypeError(f"padded histories hold {table.dtype}, expected whole item indices")
    wrong = (table < PADDING) | (table >= n_items)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise IndexError(
            f"history {row} holds {table[row, column]}, expected an item index of 0..{n_items - 1}, "
            "or -1 for padding"
        )
    return table.astype(np.int32, copy=False)


def multi_hot(padded: npt.ArrayLike, n_items: int) -> sparse.csr_matrix:
    """Padded lists as a sparse matrix of ones and zeros, (n_users, n_items) float32.

    An item that stands twice in a row counts twice, as it does in an embedding sum.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `check_padded`.
    """
    table = check_padded(padded, n_items)
    real = table != PADDING
    starts = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    ones = np.ones(int(starts[-1]), np.float32)
    return sparse.csr_matrix((ones, table[real], starts), shape=(len(table), n_items))


def hide_items(
    taken: sparse.csr_matrix, share: float, generator: np.random.Generator
) -> sparse.csr_matrix:
    """Hide a random part of every history, and count what is left for more, so that sums keep their size.

    Parameters
    ----------
    taken : scipy.sparse.csr_matrix, (n_users, n_items)
        Ones where an item was taken.
    share : float
        Chance of each item to be hidden, from 0 to below 1.
    generator : numpy.random.Generator

    Returns
    -------
    scipy.sparse.csr_matrix of float32, (n_users, n_items)
        ``1 / (1 - share)`` where an item is shown; what is hidden stands as a stored zero.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share={share}: expected a share from 0 to below 1")
    shown = generator.random(taken.nnz, dtype=np.float32) >= share
    values = (shown / np.float32(1 - share)).astype(np.float32)
    return sparse.csr_matrix((values, taken.indices, taken.indptr), shape=taken.shape)


def masked_sum(table: npt.NDArray[np.floating], padded: npt.ArrayLike) -> npt.NDArray[np.floating]:
    """Sum of the rows that each padded list names; padding adds nothing.

    Parameters
    ----------
    table : numpy.ndarray, (n_items, width)
        One row an item.
    padded : array-like of int, (n_users, length)
        Item indices, -1 where there is none.

    Returns
    -------
    numpy.ndarray, (n_users, width)
        Zeros for a row of only -1. Equal to ``multi_hot(padded, n_items) @ table``.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `check_padded`.
    """
    lists = check_padded(padded, len(table))
    real = lists != PADDING
    rows = table[np.where(real, lists, 0)]  # (n_users, length, width): -1 would read the last row
    return np.einsum("ulk,ul->uk", rows, real.astype(table.dtype))


def first_weights(
    n_items: int, hidden: int, counts: npt.ArrayLike, n_users: int, seed: int
) -> Weights:
    """Weights that training starts from: small tables, and item biases that already know popularity.

    Parameters
    ----------
    n_items, hidden : int
        Sizes.
    counts : array-like, (n_items,)
        Users who took each item.
    n_users : int
        Of how many.
    seed : int

    Returns
    -------
    dict of numpy.ndarray of float32
        ``item_in`` and ``item_out`` (n_items, hidden), ``hidden_bias`` (hidden,), ``item_bias`` (n_items,):
        the logarithm of the share of users that took the item, with half a user added.
    """
    if n_items < 1 or hidden < 1 or n_users < 1:
        raise ValueError(
            f"n_items={n_items}, hidden={hidden}, n_users={n_users}: expected at least 1 each"
        )
    generator = np.random.default_rng([seed, 9])
    scale = 0.3 / np.sqrt(hidden)
    share = (np.asarray(counts, np.float64) + 0.5) / n_users
    return {
        "item_in": generator.normal(0, scale, (n_items, hidden)).astype(np.float32),
        "hidden_bias": np.zeros(hidden, np.float32),
        "item_out": generator.normal(0, scale, (n_items, hidden)).astype(np.float32),
        "item_bias": np.log(share).astype(np.float32),
    }


def hidden_layer(weights: Weights, histories: Any) -> npt.NDArray[np.float32]:
    """The user's place in the hidden layer, from history alone: (n_users, hidden) float32.

    Parameters
    ----------
    weights : dict
        As `first_weights` makes them.
    histories : scipy.sparse matrix (n_users, n_items) or array of int (n_users, length)
        Ones where an item was taken, or padded lists. Without history the sum is zero and the
        hidden layer is ``tanh(hidden_bias)``, the same for all such users.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `check_padded`, and for a matrix with another number of items.
    """
    n_items = len(weights["item_in"])
    if sparse.issparse(histories):
        if histories.shape[1] != n_items:
            raise ValueError(f"histories have {histories.shape[1]} items, the model has {n_items}")
        taken = sparse.csr_matrix(histories, dtype=np.float32)
    else:
        taken = multi_hot(histories, n_items)
    length = np.maximum(np.asarray(taken.sum(axis=1)), 1.0)  # (n_users, 1)
    total = np.asarray(taken @ weights["item_in"]) / np.sqrt(length)
    return np.tanh(total + weights["hidden_bias"]).astype(np.float32)


def forward(weights: Weights, histories: Any) -> npt.NDArray[np.float32]:
    """Score every item for every history in one pass.

    Parameters
    ----------
    weights, histories
        As for `hidden_layer`.

    Returns
    -------
    numpy.ndarray of float32, (n_users, n_items)
        Logits. (0, n_items) for an empty batch.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `hidden_layer`.
    """
    scores: npt.NDArray[np.float32] = hidden_layer(weights, histories) @ weights["item_out"].T
    scores += weights["item_bias"]
    return scores
