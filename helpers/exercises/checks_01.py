"""Checks of chapter 01: the CSR format, its bytes, padding, one-hot rows, what two users share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect
from .grading import Exercise, Quiz
from .registry import register

Answer = Callable[..., Any]


def _close(a: Any, b: float) -> bool:
    return bool(np.isclose(float(a), b, rtol=1e-6, atol=1e-9))


def _whole(values: Any, name: str) -> list[int]:
    """Return an answer as plain integers, whatever holds them."""
    array = np.asarray(values)
    expect(
        array.dtype != object,
        f"`{name}` must hold numbers only; it holds {array.dtype} of shape {array.shape}.",
    )
    expect(array.ndim == 1, f"`{name}` must have one dimension, it has shape {array.shape}.")
    return [int(v) for v in array]


def row_starts(users: Any, n_users: int) -> np.ndarray:
    """Return ``indptr``: where each user's part of the sorted triples starts, and the end."""
    counts = np.bincount(users, minlength=n_users)
    return np.concatenate([[0], np.cumsum(counts)])


def _starts_of_toy_triples(f: Answer) -> None:
    got = _whole(f(np.array([0, 0, 1, 2, 2]), 3), "row_starts")
    expect(
        got != [2, 1, 2],
        "`row_starts` returned how many ratings each user has; add them up to get where each one starts.",
    )
    expect(got != [2, 3, 5], "`row_starts` has the ends of the rows; the first row starts at 0.")
    expect(
        got != [0, 2, 3],
        "`row_starts` needs one entry more than there are users: where the last row ends.",
    )
    expect(
        got == [0, 2, 3, 5],
        f"users 0, 0, 1, 2, 2 start at 0, 2 and 3 and end at 5; `row_starts` says {got}.",
    )


def _starts_with_empty_rows(f: Answer) -> None:
    got = _whole(f(np.array([0, 2, 2]), 4), "row_starts")
    expect(
        len(got) == 5,
        f"4 users, of whom users 1 and 3 rated nothing: `row_starts` must have 5 entries, it has {len(got)}.",
    )
    expect(
        got == [0, 1, 1, 3, 3],
        f"a user without ratings must start where the next one starts; for users 0, 2, 2 of 4, `row_starts` says {got}.",
    )
    expect(
        _whole(f([1], 2), "row_starts") == [0, 0, 1],
        "`row_starts` of a first user without ratings: her row is empty.",
    )


def csr_bytes(
    n_ratings: int, n_rows: int, value_bytes: int = 1, index_bytes: int = 4, pointer_bytes: int = 4
) -> int:
    """Return the bytes of the three arrays of a CSR matrix."""
    return n_ratings * (value_bytes + index_bytes) + (n_rows + 1) * pointer_bytes


def _bytes_of_toy_tables(f: Answer) -> None:
    got = f(5, 3)
    expect(
        not _close(got, 5 * 9),
        "that is the size of triples: in CSR no rating stores its row. What is stored once a row instead?",
    )
    expect(
        not _close(got, 5 * 5),
        "5 ratings of 3 users: `csr_bytes` has the values and indices, not the row pointers.",
    )
    expect(
        not _close(got, 5 * 5 + 3 * 4),
        "3 rows have 4 pointers: where each one starts, and where the last one ends.",
    )
    expect(_close(got, 41), f"5 ratings in 3 rows with 1, 4 and 4 bytes: `csr_bytes` says {got}.")
    expect(_close(f(0, 3), 16), "a table without ratings still has its row pointers.")
    wide = f(10, 2, value_bytes=8, index_bytes=2, pointer_bytes=4)
    expect(
        _close(wide, 112),
        f"10 ratings of 8 bytes, 2-byte indices, 3 pointers of 4 bytes; `csr_bytes` says {wide}: are all widths used?",
    )


def break_even(value_bytes: float, place_bytes: float) -> float:
    """Return the density at which a sparse and a dense table need the same memory."""
    return value_bytes / (value_bytes + place_bytes)


def _break_even_of_toy_widths(f: Answer) -> None:
    got = f(1, 3)
    expect(
        not _close(got, 1 / 3),
        "`break_even`: a stored rating pays for its value *and* for its place.",
    )
    expect(
        not _close(got, 0.75),
        "`break_even`: at that share the sparse table is the larger one; compare d·(value + place) with value.",
    )
    expect(not _close(got, 25), "`break_even` must be a share between 0 and 1, not a percentage.")
    expect(
        not _close(got, 4),
        "`break_even` must be a share of the cells; did you divide the other way round?",
    )
    expect(
        _close(got, 0.25),
        f"value 1 byte, place 3 bytes: in a table of 8 cells, how many ratings fill 8 bytes? `break_even` says {got}.",
    )
    expect(_close(f(4, 0), 1), "if places were free, a full table would be the break-even point.")
    expect(_close(f(8, 4), 2 / 3), f"value 8 bytes, place 4 bytes: `break_even` says {f(8, 4)}.")


