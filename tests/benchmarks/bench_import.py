"""How long a learner waits for ``import helpers`` and for the rooms of a first chapter."""

from __future__ import annotations

import subprocess
import sys
import time

from helpers.book import ROOT


def _seconds(code: str, repeats: int = 5) -> float:
    """Return the fastest of some runs of a fresh interpreter, in seconds."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        best = min(best, time.perf_counter() - begin)
    return best


def run() -> list[dict]:
    """Measure imports beyond what starting Python takes."""
    empty = _seconds("pass")
    rows = []
    for code, target in (
        ("import helpers", "<= 0.5 s"),
        ("from helpers import data, gates, ledger, metrics, plots, interactive", "-"),
    ):
        rows.append({"name": code, "value": _seconds(code) - empty, "unit": "s", "target": target})
    return rows
