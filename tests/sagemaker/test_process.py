"""A model server as a process: the user's functions, and everything that can happen to it."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
import urllib3

from helpers.book import ROOT
from local_sagemaker.serving import script
from local_sagemaker.serving.process import ModelServer, ServerDied
from tests.sagemaker.conftest import until
from tests.sagemaker.jobs import serving

JSON = {"Content-Type": "application/json"}
_PROGRAM = """
import json, os, sys, time
from pathlib import Path
import beside

def model_fn(model_dir):
    print("loading from", Path(model_dir).name, os.environ.get("WISH"), sys.stdin.read())
    return json.loads((Path(model_dir) / "weights.json").read_text())

def predict_fn(data, model):
    if data.ndim == 0:
        if data == -1: os._exit(3)
        if data == -2: time.sleep(1)
        if data == -3: return sorted(os.environ)
        raise ValueError(f"a list is needed, not {data}")
    return data * model + beside.ZERO
"""


def write(folder, program: str = _PROGRAM):
    """Lay out a model whose program is the user's own."""
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "inference.py").write_text(program)
    (folder / "code" / "beside.py").write_text("ZERO = 0")
    (folder / "weights.json").write_text("2")
    return folder


def unready(folder, program: str = _PROGRAM) -> ModelServer:
    return ModelServer("script", write(folder, program), environment={}, log=lambda line: None)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving("script", write(tmp_path_factory.mktemp("model")), WISH="granted") as made:
        yield made


@pytest.fixture
def own(tmp_path):
    """A server for the test alone, which may end it."""
    with serving("script", write(tmp_path), WISH="granted") as made:
        yield made


def test_the_users_functions_answer(server):
    status, headers, body = server.invoke(b"[1, 2.5]", JSON)
    assert (status, json.loads(body)) == (200, [2, 5])
    assert headers["content-type"] == "application/json"
    csv = {"Content-Type": "text/csv", "Accept": "text/csv"}
    assert server.invoke(b"1,2", csv)[2] == b"2.0\n4.0\n"
    assert any("granted" in line for line in server.lines)
    which = "the functions of the model's own inference.py, in Python"
    assert any(line.endswith(which) for line in server.lines)


