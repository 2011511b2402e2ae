"""A model server under load: latency of a request for 100 pairs at 8 connections, without the front door."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from local_sagemaker.serving.process import ModelServer

_CONNECTIONS, _REQUESTS, _PAIRS, _USERS, _ITEMS = 8, 200, 100, 943, 1682
_HEADERS = {"Content-Type": "application/json"}
EXPORT = """
import sys, keras
from keras import layers
user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
def look(size, x):
    return layers.Embedding(size, 32)(x)
product = layers.Multiply()([look(943, user), look(1682, item)])
hidden = layers.Concatenate()([look(943, user), look(1682, item)])
for units in (64, 32, 16, 8):
    hidden = layers.Dense(units, activation="relu")(hidden)
score = layers.Dense(1, activation="sigmoid")(layers.Concatenate()([product, hidden]))
keras.Model([user, item], score).export(sys.argv[1] + "/1", verbose=False)
"""


def pairs() -> dict[str, Any]:
    """Return a request for 100 pairs."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, _USERS, _PAIRS).tolist()
    items = rng.integers(0, _ITEMS, _PAIRS).tolist()
    given = zip(users, items, strict=True)
    return {"instances": [{"user": user, "item": item} for user, item in given]}


def run() -> list[dict[str, Any]]:
    """Export a NeuMF network, serve it, and ask as wrk would; wrk itself where it is installed.

    Returns
    -------
    list of dict
        One a measurement: ``name``, ``value``, ``unit`` and ``target``.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(
            [sys.executable, "-c", EXPORT, folder],
            env=environment,
            check=True,
            capture_output=True,
        )
        server = ModelServer("tensorflow", Path(folder), environment={}, log=lambda line: None)
        try:
            began = time.perf_counter()
            server.start()
            server.wait_ready(300)
            rows = [
                _row(
                    "TensorFlow endpoint: start to ready",
                    time.perf_counter() - began,
                    "s",
                    "import + 3",
                )
            ]
            return rows + _measure(server)
        finally:
            server.stop()


def _row(name: str, value: float | str, unit: str, target: str = "-") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}


def _measure(server: ModelServer) -> list[dict[str, Any]]:
    body = json.dumps(pairs()).encode()
    rows = []
    for connections in (1, _CONNECTIONS):
        _load(server, body, connections, 20)
        process = psutil.Process(server._process.pid)
        before = sum(process.cpu_times()[:2])
        milliseconds = _load(server, body, connections, _REQUESTS)
        cpu = (sum(process.cpu_times()[:2]) - before) / len(milliseconds) * 1000
        what = f"{_PAIRS} pairs, {connections} connections"
        rows += [
            _row(
                f"{what}: p50",
                float(np.median(milliseconds)),
                "ms",
                "<= 15" if connections > 1 else "-",
            ),
            _row(
                f"{what}: p99",
                float(np.percentile(milliseconds, 99)),
                "ms",
                "<= 60" if connections > 1 else "-",
            ),
            _row(f"{what}: CPU of the server a request", cpu, "ms"),
        ]
    return rows + _wrk(server, body)


def _load(server: ModelServer, body: bytes, connections: int, requests: int) -> np.ndarray:
    found: list[float] = []

    def ask() -> None:
        for _ in range(requests):
            began = time.perf_counter()
            status, _, _ = server.invoke(body, _HEADERS)
            found.append((time.perf_counter() - began) * 1000)
            assert status == 200

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(found)


def _wrk(server: ModelServer, body: bytes) -> list[dict[str, Any]]:
    if not shutil.which("wrk"):
        return [_row("wrk", "not installed", "")]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f'wrk.method = "POST"\nwrk.body = [[{body.decode()}]]\nwrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.headers["Authorization"] = "AWS {server.token}:-"\n'
            'function done(s, l, r)\n io.write(string.format("RESULT %f %f %d %d\\n", l:percentile(50) / 1000, '
            "l:percentile(99) / 1000, s.requests, s.errors.status + s.errors.timeout))\nend\n"
        )
        script.flush()
        url = f"http://127.0.0.1:{server.port}/invocations"
        command = ["wrk", f"-c{_CONNECTIONS}", "-t1", "-d5s", "-s", script.name, url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    p50, p99, requests, errors = next(
        line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT")
    )
    what = f"wrk, {_CONNECTIONS} connections"
    return [
        _row(f"{what}: p50", float(p50), "ms", "<= 15"),
        _row(f"{what}: p99", float(p99), "ms", "<= 60"),
        _row(f"{what}: requests", int(requests) / 5, "1/s"),
        _row(f"{what}: errors", int(errors), "", "0"),
    ]
