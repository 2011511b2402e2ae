"""What was made and is still there: deleted after a block, or listed. The same on this machine and on AWS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_sagemaker.errors import CloudError

if TYPE_CHECKING:
    import pandas as pd

    from helpers.cloud.connection import Connection

_SHORTEST = 3  # characters of a prefix on AWS: a shorter one could be anyone's
_WAIT_SECONDS = 900.0  # for an endpoint that is still being created, which AWS does not delete
_BUSY = ("Creating", "Updating", "RollingBack", "SystemUpdating")


@dataclass(frozen=True)
class _Sort:
    """How things of one sort are listed and ended."""

    name: str
    plural: str
    listing: str  # operation
    rows: str  # member of the answer
    member: str  # start of the member names
    end: str  # operation that deletes or stops
    running: str = ""  # status to ask for; empty for things that have none

    def find(self, client: Any, prefix: str) -> list[tuple[str, str]]:
        """Names and states of all that begin with a prefix."""
        asked: dict[str, Any] = {"MaxResults": 100}
        if prefix:
            asked["NameContains"] = prefix
        found: list[tuple[str, str]] = []
        for status in [self.running] if self.running else [""]:
            pages = client.get_paginator(self.listing).paginate(
                **asked, **({"StatusEquals": status} if status else {})
            )
            for page in pages:
                for row in page[self.rows]:
                    if row[f"{self.member}Name"].startswith(prefix):
                        found.append(
                            (row[f"{self.member}Name"], row.get(f"{self.member}Status", ""))
                        )
        return sorted(found)


_SORTS = (
    _Sort(
        "tuning job",
        "tuning jobs",
        "list_hyper_parameter_tuning_jobs",
        "HyperParameterTuningJobSummaries",
        "HyperParameterTuningJob",
        "stop_hyper_parameter_tuning_job",
        "InProgress",
    ),
    _Sort(
        "training job",
        "training jobs",
        "list_training_jobs",
        "TrainingJobSummaries",
        "TrainingJob",
        "stop_training_job",
        "InProgress",
    ),
    _Sort(
        "transform job",
        "transform jobs",
        "list_transform_jobs",
        "TransformJobSummaries",
        "TransformJob",
        "stop_transform_job",
        "InProgress",
    ),
    _Sort("endpoint", "endpoints", "list_endpoints", "Endpoints", "Endpoint", "delete_endpoint"),
    _Sort(
        "endpoint configuration",
        "endpoint configurations",
        "list_endpoint_configs",
        "EndpointConfigs",
        "EndpointConfig",
        "delete_endpoint_config",
    ),
    _Sort("model", "models", "list_models", "Models", "Model", "delete_model"),
)


@contextlib.contextmanager
def cleanup(connection: Connection, prefix: str) -> Iterator[None]:
    """Delete what a block made, also when it raises: endpoints, their configurations, models.

    Jobs that still run are stopped. What it deleted is printed in one line. A deletion that fails does
    not keep the others, nor the block's own error, from coming through.

    Parameters
    ----------
    connection : Connection
        From ``cloud.connect()``.
    prefix : str
        Names that begin with it are meant, such as ``"course-05"``.

    Raises
    ------
    CloudError
        The prefix is too short on AWS; or, at the end, something could not be deleted, which is named.
    """
    _check(connection, prefix)
    failed: list[str] = []
    try:
        yield
    except BaseException:
        failed = _end_all(connection, prefix)
        for sentence in failed:
            print(sentence)
        raise
    failed = _end_all(connection, prefix)
    if failed:
        raise CloudError(" ".join(failed))


def _check(connection: Connection, prefix: str) -> None:
    if not prefix or (not connection.local and len(prefix) < _SHORTEST):
        raise CloudError(
            f"The prefix {prefix!r} is too short: name at least {_SHORTEST} characters that only your"
            " names begin with."
        )


def _end_all(connection: Connection, prefix: str) -> list[str]:
    """End everything with that prefix; what could not be ended, a sentence each."""
    client = connection.client("sagemaker")
    ended, failed = [], []
    for sort in _SORTS:
        try:
            found = sort.find(client, prefix)
        except Exception as error:
            failed.append(f"Could not list {sort.plural}: {error}")
            continue
        count = 0
        for name, state in found:
            try:
                if state in _BUSY:
                    _wait(client, name)
                getattr(client, sort.end)(**{f"{sort.member}Name": name})
                count += 1
            except Exception as error:
                failed.append(f"The {sort.name} {name} is still there: {error}")
        if count:
            ended.append(f"{count} {sort.name if count == 1 else sort.plural}")
    print(f"Cleaned up: {', '.join(ended) or 'nothing was left'}.")
    return failed


def _wait(client: Any, endpoint: str, sleep: Callable[[float], None] = time.sleep) -> None:
    limit = time.monotonic() + _WAIT_SECONDS
    while client.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] in _BUSY:
        if time.monotonic() > limit:
            raise TimeoutError(f"still being created after {_WAIT_SECONDS:.0f} s")
        sleep(0.2 if "127.0.0.1" in client.meta.endpoint_url else 10)


def leftovers(connection: Connection, prefix: str = "") -> pd.DataFrame:
    """List what is still there, and on AWS costs or will be looked for: endpoints, running jobs, models.

    Parameters
    ----------
    connection : Connection
        From ``cloud.connect()``.
    prefix : str
        Only names that begin with it.

    Returns
    -------
    pandas.DataFrame
        One row a thing, columns ``what``, ``name``, ``status``; empty where nothing is left.
    """
    import pandas as pd

    client = connection.client("sagemaker")
    rows = [
        (sort.name, name, state or "-")
        for sort in _SORTS
        for name, state in sort.find(client, prefix)
    ]
    return pd.DataFrame(rows, columns=["what", "name", "status"])
