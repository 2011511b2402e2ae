"""SageMaker Runtime: the endpoint that a request names, and the model server that answers."""

import json
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import models
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import ACCOUNT, ENDPOINT
from local_sagemaker.serving.process import ModelServer, Pipeline, ServerDied
from local_sagemaker.serving.server import JSON, Request, Response

_INVOKE = 6 * 1024 * 1024  # bytes of an endpoint's request, as AWS limits it
_PATH = re.compile(r"/endpoints/([^/]+)/([^/]+)")
_CUSTOM = "x-amzn-sagemaker-custom-attributes"
_PASSED_ON = ("content-type", "accept", _CUSTOM)
_VARIANT = "x-amzn-sagemaker-target-variant"
_NOT_HERE = {  # by the end of a path or the name of a header
    "async-invocations": "InvokeEndpointAsync: no asynchronous endpoints; call InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream: an answer is in one piece",
    "x-amzn-sagemaker-target-model": "TargetModel: an endpoint has one model",
    "x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname: it has one container",
    "x-amzn-sagemaker-inference-component": "InferenceComponentName: an endpoint has one model",
    "x-amzn-sagemaker-session-id": "SessionId: there are no stateful sessions",
    "x-amzn-sagemaker-enable-explanations": "EnableExplanations: there is no explainer",
}


class Stopped(Exception):
    """The model server was told to stop before it had answered: another may have taken over."""


def answer(plane: Account, path: str, request: Request) -> Response:
    """Answer a request below ``/endpoints/``: the three operations of SageMaker Runtime."""
    found = _PATH.fullmatch(path)
    name, what = found.groups() if found else ("", "")
    for refused in (what, *request.headers):
        if refused in _NOT_HERE:
            member, _, why = _NOT_HERE[refused].partition(": ")
            raise ApiError(f"{member} is not supported by the SageMaker on this machine: {why}.")
    if what != "invocations" or request.method != "POST":
        expected = "expected POST /endpoints/NAME/invocations"
        raise ApiError(f"{request.method} {path} leads to no operation: {expected}.", status=405)
    return invoke_endpoint(plane, name, request)


def invoke_endpoint(plane: Account, name: str, request: Request) -> Response:
    """Answer ``InvokeEndpoint``."""
    size, headers = len(request.body), request.headers
    if size > _INVOKE:
        raise ApiError(
            f"1 validation error detected: Value of {size} bytes at 'body' failed to satisfy"
            f" constraint: Member must have length less than or equal to {_INVOKE}",
            status=413,
        )
    asked: Deployment | None = None
    while True:
        deployment = deployed(plane, name)
        if deployment is asked:
            raise ApiError(f"Endpoint {name} of account {ACCOUNT} is being deleted.")
        has = deployment.variant
        wanted = headers.get(_VARIANT, has)
        if wanted != has:
            raise ApiError(f"Variant {wanted} of endpoint {name} not found: it has {has}.")
        try:
            return deployment.invoke(request.body, headers)
        except Stopped:  # an update replaced it: the next one answers
            asked = deployment


def deployed(plane: Account, name: str) -> "Deployment":
    """Return what serves the endpoint of that name now."""
    running = plane.running.get(f"endpoint/{name}")
    if isinstance(running, Deployment):
        return running
    if not plane.store.has(ENDPOINT, name):
        raise ApiError(f"Endpoint {name} of account {ACCOUNT} not found.")
    record = plane.store.get(ENDPOINT, name)
    status, variant = record["EndpointStatus"], record.get("Serves")
    if status not in ("InService", "Updating") or variant is None:
        raise ApiError(f"Endpoint {name} of account {ACCOUNT} is {status}, not InService.")
    with plane.lock:  # of an earlier server: its model server starts with its first request
        running = plane.running.get(f"endpoint/{name}")
        if running is None:
            running = Deployment(plane, name, variant)
            plane.running[f"endpoint/{name}"] = running
    assert isinstance(running, Deployment)
    return running


