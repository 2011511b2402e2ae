"""The program of one process around a parameter server: scheduler, server, or a worker that trains an FM.

`helpers.models.fm_kvstore` starts one process a role and says which in ``DMLC_ROLE``. The file is run by
its path, so it imports NumPy alone at the top; the arithmetic of a step stands here, since a worker needs it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STABLE = 1e-7  # AdaGrad's epsilon, under the root as in MXNet


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults suit a few ten thousand ratings.

    Attributes
    ----------
    k : int
        Number of factors.
    epochs : int
        Passes over the rows.
    batch_size : int
        Rows in one step of all workers together.
    learning_rate : float
        AdaGrad's.
    decay : float
        Pull towards zero, once for each occurrence of a feature.
    scale : float
        Standard deviation of the first factors.
    seed : int
        First factors and order of the rows, the same for any number of workers.
    """

    k: int = 8
    epochs: int = 6
    batch_size: int = 1000
    learning_rate: float = 0.1
    decay: float = 0.1
    scale: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        for name in ("k", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)}: expected a whole number of at least 1"
                )
        if self.learning_rate <= 0 or self.decay < 0:
            raise ValueError(
                f"learning_rate={self.learning_rate}, decay={self.decay}: expected above 0, and 0 or more"
            )


def scores(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return pairs by the identity plus linear weights, (n,), of (n, m) features of value 1."""
    rows = table[keys]
    factors = rows[..., :-1]
    pairs = (factors.sum(axis=1) ** 2 - (factors**2).sum(axis=1)).sum(axis=1) / 2
    return pairs + rows[..., -1].sum(axis=1)


def slopes(
    rows: np.ndarray, places: np.ndarray, residuals: np.ndarray, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes of half the summed squared error, and the errors.

    Parameters
    ----------
    rows : numpy.ndarray
        (r, k + 1) float32 rows of the table that the batch touches.
    places : numpy.ndarray
        (b, m) whole numbers: which of them each sample uses.
    residuals : numpy.ndarray
        (b,) float32 ratings minus the mean.
    decay : float
        See `Settings`.

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        (r, k + 1) slopes and (b,) errors, prediction minus rating.
    """
    used = rows[places]
    errors = scores(rows, places) - residuals
    of_sample = np.empty_like(used)
    of_sample[..., :-1] = used[..., :-1].sum(axis=1, keepdims=True) - used[..., :-1]
    of_sample[..., -1] = 1
    of_sample *= errors[:, None, None]
    of_sample += decay * used
    total = np.zeros_like(rows)
    np.add.at(total, places.ravel(), of_sample.reshape(-1, rows.shape[1]))
    return total, errors


def start(n_features: int, settings: Settings) -> np.ndarray:
    """Return the first table, (n_features, k + 1) float32: small factors, no linear weights."""
    chance = np.random.default_rng(settings.seed)
    table = chance.normal(0, settings.scale, (n_features, settings.k + 1)).astype(np.float32)
    table[:, -1] = 0
    return table


def batches(n: int, settings: Settings, epoch: int) -> list[np.ndarray]:
    """Return the row numbers of each step of one epoch, before workers share them."""
    order = np.random.default_rng([settings.seed, epoch]).permutation(n)
    return [
        order[start : start + settings.batch_size] for start in range(0, n, settings.batch_size)
    ]


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(2)


def _work(mx: Any, folder: Path) -> None:
    """Be one worker: pull rows, push slopes, and at the end write what was seen."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    settings = Settings(**job["settings"])
    stored = np.load(folder / "rows.npz")
    keys, residuals = stored["keys"], stored["residuals"]
    shape = (job["n_features"], settings.k + 1)
    server = mx.kv.create(job["mode"])
    if server.rank == 0:
        server.set_optimizer(mx.optimizer.AdaGrad(learning_rate=settings.learning_rate, eps=STABLE))
    first = start(job["n_features"], settings)
    server.init("rows", mx.nd.array(first).tostype("row_sparse"))
    pulled = mx.nd.sparse.zeros("row_sparse", shape)
    curve = []
    started = time.perf_counter()
    for epoch in range(settings.epochs):
        squares, seen = 0.0, 0
        for batch in batches(len(keys), settings, epoch):
            mine = batch[server.rank :: server.num_workers]
            touched, places = np.unique(keys[mine], return_inverse=True)
            server.row_sparse_pull("rows", out=pulled, row_ids=mx.nd.array(touched, dtype="int64"))
            rows = pulled.data.asnumpy()
            slope, errors = slopes(
                rows, places.reshape(keys[mine].shape), residuals[mine], settings.decay
            )
            server.push("rows", mx.nd.sparse.row_sparse_array((slope, touched), shape=shape))
            squares, seen = squares + float((errors**2).sum()), seen + len(mine)
        curve.append((squares / max(seen, 1)) ** 0.5)
    server._barrier()  # all pushes of all workers are in
    took = time.perf_counter() - started
    np.savez(folder / f"worker-{server.rank}.npz", errors=np.array(curve), seconds=took)
    if server.rank == 0:
        server.row_sparse_pull("rows", out=pulled, row_ids=mx.nd.arange(shape[0], dtype="int64"))
        np.save(folder / "table.npy", pulled.asnumpy())
    server._barrier()


def _keep_addresses() -> None:
    """Be the scheduler: MXNet's library is enough, and its Python part would cost seconds and 150 MB."""
    spec = importlib.util.find_spec("mxnet")
    assert spec is not None and spec.origin is not None
    library = ctypes.CDLL(str(Path(spec.origin).with_name("libmxnet.so")))
    store = ctypes.c_void_p()
    nothing = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
        lambda *_: None
    )
    if library.MXKVStoreCreate(b"dist", ctypes.byref(store)):
        raise OSError("MXNet's scheduler did not start")
    library.MXKVStoreRunServer(store, nothing, None)


def _child() -> None:
    threading.Thread(target=_end_with, args=(int(sys.argv[2]),), daemon=True).start()
    if os.environ["DMLC_ROLE"] == "scheduler":
        return _keep_addresses()
    for unneeded in (
        "sklearn",
        "scipy.stats",
    ):  # MXNet does without; they cost a process more than its work
        sys.modules[unneeded] = None  # type: ignore[assignment]
    from helpers.gates import import_mxnet

    mx = import_mxnet()  # a server serves inside this line and exits
    try:
        _work(mx, Path(sys.argv[1]))
    except Exception as error:  # an ordinary exit would wait for the others for ever
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)


if __name__ == "__main__":
    _child()
