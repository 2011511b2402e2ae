"""Seconds to load the embedded data set and to split it; ``run`` is called by the bench command."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from helpers import data

REPEATS = 5


def run() -> list[dict[str, Any]]:
    """Measure loading and every split on latest-small.

    Returns
    -------
    list of dict
        One a measurement: ``name``, ``value`` (the median of five), ``unit`` and
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
    return rows + [
        _row(f"{name}, latest-small", _median_seconds(call), 0.2) for name, call in splits.items()
    ]


def _median_seconds(call: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[REPEATS // 2]


def _row(name: str, seconds: float, target: float) -> dict[str, Any]:
    return {"name": name, "value": round(seconds, 4), "unit": "s", "target": target}


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:34} {row['value']:.3f} {row['unit']}  (target {row['target']})")
