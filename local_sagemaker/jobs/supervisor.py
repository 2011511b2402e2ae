"""Supervisor of one program: ``python -I -S supervisor.py PROGRAM [argument …]``.

When its standard input closes, because the service is gone, the program and all it started are
killed, on Linux those with a session of their own, too. It imports little, to start at once.
"""

import ctypes
import io
import os
import signal
import sys
import threading

_PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
_ADOPTS = sys.platform == "linux"
_told_to_end: list[int] = []  # the signals that came


def _kill_children() -> None:
    """Kill all children; theirs are adopted and killed next, until none is left."""
    try:
        while _ADOPTS:
            if os.waitpid(-1, os.WNOHANG) != (0, 0):
                continue
            for entry in os.scandir("/proc"):
                if entry.name.isdigit() and _parent(entry.path) == os.getpid():
                    os.kill(int(entry.name), signal.SIGKILL)
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


def _parent(process: str) -> int:
    try:
        with io.FileIO(f"{process}/stat") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0  # it ended meanwhile


def _end_with_input() -> None:
    while os.read(0, 1 << 10):
        pass
    _kill_children()
    os.killpg(0, signal.SIGKILL)


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
    """Run the program; return its exit code, 128 and the signal's number where one killed it."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the program gets it too, and decides
        signal.signal(number, lambda number, _: _told_to_end.append(number))
    if _ADOPTS:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    no_input = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    try:
        program = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=no_input)
    except OSError as error:
        print(f"{sys.argv[1]} does not start: {error.strerror}", flush=True)
        return 127
    threading.Thread(target=_end_with_input, daemon=True).start()
    code = _wait(program)
    _kill_children()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
