"""Gates answer truthfully, once, cheaply, and say one sentence where they are closed."""

import importlib
import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from helpers import files, gates, installed
from helpers.book import ROOT
from helpers.gates import Gate
from helpers.runner.environment import Environment


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("COURSE_RUN_GATED", "COURSE_CLOUD", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for gate in (gates.gpu, gates.mxnet, gates.aws):
        monkeypatch.setattr(gate, "_missing", None)


def said_by(code: str, variables: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-c", f"import sys; from helpers import gates\n{code}"]
    shown = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return (shown.stdout + shown.stderr).strip()


def test_a_gate_asks_once_and_prints_one_sentence_where_it_is_closed(capsys):
    asked: list[int] = []
    gate = Gate("A thing", lambda: asked.append(1) or "it is not here", "the cell above shows it")
    assert not asked and gate.ready("The drawing") is False and not gate and len(asked) == 1
    said = "The drawing is skipped: it is not here; the cell above shows it.\n"
    assert capsys.readouterr().out == said
    gate = Gate("A thing", lambda: "", "unused")
    assert gate.ready() and gate and gate.reason == "A thing is here."
    assert capsys.readouterr().out == ""


def test_gates_import_no_framework():
    code = "bool(gates.mxnet), bool(gates.gpu), bool(gates.aws)\n"
    assert said_by(code + "print({'mxnet', 'tensorflow', 'numpy'} & set(sys.modules))") == "set()"


def test_without_mxnet_the_reason_names_the_platform_and_import_fails(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(gates.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(gates.platform, "machine", lambda: "arm64")
    said = "MXNet has no wheel for Darwin on arm64; the NumPy and Keras"
    assert not gates.mxnet and gates.mxnet.reason.startswith(said)
    with pytest.raises(ImportError, match="no wheel for Darwin"):
        gates.import_mxnet()


def test_frameworks_import_silently_and_keras_without_scikit_learn(monkeypatch, tmp_path):
    """In the environment that `lab` starts; the reader's own settings of Keras are not read."""
    files.write(tmp_path / ".keras" / "keras.json", '{"backend": "jax", "floatx": "float64"}')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    code = """
keras = gates.import_keras()
assert 'sklearn' not in sys.modules and keras.layers.Dense(1)
assert (keras.backend.backend(), keras.config.floatx()) == ('tensorflow', 'float32')
assert not gates.mxnet or gates.import_mxnet().nd.ones(2).shape == (2,)
"""
    assert said_by(code, Environment(ROOT, tmp_path / "environment").variables()) == ""


def test_only_what_is_asked_for_opens(monkeypatch):
    monkeypatch.setattr(gates, "_has_gpu", lambda: False)
    assert gates._gpu() and gates._aws()
    monkeypatch.setenv("COURSE_RUN_GATED", "1")
    assert gates.gpu and not gates.aws
    monkeypatch.setenv("COURSE_CLOUD", "aws")
    assert not gates._aws()


@pytest.mark.parametrize("devices", [["GPU:0"], []])
def test_a_loaded_tensorflow_is_asked(monkeypatch, devices):
    config = SimpleNamespace(list_physical_devices=lambda kind: devices if kind == "GPU" else [])
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    assert gates._has_gpu() is bool(devices)
    monkeypatch.setattr(installed, "sees_nvidia", lambda: True)
    assert gates._gpu() == ("" if devices else "there is no GPU that TensorFlow can use")


@pytest.mark.skipif(os.name == "nt", reason="the pretended program is a shell script")
def test_nvidia_smi_is_asked_and_may_fail(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(gates, "Path", lambda name: tmp_path)  # no device files
    monkeypatch.setenv("PATH", str(tmp_path))
    installed.sees_nvidia.cache_clear()
    assert gates._has_gpu() is False
    program = tmp_path / "nvidia-smi"
    for text in ("echo 'No devices were found'; exit 6", "echo 'GPU 0: planted'"):
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        installed.sees_nvidia.cache_clear()
        assert gates._has_gpu() is ("planted" in text)
    program.unlink()
    assert gates._has_gpu() is True, "a driver that hangs is waited for once a process"
    installed.sees_nvidia.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gates._has_gpu() is False, "a hidden GPU is none"


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
    said = "numpy is 2.1.0, not 1.26.4 (python -m helpers lab repairs it)"
    assert list(gates.report().loc["packages"]) == ["not ready", said]


def test_training_is_spread_over_all_gpus_where_there_are_two():
    """Two logical processors stand for two GPUs; the loss falls as it does on one."""
    code = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
assert gates.strategy().num_replicas_in_sync == 1
strategy, keras = gates.strategy("CPU"), gates.import_keras()
with strategy.scope():
    model = keras.Sequential([keras.layers.Embedding(9, 4), keras.layers.Dense(1)])
    model.compile("adam", "mse")
rows = np.random.default_rng(0).integers(0, 9, 512)
losses = model.fit(rows, rows / 9.0, batch_size=64, epochs=3, verbose=0).history["loss"]
print(strategy.num_replicas_in_sync, losses[2] < losses[0])
"""
    quiet = Environment(ROOT, ROOT / ".venv").variables() | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    assert said_by(code, quiet).splitlines()[-1] == "2 True"
