"""The SageMaker of this machine: how long a reader waits for a connection, a job, an endpoint, an answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from helpers.book import ROOT
from local_sagemaker import launch
from tests.sagemaker.conftest import ECR, INFERENCE, SKLEARN, Aws

PAIRS = 100
CONNECTIONS = 8
SECONDS = 10
TENSORFLOW_SERVING = f"{ECR}/tensorflow-inference:2.19-cpu"
_CONNECT = "import time; begin = time.perf_counter(); from helpers import cloud; cloud.connect(); print(time.perf_counter() - begin)"
_EXPORT = """
import sys, keras
user, item = (keras.Input((1,), dtype="int32", name=name) for name in ("user", "item"))
both = [keras.layers.Flatten()(keras.layers.Embedding(1000, 16)(x)) for x in (user, item)]
score = keras.layers.Dense(1, activation="sigmoid", name="score")(keras.layers.Concatenate()(both))
keras.Model([user, item], score).export(sys.argv[1] + "/1")
"""
_IMPORT = "import time; begin = time.perf_counter(); import tensorflow; print(time.perf_counter() - begin)"


def _python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _row(name: str, value: float, unit: str, target: str) -> dict:
    return {"name": name, "value": value, "unit": unit, "target": target}


def _first_line(aws: Aws, name: str) -> float:
    """Seconds from a job's creation to the time stamp of its first line."""
    found = aws.train(name, "print('first line', flush=True)")
    logs = aws.client("logs")
    stream = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
    )
    events = logs.get_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs",
        logStreamName=stream["logStreams"][0]["logStreamName"],
    )["events"]
    return events[0]["timestamp"] / 1000 - found["CreationTime"].timestamp()


def _ready(aws: Aws, name: str, data: str, image: str) -> float:
    """Seconds from CreateEndpoint to InService."""
    aws.model(name, data, image)
    aws.config(name, name)
    begin = time.perf_counter()
    aws.sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    found = aws.deployed(name)
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    return time.perf_counter() - begin


def _load(aws: Aws, name: str, body: dict) -> list[dict]:
    """What wrk measures at eight connections, in milliseconds."""
    program = shutil.which("wrk")
    if program is None:
        return [_row(f"{name}: wrk is not installed", float("nan"), "ms", "p50 <= 15, p99 <= 60")]
    script = Path(tempfile.mkdtemp()) / "post.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = '{json.dumps(body)}'\n"
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "AWS {aws.server.token}:-"\n'
    )
    command = [program, "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(script)]
    address = f"{aws.server.url}/endpoints/{name}/invocations"
    for seconds in (2, SECONDS):  # the first run warms up
        said = subprocess.run(
            [*command, f"-d{seconds}s", address], check=True, capture_output=True, text=True
        ).stdout
    assert "Non-2xx" not in said, said
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    rows = []
    for share, target in (("50", "<= 15"), ("99", "<= 60")):
        value, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]
        label = f"{name}: p{share} of a {PAIRS}-pair request, {CONNECTIONS} connections"
        rows.append(_row(label, float(value) * units[unit], "ms", target))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    rows.append(
        _row(f"{name}: requests a second", float(rate[1]) if rate else float("nan"), "1/s", "-")
    )
    return rows


def run() -> list[dict]:
    """Measure on one service of its own."""
    rows = [
        _row("cloud.connect(), a fresh kernel", float(_python(_CONNECT).split()[-1]), "s", "<= 5 s")
    ]
    server = launch.start()
    try:
        launch.wait_until_ready(server)
        aws = Aws(server)
        lines = [_first_line(aws, f"first-{number}") for number in range(3)]
        rows.append(
            _row("submit to first line, plain script, median of 3", sorted(lines)[1], "s", "<= 3 s")
        )
        plain = aws.archive(
            "plain.tar.gz", {"model.json": '{"w": 3}', "code/inference.py": INFERENCE}
        )
        rows.append(
            _row("plain endpoint ready", _ready(aws, "plain", plain, SKLEARN), "s", "<= 3 s")
        )
        rows += _load(aws, "plain", [1.0] * PAIRS)  # type: ignore[arg-type]
        aws.sm.delete_endpoint(EndpointName="plain")
        with tempfile.TemporaryDirectory() as folder:
            _python(_EXPORT, folder)
            archive = shutil.make_archive(f"{folder}/../saved", "gztar", folder)
            saved = aws.put("saved.tar.gz", Path(archive).read_bytes())
            Path(archive).unlink()
        imported = float(_python(_IMPORT))
        ready = _ready(aws, "tensorflow", saved, TENSORFLOW_SERVING)
        rows.append(
            _row(
                "TensorFlow endpoint ready, less TensorFlow's import",
                ready - imported,
                "s",
                "<= 3 s",
            )
        )
        pairs = [{"user": [n], "item": [n]} for n in range(PAIRS)]
        rows += _load(aws, "tensorflow", {"instances": pairs})
    finally:
        server.stop()
    return rows
