"""Chapter 05's claims: the post's one-hot input against look-ups, and networks against tuned rankers.

Two parts. *Input*: the post's network on ML-100K (latest-small where that is not at hand), batch 256, 5
negatives, its one-hot rows materialized part by part, beside the same network with embeddings; both see
the same examples in the same order, from the same first weights and seeds of dropout, so that only rounding
is left between them. *Lists*: full-catalog NDCG@10, the last
click hidden by a seeded draw among equal timestamps, the seen left out, expected ranks among equal scores.
What has a setting gets it by NDCG on five other hidden clicks a user; networks have the mean of the users'
values over the seeds. ALS of `implicit` and LightFM join where they are installed in the interpreter that runs this.

``COURSE_SET`` names another data set for both parts, ``COURSE_SEEDS`` the number of seeds (3),
``COURSE_EPOCHS`` the epochs of the first part (3, the post's), ``COURSE_PART`` one part.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from helpers import data, metrics
from helpers.metrics import RankingResult
from helpers.models import ncf
from helpers.models.base import binary_matrix
from helpers.models.baselines import EASE, ImplicitALS, Popularity
from helpers.models.implicit import LogisticMF
from helpers.models.ncf import PairScores, epoch_runner, train
from helpers.sampling import LabeledPairs, NegativeSampler

BATCH, PART = 256, 256 * 64  # a part of one-hot rows is 170 MB on ML-100K


def row(name: str, value: Any, unit: str, target: str = "-") -> dict:
    return {"name": name, "value": value, "unit": unit, "target": target}


def run() -> list[dict]:
    """Both parts; rows carry their data set."""
    wanted, part = os.environ.get("COURSE_SET"), os.environ.get("COURSE_PART", "")
    names = [wanted] if wanted else ["latest-small", "100k"]
    sets = [found for found in map(data.load_or_none, names) if found is not None]
    rows = []
    if part in ("", "lists"):
        for ratings in sets:
            rows += lists(ratings, int(os.environ.get("COURSE_SEEDS", "3")))
    if part in ("", "input"):
        rows += one_hot_input(sets[-1], int(os.environ.get("COURSE_EPOCHS", "3")))
    return rows


# the input


def _parts(examples: LabeledPairs) -> Iterator[LabeledPairs]:
    for start in range(0, len(examples.labels), PART):
        yield LabeledPairs(*(column[start : start + PART] for column in examples))


def one_hot_input(ratings: data.Interactions, epochs: int) -> list[dict]:
    """Train the post's network both ways; compare seconds, bytes and hits."""
    split = data.leave_one_out(ratings, ties="random", seed=0)
    sizes = ratings.n_users, ratings.n_items
    examples = NegativeSampler(split.train).epoch(
        5, rng=np.random.default_rng(0)
    )  # once, as the post does
    posts = ncf.neumf(*sizes, one_hot=True, dropout=0.25)
    ours = look_ups(posts, ncf.neumf(*sizes, activation="relu", dropout=0.25))
    posts.compile("adam", "binary_crossentropy")
    step = epoch_runner(ours, BATCH)
    warm = LabeledPairs(*(column[:BATCH] for column in examples))
    spent = {"one-hot": 0.0, "making one-hot rows": 0.0, "embeddings": 0.0}
    work = {
        "one-hot": 0.0,
        "embeddings": 0.0,
    }  # of the processors, which a busy machine does not stretch
    _fit(posts, warm, sizes, {"one-hot": 0.0, "making one-hot rows": 0.0})
    step(warm, 0.001)
    for _ in range(epochs):
        clock = time.process_time()
        for part in _parts(examples):
            _fit(posts, part, sizes, spent)
        work["one-hot"] += time.process_time() - clock
        begin, clock = time.perf_counter(), time.process_time()
        step(examples, 0.001)
        spent["embeddings"] += time.perf_counter() - begin
        work["embeddings"] += time.process_time() - clock
    copied = look_ups(posts, ncf.neumf(*sizes, activation="relu", dropout=0.25))
    hits = {
        name: metrics.evaluate(PairScores(model), split.test, seen=split.train)["hit_rate"]
        for name, model in (("one-hot", copied), ("embeddings", ours))
    }
    memory = {"one-hot": len(examples.labels) * sum(sizes) * 4, "indices": len(examples.labels) * 8}
    where = f"{ratings.name}, batch {BATCH}"
    ratio = spent["one-hot"] / spent["embeddings"]
    rows = [row(f"{name}, an epoch, {where}", s / epochs, "s") for name, s in spent.items()]
    return rows + [
        row(f"embeddings faster an epoch, {where}", ratio, "times", ">= 6"),
        row(
            f"the same in processor seconds, {where}", work["one-hot"] / work["embeddings"], "times"
        ),
        row(f"one-hot rows of an epoch, {where}", memory["one-hot"] / 1e9, "GB"),
        row(
            f"smaller as indices, {where}", memory["one-hot"] / memory["indices"], "times", ">= 100"
        ),
        *(
            row(f"HR@10 after {epochs} epochs, {name}, {where}", str(hit.interval), "")
            for name, hit in hits.items()
        ),
        row(
            f"HR@10, embeddings - one-hot, {where}",
            str(hits["embeddings"].compare(hits["one-hot"])),
            "",
            "+- .01",
        ),
    ]


