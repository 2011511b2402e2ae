"""Subprocesses of jobs: started, read line by line, ended; none outlives the service."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_LONGEST_LINE = 200_000  # bytes; CloudWatch takes events of 256 kB
_KILL_SECONDS = 2.0  # that the supervisor has to kill everything, before it is killed itself


class Program:
    """A running program below a supervisor; ``on_line`` gets each line of its output and errors."""

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        folder: Path,
        on_line: Callable[[str], None],
    ) -> None:
        self._timers: list[threading.Timer] = []
        # the supervisor holds the read end of a pipe whose write end only this process has
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR), *command],
            env=dict(variables),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._input = self._process.stdin
        self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
        self._reader.start()

    def _read(self, on_line: Callable[[str], None]) -> None:
        assert isinstance(self._process.stdout, BufferedReader)
        for line in _lines(self._process.stdout):
            on_line(line.decode("utf-8", "replace"))

    def wait(self) -> int:
        """Wait for the end and for the last line; the exit code."""
        code = self._process.wait()
        self._reader.join(5)  # a process that escaped and keeps the pipe open doesn't keep the job
        self._signal(signal.SIGKILL)
        for timer in self._timers:
            timer.cancel()
        self._input.close()
        return code

    def stop(self, seconds: float) -> None:
        """Ask it and its children to end, and return; what is left after ``seconds`` is killed."""
        if self._process.poll() is None:
            if not self._timers:
                self._signal(signal.SIGTERM)
            self._timers.append(threading.Timer(seconds, self.kill))
            self._timers[-1].daemon = True
            self._timers[-1].start()

    def kill(self) -> None:
        """Kill it, and everything it started."""
        if self._process.poll() is None:
            self._input.close()  # the supervisor finds those with a session of their own
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_SECONDS)
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the whole group is gone
            os.killpg(self._process.pid, number)


def _lines(output: BufferedReader) -> Iterator[bytes]:
    """Yield lines without their end; of one rewritten in place (a progress bar), its last form."""
    rest = b""
    while chunk := output.read1(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(_last_form, lines)
        if len(rest) > _LONGEST_LINE:
            rest = _last_form(rest)
        if len(rest) > _LONGEST_LINE:
            yield rest
            rest = b""
    if rest:
        yield _last_form(rest)


def _last_form(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2]
