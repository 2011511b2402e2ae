"""``tar.gz`` archives: the same bytes for the same files, unpacked below one folder only."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from local_sagemaker.errors import ApiError


class ArchiveError(ApiError):
    """It is no archive, or one that reaches outside of its folder."""


def inside(folder: Path, relative: str) -> Path:
    """Return the path of a key or a member below a folder; an `ArchiveError` if it is outside."""
    pure = PurePosixPath(relative)
    steps = relative.replace("\\", "/").split("/")  # a backslash is a letter here, a step elsewhere
    if pure.is_absolute() or ".." in steps or "\0" in relative:
        raise ArchiveError(
            f"ClientError: {relative!r} would be written outside of its folder, so it is refused."
        )
    return folder.joinpath(*pure.parts)


def pack(folder: Path, target: BinaryIO) -> list[str]:
    """Write a folder's content as ``tar.gz``; links are followed.

    Returns
    -------
    list of str
        What is left out: links that lead nowhere, in a circle, or to a folder outside; devices.
    """
    left_out: list[str] = []
    root = folder.resolve()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=target, compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", dereference=True) as archive,
    ):
        for path, name in _members(folder, (root,), left_out):
            member = _nobodys(archive.gettarinfo(path, name))
            member.mtime = 0
            with path.open("rb") if member.isfile() else io.BytesIO() as content:
                archive.addfile(member, content)
    return left_out


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _members(
    folder: Path, above: tuple[Path, ...], left_out: list[str], name: str = ""
) -> Iterator[tuple[Path, str]]:
    """Yield path and name of what is below a folder; ``above`` are the real folders around it."""
    for path in sorted(folder.iterdir()):
        member, real = f"{name}{path.name}", Path("/")
        if path.exists():  # else a link leads nowhere, or to itself
            real = path.resolve()
        if real.is_file():
            yield path, member
        elif real.is_dir() and real.is_relative_to(above[0]) and real not in above:
            yield path, member
            yield from _members(path, (*above, real), left_out, f"{member}/")
        else:
            left_out.append(member)


def unpack(data: bytes, name: str, folder: Path) -> list[str]:
    """Unpack a ``tar.gz``, called ``name`` in messages; returns the names of its members.

    Raises
    ------
    ArchiveError
        It is no whole archive, or a member would be written outside of the folder, is a link or a
        device; then nothing is written.
    OSError
        The disk refuses.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = archive.getmembers()
            for member in members:
                inside(folder, member.name)
                if not (member.isfile() or member.isdir()):
                    raise ArchiveError(
                        f"ClientError: {name} holds {member.name!r}, which is neither a file nor a"
                        " folder: refused."
                    )
                _nobodys(member).mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            folder.mkdir(parents=True, exist_ok=True)
            archive.extractall(folder, members)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the archive
        raise ArchiveError(
            f"ClientError: {name} is not a tar.gz archive that can be unpacked: {error}"
        ) from None
    return [member.name for member in members]
