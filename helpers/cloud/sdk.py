"""Patches to the SageMaker SDK for notebooks: quick import, job logs, no telemetry, STS kept local.

Nothing of the SDK is changed that a cell calls.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.abc
import importlib.util
import logging
import os
import re
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from helpers import gates
from local_sagemaker.errors import CloudError

LOCAL_POLL = 0.25  # seconds between two looks at a job of this machine; the SDK's are 5 and 30
_CONFIG_READERS = (
    "sagemaker.core.config.config",
    "sagemaker.core.config.config_manager",
    "sagemaker.core.utils.intelligent_defaults_helper",
)
_DRIVER_STARTS = "Starting training script"
_SCRIPT_STARTS = re.compile(r"(\+ )?(Running \w+( \w+)* [Dd]river|Executing command: )")
_SCRIPT_ENDS = re.compile(
    r"\++ echo 'Training Container Execution Completed'|Command failed with exit code"
)


def load(*, local: bool) -> Any:
    """Import the SDK, settle it for a notebook, and return its ``core.helper.session_helper``."""
    opt_out()
    _quiet_loggers()
    loader: Any = importlib.import_module("botocore.loaders").JSONFileLoader  # 25 MB a session
    if not hasattr(loader.load_file, "cache_info"):  # as another connection made it
        loader.load_file = staticmethod(functools.cache(loader().load_file))
    # Python 3.12 and newer warn of the SDK's regular expressions where they compile it
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=".*site-packages")
    try:
        settings = importlib.import_module("pydantic").BaseModel.model_config
        # no validators before their use, 15 MB; no grammar of web addresses, two seconds
        with patch.dict(settings, defer_build=True), gates.absent("rfc3987_syntax"):
            helper: Any = importlib.import_module("sagemaker.core.helper.session_helper")
            resources: Any = importlib.import_module("sagemaker.core.resources")
            configs: list[Any] = [importlib.import_module(name) for name in _CONFIG_READERS]
            telemetry: Any = importlib.import_module("sagemaker.core.telemetry.telemetry_logging")
    except ModuleNotFoundError as error:
        raise CloudError(
            f"The cells need version 3 of the SageMaker SDK, and it is not here ({error}): install"
            " sagemaker>=3. Version 2 and boto3 reach the same place after"
            " cloud.connect(sdk=False)."
        ) from None
    for module in configs:
        module.jsonschema = _QuickSchema()
    telemetry._send_telemetry_request = lambda *_, **__: None  # the setting's second lock
    _quiet_loggers()
    resources.Live = _NoPanel
    _when_imported("sagemaker.serve.deployment_progress", _plain_deployments)
    _show_job_lines()
    if local:
        _short_waits(resources, helper)
    return helper


def opt_out() -> None:
    """Opt out of telemetry, a request to the internet, by a setting that V2 and V3 read."""
    settings = str(Path(__file__).with_name("sagemaker.yaml"))
    os.environ.setdefault("SAGEMAKER_USER_CONFIG_OVERRIDE", settings)
    os.environ.setdefault("SAGEMAKER_SUPPRESS_V2_WARNING", "1")


def change_clients(
    change: Callable[[dict[str, Any]], object], made: Callable[[str, Any], object]
) -> Callable[[], None]:
    """Change how each boto3 client of this process is made, until what is returned is called.

    ``change`` gets the named arguments of each, ``made`` the name of its service and the client.
    """
    import boto3.session

    original = boto3.session.Session.client

    def client(self: Any, service_name: str, *arguments: Any, **named: Any) -> Any:
        change(named)
        found = original(self, service_name, *arguments, **named)
        made(service_name, found)
        return found

    boto3.session.Session.client = client
    return lambda: setattr(boto3.session.Session, "client", original)


def checked_session(region: str, check: Callable[..., None]) -> Any:
    """Return a boto3 session with today's credentials that calls ``check`` before all it does."""
    import boto3.session

    class CheckedSession(boto3.session.Session):
        def client(self, *arguments: Any, **named: Any) -> Any:
            check()
            return super().client(*arguments, **named)

    session = CheckedSession(region_name=region)
    session.get_credentials()  # now: never those that this process has afterwards
    session.events.register("before-call", check)
    return session


