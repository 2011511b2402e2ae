"""What was made and is still there: deleted around a block, or listed. The same here and on AWS."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
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
    member: str  # start of its members: ``TrainingJob`` for ``TrainingJobName``
    listing: str  # operation
    end: str  # operation that deletes or stops
    runs: bool = False  # whether only those that run are meant

    def find(self, connection: Connection, prefix: str) -> list[tuple[str, str]]:
        """Names and states of all of this learner's that begin with a prefix."""
        asked = {"NameContains": prefix} if prefix else {}
        asked |= {"StatusEquals": "InProgress"} if self.runs else {}
        pages = connection.client("sagemaker").get_paginator(self.listing)
        (rows,) = pages.paginate(MaxResults=100, **asked).result_key_iters()
        return sorted(
            (name, row.get(f"{self.member}Status", ""))
            for row in rows
            if (name := row[f"{self.member}Name"]).startswith(prefix) and connection.owns(name)
        )


_JOBS = (
    _Sort(
        "tuning job",
        "HyperParameterTuningJob",
        "list_hyper_parameter_tuning_jobs",
        "stop_hyper_parameter_tuning_job",
        runs=True,
    ),
    _Sort("training job", "TrainingJob", "list_training_jobs", "stop_training_job", runs=True),
    _Sort("transform job", "TransformJob", "list_transform_jobs", "stop_transform_job", runs=True),
)
_CONFIGS = ("endpoint configuration", "EndpointConfig")
_DEPLOYED = (
    _Sort("endpoint", "Endpoint", "list_endpoints", "delete_endpoint"),
    _Sort(*_CONFIGS, "list_endpoint_configs", "delete_endpoint_config"),
    _Sort("model", "Model", "list_models", "delete_model"),
)


@contextlib.contextmanager
def cleanup(connection: Connection, prefix: str) -> Iterator[None]:
    """Delete what a block made, also when it raises: endpoints, their configurations, models.

    Those that an earlier run left are deleted before the block, so that no old model is deployed in
    place of a new one. Jobs that still run are stopped at the end. What it deleted is printed in
    one line. A deletion that fails does not keep the others, nor the block's own error, from coming
    through.

    Parameters
    ----------
    connection : Connection
        From ``cloud.connect()``.
    prefix : str
        Names that begin with it are meant, such as ``"course-05"``; on AWS only this learner's.

    Raises
    ------
    CloudError
        The prefix is too short on AWS; or something could not be deleted, which is named.
    """
    if not prefix or (not connection.local and len(prefix) < _SHORTEST):
        raise CloudError(
            f"The prefix {prefix!r} is too short: name at least {_SHORTEST} characters that only"
            " your names begin with."
        )
    ended, failed = _end(connection, prefix, _DEPLOYED)
    if ended:
        print(f"Deleted first, of an earlier run: {ended}.")
    if failed:
        raise CloudError(" ".join(failed))
    raised = True
    try:
        yield
        raised = False
    finally:
        ended, failed = _end(connection, prefix, _JOBS + _DEPLOYED)
        print(f"Cleaned up: {ended or 'nothing was left'}.")
        if failed and not raised:
            raise CloudError(" ".join(failed))
        print("\n".join(failed), end="\n" * bool(failed))


def _end(connection: Connection, prefix: str, sorts: tuple[_Sort, ...]) -> tuple[str, list[str]]:
    """End everything with that prefix; return what was, and a sentence for each that stays."""
    client = connection.client("sagemaker")
    ended: Counter[str] = Counter()
    failed = []
    for sort in sorts:
        try:
            found = sort.find(connection, prefix)
        except Exception as error:
            failed.append(f"Could not list {sort.name}s: {error}")
            continue
        for name, state in found:
            try:
                if state in _BUSY:
                    _wait(client, name)
                getattr(client, sort.end)(**{f"{sort.member}Name": name})
                ended[sort.name] += 1
            except Exception as error:
                failed.append(f"The {sort.name} {name} is still there: {error}")
    return ", ".join(f"{n} {name}{'s' * (n > 1)}" for name, n in ended.items()), failed


def _wait(client: Any, endpoint: str, sleep: Callable[[float], None] = time.sleep) -> None:
    limit = time.monotonic() + _WAIT_SECONDS
    while client.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] in _BUSY:
        if time.monotonic() > limit:
            raise TimeoutError(f"still being created after {_WAIT_SECONDS:.0f} s")
        sleep(0.2 if "127.0.0.1" in client.meta.endpoint_url else 10)


def leftovers(connection: Connection, prefix: str = "course-") -> pd.DataFrame:
    """List what is still there, and on AWS costs or will be looked for.

    These are endpoints, their configurations, models, jobs that run, and objects in the bucket,
    which nothing deletes by itself.

    Parameters
    ----------
    connection : Connection
        From ``cloud.connect()``.
    prefix : str
        Only names that begin with it; on AWS only this learner's.

    Returns
    -------
    pandas.DataFrame
        One row per thing, or per folder of the bucket; columns ``what``, ``name``, ``status``.
    """
    import pandas as pd

    rows = [
        (sort.name, name, state or "-")
        for sort in _JOBS + _DEPLOYED
        for name, state in sort.find(connection, prefix)
    ]
    sizes: dict[str, list[int]] = {}
    pages = connection.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=connection.bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            if connection.owns(found["Key"]):
                sizes.setdefault(found["Key"].partition("/")[0], []).append(found["Size"])
    rows += [
        (
            "objects in S3",
            f"s3://{connection.bucket}/{folder}",
            f"{len(bytes_)} objects, {-(-sum(bytes_) // 1_000_000)} MB",
        )
        for folder, bytes_ in sorted(sizes.items())
    ]
    return pd.DataFrame(rows, columns=["what", "name", "status"])
