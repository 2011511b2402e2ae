"""A factorization machine trained by several workers around a parameter server (MXNet's kvstore).

A scheduler, a server and the workers are processes of this machine. The server holds a row
``[v_j, w_j]`` for each feature. A worker pulls the rows that its batch touches, computes their
gradients, and pushes those, as DiFacto does. In mode "dist_sync" the server waits for all workers
and adds up their gradients before it moves; in mode "dist_async" it moves at every push.

This file is also the program of those processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers import files, gates
from helpers.models.base import above_zero, all_finite, at_least, check_indices

FloatArray = NDArray[np.float32]
_EPSILON = 1e-7  # AdaGrad's, under the root as in MXNet
_FIRST_SIGMA = 0.05  # standard deviation of the first factors
_HOST, _WORKERS = "127.0.0.1", 2
_MODE = "dist_async"  # in "dist_sync" the tests compare number by number with `train_here`


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults suit some ten thousand ratings.

    ``batch_size`` counts the rows of all workers together, ``learning_rate`` is AdaGrad's, and
    ``regularization`` pulls towards zero, once for each occurrence of a feature. ``seed`` decides
    the first factors and the order of the rows, the same for any number of workers.
    """

    factors: int = 8
    epochs: int = 6
    batch_size: int = 1000
    learning_rate: float = 0.1
    regularization: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "factors", "epochs", "batch_size")
        at_least(0, self, "regularization")
        above_zero(self, "learning_rate")

    def first_table(self, n_features: int) -> FloatArray:
        """Return small factors and no linear weights, (n_features, factors + 1)."""
        rng = np.random.default_rng(self.seed)
        table = rng.normal(0, _FIRST_SIGMA, (n_features, self.factors + 1)).astype(np.float32)
        table[:, -1] = 0
        return table


@dataclass(frozen=True, eq=False)
class Trained:
    """The table, linear weights last, the mean, and each worker's RMSE (workers, epochs)."""

    table: FloatArray
    mean: float
    errors: np.ndarray

    def predict(self, keys: np.ndarray) -> FloatArray:
        """Return a prediction for each row of feature numbers, (n, m) to (n,) float32."""
        return self.mean + scores(self.table, keys)


def scores(table: FloatArray, keys: np.ndarray) -> FloatArray:
    """Return linear weights plus inner products of all pairs, (n,), for (n, m) feature numbers."""
    rows = table[keys]
    factors = rows[..., :-1]
    pairs = (factors.sum(axis=1) ** 2 - (factors**2).sum(axis=1)).sum(axis=1) / 2
    return np.asarray(pairs + rows[..., -1].sum(axis=1))


def gradients(
    rows: FloatArray, places: np.ndarray, residuals: FloatArray, regularization: float
) -> tuple[FloatArray, FloatArray]:
    """Return gradients (r, factors + 1) and errors (b,): sample i uses ``rows[places[i]]``."""
    used = rows[places]
    errors = scores(rows, places) - residuals
    of_sample = np.empty_like(used)
    of_sample[..., :-1] = used[..., :-1].sum(axis=1, keepdims=True) - used[..., :-1]
    of_sample[..., -1] = 1
    of_sample *= errors[:, None, None]
    of_sample += regularization * used
    total = np.zeros_like(rows)
    np.add.at(total, places.ravel(), of_sample.reshape(-1, rows.shape[1]))
    return total, errors


def _learn(settings: Settings, data: Any, pull: Any, push: Any, mine: slice) -> np.ndarray:
    """Push gradients for one worker's share of every batch; return its RMSE of each epoch."""
    (keys, residuals), curve = data, []
    size, regularization = settings.batch_size, settings.regularization
    for epoch in range(settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(keys))
        squares, seen = 0.0, 0
        for start in range(0, len(keys), size):
            taken = order[start : start + size][mine]
            touched, places = np.unique(keys[taken], return_inverse=True)
            places = places.reshape(keys[taken].shape)
            gradient, errors = gradients(pull(touched), places, residuals[taken], regularization)
            push(touched, gradient)
            squares, seen = squares + float((errors**2).sum()), seen + len(taken)
        curve.append((squares / max(seen, 1)) ** 0.5)
    return np.array(curve)


