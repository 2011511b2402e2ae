"""Reading members of a zip file without trusting it: nothing is ever unpacked to disk."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path

from .errors import DataError

LARGEST_MEMBER = 2 * 1024**3  # bytes; ML-20M's ratings are a quarter of this


def read_members(path: Path, members: list[str]) -> list[bytes]:
    """Read members of a zip file into memory.

    Parameters
    ----------
    path : pathlib.Path
    members : list of str
        Their names inside the archive.

    Returns
    -------
    list of bytes
        Contents in the order asked for.

    Raises
    ------
    DataError
        Naming archive and member: not a zip file, truncated, a member that fails
        its checksum, is missing, encrypted, larger than 2 GiB, a link, or would
        lie outside the folder. All members are looked at, also those not asked for.
    """
    advice = "get a fresh copy from https://grouplens.org/datasets/movielens/"
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path.name)
            names = set(archive.namelist())
            for member in members:
                if member not in names:
                    raise DataError(
                        f"{path.name}: no member {member}; found "
                        f"{', '.join(sorted(names)[:6]) or 'none'}; {advice}"
                    )
            return [_read(archive, member, path.name, advice) for member in members]
    except zipfile.BadZipFile as error:
        raise DataError(f"{path.name}: not a complete zip file ({error}); {advice}") from error


def check_members(archive: zipfile.ZipFile, file: str) -> None:
    """Refuse an archive with a member that no data set has any business with.

    Parameters
    ----------
    archive : zipfile.ZipFile
    file : str
        Name for messages.

    Raises
    ------
    DataError
        For a member with an absolute path, a ``..`` part, a link, or more than 2 GiB.
    """
    for info in archive.infolist():
        name = info.orig_filename
        problem = None
        if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
            problem = "has an absolute path, expected a relative one"
        elif ".." in re.split(r"[/\\]", name):
            problem = "has '..' in its path and would lie outside the folder"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a symbolic link, expected a plain file"
        elif info.file_size > LARGEST_MEMBER:
            problem = f"unpacks to {info.file_size:,} bytes, expected at most {LARGEST_MEMBER:,}"
        if problem:
            raise DataError(
                f"{file}: member {name!r} {problem}; nothing was read; do not trust this archive"
            )


def _read(archive: zipfile.ZipFile, member: str, file: str, advice: str) -> bytes:
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression method Python lacks
        raise DataError(f"{file}: member {member!r} cannot be read ({error}); {advice}") from error
