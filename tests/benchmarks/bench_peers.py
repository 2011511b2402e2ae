"""Predicted ratings and ranked items beside other libraries, on the same rows, with the same seeds, in turn.

The peers (``tests/benchmarks/peers.txt``) get an environment of their own in ``build/peers``, made on the first run
(``COURSE_OFFLINE=1``: from uv's cache alone); those that need PyTorch (``peers_torch.txt``) get ``build/peers_torch``.
Seconds are of fitting (and, for ratings, predicting), without imports: by wall clock, and of CPU for a busy machine.
Predictions are not clipped to the scale. Whatever says who rated what is made from training pairs only, ours and theirs.

Rankings: ``leave_one_out(seed=0)``, the full catalog without what was seen, our own metrics for all. Each model gets
six tries; the best by NDCG@10 on an inner ``leave_one_out`` of the training part is fitted on all of it. All models
that read the order get the same one: equal times as ``event_sequences(seed=0)`` draws them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from helpers.data import Interactions, Split, leave_one_out, load, load_or_none, random_split
from helpers.metrics import RankingResult, evaluate, rmse
from helpers.models.baselines import EASE, BiasModel, ImplicitALS, Popularity
from helpers.models.fm_gibbs import GibbsFM, rated_together
from helpers.models.order import DecayedEASE, NextItemRidge, Transitions
from helpers.models.userlevel import event_sequences
from tests.benchmarks import peers_ranking
from tests.benchmarks.peers_rating import PEERS

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
_SEEDS = (0, 1, 2)
_MARKS = {"100k": "<= 0.882", "latest-small": "<= 0.847"}
Seconds = tuple[float, float]  # by wall clock and of CPU
Predict = Callable[
    [Split, int], tuple[np.ndarray, Seconds, str]
]  # with the version, if it is theirs


def run() -> list[dict[str, Any]]:
    """Measure on ML-100K, where it is to be had, and on latest-small; print each row as it comes.

    Returns
    -------
    list of dict
        One row a model and data set. Ratings, random 80/20: the mean RMSE over three seeds, the median of the seconds,
        and the range. Rankings, leave one out: NDCG@10 with its interval, HR@10, the seconds, the paired gain in
        NDCG@10 over iALS, and the settings found.
    """
    return ratings() + rankings()


def _data() -> list[Interactions]:
    return [data for data in (load_or_none("100k"), load()) if data is not None]


def ratings() -> list[dict[str, Any]]:
    """Measure predicted ratings."""
    python = _environment("peers")
    peers = {name: _peer(python, name) for name in PEERS} if python else {}
    every = {**_OURS, **peers}.items()
    return [_row(data, name, one) for data in _data() for name, one in every]


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


def _environment(name: str) -> Path | None:
    """Return the Python of some peers, their packages installed, or None where they cannot be had."""
    folder = BUILD / name
    python = folder / Path(sys.executable).relative_to(sys.prefix)
    uv, wanted = Path(sys.executable).with_name("uv"), HERE / f"{name}.txt"
    stamp, content = folder / wanted.name, f"{sys.version}\n{wanted.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == content:
        return python
    print(f"  installing {wanted.name} into {folder}", file=sys.stderr, flush=True)
    offline = ["--offline"] if os.environ.get("COURSE_OFFLINE") == "1" else []
    steps = [
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
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


# --- rankings ----------------------------------------------------------------------------------

Tried = tuple[Any, Seconds, str]  # a model or its scores, seconds of fitting, the version
Rank = Callable[[Interactions, list[dict[str, Any]]], Iterator[Tried]]
_NDCG = {"100k": ">= 0.110; ", "latest-small": ">= 0.060; "}
_TARGETS = {
    "ours, Transitions": _NDCG,
    "ours, Transitions, orders shuffled": dict.fromkeys(_NDCG, "not above iALS; "),
}


def rankings(wanted: str = "", tries: int = 6) -> list[dict[str, Any]]:
    """Measure rankings by the models whose names hold ``wanted``, and by iALS, which the gains need."""
    rankers = {name: (_ranked_by(make), grid) for name, (make, grid) in _RANKERS.items()}
    for name, grid in _PEER_GRIDS.items():
        folder = "peers_torch" if "SASRec" in name else "peers"
        if wanted in name and (python := _environment(folder)):
            rankers[name] = (_ranks(python, name), grid)
    rows = []
    for data in _data():
        base = None  # iALS comes first
        for name, (rank, grid) in rankers.items():
            if base is not None and wanted not in name:
                continue
            try:
                row, found = _ranking(data, name, rank, grid[:tries], base)
            except RuntimeError as error:  # a peer fell over; the others still count
                _say(f"  {error}")
                continue
            base = base or found
            rows.append(row)
    return rows


def _ranking(
    data: Interactions, name: str, rank: Rank, grid: list[dict[str, Any]], base: Any
) -> tuple[dict[str, Any], RankingResult]:
    """Search the settings on the inner split, fit the best on the whole training part."""
    split = leave_one_out(data, seed=0)
    inner = leave_one_out(split.train, seed=0)
    best, settings = -1.0, grid[0]
    for one, (model, took, _) in zip(grid, rank(inner.train, grid), strict=True):
        score = evaluate(model, inner.test, seen=inner.train)["ndcg"].mean
        _say(f"    {data.name}, {name}, {one}: inner {score:.4f}, {took[0]:.1f} s")
        if score > best:
            best, settings = score, one
    model, took, version = next(iter(rank(split.train, [settings])))
    found = evaluate(model, split.test, seen=split.train)
    ndcg, hits = found["ndcg"], found["hit_rate"].mean
    interval = f"[{ndcg.interval.low:.3f}, {ndcg.interval.high:.3f}]"
    unit = f"NDCG@10 {interval}, HR@10 {hits:.3f}, {took[0]:.2f} s, CPU {took[1]:.2f} s"
    gain = "" if base is None else f"over iALS {ndcg.compare(base)}; "
    mark = _TARGETS.get(name, {}).get(data.name, "")
    shown = ", ".join(f"{key} {value}" for key, value in settings.items())
    row = {"name": f"{data.name}, {name}{version}", "value": float(ndcg.mean), "unit": unit}
    _say(f"  {row['name']}: {ndcg.mean:.4f} {unit}; {gain}{shown}")
    return row | {"target": f"{mark}{gain}{shown}"}, ndcg


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ranked_by(make: Callable[..., Any]) -> Rank:
    def rank(train: Interactions, grid: list[dict[str, Any]]) -> Iterator[Tried]:
        for settings in grid:
            wall, cpu = time.perf_counter(), time.process_time()
            model = make(**settings).fit(train)
            yield model, (time.perf_counter() - wall, time.process_time() - cpu), ""

    return rank


def _shuffled(**settings: Any) -> Any:
    """Return transitions that learn from, and are asked with, histories in random order."""

    class OfShuffled(Transitions):
        def fit(self, data: Interactions) -> Any:
            times = np.random.default_rng(0).permutation(len(data))
            return super().fit(data.replace(data.frame.assign(timestamp=times)))

    return OfShuffled(**settings)


def _ranks(python: Path, name: str) -> Rank:
    def rank(train: Interactions, grid: list[dict[str, Any]]) -> Iterator[Tried]:
        events = event_sequences(train)
        users = np.repeat(np.arange(train.n_users), [len(items) for items in events])
        rows = {"users": users, "items": np.concatenate(events)}
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder, "rows.npz"), **rows, sizes=[train.n_users, train.n_items])
            Path(folder, "settings.json").write_text(json.dumps(grid), encoding="utf-8")
            command = [str(python), "-W", "ignore", str(HERE / "peers_ranking.py"), folder, name]
            with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as peer:
                for line in peer.stdout or ():
                    if line.startswith("{"):  # libraries print lines of their own
                        said = json.loads(line)
                        scores = np.load(Path(folder, f"scores-{said['number']}.npy"))
                        yield scores, said["seconds"], f" ({said['version']})"
            if peer.returncode:
                raise RuntimeError(f"{name} ended with {peer.returncode}; see above")

    return rank


def _grid(**values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return tries from columns of values: the first of each, the second of each, and so on."""
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


