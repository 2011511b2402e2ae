"""One worker beside two, measured: ``python -m helpers bench workers``; chapter 06 fits a model of cost to the rows.

Four ways to train with several workers, each worker a process with a core of its own: MXNet's kvstore in step and out
of step (`helpers.models.kvstore`, the factorization machine), chapter 05's job, whose first worker adds up the
gradients of all, and the same with `tf.distribute`, which passes them round (`ncf_distribute`). Beside them the container of the factorization machine, which takes one host only.

``--ways=…``, ``--workers=1,2`` choose rows. A finished row is at once a line of ``build/two_workers.csv``, or with
``--store`` of ``helpers/two_workers.csv``, which chapter 06 shows; what is there is measured again only with
``--again``. ``--quick`` proves the way on a few steps. The ratings are ML-100K's, or latest-small's without it.

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

import psutil

from helpers import data, models

ROOT = Path(__file__).resolve().parents[2]
STORED = Path(models.__file__).parents[1] / "two_workers.csv"
COLUMNS = ["way", "workers", "factors", "batch", "numbers", "step_s", "step_bytes"]
COLUMNS += ["rows_per_s", "metric", "value", "note"]
# factors and rows per step of all workers
_SIZES = {
    "kvstore, in step": ((8, 1000), (8, 8000), (64, 1000), (64, 8000)),
    "kvstore, out of step": ((8, 1000), (8, 8000), (64, 1000), (64, 8000)),
    "NeuMF job": ((16, 4096), (16, 1024), (64, 4096), (64, 1024)),
    "NeuMF, tf.distribute": ((16, 4096), (16, 1024), (64, 4096), (64, 1024)),
    "FM job": ((64, 1000),),
}
Row = dict[str, Any]


def run(*options: str) -> Iterator[Row]:
    """Measure what is missing, and yield each row."""
    parser = argparse.ArgumentParser("python -m helpers bench workers")
    parser.add_argument("--ways", default="", help=f"words of {', '.join(_SIZES)}, with commas")
    parser.add_argument("--workers", default="1,2")
    for name in ("store", "again", "quick"):
        parser.add_argument(f"--{name}", action="store_true")
    given = parser.parse_args(options)
    file = STORED if given.store else ROOT / "build" / "two_workers.csv"
    words = given.ways.split(",")
    for way, sizes in _SIZES.items():
        if not any(word in way for word in words):
            continue
        for factors, batch in sizes[: 1 if given.quick else None]:
            for workers in map(int, given.workers.split(",")):
                there = {
                    (r["way"], int(r["workers"]), int(r["factors"]), int(r["batch"]))
                    for r in _read(file)
                }
                if given.again or (way, workers, factors, batch) not in there:
                    yield _shown(_measured(file, way, workers, factors, batch, given.quick))


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
    name = "latest-small" if data.load_or_none("100k") is None else "ML-100K"
    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB"
    with file.open("w", newline="", encoding="utf-8") as lines:
        when = f"{time.strftime('%Y-%m-%d')}, {where}, load before the last row {load:.1f}"
        lines.write(
            f"# One worker and two, {name}, {when}: python -m helpers bench workers --store\n"
        )
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
