"""The HTTP server behind the door and the model servers."""

import socket
import threading
import time

import pytest
import urllib3

from local_sagemaker.serving.server import ClientError, ModelHTTPServer, Request, Response
from tests.sagemaker import jobs

TOKEN = "0123456789abcdef"
HERE = f"Host: localhost:PORT\r\nAuthorization: AWS {TOKEN}:-\r\n".encode()
POST = b"POST /invocations HTTP/1.1\r\n" + HERE
LENGTH = b"Content-Length: %d\r\n\r\n"


ENDS = {b"wrong": ClientError("so it is"), b"exit": SystemExit(3), b"stop": KeyboardInterrupt()}


class Model:
    """Echoes; `wrong` is refused, `exit` and `stop` are what a user's code may raise, `line` breaks its own header, `slow` takes its time."""

    def __init__(self) -> None:
        self.at_once = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.3 if request.body == b"slow" else 0)
        with self.lock:
            self.at_once -= 1
        if request.body in ENDS:
            raise ENDS[request.body]
        headers = [("X-Line", "one\ntwo")] if request.body == b"line" else []
        return Response(request.body, "text/plain", headers=headers)


@pytest.fixture(params=[False, True], ids=["at once", "in turn"])
def served(request):
    model = Model()
    server = ModelHTTPServer(model, TOKEN, None, request.param)
    server.in_turn = request.param
    with jobs.running(server):
        yield model, server


def ask(server, body: bytes) -> tuple[int, bytes]:
    headers = {"Authorization": f"AWS {TOKEN}:-"}
    url = f"http://127.0.0.1:{server.port}/invocations"
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", url, body=body, headers=headers, retries=False, timeout=10)
    return answer.status, answer.data


def send(server, raw: bytes) -> bytes:
    return jobs.send(server.port, raw.replace(b"PORT", b"%d" % server.port))


def test_requests_in_one_packet_and_in_pieces(served):
    _, server = served
    head = (POST + LENGTH % 3).replace(b"PORT", b"%d" % server.port)
    with socket.create_connection(("127.0.0.1", server.port), 10) as caller:
        caller.sendall(head + b"one" + head + b"two")
        for byte in head + b"six":
            caller.sendall(bytes([byte]))
        said = b""
        while said.count(b"HTTP/1.1 200") < 3 or not said.endswith(b"six"):
            said += caller.recv(1 << 16)
        assert said.index(b"one") < said.index(b"two") < said.index(b"six")


def test_bodies_of_every_length_come_back_whole(served):
    _, server = served
    body = bytes(range(256)) * 40_000
    for sent in (b"", b"x", body):
        assert ask(server, sent) == (200, sent)
    raw = send(server, b"GET /\xc3\xbc HTTP/1.1\r\n" + HERE + b"\r\n")
    assert raw.endswith(b'no route GET /%C3%BC"}'), "as curl sends UTF-8"


def test_a_caller_that_does_not_read_stops_nobody(served):
    _, server = served
    body = b"x" * 250_000
    request = (POST + LENGTH % len(body)).replace(b"PORT", b"%d" % server.port) + body
    with socket.create_connection(("127.0.0.1", server.port), 10) as slow:
        sender = threading.Thread(target=slow.sendall, args=(40 * request,), daemon=True)
        sender.start()
        assert ask(server, b"quick") == (200, b"quick")
        got = 0
        while got < 40 * len(body):
            got += len(slow.recv(1 << 20))
        sender.join()


def test_answers_in_turn_are_given_one_after_the_other(served):
    model, server = served
    callers = [threading.Thread(target=ask, args=(server, b"slow")) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert (model.most == 1) == server.in_turn


@pytest.mark.parametrize(
    ("raw", "begin"),
    [
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", b"HTTP/1.1 501"),
        (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nfour", b"HTTP/1.1 400"),
        (POST + b"Content-Length : 3\r\n\r\none", b"HTTP/1.1 400"),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", b"HTTP/1.1 400"),
        (POST + b"Content-Length: 999999999999\r\n\r\n", b"HTTP/1.1 413"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", b"HTTP/1.1 501"),
        (POST + b" folded: 1\r\n\r\n", b"HTTP/1.1 400"),
        (POST + b"X-Large: " + b"y" * 70_000 + b"\r\n\r\n", b"HTTP/1.1 431"),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET /ping HTTP/1.1\r\n" + HERE + b"\r\n", b"HTTP/1.1 200"),
        (b"GET /nothing HTTP/1.1\r\n" + HERE + b"\r\n", b"HTTP/1.1 404"),
        (b"x" * 200_000, b"HTTP/1.1 431"),
        (b"POST", b""),
        (POST + LENGTH % 9 + b"four", b""),
    ],
    ids=range(14),
)
def test_what_is_no_request_ends_its_connection_and_no_other(served, raw, begin):
    model, server = served
    said = send(server, raw)
    assert said.startswith(begin) if begin else said == b""
    assert not model.most
    assert ask(server, b"on") == (200, b"on")


def test_a_header_of_two_lines_is_an_error_of_the_server(served):
    _, server = served
    status, said = ask(server, b"line")
    assert status == 500 and b"line break" in said
    assert ask(server, b"wrong") == (400, b'{"error": "so it is"}')
    assert ask(server, b"exit") == (500, b'{"error": "SystemExit: 3"}')
    assert ask(server, b"stop") == (500, b'{"error": "KeyboardInterrupt: "}')
    assert ask(server, b"on") == (200, b"on")


def test_a_caller_that_resets_does_no_harm(served):
    _, server = served
    with socket.create_connection(("127.0.0.1", server.port), 10) as caller:
        reset = b"\1\0\0\0\0\0\0\0"  # not an end
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        caller.sendall((POST + LENGTH % 3).replace(b"PORT", b"%d" % server.port) + b"one")
    assert ask(server, b"on") == (200, b"on")
