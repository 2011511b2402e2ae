"""Ratings of your own, read from a file: CSV of any dialect, compressed or not, and MovieLens' own.

A fault in the file raises a `DataError` that names its line, what was found and what to do.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .interactions import RATING_COLUMNS, DataError, Interactions

ITEM_COLUMNS = ("item_id", "title", "year", "genres")
ALIASES = {  # names of columns in lower case, without blanks and signs; the first found counts
    "user_id": ("userid", "user"),
    "item_id": ("itemid", "movieid", "bookid", "isbn", "productid", "item", "movie"),
    "rating": ("rating", "bookrating", "score", "stars"),
    "timestamp": ("timestamp", "time", "datetime", "date"),
    "title": ("title", "movietitle", "booktitle", "name"),
    "year": ("year", "releaseyear", "yearofpublication"),
    "genres": ("genres", "genre", "class"),
}
SEPARATORS = ("\t", ";", "|", ",", " ")  # and "::", which becomes a tab
READERS = {  # by the first bytes
    b"\x1f\x8b": ("gzip", gzip.decompress),
    b"BZh": ("bzip2", bz2.decompress),
    b"\xfd7zXZ": ("xz", lzma.decompress),
    b"\xff\xfe": ("UTF-16", lambda content: content.decode("utf-16").encode()),
    b"\xfe\xff": ("UTF-16", lambda content: content.decode("utf-16").encode()),
}
FOREIGN = {  # by the first bytes
    b"PK\x03\x04": "a zip archive; unpack it and give the file inside",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as CSV and give that file",
    b"PAR1": "a Parquet file; save it as CSV and give that file",
    b"<": "a web page or XML; save it as CSV and give that file",
    b"{": "JSON; save it as CSV and give that file",
    b"[": "JSON; save it as CSV and give that file",
}
U_ITEM_GENRES = (  # the last 19 columns of u.item
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|"
    "Film-Noir|Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
NO_GENRE = {"", "unknown", "(no genres listed)"}
TITLE_YEAR = re.compile(r"(.*?)\s*\(([0-9]{4})(?:[-–][0-9]{0,4})?\)(?:\s*\(V\))?")
PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
NO_VALUE = {"", "na", "n/a", "nan", "null", "none"}


def read_ratings(
    path: str | PathLike[str],
    items: str | PathLike[str] | None = None,
    *,
    rating_range: tuple[float, float] | None = (0.5, 5.0),
    keep_latest: bool = False,
) -> Interactions:
    """Return your own ratings from a text file; whatever is assumed or converted is printed.

    Separator, quotes, decimal commas and compression (gzip, bzip2, xz) are recognized. Ids stay
    text, unless every one is a plain integer. ISO dates become seconds since 1970.

    Parameters
    ----------
    path : path
        A first line that names the columns ``user_id,item_id,rating,timestamp`` (or the like, such
        as ``userId,movieId``) in any order; or no such line, and the columns in that order. The
        timestamp may be missing. Also ``ratings.csv``, ``ratings.dat`` or ``u.data`` of MovieLens.
    items : path, optional
        Columns ``item_id,title,year,genres``, all but the first optional, genres with ``|``
        between. Also ``movies.csv``, ``movies.dat`` or ``u.item``.
    rating_range, keep_latest
        As in `Interactions.from_frame`.

    Returns
    -------
    Interactions
        Named after the file.

    Raises
    ------
    DataError
        Naming file and line, what was found, what was expected and what to do.
    """
    file = Path(path).expanduser()
    ratings = parse_ratings(_read(file), file.name, talk=True)
    table = None
    if items is not None:
        items_file = Path(items).expanduser()
        table = parse_items(_read(items_file), items_file.name)
        if ratings["item_id"].dtype == object:
            table = table.astype({"item_id": str})
        elif table["item_id"].dtype == object:  # an item with such an id has no rating
            table = table[table["item_id"].map(_is_plain)].astype({"item_id": np.int64})
    return Interactions.from_frame(
        ratings, table, file.name, rating_range=rating_range, keep_latest=keep_latest
    )


def parse_ratings(content: bytes, file: str, talk: bool = False) -> pd.DataFrame:
    """Return the rating columns of a file, ids as int64 or text; the index holds the lines."""
    required = {"user_id", "item_id", "rating"}
    table = _recognize(_text(content, file), file, RATING_COLUMNS, required)
    first = next(table.records(), None)
    if first is None:
        raise DataError(f"{file}: no ratings after the header line, expected at least one")
    if talk and not table.header:
        print(f"{file}: no header line, so the columns are taken as {', '.join(table.columns)}.")
    ids = ["user_id", "item_id"]
    texts = [name for name in ids if not _is_plain(first[1][table.columns.index(name)])]
    frame = table.frame(texts)
    integers = [name for name in ids if name not in texts]
    if any(frame[name].dtype != np.int64 for name in integers) or (
        integers and _has_odd_integers(table.content)
    ):
        texts = ids
        frame = table.frame(texts)
    for name in texts:
        frame[name] = _ids(frame[name], f"{file}: {name}", talk)
    return frame


def parse_items(content: bytes, file: str) -> pd.DataFrame:
    """Return the item columns of a file, year as a number or NaN; the index holds the lines."""
    table = _recognize(_text(content, file), file, ITEM_COLUMNS, {"item_id"})
    rows, lines = [], []
    for line, fields in table.records():
        value = dict(zip(table.columns, fields, strict=True))
        if not value["item_id"]:
            raise DataError(f"{file}: line {line}: item_id is empty, expected an id")
        title, year = value.get("title", ""), value.get("year", "")
        if year and not re.fullmatch(r"[0-9]{1,4}(\.0*)?", year):
            raise DataError(f"{file}: line {line}: year is {year!r}, expected a year or nothing")
        if not year and (found := TITLE_YEAR.fullmatch(title)):
            title, year = found.groups()
        genres = value.get("genres", "").split("|")
        if len(fields) == 24:  # u.item has a column of 0 and 1 per genre
            pairs = zip(U_ITEM_GENRES.split("|"), fields[5:], strict=True)
            genres = [genre for genre, flag in pairs if flag == "1"]
        genres = [genre.strip() for genre in genres]
        kept = tuple(genre for genre in genres if genre not in NO_GENRE)
        rows.append((value["item_id"], title, float(year or "nan"), kept))
        lines.append(line)
    if not rows:
        raise DataError(f"{file}: no items, expected at least one")
    index = pd.Index(lines, name=f"{file}, line")
    items = pd.DataFrame(rows, index, columns=list(ITEM_COLUMNS))
    items["item_id"] = _ids(items["item_id"].astype("category"), file, talk=False)
    return items


@dataclass
class Table:
    """Text with one record per line, and how its fields are told apart."""

    file: str
    content: bytes  # UTF-8; lines end with a newline, perhaps not the last
    separator: str
    columns: list[str]  # our names; "" for a column that is left behind
    header: bool
    quote: str | None  # None where quotes are ordinary characters
    shown: str  # the separator as messages show it

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and the fields of each record; raise for the first bad line."""
        lines = io.TextIOWrapper(io.BytesIO(self.content), "utf-8", newline="")
        reader = csv.reader(lines, strict=True, skipinitialspace=True, **self._dialect())
        line = 1
        try:
            for number, fields in enumerate(reader):
                if len(fields) != len(self.columns):
                    raise DataError(f"{self.file}: line {line} {self._miscount(fields)}")
                if number or not self.header:
                    yield line, [value.strip() for value in fields]
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{self.file}: line {line}: the quotes {self.quote} are not in pairs ({error}); "
                "close them, and write a quote inside a quoted field twice"
            ) from error

    def frame(self, texts: list[str]) -> pd.DataFrame:
        """Return the columns that have a name, ``texts`` as categories, the others as inferred."""
        bare, quote = self.content, (self.quote or "").encode()
        if quote and quote in bare:
            bare = re.sub(quote + b"[^" + quote + b"]*" + quote, b"", bare)
        lines = bare.count(b"\n") + (bare[-1:] != b"\n")
        last = len(self.columns) - 1
        if bare.count(self.separator.encode()) != lines * last:
            self._check()
        names = {i: name for i, name in enumerate(self.columns) if name}
        try:
            frame = pd.read_csv(
                io.BytesIO(self.content),
                header=None,
                skiprows=int(self.header),
                names=range(len(self.columns)),
                usecols=sorted({*names, last}),
                dtype={i: "category" for i, name in names.items() if name in texts},
                skipinitialspace=f"{self.separator} ".encode() in self.content,
                skip_blank_lines=False,
                na_filter=False,
                index_col=False,
                low_memory=False,
                **self._dialect(),
            )
        except (ValueError, pd.errors.ParserError) as error:
            self._check()
            raise DataError(f"{self.file}: cannot be read as a table ({error})") from error
        if frame[last].dtype.kind == "O" and (frame[last] == "").any():
            self._check()  # a line with fewer fields has an empty last one here
        frame.index = pd.RangeIndex(1 + self.header, 1 + self.header + len(frame), name="line")
        if len(bare) < len(self.content) and self.content.count(b"\n") > lines:  # inside quotes
            frame.index = pd.Index([line for line, _ in self.records()], name="line")
        if last not in names:
            del frame[last]
        frame.columns = pd.Index(names[i] for i in frame.columns)
        return frame

    def _dialect(self) -> dict[str, Any]:
        quoting = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        return {"delimiter": self.separator, "quotechar": self.quote, "quoting": quoting}

    def _check(self) -> None:
        """Raise for the first bad line."""
        for _ in self.records():
            pass

    def _miscount(self, fields: list[str]) -> str:
        found = f"has {len(fields)} fields" if fields else "is empty"
        names = ", ".join(name or "…" for name in self.columns)
        advice = "correct or delete the line"
        if len(fields) > len(self.columns):
            advice = f"put quotes around a field that holds {self.shown}, or {advice}"
        return (
            f"{found}, expected {len(self.columns)} ({names}) separated by {self.shown}; {advice}"
        )


