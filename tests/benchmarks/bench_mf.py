"""Matrix factorization: the error it reaches, and its speed beside the talk's per-row loader."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from helpers import gates
from helpers.data import Interactions, Split, load, load_or_none, predefined_u1, random_split
from helpers.metrics import mae, rmse
from helpers.models import BiasModel, GlobalMean, MatrixFactorization, TalkModel

_ROWS_FOR_THE_TALK = 10_000  # a whole epoch of its loader takes 13 seconds and more


def run() -> list[dict[str, Any]]:
    """Train on a random 80/20 split (ML-100K where it is to be had), then time the loaders.

    Returns
    -------
    list of dict
        One a measurement: ``name``, ``value``, ``unit`` and ``target``.
    """
    data = load_or_none("100k") or load()
    split = random_split(data, seed=0)
    model = MatrixFactorization()
    rows = _errors(split, model, f"{data.name}, random 80/20")
    if data.name == "100k":
        rows += _talk(predefined_u1(data))
    return rows + _speeds(split.train, model)


def _row(name: str, value: float, unit: str, target: str = "-") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target}


def _predicted(model: Any, data: Interactions) -> np.ndarray:
    return model.predict(data.frame["user"].to_numpy(), data.frame["item"].to_numpy())


def _errors(split: Split, model: MatrixFactorization, what: str) -> list[dict[str, Any]]:
    actual = split.test.frame["rating"]
    rows = [
        _row(
            f"{name}, {what}: test RMSE",
            rmse(_predicted(baseline.fit(split.train), split.test), actual),
            "stars",
        )
        for name, baseline in (("mean", GlobalMean()), ("biases", BiasModel()))
    ]
    model.fit(split.train)
    reached = rmse(_predicted(model, split.test), actual)
    rows.append(_row(f"matrix factorization, {what}: test RMSE", reached, "stars", "<= 0.925"))
    rows.append(_row("  training, early stopping and refit", model.seconds, "s", "<= 10"))
    return rows


def _talk(split: Split) -> list[dict[str, Any]]:
    model = TalkModel().fit(split.train)
    rows = []
    for name, data, printed in (("train", split.train, "0.7518"), ("test", split.test, "0.8108")):
        predicted, actual = _predicted(model, data), data.frame["rating"]
        rows.append(_row(f"the talk's model, u1, {name}: RMSE", rmse(predicted, actual), "stars"))
        rows.append(
            _row(
                f"the talk's model, u1, {name}: MAE",
                mae(predicted, actual),
                "stars",
                f"talk's 'RMSE' {printed}",
            )
        )
    rows.append(_row("  training, ten epochs of 1,600 steps", model.seconds, "s"))
    return rows


def _speeds(train: Interactions, model: MatrixFactorization) -> list[dict[str, Any]]:
    """Samples a second of whole training loops, loading included."""
    rows = []
    slow = (
        _gluon(train.replace(train.frame.head(_ROWS_FOR_THE_TALK)), 50, per_row=True)
        if gates.mxnet
        else None
    )
    for name, fast, target in [
        *(
            (f"Gluon, batches of {size:,}", _gluon(train, size), "-")
            for size in (50, 500, 4000)
            if gates.mxnet
        ),
        ("Keras fit, batches of 2,000", _keras(train, 2000), "-"),
        ("NumPy, the talk's model, batches of 50", _numpy(TalkModel(epochs=2), train), "-"),
        (
            f"NumPy, as trained above, batches of {model.batch_size:,}",
            model.samples / model.seconds,
            ">= 20",
        ),
    ]:
        rows.append(_row(f"{name}", fast, "samples/s"))
        if slow:
            rows.append(_row("  times the talk's loader", fast / slow, "x", target))
    if slow:
        rows.insert(
            0, _row("the talk's per-row loader and training loop, batches of 50", slow, "samples/s")
        )
    return rows


def _numpy(model: MatrixFactorization, train: Interactions) -> float:
    model.fit(train)
    return model.samples / model.seconds


def _gluon(train: Interactions, batch_size: int, per_row: bool = False) -> float:
    from helpers.models.mf_mxnet import batch_loader, mf_block, row_loader, train_block

    mx = gates.import_mxnet()
    net = mf_block(train.n_users, train.n_items, 64)
    net.initialize(mx.init.Xavier(magnitude=2.24))
    if per_row:
        loader = row_loader(train, batch_size)
        return train_block(net, lambda: loader, epochs=1)
    net.hybridize()
    generator = np.random.default_rng(0)
    first = train.replace(train.frame.head(batch_size))
    train_block(
        net, lambda: batch_loader(first, batch_size, generator), epochs=1
    )  # compiles the network
    return train_block(net, lambda: batch_loader(train, batch_size, generator), epochs=1)


def _keras(train: Interactions, batch_size: int) -> float:
    import keras

    from helpers.models.mf_keras import half_squared_error, keras_mf

    users, items, ratings = (train.frame[name].to_numpy() for name in ("user", "item", "rating"))
    net = keras_mf(train.n_users, train.n_items, 32, biases=True, mean=float(ratings.mean()))
    net.compile(keras.optimizers.Adam(0.01), half_squared_error)
    settings = {"batch_size": batch_size, "epochs": 1, "verbose": 0}
    net.fit({"user": users, "item": items}, ratings, **settings)  # compiles
    began = time.perf_counter()
    net.fit({"user": users, "item": items}, ratings, **settings)
    return len(ratings) / (time.perf_counter() - began)


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:66} {row['value']:12,.4g} {row['unit']:10} {row['target']}")
