"""How boto3 and the SageMaker SDKs of a Python process are led to the running service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from local_sagemaker import launch
from local_sagemaker.files import loopback_without_proxy


def lead_here(folder: str | Path | None = None) -> launch.Server:
    """Lead every boto3 client that this process makes from now on to the running service.

    Return the service that keeps its state in ``folder`` (None: the default one); raise a
    `CloudError` where there is none, or it does not answer.
    """
    server = launch.running(Path(folder) if folder is not None else launch.state_folder())
    use(server)
    return server


def use(server: launch.Server) -> None:
    """Set this process's AWS variables to a service's, and keep its clients there."""
    import boto3.session

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(server.variables())
    loopback_without_proxy(os.environ)
    sys.modules["boto3"].DEFAULT_SESSION = None  # type: ignore[attr-defined]
    original: Any = boto3.session.Session.client
    if not hasattr(original, "stays_local"):

        def client(self: Any, *arguments: Any, **named: Any) -> Any:
            stay_local(named)
            return original(self, *arguments, **named)

        client.stays_local = True  # type: ignore[attr-defined]
        boto3.session.Session.client = client


def stay_local(named: dict[str, Any]) -> None:
    """Drop AWS' own addresses, which the SDKs pass for STS: they outrank ``AWS_ENDPOINT_URL``."""
    if "amazonaws.com" in str(named.get("endpoint_url") or ""):
        del named["endpoint_url"]
