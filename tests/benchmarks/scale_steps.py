"""Planted ratings of any size in MovieLens' shape, and one step of the course's code on them, measured.

``python -m tests.benchmarks.scale_steps FOLDER STEP`` runs a step in a process of its own and prints its seconds,
CPU seconds and peak memory as JSON. Reading the columns, importing libraries and compiling are not in the seconds;
in the peak is all that the process holds while the step runs.

Users grow with the ratings, 144 each on average, and the catalog has MovieLens 20M's 27,278 items at every size.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from pyarrow.csv import CSVWriter

from helpers import data
from helpers.data import Interactions

ITEMS, USERS, RATINGS = 27_278, 138_493, 20_000_263  # of MovieLens 20M
COLUMNS = {"user": np.int32, "item": np.int32, "rating": np.float32, "timestamp": np.int64}
_BLOCK = 1_000_000  # ratings planted at a time
_GENRES = 8
_SHORT = 30.0  # seconds
Call = Callable[[], Any]


def plant(folder: Path, ratings: int, seed: int = 0) -> None:
    """Write ``ratings`` planted ratings, sorted by user and item, as a CSV and as a file per column.

    A user's number of ratings is 20 plus a lognormal one, as in MovieLens (median 68, mean 144). Items fall like
    1 / rank, the later half faster. Half of a user's items come from one of eight genres. Stars are biases plus
    a product of rank 8 plus noise, in halves. One rating in four has the second of the one before it.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    n_users = max(1, round(USERS * ratings / RATINGS))
    counts = _counts(rng, n_users, ratings)
    rank = np.arange(ITEMS)
    weight = np.exp(-rank / 4000) / (rank + 80) + 2e-6
    catalog = {
        "chance": np.cumsum(weight / weight.sum()),
        "place": rng.permutation(ITEMS),
        "bias": rng.normal(0, 0.5, ITEMS),
        "taste": rng.normal(0, 0.35, (ITEMS, 8)),
    }
    ends = np.cumsum(counts)
    files = {
        name: np.lib.format.open_memmap(partial / f"{name}.npy", "w+", kind, (int(ends[-1]),))
        for name, kind in COLUMNS.items()
    }
    cuts = np.unique(np.searchsorted(ends, np.arange(0, ends[-1], _BLOCK)))
    names = pa.schema(
        [
            ("userId", pa.int32()),
            ("movieId", pa.int32()),
            ("rating", pa.float32()),
            ("timestamp", pa.int64()),
        ]
    )
    with CSVWriter(partial / "ratings.csv", names) as table:
        for first, last in zip(cuts, [*cuts[1:], n_users], strict=True):
            if first == last:
                continue
            block = _block(rng, counts[first:last], catalog)
            block["user"] += np.int32(first)
            part = slice(int(ends[first] - counts[first]), int(ends[last - 1]))
            for name, file in files.items():
                file[part] = block[name]
            columns = [block["user"] + 1, block["item"] + 1, block["rating"], block["timestamp"]]
            table.write_table(pa.table([pa.array(column) for column in columns], schema=names))
    for file in files.values():
        file.flush()
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _counts(rng: np.random.Generator, n_users: int, ratings: int) -> np.ndarray:
    """Return how many ratings each user has: 20 or more, a third of the catalog at most."""
    above = np.minimum(rng.lognormal(np.log(48), 1.377, n_users), ITEMS / 3 - 20)
    counts = np.minimum(
        20 + (above * max(ratings - 20 * n_users, 0) / above.sum()).astype(np.int64), ITEMS // 3
    )
    short, rest = divmod(ratings - int(counts.sum()), n_users)
    return counts + short + (np.arange(n_users) < rest)


