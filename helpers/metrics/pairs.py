"""Read (user, item) pairs from whatever holds them, and check them once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from helpers.data import Interactions

#: What the ranking rooms accept as a set of pairs: an ``Interactions``, two
#: arrays ``(users, items)``, or a scipy sparse matrix (its stored cells).
PairSource: TypeAlias = "Interactions | tuple[npt.ArrayLike, npt.ArrayLike] | Any"


class Pairs(NamedTuple):
    """Pairs as two aligned arrays and the size of the matrix they live in."""

    users: npt.NDArray[np.int32]  # (n_pairs,)
    items: npt.NDArray[np.int32]  # (n_pairs,)
    n_users: int
    n_items: int


def as_pairs(
    source: Any, what: str, *, n_users: int | None = None, n_items: int | None = None
) -> Pairs:
    """Return the pairs of `source`, checked against the size of the matrix.

    Parameters
    ----------
    source : PairSource
        Contiguous zero-based ids.
    what : str
        Name of the argument, for error messages.
    n_users, n_items : int, optional
        Size of the matrix. Taken from the source where it knows it, else one
        more than the largest id.

    Raises
    ------
    ValueError
        For arrays of different length, ids that are not integers, negative
        ids, and ids beyond `n_users` or `n_items`.
    """
    if hasattr(source, "frame") and hasattr(source, "n_items"):
        users, items = source.frame["user"].to_numpy(), source.frame["item"].to_numpy()
        n_users, n_items = n_users or source.n_users, n_items or source.n_items
    elif hasattr(source, "tocoo"):
        coo = source.tocoo()
        users, items = coo.row, coo.col
        n_users, n_items = n_users or coo.shape[0], n_items or coo.shape[1]
    elif isinstance(source, tuple) and len(source) == 2:
        users, items = np.asarray(source[0]), np.asarray(source[1])
    else:
        raise ValueError(
            f"{what} is a {type(source).__name__}; expected Interactions, "
            "a tuple of two arrays (users, items), or a scipy sparse matrix"
        )
    if users.ndim != 1 or users.shape != items.shape:
        raise ValueError(
            f"{what}: users have shape {users.shape} and items {items.shape}; "
            "expected two 1-d arrays of one length"
        )
    n_users = int(users.max(initial=-1)) + 1 if n_users is None else n_users
    n_items = int(items.max(initial=-1)) + 1 if n_items is None else n_items
    return Pairs(
        check_ids(users, n_users, "user"), check_ids(items, n_items, "item"), n_users, n_items
    )


def check_ids(ids: npt.ArrayLike, size: int, kind: str) -> npt.NDArray[np.int32]:
    """Return `ids` as int32 after checking that each lies in 0..size-1.

    Raises
    ------
    ValueError
        Naming the first id that does not, and where it stands.
    """
    array = np.asarray(ids)
    if array.size == 0:
        return array.astype(np.int32)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"{kind} ids have dtype {array.dtype}; expected integers, contiguous from 0 (not raw ids)"
        )
    if array.min() < 0 or array.max() >= size:
        flat = array.ravel()
        where = int(np.flatnonzero((flat < 0) | (flat >= size))[0])
        raise ValueError(
            f"unknown {kind} {flat[where]} at position {where}: expected a contiguous id "
            f"from 0 to {size - 1}; map raw ids through Interactions.{kind}_of first"
        )
    return array.astype(np.int32, copy=False)


def user_name(user: int, source: Any = None) -> str:
    """Name a user in an error message, with the raw id where it is known."""
    raw = getattr(source, "user_ids", None)
    return f"user {user}" if raw is None else f"user {user} (user_id {raw[user]})"


def name_some(users: npt.NDArray[Any], source: Any = None, limit: int = 5) -> str:
    """Name the first few users of a list and count the rest."""
    names = ", ".join(user_name(int(u), source) for u in users[:limit])
    return names if len(users) <= limit else f"{names} and {len(users) - limit} more"
