"""Predicted ratings beside other libraries, on the same rows, with the same seeds, in turn.

The peers (``tests/benchmarks/peers.txt``) get an environment of their own in ``build/peers``, made on the first run
(``COURSE_OFFLINE=1``: from uv's cache alone). Seconds are of fitting and predicting, without imports: by wall clock,
and of CPU for a busy machine. Predictions are not clipped to the scale. Whatever says who rated what is made from training pairs only, ours and theirs.
"""

from __future__ import annotations

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

from helpers.data import Interactions, Split, load, load_or_none, random_split
from helpers.metrics import rmse
from helpers.models.baselines import BiasModel
from helpers.models.fm_gibbs import GibbsFM, rated_together
from tests.benchmarks.peers_rating import PEERS

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "peers"
_SEEDS = (0, 1, 2)
_MARKS = {"100k": "<= 0.882", "latest-small": "<= 0.847"}
Seconds = tuple[float, float]  # by wall clock and of CPU
Predict = Callable[
    [Split, int], tuple[np.ndarray, Seconds, str]
]  # with the version, if it is theirs


def run() -> list[dict[str, Any]]:
    """Measure on random 80/20 splits of ML-100K, where it is to be had, and of latest-small.

    Returns
    -------
    list of dict
        One row a model and data set: the mean RMSE over three seeds, the median of the seconds, and the range.
    """
    python = _environment()
    peers = {name: _peer(python, name) for name in PEERS} if python else {}
    rows = []
    for data in (load_or_none("100k"), load()):
        if data is not None:
            rows += [_row(data, name, one) for name, one in {**_OURS, **peers}.items()]
    return rows


def _row(data: Interactions, name: str, predict: Predict) -> dict[str, Any]:
    split = random_split(data, seed=0)
    stars = split.test.frame["rating"].to_numpy()
    found = [predict(split, seed) for seed in _SEEDS]
    errors = [rmse(predicted, stars) for predicted, _, _ in found]
    title = f"{data.name}, {name}{found[0][2]}"
    wall, cpu = np.median([took for _, took, _ in found], axis=0)
    mark = f"{_MARKS[data.name]}; " if "blocks" in name else ""
    spread = f"{mark}seeds {min(errors):.4f}–{max(errors):.4f}"
    unit = f"stars {wall:5.1f} s, CPU {cpu:5.1f} s"
    row = {"name": title, "value": float(np.mean(errors)), "unit": unit, "target": spread}
    print(f"  {title}: {row['value']:.4f}, {unit}", file=sys.stderr, flush=True)
    return row


def _pairs(split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = (part.frame[["user", "item"]].to_numpy() for part in (split.train, split.test))
    return train, split.train.frame["rating"].to_numpy(np.float64), test


# --- ours --------------------------------------------------------------------------------------


def _timed(predict: Callable[[], np.ndarray]) -> tuple[np.ndarray, Seconds, str]:
    wall, cpu = time.perf_counter(), time.process_time()
    predicted = predict()
    return predicted, (time.perf_counter() - wall, time.process_time() - cpu), ""


def _biases(split: Split, seed: int) -> tuple[np.ndarray, Seconds, str]:
    return _timed(lambda: BiasModel().fit(split.train).predict(*_pairs(split)[2].T))


def _gibbs(blocks: bool, factors: int, samples: int, chains: int = 1) -> Predict:
    def predict(split: Split, seed: int) -> tuple[np.ndarray, Seconds, str]:
        train, stars, test = _pairs(split)
        sizes = (split.train.n_users, split.train.n_items)
        GibbsFM(1, 1, 0).fit_predict(train, stars, test, sizes)  # compiles
        machine = GibbsFM(factors, samples, seed=seed, chains=chains)

        def predicted() -> np.ndarray:
            groups = rated_together(split.train) if blocks else sizes
            return machine.fit_predict(train, stars, test, groups)

        return _timed(predicted)

    return predict


_OURS: dict[str, Predict] = {
    "user and item biases": _biases,
    "ours, Gibbs, rank 8, 200 draws": _gibbs(False, 8, 200),
    "ours, blocks of SVD++ flipped, rank 10, 300 draws": _gibbs(True, 10, 300),
    "ours, blocks of SVD++ flipped, rank 10, 4 × 75 draws": _gibbs(True, 10, 75, chains=4),
}


# --- theirs ------------------------------------------------------------------------------------


def _environment() -> Path | None:
    """Return the peers' Python, its packages installed, or None where they cannot be had."""
    python = FOLDER / Path(sys.executable).relative_to(sys.prefix)
    uv, wanted = Path(sys.executable).with_name("uv"), HERE / "peers.txt"
    stamp, content = FOLDER / "peers.txt", f"{sys.version}\n{wanted.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == content:
        return python
    print(f"  installing {wanted.name} into {FOLDER}", file=sys.stderr, flush=True)
    offline = ["--offline"] if os.environ.get("COURSE_OFFLINE") == "1" else []
    steps = [
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)],
        ["pip", "install", "--quiet", *offline, "--python", str(python), "-r", str(wanted)],
    ]
    for step in steps:
        if subprocess.run([str(uv), *step]).returncode:
            print("  the peers are left out: uv said why above", file=sys.stderr, flush=True)
            return None
    stamp.write_text(content, encoding="utf-8")
    return python


def _peer(python: Path, name: str) -> Predict:
    def predict(split: Split, seed: int) -> tuple[np.ndarray, Seconds, str]:
        train, stars, test = _pairs(split)
        sizes = [split.train.n_users, split.train.n_items]
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder, "rows.npz"), train=train, stars=stars, test=test, sizes=sizes)
            command = [str(python), "-W", "ignore", str(HERE / "peers_rating.py"), folder, name]
            done = subprocess.run([*command, str(seed)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{name}: {done.stderr.strip()[-500:]}")
            said = json.loads(done.stdout.splitlines()[-1])
            return np.load(Path(folder, "predicted.npy")), said["seconds"], f" ({said['version']})"

    return predict
