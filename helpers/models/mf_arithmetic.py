"""The arithmetic of matrix factorization: first weights, forward pass, gradient of a batch.

A rating is predicted as ``mean + user_bias[u] + item_bias[i] + user_factors[u] . item_factors[i]``;
without biases only the inner product remains, which is the model of both talks. The arrays live in
a plain dictionary (`Weights`), so that an optimizer is a loop and copying them into MXNet or Keras
is an assignment.

Source: Koren, Bell, Volinsky (2009), "Matrix Factorization Techniques for Recommender Systems".
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from helpers.models.training import Weights

FACTORS = ("user_factors", "item_factors")


def initial_weights(
    n_users: int,
    n_items: int,
    k: int,
    generator: np.random.Generator,
    *,
    biases: bool = True,
    init: str = "normal",
    scale: float = 0.1,
) -> Weights:
    """Draw the weights a training starts from.

    Parameters
    ----------
    n_users, n_items, k : int
        Sizes; ``k`` is the number of factors.
    generator : numpy.random.Generator
        Where the numbers come from.
    biases : bool
        Add ``user_bias`` and ``item_bias``, all zero.
    init : {"normal", "xavier"}
        ``"normal"``: standard deviation ``scale``. ``"xavier"``: uniform within
        ``±sqrt(scale / ((rows + k) / 2))``, which is MXNet's ``Xavier(magnitude=scale)``.
    scale : float
        See ``init``; the 2018 talk uses Xavier with 2.24.

    Returns
    -------
    dict of str to numpy.ndarray
        float32: ``user_factors`` (n_users, k), ``item_factors`` (n_items, k) and, with biases,
        ``user_bias`` (n_users,), ``item_bias`` (n_items,).
    """

    def draw(rows: int) -> np.ndarray:
        if init == "normal":
            return generator.normal(0, scale, (rows, k)).astype(np.float32)
        if init == "xavier":
            limit = np.sqrt(scale / ((rows + k) / 2))
            return generator.uniform(-limit, limit, (rows, k)).astype(np.float32)
        raise ValueError(f"init={init!r}: expected 'normal' or 'xavier'")

    weights = {"user_factors": draw(n_users), "item_factors": draw(n_items)}
    if biases:
        weights["user_bias"] = np.zeros(n_users, np.float32)
        weights["item_bias"] = np.zeros(n_items, np.float32)
    return weights


def forward(
    weights: Weights, users: np.ndarray, items: np.ndarray, mean: float = 0.0
) -> np.ndarray:
    """Predict one rating for each pair.

    Parameters
    ----------
    weights : dict
        As `initial_weights` makes them.
    users, items : numpy.ndarray
        (n,) contiguous indices.
    mean : float
        Added to every prediction.

    Returns
    -------
    numpy.ndarray
        (n,) float32, in stars.
    """
    predicted = np.einsum(
        "nk,nk->n", weights["user_factors"][users], weights["item_factors"][items]
    )
    if "user_bias" in weights:
        predicted += weights["user_bias"][users] + weights["item_bias"][items]
    return predicted + np.float32(mean)


class Lookup:
    """Which rows of a table a batch reads: the one-hot matrix behind an embedding.

    Reading rows is ``one_hot.T @ table``. Backwards, a row's gradient is the sum over the ratings that
    read it: ``one_hot @ gradients``. Rows that no rating reads are left out.

    Parameters
    ----------
    index : numpy.ndarray
        (n,) row numbers, one a rating.

    Attributes
    ----------
    rows : numpy.ndarray
        (m,) the different row numbers, ascending.
    counts : numpy.ndarray
        (m,) float32, ratings that read each row.
    one_hot : numpy.ndarray or scipy.sparse.csc_matrix
        (m, n) float32, a single 1 in each column.
    """

    def __init__(self, index: np.ndarray) -> None:
        counts = np.bincount(index)  # as np.unique would find them, without sorting
        self.rows = np.flatnonzero(counts)
        m, n = len(self.rows), len(index)
        self.counts = counts[self.rows].astype(np.float32)
        place = np.empty(len(counts), np.int32)
        place[self.rows] = np.arange(m, dtype=np.int32)
        position = place[index]
        self.one_hot: np.ndarray | sparse.csc_matrix
        if (
            n <= 128
        ):  # so small that making a sparse matrix takes longer than multiplying a dense one
            self.one_hot = (position == np.arange(m)[:, None]).astype(np.float32)
        else:
            self.one_hot = sparse.csc_matrix(
                (np.ones(n, np.float32), position, np.arange(n + 1, dtype=np.int32)), shape=(m, n)
            )


def row_gradients(
    weights: Weights,
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    lookups: dict[str, Lookup],
    mean: float = 0.0,
    weight_decay: float = 0.0,
    bias_decay: float = 0.0,
) -> Weights:
    """Gradient of one batch's loss, for the rows that the batch reads.

    The loss is the batch's mean of
    ``(error² + weight_decay · (|p|² + |q|²) + bias_decay · (b_u² + b_i²)) / 2``
    where ``p``, ``q``, ``b_u`` and ``b_i`` are the factors and biases of the rating's user and item.

    Parameters
    ----------
    weights : dict
        As `initial_weights` makes them.
    users, items : numpy.ndarray
        (n,) contiguous indices.
    ratings : numpy.ndarray
        (n,) in stars.
    lookups : dict of str to Lookup
        By name of a table: ``Lookup(users)`` or ``Lookup(items)``.
    mean : float
        The constant in the prediction.
    weight_decay, bias_decay : float
        Strength of the pull towards zero on factors and on biases.

    Returns
    -------
    dict
        By name of a table: (m, k) or (m,) float32, in the order of its lookup's ``rows``.
    """
    n = np.float32(len(ratings))
    error = (forward(weights, users, items, mean) - ratings) / n
    by_rating = {
        "user_factors": error[:, None] * weights["item_factors"][items],
        "item_factors": error[:, None] * weights["user_factors"][users],
        "user_bias": error,
        "item_bias": error,
    }
    result = {}
    for name, lookup in lookups.items():
        result[name] = lookup.one_hot @ by_rating[name]
        decay = weight_decay if name in FACTORS else bias_decay
        if decay:
            shares = (np.float32(decay) / n * lookup.counts).reshape(
                (-1,) + (1,) * (result[name].ndim - 1)
            )
            result[name] += shares * weights[name][lookup.rows]
    return result


def lookups_of(weights: Weights, users: np.ndarray, items: np.ndarray) -> dict[str, Lookup]:
    """One `Lookup` for each table of ``weights``; tables of the same side share one."""
    of_user, of_item = Lookup(users), Lookup(items)
    return {name: of_user if name.startswith("user") else of_item for name in weights}


def gradients(
    weights: Weights,
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    mean: float = 0.0,
    weight_decay: float = 0.0,
    bias_decay: float = 0.0,
) -> Weights:
    """`row_gradients` spread over whole tables, zero where the batch reads nothing.

    This is what MXNet and Keras return; training uses the rows only.

    Parameters
    ----------
    weights, users, items, ratings, mean, weight_decay, bias_decay
        See `row_gradients`.

    Returns
    -------
    dict
        Same names, shapes and dtype as ``weights``.
    """
    lookups = lookups_of(weights, users, items)
    of_rows = row_gradients(weights, users, items, ratings, lookups, mean, weight_decay, bias_decay)
    result = {name: np.zeros_like(table) for name, table in weights.items()}
    for name, lookup in lookups.items():
        result[name][lookup.rows] = of_rows[name]
    return result
