"""One worker beside two, measured, and what a model of cost says of more: ``python -m helpers bench workers``.

Three ways to train with several workers, each worker a process with a core of its own: MXNet's kvstore in step and out
of step (`helpers.models.kvstore`, the factorization machine), and chapter 05's job, whose first worker adds up the
gradients of all. Beside them the container of the factorization machine, which takes one host only.

``--ways=…``, ``--workers=1,2`` choose rows. A finished row is at once a line of ``build/two_workers.csv``, or with
``--store`` of ``helpers/two_workers.csv``, which chapter 06 shows; what is there is measured again only with
``--again``. ``--quick`` proves the way on a few steps. With ``--fit`` nothing is measured.

Seconds and bytes of a step are differences of a long and a short run, or of late epochs, so that starting does not
count. On Linux each run has a network of its own, whose loopback counts what was sent, headers included; elsewhere the
machine's loopback counts for all processes. Server and scheduler of the kvstore take the cores that are free, or share.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from scipy.optimize import nnls

from helpers import models

ROOT = Path(__file__).resolve().parents[2]
STORED = Path(models.__file__).parents[1] / "two_workers.csv"
COLUMNS = ["way", "workers", "factors", "batch", "numbers", "step_s", "step_bytes"]
COLUMNS += ["rows_per_s", "metric", "value", "note"]
# factors and rows per step of all workers; the first of each way also counts for accuracy
_SIZES = {
    "kvstore, in step": ((8, 1000), (8, 8000), (64, 1000), (64, 8000)),
    "kvstore, out of step": ((8, 1000), (8, 8000), (64, 1000), (64, 8000)),
    "NeuMF job": ((16, 4096), (16, 1024), (64, 4096), (64, 1024)),
    "FM job": ((64, 1000),),
}
NETWORK = {"bandwidth": 1.25e9, "latency": 1e-4}  # assumed: 10 Gbit/s, a tenth of a millisecond
_FROM_ONE = (2, 4, 8, 16)  # workers
Row = dict[str, Any]


def run(*options: str) -> Iterator[Row]:
    """Measure what is missing, row by row, then yield the fitted model and what it says."""
    parser = argparse.ArgumentParser("python -m helpers bench workers")
    parser.add_argument("--ways", default="", help=f"words of {', '.join(_SIZES)}, with commas")
    parser.add_argument("--workers", default="1,2")
    for name in ("store", "again", "quick", "fit"):
        parser.add_argument(f"--{name}", action="store_true")
    given = parser.parse_args(options)
    file = STORED if given.store else ROOT / "build" / "two_workers.csv"
    words = given.ways.split(",")
    for way, sizes in _SIZES.items():
        if given.fit or not any(word in way for word in words):
            continue
        for factors, batch in sizes[: 1 if given.quick else None]:
            for workers in map(int, given.workers.split(",")):
                there = {
                    (r["way"], int(r["workers"]), int(r["factors"]), int(r["batch"]))
                    for r in _read(file)
                }
                if given.again or (way, workers, factors, batch) not in there:
                    yield _shown(_measured(file, way, workers, factors, batch, given.quick))
    if file.exists():
        yield from _told(file)


def _read(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _shown(row: Row) -> Row:
    name = f"{row['way']}, {row['workers']} workers, k={row['factors']}, {row['batch']} rows a step"
    if row["note"]:
        return {"name": name, "value": "-", "unit": row["note"], "target": "-"}
    unit = f"rows/s, {1000 * row['step_s']:.1f} ms and {row['step_bytes'] / 1e3:.0f} kB a step"
    target = f"{row['metric']} {row['value']:.4f}" if row["metric"] else "-"
    return {"name": name, "value": float(row["rows_per_s"]), "unit": unit, "target": target}


def _measured(file: Path, way: str, workers: int, factors: int, batch: int, quick: bool) -> Row:
    """Run one row in a process and a network of its own, and store it."""
    words = [way, str(workers), str(factors), str(batch), str(int(quick))]
    command = [sys.executable, "-m", "tests.benchmarks.worker_steps", *words]
    own: dict[str, Callable[[], None]] = {}
    if sys.platform == "linux":
        own = {"preexec_fn": own_network}
    load = os.getloadavg()[0]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, **own)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()[-500:]}")
    row = {"way": way, "workers": workers, "factors": factors, "batch": batch}
    row |= json.loads(done.stdout.splitlines()[-1])
    key = {column: str(row[column]) for column in COLUMNS[:4]}
    rows = [r for r in _read(file) if any(r[column] != key[column] for column in key)]
    file.parent.mkdir(exist_ok=True)
    memory = psutil.virtual_memory().total / 1e9
    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB"
    with file.open("w", newline="", encoding="utf-8") as lines:
        when = f"{time.strftime('%Y-%m-%d')}, {where}, load before the last row {load:.1f}"
        lines.write(f"# One worker and two, {when}: python -m helpers bench workers --store\n")
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])
    return row


def own_network() -> None:
    """Give this process a network with a loopback only, where the kernel allows it."""
    import fcntl
    import socket
    import struct

    new_user, new_network = 0x10000000, 0x40000000
    libc = ctypes.CDLL(None)
    if libc.unshare(new_network) and libc.unshare(new_user | new_network):
        return
    up, get, put = 0x1, 0x8913, 0x8914  # IFF_UP, SIOCGIFFLAGS, SIOCSIFFLAGS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(wire, get, asked))[1]
        fcntl.ioctl(wire, put, struct.pack("16sh14x", b"lo", flags | up))


# --- the model of cost -------------------------------------------------------------------------


def fit_cost(rows: pd.DataFrame) -> tuple[np.ndarray, float]:
    """Return seconds per row, per byte, per step and per step of several, and the median misfit.

    Seconds of a step = rows / workers · computation + bytes / bandwidth + overhead, and latency where there is more
    than one worker. None is below 0. They are fitted to the measured steps of one way, each weighted by the inverse
    of its seconds; the misfit is relative.
    """
    several = (rows["workers"] > 1).to_numpy(float)
    terms = [rows["batch"] / rows["workers"], rows["step_bytes"], np.ones(len(rows)), several]
    table = np.column_stack(terms)
    seconds = rows["step_s"].to_numpy(float)
    scale = 1 / np.abs(table).max(axis=0)
    found, _ = nnls(table * scale / seconds[:, None], np.ones(len(rows)))
    cost = found * scale
    return cost, float(np.median(np.abs(table @ cost / seconds - 1)))


def pays_from(cost: np.ndarray, way: str, sent: tuple[float, float], workers: int) -> float:
    """Return from how many rows a step several machines are faster than one, on `NETWORK`; inf: never.

    ``sent`` says what two workers put on the loopback: bytes of a row, and bytes of a step. All that n workers send and
    get goes through one link, at worst n/2 times as much as with two: that of the kvstore's server. In the NeuMF job it
    is the first worker's, n - 1 times as much, since it sends nothing to itself. Latency is that of the network, there
    and back, and, as measured, that of the programs.
    """
    links = workers - 1 if way == "NeuMF job" else workers / 2
    by_row, by_step = (links * each / NETWORK["bandwidth"] for each in sent)
    saved = cost[0] * (1 - 1 / workers) - by_row
    waiting = by_step + 2 * NETWORK["latency"] + cost[3]
    return float(waiting / saved) if saved > 0 else np.inf


def _told(file: Path) -> Iterator[Row]:
    table = pd.read_csv(file, comment="#")
    for way, rows in table.dropna(subset=["step_s"]).groupby("way", sort=False):
        for (factors, batch), pair in rows.groupby(["factors", "batch"], sort=False):
            both = pair.set_index("workers")["step_s"]
            if {1, 2} <= set(both.index):
                what = f"k={factors}, {batch} rows a step: two workers"
                yield _line(f"{way}, {what}", both[1] / both[2], "times as fast as one")
        if len(rows) < 4 or rows["workers"].nunique() < 2:
            continue
        cost, misfit = fit_cost(rows)
        parts = "row", "megabyte", "step", "step of several, more"
        for part, value, unit in zip(
            parts, cost * [1e6, 1e9, 1e3, 1e3], ("µs", *["ms"] * 3), strict=True
        ):
            yield _line(f"{way}: a {part}", value, unit)
        yield _line(f"{way}: median misfit", 100 * misfit, "%")
        for factors, some in rows[rows["workers"] == 2].groupby("factors", sort=False):
            if some["batch"].nunique() < 2:
                continue
            by_row, by_step = np.polyfit(some["batch"], some["step_bytes"], 1)
            sent = max(by_row, 0.0), max(by_step, 0.0)
            for workers in _FROM_ONE:
                value = pays_from(cost, str(way), sent, workers)
                name = f"{way}, k={factors}: {workers} machines are faster than one from"
                yield _line(name, value, "rows a step", "modeled")


def _line(name: str, value: float, unit: str, target: str = "-") -> Row:
    return {"name": name, "value": float(value), "unit": unit, "target": target}
