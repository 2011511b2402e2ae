"""Matrix factorization: the error it reaches, and its speed beside the talk's per-row loader."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from helpers import gates
from helpers.data import Interactions, Split, load, load_or_none, predefined_u1, random_split
from helpers.metrics import mae, rmse
from helpers.models.baselines import BiasModel, GlobalMean
from helpers.models.mf import MatrixFactorization, TalkModel

_ROWS_FOR_THE_TALK = 10_000  # a whole epoch of its loader takes 13 seconds and more


def run() -> list[dict[str, Any]]:
    """Train on a random 80/20 split (ML-100K where it is available), then time the loaders."""
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
    rows = []
    for name, fitted, target in (
        ("mean", GlobalMean(), "-"),
        ("biases", BiasModel(), "-"),
        ("matrix factorization", model, "<= 0.911"),
    ):
        error = rmse(_predicted(fitted.fit(split.train), split.test), split.test.frame["rating"])
        rows.append(_row(f"{name}, {what}: test RMSE", error, "stars", target))
    return [*rows, _row("  training, early stopping and refit", model.seconds, "s", "<= 10")]


def _talk(split: Split) -> list[dict[str, Any]]:
    model = TalkModel().fit(split.train)
    rows = []
    for part, data, printed in (("train", split.train, "0.7518"), ("test", split.test, "0.8108")):
        predicted, actual = _predicted(model, data), data.frame["rating"]
        name = f"the talk's model, u1, {part}"
        rows.append(_row(f"{name}: RMSE", rmse(predicted, actual), "stars"))
        target = f"talk's 'RMSE' {printed}"
        rows.append(_row(f"{name}: MAE", mae(predicted, actual), "stars", target))
    return [*rows, _row("  training, ten epochs of 1,600 steps", model.seconds, "s")]


def _speeds(train: Interactions, model: MatrixFactorization) -> list[dict[str, Any]]:
    """Measure samples per second of whole training loops, loading included."""
    talk = TalkModel(epochs=2).fit(train)
    speeds = {"NumPy, the talk's model, batches of 50": talk.samples / talk.seconds}
    speeds[f"NumPy, as trained above, batches of {model.batch_size:,}"] = (
        model.samples / model.seconds
    )
    if not gates.mxnet:
        return [_row(name, speed, "samples/s") for name, speed in speeds.items()]
    slow = _gluon(train.replace(train.frame.head(_ROWS_FOR_THE_TALK)), 50, per_row=True)
    rows = [_row("the talk's per-row loader and loop, batches of 50", slow, "samples/s")]
    sliced = {f"Gluon, slices of {size:,}": _gluon(train, size) for size in (50, 4000)}
    for name, speed in {**sliced, **speeds}.items():
        target = ">= 20" if "as trained" in name else "-"
        rows.append(_row(name, speed, "samples/s"))
        rows.append(_row("  times the talk's loader", speed / slow, "x", target))
    return rows


def _gluon(train: Interactions, batch_size: int, per_row: bool = False) -> float:
    """Train the talk's block for an epoch; return samples per second."""
    mx = gates.import_mxnet()
    columns = [
        mx.nd.array(train.frame[name].to_numpy(), dtype="float32")
        for name in ("user", "item", "rating")
    ]

    class Block(mx.gluon.HybridBlock):
        def __init__(self) -> None:
            super().__init__()
            self.user_factors = mx.gluon.nn.Embedding(train.n_users, 64)
            self.item_factors = mx.gluon.nn.Embedding(train.n_items, 64)

        def hybrid_forward(self, F: Any, users: Any, items: Any) -> Any:
            return F.sum(self.user_factors(users) * self.item_factors(items), axis=1)

    class RowByRow(mx.gluon.data.Dataset):
        def __getitem__(self, row: int) -> tuple[Any, ...]:
            return tuple(column[row] for column in columns)

        def __len__(self) -> int:
            return len(train)

    def slices() -> Iterator[list[Any]]:
        for start in range(0, len(train), batch_size):
            yield [column[start : start + batch_size] for column in columns]

    block = Block()
    block.initialize(mx.init.Xavier(magnitude=2.24))
    if not per_row:
        block.hybridize()
        block(*next(slices())[:2])  # compiles the network
    batches = (
        mx.gluon.data.DataLoader(RowByRow(), batch_size, shuffle=True) if per_row else slices()
    )
    settings = {"learning_rate": 0.02, "momentum": 0.9}
    trainer = mx.gluon.Trainer(block.collect_params(), "sgd", settings)
    loss_function = mx.gluon.loss.L2Loss()
    started = time.perf_counter()
    for batch in batches:
        users, items, ratings = (column.reshape((-1,)) for column in batch)
        with mx.autograd.record():
            loss = loss_function(block(users, items), ratings)
        loss.backward()
        trainer.step(len(ratings))
    mx.nd.waitall()  # MXNet computes in the background: without this only the queueing is timed
    return len(train) / (time.perf_counter() - started)


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:66} {row['value']:12,.4g} {row['unit']:10} {row['target']}")