def look_ups(posts: Any, model: Any) -> Any:
    """Give a network with look-ups the weights and the seeds of dropout of the post's."""
    for layer in posts.layers:
        weights = layer.get_weights()
        if layer.name.startswith("dropout_"):
            seeds = model.get_layer(layer.name).seed_generator
            seeds.state.assign(layer.seed_generator.state)
        elif layer.name.startswith(("user_", "item_")):
            model.get_layer(layer.name).set_weights(weights[:1])
            model.get_layer(f"{layer.name}_bias").set_weights([weights[1][None, :]])
        elif weights:
            model.get_layer(layer.name).set_weights(weights)
    return model


def _fit(model: Any, part: LabeledPairs, sizes: tuple[int, int], spent: dict[str, float]) -> None:
    """Train on one part as the post does: one-hot rows first, then ``fit``; add up the seconds of each."""
    begin = time.perf_counter()
    rows = {}
    for side, indices, size in zip(("user", "item"), (part.users, part.items), sizes, strict=True):
        rows[side] = np.zeros((len(indices), size), dtype=np.float32)
        rows[side][np.arange(len(indices)), indices] = 1.0
    made = time.perf_counter()
    model.fit(rows, part.labels, batch_size=BATCH, shuffle=False, verbose=0)
    spent["making one-hot rows"] += made - begin
    spent["one-hot"] += time.perf_counter() - made


# the lists


class _Factors:
    """Scores of a library's fitted vectors."""

    def __init__(
        self, users: np.ndarray, items: np.ndarray, bias: np.ndarray | float = 0.0
    ) -> None:
        self.users, self.items, self.bias = users, items, bias

    def scores(self, users: np.ndarray) -> np.ndarray:
        return self.users[users] @ self.items.T + self.bias


