"""The account: its records, its running jobs and endpoints, their folders and their variables."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local_sagemaker.errors import LOG, ApiError, failure, reason
from local_sagemaker.jobs import environment
from local_sagemaker.jobs.environment import REGION
from local_sagemaker.service.store import ENDPOINT, KINDS, Kind, Record, Store, now

Request = Mapping[str, Any]
Make = Callable[["Account", Record], Any]
#: States of a job that has not ended.
RUNNING = ("InProgress", "Stopping")
_ENDED = "the SageMaker on this machine ended while the"


class Account:
    """One account; its ``work`` folder goes with the service, its ``state`` outlives it."""

    def __init__(self, url: str, token: str, work: Path, state: Path | None = None) -> None:
        self.url, self.token, self.work = url, token, work
        self.store = Store(None if state is None else state / "sagemaker")
        self.running: dict[str, Any] = {}  # by kind and name: "training-job/name"
        self.lock = threading.RLock()
        self._clients: dict[str, Any] = {}
        self._settle()

    def client(self, service: str) -> Any:
        """Return a boto3 client of another service, through this one's door."""
        with self.lock:
            if service not in self._clients:
                import boto3
                from botocore.config import Config

                session = boto3.session.Session(self.token, "local", region_name=REGION)
                options: Any = {"max_pool_connections": 32, "retries": {"total_max_attempts": 2}}
                config = Config(s3={"addressing_style": "path"}, **options)
                made = session.client(service, endpoint_url=self.url, config=config)
                self._clients[service] = made
            return self._clients[service]

    @property
    def s3(self) -> Any:
        return self.client("s3")

    def check_role(self, arn: str) -> None:
        """Refuse a role that IAM does not have, as SageMaker does at once."""
        iam = self.client("iam")
        try:
            found = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]["Arn"]
        except iam.exceptions.NoSuchEntityException:
            found = ""
        if found != arn:
            said = f"Could not assume role {arn}. Please ensure that the role exists and allows"
            raise ApiError(f"{said} principal 'sagemaker.amazonaws.com' to assume the role.")

    def submit(self, kind: Kind, request: Request, make: Make, **more: Any) -> Record:
        """Keep the record of a job, with ``more``, and run what ``make`` makes of it."""
        with self.lock:
            record = self.store.add(kind, request, **{kind.status: "InProgress"}, **more)
            name = record[kind.name]
            job = make(self, self.store.get(kind, name))
            self.running[f"{kind.label}/{name}"] = job
        threading.Thread(target=self._live, args=(kind, name, job), daemon=True).start()
        return record

    def _live(self, kind: Kind, name: str, job: Any) -> None:
        key = f"{kind.label}/{name}"
        try:
            job.run()
        except Exception as error:
            LOG.exception("%s", key)
            self._fail(kind, name, failure(error))
        finally:
            with self.lock:
                if self.running.get(key) is job:  # and not one of the same name, made since
                    del self.running[key]

    def stop(self, kind: Kind, name: str) -> None:
        """Have a job stop, unless it has ended; return at once."""
        with self.lock, self.store.lock:  # a job that ends at this moment has the last word
            status = self.store.get(kind, name)[kind.status]
            if status not in RUNNING:
                raise ApiError(f"The request was rejected: the {kind.words} is in status {status}.")
            said = {kind.status: "Stopping", "SecondaryStatus": "Stopping"}
            self.store.update(kind, name, **said)
            job = self.running.get(f"{kind.label}/{name}")
        if job is not None:
            threading.Thread(target=job.stop, daemon=True).start()

    def _fail(self, kind: Kind, name: str, why: str) -> None:
        """Say of a job that its record still has as running that it failed."""
        said = {kind.status: "Failed", kind.end: now(), "FailureReason": reason(why)}
        with self.store.lock:
            if self.store.has(kind, name) and self.store.get(kind, name)[kind.status] in RUNNING:
                self.store.update(kind, name, **said, SecondaryStatus="Failed")

    def _settle(self) -> None:
        """Say what became of jobs and endpoints that were under way when the last server ended."""
        for kind in [kind for kind in KINDS if kind.end]:
            for record in self.store.all(kind):
                self._fail(kind, record[kind.name], f"InternalServerError: {_ENDED} job ran.")
        failed = {"EndpointStatus": "Failed", "FailureReason": f"{_ENDED} endpoint was created."}
        became = {"Creating": failed, "Updating": {"EndpointStatus": "InService"}}  # as before
        for record in self.store.all(ENDPOINT):
            if said := became.get(record["EndpointStatus"]):
                self.store.update(ENDPOINT, record["EndpointName"], **said)

    def folder(self, *parts: str) -> Path:
        self.discard(*parts)
        path = self.work.joinpath(*parts)
        path.mkdir(parents=True)
        return path

    def discard(self, *parts: str) -> None:
        shutil.rmtree(self.work.joinpath(*parts), ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return the variables of a program that the service starts."""
        with self.lock:
            programs = environment.interpreter(self.work / "python")
        return environment.variables(self.url, self.token, programs)

    def close(self, seconds: float = 10) -> None:
        """End everything that runs, jobs within some seconds, and remove the work folder."""
        limit = time.monotonic() + seconds + 3  # what they saved is packed and uploaded
        threads = []
        for key, one in list(self.running.items()):
            given = () if key.startswith("endpoint/") else (seconds,)
            threads.append(threading.Thread(target=one.stop, args=given, daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(max(0.0, limit - time.monotonic()))
        while any("-job/" in key for key in self.running) and time.monotonic() < limit:
            time.sleep(0.02)
        self.discard()
