"""Gates answer truthfully, once, cheaply, and say one sentence where they are closed."""

import importlib
import importlib.util
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from helpers import gates
from helpers.book import ROOT
from helpers.gates import Gate

ALL = [gates.gpu, gates.mxnet, gates.aws, gates.network]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("COURSE_RUN_GATED", "COURSE_OFFLINE", "COURSE_CLOUD", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for gate in ALL:
        gate.forget()
    yield
    for gate in ALL:
        gate.forget()


def test_a_gate_asks_the_machine_once():
    asked = []

    def probe():
        asked.append(1)
        return "it is not here"

    gate = Gate("A thing", probe, "use the other")
    assert repr(gate) == "Gate(A thing: not asked yet)" and not asked
    assert not gate and not gate.ready() and "other" in gate.reason
    assert len(asked) == 1
    gate.forget()
    assert not gate and len(asked) == 2


def test_a_closed_gate_prints_one_sentence(capsys):
    gate = Gate("A thing", lambda: "it is not here", "the cell above shows the same")
    assert gate.ready("The drawing") is False
    assert capsys.readouterr().out == (
        "The drawing is skipped: it is not here; the cell above shows the same.\n"
    )
    assert repr(gate) == "Gate(A thing: closed)"


def test_an_open_gate_prints_nothing(capsys):
    gate = Gate("A thing", lambda: "", "unused")
    assert gate.ready() and gate and gate.reason == "A thing is here."
    assert capsys.readouterr().out == ""
    assert repr(gate) == "Gate(A thing: open)"


def test_the_mxnet_gate_does_not_import_mxnet():
    code = (
        "import sys; from helpers import gates; bool(gates.mxnet), bool(gates.gpu);"
        "print(*sorted({'mxnet', 'tensorflow', 'pandas'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_without_mxnet_the_reason_names_the_platform_and_import_fails(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(gates.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(gates.platform, "machine", lambda: "arm64")
    assert not gates.mxnet
    assert gates.mxnet.reason.startswith(
        "MXNet has no wheel for Darwin on arm64; the NumPy and Keras"
    )
    with pytest.raises(ImportError, match="no wheel for Darwin"):
        gates.import_mxnet()


@pytest.mark.skipif(not gates.mxnet, reason="MXNet has no wheel here")
def test_mxnet_imports_silently():
    code = "from helpers import gates; mx = gates.import_mxnet(); print(float(mx.nd.ones(2).sum().asscalar()))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "2.0" and shown.stderr == ""


def test_aws_only_when_asked_for(monkeypatch):
    assert not gates.aws
    gates.aws.forget()
    monkeypatch.setenv("COURSE_CLOUD", "aws")
    assert gates.aws


def test_run_gated_opens_the_gpu_gate_only(monkeypatch):
    monkeypatch.setattr(gates, "has_gpu", lambda: False)
    assert not gates.gpu
    gates.gpu.forget()
    monkeypatch.setenv("COURSE_RUN_GATED", "1")
    assert gates.gpu and not gates.aws


def test_a_hidden_gpu_is_no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert gates.has_gpu() is False


def test_a_loaded_tensorflow_is_asked(monkeypatch):
    def pretend(devices):
        config = SimpleNamespace(
            list_physical_devices=lambda kind: devices if kind == "GPU" else []
        )
        return SimpleNamespace(config=config)

    monkeypatch.setitem(sys.modules, "tensorflow", pretend(["GPU:0"]))
    assert gates.has_gpu() is True
    monkeypatch.setitem(sys.modules, "tensorflow", pretend([]))
    assert gates.has_gpu() is False


@pytest.mark.skipif(os.name == "nt", reason="the pretended program is a shell script")
def test_nvidia_smi_is_asked_and_may_hang_or_fail(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(gates, "Path", lambda name: tmp_path)  # no device files
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gates.has_gpu() is False
    program = tmp_path / "nvidia-smi"
    for text, answer in (
        ("echo 'GPU 0: planted'", True),
        ("echo 'No devices were found'; exit 6", False),
    ):
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        assert gates.has_gpu() is answer


def test_offline_is_respected_without_asking(monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setattr(gates, "_answers", lambda *a, **k: pytest.fail("asked although offline"))
    assert not gates.network
    assert "COURSE_OFFLINE" in gates.network.reason


@pytest.fixture
def local_server():
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            if self.path == "/slow":
                over.wait(5)
            self.send_response({"/ok": 200, "/moved": 301}.get(self.path, 403))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

        def log_message(self, *unused):
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    over.set()
    server.shutdown()
    server.server_close()


def test_network_answers_and_gives_up(local_server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert gates._answers(f"{local_server}/ok", 10)
    assert gates._answers(f"{local_server}/moved", 10)
    assert not gates._answers(f"{local_server}/refused-by-a-proxy", 10)
    assert not gates._answers(f"{local_server}/slow", 0.7)
    assert not gates._answers("http://127.0.0.1:9/", 10)


def test_keras_comes_without_scikit_learn_and_leaves_it_importable():
    code = """
import sys
from helpers import gates
keras = gates.import_keras()
assert "sklearn" not in sys.modules and keras.layers.Dense(1)
import sklearn.linear_model
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def test_absent_hides_what_is_not_loaded_yet_and_gives_it_back(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(RuntimeError, match="inside"), gates.absent("colorsys", "json"):
        with pytest.raises(ImportError, match="colorsys"):
            importlib.import_module("colorsys")
        assert importlib.import_module("json") is sys.modules["json"], "loaded before: left alone"
        raise RuntimeError("inside")
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
