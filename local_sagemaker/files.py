"""Files written whole or not at all, damaged ones set aside, locks, and addresses without a proxy.

Standard library only: it is used on a bare Python, before anything is installed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
_PREFIX = "local-sagemaker-"
_LOCK = "in-use"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it over ``path`` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:80]}-{uuid.uuid4().hex}.part")
    try:
        yield part
        sync(part)  # the content must be on the disk before the name points at it
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


def write(path: Path, content: bytes | str, mode: int = 0o666) -> None:
    """Write a file whole or not at all, text as UTF-8, with a ``mode`` from its first byte on."""
    data = content.encode() if isinstance(content, str) else content
    opener = functools.partial(os.open, mode=mode)
    with replacing(path) as part, open(part, "wb", opener=opener) as file:
        file.write(data)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable; Windows can't."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(path: Path, fault: object) -> str:
    """Rename a damaged file or folder, so that the next start passes it by; return a sentence."""
    aside = path.with_name(f"{path.name}.damaged-{uuid.uuid4().hex[:8]}")
    path.rename(aside)
    return f"{path} is damaged ({fault}): it was set aside as {aside.name}."


def hold(path: Path) -> IO[str] | None:
    """Lock a file, made if need be, until what is returned is closed; None where another has it."""
    file = path.open("a+")
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.close()
        return None
    except OSError:
        pass  # a file system without locks gives it to all
    return file


def loopback_without_proxy(variables: MutableMapping[str, str]) -> None:
    """Exempt this machine from the proxies that ``variables`` name, in place.

    Without a proxy nothing is set: a lone ``no_proxy`` would keep Python from asking the system.
    """
    spelled = {name.lower(): value for name, value in variables.items() if value.strip()}
    if not any(name.endswith("_proxy") and name != "no_proxy" for name in spelled):
        return
    for name in ("no_proxy", "NO_PROXY"):
        listed = (variables.get(name, "").strip() or spelled.get("no_proxy", "")).strip(", ")
        missing = {"127.0.0.1", "localhost", "::1"} - {one.strip() for one in listed.split(",")}
        if listed != "*":
            variables[name] = ",".join([*filter(None, [listed]), *sorted(missing)])


def work_folder() -> tuple[Path, IO[str]]:
    """Make and lock a folder for one service, and remove those of services that were killed."""
    temporary = tempfile.gettempdir()  # the SDK's scripts do not quote paths
    base = Path(temporary if " " not in temporary else "/tmp")
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if not folder.is_symlink() and folder.stat().st_uid == os.getuid():
                lock = hold(folder / _LOCK)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    lock.close()
    hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=base))
    lock = hold(hidden / _LOCK)
    assert lock is not None  # nobody else knows this name
    return hidden.rename(base / hidden.name[1:]), lock  # others see it when it is locked
