"""Content features of items: genres, year, title words, and vectors from a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from helpers.models.base import all_finite
from helpers.models.text import count_rows, unit_rows, words

#: Knots of the year's basis: a film of 1993 is half "1992" and half "1994".
_KNOTS = np.array([1915, 1930, 1940, 1950, 1960, 1970, 1975, 1980, 1985, *range(1988, 2018, 2)])


def genre_names(items: pd.DataFrame) -> list[str]:
    """Return every genre in an items' table, sorted."""
    return sorted({genre for genres in items["genres"] for genre in genres})


def genre_rows(items: pd.DataFrame, names: Sequence[str] | None = None) -> sparse.csr_matrix:
    """Return each item's genres as a row of length 1, (n_items, len(names)); zeros for no genre.

    The columns ``names`` are `genre_names` by default; other genres are left out.
    """
    return unit_rows(count_rows(items["genres"], genre_names(items) if names is None else names))


def year_rows(items: pd.DataFrame) -> sparse.csr_matrix:
    """Return each year spread over the two knots beside it, (n_items, n_knots); zeros if unknown.

    Neighboring years then share weights, also years that training never saw.
    """
    years = pd.to_numeric(items["year"]).to_numpy(dtype=np.float64, na_value=np.nan)
    all_finite(year=years[~np.isnan(years)])
    basis = np.column_stack([np.interp(years, _KNOTS, row) for row in np.eye(len(_KNOTS))])
    return sparse.csr_matrix(np.nan_to_num(basis), dtype=np.float32)


def word_rows(titles: Sequence[Any]) -> sparse.csr_matrix:
    """Return title words as rows of length 1, weighted by log(titles / titles with the word)."""
    found = [sorted(set(words(title))) for title in titles]
    table = count_rows(found, sorted({word for some in found for word in some}))
    rare = np.log(len(found) / np.maximum(table.getnnz(axis=0), 1))
    return unit_rows(table @ sparse.diags(rare.astype(np.float32)))


def item_vectors(n_items: int) -> tuple[npt.NDArray[np.float32] | None, str]:
    """Return vectors of items from a file, (n_items, d) float32 or None, and what to tell of them.

    The environment variable ``ITEM_VECTORS`` names a file that ``numpy.save`` wrote: one row of
    finite numbers per item. Of any other file the sentence says what is wrong.
    """
    given = os.environ.get("ITEM_VECTORS", "").strip()
    if not given:
        return None, "ITEM_VECTORS names no file, so the towers read no vectors."
    name = Path(given).name
    try:
        found = np.load(given, allow_pickle=False)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
            raise ValueError
    except (OSError, ValueError, EOFError):
        return None, f"{name}: no file here that numpy.save wrote with numbers; not used."
    with np.errstate(over="ignore"):  # too large for 32 bits: infinity, which is refused below
        table = found.astype(np.float32)
    if table.ndim != 2 or len(table) != n_items or not table.shape[1]:
        return None, f"{name}: shape {table.shape}, expected ({n_items}, d) with d > 0; not used."
    if not np.isfinite(table).all():
        return None, f"{name}: found NaN or infinity, expected finite numbers; not used."
    return table, f"{name}: {table.shape[1]} numbers for each of {n_items:,} items."
