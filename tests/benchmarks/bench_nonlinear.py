"""The search behind chapter 03's comparison: four models, the same ranges, the same number of tries.

Each try draws its settings, trains on nine tenths of the training rows of ``random_split(seed=0)`` and
is judged by the other tenth; no test row is read. What is the same for all models is drawn from the same
ranges, and a hidden layer adds its size and the rectifier's place. The chapter runs the winner of each
model over its own seeds. ``COURSE_TRIES`` sets another number of tries, ``COURSE_SET`` another data set.
"""

from __future__ import annotations

import os

import numpy as np

from helpers import data, metrics
from helpers.models.nonlinear import NonlinearFactorization

MODELS = ("none", "user", "both", "shared")


def draw(layers: str, generator: np.random.Generator) -> dict[str, object]:
    """One random choice of settings for a model."""

    def between(low: float, high: float) -> float:
        return float(f"{np.exp(generator.uniform(np.log(low), np.log(high))):.2g}")

    settings: dict[str, object] = {
        "factors": int(generator.choice([4, 8, 16])),
        "learning_rate": between(0.002, 0.03),
        "regularization": between(0.003, 0.3),
        "bias_regularization": between(0.001, 0.1),
        "init_scale": float(generator.choice([0.02, 0.05, 0.1, 0.2])),
        "dropout": float(generator.choice([0.0, 0.0, 0.1, 0.3])),
    }
    order = str(generator.choice(["relu-dense", "dense-relu"]))
    wider, dense, output = (
        int(generator.choice([1, 2, 1])),
        between(1e-6, 1e-2),
        between(0.003, 0.3),
    )
    if layers != "none":
        settings["order"] = order
        settings |= {"dense_regularization": dense, "output_regularization": output}
    if layers in ("both", "shared"):
        settings["hidden"] = wider * settings["factors"]  # type: ignore[operator]
    return settings


def search(
    train: data.Interactions, layers: str, tries: int, batch_size: int = 2000
) -> list[tuple]:
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


def five_seeds(
    split: data.Split, layers: str, epochs: int, settings: dict[str, object]
) -> list[float]:
    """Test RMSE of a winner, trained on all training rows with five seeds."""
    users, items, stars = (split.test.frame[name].to_numpy() for name in ("user", "item", "rating"))
    fixed = {"layers": layers, "epochs": epochs, "batch_size": 2000, "validation_share": 0}
    models = (
        NonlinearFactorization(seed=seed, **fixed, **settings).fit(split.train) for seed in range(5)
    )
    return [metrics.rmse(model.predict(users, items), stars) for model in models]


def run() -> list[dict]:
    """Search all four models; the rows name the winners and their settings."""
    name = os.environ.get("COURSE_SET", "latest-small")
    tries = int(os.environ.get("COURSE_TRIES", "32"))
    split = data.random_split(data.load(name), test_share=0.2, seed=0)
    rows = []
    for layers in MODELS:
        found = search(split.train, layers, tries)
        best, epochs, settings = found[0]
        middle = float(np.median([entry[0] for entry in found]))
        text = f"layers={layers} epochs={epochs} " + " ".join(
            f"{k}={v}" for k, v in settings.items()
        )
        rows.append(
            {"name": text, "value": best, "unit": f"median {middle:.4f}", "target": "chapter 03"}
        )
        errors = five_seeds(split, layers, epochs, settings)
        spread = f"{min(errors):.4f}..{max(errors):.4f}"
        rows.append(
            {
                "name": f"{layers}: test, five seeds",
                "value": float(np.mean(errors)),
                "unit": spread,
                "target": "-",
            }
        )
    return rows + talk()


def talk() -> list[dict]:
    """The talk's network with its own settings on its own split; it printed 0.637 and 0.7498 as RMSE."""
    hundred = data.load_or_none("100k")
    if hundred is None:
        return []
    split = data.predefined_u1(hundred)
    model = NonlinearFactorization(
        factors=64, layers="shared", biases=False, optimizer="sgd", learning_rate=0.02,
        batch_size=50, regularization=0, init="xavier", init_scale=2.24, epochs=10, validation_share=0,
    ).fit(split.train)  # fmt: skip
    rows = []
    for name, part in (("train", split.train), ("test", split.test)):
        guess = model.predict(part.frame["user"].to_numpy(), part.frame["item"].to_numpy())
        for metric in (metrics.mae, metrics.rmse):
            value = metric(guess, part.frame["rating"])
            rows.append(
                {
                    "name": f"talk's network, {name} {metric.__name__}",
                    "value": value,
                    "unit": "stars",
                    "target": "-",
                }
            )
    return rows
