"""Files written whole or not at all, file locks, ports, and processes that end with their parent.

Standard library only: the runner uses it on a bare Python, before anything is installed.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from local_sagemaker.files import hold, loopback_without_proxy, replacing, write

__all__ = [
    "cloud_folder",
    "end_with",
    "free_port",
    "hold",
    "locked",
    "loopback_without_proxy",
    "replacing",
    "write",
]


def cloud_folder() -> Path | None:
    """Folder of a lab's SageMaker: ``COURSE_CLOUD_STATE``, else in the home; None where empty."""
    named = os.environ.get("COURSE_CLOUD_STATE", "~/.recsys-workbook/cloud")
    return Path(named).expanduser() if named else None


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


def end_with(parent: int) -> None:
    """End this process within a second after the process ``parent``, which started it, is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(2)

    threading.Thread(target=watch, daemon=True).start()
