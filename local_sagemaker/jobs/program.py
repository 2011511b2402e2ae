"""Subprocesses of jobs: started, read line by line, ended; none outlives the service."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from local_sagemaker.jobs.log_stream import LONGEST

OnLine = Callable[[str], None]
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_KILL_SECONDS = 2.0  # that the supervisor has to kill everything, before it is killed itself


class Program:
    """A running program below a supervisor; ``on_line`` gets each line of its output and errors."""

    def __init__(
        self, command: list[str], folder: Path, variables: Mapping[str, str], on_line: OnLine
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

    def _read(self, on_line: OnLine) -> None:
        assert isinstance(self._process.stdout, io.BufferedReader)
        output = io.TextIOWrapper(self._process.stdout, "utf-8", "replace", newline="\n")
        for line in iter(lambda: output.readline(LONGEST), ""):
            on_line(line.rstrip("\r\n").rpartition("\r")[2])  # of a progress bar, its last form

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
        if self._process.poll() is None:
            self._input.close()  # the supervisor finds those with a session of their own
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_SECONDS)
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the whole group is gone
            os.killpg(self._process.pid, number)
