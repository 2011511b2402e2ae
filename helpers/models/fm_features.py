"""Feature rows for factorization machines, and the vectors whose inner product ranks as the machine does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from helpers.models.base import check_indices

if TYPE_CHECKING:
    from helpers.data import Interactions


def one_hot(*columns: tuple[np.ndarray, int]) -> sparse.csr_matrix:
    """Put one-hot blocks side by side: a one in each block of each row.

    Parameters
    ----------
    *columns : tuple of numpy.ndarray and int
        Contiguous indices (n,) of a block, and the block's width.

    Returns
    -------
    scipy.sparse.csr_matrix
        (n, sum of the widths), float32, with as many ones a row as there are blocks.

    Raises
    ------
    ValueError
        No block, or blocks of different length.
    IndexError
        An index is not below its width.
    """
    if not columns:
        raise ValueError("no columns: expected at least one pair of indices and width")
    checked = [
        check_indices(codes, width, f"column {place}")
        for place, (codes, width) in enumerate(columns)
    ]
    lengths = {len(codes) for codes in checked}
    if len(lengths) > 1:
        raise ValueError(f"columns of lengths {sorted(lengths)}: expected equal ones")
    starts = np.cumsum([0, *(width for _, width in columns)])
    keys = np.stack(
        [codes + start for codes, start in zip(checked, starts[:-1], strict=True)], axis=1
    )
    n, blocks = keys.shape
    return sparse.csr_matrix(
        (
            np.ones(n * blocks, dtype=np.float32),
            keys.ravel().astype(np.int32),
            np.arange(0, n * blocks + 1, blocks, dtype=np.int32),
        ),
        shape=(n, int(starts[-1])),
    )


def rating_rows(data: Interactions) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Rows of users and items, users first, and their ratings.

    Parameters
    ----------
    data : Interactions
        With ratings.

    Returns
    -------
    tuple of scipy.sparse.csr_matrix and numpy.ndarray
        (n, n_users + n_items) and (n,), float32.
    """
    frame = data.frame
    rows = one_hot(
        (frame["user"].to_numpy(), data.n_users), (frame["item"].to_numpy(), data.n_items)
    )
    return rows, frame["rating"].to_numpy(dtype=np.float32)


def item_vectors(x: sparse.csr_matrix, w1: np.ndarray, v: np.ndarray) -> np.ndarray:
    r"""Make the vectors of items, or of whatever is to be ranked: :math:`a_i = [\sum v_j x_j, b_i]`.

    Parameters
    ----------
    x : scipy.sparse.csr_matrix
        (items, features): each item's own features, side features included.
    w1, v : numpy.ndarray
        (features,) and (features, factors) of a fitted machine.

    Returns
    -------
    numpy.ndarray
        (items, factors + 1), float32. The last entry is what an item adds to every user's score: its linear
        terms and the pairs among its own features.
    """
    x = sparse.csr_matrix(x, dtype=np.float32)
    total = x @ v
    pairs = np.einsum("nf,nf->n", total, total) - x.multiply(x) @ np.einsum("jf,jf->j", v, v)
    return np.column_stack([total, x @ w1 + 0.5 * pairs]).astype(np.float32)


def user_vectors(x: sparse.csr_matrix, v: np.ndarray) -> np.ndarray:
    r"""Make the vectors of users: :math:`a_u = [\sum v_j x_j, 1]`, without what shifts all scores of a user.

    Parameters
    ----------
    x : scipy.sparse.csr_matrix
        (users, features): each user's own features, side features included.
    v : numpy.ndarray
        (features, factors) of a fitted machine.

    Returns
    -------
    numpy.ndarray
        (users, factors + 1), float32.
    """
    total = sparse.csr_matrix(x, dtype=np.float32) @ v
    return np.column_stack([total, np.ones(len(total))]).astype(np.float32)
