"""A model server behind an endpoint's name: started, asked, started again when it dies, stopped."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import models
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import ACCOUNT, CONFIG, ENDPOINT, MODEL

READY_SECONDS = 120.0  # TensorFlow's import can take twenty on a busy machine
_PASSED_ON = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes")
Sent = tuple[int, list[tuple[str, str]], bytes]


class Stopped(Exception):
    """The model server was told to stop before it had answered: another may have taken over."""


class Live:
    """One endpoint's model server, started again when it dies.

    Parameters
    ----------
    plane : Account
        What the operations share.
    name : str
        The endpoint's.
    variant : dict
        The production variant it serves.
    """

    def __init__(self, plane: Account, name: str, variant: Mapping[str, Any]) -> None:
        self.plane, self.name = plane, name
        self.variant = str(variant["VariantName"])
        self._model = variant.get("Model") or plane.store.get(MODEL, variant["ModelName"])
        limit = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", READY_SECONDS)
        self._ready_seconds = float(limit)
        self._environment = models.container_of(self._model).get("Environment") or {}
        self._stamp = time.time_ns() // 1_000_000
        self._folder = ("serving", f"{name}-{self._stamp}")
        self._stream: Stream | None = None
        self._server: Any = None
        self._starting = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Unpack the model, start its server, and wait until it answers.

        Raises
        ------
        ApiError
            With the reason, as ``FailureReason`` has it.
        """
        from local_sagemaker.serving.process import ModelServer, ServerDied

        if self._stream is None:
            name = f"{self.variant}/i-local{self._stamp}"
            self._stream = Stream(self.plane.logs, f"/aws/sagemaker/Endpoints/{self.name}", name)
        folder = self.plane.folder(*self._folder) / "model"
        try:
            kind = models.unpack(self.plane, self._model, folder, self._environment)
            server = ModelServer(
                kind, folder, environment=self._variables(), log=self._stream.served(folder)
            )
            server.start()
            try:
                server.wait_ready(self._ready_seconds)
            except (ServerDied, TimeoutError) as error:
                server.stop()
                raise ApiError(
                    f"The primary container for production variant {self.variant} did not pass the ping"
                    " health"
                    f" check. {error}"
                ) from None
        except ApiError as error:
            self._stream.write(str(error))
            raise
        self._server = server
        if self._stopped:  # told so meanwhile
            self.stop()

    def _variables(self) -> dict[str, str]:
        return self.plane.environment() | self._environment

    def stop(self) -> None:
        """End the model server."""
        self._stopped = True
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        if self._stream is not None:
            self._stream.close(2)
        self.plane.discard(*self._folder)

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Send one request; where the server has died, say so and start it again.

        Returns
        -------
        int, list of (str, str), bytes
            Status, headers and body; a ``ModelError`` where the model refuses, dies or can't be started.

        Raises
        ------
        Stopped
            See there.
        """
        from local_sagemaker.serving.process import ServerDied

        server = self._server
        if server is None:
            try:
                server = self._wait()
            except ApiError as error:
                if self._stopped:
                    raise Stopped from error
                return model_error(self.variant, 500, str(error))
        passed = {name.title(): headers[name] for name in _PASSED_ON if name in headers}
        passed.setdefault("Content-Type", "application/octet-stream")
        try:
            status, answered, out = server.invoke(body, passed)
        except ServerDied as error:
            if self._stopped:
                raise Stopped from error
            self._restart(server)
            return model_error(
                self.variant, 500, f"The model server died and is being started again. {error}"
            )
        except TimeoutError:
            return model_error(
                self.variant,
                504,
                "The model did not answer in time: your invocation timed out after 60 seconds.",
            )
        if status != 200:
            return model_error(self.variant, status, out.decode("utf-8", "replace"))
        lowered = {name.lower(): value for name, value in answered.items()}
        kept = [
            ("Content-Type", lowered.get("content-type", "application/octet-stream")),
            ("x-Amzn-Invoked-Production-Variant", self.variant),
        ]
        custom = "x-amzn-sagemaker-custom-attributes"
        if custom in lowered:
            kept.append(("X-Amzn-SageMaker-Custom-Attributes", lowered[custom]))
        return 200, kept, out

    def _restart(self, dead: Any) -> None:
        with self._starting:
            if self._server is not dead:
                return  # another request's thread has seen it first
            self._server = None
        dead.stop()
        threading.Thread(target=self._quietly, daemon=True).start()

    def _quietly(self) -> None:
        with self._starting:
            if self._server is None and not self._stopped:
                try:
                    self.start()
                except ApiError:
                    return  # the log has the reason, and the next request tries again

    def _wait(self) -> Any:
        """Return the server once it is there: at a lab's first request, or while it is started again."""
        with self._starting:
            if self._stopped:
                raise ApiError(f"Endpoint {self.name} of account {ACCOUNT} is being deleted.")
            if self._server is None:
                self.start()
            server = self._server
            if server is None:  # told to stop while it started
                raise ApiError(f"Endpoint {self.name} of account {ACCOUNT} is being deleted.")
            return server


def model_error(variant: str, status: int, message: str) -> Sent:
    """Return the answer to a request that the model refused or could not do."""
    side = "client" if status < 500 else "server"
    text = f'Received {side} error ({status}) from {variant} with message "{message}".'
    body = {
        "Code": "ModelError",
        "Message": text,
        "OriginalMessage": message,
        "OriginalStatusCode": status,
    }
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", "ModelError")]
    return 424, headers, json.dumps(body).encode()


def invoke_endpoint(plane: Account, name: str, body: bytes, headers: Mapping[str, str]) -> Sent:
    """Send a request to the endpoint of that name; raise where there is none or none serves."""
    asked: Live | None = None
    while True:
        live = _deployed(plane, name)
        if live is asked:
            raise ApiError(
                f"Endpoint {name} of account {ACCOUNT} is being deleted.", "ValidationError"
            )
        try:
            return live.invoke(body, headers)
        except Stopped:  # an update replaced it: the next one answers
            asked = live


def _deployed(plane: Account, name: str) -> Live:
    """Return what serves the endpoint of that name now."""
    live = plane.running.get(f"endpoint/{name}")
    if isinstance(live, Live):
        return live
    if not plane.store.has(ENDPOINT, name):
        raise ApiError(f"Endpoint {name} of account {ACCOUNT} not found.", "ValidationError")
    record = plane.store.get(ENDPOINT, name)
    status = record["EndpointStatus"]
    if status not in ("InService", "Updating"):
        said = f"Endpoint {name} of account {ACCOUNT} is in status {status}, not InService."
        raise ApiError(said, "ValidationError")
    with plane.lock:  # of an earlier server: its model server starts with its first request
        live = plane.running.get(f"endpoint/{name}")
        if live is None:
            variant = record.get("Serves")  # kept, as its configuration may be deleted
            if variant is None:
                config = plane.store.get(CONFIG, record["EndpointConfigName"])
                variant = config["ProductionVariants"][0]
            live = plane.running[f"endpoint/{name}"] = Live(plane, name, variant)
    assert isinstance(live, Live)
    return live
