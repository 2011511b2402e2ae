"""Files written whole or not at all, file locks, ports, and processes that end with their parent.

Standard library only: the runner uses it on a bare Python, before anything is installed.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it over ``path`` if the block succeeds.

    The folder is made if need be. Readers see the old content or the new, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    try:
        yield part
        if os.name != "nt":  # the content must be on the disk before the name points at it
            with part.open("rb") as written:
                os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all; text as UTF-8. After an OSError nothing was changed."""
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def hold(path: Path) -> IO[str] | None:
    """Take an exclusive lock, which the system releases when the process ends.

    Parameters
    ----------
    path : pathlib.Path
        The file that is locked; it is made if need be.

    Returns
    -------
    file or None
        The lock is held until this is closed. None where another process holds it. A file system
        without locks (some network drives) gives everyone the lock.

    Raises
    ------
    OSError
        The file cannot be made.
    """
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
    except OSError:  # no locks here: go on without
        return file
    return file


@contextmanager
def locked(
    path: Path, patience: float = float("inf"), on_wait: Callable[[], None] | None = None
) -> Iterator[IO[str] | None]:
    """Hold a lock inside the block; wait for another process that holds it.

    Parameters
    ----------
    path : pathlib.Path
        As `hold`.
    patience : float
        Seconds to wait; after them the block runs without the lock.
    on_wait : callable, optional
        Called once, before the first wait.

    Yields
    ------
    file or None
        The held lock; None where patience ran out.
    """
    deadline = time.monotonic() + patience
    file = hold(path)
    if file is None and on_wait:
        on_wait()
    while file is None and time.monotonic() < deadline:
        time.sleep(0.02)
        file = hold(path)
    try:
        yield file
    finally:
        if file is not None:
            file.close()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that no program listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def loopback_without_proxy(variables: MutableMapping[str, str]) -> None:
    """Exempt 127.0.0.1 and localhost from the proxies that ``variables`` name, in place.

    Some programs read ``no_proxy`` and some ``NO_PROXY``; what they list stays. Without a proxy
    nothing is set, because Python then asks the system, and a lone ``no_proxy`` would stop it.
    """
    spelled = {name.lower(): value for name, value in variables.items() if value.strip()}
    if not any(name.endswith("_proxy") and name != "no_proxy" for name in spelled):
        return
    for name in ("no_proxy", "NO_PROXY"):
        listed = (variables.get(name, "").strip() or spelled.get("no_proxy", "")).strip(", ")
        missing = {"127.0.0.1", "localhost", "::1"} - {one.strip() for one in listed.split(",")}
        if listed != "*":
            variables[name] = ",".join([*filter(None, [listed]), *sorted(missing)])


def end_with(parent: int) -> None:
    """End this process within a second after the process ``parent``, which started it, is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(2)

    threading.Thread(target=watch, daemon=True).start()
