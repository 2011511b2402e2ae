"""One run at a time changes the environment; the others wait."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from helpers.runner.environment import Environment
from helpers.runner.machine import CannotRun

GUARD = "course-install.lock"  # held by the one run that changes the environment
WAIT_SECONDS = 0.5


@contextmanager
def guarded(environment: Environment) -> Iterator[None]:
    """Let one run at a time change the environment; others wait. The system frees a dead run's hold."""
    try:
        environment.folder.mkdir(parents=True, exist_ok=True)
        guard = (environment.folder / GUARD).open("a+")
    except OSError as error:
        raise CannotRun(
            f"{environment.folder} cannot be written ({error.strerror}):"
            " name a folder of yours with COURSE_VENV."
        ) from error
    with guard:
        waiting = False
        while not _hold(guard):
            if not waiting:
                print("Another run is making the environment; waiting until it has.", flush=True)
                waiting = True
            time.sleep(WAIT_SECONDS)
        # what is started below keeps the hold while it lives, should this run be killed
        os.set_inheritable(guard.fileno(), True)
        with _ending_like_ctrl_c():
            yield


@contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """Let a closed terminal or a polite kill stop the installers too, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {
        name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in names
    }
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _hold(guard: IO[str]) -> bool:
    """Take the hold if it is free; it ends when the file is closed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            guard.seek(0)
            msvcrt.locking(guard.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks (some network drives): go on without
        return True
    return True