_DECAYED = {"decay": (0.8, 0.8, 0.8, 0.6, 0.9, 0.9)}
_TRANSITIONS = _grid(smoothing=(50.0, 20.0, 100.0, 50.0, 50.0, 20.0), **_DECAYED)
_RANKERS: dict[str, tuple[Callable[..., Any], list[dict[str, Any]]]] = {
    "ours, iALS": (
        ImplicitALS,
        _grid(
            factors=(32, 16, 64, 32, 32, 64),
            empty_weight=(0.3, 0.3, 0.3, 0.1, 0.3, 0.1),
            regularization=(0.01, 0.01, 0.01, 0.01, 0.003, 0.01),
        ),
    ),
    "ours, popularity": (Popularity, [{}]),
    "ours, EASE": (EASE, _grid(regularization=(200.0, 50.0, 100.0, 500.0, 1000.0, 2000.0))),
    "ours, EASE, input decayed by age": (
        DecayedEASE,
        _grid(regularization=(500.0, 200.0, 1000.0, 500.0, 500.0, 200.0), **_DECAYED),
    ),
    "ours, ridge to the next item": (
        NextItemRidge,
        _grid(regularization=(300.0, 100.0, 1000.0, 300.0, 300.0, 100.0), **_DECAYED),
    ),
    "ours, Transitions": (Transitions, _TRANSITIONS),
    "ours, Transitions, orders shuffled": (_shuffled, _TRANSITIONS),
}
_PEER_GRIDS: dict[str, list[dict[str, Any]]] = {
    "implicit, ALS": _grid(
        factors=(32, 16, 64, 32, 32, 64),
        alpha=(1.0, 1.0, 1.0, 5.0, 1.0, 5.0),
        regularization=(0.01, 0.01, 0.01, 0.01, 1.0, 1.0),
        iterations=(15,) * 6,
    ),
    "implicit, BPR": _grid(
        factors=(32, 64, 32, 64, 32, 64),
        learning_rate=(0.01, 0.01, 0.05, 0.05, 0.05, 0.05),
        regularization=(0.01, 0.01, 0.01, 0.01, 0.03, 0.03),
        iterations=(100,) * 6,
    ),
    "implicit, item-item": _grid(kind=("cosine", "tfidf", "bm25") * 2, K=(50,) * 3 + (200,) * 3),
    "RecTools, SASRec": _grid(  # found by looking at the inner split of ML-100K alone
        n_factors=(64, 64, 64, 64, 128, 64),
        n_blocks=(2, 1, 2, 2, 2, 3),
        n_heads=(1, 1, 1, 1, 2, 1),
        dropout_rate=(0.5,) * 6,
        lr=(0.003, 0.003, 0.003, 0.003, 0.001, 0.003),
        batch_size=(32,) * 6,
        session_max_len=(50, 50, 50, 100, 50, 50),
        epochs=(20, 20, 40, 40, 40, 40),
    ),
}
assert set(_PEER_GRIDS) == set(peers_ranking.PEERS)
