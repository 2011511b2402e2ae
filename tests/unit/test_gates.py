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

from helpers import gates, installed
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


def said_by(code: str) -> str:
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return (shown.stdout + shown.stderr).strip()


def test_a_gate_asks_once_and_prints_one_sentence_where_it_is_closed(capsys):
    asked: list[int] = []
    gate = Gate("A thing", lambda: asked.append(1) or "it is not here", "the cell above shows it")
    assert repr(gate) == "Gate(A thing: not asked yet)" and not asked
    assert gate.ready("The drawing") is False and not gate and len(asked) == 1
    assert capsys.readouterr().out == (
        "The drawing is skipped: it is not here; the cell above shows it.\n"
    )
    assert repr(gate) == "Gate(A thing: closed)"
    gate.forget()
    assert not gate and len(asked) == 2
    gate = Gate("A thing", lambda: "", "unused")
    assert gate.ready() and gate and gate.reason == "A thing is here."
    assert capsys.readouterr().out == "" and repr(gate) == "Gate(A thing: open)"


def test_gates_import_no_framework():
    code = "import sys; from helpers import gates; bool(gates.mxnet), bool(gates.gpu);"
    assert said_by(code + "print({'mxnet', 'tensorflow', 'numpy'} & set(sys.modules))") == "set()"


def test_without_mxnet_the_reason_names_the_platform_and_import_fails(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(gates.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(gates.platform, "machine", lambda: "arm64")
    said = "MXNet has no wheel for Darwin on arm64; the NumPy and Keras"
    assert not gates.mxnet and gates.mxnet.reason.startswith(said)
    with pytest.raises(ImportError, match="no wheel for Darwin"):
        gates.import_mxnet()


def test_frameworks_import_silently_and_keras_without_scikit_learn():
    code = "from helpers import gates; mx = gates.import_mxnet(); print(mx.nd.ones(2).shape)"
    assert not gates.mxnet or said_by(code) == "(2,)"
    code = "import sys; from helpers import gates; keras = gates.import_keras()\n"
    code += "assert 'sklearn' not in sys.modules and keras.layers.Dense(1)\nimport sklearn"
    assert said_by(code) == ""


def test_only_what_is_asked_for_opens(monkeypatch):
    monkeypatch.setattr(gates, "_has_gpu", lambda: False)
    assert not gates.aws and not gates.gpu
    gates.gpu.forget()
    monkeypatch.setenv("COURSE_RUN_GATED", "1")
    assert gates.gpu and not gates.aws
    gates.aws.forget()
    monkeypatch.setenv("COURSE_CLOUD", "aws")
    assert gates.aws


@pytest.mark.parametrize("devices", [["GPU:0"], []])
def test_a_loaded_tensorflow_is_asked(monkeypatch, devices):
    config = SimpleNamespace(list_physical_devices=lambda kind: devices if kind == "GPU" else [])
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    assert gates._has_gpu() is bool(devices)


@pytest.mark.skipif(os.name == "nt", reason="the pretended program is a shell script")
def test_nvidia_smi_is_asked_and_may_hang_or_fail(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(gates, "Path", lambda name: tmp_path)  # no device files
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gates._has_gpu() is False
    program = tmp_path / "nvidia-smi"
    for text in ("echo 'No devices were found'; exit 6", "echo 'GPU 0: planted'"):
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        assert gates._has_gpu() is ("planted" in text)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gates._has_gpu() is False, "a hidden GPU is none"


def test_network_answers_and_gives_up(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_OFFLINE", "1")
        patch.setattr(gates, "_answers", lambda *a, **k: pytest.fail("asked although offline"))
        assert not gates.network and "COURSE_OFFLINE" in gates.network.reason
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
    here = f"http://127.0.0.1:{server.server_port}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert gates._answers(f"{here}/ok", 10)
    assert gates._answers(f"{here}/moved", 10)
    assert not gates._answers(f"{here}/refused-by-a-proxy", 10)
    assert not gates._answers(f"{here}/slow", 0.7)
    assert not gates._answers("http://127.0.0.1:9/", 10)
    over.set()
    server.shutdown()
    server.server_close()


def test_absent_hides_what_is_not_loaded_yet_and_gives_it_back(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(RuntimeError, match="inside"), gates.absent("colorsys", "json"):
        with pytest.raises(ImportError, match="colorsys"):
            importlib.import_module("colorsys")
        assert importlib.import_module("json") is sys.modules["json"], "loaded before: left alone"
        raise RuntimeError("inside")
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)


def test_the_report_names_packages_that_differ_from_the_lock(monkeypatch):
    monkeypatch.setattr(installed, "differences", lambda: ["numpy is 2.1.0, not 1.26.4"])
    row = gates.report().loc["packages"]
    said = "numpy is 2.1.0, not 1.26.4 (python -m helpers lab repairs it)"
    assert list(row) == ["not ready", said]
