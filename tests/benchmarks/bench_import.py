"""How long a learner waits for ``import helpers`` and for the rooms of a first chapter."""

from __future__ import annotations

import subprocess
import sys

from helpers.book import ROOT

_TIMED = "import time; begin = time.perf_counter(); {code}; print(time.perf_counter() - begin)"


def _seconds(code: str, repeats: int = 5) -> float:
    """Return the fastest of some imports, each in a fresh interpreter, in seconds."""
    command = [sys.executable, "-c", _TIMED.format(code=code)]
    runs = [
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for _ in range(repeats)
    ]
    return min(float(run) for run in runs)


def run() -> list[dict]:
    """Measure the imports without the start of Python itself."""
    rows = []
    for code, target in (
        ("import helpers", "<= 0.5 s"),
        ("from helpers import data, gates, ledger, metrics, plots, interactive", "-"),
    ):
        rows.append({"name": code, "value": _seconds(code), "unit": "s", "target": target})
    return rows
