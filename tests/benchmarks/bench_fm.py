"""Factorization machines: samples a second beside peers, the error they reach, how fast a job begins.

Peers (``tests/benchmarks/peers_fm.txt``) are skipped with a sentence where they are not installed; ``bench peers``
compares errors. Ours and each peer take turns, and medians of the pairs are reported: by wall clock, and by CPU seconds for a busy machine.
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

from helpers.data import Split, load, load_or_none, random_split
from helpers.metrics import rmse
from helpers.models.baselines import BiasModel
from helpers.models.fm import TUNED_HYPERPARAMETERS, FactorizationMachine, rating_rows
from helpers.models.fm_gibbs import GibbsFM
from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.formats import recordio

_K, _BATCH, _PUBLISHED = 64, 1000, 150_000
_ROUNDS, _EPOCHS = 5, 10
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
    return [
        *_speeds(x, y),
        *_errors(split, f"{data.name}, random 80/20"),
        *_records(x, y),
        *_job(x, y),
    ]


def _row(name: str, value: float | str, unit: str, target: str = "-") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}


def _cpu(function: Callable[[], object]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


# --- samples a second --------------------------------------------------------------------------


Clocks = tuple[float, float]  # seconds of wall and of CPU that an epoch takes


def _clocks(function: Callable[[], object]) -> Clocks:
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def _speeds(x: sparse.csr_matrix, y: np.ndarray) -> list[dict[str, Any]]:
    """Ours and the peers in turn, some rounds of it: a busy moment hits neighbors alike."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        pairs = x.indices.reshape(-1, 2)
        file.write_text("".join(f"{r:g} {u}:1 {i}:1\n" for r, (u, i) in zip(y, pairs, strict=True)))
        contestants: dict[str, Callable[[], Clocks]] = {}
        for name, peer in (
            ("xlearn", lambda n: _xlearn(file, n)),
            ("lightfm", lambda n: _lightfm(x, y, n)),
            ("myfm", lambda n: _myfm(x, y)),
        ):
            for threads in (1, 2) if name != "myfm" else (1,):  # it has no setting for threads
                label = f"{name}, {threads} thread{'s' * (threads > 1)}"
                if importlib.util.find_spec(name):
                    contestants[label] = lambda peer=peer, threads=threads: peer(threads)
        FactorizationMachine(_K).fit(x[:1000], y[:1000])  # compiles
        rounds: dict[str, list[tuple[Clocks, Clocks]]] = {name: [] for name in contestants}
        for _ in range(_ROUNDS):
            for name, peer in contestants.items():
                rounds[name].append((_ours(x, y), peer()))
    mine = [ours for found in rounds.values() for ours, _ in found] or [
        _ours(x, y) for _ in range(_ROUNDS)
    ]
    wall, cpu = len(y) / np.median(mine, axis=0)
    what = f"k={_K}, batches of {_BATCH:,}, 1 thread"
    rows = [
        _row(f"ours, lazy Adam, {what}: wall", wall, "samples/s", f">= {5 * _PUBLISHED:,}"),
        _row(f"ours, lazy Adam, {what}: CPU", cpu, "samples/CPU s"),
    ]
    for name, found in rounds.items():
        rates = len(y) / np.median([peer for _, peer in found], axis=0)
        ratios = np.median([np.divide(peer, ours) for ours, peer in found], axis=0)
        rows += [
            _row(f"{name}: wall", rates[0], "samples/s"),
            _row(f"{name}: CPU", rates[1], "samples/CPU s"),
            _row(f"  ours beside {name}: wall", ratios[0], "x", ">= 1"),
            _row(f"  ours beside {name}: CPU", ratios[1], "x", ">= 1"),
        ]
    absent = [name for name in ("xlearn", "lightfm", "myfm") if not importlib.util.find_spec(name)]
    return rows + [
        _row(f"{name}, k={_K}", "not installed", "samples/s", "<= ours") for name in absent
    ]


def _ours(x: sparse.csr_matrix, y: np.ndarray) -> Clocks:
    machine = FactorizationMachine(_K, epochs=_EPOCHS, batch_size=_BATCH)
    wall, cpu = _clocks(lambda: machine.fit(x, y))
    return wall / _EPOCHS, cpu / _EPOCHS


