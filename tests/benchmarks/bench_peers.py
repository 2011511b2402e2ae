"""Other libraries beside ours, on the same rows, in turn: ``python -m helpers bench peers``, as `PEERS.md` shows it.

``--data=…``, ``--tables=…`` and ``--models=…`` choose rows (of models any whose name holds one of the words);
``--list`` only says what is missing, and ``--quick`` proves on 25,000 planted ratings, into ``build/peers_quick``, that
every chosen model works. A finished row is a line of ``peers.csv`` at once, and `PEERS.md` is written anew;
what is there is not measured again, except with ``--again``. ``--minutes=25`` is what a row may take: search stops
after half of it, with the tries it has. After ``--stop-after=14`` minutes no new row begins, so that
``--minutes=10 --stop-after=14``, said again until no row is missing, measures all in parts of 24 minutes.

Peers get environments of their own in ``build/``, made when a row first needs one from ``peers.txt``,
``peers_torch.txt`` (LensKit and RecTools, with PyTorch) or ``peers_xlearn.txt`` (compiled, which takes long);
``COURSE_OFFLINE=1``: from uv's cache alone. Every model is fitted in a process of its own (`peers_fit`), ours too.

Ratings are split at random, 80/20, orders by ``leave_one_out``; each again inside the training part. Six settings of
each model are tried on the inner split, three where it has a million ratings; the best is fitted on all of the
training part and tested. Models that read the order get the same one; what says who rated what is of training rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pickle
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from helpers.data import Interactions, Split, leave_one_out, load, load_or_none, random_split
from helpers.metrics import RankingResult, evaluate, rmse, rmse_gap
from helpers.models.userlevel import event_sequences
from tests.benchmarks.peers_settings import CONTESTANTS, Contestant
from tests.benchmarks.peers_table import best_of_ours, read_rows, write_table
from tests.benchmarks.planted_million import planted_million

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
STORED, PROVED = HERE / "peers.csv", BUILD / "peers_quick" / "peers.csv"
_QUICK = "planted-25k"
DATA: dict[str, Callable[[], Interactions | None]] = {
    "latest-small": load,
    "100k": lambda: load_or_none("100k"),
    "planted-1M": planted_million,
    _QUICK: lambda: planted_million(users=150),
}
TABLES = ("rating", "ordering")
COLUMNS = ["data", "table", "model", "version", "value", "low", "high", "hit_rate", "inner"]
_GAP = ["beside", "gap", "gap_low", "gap_high"]
COLUMNS += [*_GAP, "seconds", "cpu", "megabytes", "tries"]
COLUMNS += ["settings", "date", "cores", "memory_gb", "load", "python"]
_MODULES = {"ours": "peers_ours", "rating": "peers_rating", "ordering": "peers_ordering"}
_MANY = 500_000  # ratings: half of the settings, and one seed
_REPEATED = 5.0  # seconds: what is faster is fitted three times, and the median reported
Row = dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """What a model predicted with one setting, and what that took."""

    found: np.ndarray
    seconds: float
    cpu: float
    megabytes: float
    version: str


class NotDone(RuntimeError):
    """A model fell over or is not installed; the others still count, and it is tried again."""


class TooSlow(NotDone):
    """A model was not done in time, which is a row, too."""


def run(*options: str) -> Iterator[Row]:
    """Measure the rows that are missing, and yield each, and how far ours are from the best peers."""
    parser = argparse.ArgumentParser("python -m helpers bench peers")
    parser.add_argument("--data", default=",".join(list(DATA)[:3]), help=f"of {','.join(DATA)}")
    parser.add_argument("--tables", default=",".join(TABLES), help=f"of {','.join(TABLES)}")
    parser.add_argument("--models", default="", help="words, with commas; default: all models")
    parser.add_argument("--minutes", type=float, default=25.0, help="that a row may take")
    parser.add_argument("--stop-after", type=float, default=np.inf, help="minutes: no new row")
    parser.add_argument("--tries", type=int, default=6, help="settings tried, half at a million")
    parser.add_argument("--again", action="store_true", help="measure also what is there")
    parser.add_argument("--list", action="store_true", help="say what is missing, measure nothing")
    parser.add_argument("--quick", action="store_true", help="one try on few planted ratings")
    given = parser.parse_args(options)
    names, tables = given.data.split(","), given.tables.split(",")
    for said, known in (names, DATA), (tables, TABLES):
        if unknown := [name for name in said if name not in known]:
            raise SystemExit(f"{', '.join(unknown)}: expected some of {', '.join(known)}")
    words, file = re.split(r",\s*", given.models), PROVED if given.quick else STORED
    file.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for name in [_QUICK] if given.quick else names:
        there = {(row["data"], row["table"], row["model"]) for row in read_rows(file)}
        chosen = [
            one
            for one in CONTESTANTS
            if one.table in tables and any(word in one.name for word in words)
            if given.again or (name, one.table, one.name) not in there
        ]
        if given.list:
            yield from (_shown(name, one, "missing") for one in chosen)
        elif chosen and (data := DATA[name]()) is not None:
            tries = given.tries if len(data) < _MANY else max(1, given.tries // 2)
            for one in chosen:
                if time.monotonic() - began > 60 * given.stop_after:
                    break
                grid = one.grid[: 1 if given.quick else tries]
                yield _measured(file, data, name, one, grid, 60 * given.minutes)
    yield from write_table(file)


def _shown(data: str, one: Contestant, value: Any, unit: str = "", target: str = "-") -> Row:
    name = f"{data}, {one.table}, {one.name}"
    return {"name": name, "value": value, "unit": unit, "target": target}


def _measured(
    file: Path, data: Interactions, name: str, one: Contestant, grid: list[Row], limit: float
) -> Row:
    """Measure one row and store it."""
    try:
        row = _searched(file, data, name, one, grid, limit)
    except TooSlow as error:
        row = dict.fromkeys(COLUMNS, "") | {"data": name, "table": one.table, "model": one.name}
        row |= {"settings": str(error)} | _machine()
    except NotDone as error:
        return _shown(name, one, "left out", str(error))
    rows = [r for r in read_rows(file) if any(r[c] != str(row[c]) for c in COLUMNS[:3])]
    _write(file, [*rows, row])
    _compare(file, data, name)
    write_table(file)
    row = next(r for r in read_rows(file) if all(r[c] == str(row[c]) for c in COLUMNS[:3]))
    if row["value"] == "":
        return _shown(name, one, "too slow", row["settings"])
    unit = f"[{row['low']}, {row['high']}], {row['seconds']} s, CPU {row['cpu']} s, {row['megabytes']} MB"
    gap = f"to {row['beside']}: {row['gap']} [{row['gap_low']}, {row['gap_high']}]; " * bool(
        row["gap"] != ""
    )
    return _shown(name, one, float(row["value"]), unit, f"{gap}{row['settings']}")


# --- one row -----------------------------------------------------------------------------------


def _searched(
    file: Path, data: Interactions, name: str, one: Contestant, grid: list[Row], limit: float
) -> Row:
    """Choose the setting on the inner split, fit it on the whole training part, and compare."""
    began, load_before = time.monotonic(), os.getloadavg()[0]
    outer, inner = _splits(data, one.table)
    best, settings, seconds, tried = -np.inf, None, 0.0, 0
    jobs = [{"seed": 0, "settings": each} for each in grid]
    try:
        for each, got in zip(grid, _fitted(one, inner, jobs, limit / 2), strict=True):
            score, tried = _score(one, inner, got.found), tried + 1
            _say(f"    {name}, {one.name}, {each}: inner {abs(score):.4f}, {got.seconds:.1f} s")
            if score > best:
                best, settings, seconds = score, each, got.seconds
    except TimeoutError:
        if settings is None:
            raise TooSlow(f"one fit took over {limit / 120:.2g} minutes") from None
    seeds = range(3 if len(data) < _MANY and one.seeded and one.table == "rating" else 1)
    repeats = 3 if len(seeds) == 1 and seconds < _REPEATED else 1
    jobs = [{"seed": seed, "settings": settings} for seed in seeds for _ in range(repeats)]
    left = limit - (time.monotonic() - began)
    try:
        got = list(_fitted(one, outer, jobs, left))
    except TimeoutError:
        raise TooSlow(f"search and fit took over {limit / 60:.2g} minutes") from None
    row = {"data": name, "table": one.table, "model": one.name, "version": got[0].version}
    row |= _judged(one, name, outer, [each.found for each in got[::repeats]])
    median = {key: np.median([getattr(each, key) for each in got]) for key in ("seconds", "cpu")}
    said = ", ".join(f"{key} {value}" for key, value in (settings or {}).items())
    row |= {"inner": f"{best:.4f}", "tries": tried, "settings": said}
    row |= {key: f"{value:.2f}" for key, value in median.items()}
    row |= {"megabytes": f"{max(each.megabytes for each in got):.0f}"}
    return row | _machine() | {"load": f"{load_before:.1f}"}


def _machine() -> Row:
    memory = psutil.virtual_memory().total / 1e9
    row = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count()}
    row |= {"memory_gb": f"{memory:.0f}", "load": f"{os.getloadavg()[0]:.1f}"}
    return row | {"python": platform.python_version()}


def _splits(data: Interactions, table: str) -> tuple[Split, Split]:
    split = random_split if table == "rating" else leave_one_out
    outer = split(data, seed=0)
    return outer, split(outer.train, seed=0)


def _score(one: Contestant, split: Split, found: np.ndarray) -> float:
    """Return what is best where it is largest: NDCG@10, or minus the RMSE."""
    if one.table == "rating":
        return -rmse(found, split.test.frame["rating"].to_numpy())
    return evaluate(found, split.test, seen=split.train)["ndcg"].mean


def _judged(one: Contestant, name: str, split: Split, found: list[np.ndarray]) -> Row:
    """Return the error or NDCG with its interval over users, and keep what was found.

    With several seeds the RMSE is the mean of theirs; intervals and gaps are of the first.
    """
    if one.table == "rating":
        stars, users = (split.test.frame[column].to_numpy() for column in ("rating", "user"))
        own, value = found[0], float(np.mean([rmse(each, stars) for each in found]))
        whole = rmse_gap(own, stars, stars, users)  # beside no error at all
        low, high, hits = whole.low, whole.high, ""
    else:
        result = evaluate(found[0], split.test, seen=split.train)
        own, value = result["ndcg"].values, result["ndcg"].mean
        low, high = result["ndcg"].interval.low, result["ndcg"].interval.high
        hits = f"{result['hit_rate'].mean:.3f}"
    _found(name, one.name).parent.mkdir(parents=True, exist_ok=True)
    np.save(_found(name, one.name), own.astype(np.float32))
    return {"value": f"{value:.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}", "hit_rate": hits}


def _found(data: str, model: str) -> Path:
    """Where a model's predictions are kept, or its NDCG of each user."""
    return BUILD / "peers_found" / f"{data}, {model}.npy"


