"""The table of ratings that every chapter starts from: indices, raw ids, and the items' titles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
ITEM_COLUMNS = ("item_id", "title", "year", "genres")
FRAME_DTYPES = {"user": np.int32, "item": np.int32, "rating": np.float32, "timestamp": np.int64}
LATEST_SECOND = 100_000_000_000  # year 5138; larger numbers are milliseconds
BEFORE_1990, AFTER_2100 = 631_152_000, 4_133_980_800  # seconds since 1970


class DataError(ValueError):
    """Data or an argument is wrong: the message says where, what was found and what to do."""


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Ratings with contiguous zero-based indices, the items' table, and the way back to raw ids.

    Parameters
    ----------
    name : str
        Name of the data set, such as ``"latest-small"``.
    frame : pandas.DataFrame
        One row per interaction, in file order: ``user`` int32, ``item`` int32,
        ``rating`` float32 (stars), ``timestamp`` int64 (seconds since 1970, UTC).
    items : pandas.DataFrame
        Index ``item`` (0 … n_items - 1); columns ``item_id``, ``title`` (str),
        ``year`` (Int16, missing allowed), ``genres`` (tuple of str, may be empty).
    user_ids, item_ids : numpy.ndarray, shape (n_users,), (n_items,)
        Raw id of each user and item, strictly increasing.
    """

    name: str
    frame: pd.DataFrame
    items: pd.DataFrame
    user_ids: np.ndarray
    item_ids: np.ndarray

    @classmethod
    def from_frame(
        cls,
        ratings: pd.DataFrame,
        items: pd.DataFrame | None = None,
        name: str = "your data",
        *,
        rating_range: tuple[float, float] | None = (0.5, 5.0),
        keep_latest: bool = False,
    ) -> Interactions:
        """Return a checked table of ratings with indices; print what is converted.

        Parameters
        ----------
        ratings : pandas.DataFrame
            Columns ``user_id``, ``item_id`` (integers or strings), ``rating`` (stars) and perhaps
            ``timestamp`` (seconds since 1970, or dates). Other columns are left behind.
        items : pandas.DataFrame, optional
            Columns ``item_id`` and, each optional, ``title``, ``year`` (number), ``genres``
            (tuple, or one string with ``|`` between). Items without a rating are left out.
        rating_range : (float, float) or None
            Smallest and largest rating allowed; None allows any finite number.
        keep_latest : bool
            Whether to keep the latest of several ratings of a pair, instead of raising.

        Raises
        ------
        DataError
            For a value that is missing, wrong or out of range, a pair of user and item that is
            there twice, and a rated item that ``items`` lacks; names the row.
        """
        columns = list(ratings.columns) if isinstance(ratings, pd.DataFrame) else []
        counts = [columns.count(column) for column in RATING_COLUMNS]
        if counts[:3] != [1, 1, 1] or counts[3] > 1:
            found = ", ".join(map(str, columns)) or f"no column in a {type(ratings).__name__}"
            raise DataError(
                f"{name}: found {found}, expected a pandas DataFrame "
                f"with the columns {', '.join(RATING_COLUMNS)}, once each; rename or add columns"
            )
        if len(ratings) == 0:
            raise DataError(f"{name}: empty, expected at least one rating; is it the right file?")
        if counts[3] == 0:
            ratings = ratings.assign(timestamp=0)
            print(
                f"{name}: no timestamp column, so every timestamp is 0; "
                "random_split and cold_item_split work, splits by time do not."
            )
        user, user_ids = _indices(ratings["user_id"], name)
        item, item_ids = _indices(ratings["item_id"], name)
        rating = _stars(ratings["rating"], rating_range, name)
        seconds = _seconds(ratings["timestamp"], name)
        values = {"user": user, "item": item, "rating": rating, "timestamp": seconds}
        frame = pd.DataFrame(values, copy=False)
        if keep_latest:
            frame = frame.sort_values("timestamp", kind="stable")
            frame = frame.drop_duplicates(["user", "item"], keep="last")
            frame = frame.sort_index(ignore_index=True)
        else:
            _refuse_repeats(user.astype(np.int64) * len(item_ids) + item, ratings, name)
        table = _items_table(items, ratings["item_id"], item_ids, name)
        return cls(name, frame, table, user_ids, item_ids)

    @property
    def n_users(self) -> int:
        """Number of users, also of those without a row in ``frame`` (as in a split)."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of items, also of those without a row in ``frame`` (as in a split)."""
        return len(self.item_ids)

    @property
    def density(self) -> float:
        """Share of the user × item matrix that is filled, between 0 and 1."""
        return len(self) / (self.n_users * self.n_items)

    def __len__(self) -> int:
        """Return the number of interactions."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Return one line: name, sizes, and how full the matrix is."""
        sizes = f"{self.n_users:,} users × {self.n_items:,} items"
        return f"{self.name}: {len(self):,} interactions, {sizes}, {self.density:.2%} full"

    def user_of(self, user_id: Any) -> Any:
        """Return the index of a raw user id, or int32 indices of an array of them."""
        return _index_of(user_id, self.user_ids, "user_id", self.name)

    def item_of(self, item_id: Any) -> Any:
        """Return the index of a raw item id, or int32 indices of an array of them."""
        return _index_of(item_id, self.item_ids, "item_id", self.name)

    def replace(self, frame: pd.DataFrame) -> Interactions:
        """Return the same users and items with a copy of other rows, which are checked."""
        for column, size in (("user", self.n_users), ("item", self.n_items)):
            expected = f"an index, 0 to {size - 1}; raw ids become indices with {column}_of()"
            whole = frame[column].dtype.kind in "iu" or frame[column] % 1 == 0
            inside = frame[column].between(0, size - 1) & whole
            _refuse(~inside, frame[column], self.name, expected)
        _refuse(~np.isfinite(frame["rating"]), frame["rating"], self.name, "a finite number")
        rows = {name: frame[name].astype(kind).to_numpy() for name, kind in FRAME_DTYPES.items()}
        return replace(self, frame=pd.DataFrame(rows, copy=False))

    def matrix(self) -> csr_matrix:
        """Return the ratings as a sparse (n_users, n_items) float32 matrix of the rated cells."""
        cells = (self.frame["user"].to_numpy(), self.frame["item"].to_numpy())
        return csr_matrix((self.frame["rating"], cells), shape=(self.n_users, self.n_items))

    def user_counts(self) -> np.ndarray:
        """Return the number of interactions of each user, (n_users,) int64."""
        return np.bincount(self.frame["user"], minlength=self.n_users)

    def item_counts(self) -> np.ndarray:
        """Return the number of interactions of each item, its popularity, (n_items,) int64."""
        return np.bincount(self.frame["item"], minlength=self.n_items)


