"""The answering end: ``GET /ping`` and ``POST /invocations`` on a port of the loopback interface.

A thread a connection, or one for all whose answers are quick; as many requests a connection as the caller
likes. The process ends itself when the one that started it is gone, whatever the reason: its standard input
closes then.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NoReturn

from local_sagemaker.guard import end_with_input
from local_sagemaker.serving.loop import LARGEST_HEAD, Loop
from local_sagemaker.serving.wire import body_length, header_lines, parse_head

LARGEST_BODY = (
    128 << 20
)  # batch transform sends up to 100 MB; an endpoint's limit of 6 MB is the front door's
JSON = "application/json"


class ClientError(Exception):
    """The request is wrong: answered with ``status`` (400 unless said) and the message."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Invocation:
    """A request: ``method``, ``path``, ``headers`` (names in lower case) and ``body``."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """Media type of the body without its parameters, in lower case; empty where none is given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def accept(self) -> str:
        """What the caller wants back, with parameters; ``*/*`` where nothing is said."""
        return self.headers.get("accept") or "*/*"


@dataclass(frozen=True)
class Response:
    """An answer."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def error(message: str, status: int) -> Response:
    """Say what went wrong, as ``{"error": …}``."""
    return Response(json.dumps({"error": message}).encode(), JSON, status)


Handler = Callable[[Invocation], Response]


class ModelHTTPServer:
    """Answers on 127.0.0.1.

    Parameters
    ----------
    invoke : callable
        Takes the request of ``POST /invocations``.
    routes : dict of str to callable
        Other paths, by what they begin with.
    port : int
        0 takes a free one.
    quick : bool
        Answers take a millisecond or two and wait for nothing: see `local_sagemaker.serving.loop`.
    """

    def __init__(
        self,
        invoke: Handler,
        routes: dict[str, Handler] | None = None,
        port: int = 0,
        quick: bool = False,
    ) -> None:
        self._invoke = invoke
        self._routes = routes or {}
        self._quick = quick
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def serve_forever(self) -> NoReturn:
        """Accept connections until the process ends."""
        if self._quick:
            Loop(self._listener, self._reply, self._in_a_thread).run()
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._in_a_thread(connection)

    def _in_a_thread(
        self, connection: socket.socket, buffer: bytes = b"", unsent: bytes = b""
    ) -> None:
        threading.Thread(
            target=self._converse, args=(connection, buffer, unsent), daemon=True
        ).start()

    def _reply(self, first: str, headers: dict[str, str], body: bytes) -> bytes:
        method, path, *_ = [*first.split(" "), "", ""]
        return _bytes(self.answer(Invocation(method, path, headers, body)))

    def _converse(self, connection: socket.socket, buffer: bytes, unsent: bytes) -> None:
        with connection:
            try:
                connection.sendall(unsent)
                while True:
                    while (end := buffer.find(b"\r\n\r\n")) < 0:
                        data = connection.recv(1 << 16)
                        if not data or len(buffer) > LARGEST_HEAD:
                            return
                        buffer += data
                    first, headers = parse_head(buffer[:end])
                    size = body_length(headers)
                    if size is None:
                        refused = error("a Content-Length is needed", 411)
                        return connection.sendall(_bytes(refused, close=True))
                    if size > LARGEST_BODY:
                        text = f"Request body of {size} bytes: at most {LARGEST_BODY} are read"
                        _drop(connection, size - len(buffer) + end + 4)  # else the answer is lost
                        return connection.sendall(_bytes(error(text, 413), close=True))
                    body, buffer = _read_body(connection, buffer[end + 4 :], size)
                    connection.sendall(self._reply(first, headers, body))
            except OSError:
                return  # the caller went away: nobody is left to tell

    def answer(self, request: Invocation) -> Response:
        """Answer one request; whatever goes wrong, the server stays."""
        try:
            for prefix, handler in self._routes.items():
                if request.path.startswith(prefix):
                    return handler(request)
            if request.path == "/ping":
                return Response(b"")
            if request.path == "/execution-parameters":
                wishes = {
                    "MaxConcurrentTransforms": 1,
                    "BatchStrategy": "MULTI_RECORD",
                    "MaxPayloadInMB": 6,
                }
                return Response(json.dumps(wishes).encode())
            if request.path == "/invocations" and request.method == "POST":
                return self._invoke(request)
            return error(f"no route {request.method} {request.path}", 404)
        except ClientError as wrong:
            return error(str(wrong), wrong.status)
        except MemoryError:
            return error(f"not enough memory for a request of {len(request.body)} bytes", 507)
        except Exception as failure:
            traceback.print_exc()
            return error(f"{type(failure).__name__}: {failure}", 500)


def _bytes(response: Response, close: bool = False) -> bytes:
    headers = {
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        **response.headers,
        **({"Connection": "close"} if close else {}),
    }
    head = f"HTTP/1.1 {response.status} {_phrase(response.status)}\r\n{header_lines(headers)}\r\n"
    return head.encode("latin-1") + response.body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"


def _read_body(connection: socket.socket, have: bytes, size: int) -> tuple[bytes, bytes]:
    """Read the rest of a body; returns it and what came after it."""
    if len(have) >= size:
        return have[:size], have[size:]
    body = bytearray(size)
    body[: len(have)] = have
    view, filled = memoryview(body), len(have)
    while filled < size:
        got = connection.recv_into(view[filled:])
        if not got:
            raise ConnectionResetError
        filled += got
    return bytes(body), b""


def _drop(connection: socket.socket, size: int) -> None:
    """Read bytes that nobody wants."""
    while size > 0 and (data := connection.recv(1 << 16)):
        size -= len(data)


def serve(
    invoke: Handler,
    *,
    backend: str,
    routes: dict[str, Handler] | None = None,
    on_port: Callable[[int], None] | None = None,
    quick: bool = False,
) -> NoReturn:
    """Announce the port and the program behind it to the process that started this one, then answer for ever.

    Parameters
    ----------
    invoke : callable
        Takes the request of ``POST /invocations``.
    backend : str
        One sentence: which program answers.
    routes : dict of str to callable
        Other paths, by what they begin with.
    on_port : callable
        Told the port before the first request can come.
    quick : bool
        See `ModelHTTPServer`.
    """
    server = ModelHTTPServer(invoke, routes, int(os.environ.get("COURSE_PORT", "0")), quick)
    if on_port:
        on_port(server.port)
    token = os.environ.get("COURSE_ANNOUNCE")
    if token:
        end_with_input()
        print(f"{token} {json.dumps({'port': server.port, 'backend': backend})}", flush=True)
    print(f"serving on 127.0.0.1:{server.port}: {backend}", flush=True)
    sys.setswitchinterval(0.001)  # a thread back from the model should not wait 5 ms for its turn
    server.serve_forever()
