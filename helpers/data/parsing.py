"""From the bytes of a ratings file to a raw table; every error names file and line."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from typing import Any

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
INTEGER = re.compile(r"[+-]?[0-9]+")


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
        Columns user_id and item_id (int64, or strings for ``"own"``), rating
        (float32), timestamp (int64); a row a line, so that row ``i`` is named by
        :func:`line_names`.

    Raises
    ------
    DataError
        Naming file and line, what was found and what was expected.
    """
    form = LAYOUTS[layout]
    content = clean(content, file)
    columns = list(RATING_COLUMNS)
    if form.header:
        columns = [
            COLUMN_NAMES.get(c.strip(), c.strip())
            for c in to_text(content.split(b"\n", 1)[0]).split(form.separator)
        ]
        _check_header(columns, file)
    separators = content.count(form.separator.encode())
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    if lines <= form.header:
        raise DataError(
            f"{file}: no ratings after the header line, expected at least one; is the download complete?"
        )
    dtypes: Any = {"rating": np.float32, "timestamp": np.int64}
    if form.integer_ids:
        dtypes |= {"user_id": np.int64, "item_id": np.int64}
    try:
        if separators != lines * (len(columns) - 1):
            raise ValueError("lines differ in their number of fields")
        table = pd.read_csv(
            io.BytesIO(
                content
                if len(form.separator) == 1
                else content.replace(form.separator.encode(), b"\t")
            ),
            sep=form.separator if len(form.separator) == 1 else "\t",
            header=0 if form.header else None,
            names=columns,
            usecols=list(RATING_COLUMNS),
            dtype=dtypes,
            quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,
            na_values=[""],
            keep_default_na=False,
            low_memory=False,
        )
        if len(table) != lines - form.header:
            raise ValueError(f"{len(table)} rows from {lines} lines")
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        _diagnose(content, file, form, columns)
        raise DataError(
            f"{file}: cannot be read as a table of ratings ({error}); get a fresh copy"
        ) from error
    return table[list(RATING_COLUMNS)]


def clean(content: bytes, file: str, binary: bool = False) -> bytes:
    """Refuse what is not text, and bring line ends to one newline."""
    if not content.strip():
        raise DataError(
            f"{file}: empty, expected lines of text; check that the download is complete"
        )
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


def to_text(content: bytes) -> str:
    """Decode what :func:`clean` let through."""
    return content.decode("utf-8")


def _check_header(columns: list[str], file: str) -> None:
    missing = [c for c in RATING_COLUMNS if c not in columns]
    repeated = sorted({c for c in columns if columns.count(c) > 1})
    if missing or repeated:
        problem = (
            f"has no column {', '.join(missing)}"
            if missing
            else f"names {', '.join(repeated)} twice"
        )
        raise DataError(
            f"{file}: line 1 {problem}; found {', '.join(columns)[:200]}, "
            f"expected {', '.join(RATING_COLUMNS)}"
        )


def _diagnose(content: bytes, file: str, form: Layout, columns: list[str]) -> None:
    """Find the first line at fault the slow way, and raise for it."""
    whole = {"timestamp"} | ({"user_id", "item_id"} if form.integer_ids else set())
    for line, text in enumerate(to_text(content).removesuffix("\n").split("\n"), start=1):
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
            if column in whole and not (INTEGER.fullmatch(value) and abs(int(value)) < 2**63):
                raise DataError(
                    f"{file}: line {line}: {column} is {value[:40]!r}, expected an integer"
                )
            if column == "rating" and not _is_number(value):
                raise DataError(
                    f"{file}: line {line}: rating is {value[:40]!r}, expected a finite number"
                )


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
