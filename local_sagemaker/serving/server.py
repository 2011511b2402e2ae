"""HTTP/1.1 server on 127.0.0.1, behind which stand the service's door and every model server."""

import hmac
import json
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import unquote

JSON = "application/json"
_HEAD = _PACKET = 64 * 1024  # bytes of a request's head, and of one look at the connection
_LENGTH = re.compile(r"[0-9]{1,15}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of a header
_ONCE = ("host", "authorization", "content-length")
_KEY = re.compile(r"(?:Credential=|AWS |AWSAccessKeyId=)([A-Za-z0-9]+)")
_RAW = re.compile(r"[\x80-\xff]")  # of UTF-8 in a path, which curl sends as it is
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class ClientError(Exception):
    """The request is wrong or may not enter."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One request: the path as it came, percent-encoded; header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """Media type of the body, lower case, without parameters, or empty."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def accept(self) -> str:
        """What the caller wants back, with parameters; ``*/*`` where nothing is said."""
        return self.headers.get("accept") or "*/*"


@dataclass(frozen=True)
class Response:
    """One answer; where ``content_type`` is empty, ``headers`` has it or there is none."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()


Handler = Callable[[Request], Response]


def error(message: str, status: int) -> Response:
    return Response(json.dumps({"error": message}).encode(), JSON, status)


class HTTPServer(socketserver.ThreadingTCPServer):
    """Answers on 127.0.0.1 and nowhere else, with one thread per connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, token: str, largest: int) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.token, self.largest = token, largest
        self.port = int(self.server_address[1])
        self.hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}

    def answer(self, request: Request) -> Response:
        """Answer a request that may enter; never raises for what a caller did."""
        raise NotImplementedError

    def refusal(self, refused: ClientError, path: str, headers: Mapping[str, str]) -> Response:
        """Return the answer to a request that is malformed or may not enter."""
        return error(str(refused), refused.status)

    def admit(self, query: str, headers: Mapping[str, str]) -> None:
        """Let in who has the token, and no page of a browser, whatever name leads it here."""
        if headers.get("host", "").lower() not in self.hosts:
            raise ClientError(f"The host {headers.get('host', '')!r} is not this service.", 403)
        if "origin" in headers or "sec-fetch-site" in headers:
            said = "A browser's page may not call this service: use curl or boto3 for an object."
            raise ClientError(said, 403)
        given = _KEY.search(f"{headers.get('authorization', '')} {unquote(query)}")
        if given is None or not hmac.compare_digest(given[1], self.token):
            said = "The access key is not this service's: connect again, with the key it has now."
            raise ClientError(said, 403)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print what ended a connection's thread; a caller that hangs up is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            traceback.print_exc()


