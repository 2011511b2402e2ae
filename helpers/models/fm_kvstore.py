"""A factorization machine trained by several workers around one parameter server: MXNet's dist kvstore.

Scheduler, server and workers are processes on 127.0.0.1, told their roles by ``DMLC_*`` variables. The
server holds one row ``[v_j, w_j]`` for each feature. A worker pulls the rows its batch touches, computes
their slopes, and pushes those: what DiFacto does. With ``"dist_sync"`` the server waits for all workers and
adds their slopes up before it moves; with ``"dist_async"`` it moves at every push, so a worker's rows may
have aged when its slopes arrive. :func:`train_here` is the same arithmetic in one process and in NumPy.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from helpers.models.kvstore_worker import STABLE, Settings, batches, scores, slopes, start

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = Path(__file__).with_name("kvstore_worker.py").resolve()
_NEAR = "127.0.0.1"


@dataclass(frozen=True, eq=False)
class Trained:
    """What training left.

    Attributes
    ----------
    table : numpy.ndarray
        (n_features, k + 1) float32; the last column holds the linear weights.
    mean : float
        The constant: the mean of the training ratings.
    errors : numpy.ndarray
        (workers, epochs) RMSE of each worker's rows, each taken before the step that learned from it.
    seconds : float
        From the first pull to the last push of the slowest worker; the start of the processes is left out.
    """

    table: np.ndarray
    mean: float
    errors: np.ndarray
    seconds: float

    def predict(self, keys: np.ndarray) -> np.ndarray:
        """Return one prediction a row of ``keys``, (n, m) feature numbers: (n,) float32."""
        return self.mean + scores(self.table, keys)


def _checked(
    keys: np.ndarray, ratings: np.ndarray, n_features: int
) -> tuple[np.ndarray, np.ndarray, float]:
    keys, ratings = np.asarray(keys), np.asarray(ratings, np.float32)
    if keys.ndim != 2 or len(keys) != len(ratings) or len(keys) == 0:
        raise ValueError(
            f"keys {keys.shape}, ratings {ratings.shape}: expected (n, m) feature numbers and n > 0 ratings"
        )
    if keys.min() < 0 or keys.max() >= n_features:
        raise ValueError(
            f"keys run from {keys.min()} to {keys.max()}, expected 0 to {n_features - 1}"
        )
    if not np.isfinite(ratings).all():
        raise ValueError("ratings: a value is not finite")
    mean = float(ratings.mean(dtype=np.float64))
    return keys.astype(np.int64), ratings - np.float32(mean), mean


def train_here(
    keys: np.ndarray,
    ratings: np.ndarray,
    n_features: int,
    settings: Settings | None = None,
    *,
    delay: int = 0,
) -> Trained:
    """Train in this process, in NumPy: what several workers are compared with.

    Parameters
    ----------
    keys : numpy.ndarray
        (n, m) whole numbers: the features of each row, each of value 1.
    ratings : numpy.ndarray
        (n,) labels.
    n_features : int
        Rows of the table.
    settings : Settings, optional
        How to train.
    delay : int
        How many other steps are taken before a step's slopes arrive, as with workers out of step.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        For shapes that do not fit, a key out of range, a rating that is not finite, or a negative delay.
    """
    settings = settings or Settings()
    if delay < 0:
        raise ValueError(f"delay={delay}: expected 0 or more steps")
    keys, residuals, mean = _checked(keys, ratings, n_features)
    table = start(n_features, settings)
    history = np.zeros_like(table)
    under_way: deque[tuple[np.ndarray, np.ndarray]] = deque()

    def arrive() -> None:
        touched, slope = under_way.popleft()
        history[touched] += slope**2
        table[touched] -= settings.learning_rate * slope / np.sqrt(history[touched] + STABLE)

    curve = []
    started = time.perf_counter()
    for epoch in range(settings.epochs):
        squares = 0.0
        for batch in batches(len(keys), settings, epoch):
            touched, places = np.unique(keys[batch], return_inverse=True)
            places = places.reshape(keys[batch].shape)
            slope, errors = slopes(table[touched], places, residuals[batch], settings.decay)
            under_way.append((touched, slope))
            if len(under_way) > delay:
                arrive()
            squares += float((errors**2).sum())
        curve.append((squares / len(keys)) ** 0.5)
    while under_way:
        arrive()
    return Trained(table, mean, np.array([curve]), time.perf_counter() - started)


def train_on_workers(
    keys: np.ndarray,
    ratings: np.ndarray,
    n_features: int,
    settings: Settings | None = None,
    *,
    workers: int = 2,
    mode: str = "dist_async",
    seconds: float = 120.0,
) -> Trained:
    """Train with one scheduler, one server and some workers, processes of this machine.

    Parameters
    ----------
    keys, ratings, n_features, settings
        As for :func:`train_here`. Worker ``r`` takes each batch's rows r, r + workers, and so on.
    workers : int
        1 or more.
    mode : {"dist_async", "dist_sync"}
        Whether the server moves at every push or waits for all workers.
    seconds : float
        Time limit of the whole, after which every process is ended.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        For a bad argument.
    ImportError
        Without MXNet: ask ``helpers.gates.mxnet`` first.
    RuntimeError
        If a process fails or the limit passes; the message has the end of what it wrote.
    """
    from helpers import gates

    settings = settings or Settings()
    keys, residuals, mean = _checked(keys, ratings, n_features)
    if workers < 1 or mode not in ("dist_async", "dist_sync"):
        raise ValueError(
            f"workers={workers}, mode={mode!r}: expected at least 1, and 'dist_async' or 'dist_sync'"
        )
    if not gates.mxnet:
        raise ImportError(f"mxnet: {gates.mxnet.reason}")
    with tempfile.TemporaryDirectory(prefix="kvstore-") as name:
        folder = Path(name)
        np.savez(folder / "rows.npz", keys=keys, residuals=residuals)
        job = {"n_features": n_features, "mode": mode, "settings": asdict(settings)}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _run_all(folder, ["scheduler", "server", *["worker"] * workers], workers, seconds)
        parts = [np.load(folder / f"worker-{rank}.npz") for rank in range(workers)]
        table = np.load(folder / "table.npy")
    return Trained(
        table, mean, np.stack([p["errors"] for p in parts]), max(float(p["seconds"]) for p in parts)
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_NEAR, 0))
        return int(probe.getsockname()[1])


def _run_all(folder: Path, roles: list[str], workers: int, seconds: float) -> None:
    """Start one process a role, wait for all, and leave none behind."""
    program = f"import runpy; runpy.run_path({str(_PROGRAM)!r}, run_name='__main__')"
    common = {
        "DMLC_PS_ROOT_URI": _NEAR,
        "DMLC_PS_ROOT_PORT": str(_free_port()),
        "DMLC_NODE_HOST": _NEAR,  # without it the nodes would listen on every address of the machine
        "DMLC_NUM_SERVER": "1",
        "DMLC_NUM_WORKER": str(workers),
        "PYTHONPATH": str(_ROOT),
        "OMP_NUM_THREADS": "1",
    }
    running: list[tuple[str, Path, subprocess.Popen[bytes]]] = []
    try:
        for number, role in enumerate(roles):
            said = folder / f"{role}-{number}.log"
            with said.open("wb") as out:
                child = subprocess.Popen(
                    [sys.executable, "-c", program, str(folder), str(os.getpid())],
                    env={**os.environ, **common, "DMLC_ROLE": role},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )
            running.append((role, said, child))
        deadline = time.monotonic() + seconds
        while any(child.poll() is None for _, _, child in running):
            for role, said, child in running:
                if child.poll() not in (None, 0):
                    raise RuntimeError(f"the {role} ended with {child.returncode}: {_tail(said)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(roles)} processes did not end within {seconds:g} s")
            time.sleep(0.02)
    finally:
        for _, _, child in running:
            if child.poll() is None:
                child.kill()
            child.wait()


def _tail(said: Path) -> str:
    return said.read_text(encoding="utf-8", errors="replace")[-500:].strip() or "it wrote nothing"
