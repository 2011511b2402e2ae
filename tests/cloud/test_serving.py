"""A model server as a process: the user's functions, and everything that can happen to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from helpers.book import ROOT
from helpers.cloud.serving import ModelServer, ServerDied
from helpers.cloud.serving.wire import ServerConnection

JSON = {"Content-Type": "application/json"}
_PROGRAM = """
import json, os, sys, time
from pathlib import Path
import beside

def model_fn(model_dir):
    print("loading from", Path(model_dir).name, os.environ.get("WISH"))
    return json.loads((Path(model_dir) / "weights.json").read_text())

def predict_fn(data, model):
    if data.ndim == 0:
        if data == -1: os._exit(3)
        if data == -2: time.sleep(30)
        raise ValueError(f"a list is needed, not {data}")
    return data * model + beside.ZERO
"""


def make(tmp_path, program: str = _PROGRAM, **environment: str) -> tuple[ModelServer, list[str]]:
    (tmp_path / "code").mkdir(exist_ok=True)
    (tmp_path / "code" / "inference.py").write_text(program)
    (tmp_path / "code" / "beside.py").write_text("ZERO = 0")
    (tmp_path / "weights.json").write_text("2")
    lines: list[str] = []
    return ModelServer("script", tmp_path, environment=environment, log=lines.append), lines


@pytest.fixture
def server(tmp_path):
    made, made.lines = make(tmp_path, WISH="granted")
    made.start()
    made.wait_ready(30)
    yield made
    made.stop()


def test_the_users_functions_answer(server):
    began = time.monotonic()
    status, headers, body = server.invoke(b"[1, 2.5]", JSON)
    assert (status, json.loads(body)) == (200, [2, 5])
    assert headers["content-type"] == "application/json"
    assert time.monotonic() - began < 10  # on a machine that does other things too
    assert (
        server.invoke(b"1,2", {"Content-Type": "text/csv", "Accept": "text/csv"})[2]
        == b"2.0\n4.0\n"
    )
    assert any("granted" in line for line in server.lines)
    assert server.backend == "the functions of the model's own inference.py, in Python"


def test_it_is_ready_within_three_seconds(tmp_path):
    made, _ = make(tmp_path)
    began = time.monotonic()
    made.start()
    made.wait_ready(30)
    cpu = sum(psutil.Process(made.pid).cpu_times()[:2])
    made.stop()
    assert min(cpu, time.monotonic() - began) < 3


@pytest.mark.parametrize(
    "body, kind, status, message",
    [
        (b"{", "application/json", 400, "the body is not application/json"),
        (b"5", "application/json", 500, "ValueError: a list is needed, not 5"),
        (b"x", "image/png", 415, "Content type image/png is not supported by this framework"),
    ],
)
def test_wrong_requests_leave_it_standing(server, body, kind, status, message):
    found, _, answer = server.invoke(body, {"Content-Type": kind})
    assert found == status and message in json.loads(answer)["error"]
    assert server.invoke(b"[1]", JSON)[0] == 200


def test_a_traceback_stands_in_the_log(server):
    server.invoke(b"5", JSON)
    until = time.monotonic() + 5
    while not any("in predict_fn" in line for line in server.lines) and time.monotonic() < until:
        time.sleep(0.02)
    assert any("in predict_fn" in line for line in server.lines)


def test_a_body_of_fifty_megabytes_is_answered(server):
    body = b"[" + b"1," * 25_000_000 + b"1]"
    status, _, answer = server.invoke(body, {"Content-Type": "text/plain"})
    assert status == 415 and b"not supported" in answer
    status, _, answer = server.invoke(b"0" * (129 << 20), JSON)
    assert status == 413 and b"at most" in answer
    assert server.invoke(b"[1]", JSON)[0] == 200


def test_death_during_and_after_a_request(server):
    with pytest.raises(ServerDied, match=r"(?s)ended with code 3 while it was asked.*serving on"):
        server.invoke(b"-1", JSON)
    assert not server.alive
    with pytest.raises(ServerDied, match="ended with code 3"):
        server.invoke(b"[1]", JSON)


def test_death_between_requests(server):
    assert server.invoke(b"[1]", JSON)[0] == 200
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(ServerDied, match="was killed by SIGKILL"):
        server.invoke(b"[1]", JSON)


def test_a_slow_answer_times_out_and_the_rest_goes_on(server):
    with pytest.raises(TimeoutError, match=r"did not answer within 0.3 s"):
        server.invoke(b"-2", JSON, timeout=0.3)
    assert server.alive


def test_callers_at_once_get_their_own_answers(server):
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: json.loads(server.invoke(f"[{n}]".encode(), JSON)[2])[0], range(200))
        )
    assert answers == [2 * n for n in range(200)]


def test_stop_ends_it_and_says_so(server):
    pid = server.pid
    server.stop()
    server.stop()
    assert not psutil.pid_exists(pid)
    with pytest.raises(ServerDied, match="was stopped"):
        server.invoke(b"[1]", JSON)


def test_it_listens_on_the_loopback_interface_only(server):
    addresses = {
        c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"
    }
    assert addresses == {"127.0.0.1"}


def test_headers_cannot_be_smuggled_in(server):
    with pytest.raises(ValueError, match="line break"):
        server.invoke(b"[1]", {"Accept": "a\r\nX-Evil: 1"})


@pytest.mark.parametrize(
    "raw, begin",
    [
        (b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 411"),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"HTTP/1.1 411"),
        (b"GET /ping HTTP/1.1\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET /execution-parameters HTTP/1.1\r\n\r\n", b"HTTP/1.1 200"),
        (b"GARBAGE\r\n\r\n", b"HTTP/1.1 404"),
        (b"x" * 200_000, b""),
    ],
)
def test_raw_requests(server, raw, begin):
    with socket.create_connection(("127.0.0.1", server.port), 5) as client:
        try:
            client.sendall(raw)
            answer = client.recv(1000)
        except ConnectionError:
            answer = b""
    assert answer.startswith(begin)
    assert server.invoke(b"[1]", JSON)[0] == 200


def test_a_caller_that_leaves_early_does_no_harm(server):
    with socket.create_connection(("127.0.0.1", server.port), 5) as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 1000\r\n\r\nhalf")
    connection = ServerConnection(server.port, 5)
    connection.close()
    assert server.invoke(b"[1]", JSON)[0] == 200


@pytest.mark.parametrize(
    "program, message",
    [
        ("raise RuntimeError('broken file')", "RuntimeError: broken file"),
        ("def predict_fn(a, b): return a", "Please provide a model_fn implementation"),
        ("def model_fn(d): return 1", "Please provide a predict_fn or a transform_fn"),
        (
            "def model_fn(d): raise OSError('no weights')\ndef predict_fn(a, b): return a",
            "OSError: no weights",
        ),
    ],
)
def test_a_program_that_cannot_start_says_why(tmp_path, program, message):
    made, _ = make(tmp_path, program)
    made.start()
    with pytest.raises(ServerDied, match=message):
        made.wait_ready(30)
    made.stop()


def test_a_program_that_takes_too_long(tmp_path):
    made, _ = make(tmp_path, "import time; time.sleep(60)")
    made.start()
    with pytest.raises(TimeoutError, match=r"did not answer /ping within 0.5 s"):
        made.wait_ready(0.5)
    with pytest.raises(RuntimeError, match="not ready"):
        made.invoke(b"1", JSON)
    made.stop()
    assert not made.alive


def test_transform_fn_and_context(tmp_path):
    program = (
        "def model_fn(d, context): return context.system_properties['gpu_id']\n"
        "def transform_fn(model, data, kind, accept): return f'{model} {data.decode()} {kind} {accept}', 'text/x'\n"
    )
    made, _ = make(tmp_path, program)
    made.start()
    made.wait_ready(30)
    answer = made.invoke(b"hi", {"Content-Type": "a/b", "Accept": "c/d"})
    made.stop()
    assert answer[2] == b"None hi a/b c/d" and answer[1]["content-type"] == "text/x"


def test_it_ends_when_the_one_that_started_it_is_killed(tmp_path):
    make(
        tmp_path,
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        + _PROGRAM,
    )
    code = (
        "import sys, time; from pathlib import Path; from helpers.cloud.serving import ModelServer\n"
        f"s = ModelServer('script', Path({str(tmp_path)!r}), environment={{}}, log=lambda line: None)\n"
        "s.start(); s.wait_ready(30); print('PID', s.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    pid = next(int(line.split()[1]) for line in parent.stdout if line.startswith("PID"))
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) == 2
    parent.kill()
    parent.wait()
    _, left = psutil.wait_procs(family, timeout=5)
    assert not left


def test_misuse(tmp_path):
    with pytest.raises(ValueError, match="'xgboost': expected one of tensorflow, script"):
        ModelServer("xgboost", tmp_path, environment={}, log=print)
    made, _ = make(tmp_path)
    with pytest.raises(ServerDied, match="never started"):
        made.invoke(b"", JSON)
    made.stop()
    made.start()
    with pytest.raises(RuntimeError, match="started before"):
        made.start()
    made.stop()
