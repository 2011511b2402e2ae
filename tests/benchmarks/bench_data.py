"""Seconds to load, split and read ratings; ``run`` is called by the bench command."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import data

REPEATS = 5
DTYPES = {"user_id": np.int64, "item_id": np.int64, "rating": np.float32, "timestamp": np.int64}


def run() -> list[dict[str, Any]]:
    """Measure loading and every split on latest-small, and reading a learner's own CSV.

    Returns
    -------
    list of dict
        One per measurement: ``name``, ``value`` (the median of five), ``unit`` and
        ``target`` (the most it should be).
    """
    small = data.load()
    splits: dict[str, Callable[[], Any]] = {
        "random split": lambda: data.random_split(small),
        "leave last 10 out": lambda: data.leave_last_out(small),
        "leave last one out": lambda: data.leave_one_out(small),
        "split by time": lambda: data.time_split(small),
        "cold items split": lambda: data.cold_item_split(small),
    }
    rows = [_row("load latest-small", _median_seconds(data.load), 0.5)]
    rows += [
        _row(f"{name}, latest-small", _median_seconds(call), 0.2) for name, call in splits.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        for count in (100_000, 2_000_000):
            rows += _reading(Path(folder) / f"{count}.csv", count)
    return rows


def _reading(path: Path, count: int) -> list[dict[str, Any]]:
    """Measure `read_ratings` on ``count`` rows, alone and as a multiple of `pandas.read_csv`."""
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, count // 50 * 5_000, count))
    ratings = {"user_id": pairs // 5_000, "item_id": pairs % 5_000}
    ratings["rating"] = rng.integers(1, 11, len(pairs)) / 2
    ratings["timestamp"] = rng.integers(10**9, 15 * 10**8, len(pairs))
    pd.DataFrame(ratings).to_csv(path, index=False)
    ours, theirs = [], []
    for _ in range(REPEATS):  # in turns, so that both see the same machine
        ours.append(_seconds(lambda: data.read_ratings(path)))
        theirs.append(_seconds(lambda: pd.read_csv(path, dtype=DTYPES)))
    median = sorted(ours)[REPEATS // 2]
    times = {"value": round(median / sorted(theirs)[REPEATS // 2], 2), "unit": "x", "target": 2.5}
    name = f"read {len(pairs):,} rows of CSV"
    seconds = [_row(name, median, 0.5)] if count == 100_000 else []
    return [*seconds, {"name": f"{name}, as multiple of pandas", **times}]


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _median_seconds(call: Callable[[], Any]) -> float:
    return sorted(_seconds(call) for _ in range(REPEATS))[REPEATS // 2]


def _row(name: str, seconds: float, target: float) -> dict[str, Any]:
    return {"name": name, "value": round(seconds, 4), "unit": "s", "target": target}


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:50} {row['value']:.3f} {row['unit']}  (target {row['target']})")
