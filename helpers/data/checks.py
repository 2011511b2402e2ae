"""Checks on raw tables of ratings and items: the boundary where foreign data becomes ours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from .errors import DataError

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
LATEST_SECOND = 100_000_000_000  # year 5138; larger numbers are milliseconds

Where = Callable[[int], str]


def check_ratings(
    ratings: pd.DataFrame,
    where: Where,
    rating_range: tuple[float, float] | None = (0.5, 5.0),
) -> None:
    """Refuse a table of ratings that a model could not be trusted with.

    Parameters
    ----------
    ratings : pandas.DataFrame
        Columns ``user_id``, ``item_id`` (integers or strings), ``rating``
        (number) and ``timestamp`` (whole seconds since 1970, UTC).
    where : callable
        Names the place of row ``i`` (0-based), such as ``"u.data: line 17"``;
        ``where(-1)`` names the whole table.
    rating_range : (float, float) or None
        Smallest and largest rating allowed; None allows any finite number.

    Raises
    ------
    DataError
        Naming the first row at fault, what it holds and what was expected.
    """
    table = where(-1)
    missing = [column for column in RATING_COLUMNS if column not in ratings.columns]
    if missing:
        raise DataError(
            f"{table}: no column {', '.join(missing)}; found "
            f"{', '.join(map(str, ratings.columns)) or 'none'}, expected "
            f"{', '.join(RATING_COLUMNS)}; rename or add the columns"
        )
    if len(ratings) == 0:
        raise DataError(
            f"{table}: empty, expected at least one rating; check that the right file was given"
        )
    for column in ("user_id", "item_id"):
        check_ids(ratings[column], column, where)
    _check_rating_values(ratings["rating"], where, rating_range)
    _check_timestamps(ratings["timestamp"], where)
    _check_pairs(ratings, where)


def check_ids(ids: pd.Series, column: str, where: Where) -> None:
    """Refuse ids that are missing or neither integers nor strings.

    Parameters
    ----------
    ids : pandas.Series
    column : str
        Name to use in the message.
    where : callable
        As in :func:`check_ratings`.

    Raises
    ------
    DataError
        Naming the first row at fault.
    """
    _refuse(
        ids.isna().to_numpy(),
        where,
        lambda i: f"{column} is missing, expected an id; fill it in or drop the row",
    )
    if pd.api.types.is_integer_dtype(ids.dtype):
        return
    if pd.api.types.is_object_dtype(ids.dtype) or pd.api.types.is_string_dtype(ids.dtype):
        strings = np.fromiter((isinstance(value, str) for value in ids), bool, len(ids))
        whole = np.fromiter(
            (isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in ids),
            bool,
            len(ids),
        )
        _refuse(
            ~whole if whole[0] else ~strings,
            where,
            lambda i: (
                f"{column} is {ids.iloc[i]!r} ({type(ids.iloc[i]).__name__}), "
                "expected only integers or only strings"
            ),
        )
        return
    raise DataError(
        f"{where(-1)}: {column} has dtype {ids.dtype}, expected integers or strings; convert it with "
        f"frame[{column!r}].astype('int64')"
    )


def _check_rating_values(
    rating: pd.Series, where: Where, rating_range: tuple[float, float] | None
) -> None:
    if not pd.api.types.is_numeric_dtype(rating.dtype) or pd.api.types.is_bool_dtype(rating.dtype):
        as_number = pd.to_numeric(rating, errors="coerce")
        _refuse(
            as_number.isna().to_numpy(),
            where,
            lambda i: f"rating is {rating.iloc[i]!r}, expected a number",
        )
        raise DataError(
            f"{where(-1)}: rating has dtype {rating.dtype}, expected numbers; convert it with "
            "frame['rating'].astype('float32')"
        )
    values = rating.to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse(
        ~np.isfinite(values),
        where,
        lambda i: (
            f"rating is {values[i]}, expected a finite number; drop the row or fill the value in"
        ),
    )
    if rating_range is not None:
        low, high = rating_range
        _refuse(
            (values < low) | (values > high),
            where,
            lambda i: (
                f"rating is {values[i]:g}, expected {low:g} to {high:g}; correct the row, "
                "or give rating_range= for another scale"
            ),
        )


def _check_timestamps(timestamp: pd.Series, where: Where) -> None:
    _refuse(
        timestamp.isna().to_numpy(),
        where,
        lambda i: "timestamp is missing, expected seconds since 1970 (UTC)",
    )
    if not pd.api.types.is_integer_dtype(timestamp.dtype):
        raise DataError(
            f"{where(-1)}: timestamp has dtype {timestamp.dtype}, expected whole seconds since 1970 (UTC) "
            "as integers; convert dates with frame['timestamp'].astype('datetime64[s]').astype('int64')"
        )
    seconds = timestamp.to_numpy(dtype=np.int64)
    _refuse(
        (seconds < 0) | (seconds > LATEST_SECOND),
        where,
        lambda i: (
            f"timestamp is {seconds[i]}, expected seconds since 1970 (UTC), 0 to {LATEST_SECOND}; "
            "divide milliseconds by 1000"
        ),
    )


def _check_pairs(ratings: pd.DataFrame, where: Where) -> None:
    users, n_users = _codes(ratings["user_id"])
    items, n_items = _codes(ratings["item_id"])
    key = users.astype(np.int64) * n_items + items
    repeated = pd.Series(key).duplicated().to_numpy()
    if repeated.any():
        second = int(repeated.argmax())
        first = int((key == key[second]).argmax())
        raise DataError(
            f"{where(second)}: user_id {ratings['user_id'].iloc[second]} rated item_id "
            f"{ratings['item_id'].iloc[second]} before (at {where(first)}), expected one rating a pair; "
            "keep the latest with frame.drop_duplicates(['user_id', 'item_id'], keep='last')"
        )


def _codes(ids: pd.Series) -> tuple[np.ndarray, int]:
    codes, uniques = pd.factorize(ids)
    return codes, len(uniques)


def _refuse(bad: np.ndarray, where: Where, message: Callable[[int], str]) -> None:
    """Raise for the first true entry of ``bad``, if there is one."""
    if bad.any():
        i = int(bad.argmax())
        more = int(bad.sum()) - 1
        tail = f" ({more} more row{'s' if more > 1 else ''} like it)" if more else ""
        raise DataError(f"{where(i)}: {message(i)}{tail}")
