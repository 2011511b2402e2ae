"""One row of `bench_workers`, measured: ``python -m tests.benchmarks.worker_steps WAY WORKERS FACTORS BATCH QUICK``.

Prints JSON with the columns of `bench_workers` from ``numbers`` on.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from helpers import files
from helpers.data import Interactions, leave_one_out, load, load_or_none, random_split
from helpers.metrics import evaluate, rmse
from helpers.models import kvstore
from helpers.models.fm import rating_rows
from tests.benchmarks.planted_million import planted_million
from tests.sagemaker.jobs import records
from tests.sagemaker.jobs import run as run_job

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "chapters" / "ncf_job"
_SHORT, _ROWS_AN_EPOCH = 2, 50  # epochs; a batch of so many rows is another epoch of the long run
_NEGATIVES = 2
NEUMF = {
    "NeuMF job": JOB / "ncf.py",
    "NeuMF, tf.distribute": Path(__file__).with_name("ncf_distribute.py"),
}


def sent() -> int:
    """Return the bytes that went through the loopback so far."""
    counters = psutil.net_io_counters(pernic=True)
    return int(next(counters[name].bytes_sent for name in ("lo", "lo0") if name in counters))


def pin(pid: int, rank: int) -> None:
    """Keep a process, which has one thread yet, to a core of its own, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(pid, {cores[rank % len(cores)]})


def _data(quick: bool) -> Interactions:
    return planted_million(users=60) if quick else load_or_none("100k") or load()


def _row(numbers: int, seconds: float, size: float, batch: int, metric: str, value: float) -> Any:
    rates = {
        "step_s": round(seconds, 6),
        "step_bytes": round(size),
        "rows_per_s": round(batch / seconds),
    }
    return {
        "numbers": numbers,
        **rates,
        "metric": metric,
        "value": round(value, 4) if metric else "",
        "note": "",
    }


# --- the factorization machine -----------------------------------------------------------------