def _recognize(content: bytes, file: str, wanted: tuple[str, ...], required: set[str]) -> Table:
    """Return the table that the first line announces, with a header line or without one."""
    line = content[:10_000].partition(b"\n")[0].decode(errors="ignore")
    double = "::" in line
    if double:
        content, line = content.replace(b"::", b"\t"), line.replace("::", "\t")
    quote: str | None = "'" if line.startswith("'") else '"'
    options = {}
    for separator in SEPARATORS:
        first = csv.reader([line], delimiter=separator, quotechar=quote, skipinitialspace=True)
        options[separator] = next(first, [])
    shown = "'::'" if double else ""
    for separator, fields in options.items():
        columns = _header_columns(fields, wanted, file)
        if required <= set(columns):
            return Table(file, content, separator, columns, True, quote, shown or repr(separator))
    for separator, fields in options.items():
        columns = _usual_columns(fields, wanted)
        if columns:
            if "title" in columns and separator in "\t|":  # MovieLens' titles hold single quotes
                quote = None
            return Table(file, content, separator, columns, False, quote, shown or repr(separator))
    found = max(options.values(), key=len)
    missing = ", ".join(sorted(required - set(_header_columns(found, wanted, file))))
    raise DataError(
        f"{file}: line 1 has no column {missing}; found {', '.join(found)[:200] or 'nothing'}, "
        f"expected {', '.join(wanted)}; name the columns so in line 1"
    )