def _checked(
    keys: ArrayLike, ratings: ArrayLike, n_features: int
) -> tuple[np.ndarray, FloatArray, float]:
    """Return keys, ratings minus their mean, and the mean."""
    keys, ratings = np.asarray(keys), np.asarray(ratings, np.float32)
    if keys.ndim != 2 or len(keys) != len(ratings) or len(keys) == 0:
        given = f"keys {keys.shape}, ratings {ratings.shape}"
        raise ValueError(f"{given}: expected (n, m) feature numbers and n > 0 ratings")
    check_indices(keys.ravel(), n_features, "keys")
    all_finite(ratings=ratings)
    mean = float(ratings.mean(dtype=np.float64))
    return keys.astype(np.int64), ratings - np.float32(mean), mean


def train_here(
    keys: ArrayLike, ratings: ArrayLike, n_features: int, settings: Settings, *, delay: int = 0
) -> Trained:
    """Return a machine trained in this process, in NumPy, with which workers are compared.

    ``keys`` are whole numbers, (n, m): the features of each row, each of value 1; ``ratings`` are
    (n,) labels. Gradients arrive ``delay`` steps late, as with workers out of step. Raise
    ``ValueError`` for shapes that do not fit, a rating that is not finite and a negative delay, and
    ``IndexError`` for a key that is not below ``n_features``.
    """
    if delay < 0:
        raise ValueError(f"delay={delay}: expected 0 or more steps")
    keys, residuals, mean = _checked(keys, ratings, n_features)
    table = settings.first_table(n_features)
    history = np.zeros_like(table)
    under_way: deque[tuple[np.ndarray, FloatArray]] = deque()

    def arrive() -> None:
        touched, gradient = under_way.popleft()
        history[touched] += gradient**2
        table[touched] -= settings.learning_rate * gradient / np.sqrt(history[touched] + _EPSILON)

    def push(touched: np.ndarray, gradient: FloatArray) -> None:
        under_way.append((touched, gradient))
        if len(under_way) > delay:
            arrive()

    curve = _learn(settings, (keys, residuals), table.__getitem__, push, slice(None))
    while under_way:
        arrive()
    return Trained(table, mean, curve[None])


def train_on_workers(
    keys: ArrayLike, ratings: ArrayLike, n_features: int, settings: Settings, *, seconds: float
) -> Trained:
    """Return what `train_here` returns, from processes: a scheduler, a server and two workers.

    Worker ``r`` takes the rows r, r + 2, … of each batch. After ``seconds`` every process is ended.
    Raise as `train_here` does, ``ImportError`` without MXNet, and ``RuntimeError`` with the end of
    the output where a process failed or the time limit passed.
    """
    keys, residuals, mean = _checked(keys, ratings, n_features)
    if not gates.mxnet:
        raise ImportError(f"mxnet: {gates.mxnet.reason}")
    with tempfile.TemporaryDirectory(prefix="kvstore-") as name:
        folder = Path(name)
        job = _MODE, settings, n_features, (keys, residuals)
        (folder / "job.pickle").write_bytes(pickle.dumps(job))
        _run_all(folder, ["scheduler", "server", *["worker"] * _WORKERS], seconds)
        errors = [np.load(folder / f"worker-{rank}.npy") for rank in range(_WORKERS)]
        return Trained(np.load(folder / "table.npy"), mean, np.stack(errors))


