"""Factorization machines: samples a second beside peers, the error they reach, how fast a job begins.

Peers (``tests/benchmarks/peers.txt``) are skipped with a sentence where they are not installed. Rates are
rows a CPU second, in one thread each, so that they compare on a busy machine too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from helpers.cloud import recordio
from helpers.cloud.algorithms import BUILTIN
from helpers.data import Split, load, load_or_none, random_split
from helpers.metrics import rmse
from helpers.models import BiasModel
from helpers.models.fm import TUNED, FactorizationMachine
from helpers.models.fm_features import rating_rows
from helpers.models.fm_gibbs import GibbsFM

_K, _BATCH, _PUBLISHED = 64, 1000, 150_000
ROOT = Path(__file__).resolve().parents[2]


def run() -> list[dict[str, Any]]:
    """Measure on a random 80/20 split, ML-100K where it is to be had.

    Returns
    -------
    list of dict
        One a measurement: ``name``, ``value``, ``unit`` and ``target``.
    """
    data = load_or_none("100k") or load()
    split = random_split(data, seed=0)
    x, y = rating_rows(split.train)
    return [*_speeds(x, y), *_errors(split, f"{data.name}, random 80/20"), *_records(x, y), *_job(x, y)]


def _row(name: str, value: float | str, unit: str, target: str = "-") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}


def _cpu(function: Callable[[], object]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


# --- samples a second --------------------------------------------------------------------------


def _speeds(x: sparse.csr_matrix, y: np.ndarray) -> list[dict[str, Any]]:
    what = f"k={_K}, batches of {_BATCH:,}"
    mine = {}
    for lazy in (True, False):
        FactorizationMachine(_K, epochs=1, lazy=lazy).fit(x[:1000], y[:1000])  # compiles
        machine = FactorizationMachine(_K, epochs=10, mini_batch_size=_BATCH, lazy=lazy)
        mine[lazy] = 10 * len(y) / _cpu(lambda m=machine: m.fit(x, y))
    rows = [
        _row(f"ours, lazy Adam, {what}", mine[True], "samples/s", f">= {5 * _PUBLISHED:,}"),
        _row(f"ours, dense Adam, {what}", mine[False], "samples/s"),
    ]
    for name, peer in (("myfm", _myfm), ("lightfm", _lightfm), ("xlearn", _xlearn)):
        if importlib.util.find_spec(name) is None:
            rows.append(_row(f"{name}, k={_K}", "not installed", "samples/s", "<= ours"))
            continue
        rows.append(_row(f"{name}, k={_K}: {peer.__doc__}", peer(x, y), "samples/s", "<= ours"))
    return rows


def _myfm(x: sparse.csr_matrix, y: np.ndarray) -> float:
    """Draws of all weights"""
    import myfm

    def fit(draws: int) -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            myfm.MyFMRegressor(_K).fit(x, y, n_iter=draws, n_kept_samples=1)

    few, many = (_cpu(lambda n=n: fit(n)) for n in (1, 4))
    return 3 * len(y) / (many - few)


def _lightfm(x: sparse.csr_matrix, y: np.ndarray) -> float:
    """Logistic loss, Adagrad"""
    from lightfm import LightFM

    users, items = (np.ascontiguousarray(column) for column in x.indices.reshape(-1, 2).T)
    likes = np.where(y >= 4, 1, -1).astype(np.int32)
    matrix = sparse.coo_matrix((likes, (users, items - items.min())))
    model = LightFM(_K, loss="logistic", random_state=0)
    model.fit_partial(matrix, epochs=1, num_threads=1)
    return 3 * len(y) / _cpu(lambda: model.fit_partial(matrix, epochs=3, num_threads=1))


_XLEARN = """
import sys, time, xlearn
def fit(epochs):
    model = xlearn.create_fm()
    model.setTrain(sys.argv[1])
    model.disableEarlyStop()
    model.setQuiet()
    settings = {"task": "reg", "k": int(sys.argv[2]), "epoch": epochs, "nthread": 1, "lr": 0.1, "lambda": 0.0002}
    began = time.process_time()
    model.fit(settings, sys.argv[1] + ".model")
    return time.process_time() - began