def of_kvstore(mode: str, workers: int, factors: int, batch: int, quick: bool) -> dict[str, Any]:
    """Train by the kvstore, briefly and for longer; the difference is of steps alone."""
    kvstore._MODE, kvstore._WORKERS = mode, workers
    split = random_split(_data(quick), seed=0)
    x, stars = rating_rows(split.train)
    keys, n_features = x.indices.reshape(-1, 2), x.shape[1]
    settings = kvstore.Settings(factors=factors, batch_size=batch)
    took, short = [], 1 if quick else _SHORT
    long = 3 if quick else _SHORT + batch // _ROWS_AN_EPOCH
    for epochs in (short, long):
        before, began = sent(), time.perf_counter()
        with _Pinned():
            trained = kvstore.train_on_workers(
                keys, stars, n_features, replace(settings, epochs=epochs), seconds=1200
            )
        took.append((time.perf_counter() - began, sent() - before))
    steps = -(-len(keys) // batch) * (long - short)
    seconds, size = (np.subtract(took[1], took[0]) / steps).tolist()
    test, truth = rating_rows(split.test)
    error = rmse(trained.predict(test.indices.reshape(-1, 2)), truth)
    return _row(n_features * (factors + 1), seconds, size, batch, "RMSE", error)


class _Pinned(threading.Thread):
    """Pins each worker of the kvstore as soon as its process is there, before it has threads."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over, self._known = threading.Event(), set[int]()

    def __enter__(self) -> _Pinned:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        ranks = 0
        while not self._over.wait(0.005):
            for child in psutil.Process().children():
                if child.pid in self._known:
                    continue
                try:
                    role = child.environ().get("DMLC_ROLE")
                    if role == "worker":
                        pin(child.pid, ranks)
                        ranks += 1
                    if role:  # before exec it has the variables of this process
                        self._known.add(child.pid)
                except (psutil.Error, OSError):
                    continue


def of_container(workers: int, factors: int, batch: int, quick: bool) -> dict[str, Any]:
    """Train in the container of the factorization machine: one host, or the reason why not two."""
    split = random_split(_data(quick), seed=0)
    x, stars = rating_rows(split.train)
    channels = {"train": {"data": records(x, stars)}}
    took, short, long = [], 1, 3 if quick else 401
    pin(os.getpid(), 0)  # the container inherits it
    for epochs in (short, long):
        settings = {"feature_dim": x.shape[1], "num_factors": factors, "epochs": epochs}
        settings |= {"mini_batch_size": batch, "predictor_type": "regressor"}
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            if workers > 1:
                hosts = [f"algo-{number + 1}" for number in range(workers)]
                return _refused(Path(folder), settings, channels, hosts)
            done = run_job(Path(folder), "factorization-machines", settings, channels)
            took.append(time.perf_counter() - began)
            if done.code:
                raise RuntimeError(done.failure)
    seconds = (took[1] - took[0]) / (-(-len(stars) // batch) * (long - short))
    return _row(x.shape[1] * (factors + 1), seconds, 0, batch, "", 0.0)


def _refused(folder: Path, settings: Any, channels: Any, hosts: list[str]) -> dict[str, Any]:
    from local_sagemaker.algorithms import BUILTIN
    from tests.sagemaker.jobs import prepare, python

    prepare(folder, settings, channels)
    resources = {"current_host": hosts[0], "hosts": hosts}
    (folder / "input" / "config" / "resourceconfig.json").write_text(json.dumps(resources))
    module = BUILTIN["factorization-machines"].module
    done = python("-m", module, LOCAL_SAGEMAKER_OPT_ML=str(folder))
    failure = folder / "output" / "failure"
    words = failure.read_text().strip() if failure.exists() else done.stderr
    empty = dict.fromkeys(("step_s", "step_bytes", "rows_per_s", "metric", "value"), "")
    return {"numbers": "", **empty, "note": words.splitlines()[-1][:100]}


# --- the job of chapter 05 ---------------------------------------------------------------------


def of_neumf(program: str, workers: int, factors: int, batch: int, quick: bool) -> dict[str, Any]:
    """Run a program as the job on each host; seconds and bytes are of its epochs but the first.

    They include drawing the negatives of an epoch, which every worker repeats.
    """
    split = leave_one_out(_data(quick), seed=0)
    train, epochs = split.train, 2 if quick else 6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        table = train.frame[["user", "item"]].assign(label=1).to_numpy(np.int32)
        np.save(folder / "data" / "train.npy", table)
        settings = {
            "n_user": train.n_users,
            "n_item": train.n_items,
            "factors": factors,
            "decay": 0.02,
        }
        settings |= {"epochs": epochs, "batch_size": batch, "learning_rate": 0.01}
        settings |= {"negatives": _NEGATIVES, "alpha": 0.5}
        ticks = _hosts(
            folder, program, workers, [f"--{key}={value}" for key, value in settings.items()]
        )
        rows = len(np.load(folder / "data" / "train.npy")) * (1 + _NEGATIVES)
        model = _network(folder / "model-0" / "ncf.npz", train, factors)
        score = evaluate(_scores(model, train), split.test, seen=train)["hit_rate"].mean
    steps = -(-(rows // workers) // (batch // workers)) * (len(ticks) - 1)
    seconds, size = (np.subtract(ticks[-1], ticks[0]) / steps).tolist()
    numbers = int(model.count_params())
    return _row(numbers, seconds, size, batch, "HR@10", score)


def _hosts(folder: Path, program: str, workers: int, words: list[str]) -> list[tuple[float, int]]:
    """Run the program once per host, pinned; return clock and loopback at each epoch's end."""
    names = [f"algo-{number + 1}" for number in range(workers)]
    ports, running, ticks = [str(files.free_port()) for _ in names], [], []
    for rank, host in enumerate(names):
        variables = {"SM_HOSTS": json.dumps(names), "SM_CURRENT_HOST": host}
        variables |= {"SM_MASTER_ADDR": "127.0.0.1", "SM_MASTER_PORT": ports[0]}
        variables |= {"PYTHONPATH": str(JOB), "WORKER_PORTS": ",".join(ports)}
        variables |= {"TRAINING_JOB_ARN": str(folder)}  # what the workers of this run share
        variables |= {"SM_CHANNEL_TRAINING": str(folder / "data")}
        variables |= {"SM_MODEL_DIR": str(folder / f"model-{rank}"), "OMP_NUM_THREADS": "1"}
        (folder / f"model-{rank}").mkdir()
        log = (folder / f"log-{rank}").open("w+", encoding="utf-8")
        child = subprocess.Popen(
            [sys.executable, program, *words],
            env=os.environ | variables,
            stdout=subprocess.PIPE if rank == 0 else log,
            stderr=log,
            text=True,
        )
        pin(child.pid, rank)
        running.append((child, log))

    def watch() -> None:  # the first worker waits for the others, for ever where one has failed
        if any([child.wait() for child, _ in running[1:]]):
            running[0][0].kill()

    threading.Thread(target=watch, daemon=True).start()
    try:
        for line in running[0][0].stdout or ():
            if ", epoch " in line:
                ticks.append((time.perf_counter(), sent()))
        for child, log in running:
            if child.wait(60) not in (0, -9):
                log.seek(0)
                raise RuntimeError(f"{program}: {log.read()[-400:]}")
    finally:
        for child, log in running:
            child.kill()
            log.close()
    return ticks


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"job_{name}", JOB / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _network(file: Path, train: Interactions, factors: int) -> Any:
    model = _loaded("network").neumf(train.n_users, train.n_items, factors)
    key_of = _loaded("ncf").key_of
    with np.load(file) as values:
        for weight in model.weights:
            weight.assign(values[key_of(weight)])
    return model


def _scores(model: Any, train: Interactions) -> np.ndarray:
    items = np.arange(train.n_items, dtype=np.int32)
    table = np.empty((train.n_users, train.n_items), np.float32)
    for start in range(0, train.n_users, 32):
        users = np.arange(start, min(start + 32, train.n_users), dtype=np.int32)
        pairs = {"user": np.repeat(users, len(items)), "item": np.tile(items, len(users))}
        table[users] = np.asarray(model(pairs)).reshape(len(users), -1)
    return table


def main(way: str, workers: str, factors: str, batch: str, quick: str) -> None:
    """Measure one row and print it."""
    sizes = int(workers), int(factors), int(batch), quick == "1"
    if way in NEUMF:
        row = of_neumf(str(NEUMF[way]), *sizes)
    elif way == "FM job":
        row = of_container(*sizes)
    else:
        row = of_kvstore("dist_sync" if way == "kvstore, in step" else "dist_async", *sizes)
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