def _block(
    rng: np.random.Generator, counts: np.ndarray, catalog: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the ratings of some users, in the order of user and item."""
    genre, keys, more = rng.integers(0, _GENRES, len(counts)), np.empty(0, np.int64), 1.2
    while True:
        missing = counts - np.bincount(keys // ITEMS, minlength=len(counts))
        if not (missing > 0).any():
            break
        draws = np.ceil(np.maximum(missing, 0) * more).astype(np.int64)
        user = np.repeat(np.arange(len(counts)), draws)
        rank = np.minimum(catalog["chance"].searchsorted(rng.random(len(user))), ITEMS - 1)
        own = rng.random(len(user)) < 0.5
        rank[own] = np.minimum(rank[own] // _GENRES * _GENRES + genre[user[own]], ITEMS - 1)
        keys = np.unique(np.concatenate([keys, user * ITEMS + catalog["place"][rank]]))
        more *= 2  # who has much has most of the head, and draws it again and again
    user = keys // ITEMS
    order = np.lexsort((rng.random(len(keys)), user))  # in time
    starts = np.searchsorted(user, np.arange(len(counts)))
    order = order[np.arange(len(keys)) - starts[user] < counts[user]]
    user, item = np.divmod(keys[order], ITEMS)
    gaps = rng.geometric(0.25, len(order)) - 1
    gaps += np.where(rng.random(len(order)) < 0.02, rng.exponential(5e6, len(order)), 0).astype(
        np.int64
    )
    first = np.cumsum(counts) - counts
    gaps[first] = rng.integers(789_652_009, 1_400_000_000, len(counts))  # 1995 to 2014
    clock = np.cumsum(gaps)
    clock -= (clock[first] - gaps[first])[user]
    tastes = rng.normal(0, 0.35, (len(counts), 8))
    stars = 3.5 + rng.normal(0, 0.4, len(counts))[user] + catalog["bias"][item]
    stars += np.einsum("nk,nk->n", tastes[user], catalog["taste"][item]) + rng.normal(
        0, 0.7, len(user)
    )
    stars = np.clip(np.round(2 * stars) / 2, 0.5, 5.0)
    filed = np.argsort(keys[order])
    columns = {"user": user, "item": item, "rating": stars, "timestamp": clock}
    return {name: column[filed].astype(COLUMNS[name]) for name, column in columns.items()}


def world(folder: Path) -> Interactions:
    """Return the planted ratings of a folder; every user and item of the plan, rated or not."""
    columns = {name: np.load(folder / f"{name}.npy") for name in COLUMNS}
    n_users, ids = int(columns["user"][-1]) + 1, np.arange(1, ITEMS + 1)
    items = {
        "item_id": ids,
        "title": [f"item {i}" for i in ids],
        "year": pd.array([pd.NA] * ITEMS, "Int16"),
    }
    table = pd.DataFrame({**items, "genres": [()] * ITEMS}).rename_axis(index="item")
    frame = pd.DataFrame(columns, copy=False)
    return Interactions("planted", frame, table, np.arange(1, n_users + 1), ids)


def _read_pandas(folder: Path) -> Call:
    kinds = {"userId": np.int64, "movieId": np.int64, "rating": np.float32, "timestamp": np.int64}
    return lambda: pd.read_csv(folder / "ratings.csv", dtype=kinds)


def _read(folder: Path) -> Call:
    return lambda: data.read_ratings(folder / "ratings.csv")


def _split(name: str, **settings: Any) -> Callable[[Path], Call]:
    def prepared(folder: Path) -> Call:
        ratings = world(folder)
        return lambda: getattr(data, name)(ratings, **settings)

    return prepared


def _fit(module: str, name: str, **settings: Any) -> Callable[[Path], Call]:
    def prepared(folder: Path) -> Call:
        ratings, room = world(folder), importlib.import_module(f"helpers.models.{module}")
        model = getattr(room, name)(**settings)
        if hasattr(room, "_LARGE"):  # the loops that many ratings need are compiled beforehand
            with patch.object(room, "_LARGE", 0):
                getattr(room, name)(**settings).fit(ratings.replace(ratings.frame.head(1000)))
        return lambda: model.fit(ratings)

    return prepared


def _negatives(folder: Path) -> Call:
    from helpers.sampling import NegativeSampler

    ratings = world(folder)
    users, rng = ratings.frame["user"].to_numpy(), np.random.default_rng(0)
    return lambda: NegativeSampler(ratings).draw(users, ratio=5, rng=rng)


def _machine(folder: Path) -> Call:
    from helpers.models.fm import TUNED_HYPERPARAMETERS, FactorizationMachine, rating_rows

    ratings, settings = world(folder), TUNED_HYPERPARAMETERS | {"epochs": 1}
    few = rating_rows(ratings.replace(ratings.frame.head(1000)))
    FactorizationMachine.from_sagemaker(settings).fit(*few)  # compiles
    machine = FactorizationMachine.from_sagemaker(settings)
    return lambda: machine.fit(*rating_rows(ratings))


def _lists(folder: Path) -> Call:
    from helpers.metrics import top_k
    from helpers.models.baselines import ImplicitALS

    ratings = world(folder)
    model = ImplicitALS(epochs=1, steps=1).fit(ratings)
    return lambda: top_k(model, 100, seen=ratings)


def _ranking(folder: Path) -> Call:
    from helpers.metrics import evaluate
    from helpers.models.baselines import ImplicitALS

    split = data.leave_one_out(world(folder))
    model = ImplicitALS(epochs=1, steps=1).fit(split.train)
    return lambda: [
        result.interval for result in evaluate(model, split.test, seen=split.train).values()
    ]


_MF = {"epochs": 3, "validation_share": 0.0, "refit": False}
#: name of a step: what it is, how a call of it is prepared, and what 20 million ratings must reach
STEPS: dict[str, tuple[str, Callable[[Path], Call], str]] = {
    "pandas": ("pandas.read_csv, types given", _read_pandas, "-"),
    "csv": ("read_ratings", _read, "<= 2.5 x pandas"),
    "random": ("random split", _split("random_split"), "<= 5 x 5M"),
    "last": ("leave last ten out", _split("leave_last_out"), "<= 5 x 5M"),
    "time": ("split by time", _split("time_split"), "<= 5 x 5M"),
    "cold": ("cold items split", _split("cold_item_split"), "<= 5 x 5M"),
    "negatives": ("five negatives a rating", _negatives, "<= 10 s"),
    "biases": ("two biases, 20 rounds", _fit("baselines", "BiasModel"), "-"),
    "mf": (
        "biased factorization, 3 epochs of 32 factors",
        _fit("mf", "MatrixFactorization", **_MF),
        "-",
    ),
    "logistic": (
        "factorization with negatives, 1 epoch",
        _fit("implicit", "LogisticMF", epochs=1),
        "-",
    ),
    "ials": (
        "iALS, 10 epochs of 32 factors",
        _fit("baselines", "ImplicitALS"),
        "<= 1.5 x implicit",
    ),
    "fm": ("factorization machine, 1 epoch of 32 factors", _machine, "-"),
    "transitions": ("transitions", _fit("order", "Transitions"), "<= 30 s"),
    "userlevel": ("user-level net, 1 epoch", _fit("userlevel", "UserLevel", epochs=1), "-"),
    "lists": ("top 100 of every user", _lists, "<= 180 s"),
    "ranking": ("full-catalog HR and NDCG with intervals", _ranking, "<= 180 s"),
}


def _measured(call: Call) -> dict[str, float]:
    """Return the seconds, CPU seconds and peak memory of a call, in MB of 10**6 bytes.

    What takes less than `_SHORT` seconds is called three times: the medians, and the highest peak.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    rows = []
    while not rows or (len(rows) < 3 and rows[0][0] < _SHORT):
        before, began = psutil.Process().cpu_times(), time.perf_counter()
        call()
        seconds, after = time.perf_counter() - began, psutil.Process().cpu_times()
        rows.append((seconds, after.user + after.system - before.user - before.system))
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    seconds, cpu = np.median(rows, axis=0)
    return {
        "seconds": round(float(seconds), 3),
        "cpu_seconds": round(float(cpu), 2),
        "peak_mb": round(peak * 1.024e-3),
    }


def main(folder: str, step: str) -> None:
    """Print one measurement."""
    print(json.dumps(_measured(STEPS[step][1](Path(folder)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
