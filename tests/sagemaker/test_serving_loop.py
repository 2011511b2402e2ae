"""The answering end of a model server: one thread for quick callers, others for the slow."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time

import pytest

from local_sagemaker.serving import loop
from local_sagemaker.serving.server import ClientError, Invocation, ModelHTTPServer, Response
from local_sagemaker.serving.wire import Pool

POST = b"POST /invocations HTTP/1.1\r\n"


class Model:
    """Echoes after a pause; `wrong` is refused, `line` breaks its own header."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.pause = 0.0

    def __call__(self, request: Invocation) -> Response:
        self.threads.append(threading.current_thread().name)
        time.sleep(self.pause)
        if request.body == b"wrong":
            raise ClientError("so it is")
        headers = {"X-Line": "one\ntwo"} if request.body == b"line" else {}
        return Response(request.body, "text/plain", headers=headers)


@pytest.fixture
def served(request):
    model = Model()
    server = ModelHTTPServer(model, quick=getattr(request, "param", True))
    threading.Thread(target=server.serve_forever, name="loop", daemon=True).start()
    pool = Pool(server.port)
    yield model, server.port, pool
    pool.close()


both = pytest.mark.parametrize("served", [True, False], ids=["quick", "threads"], indirect=True)


def ask(pool: Pool, body: bytes) -> tuple[int, bytes]:
    status, _, answer = pool.request("POST", "/invocations", {}, body, 10)
    return status, answer


def test_quick_requests_are_answered_by_the_one_thread(served):
    model, _, pool = served
    assert [ask(pool, b"%d" % n) for n in range(20)] == [(200, b"%d" % n) for n in range(20)]
    assert ask(pool, b"wrong") == (400, b'{"error": "so it is"}')
    assert set(model.threads) == {"loop"}


@both
def test_requests_in_one_packet_and_in_pieces(served):
    _, port, _ = served
    head = POST + b"Content-Length: 3\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as caller:
        caller.sendall(head + b"one" + head + b"two")
        for byte in head + b"six":
            caller.sendall(bytes([byte]))
        said = b""
        while said.count(b"HTTP/1.1 200") < 3 or not said.endswith(b"six"):
            said += caller.recv(1 << 16)
        assert said.index(b"one") < said.index(b"two") < said.index(b"six")


def test_a_large_body_goes_to_a_thread_and_comes_back_whole(served):
    model, _, pool = served
    body = bytes(range(256)) * (loop.LARGEST // 64)
    assert ask(pool, body) == (200, body)
    assert model.threads[-1] != "loop"


def test_a_caller_that_does_not_read_stops_nobody(served):
    _, port, pool = served
    body = b"x" * (loop.LARGEST - 1000)
    request = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", port), 10) as slow:
        sender = threading.Thread(target=slow.sendall, args=(40 * request,), daemon=True)
        sender.start()
        time.sleep(0.3)
        assert ask(pool, b"quick") == (200, b"quick")
        got = 0
        while got < 40 * len(body):
            got += len(slow.recv(1 << 20))


def test_slow_answers_get_threads_in_which_others_pass_them(served):
    model, _, pool = served
    model.pause = 3 * loop.SLOW
    for _ in range(5):
        ask(pool, b"slow")
    assert model.threads[0] == "loop" != model.threads[-1]
    model.pause = 0.5
    callers = [threading.Thread(target=ask, args=(pool, b"slow")) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(set(model.threads[-4:])) > 1


@pytest.mark.parametrize(
    ("raw", "begin"),
    [
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 411"),
        (POST + b"Content-Length: 1x\r\n\r\n", b"HTTP/1.1 411"),
        (POST + b"Content-Length: -5\r\n\r\n", b"HTTP/1.1 411"),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", b"HTTP/1.1 411"),
        (b"GET /ping HTTP/1.1\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET /execution-parameters HTTP/1.1\r\n\r\n", b"HTTP/1.1 200"),
        (b"\r\n\r\n", b"HTTP/1.1 404"),
        (b"x" * (3 * loop.LARGEST_HEAD), b""),
    ],
)
@both
def test_what_is_no_request_ends_its_connection_and_no_other(served, raw, begin):
    _, port, pool = served
    with socket.create_connection(("127.0.0.1", port), 10) as caller:
        said = b""
        with contextlib.suppress(ConnectionError):
            caller.sendall(raw)
            said = caller.recv(1 << 16)
        assert said.startswith(begin) if begin else said == b""
    assert ask(pool, b"on") == (200, b"on")


@both
def test_a_header_of_two_lines_ends_its_connection_and_no_other(served, monkeypatch):
    """Nothing of the answer goes out, and the thread that ends of it says why."""
    _, port, pool = served
    ended: queue.SimpleQueue = queue.SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", lambda end: ended.put(str(end.exc_value)))
    with socket.create_connection(("127.0.0.1", port), 10) as caller:
        caller.sendall(POST + b"Content-Length: 4\r\n\r\nline")
        assert caller.recv(1 << 16) == b""
    assert "a line break in a name or a value" in ended.get(timeout=10)
    assert ask(pool, b"on") == (200, b"on")


@both
def test_callers_that_leave_early_do_no_harm(served):
    _, port, pool = served
    for piece in (b"", b"POST", POST + b"Content-Length: 9\r\n\r\nfour"):
        with socket.create_connection(("127.0.0.1", port), 10) as caller:
            caller.sendall(piece)
    with socket.create_connection(("127.0.0.1", port), 10) as caller:
        reset = b"\1\0\0\0\0\0\0\0"  # not an end
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        caller.sendall(POST + b"Content-Length: 3\r\n\r\none")
    assert ask(pool, b"on") == (200, b"on")
