"""One connection a kernel: to the service of this machine, or to AWS where that is asked for."""

from __future__ import annotations

import atexit
import threading
from typing import Any

from helpers import gates
from helpers.cloud import local, sdk
from helpers.cloud.errors import CloudError

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
        What SDK objects take as ``sagemaker_session``.
    """

    def __init__(self, *, local: bool, region: str, account: str, role: str, session: Any) -> None:
        self.local, self.region, self.account, self.role, self.session = local, region, account, role, session
        self._clients: dict[str, Any] = {}

    @property
    def bucket(self) -> str:
        """The default bucket, ``sagemaker-{region}-{account}``; it is made when it is not there."""
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


def connect() -> Connection:
    """Connect this kernel, print where to, and keep the connection until the kernel ends.

    Without ``COURSE_CLOUD=aws`` it is the service of this machine, whatever credentials there are: the
    lab's where ``python -m helpers cloud`` runs, else one of this kernel's own, which ends with it.

    Returns
    -------
    Connection
        The same one when called again.

    Raises
    ------
    CloudError
        The service did not start, or the AWS account can't be used; says why.
    """
    global _connection
    with _lock:
        if _connection is None:
            if gates.aws:
                from helpers.cloud import aws

                _connection = aws.connection()
            else:
                _connection = _connect_here()
            print(_sentence(_connection))
        return _connection


def _sentence(connection: Connection) -> str:
    if connection.local:
        return f"Connected to the SageMaker that runs on this machine (region {connection.region}, no account needed)."
    return f"Connected to AWS: account {connection.account}, region {connection.region}. What you start costs money."


_server: local.Server | None = None


def _connect_here() -> Connection:
    global _server
    _server = local.find()
    if _server is None:
        _server = local.start()
        atexit.register(disconnect)
    local.point_here(_server)
    try:
        sdk.stay_local()
        helper = sdk.load(local=True)  # while the service imports what it needs, in its own process
        local.wait_until_ready(_server)
        session = helper.Session()
    except Exception:
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
            local.point_away()
            sdk.leave_local()
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
