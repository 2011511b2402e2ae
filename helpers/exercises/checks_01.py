"""Checks of chapter 01: the CSR format, its bytes, padding, one-hot rows, what two users share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import Case, cases
from .checking import NotYet, expect
from .converters import integers, number, whole
from .cost import grows, memory, steps
from .grading import Exercise, Quiz
from .registry import register

USERS, ITEMS = np.array([1, 0, 1]), np.array([2, 0, 0])
LOOP = "`one_hot` goes through the ratings one by one; make the arrays as a whole, without a loop."
DENSE = "the memory that `one_hot` needs grows with the number of columns; only the ones need any."


def some_column(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return a sorted user column in which some users do not occur, and the number of users."""
    n_users = int(rng.integers(1, 12))
    n = rng.integers(1, 15) * rng.choice([1, 5000], p=[0.9, 0.1])  # some beyond 16 bits
    return np.sort(rng.integers(0, n_users, n)).astype(np.int32), n_users


def some_widths(rng: np.random.Generator) -> Case:
    """Return the sizes of a table and some of the widths, the last by name."""
    sizes = tuple(int(n) for n in rng.integers(0, 50, 2))
    widths = [int(2**w) for w in rng.integers(0, 4, 3)]
    return Case((*sizes, *widths[: rng.integers(0, 3)]), keywords={"pointer_bytes": widths[2]})


