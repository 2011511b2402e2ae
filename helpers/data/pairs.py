"""Pairs of user and item: read from any source, checked once, and put into a sparse matrix."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

#: ``Interactions``, or two arrays ``(users, items)``.
PairSource: TypeAlias = Any


class Pairs(NamedTuple):
    """Two aligned arrays of contiguous ids, (n_pairs,) int32 each, and the size of their matrix."""

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    n_users: int
    n_items: int


def as_matrix(pairs: Pairs) -> csr_matrix:
    """Return pairs as a matrix of True, (n_users, n_items), each cell stored once, in order."""
    ones = np.ones(len(pairs.users), dtype=np.bool_)
    matrix = csr_matrix((ones, (pairs.users, pairs.items)), shape=(pairs.n_users, pairs.n_items))
    matrix.sum_duplicates()
    return matrix


def as_pairs(
    source: PairSource, what: str, *, n_users: int | None = None, n_items: int | None = None
) -> Pairs:
    """Return the pairs of ``source``, called ``what`` in errors, checked against the matrix's size.

    A size that is not given is the source's own, else one more than the largest id. Raise
    ``ValueError`` for arrays of different length and for ids that are no indices of the matrix.
    """
    if hasattr(source, "frame"):
        users, items = source.frame["user"].to_numpy(), source.frame["item"].to_numpy()
        shape = source.n_users, source.n_items
    elif isinstance(source, tuple) and len(source) == 2:
        users, items = check_ids(source[0], 1 << 31, "user"), check_ids(source[1], 1 << 31, "item")
        shape = int(users.max(initial=-1)) + 1, int(items.max(initial=-1)) + 1
    else:
        raise ValueError(
            f"{what} is a {type(source).__name__}; expected Interactions, "
            "or a tuple of two arrays (users, items)"
        )
    if users.ndim != 1 or users.shape != items.shape:
        raise ValueError(
            f"{what}: users have shape {users.shape} and items {items.shape}; "
            "expected two 1-d arrays of one length"
        )
    n_users, n_items = n_users or shape[0], n_items or shape[1]
    users, items = check_ids(users, n_users, "user"), check_ids(items, n_items, "item")
    return Pairs(users, items, n_users, n_items)


def check_ids(ids: npt.ArrayLike, size: int, kind: str) -> npt.NDArray[np.int32]:
    """Return ``ids`` as int32; raise ``ValueError`` unless all are whole numbers in 0..size-1."""
    array = np.asarray(ids)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{kind} ids have dtype {array.dtype}; expected whole numbers from 0")
    if array.size and (array.min() < 0 or array.max() >= size):
        flat = array.ravel()
        where = int(np.flatnonzero((flat < 0) | (flat >= size))[0])
        raise ValueError(
            f"unknown {kind} {flat[where]} at position {where}: expected a contiguous id "
            f"from 0 to {size - 1}; map raw ids through Interactions.{kind}_of first"
        )
    return array.astype(np.int32, copy=False)


def user_order(
    users: npt.NDArray[Any], *keys: npt.NDArray[Any], block: int = 1 << 16
) -> npt.NDArray[np.intp]:
    """Return ``np.lexsort((*keys, users))``, (n,), in time that grows with n: by blocks of users.

    ``users`` are ids from 0, (n,) as are all keys. Rows of a file are often sorted by user already.
    """
    order = np.argsort(users, kind="stable")
    ends = np.cumsum(np.bincount(users))
    cuts = ends[np.searchsorted(ends, range(block, len(users), block))].tolist()
    for start, end in zip([0, *cuts], [*cuts, len(users)], strict=True):
        part = order[start:end]  # what a sort reads stays in cache
        order[start:end] = part[np.lexsort((*(key[part] for key in keys), users[part]))]
    return order
