"""Top-x: exact search beside faiss itself, and a million vectors with a fitted machine's spectrum.

``COURSE_BENCH_VECTORS`` sets another number of vectors than a million (which take minutes and some 2 GB). A
graph whose building would take more than ``COURSE_BENCH_MINUTES`` (30) is left out. With
``COURSE_BENCH_STORE=1`` the million is written to ``helpers/million_vectors.csv``, which chapter 07 draws.
"""

from __future__ import annotations

import math
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from helpers import knn
from helpers.data import load, load_or_none
from helpers.knn import VectorIndex, trade_off, vectors_like
from helpers.models.fm import TUNED_HYPERPARAMETERS, FactorizationMachine, rating_rows
from local_sagemaker.serving.process import ModelServer
from tests.sagemaker.jobs import RECORDIO, records
from tests.sagemaker.jobs import run as run_job

_K, _QUERIES, _WANTED = 100, 256, 0.95
_TRIED = {
    "flat": (0,),
    "ivfflat": (1, 2, 4, 8, 16, 32, 64, 128),
    "ivfpq": (4, 16, 64, 128),
    "hnsw": (100, 150, 200, 300, 500, 800),
}
STORED = Path(knn.__file__).with_name("million_vectors.csv")


def run() -> list[dict[str, Any]]:
    """Fit a machine, then search its vectors and a million like them.

    Returns
    -------
    list of dict
        One a measurement: ``name``, ``value``, ``unit`` and ``target``.
    """
    users, items = _fitted()
    return [*_batch(users, items), *_served(users, items), *_million(users, items)]


def _row(name: str, value: float | str, unit: str, target: str = "-") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}


def _fitted() -> tuple[np.ndarray, np.ndarray]:
    data = load_or_none("100k") or load()
    x, y = rating_rows(data)
    settings: dict[str, Any] = {**TUNED_HYPERPARAMETERS, "num_factors": 64, "epochs": 15}
    machine = FactorizationMachine.from_sagemaker(settings).fit(x, y)
    users, items = np.split(machine.v, [data.n_users])
    ones = np.ones(len(users), dtype=np.float32)
    return np.column_stack([users, ones]), np.column_stack([items, machine.w1[data.n_users :]])


def _cpu(function: Any, repeats: int = 1) -> float:
    began = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - began) / repeats


def _batch(users: np.ndarray, items: np.ndarray) -> list[dict[str, Any]]:
    import faiss

    ours = VectorIndex(items)
    theirs = faiss.IndexFlatIP(items.shape[1])
    theirs.add(np.ascontiguousarray(items))
    queries = np.ascontiguousarray(users)
    theirs.search(queries, _K)
    pairs = [
        (_cpu(lambda: ours.search(users, _K), 3), _cpu(lambda: theirs.search(queries, _K), 3))
        for _ in range(5)
    ]
    return [
        _row(
            f"top {_K} of {len(users)} users x {len(items):,} items, exact",
            min(a for a, _ in pairs),
            "s",
        ),
        _row(
            "  times faiss called directly",
            float(np.median([a / b for a, b in pairs])),
            "x",
            "<= 1.2",
        ),
    ]


def _served(users: np.ndarray, items: np.ndarray) -> list[dict[str, Any]]:
    """Top 100 of every user by the knn container: from its process' start to the answers in hand."""
    settings = {"feature_dim": items.shape[1], "k": _K, "sample_size": len(items)}
    settings |= {"predictor_type": "classifier", "index_metric": "INNER_PRODUCT"}
    labels = np.arange(len(items), dtype=np.float32)
    headers = {**RECORDIO, "Accept": "application/jsonlines; verbose=true"}
    with tempfile.TemporaryDirectory() as folder:
        done = run_job(Path(folder), "knn", settings, {"train": {"items": records(items, labels)}})
        body = records(users)
        clocks = []
        for _ in range(3):
            began = time.perf_counter()
            server = ModelServer("knn", done.model, environment={}, log=lambda line: None)
            try:
                server.start()
                server.wait_ready(120)
                ready = time.perf_counter() - began
                status, _, _ = server.invoke(body, headers)
                ended = time.perf_counter() - began
                assert status == 200
                clocks.append(
                    (ready, ended, sum(psutil.Process(server._process.pid).cpu_times()[:2]))
                )
            finally:
                server.stop()
    ready, ended, cpu = np.median(clocks, axis=0)
    return [
        _row("knn container: start to ready", ready, "s"),
        _row(f"  start to top {_K} of all {len(users)} users, wall", ended, "s", "<= 2"),
        _row("  the same, CPU", cpu, "s"),
    ]


