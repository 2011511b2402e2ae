"""The door: HTTP/1.1 on 127.0.0.1, who may enter, and which of three ways a request goes.

An endpoint's request takes the shortest way there is: no framework, no copy, one thread a connection,
answers sent at once. The control plane and moto come after it.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import socket
import socketserver
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote
from xml.sax.saxutils import escape

from local_sagemaker.errors import ApiError
from local_sagemaker.service import live, operations
from local_sagemaker.serving.wire import parse_head

if TYPE_CHECKING:
    from local_sagemaker.service.account import Account

_log = logging.getLogger("course.cloud")
_HEAD = 64 * 1024  # bytes of a request's head
_BODY = 1 << 30  # bytes of a body; more goes in parts, as S3's multipart upload sends it
_INVOKE = 6 * 1024 * 1024  # bytes of an endpoint's request, as AWS limits it
_LENGTH = re.compile(rb"[0-9a-fA-F]{1,8}")  # of a chunk
_ENDPOINT = re.compile(r"/endpoints/([^/]+)/invocations")
HEALTH = "/course/health"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass
class Request:
    """One request; header names are lower case."""

    method: str
    path: str  # as it came, percent-encoded
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """One answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Rest(Protocol):
    """Whatever answers the services that are not SageMaker."""

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""


class _Refused(Exception):
    """The request can't be read or may not enter; after the answer the connection is closed."""

    def __init__(self, status: int, message: str, *, xml: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.xml = xml

    def reply(self) -> Reply:
        """Return the answer in the form that the caller's protocol has."""
        if not self.xml:
            return _error(self.status, "AccessDeniedException", str(self))
        said = f"<Error><Code>AccessDenied</Code><Message>{escape(str(self))}</Message></Error>"
        text = f"<ErrorResponse>{said}<RequestId>course</RequestId></ErrorResponse>"
        return Reply(self.status, [("Content-Type", "text/xml")], text.encode())


class Front(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on 127.0.0.1 and nowhere else.

    Parameters
    ----------
    port : int
        0 for any free one.
    token : str
        What a caller must have as access key.

    Raises
    ------
    OSError
        The port is taken.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, token: str) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.token = token
        self.port = int(self.server_address[1])
        self.hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        if self.port == 80:  # clients leave this one out
            self.hosts |= {"127.0.0.1", "localhost"}
        self.ready = threading.Event()  # what the service needs is loaded
        self.plane: Account | None = None
        self.rest: Rest | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is no error; anything else goes to the log."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            _log.exception("connection of %s", client_address)

    def answer(self, request: Request) -> Reply:
        """Send a request the right way; never raises for what a caller did."""
        if request.path == HEALTH:
            said = json.dumps({"service": "course", "ready": self.ready.is_set()}).encode()
            return Reply(200, [("Content-Type", "application/json")], said)
        assert self.plane is not None and self.rest is not None
        target = request.headers.get("x-amz-target", "")
        invoked = (
            _ENDPOINT.fullmatch(request.path) if request.path.startswith("/endpoints/") else None
        )
        try:
            if invoked is None and not target.startswith("SageMaker."):
                return self.rest(request)
            if invoked is not None:
                if len(request.body) > _INVOKE:
                    raise ApiError(
                        f"1 validation error detected: Value of {len(request.body)} bytes at 'body'"
                        " failed to satisfy"
                        f" constraint: Member must have length less than or equal to {_INVOKE}",
                        "ValidationError",
                        413,
                    )
                if request.method != "POST":
                    raise ApiError(
                        f"{request.method} is not how an endpoint is called: use POST.",
                        "ValidationError",
                        405,
                    )
                name = unquote(invoked[1])
                sent = live.invoke_endpoint(self.plane, name, request.body, request.headers)
                return Reply(*sent)
            return self._control(target.partition(".")[2], request.body)
        except ApiError as error:
            code = error.code
            if invoked is not None and code == "ValidationException":
                code = "ValidationError"  # the runtime's name for it
            return _error(error.status, code, str(error))
        except OSError as error:
            _log.exception("%s %s", request.method, target or request.path)
            return _error(
                500, "InternalFailure", f"This machine could not do it: {error.strerror or error}"
            )
        except Exception as error:  # the caller hears of it, the service goes on
            _log.exception("%s %s", request.method, target or request.path)
            return _error(500, "InternalFailure", f"{type(error).__name__}: {error}")

    def _control(self, name: str, body: bytes) -> Reply:
        assert self.plane is not None
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ApiError(f"The request is not JSON: {error}", "SerializationException") from None
        if not isinstance(request, dict):
            raise ApiError("The request is not a JSON object.", "SerializationException")
        out = json.dumps(operations.handle(self.plane, name, request)).encode()
        return Reply(200, [("Content-Type", "application/x-amz-json-1.1")], out)


def _error(status: int, code: str, message: str) -> Reply:
    body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    return Reply(
        status, [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)], body
    )


