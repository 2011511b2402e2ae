"""From the bytes of an items file to a raw table; every error names file and line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from functools import lru_cache

import pandas as pd

from .errors import DataError
from .parsing import INTEGER, clean, to_text

U_ITEM_GENRES = (  # the last 19 columns of u.item, in order
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
    ),
    *(
        "Drama",
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
    ),
    *("War", "Western"),
)
NO_GENRE = {"unknown", "(no genres listed)"}
TITLE_YEAR = re.compile(r"(?P<title>.*?)\s*\((?P<year>[0-9]{4})(?:[-–][0-9]{0,4})?\)(?:\s*\(V\))?")


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
    content = clean(content, file, binary=layout in ("u.item", "dat"))
    rows = []
    for line, fields in _item_fields(content, file, layout):
        raw_id, title, year, genres = fields
        if layout == "own":
            _check_own(raw_id, year, file, line)
        elif not INTEGER.fullmatch(raw_id):
            raise DataError(f"{file}: line {line}: item_id is {raw_id!r}, expected an integer")
        rows.append((raw_id, *_title_year(title, year), _genres(genres)))
    if not rows:
        raise DataError(
            f"{file}: no items, expected at least one; check that the download is complete"
        )
    table = pd.DataFrame(rows, columns=["item_id", "title", "year", "genres"])
    if table["item_id"].map(lambda raw: INTEGER.fullmatch(raw) is not None).all():
        table["item_id"] = table["item_id"].astype("int64")
    return table


def _item_fields(
    content: bytes, file: str, layout: str
) -> Iterator[tuple[int, tuple[str, str, str, str]]]:
    """Yield line number, raw id, title, year ("" where it stands in the title) and genres with | between."""
    if layout == "u.item":
        for line, fields in _lines(content, file, "|", 24, "latin-1"):
            genres = [g for g, flag in zip(U_ITEM_GENRES, fields[5:], strict=True) if flag == "1"]
            yield line, (fields[0], fields[1], "", "|".join(genres))
    elif layout == "dat":
        for line, fields in _lines(content, file, "::", 3, "latin-1"):
            yield line, (fields[0], fields[1], "", fields[2])
    elif layout == "item":
        for line, fields in _lines(content, file, "\t", 4, "utf-8"):
            if line > 1:
                title = fields[1].replace("unkonwn", "unknown")  # sic, in RecBole's file
                yield line, (fields[0], title, fields[2], fields[3].replace(" ", "|"))
    else:
        own = layout == "own"
        expected = ["item_id", "title", "year", "genres"] if own else ["movieId", "title", "genres"]
        reader = csv.reader(io.StringIO(to_text(content), newline=""), strict=True)
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
                    yield line, (fields[0], fields[1], fields[2] if own else "", fields[-1])
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{file}: line {line} is not CSV ({error}); get a fresh copy"
            ) from error


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


def _check_own(raw_id: str, year: str, file: str, line: int) -> None:
    if not raw_id:
        raise DataError(f"{file}: line {line}: item_id is empty, expected an id")
    if year and not year.isdigit():
        raise DataError(
            f"{file}: line {line}: year is {year!r}, expected a whole number or nothing"
        )


def _title_year(title: str, year: str) -> tuple[str, float]:
    """Separate the year from a title such as ``"Toy Story (1995)"``."""
    title = title.strip()
    if year.isdigit():
        return title, float(year)
    found = TITLE_YEAR.fullmatch(title)
    return (found["title"], float(found["year"])) if found else (title, float("nan"))


@lru_cache(maxsize=4096)  # a data set has at most a few thousand combinations
def _genres(genres: str) -> tuple[str, ...]:
    return tuple(
        g for g in (genre.strip() for genre in genres.split("|")) if g and g not in NO_GENRE
    )
