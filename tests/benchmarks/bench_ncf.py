"""Chapter 05's claims: the post's one-hot input against look-ups, and networks against tuned rankers.

Two parts. *Input*: the post's network on ML-100K (latest-small where that is not at hand), batch 256, 5
negatives, its one-hot rows materialized part by part, beside the same network with embeddings; both see
the same examples in the same order, from the same first weights and seeds of dropout, so that only rounding
is left between them. *Lists*: full-catalog NDCG@10, the last
click hidden by a seeded draw among equal timestamps, the seen left out, expected ranks among equal scores.
What has a setting gets it by NDCG on five other hidden clicks per user, the sampler of the networks as that of
the factorization; networks have the mean of the users' values over the seeds. They are the chapter's own, and its
program trains them. ALS of `implicit` and LightFM join where they are installed in the interpreter that runs this.

``COURSE_SET`` names another data set for both parts, ``COURSE_SEEDS`` the number of seeds (3),
``COURSE_EPOCHS`` the epochs of the first part (3, the post's), ``COURSE_PART`` one part, ``COURSE_MODELS`` some
models of the second, by name, with a comma between.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from helpers import data, metrics
from helpers.book import ROOT
from helpers.exercises import source
from helpers.metrics import RankingResult
from helpers.models.base import binary_matrix
from helpers.models.baselines import EASE, ImplicitALS, Popularity
from helpers.models.implicit import LogisticMF
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
    import keras

    posts, ours = posts_network(*sizes, one_hot=True), posts_network(*sizes, one_hot=False)
    look_ups(posts, ours)
    posts.compile("adam", "binary_crossentropy")
    adam = keras.optimizers.Adam(0.001)
    adam.build(ours.trainable_variables)
    epoch = program().compile_epoch(ours, adam, 1, None, BATCH)
    warm = LabeledPairs(*(column[:BATCH] for column in examples))
    spent = {"one-hot": 0.0, "making one-hot rows": 0.0, "embeddings": 0.0}
    work = {
        "one-hot": 0.0,
        "embeddings": 0.0,
    }  # of the processors, which a busy machine does not stretch
    _fit(posts, warm, sizes, {"one-hot": 0.0, "making one-hot rows": 0.0})
    epoch(*warm)
    for _ in range(epochs):
        clock = time.process_time()
        for part in _parts(examples):
            _fit(posts, part, sizes, spent)
        work["one-hot"] += time.process_time() - clock
        begin, clock = time.perf_counter(), time.process_time()
        float(epoch(*examples))
        spent["embeddings"] += time.perf_counter() - begin
        work["embeddings"] += time.process_time() - clock
    copied = look_ups(posts, posts_network(*sizes, one_hot=False))
    hits = {
        name: metrics.evaluate(all_scores(model, *sizes), split.test, seen=split.train)["hit_rate"]
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


def posts_network(n_users: int, n_items: int, one_hot: bool, k: int = 32) -> Any:
    """Build the post's network: dense layers on one-hot rows, or tables with the same bias and ReLU."""
    import keras

    keras.utils.set_random_seed(0)
    sizes, layers = {"user": n_users, "item": n_items}, keras.layers
    inputs = {
        side: keras.Input(
            (n,) if one_hot else (), name=side, dtype="float32" if one_hot else "int32"
        )
        for side, n in sizes.items()
    }

    def rows(side: str, branch: str) -> Any:
        name = f"{side}_{branch}"
        if one_hot:
            return layers.Dense(k, "relu", name=name)(inputs[side])
        bias = layers.Embedding(1, k, "zeros", name=f"{name}_bias")
        table = layers.Embedding(sizes[side], k, name=name)(inputs[side])
        return layers.ReLU()(table + bias(keras.ops.zeros_like(inputs[side])))

    product = layers.Multiply()([rows(side, "gmf") for side in sizes])
    x = layers.Concatenate()([rows(side, "mlp") for side in sizes])
    for number, width in enumerate((64, 32, 16, 8), start=1):
        if number <= 3:
            x = layers.Dropout(0.25, seed=number, name=f"dropout_{number}")(x)
        x = layers.Dense(width, "relu", name=f"hidden_{number}")(x)
    chance = layers.Dense(1, "sigmoid", name="chance")(layers.Concatenate()([product, x]))
    return keras.Model(inputs, chance)


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


def program(name: str = "ncf") -> Any:
    """Return a file of chapter 05's job: its program, which trains all networks, or `network`."""
    folder = str(ROOT / "chapters" / "ncf_job")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def all_scores(model: Any, n_users: int, n_items: int) -> np.ndarray:
    """Ask a network about every pair, user by user."""
    import tensorflow as tf

    every = tf.range(n_items)
    ask = tf.function(lambda user: model({"user": tf.fill((n_items,), user), "item": every}))
    return np.stack([ask(tf.constant(user))[:, 0] for user in range(n_users)])


SETTINGS = {"batch_size": 4096, "learning_rate": 0.01, "negatives": 5}
EPOCHS = {"gmf": 20, "mlp": 8, "neumf": 8}  # chosen of 8 and 20 with uniform negatives


def trained(name: str, part: data.Interactions, seed: int, **settings: Any) -> Any:
    import keras

    clicks = [part.frame[column].to_numpy() for column in ("user", "item")]
    keras.utils.set_random_seed(seed)
    k = settings.pop("factors", 16)
    model = getattr(program("network"), name)(part.n_users, part.n_items, k, decay=0.02)
    shape = part.n_users, part.n_items
    program().train(model, *clicks, shape, seed=seed, **{**SETTINGS, **settings})
    return model