def forget_default_session() -> None:
    """Let boto3 read this process's variables anew; it keeps what it read first."""
    if "boto3" in sys.modules:
        sys.modules["boto3"].DEFAULT_SESSION = None  # type: ignore[attr-defined]


def forget_clients() -> None:
    """Let boto3 and the SDK connect anew.

    Not when a connection is closed: the SDK's objects would make clients for another account.
    """
    forget_default_session()
    utils = sys.modules.get("sagemaker.core.utils.utils")
    if utils is not None:
        utils.SingletonMeta._instances.clear()
        utils._ClientCacheMeta._instances.clear()


def _short_waits(resources: Any, helper: Any) -> None:
    """Let the SDK look at jobs of this machine more often than it takes a setting for."""
    quick = types.SimpleNamespace(**{name: getattr(time, name) for name in dir(time)})
    quick.sleep = lambda seconds: time.sleep(min(seconds, LOCAL_POLL))
    resources.time = helper.time = quick
    helper.EP_LOGGER_POLL = helper.DEFAULT_EP_POLL = LOCAL_POLL


class _QuickSchema:
    """jsonschema, without a check of its own schema: a second, ten times a job."""

    def __init__(self) -> None:
        self.exceptions = importlib.import_module("jsonschema.exceptions")
        self._validators = importlib.import_module("jsonschema.validators")

    def validate(self, instance: Any, schema: Any) -> None:
        """Check a configuration as jsonschema does."""
        self._validators.validator_for(schema)(schema).validate(instance)


class _NoPanel(contextlib.AbstractContextManager[None]):
    """Stands in for the SDK's live panel, a widget that no stored notebook can show."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _plain_deployments(module: Any) -> None:
    """Keep a deployment's panel, and its container's log with ports in it, out of the notebook."""
    module.Live = _NoPanel
    module.EndpointDeploymentProgress.log = lambda *_: None


class _Watcher(importlib.abc.MetaPathFinder):
    """Calls a function once a module has been imported."""

    def __init__(self, name: str, then: Callable[[Any], None]) -> None:
        self._name, self._then = name, then

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Find the module as if this were not there, and follow its loading."""
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load, then = spec.loader.exec_module, self._then

            def exec_module(module: types.ModuleType) -> None:
                load(module)
                then(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _when_imported(name: str, then: Callable[[Any], None]) -> None:
    """Call ``then`` with a module: now where it is imported, else as soon as it is."""
    if name in sys.modules:
        then(sys.modules[name])
    elif not any(isinstance(finder, _Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watcher(name, then))


class _Warnings(logging.StreamHandler):
    """The root's handler: warnings only, and not the one that is wrong."""

    def emit(self, record: logging.LogRecord) -> None:
        if "No region provided" not in record.getMessage():
            super().emit(record)


class JobLines(logging.Handler):
    """Prints what a job's own program writes, as it comes, without what the SDK's driver says."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._shown: dict[str, bool] = {}

    def emit(self, record: logging.LogRecord) -> None:
        stream, _, line = record.getMessage().partition(":\n")
        if not line:
            return  # "Final Resource Status", which the cell's own result says
        if line == _DRIVER_STARTS:
            self._shown[stream] = False
        elif not self._shown.get(stream, True):
            self._shown[stream] = bool(_SCRIPT_STARTS.match(line)) and line.startswith(
                "Executing command"
            )
        elif stream in self._shown and _SCRIPT_ENDS.match(line):
            self._shown[stream] = False
        else:
            print(line, flush=True)


def _show_job_lines() -> None:
    jobs = logging.getLogger("sagemaker.core.resources")
    jobs.setLevel(logging.INFO)
    jobs.propagate = False
    jobs.handlers = [JobLines()]


def _quiet_loggers() -> None:
    """Keep the SDK from turning on everyone's log records, by a root handler that is first."""
    root = logging.getLogger()
    if not root.handlers:
        handler = _Warnings(sys.stderr)
        handler.setLevel(logging.WARNING)
        root.addHandler(handler)
    for name in ("", ".config", ".core", ".core.helper", ".serve"):
        logging.getLogger(f"sagemaker{name}").setLevel(logging.WARNING)
