"""The choices behind chapter 08, made on cold splits inside the training parts, and the search box.

It runs the chapter's own code, taken from its source. ``COURSE_TRIES=0`` leaves out the search over
settings. No row of a test part takes part in a choice.
"""

from __future__ import annotations

import os
import time
from itertools import product
from typing import Any

import numpy as np

from helpers import data
from helpers.exercises import source
from helpers.models.text import TitleSearch

NAMES = ("TwoTowers", "tower_scores", "film_vectors", "knn", "one_list", "judge", "parts", "titles")
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"epochs": 2},
    {"learning_rate": 0.005},
    {"batch_size": 1024},
    {"correct": False},
)


def chapter() -> dict[str, Any]:
    """Return what the cells of chapter 08 define: its functions, networks and data."""
    statements = [s for cell in source.cells_of("08") for s in source._statements(cell)]
    known: dict[str, Any] = {"__name__": "chapter"}
    for name in NAMES:
        source._bind(name, statements, known)
    return known


def row(name: str, value: float, unit: str, target: str = "-") -> dict:
    """One line of the table."""
    return {"name": name, "value": float(value), "unit": unit, "target": target}


def run() -> list[dict]:
    """Choose on validation, then measure on the test parts of three splits, and time the search box."""
    the = chapter()
    tests = the["splits"]
    inner = [data.cold_item_split(split.train, seed=100 + seed) for seed, split in enumerate(tests)]

    def films(split: data.Split) -> np.ndarray:
        return np.flatnonzero(split.test.item_counts())

    def hit_rate(split: data.Split, scores: np.ndarray) -> float:
        return the["judge"](scores, split.test, films(split)).mean

    def knn(split: data.Split, words: float, neighbors: int, year: float = 0.0) -> float:
        weights = {"words": words * (1 - year), "genres": (1 - words) * (1 - year), "year": year}
        return hit_rate(split, the["knn"](split.train, films(split), weights, neighbors))

    def towers(split: data.Split, seed: int, **settings: Any) -> tuple[Any, float]:
        fitted = the["TwoTowers"](split.train, the["parts"], seed).fit(**settings)
        scores = the["tower_scores"](fitted, split.train, films(split), the["parts"])
        return fitted, hit_rate(split, scores)

    rows = []
    if os.environ.get("COURSE_TRIES") != "0":
        grid = [*product((0.3, 0.5, 0.65, 0.8, 1.0), (3, 5, 10, 20))]
        dated = [*product((0.65, 0.8, 0.9), (20, 100, 200), (0.05, 0.1, 0.2))]
        for name, some in (("k-NN", grid), ("k-NN with the year", dated)):
            found = {g: np.mean([knn(s, *g) for s in inner]) for g in some}
            best = max(found, key=lambda g: found[g])
            rows.append(row(f"{name}, validation: {best}", found[best], "HR@10"))
        for settings in SETTINGS:
            mean = np.mean([towers(s, seed, **settings)[1] for seed, s in enumerate(inner)])
            rows.append(row(f"towers, validation: {settings or 'chosen'}", mean, "HR@10"))
    started = time.process_time()  # of all threads, without waiting for others
    fitted = [towers(split, seed) for seed, split in enumerate(tests)]
    seconds = (time.process_time() - started) / 3
    rows.append(row("towers, test, three splits", np.mean([mean for _, mean in fitted]), "HR@10"))
    for name, given in (("k-NN", (0.65, 5)), ("k-NN with the year", (0.9, 100, 0.1))):
        mean = np.mean([knn(split, *given) for split in tests])
        rows.append(row(f"{name}, test, three splits", mean, "HR@10"))
    lists = [hit_rate(split, the["one_list"](split.train, films(split))) for split in tests]
    rows.append(row("one list for all, test, three splits", np.mean(lists), "HR@10"))
    rows.append(row("one training", seconds, "CPU seconds"))
    search = TitleSearch(the["titles"], the["film_vectors"](fitted[0][0], the["parts"]))
    taken = []
    for title in the["titles"][:300]:
        started = time.perf_counter()
        search.by_letters(title[:8])
        search.by_taste(title[:8])
        taken.append(1000 * (time.perf_counter() - started))
    rows.append(row("search, median of 300 answers", float(np.median(taken)), "ms", "50"))
    rows.append(row("search, 95th of 100 answers", float(np.quantile(taken, 0.95)), "ms", "50"))
    return rows
