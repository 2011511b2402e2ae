"""User-level models: the speed of one pass, the search behind chapter 09's settings, and EASE on two data sets.

The search trains on the training part of leave-last-ten-out, less the last ten of *that*, and is judged by
those: no test row is read. Every loss gets the same tries. ``COURSE_SEARCH=1`` runs it (minutes); without
it the winners below are used.
"""

from __future__ import annotations

import itertools
import os
import time
from functools import partial
from typing import Any

import numpy as np

from helpers import data, metrics
from helpers.models.baselines import EASE, Popularity
from helpers.models.userlevel import MultVAE, UserLevel, first_weights, forward, pad_histories

DECAYS = (50.0, 100.0, 200.0, 400.0, 800.0, 1600.0)
CHOSEN: dict[str, dict[str, Any]] = {
    "multi-label": {"epochs": 20},
    "softmax": {"epochs": 10},
    "pairwise": {"epochs": 20, "learning_rate": 0.01},  # shortened, as below
    "sampled": {"epochs": 10},  # as the full sum it estimates
}

# found by the search -> shorter: compared on the same rows, so that the chapter takes less time
SHORTENED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "multi-label": ({"epochs": 20}, {"epochs": 12, "learning_rate": 0.008}),
    "pairwise": ({"epochs": 30}, {"epochs": 20, "learning_rate": 0.01}),
}


def row(name: str, value: float, unit: str, target: str = "-") -> dict:
    """One line of the benchmark's table."""
    return {"name": name, "value": value, "unit": unit, "target": target}


def ndcg_of(model: Any, split: data.Split) -> metrics.RankingResult:
    """NDCG@10 over the full catalog, seen items left out."""
    return metrics.evaluate(model, split.test, seen=split.train)["ndcg"]


def search() -> list[dict]:
    """Validation NDCG@10 of the same tries for every loss, and of EASE's decays."""
    inner = data.leave_last_out(data.leave_last_out(data.load(), 10).train, 10, seed=1)
    rows = [
        row(
            f"search: EASE regularization={d:g}",
            ndcg_of(EASE(d).fit(inner.train), inner).mean,
            "NDCG",
        )
        for d in DECAYS
    ]
    for loss, epochs, weight in itertools.product(CHOSEN, (10, 20, 30), (0.0, 0.002)):
        model = UserLevel(loss, epochs=epochs, regularization=weight).fit(inner.train)
        name = f"search: {loss} epochs={epochs} regularization={weight}"
        rows.append(row(name, ndcg_of(model, inner).mean, "NDCG"))
        print(rows[-1], flush=True)
    for loss, (found, shorter) in SHORTENED.items():
        long, short = (
            ndcg_of(UserLevel(loss, **some).fit(inner.train), inner) for some in (found, shorter)
        )
        rows.append(row(f"search: {loss} {shorter}: {short.compare(long)}", short.mean, "NDCG"))
    for epochs, strength in itertools.product((10, 20, 30), (0.1, 0.3)):
        model = MultVAE(epochs=epochs, strength=strength).fit(inner.train)
        rows.append(
            row(
                f"search: VAE epochs={epochs} strength={strength}",
                ndcg_of(model, inner).mean,
                "NDCG",
            )
        )
    return rows


def fastest(function: Any, repeats: int = 5) -> float:
    """Seconds of the fastest of a few calls."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def speed() -> list[dict]:
    """Score all items for all users of latest-small: pair by pair, by one product, by one pass."""
    ratings = data.load()
    split = data.leave_one_out(ratings)
    generator = np.random.default_rng(0)
    users = generator.normal(size=(ratings.n_users, 64)).astype(np.float32)
    items = generator.normal(size=(ratings.n_items, 64)).astype(np.float32)
    weights = first_weights(ratings.n_items, 64, ratings.item_counts(), ratings.n_users, 0)
    histories = split.train.matrix()
    histories.data[:] = 1
    ends = np.cumsum(split.train.user_counts())[:-1]
    padded = pad_histories(np.split(histories.indices, ends))

    def loop() -> None:
        for u in range(ratings.n_users):
            scores = {}
            for i in range(ratings.n_items):
                scores[i] = float(users[u] @ items[i])

    pairs = fastest(loop, 1)
    product = fastest(lambda: users @ items.T)
    one_pass = fastest(lambda: forward(weights, histories))
    of_lists = fastest(lambda: forward(weights, padded))
    return [
        row("loop over pairs, 671 x 9,066", pairs, "s"),
        row("one matrix product", product, "s"),
        row("user-level, one pass, sparse rows", one_pass, "s"),
        row("user-level, one pass, padded lists", of_lists, "s"),
        row("user-level against the loop over pairs", pairs / one_pass, "x", ">= 50"),
        row("user-level against the loop, padded lists", pairs / of_lists, "x", ">= 50"),
    ]


def quality(ratings: data.Interactions, decay: float) -> list[dict]:
    """NDCG@10 on test of the chosen settings over three seeds, and the paired difference to EASE."""
    rows = []
    for split in (data.leave_last_out(ratings, 10), data.leave_one_out(ratings)):
        what = f"{ratings.name}, {split.name.split(',')[0]}"
        ease = ndcg_of(EASE(decay).fit(split.train), split)
        popularity = ndcg_of(Popularity().fit(split.train), split)
        rows.append(row(f"{what}: EASE", ease.mean, "NDCG@10"))
        rows.append(row(f"{what}: popularity", popularity.mean, "NDCG@10"))
        models: dict[str, Any] = {loss: partial(UserLevel, loss, **CHOSEN[loss]) for loss in CHOSEN}
        for name, make in (models | {"Mult-VAE": MultVAE}).items():
            for seed in range(3):
                found = ndcg_of(make(seed=seed).fit(split.train), split)
                target = "high >= 0" if name == "multi-label" else "-"
                gap = found.compare(ease)
                rows.append(row(f"{what}: {name}, seed {seed}", found.mean, "NDCG@10"))
                rows.append(
                    row("  minus EASE, high end of the interval", gap.high, f"{gap}", target)
                )
    return rows


def run() -> list[dict]:
    """Speed, then quality on the sets that are here; the search where it is asked for."""
    rows = speed()
    if os.environ.get("COURSE_SEARCH") == "1":
        rows += search()
    for name, decay in (("latest-small", 800.0), ("100k", 200.0)):
        ratings = data.load_or_none(name)
        if ratings is not None:
            rows += quality(ratings, decay)
    return rows