def _myfm(x: sparse.csr_matrix, y: np.ndarray) -> Clocks:
    """One draw of all weights."""
    import myfm

    def fit(draws: int) -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            myfm.MyFMRegressor(_K).fit(x, y, n_iter=draws, n_kept_samples=1)

    few, many = (_clocks(lambda n=n: fit(n)) for n in (1, 3))
    return (many[0] - few[0]) / 2, (many[1] - few[1]) / 2


def _lightfm(x: sparse.csr_matrix, y: np.ndarray, threads: int) -> Clocks:
    """Logistic loss, Adagrad."""
    from lightfm import LightFM

    users, items = (np.ascontiguousarray(column) for column in x.indices.reshape(-1, 2).T)
    likes = np.where(y >= 4, 1, -1).astype(np.int32)
    matrix = sparse.coo_matrix((likes, (users, items - items.min())))
    model = LightFM(_K, loss="logistic", random_state=0)
    model.fit_partial(matrix, epochs=1, num_threads=threads)
    wall, cpu = _clocks(lambda: model.fit_partial(matrix, epochs=3, num_threads=threads))
    return wall / 3, cpu / 3


_XLEARN = """
import sys, time, xlearn
def fit(epochs):
    model = xlearn.create_fm()
    model.setTrain(sys.argv[1])
    model.disableEarlyStop()
    model.setQuiet()
    settings = {"task": "reg", "k": int(sys.argv[2]), "epoch": epochs, "lr": 0.1, "lambda": 0.0002}
    began = time.perf_counter(), time.process_time()
    model.fit({**settings, "nthread": int(sys.argv[3])}, sys.argv[1] + ".model")
    return time.perf_counter() - began[0], time.process_time() - began[1]
few, many = fit(1), fit(11)
print("SECONDS", *((m - f) / 10 for m, f in zip(many, few)))
"""


def _xlearn(file: Path, threads: int) -> Clocks:
    """Adagrad, without locks where there are two threads."""
    done = subprocess.run(  # a process of its own: it aborts where a variable is missing
        [sys.executable, "-c", _XLEARN, str(file), str(_K), str(threads)],
        env={"USER": "learner", "LOGNAME": "learner", **os.environ},
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("SECONDS"))
    wall, cpu = line.split()[1:]
    return float(wall), float(cpu)


# --- errors ------------------------------------------------------------------------------------


def _errors(split: Split, what: str) -> list[dict[str, Any]]:
    x, y = rating_rows(split.train)
    tx, ty = rating_rows(split.test)
    pairs = [part.frame[["user", "item"]].to_numpy() for part in (split.train, split.test)]
    biases = BiasModel().fit(split.train).predict(*pairs[1].T)
    rows = [_row(f"user and item biases, {what}: test RMSE", rmse(biases, ty), "stars")]
    defaults = FactorizationMachine(factors=_K, epochs=50)
    tuned = FactorizationMachine.from_sagemaker(TUNED_HYPERPARAMETERS)
    for name, machine, target in (
        ("documented defaults, 50 epochs", defaults, "talk 1.0006"),
        ("tuned", tuned, "<= 0.918"),
    ):
        machine.fit(x, y)
        error = rmse(machine.scores(tx), ty)
        rows.append(_row(f"factorization machine, {name}: test RMSE", error, "stars", target))
        rows.append(_row("  training", machine.seconds, "s"))
    sizes = (split.train.n_users, split.train.n_items)
    gibbs = GibbsFM()
    error = rmse(gibbs.fit_predict(pairs[0], y, pairs[1], sizes), ty)
    rows.append(_row("sampled by Gibbs, rank 8: test RMSE", error, "stars", "<= 0.895"))
    rows.append(_row("  200 draws", gibbs.seconds, "s", "<= 20"))
    return rows


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
            env={**os.environ, "LOCAL_SAGEMAKER_OPT_ML": str(root)},
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
        value = (
            f"{row['value']:12,.4g}" if isinstance(row["value"], float) else f"{row['value']:>12}"
        )
        print(f"{row['name']:66} {value} {row['unit']:10} {row['target']}", flush=True)
