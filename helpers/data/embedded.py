"""The data set inside this package: MovieLens latest-small, edition of October 2016."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from .errors import DataError
from .interactions import Interactions
from .itemfiles import parse_items
from .parsing import line_names, parse_ratings

FOLDER = Path(__file__).parent / "latest_small"
SHA256 = {
    "ratings.csv.gz": "5cb3549cfca47f1db5f3b0b71d625ee886d02d00530da38778838647e38f3d96",
    "items.csv.gz": "0bba0b75b7a97dc6cccc54908410848d303471b97dd02dd4fa9779b9d01ae645",
}


def load_embedded(folder: Path = FOLDER) -> Interactions:
    """Load latest-small: 100,004 ratings of 671 users on 9,066 films.

    Parameters
    ----------
    folder : pathlib.Path
        Where both files lie.

    Returns
    -------
    Interactions

    Raises
    ------
    DataError
        When a file is missing or its SHA-256 is not the published one.
    """
    content = {name: gzip.decompress(_checked(folder / name)) for name in SHA256}
    ratings = parse_ratings(content["ratings.csv.gz"], "ratings.csv.gz", "own")
    items = parse_items(content["items.csv.gz"], "items.csv.gz", "own")
    return Interactions.from_frame(
        ratings, items, "latest-small", where=line_names("ratings.csv.gz", "own")
    )


def _checked(path: Path) -> bytes:
    advice = "restore it with: git checkout -- helpers/data/latest_small"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror}); {advice}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[path.name]:
        raise DataError(
            f"{path.name}: SHA-256 is {found[:12]}…, expected {SHA256[path.name][:12]}…; {advice}"
        )
    return content
