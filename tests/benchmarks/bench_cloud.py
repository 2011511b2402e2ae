"""The SageMaker of this machine: how long a reader waits for it, and what it bears."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from helpers.book import ROOT
from helpers.models.fm import side_by_side
from local_sagemaker import launch
from local_sagemaker.service.store import TRAINING, Store
from tests.benchmarks.bench_serving import EXPORT, pairs
from tests.sagemaker.conftest import ECR, INFERENCE, SKLEARN, Aws, job_request
from tests.sagemaker.jobs import records
from tests.sagemaker.test_builtin import IMAGE, KIND, request

CONNECTIONS, SECONDS, JOBS = 8, 10, 5000
TENSORFLOW_SERVING = f"{ECR}/tensorflow-inference:2.19-cpu"
FM_ROW = {"instances": [{"features": {"keys": [0, 20], "shape": [30], "values": [1, 1]}}]}
_CLOCK = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"
_CONNECT = _CLOCK.format("from helpers import cloud; cloud.connect()")
_IMPORT = _CLOCK.format("import tensorflow")


def _python(code: str, *arguments: str) -> float:
    """Run Python to its end; return the seconds it prints last."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float((done.stdout.split() or ["nan"])[-1])


def _row(name: str, value: float, unit: str, target: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}


def _first_line(aws: Aws, name: str) -> float:
    """Seconds from a job's creation to the time stamp of its first line."""
    found = aws.train(name, "print('first line', flush=True)")
    group, logs = "/aws/sagemaker/TrainingJobs", aws.client("logs")
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")[
        "logStreams"
    ]
    place = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
    first = logs.get_log_events(**place, startFromHead=True)["events"][0]
    return first["timestamp"] / 1000 - found["CreationTime"].timestamp()


def _fm_job(aws: Aws, name: str, data: str) -> float:
    """Seconds from CreateTrainingJob until a job of factorization machines has completed."""
    begin = time.perf_counter()
    aws.sm.create_training_job(**request(name, data, epochs=10, mini_batch_size=50))
    assert aws.trained(name)["TrainingJobStatus"] == "Completed"
    return time.perf_counter() - begin


def _ready(aws: Aws, name: str, data: str, image: str) -> float:
    """Seconds from CreateEndpoint to InService."""
    aws.model(name, data, image)
    aws.config(name, name)
    begin = time.perf_counter()
    aws.sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    found = aws.deployed(name)
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    return time.perf_counter() - begin


def _load(aws: Aws, name: str, body: dict, what: str, **targets: str) -> list[dict[str, Any]]:
    """What wrk measures at eight connections, in milliseconds."""
    program = shutil.which("wrk")
    if program is None:
        return [_row(f"{what}: wrk is not installed", float("nan"), "", "")]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f'wrk.method = "POST"\nwrk.body = [[{json.dumps(body)}]]\n'
            'wrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.headers["Authorization"] = "AWS {aws.server.token}:-"\n'
        )
        script.flush()
        address = f"{aws.server.url}/endpoints/{name}/invocations"
        command = [program, "-t1", f"-c{CONNECTIONS}", "--latency", "-s", script.name, address]
        for seconds in (2, SECONDS):  # the first run warms up
            done = subprocess.run(
                [*command, f"-d{seconds}s"], check=True, capture_output=True, text=True
            )
    said, units = done.stdout, {"us": 1e-3, "ms": 1.0, "s": 1e3}
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    rows = []
    for share in ("50", "99"):
        value, unit = re.findall(rf"{share}%\s+([\d.]+)(us|ms|s)", said)[0]
        target = targets.get(f"p{share}", "-")
        rows.append(_row(f"{what}: p{share}", float(value) * units[unit], "ms", target))
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", said)
    return [*rows, _row(f"{what}: requests", float(rate), "1/s", targets.get("rate", "-"))]


def _errors(aws: Aws, name: str, threads: int, requests: int) -> float:
    """How many of the requests of many threads fail."""

    def fails(number: int) -> bool:
        try:
            return aws.ask(name, [number]) != [3 * number]
        except Exception:
            return True

    with ThreadPoolExecutor(threads) as pool:
        return float(sum(pool.map(fails, range(requests))))