def _compare(file: Path, data: Interactions, name: str) -> None:
    """Compare all models of a data set, pair by pair, with ours that is best by the inner score."""
    rows = read_rows(file)
    for table in TABLES:
        some = [r for r in rows if (r["data"], r["table"]) == (name, table) and r["value"]]
        best = best_of_ours(some)
        if best is None or not _found(name, best["model"]).exists():
            continue
        best |= dict.fromkeys(_GAP, "")
        other = np.load(_found(name, best["model"]))
        test = _splits(data, table)[0].test.frame
        for row in some:
            if row is best or not _found(name, row["model"]).exists():
                continue
            own = np.load(_found(name, row["model"]))
            if table == "rating":
                gap = rmse_gap(own, other, test["rating"].to_numpy(), test["user"].to_numpy())
            else:
                mine, theirs = (
                    RankingResult("ndcg", 10, np.arange(len(each)), each.astype(float), "all")
                    for each in (own, other)
                )
                gap = mine.compare(theirs)
            found = [best["model"], *(f"{each:.4f}" for each in (gap.value, gap.low, gap.high))]
            row |= dict(zip(_GAP, found, strict=True))
    _write(file, rows)


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# --- the processes -----------------------------------------------------------------------------


def _fitted(
    one: Contestant, split: Split, jobs: list[dict[str, Any]], seconds: float
) -> Iterator[Fitted]:
    """Yield what each job finds, from one process; raise ``TimeoutError`` after some seconds."""
    python = Path(sys.executable) if one.room == "ours" else _environment(one.room)
    module = _MODULES["ours" if one.room == "ours" else one.table]
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "rows.npz"), **_rows(split, one.table))
        Path(folder, "data.pickle").write_bytes(pickle.dumps(split.train))
        Path(folder, "settings.json").write_text(json.dumps(jobs), encoding="utf-8")
        command = [
            str(python),
            "-W",
            "ignore",
            str(HERE / "peers_fit.py"),
            folder,
            module,
            one.name,
        ]
        root = {"PYTHONPATH": str(HERE.parents[1])} if one.room == "ours" else {"PYTHONPATH": ""}
        with (
            Path(folder, "log").open("w+", encoding="utf-8") as log,
            Path(folder, "said").open("w", encoding="utf-8") as said,
            subprocess.Popen(command, stdout=said, stderr=log, env=os.environ | root) as peer,
        ):
            got, deadline = 0, time.monotonic() + seconds
            try:
                for tried in _as_they_come(Path(folder), peer, len(jobs), deadline):
                    got += 1
                    yield tried
            finally:
                peer.kill()
        if got < len(jobs):
            words = Path(folder, "log").read_text(encoding="utf-8", errors="replace").strip()
            last = words.splitlines()[-1][-300:] if words else "no words"
            raise NotDone(f"{one.name} ended with {peer.returncode}: {last}")


