"""One connection a kernel: to the service of this machine, or to AWS where that is asked for."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

from helpers import files, gates
from helpers.cloud import sdk as kit
from local_sagemaker import launch
from local_sagemaker.errors import CloudError

_connection: Connection | None = None
_lock = threading.RLock()


class Connection:
    """Where the chapter's calls go.

    Attributes
    ----------
    local : bool
        Whether this machine answers them.
    region, account, role, bucket : str
        AWS region; account number; ARN of the role that jobs run as; the default bucket.
    session : sagemaker.core.helper.session_helper.Session
        What SDK objects take as ``sagemaker_session``; the SDK is imported where it was not.
    """

    def __init__(
        self, *, local: bool, region: str, account: str, role: str, session: Any = None
    ) -> None:
        self.local, self.region, self.account, self.role = local, region, account, role
        self._session = session
        self._clients: dict[str, Any] = {}

    @property
    def session(self) -> Any:
        """Session of the SageMaker SDK."""
        if self._session is None:
            self._session = kit.load(local=self.local).Session()
        return self._session

    @property
    def bucket(self) -> str:
        """The default bucket, ``sagemaker-{region}-{account}``; it is made when it is not there."""
        if self.local:  # the service made it when it started
            return f"sagemaker-{self.region}-{self.account}"
        return str(self.session.default_bucket())

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, such as ``"s3"`` or ``"sagemaker-runtime"``."""
        if service not in self._clients:
            import boto3

            self._clients[service] = boto3.client(service, region_name=self.region)
        return self._clients[service]

    def __repr__(self) -> str:
        """``Connection(this machine, us-west-2)``."""
        return f"Connection({'this machine' if self.local else 'AWS'}, {self.region})"


def connect(*, sdk: bool = True) -> Connection:
    """Connect this kernel, print where to, and keep the connection until the kernel ends.

    Without ``COURSE_CLOUD=aws`` it is the service of this machine, whatever credentials there are: the
    lab's where ``python -m helpers cloud`` runs, else one of this kernel's own, which ends with it.

    Parameters
    ----------
    sdk : bool
        Import the SageMaker SDK as well, which takes seconds and 200 MB; a chapter that only calls boto3
        does without.

    Returns
    -------
    Connection
        The same one when called again, as long as what it leads to is there.

    Raises
    ------
    CloudError
        The service did not start, or the AWS account can't be used; says why.
    """
    global _connection
    with _lock:
        if _server is not None and not _server.alive():
            disconnect()
        if _connection is None:
            if gates.aws:
                from helpers.cloud import aws

                _connection = aws.connection()
            else:
                _connection = _connect_here(sdk)
            print(_sentence(_connection))
        if sdk:
            _ = _connection.session
        return _connection


def _sentence(connection: Connection) -> str:
    if connection.local:
        return f"Connected to the SageMaker of this machine (region {connection.region}, no account needed)."
    where = f"account {connection.account}, region {connection.region}"
    return f"Connected to AWS ({where}): what you start costs money."


_server: launch.Server | None = None


def _connect_here(with_sdk: bool) -> Connection:
    global _server
    files.loopback_without_proxy(os.environ)  # of this kernel, and of the service it starts
    _server = launch.find()
    launched = launch.launch() if _server is None else None
    try:
        helper = (
            kit.load(local=True) if with_sdk else None
        )  # while the service imports what it needs
        if launched is not None:
            _server = launched.server()
            atexit.register(disconnect)
        assert _server is not None
        launch.point_here(_server)
        kit.stay_local()
        launch.wait_until_ready(_server)
        session = helper.Session() if helper is not None else None
    except BaseException:
        if launched is not None and _server is None:
            launched.cancel()
        disconnect()
        raise
    account = "123456789012"
    return Connection(
        local=True,
        region=_server.region,
        account=account,
        role=f"arn:aws:iam::{account}:role/SageMakerRole",
        session=session,
    )


def disconnect() -> None:
    """End the connection; a service of this kernel's own ends with everything it runs."""
    global _connection, _server
    with _lock:
        if _server is not None:
            _server.stop()
            launch.point_away()
            kit.leave_local()
            atexit.unregister(disconnect)
        _connection = _server = None


def current() -> Connection:
    """Return the connection that :func:`connect` made.

    Raises
    ------
    CloudError
        There is none.
    """
    if _connection is None:
        raise CloudError("There is no connection: call cloud.connect() first.")
    return _connection