def one_hot(users: Any, items: Any, n_users: int, n_items: int) -> Any:
    """Return one row a rating, with a 1 for its user and a 1 for its item, as a CSR matrix."""
    from scipy import sparse

    n = len(users)
    indices = np.stack([users, n_users + np.asarray(items)], axis=1).ravel()
    indptr = np.arange(0, 2 * n + 1, 2)
    data = np.ones(2 * n, dtype=np.float32)
    return sparse.csr_matrix((data, indices, indptr), shape=(n, n_users + n_items))


def _one_hot_of_toy_ratings(f: Answer) -> None:
    from scipy import sparse

    users, items = np.array([0, 2, 1, 2]), np.array([3, 0, 3, 1])
    got = f(users, items, 3, 4)
    expect(
        sparse.issparse(got),
        f"`one_hot` must return a sparse matrix, it returned {type(got).__name__}.",
    )
    expect(
        got.shape == (4, 7),
        f"4 ratings by 3 users of 4 items: `one_hot` must have shape (4, 7), it has {got.shape}.",
    )
    dense = np.asarray(got.toarray(), dtype=float)
    expect(
        (dense.sum(axis=1) == 2).all(),
        f"each row of `one_hot` must hold two ones; the rows add up to {dense.sum(axis=1).tolist()}.",
    )
    stray = np.flatnonzero(dense[:, :3].sum(axis=1) != 1)
    expect(
        not len(stray),
        f"row {stray[0] if len(stray) else 0} of `one_hot` must have one 1 among the 3 columns of the users and one after "
        f"them, in the columns of the items; it has ones in columns {np.flatnonzero(dense[stray[:1]].sum(axis=0)).tolist()}.",
    )
    expect(
        (dense[:, :3].argmax(axis=1) == users).all(),
        "the first 3 columns of `one_hot` are the users: where is the 1 of each rating's user?",
    )
    expect(
        (dense[:, 3:].argmax(axis=1) == items).all(),
        "the columns after the users are the items: where is the 1 of each rating's item?",
    )
    expect(
        got.format == "csr",
        f"`one_hot` has the right cells, in format {got.format!r}; build the CSR matrix from its three arrays.",
    )


def pad(lists: Any, width: int) -> np.ndarray:
    """Return lists of different length as one table, filled with -1 at the end of short ones."""
    table = np.full((len(lists), width), -1)
    for row, entries in zip(table, lists, strict=True):
        kept = entries[:width]
        row[: len(kept)] = kept
    return table


def _pad_of_toy_lists(f: Answer) -> None:
    lists = [[3, 1], [], [5, 2, 9, 4]]
    try:
        got = np.asarray(f(lists, 3))
    except ValueError as error:
        if "shape" not in str(error) and "broadcast" not in str(error):
            raise
        got = np.empty(0, dtype=object)
    expect(
        got.shape == (3, 3),
        "3 lists with width 3 make a table of shape (3, 3): is `pad` ready for an empty list and for one of 4 entries?",
    )
    expect(
        got.dtype != object and np.issubdtype(got.dtype, np.number),
        "`pad` must return numbers, not objects.",
    )
    rows = got.tolist()
    expect(
        rows[0] != [3, 1, 0],
        "0 is the index of an item: `pad` must fill with a number that no item has, -1.",
    )
    expect(rows[0] != [-1, 3, 1], "`pad` must fill up at the end, not in front.")
    expect(rows[0] == [3, 1, -1], f"the list 3, 1 with width 3: `pad` says {rows[0]}.")
    expect(rows[1] == [-1, -1, -1], f"an empty list is padding only; `pad` says {rows[1]}.")
    expect(rows[2] != [2, 9, 4], "a long list loses its end; `pad` cut off its beginning.")
    expect(rows[2] == [5, 2, 9], f"the list 5, 2, 9, 4 with width 3: `pad` says {rows[2]}.")
    expect(
        np.issubdtype(got.dtype, np.integer),
        f"`pad` must hold integers, since they are indices; it holds {got.dtype}.",
    )
    expect(
        lists == [[3, 1], [], [5, 2, 9, 4]], "`pad` must leave the lists it was given as they were."
    )
    arrays = np.asarray(
        f([np.array([7, 8], dtype=np.int32), np.array([6], dtype=np.int32)], 2)
    ).tolist()
    expect(
        arrays == [[7, 8], [6, -1]],
        f"`pad` must also take arrays; for 7, 8 and 6 with width 2 it says {arrays}.",
    )


def mean_shared(popularity: Any, n_users: int) -> float:
    """Return the mean number of items that two different users share."""
    c = np.asarray(popularity, dtype=float)
    return float(np.sum(c * (c - 1)) / (n_users * (n_users - 1)))


