"""Files that are there whole or not at all, and folders that belong to one process as long as it lives."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import uuid
from pathlib import Path

_PREFIX = "course-cloud-"
_LOCK = "in-use"
_YOUNG = 3600.0  # seconds that a folder without a lock is left alone: it may be about to get one


def write_atomically(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file that is there whole or not at all, and survives loss of power once this returns.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made if need be.
    data : bytes
        The content.
    mode : int
        Who may read and write it, from its first byte on.

    Raises
    ------
    OSError
        Nothing was changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with open(draft, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; where the system cannot (Windows), nothing happens."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(path: Path, fault: object) -> str:
    """Rename a damaged file or folder, so that the next start does not find it; return a sentence.

    Parameters
    ----------
    path : pathlib.Path
        What is damaged; it keeps its place and its content.
    fault : object
        What is wrong with it, such as the error that reading it raised.
    """
    aside = path.with_name(f"{path.name}.damaged-{uuid.uuid4().hex[:8]}")
    path.rename(aside)
    return f"{path} is damaged ({fault}): it was set aside as {aside.name}."


def hold(path: Path) -> int | None:
    """Take a lock, which the system lets go when the process ends, however it does.

    Parameters
    ----------
    path : pathlib.Path
        The file that is locked; it is made if need be.

    Returns
    -------
    int or None
        A handle: the lock is held until it is closed here and in every process that inherited it. None where
        another process has the lock.

    Raises
    ------
    OSError
        The file can't be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if os.name == "nt":
        return handle
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def work_folder() -> tuple[Path, int]:
    """Make a folder for one service, and remove those of services that were killed.

    Returns
    -------
    path, handle : pathlib.Path, int
        The folder, and its lock: the service inherits it, and the folder is left alone as long as it is held.

    Raises
    ------
    OSError
        There is no room for it.
    """
    temporary = tempfile.gettempdir()
    base = Path(
        temporary if " " not in temporary else "/tmp"
    )  # the SDK's scripts do not quote paths
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    handle = hold(folder / f"{_LOCK}.new")
    assert handle is not None  # nobody else knows this name
    (folder / f"{_LOCK}.new").rename(
        folder / _LOCK
    )  # it appears locked, so that no other sweep takes it
    return folder, handle


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            if not (folder / _LOCK).exists():
                if time.time() - folder.stat().st_mtime > _YOUNG:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            handle = hold(folder / _LOCK)
        except (OSError, AttributeError):  # gone meanwhile, or no system with owners and locks
            continue
        if handle is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)
