"""moto, which answers S3, STS, IAM, Kinesis and CloudWatch Logs inside this process.

What moto would only pretend is answered here: whom a caller is, keys that open this service, and
S3's refusals of a request that is damaged, late, or asks for what nothing here does.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import re
import threading
import time
import zlib
from calendar import timegm
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote
from wsgiref.util import setup_testing_defaults
from xml.sax.saxutils import escape

from local_sagemaker.errors import ApiError
from local_sagemaker.service.store import ACCOUNT
from local_sagemaker.serving.server import Request, Response

ROLE = "SageMakerRole"
_FORM = "application/x-www-form-urlencoded"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_IAM = "https://iam.amazonaws.com/doc/2010-05-08/"
_LARGE = 4 << 20  # bytes of a body: moto keeps it in a cycle of references, collected much later
_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}


class Moto:
    """Answers requests of every service but SageMaker; ``port`` is the one that answers name."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._application: Callable[..., Any] | None = None
        self._loading = threading.Lock()

    def load(self) -> None:
        """Import moto, which takes a second; later calls return at once."""
        with self._loading:
            if self._application is None:
                from moto.server import DomainDispatcherApplication, create_backend_app

                class OfferedServices(DomainDispatcherApplication):
                    def get_backend_for_host(self, host: str | None) -> Any:
                        found = super().get_backend_for_host(host)
                        if found is None and host is not None:
                            service = host.removesuffix(".amazonaws.com").rpartition(".")[0]
                            said = f"{service} is not part of the services on this machine."
                            raise ApiError(said, "UnknownOperationException", 404)
                        return found

                self._application = OfferedServices(create_backend_app)

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        form = request.method == "POST" and request.headers.get("content-type", "").startswith(
            _FORM
        )
        answer = _refused(request) if is_s3(request) else None
        answer = answer or (_answered_here(request.body) if form else None)
        if answer is not None:
            return answer
        self.load()
        try:
            return self._ask(request)
        finally:
            if len(request.body) > _LARGE:
                gc.collect()

    def _ask(self, request: Request) -> Response:
        """Send a request to moto, which is a WSGI application."""
        from werkzeug.test import run_wsgi_app

        assert self._application is not None
        parts, status, given = run_wsgi_app(self._application, self._environ(request))
        # lengths are the front door's business, except in answers to HEAD
        dropped = {
            "transfer-encoding",
            "connection",
            "content-length" if request.method != "HEAD" else "",
        }
        headers = [(name, value) for name, value in given if name.lower() not in dropped]
        body = b"".join(parts)
        if b"<SecretAccessKey>" in body[:2000]:  # of a role or a session, invented by moto
            own = f"<AccessKeyId>{access_key(request)}<".encode()
            body = re.sub(rb"<AccessKeyId>[^<]*<", own, body)
        return Response(body, "", int(status.split()[0]), headers)

    def _environ(self, request: Request) -> dict[str, Any]:
        target = f"{request.path}?{request.query}" if request.query else request.path
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": unquote(request.path, "latin-1"),  # WSGI's rule: a byte is a character
            "RAW_URI": target,
            "REQUEST_URI": target,
            "QUERY_STRING": request.query,
            "SERVER_PORT": str(self._port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
        }
        for name, value in request.headers.items():
            if name not in ("content-type", "content-length", "transfer-encoding", "expect"):
                environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        setup_testing_defaults(environ)
        return environ


def _credential(request: Request) -> re.Match[str] | None:
    """Find the access key that a request is signed with, and the service of its signature."""
    text = f"{request.headers.get('authorization', '')} {unquote(request.query)}"
    signed = r"(?:Credential=|AWS |AWSAccessKeyId=)(\w+)(?:/\d+/[\w-]+/(\w[\w-]*))?"
    return re.search(signed, text)


def access_key(request: Request) -> str:
    """Return the access key that a request is signed with."""
    found = _credential(request)
    return found[1] if found else ""


def is_s3(request: Request) -> bool:
    """Whether a request is for S3: its signature says so, an old signature is S3's only."""
    found = _credential(request)
    return found is not None and found[2] in (None, "s3")


def s3_error(status: int, code: str, message: str) -> Response:
    """Return an error in the form that S3's clients read."""
    said = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    text = f'<?xml version="1.0" encoding="UTF-8"?>{said}'
    return Response(text.encode(), "application/xml", status)


def _refused(request: Request) -> Response | None:
    """Refuse a request to S3 that is late or damaged, or whose meaning moto would change."""
    if _expired(request.query):
        return s3_error(403, "AccessDenied", "Request has expired")
    if "\n" in unquote(request.path):
        said = "A key with a line break is not supported: choose another name."
        return s3_error(400, "InvalidArgument", said)
    if "x-amz-write-offset-bytes" in request.headers:
        said = "Appending to an object (WriteOffsetBytes) is not supported: put the whole object."
        return s3_error(501, "NotImplemented", said)
    chunked = request.headers.get("x-amz-content-sha256", "").startswith("STREAMING")
    if chunked or not (request.method == "PUT" or "delete" in parse_qs(request.query, True)):
        return None  # the body is not what the digest is of
    for name, digest in _DIGESTS.items():
        given = request.headers.get(name)
        if given and given != base64.b64encode(digest(request.body)).decode():
            said = f"The {name} you specified did not match what we received."
            return s3_error(400, "BadDigest", said)
    return None


def _expired(query: str) -> bool:
    """Whether an address that was signed for some time is past it."""
    asked = {name.lower(): values[0] for name, values in parse_qs(query).items()}
    try:
        if "x-amz-expires" in asked:
            signed = timegm(time.strptime(asked.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ"))
            return time.time() > signed + int(asked["x-amz-expires"])
        return "signature" in asked and time.time() > int(asked.get("expires", 0))
    except ValueError:  # no time that can be read has not come
        return True


def _answered_here(body: bytes) -> Response | None:
    """Answer two calls that the SDK makes before every job, which moto lacks or answers otherwise.

    A notebook on AWS is a session of its role; everything is allowed on this machine.
    """
    form = parse_qs(body.decode("utf-8", "replace"))
    action = form.get("Action", [""])[0]
    if action == "GetCallerIdentity":
        result = (
            f"<Account>{ACCOUNT}</Account><UserId>AROALOCAL:notebook</UserId>"
            f"<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/notebook</Arn>"
        )
        return _xml(action, _STS, result)
    if action == "SimulatePrincipalPolicy":
        names = [value[0] for name, value in form.items() if name.startswith("ActionNames.member.")]
        rows = "".join(
            f"<member><EvalActionName>{escape(name)}</EvalActionName><EvalDecision>allowed"
            "</EvalDecision><EvalResourceName>*</EvalResourceName></member>"
            for name in names
        )
        result = f"<IsTruncated>false</IsTruncated><EvaluationResults>{rows}</EvaluationResults>"
        return _xml(action, _IAM, result)
    return None


def _xml(action: str, namespace: str, result: str) -> Response:
    text = (
        f'<{action}Response xmlns="{namespace}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(text.encode(), "text/xml")
