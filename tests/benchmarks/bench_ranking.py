"""Seconds for ranking metrics on the default set, and for fitting the ranking baselines."""

from __future__ import annotations

import time

import numpy as np

from helpers.data import leave_last_out, leave_one_out, load
from helpers.metrics import evaluate, top_k
from helpers.models.baselines import EASE, ImplicitALS, ItemKNN
from helpers.models.implicit import LogisticMF


def _fastest(function: object, repeats: int = 5) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - begin)
    return best


def run() -> list[dict]:
    """Measure from a score matrix of all users and items."""
    data = load("latest-small")
    one, ten = leave_one_out(data), leave_last_out(data, 10)
    rng = np.random.default_rng(0)
    scores = rng.random((data.n_users, data.n_items), dtype=np.float32)
    size = f"{data.n_users} x {data.n_items}"
    rows = []
    for name, function, target in (
        (
            "HR and NDCG@10, full catalog, one held out",
            lambda: evaluate(scores, one.test, seen=one.train),
            "<= 0.2",
        ),
        (
            "HR and NDCG@10, full catalog, ten held out",
            lambda: evaluate(scores, ten.test, seen=ten.train),
            "<= 0.2",
        ),
        ("top 10 of every user", lambda: top_k(scores, 10, seen=one.train), "-"),
    ):
        rows.append(
            {"name": f"{name}, {size}", "value": _fastest(function), "unit": "s", "target": target}
        )
    for model in (ItemKNN(), EASE(), ImplicitALS(), LogisticMF()):
        begin = time.perf_counter()
        model.fit(one.train)
        rows.append(
            {
                "name": f"fit {type(model).__name__}, {size}",
                "value": time.perf_counter() - begin,
                "unit": "s",
                "target": "-",
            }
        )
    return rows
