"""One connection per kernel: to the service of this machine, or to AWS where that is asked for."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import threading
from functools import partial
from typing import Any

from helpers import gates
from helpers.cloud import aws
from helpers.cloud import sdk as kit
from helpers.files import cloud_folder
from local_sagemaker import clients, launch
from local_sagemaker.errors import CloudError
from local_sagemaker.files import loopback_without_proxy
from local_sagemaker.jobs.environment import REGION

_OURS = re.compile(r"(AWS_|SAGEMAKER_|no_proxy$|NO_PROXY$)")  # variables that connecting sets
_PATIENCE = 30.0  # seconds for a service that runs and is busy
_lock = threading.RLock()
_connection: Connection | None = None
_server: launch.Server | None = None
_close = contextlib.ExitStack()  # what undoes the changes to this process


class Connection:
    """Where the chapter's calls go, until `disconnect`.

    Attributes
    ----------
    local : bool
        Whether this machine answers them.
    region, account, role, bucket : str
        AWS region; account number; ARN of the role that jobs run as; the default bucket.
    user : str
        Part of every name on AWS, so that learners who share an account keep apart; empty here.
    session : sagemaker.core.helper.session_helper.Session
        What SDK objects take as ``sagemaker_session``; the SDK is imported where it was not.
    """

    def __init__(
        self, *, local: bool, region: str, account: str, role: str, user: str = ""
    ) -> None:
        self.local, self.region, self.account, self.role = local, region, account, role
        self.user, self.closed = user, False
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._boto = kit.checked_session(region, self._refuse_if_closed)
        self._boto.events.register("after-call.sagemaker.CreateModel", _refuse_old_model)

    def _refuse_if_closed(self, **_: Any) -> None:
        """Refuse a call once the connection is closed; also through clients made before."""
        if self.closed:
            raise CloudError(
                "This connection is closed: run cloud.connect() and the cells after it again."
            )

    @property
    def session(self) -> Any:
        """Session of the SageMaker SDK."""
        self._refuse_if_closed()
        if self._session is None:
            self._session = kit.load(local=self.local).Session(boto_session=self._boto)
        return self._session

    @property
    def bucket(self) -> str:
        """The default bucket, ``sagemaker-{region}-{account}``; it is made when it is not there."""
        self._refuse_if_closed()
        if self.local:  # the service made it when it started
            return f"sagemaker-{self.region}-{self.account}"
        return str(self.session.default_bucket())

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, such as ``"s3"`` or ``"sagemaker-runtime"``."""
        self._refuse_if_closed()
        if service not in self._clients:
            self._clients[service] = self._boto.client(service)
        return self._clients[service]

    def name(self, text: str) -> str:
        """Return ``course-05-neumf`` here, on AWS ``course-05-neumf-<user>``: nobody else's."""
        return f"{text}-{self.user}" if self.user else text

    def folder(self, chapter: str) -> str:
        """Return a chapter's folder of the bucket: ``course-05``, on AWS ``course-05/<user>``."""
        return f"{chapter}/{self.user}" if self.user else chapter

    def owns(self, name: str) -> bool:
        """Whether a name, or a key of the bucket, is this learner's; here all are."""
        first, *rest = name.split("/")
        return not self.user or aws.owned(first, self.user) or rest[:1] == [self.user]

    def __repr__(self) -> str:
        """``Connection(this machine, us-west-2)``."""
        where = "this machine" if self.local else "AWS"
        return f"Connection({where}, {self.region}{', closed' if self.closed else ''})"


def _refuse_old_model(parsed: dict[str, Any], **_: Any) -> None:
    """Raise where a model of that name exists: the SDK would go on with the old one."""
    said = parsed.get("Error", {}).get("Message", "")
    if "already existing model" in said:
        raise CloudError(
            f"{said} It is of an earlier run, and deploying it in place of the new one would answer"
            " with the old numbers: run the cell inside `with cloud.cleanup(...)`, or delete it."
        )