class _Connection(socketserver.StreamRequestHandler):
    """One connection, kept alive between requests."""

    disable_nagle_algorithm = True
    rbufsize = 1 << 16
    server: Front
    connection: socket.socket

    def handle(self) -> None:
        while True:
            try:
                request = self._read()
                if request is None:
                    return
                reply = self.server.answer(request)
                self._send(request.method, reply)
            except _Refused as refused:
                self._send("GET", refused.reply(), close=True)
                return
            except (ConnectionError, TimeoutError):
                return
            if request.headers.get("connection", "").lower() == "close":
                return

    def _read(self) -> Request | None:
        head = self._head()
        if not head.strip():
            return None
        first, headers = parse_head(head)
        parts = first.split()
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise _Refused(400, "This is not HTTP/1.1.")
        target = parts[1]
        if target.startswith("http://"):
            target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
        path, _, query = target.partition("?")
        self._admit(path, query, headers)
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(parts[0], path, query, headers, self._body(headers))

    def _head(self) -> bytes:
        """Read to the empty line; nothing where the caller has no more requests."""
        head = b""
        while (line := self.rfile.readline(_HEAD)) not in (b"\r\n", b"\n"):
            if not line and not head:
                return b""
            if not line:  # what came of the head could be taken for a request without a body
                raise ConnectionError("the caller hung up in the middle of a head")
            head += line
            if len(head) > _HEAD:
                raise _Refused(431, "The request's head is larger than 64 kB.")
        return head.rstrip(b"\r\n")

    def _admit(self, path: str, query: str, headers: Mapping[str, str]) -> None:
        """Let in who has the token, and no page of a browser, wherever its name points to."""
        if headers.get("host", "").lower() not in self.server.hosts:
            raise _Refused(403, f"The host {headers.get('host', '')!r} is not this service.")
        if "origin" in headers or "sec-fetch-site" in headers:
            raise _Refused(403, "A browser's page may not call this service.")
        given = f"{headers.get('authorization', '')} {unquote(query)}"
        found = re.search(r"(?:Credential=|AWS |AWSAccessKeyId=)([A-Za-z0-9]+)", given)
        if found is None or not hmac.compare_digest(found[1], self.server.token):
            xml = "x-amz-target" not in headers and not path.startswith("/endpoints/")
            raise _Refused(
                403, "The access key is not this service's: call cloud.connect() first.", xml=xml
            )
        if path.startswith("/moto-api"):
            raise _Refused(404, "There is nothing here.")

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks()
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _BODY:
            raise _Refused(
                413, f"A body of {length} bytes is more than {_BODY} bytes: send it in parts."
            )
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise ConnectionError("the caller hung up in the middle of a body")
        return body

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            head = self.rfile.readline(1024).split(b";")[0].strip()
            if not _LENGTH.fullmatch(head):
                raise _Refused(400, "A chunk of the body has no length.")
            length = int(head, 16)
            if length == 0:
                while self.rfile.readline(_HEAD) not in (b"\r\n", b"\n", b""):
                    continue  # trailers are not used
                return b"".join(parts)
            size += length
            if size > _BODY:
                raise _Refused(413, f"A body of more than {_BODY} bytes: send it in parts.")
            parts.append(self.rfile.read(length))
            self.rfile.readline(1024)

    def _send(self, method: str, reply: Reply, close: bool = False) -> None:
        head = [f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Status')}"]
        names = set()
        for name, value in reply.headers:
            if name.lower() != "connection":
                names.add(name.lower())
                head.append(f"{name}: {value}")
        if "content-length" not in names:
            head.append(f"Content-Length: {len(reply.body)}")
        if "x-amzn-requestid" not in names:
            head.append(f"x-amzn-RequestId: {uuid.uuid4()}")
        if close:
            head.append("Connection: close")
        data = "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n"
        self.connection.sendall(data if method == "HEAD" else data + reply.body)
