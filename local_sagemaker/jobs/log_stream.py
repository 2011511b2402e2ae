"""Log streams in CloudWatch of what programs print, where the SDK reads it while they run."""

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_sagemaker.jobs.environment import REGION
from local_sagemaker.service.store import ACCOUNT

_PORT = re.compile(r"127\.0\.0\.1:\d+")
LONGEST = 200_000  # characters of one line; CloudWatch takes 256 kB


def group(name: str) -> Any:
    """Return moto's log group of that name, such as ``/aws/sagemaker/TrainingJobs``."""
    from moto.logs.exceptions import ResourceAlreadyExistsException
    from moto.logs.models import logs_backends

    logs = logs_backends[ACCOUNT][REGION]
    with contextlib.suppress(ResourceAlreadyExistsException):
        logs.create_log_group(name, {})
    return logs.groups[name]


class Stream:
    def __init__(self, group_name: str, name: str) -> None:
        streams = group(group_name).streams
        if name not in streams:  # else of a job deleted and made again within the second
            group(group_name).create_log_stream(name)
        self._stream = streams[name]

    def served(self, folder: Path) -> Callable[[str], None]:
        """Return how a model server writes: with the folder and port of a real container."""
        own, port = str(folder), "127.0.0.1:8080"
        return lambda line: self.write(_PORT.sub(port, line.replace(own, "/opt/ml/model")))

    def write(self, line: str) -> None:
        event = {"timestamp": time.time_ns() // 1_000_000, "message": line[:LONGEST] or " "}
        self._stream.put_log_events([event])  # CloudWatch refuses empty messages
