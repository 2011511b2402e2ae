"""Subprocesses of jobs: started, read line by line, ended; none outlives the service."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_GUARD = Path(__file__).parents[1] / "guard.py"
_TAIL = 400  # lines remembered for the reason of a failure


class Program:
    """One running program and its last lines.

    Parameters
    ----------
    command : sequence of str
        What to run.
    environment : mapping
        All of its environment variables.
    folder : pathlib.Path
        Where it runs.
    on_line : callable
        Gets each line of its output as it is written, standard error included, without line end.
    shown : mapping, optional
        What is written differently in those lines: a folder of this machine and what it stands for.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        on_line: Callable[[str], None],
        shown: Mapping[str, str] | None = None,
    ) -> None:
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._on_line = on_line
        self._shown = dict(shown or {})
        # the guard holds the read end of a pipe whose write end only this process has
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), *command],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the guard, which leads the program's process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # a line that is rewritten in place (a progress bar) is kept in its last form
            text = line.rstrip("\r\n").rpartition("\r")[2]
            for here, there in self._shown.items():
                text = text.replace(here, there)
            self.tail.append(text)
            self._on_line(text)

    def wait(self, seconds: float | None = None) -> int:
        """Wait for the end and for the last line; the exit code, negative for a signal.

        Raises
        ------
        TimeoutError
            It still runs after ``seconds``.
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still running after {seconds} s") from None
        self._reader.join(5)  # a grandchild that keeps the pipe open does not keep the job
        self._signal(signal.SIGKILL)
        return code

    def stop(self, seconds: float = 5) -> None:
        """Ask it to end, and its children; kill what is left after ``seconds``."""
        if self.alive:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):  # then it is killed
                self._process.wait(seconds)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # the whole group is gone