def connect(*, sdk: bool = True) -> Connection:
    """Connect this kernel, print where to, and keep the connection until the kernel ends.

    Without ``COURSE_CLOUD=aws`` it is the service of this machine: the lab's where
    ``python -m helpers cloud`` runs, else one of this kernel's own, which ends with it.

    Parameters
    ----------
    sdk : bool
        Import the SageMaker SDK as well, which takes seconds and 200 MB; a chapter that only calls
        boto3 does without.

    Returns
    -------
    Connection
        The same one when called again, as long as what it leads to is there.

    Raises
    ------
    CloudError
        The service did not start or does not answer, or the AWS account can't be used; says why.
    """
    global _connection
    with _lock:
        if _server is not None and not _still_there(_server):
            print("The SageMaker that this kernel was connected to has ended; this is another.")
            disconnect()
        if _connection is None:
            before = {name: value for name, value in os.environ.items() if _OURS.match(name)}
            _close.callback(_give_back, before)
            try:
                _connection = _connect_aws() if gates.aws else _connect_here(sdk)
            except BaseException:
                disconnect()
                raise
            print(_sentence(_connection))
        if sdk:
            _ = _connection.session
        return _connection


def _sentence(connection: Connection) -> str:
    if not connection.local:
        where = f"account {connection.account}, region {connection.region}"
        return f"Connected to AWS ({where}): what you start costs money."
    assert _server is not None
    whose = "this machine" if _server.process is not None else "the lab on this machine"
    return f"Connected to the SageMaker of {whose} (region {connection.region}, no account needed)."


def _still_there(server: launch.Server) -> bool:
    """Whether a service runs; one that is busy is waited for, and raises if it stays so."""
    if server.alive():
        return True
    if server.process is None:
        folder = cloud_folder()
        return folder is not None and launch.find(folder) == server
    if server.process.poll() is not None:
        return False
    launch.wait_until_ready(server, _PATIENCE)
    return True


def _connect_aws() -> Connection:
    _lead_to({})
    found = aws.account()
    _close.callback(kit.change_clients(lambda _: None, partial(aws.watch, user=found["user"])))
    return Connection(local=False, **found)


def _connect_here(with_sdk: bool) -> Connection:
    global _server
    folder = cloud_folder()
    _server = launch.find(folder) if folder is not None else None
    if _server is None:
        _server = launch.launch()
        atexit.register(_server.stop)
    if with_sdk:
        kit.load(local=True)  # while the service imports what it needs
    if not _server.port:
        _server.listening()
    _lead_to(_server.variables())
    _close.callback(kit.change_clients(clients.stay_local, lambda *_: None))
    launch.wait_until_ready(_server)
    number = "123456789012"
    role = f"arn:aws:iam::{number}:role/SageMakerRole"
    return Connection(local=True, region=REGION, account=number, role=role)


def _lead_to(variables: dict[str, str]) -> None:
    """Set this process's AWS variables, if there are any, and let no proxy stand before them."""
    for name in [name for name in os.environ if variables and name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(variables)
    loopback_without_proxy(os.environ)
    kit.opt_out()
    kit.forget_clients()


def _give_back(before: dict[str, str]) -> None:
    """Give this process the variables back that it had."""
    for name in [name for name in os.environ if _OURS.match(name)]:
        del os.environ[name]
    os.environ.update(before)
    kit.forget_default_session()


def disconnect() -> None:
    """Close the connection; a service of this kernel's own ends with everything it runs.

    Whatever holds a closed connection (clients, objects of the SDK) refuses every call with a
    sentence. The process has its own AWS variables back.
    """
    global _connection, _server
    with _lock:
        if _connection is not None:
            _connection.closed = True
        _close.close()
        if _server is not None:
            atexit.unregister(_server.stop)
            _server.stop()
        _connection = _server = None
