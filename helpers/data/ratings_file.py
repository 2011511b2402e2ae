"""Ratings of your own, read from a file: CSV of any dialect, gzipped or not, and MovieLens' own."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.compute import utf8_trim_whitespace
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from .interactions import ITEM_COLUMNS, RATING_COLUMNS, DataError, Interactions

pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own pool would keep 30 MB after a read

ALIASES = {  # names of columns in lower case, without blanks and signs; the first found counts
    "user_id": "userid user customerid reviewerid visitorid username",
    "item_id": "itemid movieid bookid isbn productid articleid asin item movie product",
    "rating": "rating bookrating score stars overall",
    "timestamp": "timestamp time datetime date createdat ratedat orderdate unixreviewtime",
    "title": "title movietitle booktitle name",
    "year": "year releaseyear yearofpublication",
    "genres": "genres genre class",
}
SEPARATORS = ("\t", ";", "|", ",", " ")  # and "::", which becomes a tab
U_ITEM_GENRES = (  # the last 19 columns of u.item
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|"
    "Film-Noir|Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
U_ITEM_COLUMNS = ["item_id", "title", "", "", "", *U_ITEM_GENRES.split("|")]
TITLE_YEAR = r"^(.*?)\s*\(([0-9]{4})(?:[-–][0-9]{0,4})?\)(?:\s*\(V\))?$"
PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
NO_VALUE = {"", "na", "n/a", "#n/a", "nan", "<na>", "nat", "null", "none", "\\n", "?", "-"}
WORKBOOK = (b"\xd0\xcf\x11\xe0", b"xl/workbook", b"opendocument")
PACKED = (b"PK\3", b"PK\5", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd", b"7z\xbc", b"Rar!", WORKBOOK[0])
PROGRAMS = (b"PAR1", b"ARROW1", b"SQLite", b"\x89HDF", b"\x93NUMPY", b"\x80\4", b"\x80\5")
TEXTS = (b'{"', b"[{", b"<!", b"<html", b"<table")


def read_ratings(
    path: str | PathLike[str],
    items: str | PathLike[str] | None = None,
    *,
    rating_range: tuple[float, float] | None = (0.5, 5.0),
    keep_latest: bool = False,
) -> Interactions:
    """Return your own ratings from a file, named after it; print what is assumed or converted.

    Separator, quotes, decimal commas and gzip are recognized. Ids stay text, unless every one is a
    plain integer. ISO dates become seconds since 1970.

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

    Raises
    ------
    DataError
        Naming file and line, what was found, what was expected and what to do.
    """
    content, file = _read(path)
    ratings = parse_ratings(content, file, talk=True)
    whole = ratings["item_id"].dtype == np.int64
    table = None if items is None else parse_items(*_read(items), whole)
    return Interactions.from_frame(
        ratings, table, file, rating_range=rating_range, keep_latest=keep_latest
    )


def parse_ratings(content: bytes, file: str, talk: bool = False) -> pd.DataFrame:
    """Return the rating columns of a file, ids int64 or categories; the index holds the lines."""
    table = _recognize(_text(content, file), file, RATING_COLUMNS)
    if talk and not table.header:
        print(f"{file}: no header line, so the columns are taken as {', '.join(table.columns)}.")
    ids = {"user_id": pa.string(), "item_id": pa.string()}
    read, lines = table.read(ids)
    table.content = b""  # of 20 million rows, each column and copy counts: free it when it is used
    columns = {
        name: _ids(read.pop(name), place, talk) if name in ids else read.pop(name).to_pandas()
        for name, place in [(name, f"{file}: {name}") for name in read]
    }
    frame = pd.DataFrame(columns, copy=False)
    frame.index = lines.rename("line")  # set_axis would copy
    return frame


def parse_items(content: bytes, file: str, whole: bool = True) -> pd.DataFrame:
    """Return the item columns of a file; the index holds the lines.

    ``whole`` makes ids integers; an item with another id has no rating and is left out.
    """
    table = _recognize(_text(content, file), file, ITEM_COLUMNS)
    read, lines = table.read({name: pa.string() for name in table.columns})
    frame = pd.DataFrame({name: column.to_pandas().str.strip() for name, column in read.items()})
    frame = frame.set_axis(lines).rename_axis(f"{file}, line")
    if table.columns == U_ITEM_COLUMNS:
        flags = frame[U_ITEM_COLUMNS[5:]] == "1"
        frame["genres"] = ["|".join(flags.columns[row]) for row in flags.to_numpy()]
    frame = frame.reindex(columns=list(ITEM_COLUMNS), fill_value="")
    split = frame["title"].str.extract(TITLE_YEAR)
    dated = (frame["year"] == "") & split[1].notna()
    frame.loc[dated, ["title", "year"]] = split[dated].to_numpy()
    frame["genres"] = frame["genres"].replace(["unknown", "(no genres listed)"], "")
    if whole:
        frame = frame.loc[[not text or _is_plain(text) for text in frame["item_id"]]]
    frame = frame.replace({"item_id": "", "year": ""}, None)
    return frame.assign(item_id=pd.to_numeric(frame["item_id"])) if whole else frame


@dataclass
class Table:
    """Text with one row per line, and how its fields are told apart."""

    file: str
    content: bytes  # UTF-8, newlines between lines
    separator: str
    columns: list[str]  # our names; "" for a column that is left behind
    header: bool
    quote: str  # "" where quotes are ordinary characters
    shown: str  # the separator as messages show it

    def read(self, types: dict[str, pa.DataType]) -> tuple[dict[str, pa.ChunkedArray], pd.Index]:
        """Return the columns that have a name, and the line of each row (16 MiB at most)."""
        names = [name or str(i) for i, name in enumerate(self.columns)]
        parse = ParseOptions(delimiter=self.separator, quote_char=self.quote or False)
        parse.newlines_in_values = True
        options = ReadOptions(column_names=names, skip_rows=self.header, block_size=1 << 24)
        options.use_threads = False
        try:
            convert = ConvertOptions(column_types=types, null_values=[])
            read = read_csv(pa.BufferReader(self.content), options, parse, convert)
        except pa.ArrowInvalid as error:
            found = f"no table, {error}" if self.lines() else "no row below the header line"
            raise DataError(f"{self.file}: {found}; expected at least one row") from error
        lines: pd.Index = pd.RangeIndex(1 + self.header, 1 + self.header + read.num_rows)
        if self.content.count(b"\n") >= lines[-1]:  # empty lines, or fields over several lines
            lines = pd.Index(self.lines())
        return {name: read[name] for name in self.columns if name}, lines

    def lines(self) -> list[int]:
        """Return the line where each row starts; raise for the first row that is not whole."""
        reader = csv.reader(
            io.StringIO(self.content.decode(), newline=""),
            delimiter=self.separator,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            strict=True,
        )
        starts, line = [], 1
        try:
            for fields in reader:
                if len(fields) != len(self.columns):
                    found = f"has {len(fields)} fields" if fields else "is empty"
                    names = ", ".join(name or "…" for name in self.columns)
                    advice = "correct or delete the line"
                    if len(fields) > len(self.columns):
                        advice = f"put quotes around a field that holds {self.shown}, or {advice}"
                    raise DataError(
                        f"{self.file}: line {line} {found}, expected {len(self.columns)} "
                        f"({names}) separated by {self.shown}; {advice}"
                    )
                starts.append(line)
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{self.file}: line {line}: the quotes {self.quote} are not in pairs ({error}); "
                "close them, and write a quote inside a quoted field twice"
            ) from error
        return starts[int(self.header) :]


def _recognize(content: bytes, file: str, wanted: tuple[str, ...]) -> Table:
    """Return the table that the first line announces, with a header line or without one."""
    line = content[: 1 << 20].partition(b"\n")[0].decode(errors="ignore").strip(" ")
    shown = "'::'" if "::" in line else ""
    if shown:
        content, line = content.replace(b"::", b"\t"), line.replace("::", "\t")
    quote = "'" if line.startswith("'") else '"'
    options = {}
    for separator in SEPARATORS:
        first = csv.reader([line], delimiter=separator, quotechar=quote, skipinitialspace=True)
        options[separator] = next(first)
    required = wanted[: 3 if wanted == RATING_COLUMNS else 1]
    for header in (True, False):
        for separator, fields in options.items():
            known = _header_columns(fields, wanted, file)
            columns = known if header else _usual_columns(fields, wanted)
            if set(required) <= set(columns):
                if not header and "title" in columns and separator in "\t|":
                    quote = ""  # MovieLens' titles hold quotes
                mark, q = separator.encode(), quote.encode()
                if quote and re.search(b'\\\\"[^\n"%b]' % mark, content):  # quotes as in MySQL
                    content = content.replace(b'\\"', b'""')
                if mark == b" " and any(two in content for two in (b"  ", b"\n ", b" \n")):
                    content = re.sub(b"(?m)^ +|(?<= ) +| +$", b"", content)  # aligned columns
                elif mark + b" " in content:  # blanks that would hide a quote
                    blanks = b" +(?=%b(?!%b))" % (q, q)
                    content = re.sub(re.escape(mark) + blanks, mark, content)
                shown = shown or repr(separator)
                return Table(file, content, separator, columns, header, quote, shown)
    found = max(options.values(), key=len)
    missing = ", ".join(sorted({*required} - {*_header_columns(found, wanted, file)}))
    raise DataError(
        f"{file}: line 1 has no column {missing}; found {', '.join(found)[:200] or 'nothing'}, "
        f"expected {', '.join(wanted)}; name the columns so in line 1, delete what is above"
    )


def _header_columns(fields: list[str], wanted: tuple[str, ...], file: str) -> list[str]:
    """Return our name for each column that a header line names; "" for the others."""
    short = [re.sub("[^a-z0-9]", "", field.partition(":")[0].lower()) for field in fields]
    columns = [""] * len(fields)
    for name in wanted:
        for alias in [alias for alias in ALIASES[name].split() if alias in short][:1]:
            if short.count(alias) > 1:
                raise DataError(f"{file}: line 1 names {name} twice, expected once; rename one")
            columns[short.index(alias)] = name
    return columns


def _usual_columns(fields: list[str], wanted: tuple[str, ...]) -> list[str]:
    """Return the columns of a file without a header line; [] where they cannot be known."""
    if wanted == RATING_COLUMNS:
        numbers = all(re.fullmatch("[-+]?[0-9][-+0-9.,:TZe ]*", field) for field in fields[2:])
        return list(wanted[: len(fields)]) if numbers and len(fields) in (3, 4) else []
    if len(fields) == len(U_ITEM_COLUMNS):
        return U_ITEM_COLUMNS
    return ["item_id", "title", "genres"] if len(fields) == 3 and _is_plain(fields[0]) else []


def _ids(column: pa.ChunkedArray, place: str, talk: bool) -> pd.Series:
    """Return ids: int64 where every text is a plain integer, else categories; missing ones NaN."""
    column = utf8_trim_whitespace(column)
    with suppress(pa.ArrowInvalid):
        numbers = column.cast(pa.int64())
        if numbers.cast(pa.string()).equals(column):
            return numbers.to_pandas()
    ids = column.dictionary_encode().to_pandas()
    texts = ids.cat.categories
    plain = np.array([_is_plain(text) for text in texts])
    missing = texts.str.lower().isin(NO_VALUE)
    if not (plain.any() and (plain | missing).all()):  # among other texts, "NA" may be an id
        missing = texts == ""
        if talk and plain.any():
            odd = texts[~plain][0]
            print(f"{place} stays text, because {odd!r} is not a plain integer.")
    return ids.cat.remove_categories(texts[missing])


def _is_plain(text: str) -> bool:
    """Return whether a text is an integer below 2^63, written in the only usual way."""
    return PLAIN_INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def _read(path: str | PathLike[str]) -> tuple[bytes, str]:
    """Return the content and the name of a file."""
    try:
        file = Path(path).expanduser()
        return file.read_bytes(), file.name
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); check the path") from error


def _text(content: bytes, file: str) -> bytes:
    """Return the content as UTF-8 with newlines between lines; raise for what is no text."""
    try:
        while content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            content = content.decode("utf-16").encode()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{file}: damaged gzip or UTF-16 ({error}); get a fresh copy") from error
    if content.startswith(PACKED):
        is_book = any(mark in content for mark in WORKBOOK)
        kind = "an Excel workbook; save it as CSV" if is_book else "an archive; unpack it"
        raise DataError(f"{file}: is {kind} and give the file that this makes")
    if content.startswith(PROGRAMS + TEXTS):
        raise DataError(f"{file}: is no CSV; read it with pandas and use Interactions.from_frame")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    content = content.rstrip(b"\n")
    if not content.strip():
        raise DataError(f"{file}: empty, expected lines of text; is it the right file?")
    try:
        content.decode()
        at = content.find(b"\0")
    except UnicodeDecodeError as error:
        if re.match(rb"[0-9]+(\||::)", content):  # u.item and movies.dat are Latin-1
            return content.decode("latin-1").encode()
        at = error.start
    if at < 0:
        return content
    line = content.count(b"\n", 0, at) + 1
    found = f"0x{content[at]:02x}" + ", perhaps of UTF-16" * (line == 1 and not content[at])
    advice = "delete it, or save the file as UTF-8 ('CSV UTF-8' in Excel)"
    raise DataError(f"{file}: line {line} holds the byte {found}, not of UTF-8 text; {advice}")