def _run_all(folder: Path, roles: list[str], seconds: float) -> None:
    """Start a process for each role, wait for all, and leave none behind."""
    common = {
        "DMLC_PS_ROOT_URI": _HOST,
        "DMLC_PS_ROOT_PORT": str(files.free_port()),
        "DMLC_NODE_HOST": _HOST,  # without it they would listen on every address of the machine
        "DMLC_NUM_SERVER": "1",
        "DMLC_NUM_WORKER": str(roles.count("worker")),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "OMP_NUM_THREADS": "1",
    }
    running = []
    with contextlib.ExitStack() as stack:  # leaves in reverse: kill, wait, close the log
        for number, role in enumerate(roles):
            log = folder / f"{role}-{number}.log"
            child = subprocess.Popen(
                [sys.executable, "-m", __name__, str(folder), str(os.getpid())],
                env={**os.environ, **common, "DMLC_ROLE": role},
                stdin=subprocess.DEVNULL,
                stdout=stack.enter_context(log.open("wb")),
                stderr=subprocess.STDOUT,
            )
            stack.enter_context(child)
            stack.callback(child.kill)
            running.append((role, log, child))
        deadline = time.monotonic() + seconds
        while any(child.poll() is None for _, _, child in running):
            for role, log, child in running:
                if child.poll():
                    words = log.read_text(encoding="utf-8", errors="replace")[-500:].strip()
                    raise RuntimeError(
                        f"the {role} ended with {child.returncode}: {words or 'it wrote nothing'}"
                    )
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(roles)} processes did not end within {seconds:g} s")
            time.sleep(0.02)


def _work(mx: Any, folder: Path) -> None:
    """Be one worker: pull rows, push gradients, and write the errors and the table at the end."""
    mode, settings, n_features, data = pickle.loads((folder / "job.pickle").read_bytes())
    server = mx.kv.create(mode)
    if server.rank == 0:
        rate = settings.learning_rate
        server.set_optimizer(mx.optimizer.AdaGrad(learning_rate=rate, eps=_EPSILON))
    first = settings.first_table(n_features)
    server.init("rows", mx.nd.array(first).tostype("row_sparse"))
    pulled = mx.nd.sparse.zeros("row_sparse", first.shape)

    def pull(touched: np.ndarray) -> FloatArray:
        server.row_sparse_pull("rows", out=pulled, row_ids=mx.nd.array(touched, dtype="int64"))
        rows: FloatArray = pulled.data.asnumpy()
        return rows

    def push(touched: np.ndarray, gradient: FloatArray) -> None:
        server.push("rows", mx.nd.sparse.row_sparse_array((gradient, touched), shape=first.shape))

    mine = slice(server.rank, None, server.num_workers)
    errors = _learn(settings, data, pull, push, mine)
    server._barrier()  # all pushes of all workers are in
    np.save(folder / f"worker-{server.rank}.npy", errors)
    if server.rank == 0:
        server.row_sparse_pull("rows", out=pulled, row_ids=mx.nd.arange(n_features, dtype="int64"))
        np.save(folder / "table.npy", pulled.asnumpy())
    server._barrier()


def _schedule() -> None:
    """Be the scheduler, with MXNet's library alone: its Python part costs seconds and 150 MB."""
    spec = importlib.util.find_spec("mxnet")
    assert spec is not None and spec.origin is not None
    library = ctypes.CDLL(str(Path(spec.origin).with_name("libmxnet.so")))
    store = ctypes.c_void_p()
    controller = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    if library.MXKVStoreCreate(b"dist", ctypes.byref(store)):
        raise OSError("MXNet's scheduler did not start")
    library.MXKVStoreRunServer(store, controller(lambda *_: None), None)


def _be_a_child(folder: Path, parent: int) -> None:
    files.end_with(parent)
    if os.environ["DMLC_ROLE"] == "scheduler":
        return _schedule()
    for unneeded in ("sklearn", "scipy.stats"):  # they would cost a process more than its work
        sys.modules[unneeded] = None  # type: ignore[assignment]
    mx = gates.import_mxnet()  # a server serves inside this line and exits
    try:
        _work(mx, folder)
    except Exception as error:  # an ordinary exit would wait for the others for ever
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)


if __name__ == "__main__":
    _be_a_child(Path(sys.argv[1]), int(sys.argv[2]))