class Deployment:
    """One endpoint's model server, started again when it dies."""

    def __init__(self, plane: Account, name: str, variant: Mapping[str, Any]) -> None:
        self.plane, self.name = plane, name
        self.variant = str(variant["VariantName"])
        seconds = variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
        self._seconds = float(seconds or models.READY_SECONDS)
        self._model = variant["Model"]
        self._stamp = time.time_ns() // 1_000_000
        self._folder = ("serving", f"{name}-{self._stamp}")
        self._stream: Stream | None = None
        self._server: ModelServer | Pipeline | None = None
        self._starting = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Unpack the model, start its server, and wait until it answers."""
        if self._stream is None:
            name = f"{self.variant}/i-local{self._stamp}"
            self._stream = Stream(f"/aws/sagemaker/Endpoints/{self.name}", name)
        folder = self.plane.folder(*self._folder)
        try:
            server = models.model_server(self.plane, self._model, folder, self._stream, {})
            server.start()
            try:
                server.wait_ready(self._seconds)
            except (ServerDied, TimeoutError) as error:
                server.stop()
                raise ApiError(
                    f"The primary container for production variant {self.variant} did not pass"
                    f" the ping health check. {error}"
                ) from None
        except ApiError as error:
            self._stream.write(str(error))
            raise
        self._server = server
        if self._stopped:  # told so meanwhile
            self.stop()

    def stop(self) -> None:
        """End the model server."""
        self._stopped = True
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self.plane.discard(*self._folder)

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """Send one request; where the server has died, say so and start it again."""
        passed = {name.title(): headers[name] for name in _PASSED_ON if name in headers}
        passed.setdefault("Content-Type", "application/octet-stream")
        server = self._server
        try:
            server = server or self._wait()
            status, answered, out = server.invoke(body, passed)
        except TimeoutError:
            said = "The model did not answer in time: your invocation timed out after 60 seconds."
            return model_error(self.variant, 504, said)
        except (ApiError, ServerDied, ConnectionError) as error:
            if self._stopped:
                raise Stopped from error
            said = str(error)  # of an ApiError: why it does not start
            if server is not None and isinstance(error, ServerDied):
                self._restart(server)
                said = f"The model server died and is being started again. {error}"
            return model_error(self.variant, 500, said)
        if status != 200:
            return model_error(self.variant, status, out.decode("utf-8", "replace"))
        kept = [("x-Amzn-Invoked-Production-Variant", self.variant)]
        if _CUSTOM in answered:
            kept.append(("X-Amzn-SageMaker-Custom-Attributes", answered[_CUSTOM]))
        return Response(out, answered["content-type"] or "application/octet-stream", 200, kept)

    def _restart(self, dead: ModelServer | Pipeline) -> None:
        with self._starting:
            if self._server is not dead:
                return  # another request's thread has seen it first
            self._server = None
        dead.stop()
        threading.Thread(target=self._start_again, daemon=True).start()

    def _start_again(self) -> None:
        with suppress(ApiError):  # the log has the reason, and the next request tries again
            self._wait()

    def _wait(self) -> ModelServer | Pipeline:
        """Return the server once it is there: first started, or started again."""
        with self._starting:
            if self._server is None and not self._stopped:
                self.start()
            if self._server is None:  # told to stop, perhaps while it started
                raise ApiError(f"Endpoint {self.name} of account {ACCOUNT} is being deleted.")
            return self._server


def model_error(variant: str, status: int, message: str) -> Response:
    """Return the answer to a request that the model refused or could not do."""
    side = "client" if status < 500 else "server"
    body = {
        "Code": "ModelError",
        "Message": f'Received {side} error ({status}) from {variant} with message "{message}".',
        "OriginalMessage": message,
        "OriginalStatusCode": status,
    }
    return Response(json.dumps(body).encode(), JSON, 424, [("x-amzn-ErrorType", "ModelError")])
