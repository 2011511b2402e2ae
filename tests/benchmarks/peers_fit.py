"""Fit one model with each of some settings: ``python peers_fit.py FOLDER MODULE NAME``, where the model is installed.

MODULE is one of ``peers_ours``, ``peers_rating`` and ``peers_ordering`` beside this file; its ``FITS`` has NAME. FOLDER
holds ``rows.npz``: ``train`` (n, 2) users and items, user by user and in the order of time, their ``stars`` (n,), the
``test`` pairs (m, 2), and ``sizes``, the numbers of users and items; ``data.pickle``, the training part as the
course's own `Interactions`; and ``settings.json``, a list of {"seed": …, "settings": {…}}.

What try n predicts goes to ``found-n.npy``: a rating for each test pair, or a score for each user and item. Then a line
on standard output says the seconds, by wall clock and of CPU with that of its processes, the peak memory of the
process in MB, libraries and rows included, and the version. Imports are not in the seconds.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np


def _peak() -> float:
    """Return the peak memory in MB; of child processes, as many of the largest as there are cores."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():  # the other number begins with the memory of the parent process
        kib = next(int(x.split()[1]) for x in status.read_text().splitlines() if "VmHWM" in x)
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (os.cpu_count() or 1)
    return (kib + of_children) / (1e6 if sys.platform == "darwin" else 1e3)


def main(folder: str, module: str, name: str) -> None:
    """Fit, save what each try predicts, and print a line of JSON for each."""
    warnings.simplefilter("ignore")
    package, ready, fit = importlib.import_module(module).FITS[name]
    with np.load(Path(folder, "rows.npz")) as file:
        rows = dict(file, folder=folder)
    ready()
    version = importlib.metadata.version(package) if package else ""
    for number, one in enumerate(json.loads(Path(folder, "settings.json").read_text())):
        began, busy = time.perf_counter(), sum(os.times()[:4])
        predict = fit(rows, one["seed"], **one["settings"])
        found = predict() if len(rows["test"]) else None
        said = {"seconds": time.perf_counter() - began, "cpu": sum(os.times()[:4]) - busy}
        np.save(Path(folder, f"found-{number}.npy"), predict() if found is None else found)
        said |= {"number": number, "megabytes": _peak(), "version": version}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
