"""From raw ids and any items' table to contiguous indices and one form of table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from .checks import Where, check_ids
from .errors import DataError, UnknownIdError


def row_names(name: str, frame: pd.DataFrame) -> Where:
    """Return the function that names row ``i`` of a frame by its index label."""
    return lambda i: name if i < 0 else f"{name}: row {frame.index[i]!r}"


def contiguous(ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each row and the sorted raw ids."""
    codes, uniques = pd.factorize(ids, sort=True)
    if pd.api.types.is_integer_dtype(ids.dtype) or isinstance(uniques[0], (int, np.integer)):
        return codes.astype(np.int32), np.asarray(uniques, dtype=np.int64)
    return codes.astype(np.int32), np.asarray(uniques, dtype=str)


def index_of(raw: Any, ids: np.ndarray, column: str, name: str) -> Any:
    """Look raw ids up in the sorted ``ids``."""
    wanted = np.asarray(raw)
    comparable = np.issubdtype(wanted.dtype, np.integer) == np.issubdtype(ids.dtype, np.integer)
    if not comparable or wanted.dtype == bool:
        raise UnknownIdError(
            f"{name}: {column} {raw!r} is of type {type(raw).__name__}, expected "
            f"{'an integer' if np.issubdtype(ids.dtype, np.integer) else 'a string'} such as {ids[0]}"
        )
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    wrong = ids[at] != wanted
    if wrong.any():
        first = np.atleast_1d(wanted)[np.atleast_1d(wrong)][0]
        raise UnknownIdError(
            f"{name}: no {column} {first}; its {len(ids):,} ids run from {ids[0]} to {ids[-1]}, with gaps"
        )
    return int(at) if at.ndim == 0 else at.astype(np.int32)


def items_table(
    items: pd.DataFrame | None, item_ids: np.ndarray, name: str, where: Callable[[int], str]
) -> pd.DataFrame:
    """Bring any items' table to the one form: a row an item, in the order of the index."""
    if items is None:
        items = pd.DataFrame({"item_id": item_ids})
    if "item_id" not in items.columns:
        raise DataError(
            f"{name}: the items' table has no column item_id; found "
            f"{', '.join(map(str, items.columns)) or 'none'}"
        )
    place = row_names(f"{name}: items", items)
    check_ids(items["item_id"], "item_id", place)
    repeated = items["item_id"].duplicated().to_numpy()
    if repeated.any():
        i = int(repeated.argmax())
        raise DataError(
            f"{place(i)}: item_id {items['item_id'].iloc[i]} stands there twice, expected once"
        )
    years = _years(items, place).set_axis(items["item_id"])
    rows = items.set_index("item_id").reindex(item_ids)
    known = np.isin(item_ids, items["item_id"].to_numpy())
    if not known.all():
        i = int(known.argmin())
        raise DataError(
            f"{where(i)}: item_id {item_ids[i]} is not in the items' table ({len(items):,} items); add it "
            "there or drop its ratings"
        )
    count = len(item_ids)
    titles = rows["title"] if "title" in rows else pd.Series([None] * count, dtype=object)
    genres = rows["genres"] if "genres" in rows else pd.Series([()] * count, dtype=object)
    return pd.DataFrame(
        {
            "item_id": item_ids,
            "title": [
                t if isinstance(t, str) and t else f"untitled {i}"
                for t, i in zip(titles, item_ids, strict=True)
            ],
            "year": years.reindex(item_ids).array,
            "genres": [_genres(value) for value in genres],
        },
        index=pd.RangeIndex(count, name="item"),
    )


def _years(items: pd.DataFrame, where: Where) -> pd.Series:
    """Return the years as Int16, missing where the table has none."""
    if "year" not in items:
        return pd.Series(pd.NA, index=items.index, dtype="Int16")
    years = pd.to_numeric(items["year"], errors="coerce")
    wrong = (items["year"].notna() & ~years.between(0, 9999)).to_numpy(dtype=bool)
    if wrong.any():
        i = int(wrong.argmax())
        raise DataError(
            f"{where(i)}: year is {items['year'].iloc[i]!r}, expected a year of four digits or nothing"
        )
    return years.astype("float64").round().astype("Int16")


def _genres(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part for part in value.split("|") if part)
    return tuple(value) if isinstance(value, (tuple, list)) else ()