def some_ratings(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return users and items of some ratings, and how many there are of each."""
    n, *sizes = (int(n) for n in rng.integers(1, 10, 3))
    return *(rng.integers(0, size, n).astype(np.int32) for size in sizes), *sizes


def ratings(n: int, size: int) -> tuple[Any, ...]:
    """Return n ratings by so many users of so many items."""
    return np.arange(n) % size, np.arange(n) * 3 % size, size, size


def some_lists(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return lists of items, shorter and longer than the width, and the width."""
    lists = [rng.integers(0, 9000, rng.integers(1, 9)).tolist() for _ in range(rng.integers(1, 6))]
    return lists, int(rng.integers(1, 12))


def some_popularity(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return by how many of the users each item was rated, and the number of users."""
    n_users = int(rng.integers(2, 40))
    return rng.integers(0, n_users + 1, rng.integers(1, 30)), n_users


def csr(value: Any, name: str) -> Any:
    """Return a CSR matrix of four-byte ones."""
    from scipy import sparse

    if not sparse.issparse(value):
        raise NotYet(f"`{name}` returned a {type(value).__name__}, expected a sparse CSR matrix.")
    if value.format != "csr":
        raise NotYet(f"`{name}` returned a matrix in format {value.format!r}, expected 'csr'.")
    try:
        value.check_format(full_check=True)  # an index outside of the shape would end the kernel
    except ValueError as error:
        raise NotYet(f"`{name}` returned arrays that do not fit together: {error}.") from None
    return sparse.csr_matrix(value, dtype=np.float32)


def _holds_integers(answer: Callable[..., Any]) -> None:
    kind = np.asarray(answer([[3, 1], [5, 2, 9, 4]], 3)).dtype
    expect(kind.kind in "iu", f"`pad` returned an array of {kind}; items are indices: integers.")


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
            "It halves.": "As many ratings in twice as many cells: the density is the ratings per user, divided by the number of items.",
            "It falls to a quarter.": "The table grows in one direction only. The number of users is the same.",
        },
    ),
    Exercise(
        "01.1",
        "row_starts",
        integers,
        cases=cases((np.array([0, 0, 1, 2, 2]), 3), (np.array([0, 2, 2]), 4), (np.array([1]), 2)),
        inputs=some_column,
        mistakes={
            "return np.bincount(users, minlength=n_users)": "those are the numbers of ratings of each user; add them up to get where each one starts.",
            "return np.cumsum(np.bincount(users, minlength=n_users))": "those are the ends of the rows; the first row starts at 0.",
            "np.concatenate([[0], np.cumsum(counts)]) => np.cumsum(counts) - counts": "one entry more than there are users is asked for: where the last row ends.",
            "return np.concatenate([[0], np.cumsum(np.bincount(users))])": "one entry more than there are users is asked for, also where the last ones rated nothing.",
            "return np.append(np.unique(users, return_index=True)[1], len(users))": "a user without ratings has an entry, too: the one where the next user starts.",
            "return np.unique(users, return_index=True)[1]": "one entry more than there are users is asked for: also those without ratings, and the end.",
        }.items(),
        hints=[
            "How many ratings has each user? A row starts where all rows before it end.",
            "`np.cumsum(np.bincount(users, minlength=n_users))` says where each row ends; put a 0 in front, with `np.concatenate([[0], ...])`.",
        ],
        minutes=6,
    ),
    Exercise(
        "01.2",
        "csr_bytes",
        whole,
        cases=[
            *cases((5, 3), (0, 3), (10, 2, 8, 2, 4)),
            Case((5, 3, 2), keywords={"pointer_bytes": 8}),
        ],
        inputs=some_widths,
        mistakes={
            "return n_ratings * (value_bytes + 2 * index_bytes)": "that is the size of triples: in CSR no rating stores its row. What is stored once per row instead?",
            "return n_ratings * (value_bytes + index_bytes)": "the row pointers are missing.",
            "return n_ratings * value_bytes + (n_rows + 1) * pointer_bytes": "the column indices are missing: each rating has one.",
            "return n_ratings * (value_bytes + index_bytes + pointer_bytes)": "there is one pointer per *row*, and one more; not per rating.",
            "return n_ratings * (value_bytes + index_bytes) + n_rows * pointer_bytes": "3 rows have 4 pointers: where each one starts, and where the last one ends.",
            "return n_ratings * 5 + (n_rows + 1) * 4": "use all three widths; they need not be 1, 4 and 4.",
            "return n_ratings * (value_bytes + index_bytes) + (n_rows + 1) * index_bytes": "a pointer takes `pointer_bytes`, not the bytes of a column index.",
            "return n_ratings * (value_bytes + index_bytes) + (n_ratings + 1) * pointer_bytes": "there is one pointer per *row*, not per rating.",
        }.items(),
        hints=[
            "Three arrays: `data` and `indices` have one entry per rating. How many has `indptr`?",
            "`n_ratings` times the sum of two widths, plus `n_rows + 1` times the third.",
        ],
        minutes=4,
    ),
    Exercise(
        "01.3",
        "break_even",
        number,
        cases=cases((1, 3), (8, 4), (4, 8)),
        inputs=lambda rng: tuple(int(n) for n in rng.integers(1, 17, 2)),
        mistakes={
            "return value_bytes / place_bytes": "a stored rating needs bytes for its value *and* for its place.",
            "return place_bytes / (value_bytes + place_bytes)": "at that density the two differ: compare d · (value + place), the sparse bytes per cell, with value, the dense ones.",
            "return 100 * value_bytes / (value_bytes + place_bytes)": "a share is between 0 and 1, not a percentage.",
            "return (value_bytes + place_bytes) / value_bytes": "a share of the cells is at most 1; did you divide the other way round?",
            "return round(value_bytes / (value_bytes + place_bytes), 2)": "do not round: a density can be far below a hundredth.",
        }.items(),
        hints=[
            "Write down the bytes of both for N cells and density d: what does one cell cost, what does one rating cost?",
            "Solve `d * (value_bytes + place_bytes) = value_bytes` for d.",
        ],
    ),
    Exercise(
        "01.4",
        "one_hot",
        csr,
        cases=cases((USERS, ITEMS, 2, 3), (USERS, ITEMS, 4, 5)),
        inputs=some_ratings,
        mistakes={
            "n_users + np.asarray(items) => items": "the columns of the items come after those of the users.",
            "[users, n_users + np.asarray(items)] => [n_items + users, items]": "the columns of the users come first, then those of the items.",
            "n_users + np.asarray(items) => n_users + items - 1": "item 0 has the first column after the users.",
            "axis=1 => axis=0": "the two columns of a row stand side by side in `indices`: user, item, user, item.",
            ", shape=(n, n_users + n_items) => ": "without `shape`, the width is guessed from the last column that occurs.",
            "[users, => [np.sort(users),": "keep the ratings in their order.",
        }.items(),
        checks=[
            grows(steps, 2, ratings(20, 9), ratings(400, 9), LOOP),
            grows(memory, 5, ratings(1000, 10), ratings(1000, 1500), DENSE),
        ],
        hints=[
            "Row 0 has its ones in columns `users[0]` and `n_users + items[0]`; row 1 follows. So `indices` alternates.",
            "`indices = np.stack([users, n_users + items], axis=1).ravel()` alternates; every row starts two after the one before: `indptr = np.arange(0, 2 * len(users) + 1, 2)`.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "01.5",
        "pad",
        integers,
        cases=cases(
            ([[3, 1], [5, 2, 9]], 3),
            ([[3, 1], [5, 2, 9, 4]], 3),
            ([[0, 2]], 4),
            ([[7], [], [6, 8]], 2),
        ),
        inputs=some_lists,
        mistakes={
            "-1) => 0)": "0 is the index of an item; fill with a number that no item has, -1.",
            "return np.array([([-1] * width + list(e)[:width])[-width:] for e in lists])": "fill up at the end, not in front.",
            "[:width] => [-width:]": "a long list loses its end, not its beginning.",
            "table = => width = min(width, max(map(len, lists)))\ntable =": "the table has `width` columns, also where all lists are shorter.",
            "table = => lists = [e for e in lists if e]\ntable =": "an empty list has a row, too, of padding only.",
            "entries[:width] => sorted(entries[:width])": "keep the order of a list.",
        }.items(),
        checks=[_holds_integers],
        hints=[
            "Start from a table full of -1, `table = np.full((len(lists), width), -1)`, and write into it.",
            "For each list, `kept = entries[:width]` fits; write it into its row: `table[i, : len(kept)] = kept`.",
        ],
        minutes=6,
    ),
    Exercise(
        "01.6",
        "mean_shared",
        number,
        cases=cases(
            (np.array([3, 1, 2, 0]), 3),
            (np.array([1, 1, 1, 1]), 10),
            (np.array([2]), 4),
            (np.array([67310, 341]), 138493),
        ),
        inputs=some_popularity,
        mistakes={
            "return (popularity**2).sum() / n_users**2": "that also pairs each user with themselves: an item rated by one user is shared by nobody.",
            "return (popularity**2).sum() / n_users / (n_users - 1)": "that also pairs each user with themselves: an item rated by one user is shared by nobody.",
            "return popularity.mean() ** 2 * len(popularity) / n_users**2": "that is the formula for items drawn at random; count the pairs of each item instead.",
            "return (popularity * (popularity - 1)).sum() / 2": "a mean is asked for: divide by the number of pairs of users.",
            "return (popularity * (popularity - 1)).sum() / 2 / n_users": "a mean over *pairs* of users is asked for, not over users.",
            "return (popularity * (popularity - 1)).sum() / 2 / (n_users * (n_users - 1))": "the half belongs to both: items' pairs and users' pairs.",
            "return 2 * (popularity * (popularity - 1)).sum() / (n_users * (n_users - 1))": "the half belongs to both: items' pairs and users' pairs.",
            "return (popularity / n_users).sum()": "that is the mean number of items of *one* user.",
        }.items(),
        hints=[
            "An item with c ratings is shared by c(c - 1)/2 pairs. How many pairs do `n_users` users make?",
            "Both halves cancel: sum `popularity * (popularity - 1)` and divide by `n_users * (n_users - 1)`.",
        ],
        minutes=8,
        stretch=True,
    ),
    Quiz(
        "01.q3",
        "The table of shared items has a row and a column for each user and is 88 % full. With four bytes for a value, a column index and a pointer each, which form is smallest?",
        "c",
        {
            "CSR": "CSR needs four more bytes for the place of each value. What is `break_even(4, 4)`?",
            "COO, the triples": "Triples store a row and a column with each value. The dense array is smaller even earlier than with CSR.",
            "A dense array": "Dense wins above `break_even(4, 4)`, one half. The product of two sparse tables is often dense.",
        },
    ),
)
