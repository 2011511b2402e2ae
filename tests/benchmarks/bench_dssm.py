"""The choices behind chapter 08, made on cold splits inside the training parts, and what they reach on the test.

``COURSE_TRIES=0`` leaves out the search over settings. No row of a test part takes part in a choice.
"""

from __future__ import annotations

import os
import time
from itertools import product

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

from helpers import data, metrics
from helpers.models import content
from helpers.models.dssm import TwoTowers
from helpers.models.text import TitleSearch, hashed_trigrams, unit_rows

SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"sparse_weight": 1.0},
    {"dropout": 0.5, "regularization": 1e-3},
    {"epochs": 1},
    {"correct": False},
)


def hit_rate(scores: np.ndarray, split: data.Split) -> metrics.RankingResult:
    """HR@10 of scores (n_users, n_cold) among the items that only the test part holds."""
    cold = np.flatnonzero(split.test.item_counts())
    test = split.test.frame
    held_out = test["user"].to_numpy(), np.searchsorted(cold, test["item"].to_numpy())
    return metrics.evaluate(scores, held_out)["hit_rate"]


def knn(
    split: data.Split, words: float, neighbors: int, year: float = 0.0
) -> metrics.RankingResult:
    """Content k-NN with this weight of the year, and of the title's words in what is left; the rest for genres."""
    items = split.train.items
    rows = [
        (words * (1 - year), content.word_rows(items["title"].tolist())),
        ((1 - words) * (1 - year), content.genre_rows(items)),
    ]
    if year:
        rows.append((year, unit_rows(content.year_rows(items))))
    model = content.ContentKNN(content.join(rows), neighbors).fit(split.train)
    cold = np.flatnonzero(split.test.item_counts())
    return hit_rate(model.scores(np.arange(split.train.n_users), cold), split)


def one_list(split: data.Split, regularization: float) -> metrics.RankingResult:
    """The same ten for everybody: a ridge regression's guess of how often each film will be taken."""
    items, counts = split.train.items, split.train.item_counts()
    known, cold = counts > 0, np.flatnonzero(split.test.item_counts())
    year, words = (
        unit_rows(content.year_rows(items)),
        content.word_rows(items["title"].tolist()),
    )
    everywhere = np.full((len(items), 1), 30.0)
    rows = sparse.hstack([content.genre_rows(items), year, words, everywhere]).tocsr()
    weights = lsqr(rows[known], np.log1p(counts[known]), damp=np.sqrt(regularization))[0]
    guess = np.float32(rows[cold] @ weights)
    return hit_rate(np.tile(guess, (split.train.n_users, 1)), split)


def towers(
    split: data.Split, seed: int, **settings: object
) -> tuple[TwoTowers, metrics.RankingResult]:
    """The chapter's model on one split."""
    items = split.train.items
    parts = {
        "genres": content.genre_rows(items).toarray(),
        "year": content.year_rows(items).toarray(),
        "title": hashed_trigrams(items["title"].tolist()),
    }
    model = TwoTowers(**{"seed": seed, **settings}).fit(split.train, parts)  # type: ignore[arg-type]
    cold = np.flatnonzero(split.test.item_counts())
    return model, hit_rate(model.scores(np.arange(split.train.n_users), cold), split)


def row(name: str, value: float, unit: str, target: str = "-") -> dict:
    """One line of the table."""
    return {"name": name, "value": float(value), "unit": unit, "target": target}


def run() -> list[dict]:
    """Choose on validation, then measure on the test parts of three splits, and time the search box."""
    ratings = data.load()
    tests = [data.cold_item_split(ratings, seed=seed) for seed in range(3)]
    inner = [data.cold_item_split(split.train, seed=100 + seed) for seed, split in enumerate(tests)]
    grid = list(product((0.3, 0.5, 0.65, 0.8, 1.0), (3, 5, 10, 20)))
    dated = list(product((0.65, 0.8, 0.9), (20, 100, 200), (0.05, 0.1, 0.2)))
    penalties = [1.0, 3.0, 10.0, 30.0, 100.0]
    if os.environ.get("COURSE_TRIES") == "0":
        grid, dated, penalties = [(0.65, 5)], [(0.9, 100, 0.1)], [3.0]
    rows, found = [], {g: np.mean([knn(s, *g).mean for s in inner]) for g in [*grid, *dated]}
    best, best_dated = (max(some, key=lambda g: found[g]) for some in (grid, dated))
    guesses = {
        a: np.mean([one_list(s, a).mean for s in inner]) for a in penalties
    }  # 3 to 100 hardly differ
    rows.append(
        row(f"k-NN, validation: words {best[0]:g}, {best[1]} neighbors", found[best], "HR@10")
    )
    name = "k-NN with the year, validation: {:g} of the rest words, {} neighbors, year {:g}".format(
        *best_dated
    )
    rows.append(row(name, found[best_dated], "HR@10"))
    for penalty, guess in guesses.items():
        rows.append(row(f"one list for all, validation: penalty {penalty:g}", guess, "HR@10"))
    if len(grid) > 1:
        for settings in SETTINGS:
            mean = np.mean([towers(s, seed, **settings)[1].mean for seed, s in enumerate(inner)])
            rows.append(row(f"towers, validation: {settings or 'chosen'}", mean, "HR@10"))
    started = time.process_time()  # of all threads, without waiting for others
    fitted = [towers(split, seed) for seed, split in enumerate(tests)]
    seconds = (time.process_time() - started) / 3
    ours = np.mean([result.mean for _, result in fitted])
    rows.append(row("towers, test, three splits", ours, "HR@10"))
    for other, judged, target in (
        ("k-NN", lambda split: knn(split, *best), "1.3"),
        ("k-NN with the year", lambda split: knn(split, *best_dated), "-"),
        ("one list for all, penalty 3", lambda split: one_list(split, 3.0), "-"),
    ):
        theirs = np.mean([judged(split).mean for split in tests])
        rows.append(row(f"{other}, test, three splits", theirs, "HR@10"))
        rows.append(row(f"towers / {other}", ours / theirs, "times", target))
    rows.append(row("one training", seconds, "CPU seconds"))
    search = TitleSearch(ratings.items["title"].tolist(), fitted[0][0].item_vectors())
    taken = []
    for title in ratings.items["title"].iloc[:300]:
        started = time.perf_counter()
        search.by_letters(title[:8])
        search.by_taste(title[:8])
        taken.append(1000 * (time.perf_counter() - started))
    rows.append(row("search, median of 300 answers", float(np.median(taken)), "ms", "50"))
    rows.append(row("search, 95th of 100 answers", float(np.quantile(taken, 0.95)), "ms", "50"))
    return rows
