"""Where the held-out items stand in each user's ranking: the one thing every metric needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import as_pairs, name_some
from helpers.metrics.counting import CELLS, count_above_and_equal, count_equal_before, leave_out

#: What happens to items with the same score. ``expected``: they stand in random
#: order and every metric is its mean over those orders, computed exactly.
#: ``worst`` and ``best``: held-out items stand last or first among their equals.
#: ``item-order``: lower item index first, as a stable sort would have it.
Ties = Literal["expected", "worst", "best", "item-order"]


@dataclass(frozen=True)
class Ranks:
    """Position of every held-out item among its user's candidates.

    An item may take any of the positions ``above + 1`` to ``above + tied``.

    Attributes
    ----------
    users : ndarray of int32, (n_evaluated,)
        Users with at least one held-out item, ascending.
    row : ndarray of int64, (n_pairs,)
        Index into `users` of each held-out item, ascending.
    items : ndarray of int32, (n_pairs,)
        The held-out items, best position first within a user.
    above : ndarray of int64, (n_pairs,)
        Candidates that certainly stand before the item.
    tied : ndarray of int64, (n_pairs,)
        Candidates with the item's own score, the item included; 1 where a rule decides ties.
    n_candidates : ndarray of int64, (n_evaluated,)
        Length of each user's ranking.
    ties : str
        The rule for equal scores, see `Ties`.
    candidates : str
        What was ranked, for the ledger: "full catalog, seen removed" or "sampled 100".
    """

    users: npt.NDArray[np.int32]
    row: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    above: npt.NDArray[np.int64]
    tied: npt.NDArray[np.int64]
    n_candidates: npt.NDArray[np.int64]
    ties: str
    candidates: str

    @property
    def n_held_out(self) -> npt.NDArray[np.int64]:
        """Held-out items of each user, (n_evaluated,), at least 1."""
        return np.bincount(self.row, minlength=len(self.users))

    @property
    def expected(self) -> npt.NDArray[np.float64]:
        """Mean position of each held-out item, (n_pairs,), 1 for the top."""
        return self.above + (self.tied + 1) / 2


def rank_held_out(
    scores: npt.ArrayLike,
    held_out: Any,
    *,
    seen: Any = None,
    users: npt.ArrayLike | None = None,
    ties: Ties = "expected",
) -> Ranks:
    """Rank each user's held-out items among the whole catalog.

    Parameters
    ----------
    scores : array of float, (n_rows, n_items)
        Higher is better. Not changed.
    held_out : Interactions, (users, items) or sparse matrix
        The test positives, one or many a user. Users without any are not evaluated.
    seen : Interactions, (users, items) or sparse matrix, optional
        Pairs to leave out of the ranking, usually the training set.
    users : array of int, (n_rows,), optional
        The user of each row of `scores`; row r is user r without it. Held-out
        items of other users are left out.
    ties : {"expected", "worst", "best", "item-order"}
        The rule for equal scores, see `Ties`.

    Returns
    -------
    Ranks

    Raises
    ------
    ValueError
        For NaN scores, unknown ids, no held-out item at all, and held-out items
        that are also seen or that the model scored with an infinity.

    Examples
    --------
    >>> rank_held_out([[0.9, 0.1, 0.5]], ([0], [2])).above
    array([1])
    """
    check_ties(ties)
    matrix = check_scores(scores)
    n_rows, n_items = matrix.shape
    row_of, n_users = rows_of(users, n_rows)
    test = as_pairs(
        held_out, "held_out", n_users=None if users is not None else n_users, n_items=n_items
    )
    inside = test.users < len(row_of)
    row = np.where(inside, row_of[np.where(inside, test.users, 0)], -1)
    keys = np.unique(row[row >= 0].astype(np.int64) * n_items + test.items[row >= 0])
    if not len(keys):
        raise ValueError("held_out holds no item of the users to evaluate; expected at least one")
    row, items = keys // n_items, (keys % n_items).astype(np.int32)
    value = matrix[row, items]
    if not np.isfinite(value).all():
        bad = int(np.flatnonzero(~np.isfinite(value))[0])
        raise ValueError(
            f"held-out item {items[bad]} in row {row[bad]} has score {value[bad]}; expected a finite number "
            "(was it masked together with the seen items?)"
        )
    greater, equal = count_above_and_equal(matrix, row, value)
    lower = None
    if ties == "item-order":
        lower = np.zeros(len(row), dtype=np.int64)
        shared = np.flatnonzero(equal > 1)  # rare with real-valued scores
        lower[shared] = count_equal_before(matrix, row[shared], items[shared], value[shared])
    n_candidates = np.full(n_rows, n_items, dtype=np.int64)
    if seen is not None:
        seen_row, seen_item = seen_rows(seen, row_of, n_items, users is not None)
        both = np.intersect1d(keys, seen_row * n_items + seen_item, assume_unique=True)
        if len(both):
            who = np.flatnonzero(np.isin(row_of, both // n_items))
            raise ValueError(
                f"{len(both)} held-out items are also in seen, the first of {name_some(who, seen, 1)}, "
                f"item {both[0] % n_items}; expected a test set that shares no pair with train"
            )
        n_candidates -= np.bincount(seen_row, minlength=n_rows)
        leave_out(matrix, seen_row, seen_item, row, items, value, greater, equal, lower)
    evaluated, index = np.unique(row, return_inverse=True)
    names = np.arange(n_rows) if users is None else np.asarray(users)
    text = "full catalog" + (", seen removed" if seen is not None else "")
    return settle(
        names[evaluated].astype(np.int32),
        index,
        items,
        greater,
        equal,
        lower,
        n_candidates[evaluated],
        ties,
        text,
    )


def settle(
    users: npt.NDArray[np.int32],
    row: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    greater: npt.NDArray[np.int64],
    equal: npt.NDArray[np.int64],
    lower: npt.NDArray[np.int64] | None,
    n_candidates: npt.NDArray[np.int64],
    ties: str,
    candidates: str,
) -> Ranks:
    """Apply the rule for ties to raw counts and order the pairs within their user.

    Parameters
    ----------
    users, row, items, n_candidates, ties, candidates
        As in `Ranks`, in any order within a user.
    greater, equal : ndarray of int64, (n_pairs,)
        Candidates with a higher score, and with the same score (the item itself included).
    lower : ndarray of int64, (n_pairs,) or None
        Of the equal ones, those with a lower item index; for "item-order".
    """
    order = np.lexsort((items, greater, row))
    row, items, greater, equal = row[order], items[order], greater[order], equal[order]
    above, tied = greater, equal
    if ties != "expected":
        tied = np.ones_like(equal)
        if ties == "item-order":
            assert lower is not None
            above = greater + lower[order]
        else:
            new = np.flatnonzero(
                (np.diff(row, prepend=-1) != 0) | (np.diff(greater, prepend=-1) != 0)
            )
            size = np.diff(np.append(new, len(row)))  # held-out items that share one score
            place = np.arange(len(row)) - np.repeat(new, size)
            above = greater + place + (equal - np.repeat(size, size) if ties == "worst" else 0)
    return Ranks(users, row, items, above, tied, n_candidates, ties, candidates)


def check_ties(ties: str) -> None:
    """Refuse an unknown rule for ties."""
    if ties not in get_args(Ties):
        raise ValueError(f"ties is {ties!r}; expected one of {', '.join(get_args(Ties))}")


def check_scores(scores: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return `scores` as a matrix of floats without NaN."""
    matrix = np.asarray(scores)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(
            f"scores have shape {matrix.shape}; expected (n_users, n_items), one row a user"
        )
    if not np.issubdtype(matrix.dtype, np.floating):
        matrix = matrix.astype(np.float64)
    step = max(1, CELLS // matrix.shape[1])
    for start in range(0, len(matrix), step):
        block = np.isnan(matrix[start : start + step])
        if block.any():
            row, item = np.argwhere(block)[0]
            raise ValueError(
                f"scores hold NaN, first in row {start + row}, item {item}; expected numbers"
            )
    return matrix


def rows_of(users: npt.ArrayLike | None, n_rows: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return the row of each user, -1 for users without one, and the number of users."""
    if users is None:
        return np.arange(n_rows), n_rows
    names = np.asarray(users)
    if names.shape != (n_rows,) or len(np.unique(names)) != n_rows or names.min(initial=0) < 0:
        raise ValueError(
            f"users have shape {names.shape}; expected {n_rows} different ids, one a row of scores"
        )
    row_of = np.full(int(names.max()) + 1, -1, dtype=np.int64)
    row_of[names] = np.arange(n_rows)
    return row_of, len(row_of)


def seen_rows(
    seen: Any, row_of: npt.NDArray[np.int64], n_items: int, subset: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return row and item of every seen pair, each once."""
    pairs = as_pairs(seen, "seen", n_users=None if subset else len(row_of), n_items=n_items)
    inside = pairs.users < len(row_of)
    row = np.where(inside, row_of[np.where(inside, pairs.users, 0)], -1)
    keys = np.unique(row[row >= 0].astype(np.int64) * n_items + pairs.items[row >= 0])
    return keys // n_items, keys % n_items