def _header_columns(fields: list[str], wanted: tuple[str, ...], file: str) -> list[str]:
    """Return our name for each column that a header line names; "" for the others."""
    short = [re.sub("[^a-z0-9]", "", field.partition(":")[0].lower()) for field in fields]
    columns = [""] * len(fields)
    for name in wanted:
        alias = next((alias for alias in ALIASES[name] if alias in short), None)
        if alias and short.count(alias) > 1:
            raise DataError(f"{file}: line 1 names {name} twice, expected once; rename a column")
        if alias:
            columns[short.index(alias)] = name
    return columns


def _usual_columns(fields: list[str], wanted: tuple[str, ...]) -> list[str]:
    """Return the columns of a file without a header line; [] where they cannot be known."""
    if wanted == RATING_COLUMNS:
        numbers = all(re.fullmatch("[-+]?[0-9][-+0-9.,:TZe ]*", field) for field in fields[2:])
        return list(wanted[: len(fields)]) if numbers and len(fields) in (3, 4) else []
    if len(fields) == 24:  # u.item
        return ["item_id", "title", *[""] * 22]
    return ["item_id", "title", "genres"] if len(fields) == 3 and _is_plain(fields[0]) else []


def _ids(column: pd.Series, place: str, talk: bool) -> pd.Series:
    """Return ids read as categories: int64 where every text is a plain integer, else the texts."""
    texts = [text.strip() for text in column.cat.categories]
    plain = [_is_plain(text) for text in texts]
    empty = [text == "" for text in texts]
    lacks = [text.lower() in NO_VALUE for text in texts]
    if any(plain) and all(np.logical_or(plain, lacks)):  # among other texts, "NA" may be an id
        empty = lacks
    if talk and any(plain) and not all(plain) and not any(empty):
        odd = texts[plain.index(False)]
        print(f"{place} stays text, because {odd!r} is not a plain integer.")
    values = np.array(texts, dtype=np.int64 if all(plain) else object)
    if any(empty):
        values[np.array(empty)] = None
    return pd.Series(values[column.cat.codes], column.index)


