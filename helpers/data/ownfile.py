"""Reading a learner's own ratings from a CSV file."""

from __future__ import annotations

import gzip
import zlib
from os import PathLike
from pathlib import Path

from .errors import DataError
from .interactions import Interactions
from .itemfiles import parse_items
from .parsing import line_names, parse_ratings


def read_ratings(
    path: str | PathLike[str],
    items: str | PathLike[str] | None = None,
    *,
    rating_range: tuple[float, float] | None = (0.5, 5.0),
) -> Interactions:
    """Read your own ratings from a CSV file in UTF-8, plain or gzip-compressed.

    Parameters
    ----------
    path : path
        Header line with ``user_id,item_id,rating,timestamp`` in any order
        (``userId`` and ``movieId`` are understood); further columns are left
        behind. No quoted fields.
    items : path, optional
        Header line ``item_id,title,year,genres``; genres with ``|`` between.
    rating_range : (float, float) or None
        Smallest and largest rating allowed; None allows any finite number.

    Returns
    -------
    Interactions
        Named after the file.

    Raises
    ------
    DataError
        Naming file and line, what was found, what was expected and what to do.
    """
    file = Path(path)
    ratings = parse_ratings(_read(file), file.name, "own")
    table = None if items is None else parse_items(_read(Path(items)), Path(items).name, "own")
    return Interactions.from_frame(
        ratings,
        table,
        file.name.split(".")[0],
        rating_range=rating_range,
        where=line_names(file.name, "own"),
    )


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path.name}: not a complete gzip file ({error}); get a fresh copy"
        ) from error
