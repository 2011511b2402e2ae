"""What the operations share: descriptions, clients, folders, running jobs and endpoints."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from local_sagemaker.errors import failure, reason
from local_sagemaker.service.store import ENDPOINT, TRAINING, TRANSFORM, TUNING, Kind, Record, Store

_log = logging.getLogger("course.cloud")
_UNDER_WAY = ("InProgress", "Stopping", "Creating", "Updating")
ROOT = Path(__file__).resolve().parents[2]
REGION = "us-west-2"
# what a program needs of this machine's environment: to start, to install, to compute the same numbers
_KEPT = {
    "HOME",
    "LANG",
    "TMPDIR",
    "TZ",
    "USER",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONHASHSEED",
    "PYTHONPATH",
}
_KEPT |= {"PATH", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
_KEPT_GROUPS = (
    "LC_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "TF_",
    "MXNET_",
    "KMP_",
    "KERAS_",
    "CUDA_",
    "NVIDIA_",
    "XLA_",
    "PIP_",
    "SSL_",
)


class Stoppable(Protocol):
    """A running job or a live endpoint."""

    def stop(self) -> None:
        """End it."""


class Job(Stoppable, Protocol):
    """A job of SageMaker's."""

    def run(self) -> None:
        """Run it to its end; what it raises is its failure."""


class Plane:
    """One account in one region, on this machine.

    Parameters
    ----------
    url : str
        Where the front door is; the plane uses S3 and Logs through it as everyone does.
    token : str
        Access key.
    work : pathlib.Path
        Folder for jobs and model servers; it goes with the server.
    state : pathlib.Path, optional
        Folder for descriptions that outlive the server; None for none.
    region : str
        AWS region that is played.
    """

    def __init__(
        self, url: str, token: str, work: Path, state: Path | None = None, region: str = REGION
    ) -> None:
        self.url, self.token, self.work, self.region = url, token, work, region
        self.store = Store(region, None if state is None else state / "sagemaker")
        self.running: dict[str, Stoppable] = {}  # by kind and name: "training-job/name"
        self.lock = threading.RLock()
        self._clients: dict[str, Any] = {}
        self._settle()

    def client(self, service: str) -> Any:
        """Return a boto3 client of ``s3`` or ``logs``, through the front door."""
        with self.lock:
            if service not in self._clients:
                import boto3
                from botocore.config import Config

                self._clients[service] = boto3.session.Session().client(
                    service,
                    region_name=self.region,
                    endpoint_url=self.url,
                    aws_access_key_id=self.token,
                    aws_secret_access_key="local",
                    config=Config(
                        s3={"addressing_style": "path"},
                        max_pool_connections=32,
                        retries={"total_max_attempts": 2},
                    ),
                )
            return self._clients[service]

    @property
    def s3(self) -> Any:
        """Client of S3."""
        return self.client("s3")

    @property
    def logs(self) -> Any:
        """Client of CloudWatch Logs."""
        return self.client("logs")

    def submit(
        self,
        kind: Kind,
        request: Mapping[str, Any],
        make: Callable[[Plane, Record], Job],
        **more: Any,
    ) -> Record:
        """Keep the description of a job and run it; nobody finds the one without the other.

        Parameters
        ----------
        kind : Kind
            What it is.
        request : mapping
            The request that creates it.
        make : callable
            Takes this and the description.
        **more : object
            What the description says besides.

        Returns
        -------
        dict
            The description.

        Raises
        ------
        ApiError
            There is one of that name already.
        """
        name = request[f"{kind.prefix}Name"]
        with self.lock:
            record = self.store.add(kind, request, **more)
            self._run(kind, name, make(self, self.store.get(kind, name)))
        return record

    def _run(self, kind: Kind, name: str, job: Job) -> None:
        """Run a job's life in a thread of its own, and know it until it ends."""
        key = f"{kind.label}/{name}"
        self.running[key] = job

        def life() -> None:
            try:
                job.run()
            except Exception as error:
                _log.exception("%s", key)
                self._fail(
                    kind, name, failure(error)
                )  # where its description says that it still runs
            finally:
                with self.lock:
                    if self.running.get(key) is job:  # and not one of the same name, made since
                        del self.running[key]

        threading.Thread(target=life, name=key, daemon=True).start()

    def folder(self, *parts: str) -> Path:
        """Return an empty folder for a job."""
        path = self.work.joinpath(*parts)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def discard(self, *parts: str) -> None:
        """Remove a job's folder: what it made is in S3."""
        shutil.rmtree(self.work.joinpath(*parts), ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Variables of every program that the service starts.

        As in a container, little of this machine's is among them: jobs print their environment.
        Programs find this interpreter as ``python3``, this package, and this service as AWS.
        """
        kept = {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith(_KEPT_GROUPS)}
        kept.pop("TF_CONFIG", None)  # a cluster's, which is the job's own business
        paths = [str(ROOT), kept.get("PYTHONPATH", "")]
        return kept | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.token,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PATH": os.pathsep.join([str(self._programs()), kept.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(p for p in paths if p),
            "PYTHONUNBUFFERED": "1",
        }

    def _programs(self) -> Path:
        """Folder with ``python3`` and ``pip3`` of this interpreter, whatever the PATH holds."""
        folder = self.work / "bin"
        with self.lock:
            if not (folder / "pip3").exists():
                folder.mkdir(parents=True, exist_ok=True)
                for name in ("python", "python3", "pip", "pip3"):
                    module = " -m pip" if name.startswith("pip") else ""
                    path = folder / name
                    path.write_text(
                        f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', encoding="utf-8"
                    )
                    path.chmod(0o755)
        return folder

    def _settle(self) -> None:
        """Say of jobs that ran when the last server ended that they ended with it."""
        why = "InternalServerError: the SageMaker on this machine ended while the job ran."
        for kind in (TRAINING, TRANSFORM, TUNING, ENDPOINT):
            for record in self.store.all(kind):
                self._fail(kind, record[f"{kind.prefix}Name"], why)

    def _fail(self, kind: Kind, name: str, why: str) -> None:
        """Say of what is under way, by its description, that it failed."""
        member = f"{kind.prefix}Status"
        with self.store.lock:
            if self.store.has(kind, name) and self.store.get(kind, name)[member] in _UNDER_WAY:
                more = {"SecondaryStatus": "Failed"} if kind is TRAINING else {}
                self.store.update(
                    kind, name, **{member: "Failed", "FailureReason": reason(why)}, **more
                )

    def close(self) -> None:
        """End everything that runs, and remove the work folder."""
        with self.lock:
            running = list(self.running.values())
        threads = [threading.Thread(target=job.stop, daemon=True) for job in running]
        for thread in threads:
            thread.start()
        limit = time.monotonic() + 4
        for thread in threads:
            thread.join(max(0.0, limit - time.monotonic()))
        shutil.rmtree(self.work, ignore_errors=True)
