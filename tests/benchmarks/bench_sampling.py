"""The sampler against the first post's Python loop, and what twenty million interactions take."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np

from helpers.book import ROOT
from helpers.data import leave_last_out, load, load_or_none
from helpers.sampling import NegativeSampler

_LOOP_NEGATIVES = 30_000  # the whole of ML-100K would take the loop 10 to 20 seconds


def python_loop(
    users: np.ndarray, items: np.ndarray, catalog: np.ndarray, ratio: int, stop: int
) -> int:
    """Draw as in the post, which checks a set of tuples and calls ``np.random.choice`` once a draw."""
    negatives = []
    records = set(zip(users, items, strict=True))
    for user, _ in records:
        for _ in range(ratio):
            drawn = np.random.choice(catalog)  # noqa: NPY002 - the post's own call is what is measured
            while (user, drawn) in records:
                drawn = np.random.choice(catalog)  # noqa: NPY002
            negatives.append([user, drawn, 0])
        if len(negatives) >= stop:
            break
    return len(negatives)


def _fastest(function: object, repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - begin)
    return best


# a process of its own, so that the peak is this work's and nothing else's
_TWENTY_MILLION = """
import json, resource, time
import numpy as np
from helpers.sampling import NegativeSampler
rng = np.random.default_rng(0)
n, n_users, n_items = 20_000_263, 138_493, 27_278
activity = np.sort(rng.integers(0, n_users, n, dtype=np.int32))
taste = (rng.random(n) ** 3 * n_items).astype(np.int32)  # a long tail, with repeats
begin = time.perf_counter()
sampler = NegativeSampler((activity, taste), shape=(n_users, n_items))
built = time.perf_counter() - begin
begin = time.perf_counter()
negatives = sampler.draw(activity, 5, rng=rng)
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
assert negatives.shape == (n, 5) and not sampler.known.has(activity[:10**6, None], negatives[:10**6]).any()
print(json.dumps({"built": built, "seconds": seconds, "rate": negatives.size / seconds / 1e6, "peak": peak}))
"""


def run() -> list[dict]:
    """Measure negatives a second, and seconds and memory at the size of ML-20M."""
    data = load_or_none("100k") or load("latest-small")
    train = leave_last_out(data, 10).train
    users, items = train.frame["user"].to_numpy(), train.frame["item"].to_numpy()
    catalog = np.arange(data.n_items)
    rows = []
    drawn = 0

    def loop() -> None:
        nonlocal drawn
        drawn = python_loop(users, items, catalog, 5, _LOOP_NEGATIVES)

    slow = drawn / _fastest(loop, 2) if drawn else _LOOP_NEGATIVES / _fastest(loop, 2)
    what = f"{data.name}, ratio 5"
    rows.append(
        {
            "name": f"the post's loop, {what} (timed on {_LOOP_NEGATIVES:,} draws)",
            "value": slow / 1e6,
            "unit": "M negatives/s",
            "target": "-",
        }
    )
    rng = np.random.default_rng(0)
    for strategy in ("uniform", "popularity", "in-batch"):
        sampler = NegativeSampler(train, strategy=strategy)
        seconds = _fastest(lambda s=sampler: s.draw(s.users, 5, rng=rng, positives=s.items), 9)
        fast = 5 * len(train) / seconds
        rows.append(
            {
                "name": f"sampler, {strategy}, {what}",
                "value": fast / 1e6,
                "unit": "M negatives/s",
                "target": "-",
            }
        )
        target = ">= 500" if strategy == "uniform" else "-"
        rows.append(
            {
                "name": f"  times the loop, {strategy}",
                "value": fast / slow,
                "unit": "x",
                "target": target,
            }
        )
    done = subprocess.run(
        [sys.executable, "-c", _TWENTY_MILLION],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    big = json.loads(done.stdout)
    what = "20,000,263 interactions x 5 negatives"
    rows.append(
        {"name": f"{what}: peak memory", "value": big["peak"], "unit": "GiB", "target": "<= 4"}
    )
    rows.append({"name": f"{what}: set up", "value": big["built"], "unit": "s", "target": "-"})
    rows.append({"name": f"{what}: draw", "value": big["seconds"], "unit": "s", "target": "-"})
    rows.append(
        {"name": f"{what}: rate", "value": big["rate"], "unit": "M negatives/s", "target": "-"}
    )
    return rows
