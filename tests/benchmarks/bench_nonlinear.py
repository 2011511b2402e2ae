"""The search behind chapter 03's comparison: four models, the same ranges, the same number of tries.

Each try draws its settings, trains on nine tenths of the training rows of ``random_split(seed=0)`` and
is judged by the other tenth; no test row is read. What is the same for all models is drawn from the same
ranges, and a hidden layer adds its size and the rectifier's place. The chapter runs the winner of each
model over its own seeds. ``COURSE_TRIES`` sets another number of tries, ``COURSE_SET`` another data set.
"""

from __future__ import annotations

import os

import numpy as np

from helpers import data
from helpers.models.nonlinear import NonlinearFactorization

MODELS = ("none", "user", "both", "shared")


def draw(layers: str, generator: np.random.Generator) -> dict[str, object]:
    """One random choice of settings for a model."""

    def between(low: float, high: float) -> float:
        return float(f"{np.exp(generator.uniform(np.log(low), np.log(high))):.2g}")

    settings: dict[str, object] = {
        "k": int(generator.choice([4, 8, 16])),
        "learning_rate": between(0.003, 0.03),
        "weight_decay": between(0.003, 0.3),
        "bias_decay": between(0.001, 0.1),
        "init_scale": float(generator.choice([0.02, 0.05, 0.1, 0.2])),
        "dropout": float(generator.choice([0.0, 0.0, 0.1, 0.3])),
    }
    order = str(generator.choice(["relu-dense", "dense-relu"]))
    wider, decay = int(generator.choice([1, 2, 4])), between(1e-6, 1e-2)
    if layers != "none":
        settings |= {"order": order, "dense_decay": decay}
    if layers in ("both", "shared"):
        settings["hidden"] = wider * settings["k"]  # type: ignore[operator]
    return settings


def search(train: data.Interactions, layers: str, tries: int, batch_size: int = 2000) -> list[tuple]:
    """Validation RMSE, best epoch and settings of every try, best first.

    The same generator seed for every model: what they share, they draw alike.
    """
    generator = np.random.default_rng(3)
    found = []
    for _ in range(tries):
        settings = draw(layers, generator)
        model = NonlinearFactorization(
            layers=layers, batch_size=batch_size, refit=False, epochs=30, **settings
        )
        model.fit(train)
        found.append((float(model.history["validation"].min()), model.best_epoch, settings))
    return sorted(found, key=lambda entry: entry[0])


def run() -> list[dict]:
    """Search all four models; the rows name the winners and their settings."""
    name = os.environ.get("COURSE_SET", "latest-small")
    tries = int(os.environ.get("COURSE_TRIES", "32"))
    train = data.random_split(data.load(name), test_share=0.2, seed=0).train
    rows = []
    for layers in MODELS:
        found = search(train, layers, tries)
        best, epoch, settings = found[0]
        middle = float(np.median([entry[0] for entry in found]))
        text = f"layers={layers} epochs={epoch} " + " ".join(f"{k}={v}" for k, v in settings.items())
        rows.append({"name": text, "value": best, "unit": f"median {middle:.4f}", "target": "chapter 03"})
    return rows