def _as_they_come(
    folder: Path, peer: subprocess.Popen[bytes], jobs: int, deadline: float
) -> Iterator[Fitted]:
    """Yield each job as its line of JSON comes; libraries print lines of their own."""
    got = 0
    while got < jobs:
        lines = Path(folder, "said").read_text(encoding="utf-8", errors="replace").splitlines(True)
        lines = [line for line in lines if line.startswith('{"seconds"') and line.endswith("\n")]
        for line in lines[got:]:
            said = json.loads(line)
            found = np.load(folder / f"found-{said.pop('number')}.npy")
            got += 1
            yield Fitted(found, **said)
        if got == jobs or (peer.poll() is not None and not lines[got:]):
            break
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
    peer.wait()


def _rows(split: Split, table: str) -> dict[str, np.ndarray]:
    """Return training rows user by user in the order that our models read, and the test pairs."""
    train, sizes = split.train, np.array([split.train.n_users, split.train.n_items])
    events = event_sequences(train)
    users = np.repeat(np.arange(train.n_users), [len(items) for items in events])
    pairs = np.column_stack([users, np.concatenate(events)])
    frame, size = train.frame, int(sizes[1])
    keys = frame["user"].to_numpy(np.int64) * size + frame["item"].to_numpy()
    order = np.argsort(keys)
    wanted = np.searchsorted(keys[order], pairs[:, 0].astype(np.int64) * size + pairs[:, 1])
    stars = frame["rating"].to_numpy(np.float64)[order][wanted]
    test = split.test.frame[["user", "item"]].to_numpy() if table == "rating" else np.empty((0, 2))
    return {"train": pairs, "stars": stars, "test": test, "sizes": sizes}


def _environment(name: str) -> Path:
    """Return the Python of some peers, their packages installed."""
    folder = BUILD / name
    python = folder / Path(sys.executable).relative_to(sys.prefix)
    uv, wanted = Path(sys.executable).with_name("uv"), HERE / f"{name}.txt"
    stamp, content = folder / wanted.name, f"{sys.version}\n{wanted.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == content:
        return python
    _say(f"  installing {wanted.name} into {folder}")
    offline = ["--offline"] if os.environ.get("COURSE_OFFLINE") == "1" else []
    asked = [str(python), "-c", "import sys; print(sys.version)"]
    made = python.exists() and subprocess.check_output(asked, text=True).strip() == sys.version
    steps = [["pip", "install", "--quiet", *offline, "--python", str(python), "-r", str(wanted)]]
    if not made:  # of another Python, or none yet
        steps.insert(0, ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
    for step in steps:
        if subprocess.run([str(uv), *step]).returncode:
            raise NotDone(f"{wanted.name} could not be installed: uv said why above")
    stamp.write_text(content, encoding="utf-8")
    return python