def _million(users: np.ndarray, items: np.ndarray) -> list[dict[str, Any]]:
    n, rng = int(os.environ.get("COURSE_BENCH_VECTORS", "1000000")), np.random.default_rng(0)
    parts = [min(100_000, n - begin) for begin in range(0, n, 100_000)]
    vectors = np.concatenate([vectors_like(items, part, rng) for part in parts])
    queries = vectors_like(users, _QUERIES, rng)
    tried, minutes = dict(_TRIED), _minutes(vectors)
    if minutes > float(os.environ.get("COURSE_BENCH_MINUTES", "30")):
        del tried["hnsw"]
    began, load = time.strftime("%Y-%m-%d"), os.getloadavg()
    cells = max(16, int(2 * np.sqrt(n)))
    of = {"k": _K, "cells": cells, "as_distance": True}
    table = pd.DataFrame()
    for kind, efforts in tried.items():  # the graph comes last, and may be waited for in vain
        part = trade_off(vectors, queries, tried={kind: efforts}, **of)
        table = pd.concat([table, part], ignore_index=True)
        if os.environ.get("COURSE_BENCH_STORE"):
            _store(table, f"{n:,} vectors of {vectors.shape[1]} numbers, {began}", load)
    slow = float(table["ms"].iloc[0])
    rows = [_row(f"Flat, {n:,} x {vectors.shape[1]}, one core", slow, "ms a query")]
    if "hnsw" not in tried:
        rows.append(_row("hnsw is left out: its graph would take", minutes, "min"))
    good = table[table["recall"] >= _WANTED].drop_duplicates("index").set_index("index")
    for name, one in good.drop("Flat").iterrows():
        what = f"{name} as distance, {one['setting']}"
        rows += [
            _row(f"{what}: recall@{_K}", float(one["recall"]), "", f">= {_WANTED}"),
            _row("  times Flat", slow / float(one["ms"]), "x", ">= 8 for the better"),
            _row("  vectors compared, centroids included", 100 * float(one["compared"]), "%"),
            _row("  built in, one core", float(one["built"]), "s"),
        ]
    memory = psutil.Process().memory_info()
    peak = getattr(memory, "peak_wset", 0) or _peak()
    return [*rows, _row("peak memory of this process", peak / 2**20, "MiB")]


def _store(table: pd.DataFrame, what: str, load: tuple[float, ...]) -> None:
    """Write what chapter 07 shows of a million vectors, with a first line that says where from."""
    where = f"{platform.system()} {platform.machine()}, one of {os.cpu_count()} cores"
    head = f"# {what}, {where}, load before the run {load[0]:.1f}: python -m helpers bench knn\n"
    STORED.write_text(head + table.round(6).to_csv(index=False), encoding="utf-8")


def _minutes(vectors: np.ndarray) -> float:
    """Minutes of one core that a graph takes, judged by a fiftieth of the vectors."""
    part = max(1000, len(vectors) // 50)
    built = trade_off(vectors[:part], vectors[:20], tried={"hnsw": (10,)}, as_distance=True)
    grows = len(vectors) / part * math.log(len(vectors)) / math.log(part)  # a step takes log n
    return float(built["built"].iloc[0]) * grows / 60


def _peak() -> float:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    for row in run():
        value = (
            f"{row['value']:12,.4g}" if isinstance(row["value"], float) else f"{row['value']:>12}"
        )
        print(f"{row['name']:66} {value} {row['unit']:10} {row['target']}", flush=True)