def _is_plain(text: str) -> bool:
    """Return whether a text is an integer below 2^63, written in the only usual way."""
    return PLAIN_INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def _has_odd_integers(content: bytes) -> bool:
    """Return whether a number may start with a sign or a zero that an integer would lose."""
    if b"+" in content or (b"-" in content and b"-0" in content):
        return True
    content = b"\n" + content[:1] + content[1:] if content[:1] == b"0" else content
    for start in range(0, len(content), 1 << 24):
        block = np.frombuffer(content[max(start - 2, 0) : start + (1 << 24)], np.uint8)
        digit = (block - 48) < 10
        before = digit[:-2] | (block[:-2] == ord("."))
        if (~before & (block[1:-1] == ord("0")) & digit[2:]).any():
            return True
    return False


def _read(path: Path) -> bytes:
    """Return the content of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _text(content: bytes, file: str) -> bytes:
    """Return the content as UTF-8 with newlines between lines; raise for what is no text."""
    for start, (kind, read) in READERS.items():
        if content.startswith(start):
            try:
                content = read(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                advice = "get a fresh copy"
                raise DataError(f"{file}: not whole {kind} ({error}); {advice}") from error
    for start, kind in FOREIGN.items():
        if content[:64].lstrip().startswith(start):
            if b"xl/workbook" in content or b"opendocument.spreadsheet" in content:
                kind = FOREIGN[b"\xd0\xcf\x11\xe0"]
            raise DataError(f"{file}: is {kind}")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if content.endswith(b"\n\n"):
        content = content.rstrip(b"\n")
    if not content or content.isspace():
        raise DataError(f"{file}: empty, expected lines of text; is it the right file?")
    at = content.find(b"\0")
    if at < 0:
        try:
            content.decode()
            return content
        except UnicodeDecodeError as error:
            at = error.start
    if content[at] and re.match(rb"[0-9]+(\||::)", content):  # u.item and movies.dat are Latin-1
        return content.decode("latin-1").encode()
    line = content.count(b"\n", 0, at) + 1
    kind = "" if content[at] else "perhaps UTF-16, "
    raise DataError(
        f"{file}: line {line} holds the byte 0x{content[at]:02x}, {kind}not UTF-8 text; "
        "save the file as UTF-8 ('CSV UTF-8' in Excel)"
    )
