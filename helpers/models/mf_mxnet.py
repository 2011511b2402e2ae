"""Matrix factorization in MXNet, twice as in the talks: as a symbol and as a Gluon block.

MXNet may be missing (there is no wheel for Windows and Apple Silicon), so it is imported inside the
functions; ask `helpers.gates.mxnet` first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.gates import import_mxnet
from helpers.models.training import Weights

if TYPE_CHECKING:
    from helpers.data import Interactions


def plain_net(k: int, n_users: int, n_items: int, biases: bool = False) -> Any:
    """The symbolic network of both talks: two embeddings, their product, its sum, a regression output.

    Parameters
    ----------
    k : int
        Number of factors.
    n_users, n_items : int
        Rows of the embeddings.
    biases : bool
        Add an embedding of width 1 for each side; the talks have none.

    Returns
    -------
    mxnet.symbol.Symbol
        Inputs ``user``, ``item`` and label ``score``, (B,) each; output (B, 1). Weights are named
        ``user_factors_weight`` and so on.
    """
    mx = import_mxnet()
    user, item, score = (mx.sym.Variable(name) for name in ("user", "item", "score"))
    of_user = mx.sym.Embedding(user, input_dim=n_users, output_dim=k, name="user_factors")
    of_item = mx.sym.Embedding(item, input_dim=n_items, output_dim=k, name="item_factors")
    predicted = mx.sym.sum(of_user * of_item, axis=1, keepdims=True)
    if biases:
        predicted = predicted + mx.sym.Embedding(
            user, input_dim=n_users, output_dim=1, name="user_bias"
        )
        predicted = predicted + mx.sym.Embedding(
            item, input_dim=n_items, output_dim=1, name="item_bias"
        )
    predicted = mx.sym.Flatten(predicted)
    return mx.sym.LinearRegressionOutput(predicted, label=score, name="rating")


def mf_block(n_users: int, n_items: int, k: int, biases: bool = False) -> Any:
    """The talk's ``MFBlock`` as a hybrid block: the same network, written as a forward function.

    Parameters
    ----------
    n_users, n_items, k : int
        Sizes of the embeddings.
    biases : bool
        Add an embedding of width 1 for each side; the talks have none.

    Returns
    -------
    mxnet.gluon.HybridBlock
        Not initialized; called with ``(users, items)``, (B,) each, returns (B,).
    """
    mx = import_mxnet()

    class MFBlock(mx.gluon.HybridBlock):  # type: ignore[name-defined]
        """Inner product of two embeddings, with biases if wanted."""

        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.user_factors = mx.gluon.nn.Embedding(n_users, k)
                self.item_factors = mx.gluon.nn.Embedding(n_items, k)
                if biases:
                    self.user_bias = mx.gluon.nn.Embedding(n_users, 1, weight_initializer="zeros")
                    self.item_bias = mx.gluon.nn.Embedding(n_items, 1, weight_initializer="zeros")

        def hybrid_forward(self, F: Any, users: Any, items: Any) -> Any:
            predicted = F.sum(self.user_factors(users) * self.item_factors(items), axis=1)
            if biases:
                predicted = predicted + F.sum(self.user_bias(users) + self.item_bias(items), axis=1)
            return predicted

    return MFBlock()


def row_loader(data: Interactions, batch_size: int) -> Any:
    """The talk's loader: a data set that hands out one row at a time, and a loader that stacks them.

    Every row costs three slices of an NDArray in Python; chapter 02 measures what that means.

    Parameters
    ----------
    data : Interactions
    batch_size : int

    Returns
    -------
    mxnet.gluon.data.DataLoader
        Shuffled; yields ``(users, items, ratings)``, NDArrays of (B, 1), (B, 1) and (B, 1).
    """
    mx = import_mxnet()

    class SparseMatrixDataset(mx.gluon.data.Dataset):  # type: ignore[name-defined]
        """Rows of user, item and rating."""

        def __init__(self, pairs: Any, ratings: Any) -> None:
            self.pairs = pairs
            self.ratings = ratings

        def __getitem__(self, row: int) -> tuple[Any, Any, Any]:
            return self.pairs[row, 0], self.pairs[row, 1], self.ratings[row]

        def __len__(self) -> int:
            return len(self.pairs)

    pairs = mx.nd.array(data.frame[["user", "item"]].to_numpy(), dtype="float32")
    ratings = mx.nd.array(data.frame["rating"].to_numpy(), dtype="float32")
    return mx.gluon.data.DataLoader(
        SparseMatrixDataset(pairs, ratings), batch_size=batch_size, shuffle=True
    )


def batch_loader(
    data: Interactions, batch_size: int, generator: np.random.Generator
) -> Iterator[tuple[Any, Any, Any]]:
    """One pass over the rows in a new order, a slice of the arrays a batch.

    Parameters
    ----------
    data : Interactions
    batch_size : int
    generator : numpy.random.Generator
        Where the order comes from.

    Yields
    ------
    tuple of mxnet.nd.NDArray
        ``users``, ``items`` and ``ratings``, (B,) float32 each.
    """
    mx = import_mxnet()
    order = generator.permutation(len(data))
    columns = [
        mx.nd.array(data.frame[name].to_numpy()[order], dtype="float32")
        for name in ("user", "item", "rating")
    ]
    for start in range(0, len(order), batch_size):
        users, items, ratings = (column[start : start + batch_size] for column in columns)
        yield users, items, ratings


def train_block(
    net: Any,
    batches: Callable[[], Iterable[tuple[Any, Any, Any]]],
    epochs: int = 10,
    learning_rate: float = 0.02,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
) -> float:
    """The talk's training loop: record, backward, step.

    Parameters
    ----------
    net : mxnet.gluon.Block
        Initialized; changed in place.
    batches : callable
        Called once an epoch; returns an iterable of ``(users, items, ratings)``, such as `row_loader`'s
        loader or `batch_loader`.
    epochs : int
    learning_rate, momentum, weight_decay : float
        Of the trainer's SGD.

    Returns
    -------
    float
        Ratings taken in a second, loading included.
    """
    mx = import_mxnet()
    loss_function = mx.gluon.loss.L2Loss()  # half the squared error of each rating
    trainer = mx.gluon.Trainer(
        net.collect_params(),
        "sgd",
        {"learning_rate": learning_rate, "momentum": momentum, "wd": weight_decay},
    )
    samples = 0
    started = time.perf_counter()
    for _ in range(epochs):
        for users, items, ratings in batches():
            users, items, ratings = (
                users.reshape((-1,)),
                items.reshape((-1,)),
                ratings.reshape((-1,)),
            )
            with mx.autograd.record():
                loss = loss_function(net(users, items), ratings)
            loss.backward()
            trainer.step(len(ratings))
            samples += len(ratings)
    mx.nd.waitall()  # MXNet computes in the background: without this only the queueing is timed
    return samples / (time.perf_counter() - started)


def copy_to_block(weights: Weights, net: Any) -> None:
    """Put NumPy weights into a block of `mf_block` with the same sizes, initializing it."""
    mx = import_mxnet()
    net.initialize(force_reinit=True)
    for name, table in weights.items():
        getattr(net, name).weight.set_data(mx.nd.array(table.reshape(len(table), -1)))


def block_gradients(
    net: Any, users: np.ndarray, items: np.ndarray, ratings: np.ndarray
) -> tuple[np.ndarray, Weights]:
    """One forward and one backward pass of a Gluon block.

    Parameters
    ----------
    net : mxnet.gluon.Block
        Initialized, made by `mf_block`.
    users, items : numpy.ndarray
        (n,) contiguous indices.
    ratings : numpy.ndarray
        (n,) in stars.

    Returns
    -------
    predicted : numpy.ndarray
        (n,) float32.
    gradients : dict
        Of the mean of half the squared errors, by name of a table, in the shapes of the NumPy weights.
    """
    mx = import_mxnet()
    with mx.autograd.record():
        predicted = net(mx.nd.array(users), mx.nd.array(items))
        loss = mx.gluon.loss.L2Loss()(predicted, mx.nd.array(ratings))
    loss.backward()  # of the sum over the batch: a trainer's step(batch_size) divides it
    names = [
        name
        for name in ("user_factors", "item_factors", "user_bias", "item_bias")
        if hasattr(net, name)
    ]
    return predicted.asnumpy(), {
        name: _as_table(name, getattr(net, name).weight.grad().asnumpy(), len(users))
        for name in names
    }


def symbol_gradients(
    symbol: Any, weights: Weights, users: np.ndarray, items: np.ndarray, ratings: np.ndarray
) -> tuple[np.ndarray, Weights]:
    """One forward and one backward pass of a symbolic network.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
        Made by `plain_net` with the sizes of ``weights``.
    weights : dict
        Copied into the network.
    users, items : numpy.ndarray
        (n,) contiguous indices.
    ratings : numpy.ndarray
        (n,) in stars.

    Returns
    -------
    predicted : numpy.ndarray
        (n,) float32.
    gradients : dict
        As `block_gradients` returns them.
    """
    mx = import_mxnet()
    n = len(users)
    # (n, 1) for the label: LinearRegressionOutput divides its gradient by the numbers in one label
    # and the indices need none: an embedding has no slope in them
    wanted = {
        name: "write" if name.endswith("_weight") else "null" for name in symbol.list_arguments()
    }
    network = symbol.simple_bind(mx.cpu(), user=(n,), item=(n,), score=(n, 1), grad_req=wanted)
    for name, table in weights.items():
        network.arg_dict[f"{name}_weight"][:] = table.reshape(len(table), -1)
    predicted = network.forward(
        is_train=True, user=users, item=items, score=ratings.reshape(-1, 1)
    )[0]
    network.backward()  # LinearRegressionOutput's slope is the error, summed over the batch
    return predicted.asnumpy().ravel(), {
        name: _as_table(name, network.grad_dict[f"{name}_weight"].asnumpy(), n) for name in weights
    }


def _as_table(name: str, gradient: np.ndarray, batch_size: int) -> np.ndarray:
    """A batch's summed gradient as a mean, in the shape of the NumPy weights."""
    mean = gradient / np.float32(batch_size)
    return mean[:, 0] if name.endswith("_bias") else mean