def network(name: str) -> Callable[..., np.ndarray]:
    def fit(part: data.Interactions, seed: int = 0, **settings: Any) -> np.ndarray:
        return all_scores(trained(name, part, seed, **settings), part.n_users, part.n_items)

    return fit


def pretrained(
    part: data.Interactions, seed: int = 0, alpha: float = 0.5, **settings: Any
) -> np.ndarray:
    """NeuMF that starts from a trained GMF and MLP, as in the paper and in the chapter."""
    import keras

    alone = [
        trained(n, part, seed, alpha=a, epochs=EPOCHS[n]) for n, a in (("gmf", alpha), ("mlp", 0.0))
    ]
    inputs = program("network").two_inputs()
    last = [net.get_layer("chance") for net in alone]
    both = [keras.Model(n.input, layer.input)(inputs) for n, layer in zip(alone, last, strict=True)]
    chance = keras.layers.Dense(1, activation="sigmoid")
    started = keras.Model(inputs, chance(keras.layers.Concatenate()(both)))
    joined = source.make("05.8", "joined")
    chance.set_weights(list(joined(*(layer.get_weights() for layer in last))))
    clicks = [part.frame[column].to_numpy() for column in ("user", "item")]
    shape = part.n_users, part.n_items
    if settings["epochs"]:
        changed = {**SETTINGS, "alpha": alpha, "seed": seed + 100, **settings}
        program().train(started, *clicks, shape, **changed)
    return all_scores(started, *shape)


ALPHAS = (0.0, 0.5, 0.75)


def _sampled(alpha: float) -> dict[str, Any]:
    return {"strategy": "popularity", "alpha": alpha} if alpha else {}


NETWORKS = ("GMF", "MLP", "NeuMF")
#: What is tuned: how to fit it on a training part, and the settings tried.
TUNED: dict[str, tuple[Callable[..., Any], list[dict[str, Any]]]] = {
    "MF with negatives": (
        lambda part, seed=0, **kw: LogisticMF(seed=seed, **kw).fit(part),
        [{"regularization": r, **_sampled(a)} for a in ALPHAS for r in (0.01, 0.03)],
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
        name: (
            network(name.lower()),
            [{"alpha": a, "epochs": EPOCHS[name.lower()]} for a in ALPHAS],
        )
        for name in NETWORKS
    },
    "GMF + MLP, joined": (pretrained, [{"epochs": 0}]),
    "NeuMF, pre-trained": (pretrained, [{"epochs": 4, "learning_rate": 0.002}]),
}
OWN = ("MF with negatives", *NETWORKS, "GMF + MLP, joined", "NeuMF, pre-trained")
PEERS = {"implicit's ALS": "implicit", "LightFM, WARP": "lightfm"}


def lists(ratings: data.Interactions, seeds: int) -> list[dict]:
    """HR and NDCG of every model, and the best of the chapter's own against the best of the others."""
    split = data.leave_one_out(ratings, ties="random", seed=0)
    inner = data.leave_last_out(split.train, k=5, ties="random", seed=0)

    def judge(model: Any, on: data.Split = split) -> dict[str, RankingResult]:
        return metrics.evaluate(model, on.test, seen=on.train)

    found, rows, name = {}, [], ratings.name
    found["popularity"] = judge(Popularity().fit(split.train))
    wanted = os.environ.get("COURSE_MODELS", ",".join(TUNED)).split(",")
    for model, (fit, tries) in TUNED.items():
        if model not in wanted:
            continue
        if model in PEERS and importlib.util.find_spec(PEERS[model]) is None:
            rows.append(row(f"{model}, {name}", "skipped", f"{PEERS[model]} is not installed"))
            continue
        inside = [judge(fit(inner.train, **settings), inner)["ndcg"].mean for settings in tries]
        best = tries[int(np.argmax(inside))]
        runs = range(seeds) if model in OWN else [None]
        each = [judge(fit(split.train, **best, **({} if s is None else {"seed": s}))) for s in runs]
        found[model] = _mean(each)
        by_seed = " ".join(f"{result['ndcg'].mean:.4f}" for result in each)
        rows.append(row(f"NDCG@10, {model}, {name}, each seed", by_seed, ""))
        rows.append(
            row(f"{model}, {name}, chosen", " ".join(f"{k}={v}" for k, v in best.items()), "")
        )
    for model, result in found.items():
        rows.append(row(f"HR@10, {model}, {name}", str(result["hit_rate"].interval), ""))
        rows.append(row(f"NDCG@10, {model}, {name}", str(result["ndcg"].interval), ""))
    ndcg = {model: result["ndcg"] for model, result in found.items()}
    own = max((m for m in OWN if m in ndcg), key=lambda m: ndcg[m].mean, default="")
    pairs = [(own, other) for other in ("EASE", "iALS", *PEERS)]
    pairs += [(one, "MF with negatives") for one in (*NETWORKS, "NeuMF, pre-trained")]
    pairs += [("NeuMF, pre-trained", "NeuMF"), ("NeuMF", "GMF"), ("NeuMF", "popularity")]
    pairs += [(one, "GMF + MLP, joined") for one in ("NeuMF", "NeuMF, pre-trained")]
    for one, other in pairs:
        if one in ndcg and other in ndcg:
            row_name = f"NDCG@10, {one} - {other}, {name}"
            rows.append(row(row_name, str(ndcg[one].compare(ndcg[other])), ""))
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