def _shared_of_toy_worlds(f: Answer) -> None:
    counts = np.array([3, 1, 2, 0])  # three users; item 0 rated by all, item 2 by two
    got = f(counts, 3)
    expect(
        not _close(got, 14 / 9) and not _close(got, 14 / 6),
        "`mean_shared` also pairs each user with themselves: an item rated by one user is shared by nobody.",
    )
    expect(
        not _close(got, 2 * 2 / 4),
        "`mean_shared` assumes items drawn at random; count the pairs of each item instead.",
    )
    expect(
        not _close(got, 4),
        "`mean_shared` is a mean: divide by the number of pairs of users.",
    )
    expect(
        _close(got, 4 / 3),
        f"3 users, items rated by 3, 1, 2 and 0 of them: 3 + 0 + 1 shared in 3 pairs; `mean_shared` says {got}.",
    )
    expect(_close(f([1, 1, 1, 1], 10), 0), "if no item has two ratings, no two users share one.")
    rng = np.random.default_rng(0)
    table = rng.random((12, 30)) < rng.random(30)
    both = (table.astype(int) @ table.T.astype(int))[np.triu_indices(12, 1)]
    expect(
        _close(f(table.sum(axis=0), 12), both.mean()),
        "on a random table of 12 users, `mean_shared` differs from counting every pair.",
    )


register(
    Quiz(
        "01.q1",
        "You subtract 3 from every rating that the sparse matrix stores. What does the cell of a 3-star rating hold then?",
        "b",
        {
            "Nothing: it became an empty cell.": "`tiny.data - 3` changes values, not which cells are stored. Look at how many entries `data` has.",
            "A stored zero, which still counts as a rating.": "It is stored, so it is known. `eliminate_zeros()`, or a detour through a dense table, would lose it.",
            "NaN, the mark of an unknown value.": "Nothing here writes NaN; arithmetic on the stored values only changes these values.",
        },
    ),
    Quiz(
        "01.q2",
        "A shop doubles its catalog, and everyone rates as many items as before. What happens to the density?",
        "b",
        {
            "It stays the same.": "There are as many ratings as before, but twice as many cells.",
            "It halves.": "As many ratings in twice as many cells: density is ratings a user, divided by items.",
            "It falls to a quarter.": "The table grows in one direction only: the number of users is the same.",
        },
    ),
    Exercise(
        "01.1",
        "row_starts",
        [_starts_of_toy_triples, _starts_with_empty_rows],
        [
            "How many ratings has each user? A row starts where all rows before it end.",
            "`np.bincount(users, minlength=n_users)` counts, `np.cumsum` adds up; put a 0 in front.",
        ],
        row_starts,
        minutes=6,
    ),
    Exercise(
        "01.2",
        "csr_bytes",
        [_bytes_of_toy_tables],
        [
            "Three arrays: `data` and `indices` have one entry a rating. How many has `indptr`?",
            "`n_ratings` times two widths, plus `n_rows + 1` times the third.",
        ],
        csr_bytes,
        minutes=4,
    ),
    Exercise(
        "01.3",
        "break_even",
        [_break_even_of_toy_widths],
        [
            "Write down the bytes of both for N cells and density d: what does one cell cost, what does one rating cost?",
            "Solve `d * (value_bytes + place_bytes) = value_bytes` for d.",
        ],
        break_even,
        minutes=5,
    ),
    Exercise(
        "01.4",
        "one_hot",
        [_one_hot_of_toy_ratings],
        [
            "Row 0 has its ones in columns `users[0]` and `n_users + items[0]`; row 1 follows. So `indices` alternates.",
            "`np.stack([users, n_users + items], axis=1).ravel()` alternates; every row starts two after the one before.",
        ],
        one_hot,
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "01.5",
        "pad",
        [_pad_of_toy_lists],
        [
            "Start from a table full of -1, `np.full((len(lists), width), -1)`, and write into it.",
            "For each list, `kept = entries[:width]` fits; write it into the first `len(kept)` columns of its row.",
        ],
        pad,
        minutes=6,
    ),
    Exercise(
        "01.6",
        "mean_shared",
        [_shared_of_toy_worlds],
        [
            "An item with c ratings is shared by c(c - 1)/2 pairs. How many pairs do `n_users` users make?",
            "Both halves cancel: sum `c * (c - 1)` and divide by `n_users * (n_users - 1)`.",
        ],
        mean_shared,
        minutes=8,
        stretch=True,
    ),
    Quiz(
        "01.q3",
        "The table of shared items has a row and a column for each user and is 88 % full. "
        "With four bytes for a value, a column index and a pointer each, which form is smallest?",
        "c",
        {
            "CSR": "CSR pays four more bytes for the place of each value. What is `break_even(4, 4)`?",
            "COO, the triples": "Triples pay for a row and a column with each value: they lose even earlier than CSR.",
            "A dense array": "Dense wins above `break_even(4, 4)`, one half. The product of two sparse tables is often dense.",
        },
    ),
)