def _place(name: str, column: pd.Series, i: int) -> str:
    """Return the name of row ``i``, by its index label, as errors show it."""
    return f"{name}: {column.index.name or 'row'} {column.index[[i]].tolist()[0]!r}"


def _refuse(bad: Any, column: pd.Series, name: str, expected: str) -> None:
    """Raise for the first entry of ``column`` where ``bad`` is true, if there is one."""
    places = np.flatnonzero(bad)
    if len(places):
        value = column.iloc[places[0]]
        found = "missing" if pd.isna(value) else repr(value) if isinstance(value, str) else value
        more = f" ({len(places) - 1} more like it)" if len(places) > 1 else ""
        place = _place(name, column, places[0])
        raise DataError(f"{place}: {column.name} is {found}, expected {expected}{more}")


def _indices(ids: pd.Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each row, (n,) int32, and the sorted raw ids, int64 or str."""
    codes, found = pd.factorize(ids)
    _refuse(codes < 0, ids, name, "an id; fill it in or drop the row")
    values = np.asarray(found)
    kind = pd.api.types.infer_dtype(values)
    advice = f"convert the column with frame[{ids.name!r}].astype(str)"
    if kind.startswith("mixed"):
        first = type(values[0])
        odd = np.array([not isinstance(value, first) for value in values])
        _refuse(odd[codes], ids, name, f"another {first.__name__} like {values[0]!r}; {advice}")
    if kind == "integer":
        wide = (values >= 2**63) | (values < -(2**63))
        _refuse(wide[codes], ids, name, f"a number below 2^63; {advice}")
    elif kind != "string":
        if kind == "floating" and (abs(values) < 2**53).all() and (values % 1 == 0).all():
            advice = advice.replace("str", "'int64'")
        _refuse(codes >= 0, ids, name, f"an integer or a string; {advice}")
    values = values.astype(str if kind == "string" else np.int64)
    order = values.argsort()
    return order.argsort().astype(np.int32)[codes], values[order]


def _stars(ratings: pd.Series, allowed: tuple[float, float] | None, name: str) -> np.ndarray:
    """Return the ratings as float32, or raise for the first that is not a number in range."""
    numbers = ratings
    if not pd.api.types.is_numeric_dtype(numbers) or numbers.dtype.kind in "bc":
        texts = ratings.astype(str).str.strip().str.replace(",", ".", regex=False)
        numbers = pd.to_numeric(texts, errors="coerce")
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        stored = values.astype(np.float32)
    _refuse(~np.isfinite(stored), ratings, name, "a finite number; correct or drop the row")
    low, high = allowed or (-np.inf, np.inf)
    outside = ~((values >= low) & (values <= high))
    advice = "correct the row, or give rating_range= for another scale"
    _refuse(outside, ratings, name, f"{low:g} to {high:g}; {advice}")
    return stored


def _seconds(timestamps: pd.Series, name: str) -> np.ndarray:
    """Return seconds since 1970 as int64, also of dates, or raise for the first that is neither."""
    seconds = timestamps
    if not pd.api.types.is_integer_dtype(timestamps):
        texts = timestamps.astype(str).str.strip().str.replace(",", ".", regex=False)
        seconds = pd.to_numeric(texts, errors="coerce")
        dated = seconds.isna().mean() > 0.5
        if dated:
            dates = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
            seconds = (dates - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("1s")
        expected = "whole seconds since 1970, or dates such as 2020-01-31 12:00:00 everywhere"
        advice = "correct or drop the row, or drop the column"
        _refuse(seconds.isna() | (seconds % 1 != 0), timestamps, name, f"{expected}; {advice}")
        if dated:
            found = f"{name}: timestamps such as {texts.iloc[0]} became seconds since 1970"
            print(f"{found}, as UTC where no time zone is given.")
    divisor = 1
    while divisor < 10**9 and (seconds > LATEST_SECOND).all():  # milliseconds, or finer
        seconds, divisor = seconds // 1000, divisor * 1000
    if divisor > 1:
        print(f"{name}: timestamps were divided by {divisor:,}, which makes them seconds.")
    expected = f"seconds since 1970, 0 to {LATEST_SECOND}; correct or drop the row"
    _refuse(seconds.isna() | ~seconds.between(0, LATEST_SECOND), timestamps, name, expected)
    latest = int(seconds.max())
    if 0 < latest < BEFORE_1990 or seconds.min() > AFTER_2100:
        print(
            f"{name}: no timestamp of 1990 to 2100, the last is {pd.Timestamp(latest, unit='s')}; "
            "if that is wrong, write dates as 2019-03-01, and they are converted."
        )
    return seconds.to_numpy(dtype=np.int64, copy=True)


def _refuse_repeats(pairs: np.ndarray, ratings: pd.DataFrame, name: str) -> None:
    """Raise for the first row whose user and item, one number in ``pairs``, were there before."""
    in_order = (pairs[1:] > pairs[:-1]).all()  # as in MovieLens' files: no need to sort
    if not in_order and len(np.unique(pairs)) < len(pairs):
        second = int(pd.Series(pairs).duplicated().to_numpy().argmax())
        first = int((pairs == pairs[second]).argmax())
        user_id, item_id = ratings[["user_id", "item_id"]].iloc[second]
        here, there = (_place(name, ratings["user_id"], i) for i in (second, first))
        raise DataError(
            f"{here}: user_id {user_id} rated item_id {item_id} before (at {there}), "
            "expected one rating per pair; keep the latest with keep_latest=True"
        )


def _index_of(raw: Any, ids: np.ndarray, column: str, name: str) -> Any:
    """Return the place of raw ids in the sorted ``ids``."""
    wanted = np.asarray(raw)
    whole = np.issubdtype(ids.dtype, np.integer)
    if np.issubdtype(wanted.dtype, np.integer) != whole or wanted.dtype == bool:
        raise DataError(
            f"{name}: {column} {raw!r} is of type {type(raw).__name__}, "
            f"expected {'an integer' if whole else 'a string'} such as {ids[0]}"
        )
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    wrong = ids[at] != wanted
    if wrong.any():
        first = np.atleast_1d(wanted)[np.atleast_1d(wrong)][0]
        span = f"{len(ids):,} ids run from {ids[0]} to {ids[-1]}"
        raise DataError(f"{name}: no {column} {first}; its {span}, with gaps")
    return int(at) if at.ndim == 0 else at.astype(np.int32)


def _items_table(
    items: pd.DataFrame | None, rated: pd.Series, item_ids: np.ndarray, name: str
) -> pd.DataFrame:
    """Return one row per id of ``item_ids``, in that order; ``rated`` holds each rating's item."""
    if items is None:
        titles = [f"untitled {item_id}" for item_id in item_ids.tolist()]
        genres: list[Any] = [()] * len(titles)
        no_year = pd.array([pd.NA], "Int16").repeat(len(titles))
        columns = {"item_id": item_ids, "title": titles, "year": no_year, "genres": genres}
        return pd.DataFrame(columns).rename_axis(index="item")
    names = list(items.columns) if isinstance(items, pd.DataFrame) else []
    if "item_id" not in names or any(names.count(column) > 1 for column in ITEM_COLUMNS):
        found = ", ".join(map(str, names)) or f"no column in a {type(items).__name__}"
        raise DataError(f"{name}: items: found {found}, expected item_id, once; rename columns")
    items = items.reindex(columns=list(ITEM_COLUMNS))
    ids, place = items["item_id"], f"{name}: items"
    known = _indices(ids, place)[1]
    _refuse(ids.duplicated(), ids, place, "each id once; drop the second row")
    unknown = ~pd.Index(item_ids).isin(known)
    if unknown.any():
        advice = "an item of items; add it there or drop the rating"
        if known.dtype.kind != item_ids.dtype.kind:
            advice = "an item of items, whose ids have another type; convert both columns to str"
        _refuse(rated.isin(item_ids[unknown]), rated, name, advice)
    years: pd.Series = pd.to_numeric(items["year"], errors="coerce")
    wrong = items["year"].notna() & ~years.between(0, 9999)
    _refuse(wrong, items["year"], place, "a year of four digits or nothing")
    items["year"] = years.astype("float64").round().astype("Int16")
    table = items.set_index("item_id").reindex(item_ids).reset_index()
    title = table["title"].fillna("").astype(str)
    table["title"] = title.where(title != "", "untitled " + table["item_id"].astype(str))
    table["genres"] = [_genres(value) for value in table["genres"]]
    return table.rename_axis(index="item")


def _genres(value: Any) -> tuple[str, ...]:
    """Return genres as a tuple; a missing value has none."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split("|") if part.strip()]
    return tuple(value) if isinstance(value, (tuple, list)) else ()
