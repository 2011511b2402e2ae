"""``tar.gz`` archives: the same bytes for the same files, unpacked below one folder only."""

import errno
import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from local_sagemaker.errors import ApiError

#: What names can be at fault for (None: a member is cut off); all else is this machine's.
NAMES_FAULT = (None, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)
_NO_OWNER: Any = {"uid": 0, "gid": 0, "uname": "", "gname": "", "mtime": 0, "deep": False}


class ArchiveError(ApiError):
    """It is no archive, or one that reaches outside of its folder."""


def inside(folder: Path, relative: str) -> Path:
    """Return the path of a key or a member below a folder; an `ArchiveError` if it is outside."""
    pure = PurePosixPath(relative)
    steps = relative.replace("\\", "/").split("/")  # a backslash is a letter here, a step elsewhere
    if pure.is_absolute() or ".." in steps or "\0" in relative:
        raise ArchiveError(f"ClientError: {relative!r} would be written outside of its folder.")
    return folder.joinpath(*pure.parts)


def pack(folder: Path, target: BinaryIO) -> list[str]:
    """Write a folder as ``tar.gz``; return what is left out: devices, links out or to nowhere."""
    left_out: list[Path] = []
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=target, compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", dereference=True) as archive,
    ):
        for path in _members(folder, (folder.resolve(),), left_out):
            name = path.relative_to(folder).as_posix()
            archive.add(path, name, recursive=False, filter=lambda one: one.replace(**_NO_OWNER))
    return [path.relative_to(folder).as_posix() for path in left_out]


def _members(folder: Path, above: tuple[Path, ...], left_out: list[Path]) -> Iterator[Path]:
    """Yield what is below a folder; ``above`` are the real folders around it."""
    for path in sorted(folder.iterdir()):
        real = path.resolve() if path.exists() else Path("/")  # a link to nowhere, or to itself
        enter = real.is_dir() and real.is_relative_to(above[0]) and real not in above
        if not (enter or real.is_file()):
            left_out.append(path)
            continue
        yield path
        if enter:
            yield from _members(path, (*above, real), left_out)


def unpack(data: bytes, name: str, folder: Path) -> None:
    """Unpack a ``tar.gz``, called ``name`` in messages; an `ArchiveError` if it is unsafe."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = archive.getmembers()
            for member in members:
                inside(folder, member.name)
                if not (member.isfile() or member.isdir()):
                    said = f"{name} holds {member.name!r}, which is neither a file nor a folder"
                    raise ArchiveError(f"ClientError: {said}: refused.")
            folder.mkdir(parents=True, exist_ok=True)
            archive.extractall(folder, members, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        own = isinstance(error, OSError) and error.filename == str(folder)
        if own or (isinstance(error, OSError) and error.errno not in NAMES_FAULT):
            raise  # the disk, not the archive
        if isinstance(error, OSError) and error.errno:
            error = OSError(f"{error.strerror} ({Path(error.filename or '').name[:80]!r})")
        said = f"{name} is not a tar.gz archive that can be unpacked: {error}"
        raise ArchiveError(f"ClientError: {said}") from None
