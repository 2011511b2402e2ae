"""Count, for every held-out item, the scores of its row that are above it or equal to it.

This is the inner loop of every ranking metric: no sorting of the catalog, no
copy of the score matrix, blocks that fit in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

CELLS = 1 << 22  # cells compared at a time
_SORT_FROM = 24  # with this many held-out items, sorting the row beats comparing them one by one


def count_above_and_equal(
    matrix: npt.NDArray[Any], row: npt.NDArray[np.int64], value: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the items of each pair's row with a greater and with an equal score.

    Parameters
    ----------
    matrix : ndarray of float, (n_rows, n_items)
    row : ndarray of int64, (n_pairs,)
        Row of each held-out item, ascending.
    value : ndarray of float, (n_pairs,)
        Its score.

    Returns
    -------
    greater, equal : ndarray of int64, (n_pairs,)
        `equal` counts the item itself.
    """
    greater, equal = np.zeros(len(row), dtype=np.int64), np.zeros(len(row), dtype=np.int64)
    start, end = _spans(row)
    single = start[end - start == 1]
    step = max(1, CELLS // matrix.shape[1])
    for place in range(0, len(single), step):
        pairs = single[place : place + step]
        rows = row[pairs]
        consecutive = rows[-1] - rows[0] + 1 == len(rows)
        part = matrix[rows[0] : rows[-1] + 1] if consecutive else matrix[rows]
        greater[pairs] = np.count_nonzero(part > value[pairs, None], axis=1)
        equal[pairs] = np.count_nonzero(part == value[pairs, None], axis=1)
    several = end - start > 1
    for s, e in zip(start[several].tolist(), end[several].tolist(), strict=True):
        scores, own = matrix[row[s]], value[s:e]  # one row at a time stays in cache
        if e - s < _SORT_FROM:
            greater[s:e] = np.count_nonzero(scores > own[:, None], axis=1)
            equal[s:e] = np.count_nonzero(scores == own[:, None], axis=1)
        else:
            greater[s:e], equal[s:e] = _place(scores, own)
    return greater, equal


def _spans(row: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return first and last-plus-one pair of every row that has any; `row` is ascending."""
    start = np.flatnonzero(np.diff(row, prepend=-1))
    return start, np.append(start[1:], len(row))


def _place(
    scores: npt.NDArray[Any], value: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the scores above and equal to each value by sorting them once."""
    ordered = np.sort(scores)
    right = np.searchsorted(ordered, value, side="right")
    return len(ordered) - right, right - np.searchsorted(ordered, value, side="left")


def count_equal_before(
    matrix: npt.NDArray[Any],
    row: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    value: npt.NDArray[Any],
) -> npt.NDArray[np.int64]:
    """Count the items with an equal score and a lower index."""
    index = np.arange(matrix.shape[1])
    lower = np.zeros(len(row), dtype=np.int64)
    step = max(1, CELLS // matrix.shape[1])
    for start in range(0, len(row), step):
        block = slice(start, start + step)
        same = matrix[row[block]] == value[block][:, None]
        same &= index < items[block][:, None]
        lower[block] = np.count_nonzero(same, axis=1)
    return lower


def leave_out(
    matrix: npt.NDArray[Any],
    seen_row: npt.NDArray[np.int64],
    seen_item: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    value: npt.NDArray[Any],
    greater: npt.NDArray[np.int64],
    equal: npt.NDArray[np.int64],
    lower: npt.NDArray[np.int64] | None,
) -> None:
    """Take the seen items out of the counts, in place; cheaper than a masked copy of the scores.

    Parameters
    ----------
    matrix, row, items, value
        The scores and the held-out pairs, as above.
    seen_row, seen_item : ndarray of int64, (n_seen,)
        Seen pairs, ascending by row, each once.
    greater, equal, lower : ndarray of int64, (n_pairs,)
        The counts; `lower` only where ties go by item.
    """
    seen_value = matrix[seen_row, seen_item]
    start, end = _spans(row)
    count = end - start
    for turn in range(
        min(int(count.max()), _SORT_FROM - 1)
    ):  # the first pair of every row, the second, ...
        pairs = start[(count > turn) & (count < _SORT_FROM)] + turn
        pair_of = np.full(len(matrix), -1, dtype=np.int64)
        pair_of[row[pairs]] = pairs
        owner = pair_of[seen_row]
        mine = owner >= 0
        owner, scores, taken = owner[mine], seen_value[mine], seen_item[mine]
        same = owner[scores == value[owner]]
        greater -= np.bincount(owner[scores > value[owner]], minlength=len(row))
        equal -= np.bincount(same, minlength=len(row))
        if lower is not None:
            before = (scores == value[owner]) & (taken < items[owner])
            lower -= np.bincount(owner[before], minlength=len(row))
    many = count >= _SORT_FROM
    for s, e in zip(start[many].tolist(), end[many].tolist(), strict=True):
        first, last = np.searchsorted(seen_row, [row[s], row[s] + 1])
        scores, own = seen_value[first:last], value[s:e]
        above, same = _place(scores, own)
        greater[s:e] -= above
        equal[s:e] -= same
        if lower is not None:
            before = (scores == own[:, None]) & (seen_item[first:last] < items[s:e, None])
            lower[s:e] -= np.count_nonzero(before, axis=1)
