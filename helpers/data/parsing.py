"""From the bytes of a ratings or items file to a raw table; every error names file and line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .checks import RATING_COLUMNS, Where
from .errors import DataError

COLUMN_NAMES = {  # what files call our columns
    "userId": "user_id",
    "movieId": "item_id",
    "user_id:token": "user_id",
    "item_id:token": "item_id",
    "rating:float": "rating",
    "timestamp:float": "timestamp",
}
U_ITEM_GENRES = (  # the last 19 columns of u.item, in order
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary"),
    *("Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)
NO_GENRE = {"unknown", "(no genres listed)"}
INTEGER = re.compile(r"[+-]?[0-9]+")
TITLE_YEAR = re.compile(r"(?P<title>.*?)\s*\((?P<year>[0-9]{4})(?:[-–][0-9]{0,4})?\)(?:\s*\(V\))?")


@dataclass(frozen=True)
class Layout:
    """How a ratings file is laid out."""

    separator: str
    header: bool
    integer_ids: bool = True


LAYOUTS = {
    "u.data": Layout("\t", header=False),
    "inter": Layout("\t", header=True),
    "dat": Layout("::", header=False),
    "csv": Layout(",", header=True),
    "own": Layout(",", header=True, integer_ids=False),
}


def line_names(file: str, layout: str) -> Where:
    """Return the function that names row ``i`` of a parsed file by its line, counted from 1."""
    first = 2 if LAYOUTS[layout].header else 1
    return lambda i: file if i < 0 else f"{file}: line {i + first}"


def parse_ratings(content: bytes, file: str, layout: str) -> pd.DataFrame:
    """Parse a ratings file.

    Parameters
    ----------
    content : bytes
    file : str
        Name for messages.
    layout : str
        ``"u.data"``, ``"inter"`` (RecBole), ``"dat"`` (ML-1M), ``"csv"`` (ML-20M,
        latest) or ``"own"`` (CSV whose ids may be strings).

    Returns
    -------
    pandas.DataFrame
        Columns user_id and item_id (int32, or strings for ``"own"``), rating
        (float32), timestamp (int64); a row a line, so that row ``i`` is named by
        :func:`line_names`.

    Raises
    ------
    DataError
        Naming file and line, what was found and what was expected.
    """
    form = LAYOUTS[layout]
    content = _clean(content, file)
    columns = list(RATING_COLUMNS)
    if form.header:
        columns = [
            COLUMN_NAMES.get(c.strip(), c.strip())
            for c in _text(content.split(b"\n", 1)[0]).split(form.separator)
        ]
        _check_header(columns, file)
    separators = content.count(form.separator.encode())
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    if lines <= form.header:
        raise DataError(
            f"{file}: no ratings after the header line, expected at least one; is the download complete?"
        )
    ids = {"user_id": np.int32, "item_id": np.int32} if form.integer_ids else {}
    try:
        if separators != lines * (len(columns) - 1):
            raise ValueError("lines differ in their number of fields")
        table = pd.read_csv(
            io.BytesIO(
                content if len(form.separator) == 1 else content.replace(form.separator.encode(), b"\t")
            ),
            sep=form.separator if len(form.separator) == 1 else "\t",
            header=0 if form.header else None,
            names=columns,
            usecols=list(RATING_COLUMNS),
            dtype={**ids, "rating": np.float32, "timestamp": np.int64},
            quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,
            na_values=[""],
            keep_default_na=False,
        )
        if len(table) != lines - form.header:
            raise ValueError(f"{len(table)} rows from {lines} lines")
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        _diagnose(content, file, form, columns)
        raise DataError(
            f"{file}: cannot be read as a table of ratings ({error}); get a fresh copy"
        ) from error
    return table[list(RATING_COLUMNS)]


def parse_items(content: bytes, file: str, layout: str) -> pd.DataFrame:
    """Parse an items file.

    Parameters
    ----------
    content : bytes
    file : str
        Name for messages.
    layout : str
        ``"u.item"`` (ML-100K, Latin-1), ``"item"`` (RecBole), ``"dat"`` (ML-1M,
        Latin-1), ``"csv"`` (ML-20M, latest) or ``"own"`` (item_id, title, year, genres).

    Returns
    -------
    pandas.DataFrame
        Columns item_id, title (str, without the year, empty where missing), year
        (float, NaN where missing), genres (tuple of str, empty where none is listed).

    Raises
    ------
    DataError
        Naming file and line, what was found and what was expected.
    """
    content = _clean(content, file, binary=layout in ("u.item", "dat"))
    rows = []
    for line, fields in _item_fields(content, file, layout):
        raw_id, title, year, genres = fields
        rows.append(
            (_integer_or_text(raw_id, file, line, layout), *_title_year(title, year), _genres(genres))
        )
    if not rows:
        raise DataError(f"{file}: no items, expected at least one; check that the download is complete")
    return pd.DataFrame(rows, columns=["item_id", "title", "year", "genres"])


def _item_fields(
    content: bytes, file: str, layout: str
) -> Iterator[tuple[int, tuple[str, str, str, list[str]]]]:
    """Yield line number, raw id, title, year ("" where it stands in the title) and genres."""
    if layout == "u.item":
        for line, fields in _lines(content, file, "|", 24, "latin-1"):
            genres = [g for g, flag in zip(U_ITEM_GENRES, fields[5:], strict=True) if flag == "1"]
            yield line, (fields[0], fields[1], "", genres)
    elif layout == "dat":
        for line, fields in _lines(content, file, "::", 3, "latin-1"):
            yield line, (fields[0], fields[1], "", fields[2].split("|"))
    elif layout == "item":
        for line, fields in _lines(content, file, "\t", 4, "utf-8"):
            if line > 1:
                title = fields[1].replace("unkonwn", "unknown")  # sic, in RecBole's file
                yield line, (fields[0], title, fields[2], fields[3].split(" "))
    else:
        own = layout == "own"
        expected = ["item_id", "title", "year", "genres"] if own else ["movieId", "title", "genres"]
        reader = csv.reader(io.StringIO(_text(content), newline=""), strict=True)
        line = 1
        try:
            for number, fields in enumerate(reader):
                if number == 0 and fields != expected:
                    raise DataError(
                        f"{file}: line 1 is {','.join(fields)}, expected the header {','.join(expected)}"
                    )
                if len(fields) != len(expected):
                    raise DataError(
                        f"{file}: line {line} has {len(fields)} fields, expected {len(expected)} "
                        f"({', '.join(expected)})"
                    )
                if number > 0:
                    yield line, (fields[0], fields[1], fields[2] if own else "", fields[-1].split("|"))
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{file}: line {line} is not CSV ({error}); get a fresh copy") from error


def _lines(
    content: bytes, file: str, separator: str, n: int, encoding: str
) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(content.decode(encoding).removesuffix("\n").split("\n"), start=1):
        fields = text.split(separator)
        if len(fields) != n:
            raise DataError(
                f"{file}: line {line} has {len(fields)} fields, expected {n} separated by {separator!r}"
            )
        yield line, fields


def _integer_or_text(raw: str, file: str, line: int, layout: str) -> int | str:
    if INTEGER.fullmatch(raw):
        return int(raw)
    if layout == "own" and raw:
        return raw
    raise DataError(f"{file}: line {line}: item_id is {raw!r}, expected an integer")


def _title_year(title: str, year: str) -> tuple[str, float]:
    """Separate the year from a title such as ``"Toy Story (1995)"``."""
    title = title.strip()
    if year.isdigit():
        return title, float(year)
    found = TITLE_YEAR.fullmatch(title)
    return (found["title"], float(found["year"])) if found else (title, float("nan"))


def _genres(genres: list[str]) -> tuple[str, ...]:
    return tuple(g for g in (genre.strip() for genre in genres) if g and g not in NO_GENRE)


def _clean(content: bytes, file: str, binary: bool = False) -> bytes:
    """Refuse what is not text, and bring line ends to one newline."""
    if not content.strip():
        raise DataError(f"{file}: empty, expected lines of text; check that the download is complete")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    at = content.find(b"\0")
    if at < 0 and not binary:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            at = error.start
    if at >= 0:
        raise DataError(
            f"{file}: line {_line_at(content, at)} holds the byte 0x{content[at]:02x}, which is "
            "not UTF-8 text; save the file as UTF-8"
        )
    return content


def _line_at(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def _text(content: bytes) -> str:
    return content.decode("utf-8")


def _check_header(columns: list[str], file: str) -> None:
    missing = [c for c in RATING_COLUMNS if c not in columns]
    repeated = sorted({c for c in columns if columns.count(c) > 1})
    if missing or repeated:
        problem = f"has no column {', '.join(missing)}" if missing else f"names {', '.join(repeated)} twice"
        raise DataError(
            f"{file}: line 1 {problem}; found {', '.join(columns)[:200]}, "
            f"expected {', '.join(RATING_COLUMNS)}"
        )


def _diagnose(content: bytes, file: str, form: Layout, columns: list[str]) -> None:
    """Find the first line at fault the slow way, and raise for it."""
    whole = {"timestamp"} | ({"user_id", "item_id"} if form.integer_ids else set())
    for line, text in enumerate(_text(content).removesuffix("\n").split("\n"), start=1):
        if form.header and line == 1:
            continue
        fields = text.split(form.separator)
        if len(fields) != len(columns):
            found = "is empty" if not text else f"has {len(fields)} fields"
            raise DataError(
                f"{file}: line {line} {found}, expected {len(columns)} ({', '.join(columns)}) separated by "
                f"{form.separator!r}; get a fresh copy or correct the line"
            )
        for column, value in zip(columns, fields, strict=True):
            if column in whole and not (INTEGER.fullmatch(value) and abs(int(value)) < _limit(column)):
                raise DataError(f"{file}: line {line}: {column} is {value[:40]!r}, expected an integer")
            if column == "rating" and not _is_number(value):
                raise DataError(f"{file}: line {line}: rating is {value[:40]!r}, expected a number")


def _limit(column: str) -> int:
    return 2**63 if column == "timestamp" else 2**31


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return bool(value.strip())
