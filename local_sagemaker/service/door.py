"""Door of the service: who may enter, and which part of it answers a request."""

import json
import posixpath
import re
import threading
from collections.abc import Mapping
from urllib.parse import unquote
from xml.sax.saxutils import escape

from local_sagemaker.errors import LOG, ApiError
from local_sagemaker.service import endpoints, operations
from local_sagemaker.service.account import Account
from local_sagemaker.service.moto import credential
from local_sagemaker.serving.server import ClientError, Handler, HTTPServer, Request, Response

_BODY = 1 << 30  # bytes of a body; more goes in parts, as S3's multipart upload sends it
_SELECT = re.compile(r"(?:^|&)select(?:&|=|$)")


class Door(HTTPServer):
    """Listens on 127.0.0.1; the parameters and what it raises are those of `HTTPServer`."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(port, token, _BODY)
        self.ready = threading.Event()  # what the service needs is loaded
        self.plane: Account | None = None
        self.rest: Handler | None = None  # answers the services that are not SageMaker

    def answer(self, request: Request) -> Response:
        """Send a request to the part that answers it; never raises for what a caller did."""
        target = request.headers.get("x-amz-target", "")
        place = plain_path(request.path)
        signed = credential(request)
        service = signed[2].lower() if signed and signed[2] else ""  # the signature may not say
        of_runtime = place.startswith("/endpoints/") and service != "s3"
        try:
            if request.path == "/local_sagemaker/health":
                health = {"service": "local_sagemaker", "ready": self.ready.is_set()}
                return Response(json.dumps(health).encode())
            assert self.plane is not None and self.rest is not None
            if place.startswith("/moto-api"):
                return _error(404, "ResourceNotFound", "There is nothing here.")
            if target.startswith("SageMaker."):
                return _control(self.plane, target.partition(".")[2], request.body)
            if of_runtime:
                return endpoints.answer(self.plane, place, request)
            if service.startswith("sagemaker"):
                has = "the SageMaker that runs on this machine has jobs, models and endpoints only"
                raise ApiError(f"{request.method} {place}: {has}.")
            if _SELECT.search(request.query):  # moto answers it, and wrongly
                said = "SelectObjectContent is not part of the S3 on this machine: read the object."
                return self.refusal(ClientError(said, 501), place, request.headers)
            return _in_a_sentence(self.rest(request), request.method, place)
        except ApiError as error:
            code = error.code
            if of_runtime and code == "ValidationException":
                code = "ValidationError"  # the runtime's name for it
            return _error(error.status, code, str(error))
        except Exception as error:  # the caller hears of it, the service goes on
            LOG.exception("%s %s", request.method, target or request.path)
            said = f"{type(error).__name__}: {error}"
            if isinstance(error, OSError):
                said = f"This machine could not do it: {error.strerror or error}"
            return _error(500, "InternalFailure", said)

    def refusal(self, refused: ClientError, path: str, headers: Mapping[str, str]) -> Response:
        """Return a refusal in the form that the caller's protocol has: JSON, or XML for S3."""
        code = "AccessDenied" if refused.status == 403 else "InvalidRequest"
        if "x-amz-target" in headers or plain_path(path).startswith("/endpoints/"):
            code = "AccessDeniedException" if refused.status == 403 else "SerializationException"
            return _error(refused.status, code, str(refused))
        said = f"<Code>{code}</Code><Message>{escape(str(refused))}</Message>"
        text = f"<ErrorResponse><Error>{said}</Error><RequestId>local</RequestId></ErrorResponse>"
        return Response(text.encode(), "text/xml", refused.status)


def _control(plane: Account, name: str, body: bytes) -> Response:
    try:
        request = json.loads(  # a member that is null is not there
            body or b"{}", object_pairs_hook=lambda pairs: {k: v for k, v in pairs if v is not None}
        )
    except (ValueError, RecursionError) as error:
        raise ApiError(f"The request is not JSON: {error}", "SerializationException") from None
    if not isinstance(request, dict):
        raise ApiError("The request is not a JSON object.", "SerializationException")
    said = operations.handle(plane, name, request)
    return Response(json.dumps(said).encode(), "application/x-amz-json-1.1")


def plain_path(path: str) -> str:
    """Return where a path leads, however often and oddly it is written."""
    for _ in range(8):
        path = unquote(path)
    return posixpath.normpath("/" + path.replace("\\", "/").lstrip("/"))


def _in_a_sentence(response: Response, method: str, place: str) -> Response:
    """Replace moto's page for what it does not know by an error that clients can show."""
    if response.status < 400 or response.body[:9].lower() != b"<!doctype":
        return response
    said = f"{method} {place} is not part of the services on this machine."
    return _error(response.status, "UnknownOperationException", said)


def _error(status: int, code: str, message: str) -> Response:
    body = {"__type": code, "message": message, "Message": message}
    kind = "application/x-amz-json-1.1"
    return Response(json.dumps(body).encode(), kind, status, [("x-amzn-ErrorType", code)])
