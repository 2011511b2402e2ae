"""Look-ups in the night's table against calls of an endpoint, under load: wrk where it is installed."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from helpers import cloud

_USERS, _ITEMS, _NAME = 671, 9066, "bench-shelf"
_INFERENCE = b"""
import json
from pathlib import Path
import numpy as np

def model_fn(folder):
    return dict(np.load(Path(folder) / "model.npz"))

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(ask, model):
    scores = model["users"][ask["user"]] @ model["items"].T
    return np.argsort(-scores, kind="stable")[: ask["n"]]

def output_fn(items, accept):
    return json.dumps({"items": items.tolist()})
"""
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-west-2/sagemaker/aws4_request"
local n = 0
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil, string.format('{"user": %d, "n": 50}', n % 671))
end
done = function(summary, latency, requests)
  io.write(string.format("FOUND %f %f %f %d\\n", latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.requests / summary.duration * 1e6, summary.errors.status + summary.errors.timeout))
end
"""


def _archive() -> bytes:
    rng, arrays, packed = np.random.default_rng(0), io.BytesIO(), io.BytesIO()
    sizes = {"users": _USERS, "items": _ITEMS}
    np.savez(arrays, **{k: rng.normal(size=(n, 32)).astype(np.float32) for k, n in sizes.items()})
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in (("model.npz", arrays.getvalue()), ("code/inference.py", _INFERENCE)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _deploy(aws: cloud.Connection) -> None:
    client, place = aws.client("sagemaker"), f"{_NAME}/model.tar.gz"
    aws.client("s3").put_object(Bucket=aws.bucket, Key=place, Body=_archive())
    container = {
        "Image": "sagemaker-scikit-learn:1.2-1-cpu-py3",
        "ModelDataUrl": f"s3://{aws.bucket}/{place}",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    client.create_model(ModelName=_NAME, ExecutionRoleArn=aws.role, PrimaryContainer=container)
    variant = {"VariantName": "all", "ModelName": _NAME, "InstanceType": "ml.m5.large"}
    variants = [{**variant, "InitialInstanceCount": 1}]
    client.create_endpoint_config(EndpointConfigName=_NAME, ProductionVariants=variants)
    client.create_endpoint(EndpointName=_NAME, EndpointConfigName=_NAME)
    client.get_waiter("endpoint_in_service").wait(EndpointName=_NAME, WaiterConfig={"Delay": 1})


def _wrk(url: str, folder: Path) -> list[float] | None:
    """Return median and 99th percentile in milliseconds, requests a second, and errors."""
    import boto3

    if not shutil.which("wrk"):
        return None
    script = folder / "ask.lua"
    key = (
        boto3.Session().get_credentials().access_key
    )  # wrk does not sign; this machine asks for the name only
    script.write_text(_SCRIPT.replace("KEY", key))
    command = ["wrk", "-t1", "-c4", "-d8s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"FOUND (\S+) (\S+) (\S+) (\d+)", done.stdout)
    return [float(x) for x in found.groups()] if found else None


def _timed(ask: Callable[[int], object], calls: int, callers: int) -> list[float]:
    """Return the milliseconds of each call while so many callers ask without a pause."""

    def one(user: int) -> float:
        began = time.perf_counter()
        ask(user)
        return 1000 * (time.perf_counter() - began)

    with ThreadPoolExecutor(callers) as threads:
        return list(threads.map(one, (n % _USERS for n in range(calls))))


def _look_ups(folder: Path) -> list[float]:
    table = sqlite3.connect(folder / "shelf.sqlite", check_same_thread=False)
    table.execute(
        "CREATE TABLE shelf (user INTEGER, rank INTEGER, item INTEGER, PRIMARY KEY (user, rank))"
    )
    rows = ((u, r, (u * 31 + r) % _ITEMS) for u in range(_USERS) for r in range(50))
    table.executemany("INSERT INTO shelf VALUES (?, ?, ?)", rows)
    ask = "SELECT item FROM shelf WHERE user = ? ORDER BY rank"
    return _timed(lambda user: table.execute(ask, (user,)).fetchall(), 5000, callers=1)


def run() -> list[dict]:
    """Measure both ways of serving one list of fifty."""
    folder = Path(tempfile.mkdtemp(prefix="bench-shelf-"))
    try:
        took = {"look-up in SQLite, one caller": _look_ups(folder)}
        aws = cloud.connect()
        runtime = aws.client("sagemaker-runtime")

        def call(user: int) -> bytes:
            body = json.dumps({"user": user, "n": 50})
            ask = {"EndpointName": _NAME, "ContentType": "application/json", "Body": body}
            return runtime.invoke_endpoint(**ask)["Body"].read()

        with cloud.cleanup(aws, _NAME):
            _deploy(aws)
            took["endpoint through boto3, four callers"] = _timed(call, 1000, callers=4)
            address = f"{runtime.meta.endpoint_url}/endpoints/{_NAME}/invocations"
            under_wrk = _wrk(address, folder)
    finally:
        shutil.rmtree(folder)
    rows = []
    for name, values in took.items():
        for share in (50, 99):
            value = float(np.percentile(values, share))
            rows.append({"name": f"{name}: p{share}", "value": value, "unit": "ms", "target": "-"})
    if under_wrk is None:
        rows.append(
            {"name": "endpoint, wrk: not installed here", "value": 0.0, "unit": "-", "target": "-"}
        )
    else:
        names = ("p50", "p99", "requests", "errors")
        for name, value, unit in zip(names, under_wrk, ("ms", "ms", "1/s", "-"), strict=True):
            rows.append(
                {
                    "name": f"endpoint, wrk, four connections: {name}",
                    "value": value,
                    "unit": unit,
                    "target": "-",
                }
            )
    return rows