few, many = fit(1), fit(6)
print("SECONDS", (many - few) / 5)
"""


def _xlearn(x: sparse.csr_matrix, y: np.ndarray) -> float | str:
    """Adagrad"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        pairs = x.indices.reshape(-1, 2)
        path.write_text("".join(f"{r:g} {u}:1 {i}:1\n" for r, (u, i) in zip(y, pairs, strict=True)))
        done = subprocess.run(  # a process of its own: it aborts where a variable is missing
            [sys.executable, "-c", _XLEARN, str(path), str(_K)],
            env={"USER": "learner", "LOGNAME": "learner", **os.environ},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    seconds = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("SECONDS")]
    return len(y) / seconds[0] if seconds else f"failed, code {done.returncode}"


# --- errors ------------------------------------------------------------------------------------


def _errors(split: Split, what: str) -> list[dict[str, Any]]:
    x, y = rating_rows(split.train)
    tx, ty = rating_rows(split.test)
    pairs = [part.frame[["user", "item"]].to_numpy() for part in (split.train, split.test)]
    biases = BiasModel().fit(split.train).predict(*pairs[1].T)
    rows = [_row(f"user and item biases, {what}: test RMSE", rmse(biases, ty), "stars")]
    for name, settings, target in (
        ("documented defaults, 50 epochs", {"num_factors": _K, "epochs": 50}, "talk 1.0006"),
        ("tuned", TUNED, "<= 0.918"),
    ):
        machine = FactorizationMachine(**settings).fit(x, y)  # type: ignore[arg-type]
        error = rmse(machine.scores(tx), ty)
        rows.append(_row(f"factorization machine, {name}: test RMSE", error, "stars", target))
        rows.append(_row("  training", machine.seconds, "s"))
    sizes = (split.train.n_users, split.train.n_items)
    gibbs = GibbsFM()
    error = rmse(gibbs.fit_predict(pairs[0], y, pairs[1], sizes), ty)
    rows.append(_row("sampled by Gibbs, rank 8: test RMSE", error, "stars"))
    rows.append(_row("  200 draws", gibbs.seconds, "s", "<= 20"))
    if importlib.util.find_spec("myfm") is None:
        return [*rows, _row("myFM, rank 8: test RMSE", "not installed", "stars", "the mark to beat")]
    import myfm

    began = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        peer = myfm.MyFMRegressor(8).fit(x, y, n_iter=200, n_kept_samples=190, group_shapes=list(sizes))
    seconds = time.perf_counter() - began
    rows.append(_row("myFM, rank 8: test RMSE", rmse(peer.predict(tx), ty), "stars", "the mark to beat"))
    return [*rows, _row("  200 draws", seconds, "s")]


# --- the job -----------------------------------------------------------------------------------


def _records(x: sparse.csr_matrix, y: np.ndarray) -> list[dict[str, Any]]:
    file = io.BytesIO()
    write = _cpu(lambda: recordio.write_spmatrix_to_sparse_tensor(file, x, y))
    read = _cpu(lambda: recordio.read_records(file.getvalue(), x.shape[1]))
    name = f"RecordIO-protobuf, {len(y):,} ratings"
    return [_row(f"{name}: written", write, "s", "<= 2"), _row(f"{name}: read", read, "s", "<= 2")]


def _job(x: sparse.csr_matrix, y: np.ndarray) -> list[dict[str, Any]]:
    """One epoch through the container, from the process' start to its first line and to its end."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "input" / "config").mkdir(parents=True)
        (root / "input" / "data" / "train").mkdir(parents=True)
        settings = {"feature_dim": x.shape[1], "num_factors": _K, "predictor_type": "regressor"}
        texts = json.dumps({name: str(value) for name, value in settings.items()})
        (root / "input" / "config" / "hyperparameters.json").write_text(texts)
        with (root / "input" / "data" / "train" / "data").open("wb") as file:
            recordio.write_spmatrix_to_sparse_tensor(file, x, y)
        began = time.perf_counter()
        job = subprocess.Popen(
            [sys.executable, "-m", BUILTIN["factorization-machines"].module],
            cwd=ROOT,
            env={**os.environ, "COURSE_OPT_ML": str(root)},
            stdout=subprocess.PIPE,
        )
        assert job.stdout is not None
        job.stdout.readline()
        first = time.perf_counter() - began
        job.communicate()
        return [
            _row("job: first line", first, "s", "<= 3"),
            _row("job: one epoch, the artifact written", time.perf_counter() - began, "s"),
        ]


if __name__ == "__main__":
    for row in run():
        value = f"{row['value']:12,.4g}" if isinstance(row["value"], float) else f"{row['value']:>12}"
        print(f"{row['name']:66} {value} {row['unit']:10} {row['target']}", flush=True)