class _Connection(socketserver.StreamRequestHandler):
    """One connection, kept open between requests."""

    disable_nagle_algorithm = True
    rbufsize = _PACKET
    server: HTTPServer
    connection: socket.socket

    def handle(self) -> None:
        path, headers = "", dict[str, str]()
        while True:
            try:
                head = self._head()
                if head is None:
                    return
                method, target, headers = head
                path, _, query = target.partition("?")
                self.server.admit(query, headers)
                request = Request(method, path, query, headers, self._body(headers))
            except ClientError as refused:
                self._send("GET", self.server.refusal(refused, path, headers), close=True)
                return self._linger()
            self._send(method, self.server.answer(request))
            if headers.get("connection", "").lower() == "close":
                return

    def _head(self) -> tuple[str, str, dict[str, str]] | None:
        """Read method, target and headers; None where the caller has no more requests."""
        lines: list[str] = []
        left = _HEAD
        while True:
            line = self.rfile.readline(left)
            left -= len(line)
            if not line and not lines and left:
                return None
            if not left:
                raise ClientError("The request's head is larger than 64 kB.", 431)
            if not line.endswith(b"\n"):  # half a head could pass for a request without a body
                raise ConnectionError("the caller hung up in the middle of a head")
            text = line.decode("latin-1").rstrip("\r\n")
            if text:
                lines.append(text)
            elif lines:
                break
        method, _, rest = lines[0].partition(" ")
        target, _, version = rest.partition(" ")
        target = _RAW.sub(lambda found: f"%{ord(found[0]):02X}", target)
        if version != "HTTP/1.1" or not method.isalpha() or not target:
            raise ClientError("This is not HTTP/1.1.")
        headers: dict[str, str] = {}
        for text in lines[1:]:
            name, colon, value = text.partition(":")
            key, value = name.lower(), value.strip()
            if not colon or not _NAME.fullmatch(name) or (key in headers and key in _ONCE):
                raise ClientError(f"The header line {text[:80]!r} is malformed or there twice.")
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return method, target, headers

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "transfer-encoding" in headers:  # S3 takes none, either
            raise ClientError("Transfer-Encoding is not supported: give a Content-Length.", 501)
        length, most = headers.get("content-length", "0"), self.server.largest
        if not _LENGTH.fullmatch(length):
            raise ClientError(f"Content-Length {length[:80]!r}: expected a number.")
        if int(length) > most:
            raise ClientError(f"The body has {length} bytes: at most {most} are read.", 413)
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        data = self.rfile.read(int(length))
        if len(data) != int(length):
            raise ConnectionError("the caller hung up in the middle of a body")
        return data

    def _send(self, method: str, response: Response, close: bool = False) -> None:
        head = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, 'Status')}"]
        if response.content_type:
            head.append(f"Content-Type: {response.content_type}")
        head += [f"{name}: {value}" for name, value in response.headers]
        names = {name.lower() for name, _ in response.headers}
        if "content-length" not in names:
            head.append(f"Content-Length: {len(response.body)}")
        if "x-amzn-requestid" not in names:
            head.append(f"x-amzn-RequestId: {uuid.uuid4()}")
        if close:
            head.append("Connection: close")
        text = "\r\n".join(head)
        if text.count("\n") != len(head) - 1 or text.count("\r") != len(head) - 1:
            said = "A header of the answer holds a line break, which would end it early."
            return self._send(method, error(said, 500), close)
        data = text.encode("latin-1", "replace") + b"\r\n\r\n"
        body = b"" if method == "HEAD" else response.body
        if len(body) < _PACKET:
            return self.connection.sendall(data + body)
        self.connection.sendall(data)
        self.connection.sendall(body)

    def _linger(self) -> None:
        """Read what the caller still sends: closed at once, it would lose the answer."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            for _ in range(4096):
                if not self.connection.recv(_PACKET):
                    return


class ModelHTTPServer(HTTPServer):
    """Answers ``/ping`` and ``/invocations``, as a container does."""

    def __init__(self, invoke: Handler, token: str, rest: Handler | None, in_turn: bool) -> None:
        super().__init__(0, token, 128 << 20)  # batch transform sends up to 100 MB
        self._invoke, self._rest = invoke, rest
        self._turn: Any = threading.Lock() if in_turn else nullcontext()

    def answer(self, request: Request) -> Response:
        """Answer one request; whatever goes wrong, the server stays."""
        try:
            if request.path == "/invocations" and request.method == "POST":
                with self._turn:
                    return self._invoke(request)
            if request.path == "/ping":
                return Response(b"")
            if self._rest is not None and request.path.startswith("/v1/"):
                return self._rest(request)
            return error(f"no route {request.method} {request.path}", 404)
        except ClientError as wrong:
            return error(str(wrong), wrong.status)
        except (Exception, SystemExit, KeyboardInterrupt) as failure:  # sys.exit in a user's code
            traceback.print_exc()
            print(self.token, flush=True)  # the server survived: these lines are not its last
            return error(f"{type(failure).__name__}: {failure}", 500)


def _end_with_input() -> None:
    """End this process once its standard input closes: the service holds the other end."""
    while os.read(0, 1 << 10):
        pass
    if os.getpgrp() == os.getpid():  # the leader of its group: take the rest along
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def serve(
    invoke: Handler, backend: str, rest: Handler | None = None, in_turn: bool = False
) -> NoReturn:
    """Answer for ever, once the process that started this one is told where."""
    token = os.environ["LOCAL_SAGEMAKER_TOKEN"]
    server = ModelHTTPServer(invoke, token, rest, in_turn)
    threading.Thread(target=_end_with_input, daemon=True).start()
    print(f"{token} {server.port}", flush=True)
    print(f"serving on 127.0.0.1:{server.port}: {backend}", flush=True)
    sys.setswitchinterval(0.001)  # a thread back from the model should not wait 5 ms for its turn
    while True:
        server.serve_forever()
