"""Endpoints: operations on them, their model servers, and SageMaker Runtime, which asks these."""

import json
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from local_sagemaker.errors import LOG, ApiError, failure, reason
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import models
from local_sagemaker.service.account import Account
from local_sagemaker.service.account import Request as Members
from local_sagemaker.service.store import ACCOUNT, ENDPOINT, Record
from local_sagemaker.serving.process import Pipeline, ServerDied
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


def answer(account: Account, path: str, request: Request) -> Response:
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
    return invoke_endpoint(account, name, request)


def invoke_endpoint(account: Account, name: str, request: Request) -> Response:
    """Answer ``InvokeEndpoint``."""
    size, headers = len(request.body), request.headers
    if size > _INVOKE:
        said = f"Value of {size} bytes at 'body' failed to satisfy constraint: Member must have"
        said = f"1 validation error detected: {said} length less than or equal to {_INVOKE}"
        raise ApiError(said, status=413)
    asked: Deployment | None = None
    while True:
        deployment = deployed(account, name)
        if deployment is asked:
            raise ApiError(f"Endpoint {name} of account {ACCOUNT} is being deleted.")
        has = deployment.variant
        if (wanted := headers.get(_VARIANT, has)) != has:
            raise ApiError(f"Variant {wanted} of endpoint {name} not found: it has {has}.")
        try:
            return deployment.invoke(request.body, headers)
        except Stopped:  # an update replaced it: the next one answers
            asked = deployment


def deployed(account: Account, name: str) -> "Deployment":
    running: Deployment | None = account.running.get(f"endpoint/{name}")
    if running is not None:
        return running
    if not account.store.has(ENDPOINT, name):
        raise ApiError(f"Endpoint {name} of account {ACCOUNT} not found.")
    record = account.store.get(ENDPOINT, name)
    status, variant = record["EndpointStatus"], record.get("Serves")
    if status not in ("InService", "Updating") or variant is None:
        raise ApiError(f"Endpoint {name} of account {ACCOUNT} is {status}, not InService.")
    with account.lock:  # of an earlier server: its model server starts with its first request
        running = account.running.get(f"endpoint/{name}")
        if running is None:
            running = Deployment(account, name, variant)
            account.running[f"endpoint/{name}"] = running
    return running


class Deployment:
    """One endpoint's model server, started again when it dies."""

    def __init__(self, account: Account, name: str, variant: Mapping[str, Any]) -> None:
        self.account, self.name = account, name
        self.variant = str(variant["VariantName"])
        waits = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", models.READY_SECONDS)
        self._seconds = float(waits)
        self._model = variant["Model"]
        self._stamp = time.time_ns() // 1_000_000
        self._folder = ("serving", f"{name}-{self._stamp}")
        self._stream: Stream | None = None
        self._server: Pipeline | None = None
        self._starting = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        if self._stream is None:
            name = f"{self.variant}/i-local{self._stamp}"
            self._stream = Stream(f"/aws/sagemaker/Endpoints/{self.name}", name)
        folder = self.account.folder(*self._folder)
        try:
            server = models.model_server(self.account, self._model, folder, self._stream, {})
            try:
                server.start(self._seconds)
            except (ServerDied, TimeoutError) as error:
                server.stop()
                said = f"production variant {self.variant} did not pass the ping health check"
                raise ApiError(f"The primary container for {said}. {error}") from None
        except ApiError as error:
            self._stream.write(str(error))
            raise
        self._server = server
        if self._stopped:  # told so meanwhile
            self.stop()

    def stop(self) -> None:
        self._stopped = True
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self.account.discard(*self._folder)

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

    def _restart(self, dead: Pipeline) -> None:
        with self._starting:
            if self._server is not dead:
                return  # another request's thread has seen it first
            self._server = None
        dead.stop()
        threading.Thread(target=self._start_again, daemon=True).start()

    def _start_again(self) -> None:
        with suppress(ApiError):  # the log has the reason, and the next request tries again
            self._wait()

    def _wait(self) -> Pipeline:
        """Return the server once it is there: first started, or started again."""
        with self._starting:
            if self._server is None and not self._stopped:
                self.start()
            if self._server is None:  # told to stop, perhaps while it started
                raise ApiError(f"Endpoint {self.name} of account {ACCOUNT} is being deleted.")
            return self._server


def model_error(variant: str, status: int, message: str) -> Response:
    side = "client" if status < 500 else "server"
    body = {
        "Code": "ModelError",
        "Message": f'Received {side} error ({status}) from {variant} with message "{message}".',
        "OriginalMessage": message,
        "OriginalStatusCode": status,
    }
    return Response(json.dumps(body).encode(), JSON, 424, [("x-amzn-ErrorType", "ModelError")])


def create_endpoint(account: Account, request: Members) -> Record:
    """Start a model server for a configuration, in the background."""
    variant = account.store.variant(request["EndpointConfigName"])
    record = account.store.add(ENDPOINT, request, EndpointStatus="Creating")
    given = (account, request, variant, "Failed")
    threading.Thread(target=_deploy, args=given, daemon=True).start()
    return record


def update_endpoint(account: Account, request: Members) -> Record:
    """Start another model server in the background; it takes over once it answers."""
    with account.lock:
        record = account.store.get(ENDPOINT, request["EndpointName"])
        variant = account.store.variant(request["EndpointConfigName"])
        _refuse_in_progress(record)
        account.store.update(ENDPOINT, request["EndpointName"], EndpointStatus="Updating")
    # what served before still does where the new model can't
    given = (account, request, variant, record["EndpointStatus"])
    threading.Thread(target=_deploy, args=given, daemon=True).start()
    return record


def delete_endpoint(account: Account, request: Members) -> Record:
    """End an endpoint's model server; its model and its configuration stay."""
    name = request["EndpointName"]
    with account.lock:
        _refuse_in_progress(account.store.get(ENDPOINT, name))
        account.store.remove(ENDPOINT, name)
        live = account.running.pop(f"endpoint/{name}", None)
    if live is not None:
        live.stop()
    return {}


def _refuse_in_progress(record: Record) -> None:
    if record["EndpointStatus"] in ("Creating", "Updating"):
        raise ApiError(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')


def _deploy(account: Account, request: Members, variant: Record, otherwise: str) -> None:
    """Bring an endpoint into service; where that fails its status is ``otherwise``."""
    name, weight = request["EndpointName"], variant["InitialVariantWeight"]
    live = Deployment(account, name, variant)
    try:
        live.start()
    except Exception as error:
        if not isinstance(error, ApiError):
            LOG.exception("endpoint %s", name)
        live.stop()
        why = reason(failure(error))
        account.store.update(ENDPOINT, name, EndpointStatus=otherwise, FailureReason=why)
        return
    served = {"VariantName": variant["VariantName"], "CurrentInstanceCount": 1}
    served |= {"DesiredInstanceCount": 1, "CurrentWeight": weight, "DesiredWeight": weight}
    said: Record = {"EndpointStatus": "InService", "FailureReason": None, "Serves": variant}
    said |= {"EndpointConfigName": request["EndpointConfigName"], "ProductionVariants": [served]}
    with account.lock:
        replaced = account.running.get(f"endpoint/{name}")
        account.running[f"endpoint/{name}"] = live
        account.store.update(ENDPOINT, name, **said)
    if replaced is not None:
        replaced.stop()
