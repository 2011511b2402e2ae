"""Top-x: exact search beside faiss itself, and a million vectors with a fitted machine's spectrum.

``COURSE_BENCH_VECTORS`` sets another number of vectors than a million (which take minutes and under 2 GB);
a graph whose building would take more than ``COURSE_BENCH_MINUTES`` (30), judged by a part of it, is left out.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from helpers.data import load, load_or_none
from helpers.knn import VectorIndex, recall_at_k
from helpers.models.fm import TUNED_HYPERPARAMETERS, FactorizationMachine, rating_rows
from local_sagemaker.serving.process import ModelServer
from tests.sagemaker.jobs import RECORDIO, records
from tests.sagemaker.jobs import run as run_job

_K, _QUERIES, _WANTED = 100, 256, 0.95


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
                clocks.append((ready, ended, sum(psutil.Process(server.pid).cpu_times()[:2])))
            finally:
                server.stop()
    ready, ended, cpu = np.median(clocks, axis=0)
    return [
        _row("knn container: start to ready", ready, "s"),
        _row(f"  start to top {_K} of all {len(users)} users, wall", ended, "s", "<= 2"),
        _row("  the same, CPU", cpu, "s"),
    ]


def like(fitted: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw vectors with the mean and the spectrum of fitted ones.

    Parameters
    ----------
    fitted : numpy.ndarray
        (m, d).
    n : int
        How many to draw.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray
        (n, d), float32: normal, of the same covariance.
    """
    mean = fitted.mean(axis=0)
    _, values, directions = np.linalg.svd(fitted - mean, full_matrices=False)
    spread = (values / np.sqrt(len(fitted)))[:, None] * directions
    drawn = [
        rng.normal(size=(min(100_000, n - i), len(mean))) @ spread for i in range(0, n, 100_000)
    ]
    return (np.concatenate(drawn) + mean).astype(np.float32)


def _exact(vectors: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, float]:
    """True neighbors, and queries a CPU second of one thread: comparable on a busy machine."""
    import faiss

    flat = VectorIndex(vectors)
    truth = flat.search(queries, _K).items
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    seconds = _cpu(lambda: flat.search(queries, _K))
    faiss.omp_set_num_threads(threads)
    return truth, len(queries) / seconds


def _million(users: np.ndarray, items: np.ndarray) -> list[dict[str, Any]]:
    import faiss

    threads = faiss.omp_get_max_threads()
    n = int(os.environ.get("COURSE_BENCH_VECTORS", "1000000"))
    limit = float(os.environ.get("COURSE_BENCH_MINUTES", "30"))
    rng = np.random.default_rng(0)
    vectors, queries = like(items, n, rng), like(users, _QUERIES, rng)
    shares = np.cumsum(np.linalg.svd(items - items.mean(axis=0), compute_uv=False) ** 2)
    rows = [
        _row(
            "spectrum of the fitted machine: directions for 50, 90, 99 %",
            ", ".join(
                str(int(np.searchsorted(shares / shares[-1], part)) + 1)
                for part in (0.5, 0.9, 0.99)
            ),
            f"of {items.shape[1]}",
        )
    ]
    truth, slow = _exact(vectors, queries)
    rows.append(_row(f"Flat, {n:,} x {vectors.shape[1]}", slow, "queries/s"))
    cells = max(16, int(2 * np.sqrt(n)))
    for kind, build, name, tried in (
        ("ivfflat", {"cells": cells}, "probes", (4, 8, 16, 32, 64, 128, 256)),
        ("hnsw", {"links": 16}, "effort", (100, 200, 300, 400, 500, 700, 1000)),
    ):
        if kind == "hnsw" and (minutes := _minutes(vectors, build)) > limit:
            rows.append(
                _row(f"hnsw: left out, it would take over {limit:g} minutes", minutes, "min")
            )
            continue
        began, cpu = time.perf_counter(), time.process_time()
        index = VectorIndex(vectors, kind, as_distance=True, **build)  # type: ignore[arg-type]
        built = time.perf_counter() - began, time.process_time() - cpu
        faiss.omp_set_num_threads(1)
        for value in tried:
            found: list[np.ndarray] = []
            setting = {name: value}
            seconds = _cpu(
                lambda i=index, s=setting, f=found: f.append(i.search(queries, _K, **s).items)
            )
            recall = recall_at_k(found[0], truth)
            if recall >= _WANTED:
                break
        faiss.omp_set_num_threads(threads)
        setting_text = ", ".join(f"{key}={item}" for key, item in {**build, name: value}.items())
        rows += [
            _row(f"{kind} as distance, {setting_text}: recall@{_K}", recall, "", f">= {_WANTED}"),
            _row(f"{kind} as distance, {setting_text}", _QUERIES / seconds, "queries/s"),
            _row("  times Flat", _QUERIES / seconds / slow, "x", ">= 8 for the better"),
            _row("  built in, wall", built[0], "s"),
            _row(f"  built in, CPU of {threads} threads", built[1], "s"),
        ]
        del index
    memory = psutil.Process().memory_info()
    peak = getattr(memory, "peak_wset", 0) or _peak()
    return [*rows, _row("peak memory of this process", peak / 2**20, "MiB", "<= 2048")]


def _minutes(vectors: np.ndarray, build: dict[str, int]) -> float:
    """Minutes that a graph takes, judged by a fiftieth of the vectors; an insertion takes log n steps."""
    part = max(1000, len(vectors) // 50)
    began = time.perf_counter()
    VectorIndex(vectors[:part], "hnsw", as_distance=True, **build)  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    return seconds * len(vectors) / part * math.log(len(vectors)) / math.log(part) / 60


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
