"""How seconds and memory grow from 100 thousand to 20 million ratings: ``python -m helpers bench scale``.

``--sizes=100k,1M`` and ``--steps=csv,mf`` choose a part; without them, all of it runs, which takes a quarter of an
hour. Ratings are planted once per size (see `scale_steps`) and each step runs in a process of its own. A finished step
is a row of ``build/scale/scale.csv`` at once, so that an interrupted bench keeps its rows; of a step that was measured
twice the later row counts. ``--store`` writes the table for chapter 06, which draws it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

import helpers
from tests.benchmarks.scale_steps import STEPS, plant

FOLDER = Path(__file__).resolve().parents[2] / "build" / "scale"
STORED = Path(helpers.__file__).with_name("twenty_million.csv")
SIZES = {"100k": 100_000, "1M": 1_000_000, "5M": 5_000_000, "20M": 20_000_000}
HEAD = [
    "date",
    "cores",
    "memory_gb",
    "size",
    "ratings",
    "step",
    "seconds",
    "cpu_seconds",
    "peak_mb",
]
MEMORY = 1.0e9  # bytes of any step
PER_RATING, ON_DISK = 150, 50  # bytes more for each rating, in memory and on the disk


def run(*options: str) -> Iterator[dict[str, Any]]:
    """Yield one row per step and size as it is measured, then how the seconds of each step grow."""
    parser = argparse.ArgumentParser("python -m helpers bench scale")
    parser.add_argument("--sizes", default=",".join(SIZES), help=f"of {','.join(SIZES)}")
    parser.add_argument("--steps", default=",".join(STEPS), help=f"of {','.join(STEPS)}")
    parser.add_argument("--store", action="store_true", help=f"write {STORED.name}, too")
    given = parser.parse_args(options)
    sizes, steps = given.sizes.split(","), given.steps.split(",")
    for names, known in (sizes, SIZES), (steps, STEPS):
        for name in names:
            if name not in known:
                raise SystemExit(f"{name!r} is none of {', '.join(known)}")
    for size in sizes:
        _room(size, psutil.virtual_memory().available, shutil.disk_usage(FOLDER.parents[1]).free)
    for size in sizes:
        folder = FOLDER / str(SIZES[size])
        if not folder.exists():
            plant(folder, SIZES[size])
        for step in steps:
            yield from _rows(step, size, _measured(step, size, folder))
    if (FOLDER / "scale.csv").exists():
        yield from _growth()
        if given.store:
            _store()


def _room(size: str, memory: int, disk: int) -> None:
    """Refuse a size that does not fit, with the numbers."""
    ratings = SIZES[size]
    planted = (FOLDER / str(ratings)).exists()
    needs = (
        ("memory", MEMORY + PER_RATING * ratings, memory),
        ("disk", ON_DISK * ratings * (not planted), disk),
    )
    for what, need, there in needs:
        if need > there:
            raise SystemExit(
                f"{size} ratings need {need / 1e9:.1f} GB of {what}, and {there / 1e9:.1f} GB are free: "
                "nothing was started; free some, or choose smaller ones with --sizes"
            )


def _measured(step: str, size: str, folder: Path) -> dict[str, float] | str:
    """Return what a step took, as a row of the CSV that is written at once, or why it failed."""
    command = [sys.executable, "-m", "tests.benchmarks.scale_steps", str(folder), step]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=FOLDER.parents[1]
    )
    if done.returncode:
        return (done.stderr.strip() or f"ended by signal {-done.returncode}").splitlines()[-1]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    memory = round(psutil.virtual_memory().total / 1e9, 1)
    row = [
        time.strftime("%Y-%m-%d"),
        os.cpu_count(),
        memory,
        size,
        SIZES[size],
        step,
        *found.values(),
    ]
    table, new = FOLDER / "scale.csv", not (FOLDER / "scale.csv").exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEAD] * new + [row])
    return found


def _rows(step: str, size: str, found: dict[str, float] | str) -> Iterator[dict[str, Any]]:
    name, _, target = STEPS[step]
    if isinstance(found, str):
        yield {"name": f"{name}, {size}", "value": "failed", "unit": found, "target": "-"}
        return
    wanted, memory = (target, "<= 4,000") if size == "20M" else ("-", "-")
    yield {"name": f"{name}, {size}", "value": found["seconds"], "unit": "s", "target": wanted}
    yield {"name": "  CPU", "value": found["cpu_seconds"], "unit": "s", "target": "-"}
    yield {"name": "  peak memory", "value": found["peak_mb"], "unit": "MB", "target": memory}


def table() -> pd.DataFrame:
    """Return the latest measurement of every step and size."""
    rows = pd.read_csv(FOLDER / "scale.csv").drop_duplicates(["ratings", "step"], keep="last")
    return rows.sort_values(["step", "ratings"], ignore_index=True)


def _store() -> None:
    """Write the table for chapter 06: names of steps, and the machine in the first line."""
    rows = table()
    machine = (
        f"{rows['date'].max()}, {rows['cores'].iloc[-1]} cores, {rows['memory_gb'].iloc[-1]:.0f} GB"
    )
    said = (
        f"# Planted ratings in MovieLens' shape, {machine}: python -m helpers bench scale --store\n"
    )
    order = rows["step"].map(list(STEPS).index)
    rows = rows.assign(step=rows["step"].map(lambda step: STEPS[step][0]), order=order)
    rows = rows.sort_values(["order", "ratings"])
    columns = ["step", "ratings", "seconds", "cpu_seconds", "peak_mb"]
    STORED.write_text(said + rows[columns].to_csv(index=False), encoding="utf-8")


def _growth() -> Iterator[dict[str, Any]]:
    """Yield the exponent of each step from a million ratings on."""
    rows = table()
    for step in (step for step in STEPS if step in set(rows["step"])):
        part = rows[rows["step"] == step]
        large = part[part["ratings"] >= SIZES["1M"]]
        if len(large) > 1:
            slopes = [
                np.polyfit(np.log(large["ratings"]), np.log(large[c]), 1)[0]
                for c in ("seconds", "cpu_seconds")
            ]
            name = f"{STEPS[step][0]}: growth exponent, {large['size'].iloc[0]} to {large['size'].iloc[-1]}"
            yield {
                "name": name,
                "value": round(float(slopes[0]), 3),
                "unit": "",
                "target": "<= 1.15",
            }
            yield {
                "name": "  of the CPU seconds",
                "value": round(float(slopes[1]), 3),
                "unit": "",
                "target": "-",
            }