def _update(aws: Aws, name: str, config: str) -> list[dict[str, Any]]:
    """Ask without a pause while an endpoint gets another model."""
    told: list[object] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                told.append(aws.ask(name, [1])[0])
            except Exception as error:
                told.append(error)

    askers = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for asker in askers:
        asker.start()
    time.sleep(1)
    aws.sm.update_endpoint(EndpointName=name, EndpointConfigName=config)
    aws.deployed(name)
    time.sleep(1)
    over.set()
    for asker in askers:
        asker.join()
    assert {3, 4} <= {one for one in told if isinstance(one, int)}, "both models were asked"
    errors = sum(isinstance(one, Exception) for one in told)
    what = f"update under load, {CONNECTIONS} threads"
    return [
        _row(f"{what}: requests", float(len(told)), "", "-"),
        _row(f"{what}: errors", float(errors), "", "0"),
    ]


def _listing() -> list[dict[str, Any]]:
    """List a lab's 5,000 jobs, 100 a page."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "sagemaker")
        for number in range(JOBS):
            job = job_request(f"job-{number}", SKLEARN, "s3://b/k", {"epochs": "3"})
            store.add(TRAINING, job, TrainingJobStatus="Completed", SecondaryStatus="Completed")
        server = launch.launch(state=Path(folder)).listening()
        try:
            launch.wait_until_ready(server)
            sm = Aws(server).sm
            pages = []
            for _ in range(3):
                begin = time.perf_counter()
                assert len(sm.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]) == 100
                pages.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            paginator = sm.get_paginator("list_training_jobs").paginate(MaxResults=100)
            assert sum(len(page["TrainingJobSummaries"]) for page in paginator) == JOBS
            every = time.perf_counter() - begin
        finally:
            server.stop()
    return [
        _row(f"{JOBS:,} jobs listed: a page", median(pages), "s", "<= 0.4"),
        _row(f"{JOBS:,} jobs listed: all {JOBS // 100} pages", every, "s", "<= 4"),
    ]


def run() -> list[dict[str, Any]]:
    """Measure on services of its own."""
    rows = [_row("cloud.connect(), a fresh kernel", _python(_CONNECT), "s", "<= 5")]
    server = launch.launch().listening()
    try:
        launch.wait_until_ready(server)
        aws = Aws(server)
        first = median(_first_line(aws, f"first-{number}") for number in range(3))
        rows.append(_row("submit to first line of a plain script", first, "s", "<= 1"))

        rng = np.random.default_rng(0)
        users, items = rng.integers(0, 20, 5000), rng.integers(0, 10, 5000)
        matrix = side_by_side((users, 20), (items, 10))
        data = aws.put("fm/train", records(matrix, (users % 5).astype("f4")))
        jobs = [_fm_job(aws, f"fm-{number}", data) for number in range(3)]
        rows.append(_row(f"job of factorization machines ({KIND[14:]})", median(jobs), "s", "<= 3"))
        trained = aws.trained("fm-0")["ModelArtifacts"]["S3ModelArtifacts"]
        assert aws.deploy("fm", trained, IMAGE)["EndpointStatus"] == "InService"
        rows += _load(aws, "fm", FM_ROW, "one row, factorization machines", rate=">= 1,000")
        aws.sm.delete_endpoint(EndpointName="fm")

        for name, weight in (("plain", 3), ("other", 4)):
            files = {"model.json": f'{{"w": {weight}}}', "code/inference.py": INFERENCE}
            archive = aws.archive(f"{name}.tar.gz", files)
            if name == "plain":
                ready = _ready(aws, name, archive, SKLEARN)
                rows.append(_row("plain endpoint ready", ready, "s", "<= 1"))
            else:
                aws.model(name, archive)
                aws.config(name, name)
        what = "500 requests on 50 threads: errors"
        rows.append(_row(what, _errors(aws, "plain", 50, 500), "", "0"))
        rows += _update(aws, "plain", "other")
        aws.sm.delete_endpoint(EndpointName="plain")

        with tempfile.TemporaryDirectory() as folder:
            _python(EXPORT, f"{folder}/model")
            packed = shutil.make_archive(f"{folder}/saved", "gztar", f"{folder}/model")
            saved = aws.put("saved.tar.gz", Path(packed).read_bytes())
        imported = median(_python(_IMPORT) for _ in range(3))
        ready = _ready(aws, "neumf", saved, TENSORFLOW_SERVING) - imported
        rows.append(_row("TensorFlow endpoint ready, less the import", ready, "s", "<= 3"))
        rows += _load(aws, "neumf", pairs(), "100 pairs, NeuMF", p50="<= 15", p99="<= 60")
    finally:
        server.stop()
    return rows + _listing()
