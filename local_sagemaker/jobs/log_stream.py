"""Log streams in CloudWatch of what programs print, where the SDK reads it while they run."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# seconds that lines are gathered, so that a chatty job is a few calls and not thousands
_GATHER = 0.05
_PORT = re.compile(r"127\.0\.0\.1:\d+")
_LONGEST = 200_000  # characters of one line that are kept; CloudWatch takes 256 kB


class Stream:
    """One log stream of one program: a group such as ``/aws/sagemaker/TrainingJobs``, a name."""

    def __init__(self, logs: Any, group: str, name: str) -> None:
        self._logs = logs
        self.group, self.name = group, name
        self._lines: queue.Queue[tuple[int, str] | None] = queue.Queue()
        exists = logs.exceptions.ResourceAlreadyExistsException
        with contextlib.suppress(exists):  # all but the first job's
            logs.create_log_group(logGroupName=group)
        with contextlib.suppress(exists):  # of a job deleted and made again within the second
            logs.create_log_stream(logGroupName=group, logStreamName=name)
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def served(self, folder: Path) -> Callable[[str], None]:
        """Return how a model server writes: with the folder and port of a real container."""

        def write(line: str) -> None:
            self.write(_PORT.sub("127.0.0.1:8080", line.replace(str(folder), "/opt/ml/model")))

        return write

    def write(self, line: str) -> None:
        """Add one line; returns at once."""
        self._lines.put((time.time_ns() // 1_000_000, line[:_LONGEST]))

    def close(self, seconds: float = 30) -> None:
        """Send what is left and wait until it can be read."""
        self._lines.put(None)
        self._thread.join(seconds)

    def _send(self) -> None:
        where = {"logGroupName": self.group, "logStreamName": self.name}
        batch: list[tuple[int, str] | None] = []
        last = 0
        while None not in batch:
            batch = [self._lines.get()]
            time.sleep(0 if batch == [None] else _GATHER)
            while not self._lines.empty():
                batch.append(self._lines.get())
            events = []
            for moment, text in filter(None, batch):
                last = max(last, moment)  # CloudWatch refuses events out of order, and empty ones
                events.append({"timestamp": last, "message": text or " "})
            for start in range(0, len(events), 1000):
                self._logs.put_log_events(**where, logEvents=events[start : start + 1000])
