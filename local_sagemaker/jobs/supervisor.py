"""Supervisor of one program: ``python -I -S supervisor.py PROGRAM [argument …]``.

The service holds the other end of this process's standard input. When that end closes, however the
service went, the program and everything it started are killed. On Linux that includes children with
a session of their own: they are adopted here when their parent ends. Other systems have no such
adoption; there, only the program's process group is killed. Standard library only, so that it
starts within milliseconds.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
_told_to_end: list[int] = []  # the signals that came


def _adopt_orphans() -> bool:
    """Become the parent of every orphan below this process; False where the system can't."""
    if sys.platform != "linux":
        return False
    return ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def _children() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[1]
        except OSError:
            continue  # it ended meanwhile
        if int(parent) == os.getpid():
            found.append(int(folder.name))
    return found


def _kill_children() -> None:
    """Kill all children; theirs are adopted and killed next, until none is left."""
    try:
        while True:
            if os.waitpid(-1, os.WNOHANG) != (0, 0):
                continue
            for child in _children():
                os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


def _end_with_input(adopts: bool) -> None:
    while os.read(0, 1 << 10):
        pass
    if adopts:
        _kill_children()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _wait(program: int) -> int:
    """Wait for the program; once it was told to end, also for what it started and left behind."""
    code = 0
    while True:
        try:
            ended, status = os.wait()
        except ChildProcessError:
            return code
        if ended == program:
            code = os.waitstatus_to_exitcode(status)
            if not _told_to_end:
                return code


def main() -> int:
    """Run the program; end the way it ended, by the same signal or with the same code."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the program gets it too, and decides
        signal.signal(number, lambda number, _: _told_to_end.append(number))
    adopts = _adopt_orphans()
    try:
        program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{sys.argv[1]} does not start: {error.strerror}", flush=True)
        return 127
    threading.Thread(target=_end_with_input, args=(adopts,), daemon=True).start()
    code = _wait(program.pid)
    if adopts:
        _kill_children()
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    if os.getpgrp() != os.getpid():
        os.setsid()
    sys.exit(main())