@pytest.mark.parametrize(
    "body, kind, status, message",
    [
        (b"{", "application/json", 400, "the body is not application/json"),
        (b"5", "application/json", 500, "ValueError: a list is needed, not 5"),
        (b"x", "image/png", 415, "Content type image/png is not supported by this framework"),
        (b"[" + b"1," * 25_000_000 + b"1]", "text/plain", 415, "not supported"),
        (b"[" * 100_000, "application/json", 400, "the body is not application/json"),
        (b"[[1, 2], [3]]", "application/json", 400, "the body is not application/json"),
        (b"0" * (129 << 20), "application/json", 413, "at most"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_requests_leave_it_standing(server, body, kind, status, message):
    found, _, answer = server.invoke(body, {"Content-Type": kind})
    assert found == status and message in json.loads(answer)["error"]
    assert server.invoke(b"[1]", JSON)[0] == 200
    if status == 500:
        until(lambda: any("in predict_fn" in line for line in server.lines))


def test_a_list_of_numbers_is_no_body():
    with pytest.raises(TypeError, match="a bytes-like object is required, not 'list'"):
        script.respond([1, 2], "application/json")


def test_an_error_of_the_users_function_stands_alone_in_the_log(own):
    assert own.invoke(b"5", JSON)[0] == 500
    assert own.invoke(b"[1]", JSON)[0] == 200
    with pytest.raises(ServerDied, match="code 3 while it was asked; it printed nothing"):
        own.invoke(b"-1", JSON)  # and no old traceback among its last lines
    log = "\n".join(own.lines)
    assert log.count("Traceback") == 1 and log.count("ValueError: a list is needed") == 1
    assert "TypeError" not in log and "another exception" not in log


def test_it_gets_the_containers_variables_and_none_of_the_shells(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    with serving("script", write(tmp_path), WISH="granted") as made:
        names = set(json.loads(made.invoke(b"-3", JSON)[2]))
    locale = {"LC_CTYPE"}  # Python's own, where nothing names a language
    ours = {"LOCAL_SAGEMAKER_TOKEN", "LOCAL_SAGEMAKER_MODEL_DIR", "PYTHONUNBUFFERED"}
    assert names - locale == ours | {"WISH"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": None}, 403),
        ({"Authorization": "AWS AAAA:-"}, 403),
        ({"Host": "rebound.example.com"}, 403),
        ({"Origin": "http://evil.example.com"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/invocations", "/ping"])
def test_only_the_one_that_started_it_may_ask(server, path, headers, status):
    given = {"Authorization": f"AWS {server.token}:-"} | JSON | headers
    with urllib3.PoolManager() as pool:
        answer = pool.request(
            "POST",
            f"http://127.0.0.1:{server.port}{path}",
            body=b"[1]",
            headers={name: value for name, value in given.items() if value is not None},
        )
    assert answer.status == status


def test_death_during_and_after_a_request(own):
    with pytest.raises(ServerDied, match=r"(?s)ended with code 3 while it was asked.*serving on"):
        own.invoke(b"-1", JSON)
    assert not own.alive
    with pytest.raises(ServerDied, match="ended with code 3"):
        own.invoke(b"[1]", JSON)


def test_a_slow_answer_a_proxy_smuggled_headers_and_death_between_requests(own, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(TimeoutError, match=r"did not answer within 0.3 s"):
        own.invoke(b"-2", JSON, timeout=0.3)
    with pytest.raises(ValueError, match="Invalid header value"):
        own.invoke(b"[1]", {"Accept": "a\r\nX-Evil: 1"})
    assert own.invoke(b"[1]", JSON)[0] == 200
    os.kill(own._process.pid, signal.SIGKILL)
    with pytest.raises(ServerDied, match="was killed by SIGKILL"):
        own.invoke(b"[1]", JSON)


def test_it_listens_here_only_and_stop_ends_it(own):
    pid = own._process.pid
    connections = psutil.Process(pid).net_connections()
    assert {c.laddr.ip for c in connections if c.status == "LISTEN"} == {"127.0.0.1"}
    own.stop()
    own.stop()
    assert not psutil.pid_exists(pid)
    with pytest.raises(ServerDied, match="was stopped"):
        own.invoke(b"[1]", JSON)


@pytest.mark.parametrize(
    "program, message",
    [
        ("raise RuntimeError('broken file')", "RuntimeError: broken file"),
        ("def predict_fn(a, b): return a", "Please provide a model_fn implementation"),
        ("def model_fn(d): return 1", "Please provide a predict_fn or a transform_fn"),
        ("def model_fn(d): raise OSError('none')\npredict_fn = print", "OSError: none"),
    ],
)
def test_a_program_that_cannot_start_says_why(tmp_path, program, message):
    made = unready(tmp_path, program)
    made.start()
    with pytest.raises(ServerDied, match=message):
        made.wait_ready(30)
    made.stop()


def test_a_program_that_takes_too_long(tmp_path):
    made = unready(tmp_path, "import time; time.sleep(60)")
    made.start()
    with pytest.raises(TimeoutError, match=r"did not answer /ping within 0.5 s"):
        made.wait_ready(0.5)
    made.stop()
    assert not made.alive


def test_transform_fn_and_context(tmp_path):
    program = """
def model_fn(folder, context):
    return context.system_properties["gpu_id"]
def transform_fn(model, data, kind, accept):
    return f"{model} {data.decode()} {kind} {accept}", "text/x"
"""
    with serving("script", write(tmp_path, program)) as made:
        answer = made.invoke(b"hi", {"Content-Type": "a/b", "Accept": "c/d"})
    assert answer[2] == b"None hi a/b c/d" and answer[1]["content-type"] == "text/x"


_PARENT = """
import sys, time
from pathlib import Path
from local_sagemaker.serving.process import ModelServer
server = ModelServer("script", Path(sys.argv[1]), environment={}, log=lambda line: None)
server.start()
server.wait_ready(30)
print("PID", server._process.pid, flush=True)
time.sleep(60)
"""


def test_it_ends_when_the_one_that_started_it_is_killed(tmp_path):
    child = "import subprocess\nsubprocess.Popen(['sleep', '60'])\n"
    command = [sys.executable, "-c", _PARENT, str(write(tmp_path, child + _PROGRAM))]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid = next(int(line.split()[1]) for line in parent.stdout if line.startswith("PID"))
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) == 2
    parent.kill()
    parent.wait()
    _, left = psutil.wait_procs(family, timeout=5)
    assert not left