def implicit_als(train_part: data.Interactions, factors: int, alpha: float) -> _Factors:
    """ALS of the library `implicit`."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors,
        regularization=0.05,
        alpha=alpha,
        iterations=15,
        random_state=0,
        num_threads=1,
    )
    model.fit(binary_matrix(train_part), show_progress=False)
    return _Factors(np.asarray(model.user_factors), np.asarray(model.item_factors))


def lightfm_warp(train_part: data.Interactions, components: int, epochs: int) -> _Factors:
    """LightFM with the WARP loss."""
    from lightfm import LightFM

    model = LightFM(no_components=components, loss="warp", random_state=0)
    model.fit(binary_matrix(train_part).tocoo(), epochs=epochs)
    return _Factors(model.user_embeddings, model.item_embeddings, model.item_biases)


def network(build: Callable[..., Any]) -> Callable[..., PairScores]:
    def fit(train_part: data.Interactions, epochs: int, seed: int = 0) -> PairScores:
        model = build(train_part.n_users, train_part.n_items, 16, regularization=0.02, seed=seed)
        train(model, train_part, epochs=epochs, batch_size=4096, learning_rate=0.01, seed=seed)
        return PairScores(model)

    return fit


NETWORKS = {"GMF": ncf.gmf, "MLP": ncf.mlp, "NeuMF": ncf.neumf}
#: What is tuned: how to fit it on a training part, and the settings tried.
TUNED: dict[str, tuple[Callable[..., Any], list[dict[str, Any]]]] = {
    "MF with negatives": (
        lambda part, seed=0, **kw: LogisticMF(seed=seed, **kw).fit(part),
        [
            {"regularization": 0.01},
            {"regularization": 0.02},
            {"regularization": 0.01, "strategy": "popularity", "alpha": 0.5},
            {"regularization": 0.03, "strategy": "popularity", "alpha": 0.5},
        ],
    ),
    "EASE": (
        lambda part, **kw: EASE(**kw).fit(part),
        [{"regularization": r} for r in (100, 200, 400)],
    ),
    "iALS": (lambda part, **kw: ImplicitALS(**kw).fit(part), [{"factors": k} for k in (32, 64)]),
    "implicit's ALS": (
        implicit_als,
        [{"factors": k, "alpha": a} for k in (32, 64) for a in (1.0, 5.0)],
    ),
    "LightFM, WARP": (
        lightfm_warp,
        [{"components": k, "epochs": e} for k in (32, 64) for e in (20, 50)],
    ),
    **{
        name: (network(build), [{"epochs": e} for e in (8, 20)]) for name, build in NETWORKS.items()
    },
}
OWN = ("MF with negatives", *NETWORKS)
PEERS = {"implicit's ALS": "implicit", "LightFM, WARP": "lightfm"}


def lists(ratings: data.Interactions, seeds: int) -> list[dict]:
    """HR and NDCG of every model, and the best of the chapter's own against the best of the others."""
    split = data.leave_one_out(ratings, ties="random", seed=0)
    inner = data.leave_last_out(split.train, k=5, ties="random", seed=0)

    def judge(model: Any, on: data.Split = split) -> dict[str, RankingResult]:
        return metrics.evaluate(model, on.test, seen=on.train)

    found, rows, name = {}, [], ratings.name
    found["popularity"] = judge(Popularity().fit(split.train))
    for model, (fit, tries) in TUNED.items():
        if model in PEERS and importlib.util.find_spec(PEERS[model]) is None:
            rows.append(row(f"{model}, {name}", "skipped", f"{PEERS[model]} is not installed"))
            continue
        inside = [judge(fit(inner.train, **settings), inner)["ndcg"].mean for settings in tries]
        best = tries[int(np.argmax(inside))]
        runs = range(seeds) if model in OWN else [None]
        found[model] = _mean(
            [judge(fit(split.train, **best, **({} if s is None else {"seed": s}))) for s in runs]
        )
        rows.append(
            row(f"{model}, {name}, chosen", " ".join(f"{k}={v}" for k, v in best.items()), "")
        )
    for model, result in found.items():
        rows.append(row(f"HR@10, {model}, {name}", str(result["hit_rate"].interval), ""))
        rows.append(row(f"NDCG@10, {model}, {name}", str(result["ndcg"].interval), ""))
    ndcg = {model: result["ndcg"] for model, result in found.items()}
    own = max(OWN, key=lambda m: ndcg[m].mean)
    other = max((m for m in ("EASE", "iALS", *PEERS) if m in ndcg), key=lambda m: ndcg[m].mean)
    gap = ndcg[own].compare(ndcg[other])
    rows.append(row(f"NDCG@10, {own} - {other}, {name}", str(gap), "", "holds 0"))
    for one in NETWORKS:
        gap = ndcg[one].compare(ndcg["MF with negatives"])
        rows.append(row(f"NDCG@10, {one} - MF with negatives, {name}", str(gap), ""))
    return rows


def _mean(runs: list[dict[str, RankingResult]]) -> dict[str, RankingResult]:
    """One result from several seeds: each user's value is their mean over the seeds."""
    from dataclasses import replace

    return {
        metric: replace(
            runs[0][metric], values=np.mean([run[metric].values for run in runs], axis=0)
        )
        for metric in runs[0]
    }
