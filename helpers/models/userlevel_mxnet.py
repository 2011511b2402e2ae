"""The user-level network in MXNet, as a symbol and as a Gluon block.

MXNet may be missing, so it is imported inside the functions; ask `helpers.gates.mxnet` first. Its
Embedding reads the *first* row for -1, and the last for an index that is too large, without an error:
so the lists are masked here, and checked by `helpers.models.userlevel.check_padded` before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.gates import import_mxnet
from helpers.models.training import Weights
from helpers.models.userlevel import check_padded


def _history_sum(F: Any, padded: Any, rows: Any) -> Any:
    """Sum of the rows that were looked up, without the padding, over the root of the length."""
    real = padded >= 0  # (B, length) of float32 ones and zeros
    total = F.sum(F.broadcast_mul(rows, F.expand_dims(real, axis=2)), axis=1)
    length = F.sum(real, axis=1, keepdims=True)
    return F.broadcast_div(total, F.sqrt(F.maximum(length, 1.0)))


def user_level_net(n_items: int, hidden: int) -> Any:
    """The symbolic network: masked embedding sum, tanh, all items at once, a logistic output each.

    Parameters
    ----------
    n_items, hidden : int

    Returns
    -------
    mxnet.symbol.Symbol
        Input ``padded`` (B, length) and label ``taken`` (B, n_items); output (B, n_items), the chance of
        each item. Weights are named ``item_in_weight``, ``hidden_bias``, ``items_weight``, ``items_bias``.
    """
    mx = import_mxnet()
    padded, taken = mx.sym.Variable("padded"), mx.sym.Variable("taken")
    rows = mx.sym.Embedding(
        mx.sym.relu(padded), input_dim=n_items, output_dim=hidden, name="item_in"
    )
    bias = mx.sym.Variable("hidden_bias", shape=(1, hidden))
    out = mx.sym.tanh(mx.sym.broadcast_add(_history_sum(mx.sym, padded, rows), bias))
    scores = mx.sym.FullyConnected(out, num_hidden=n_items, name="items")
    return mx.sym.LogisticRegressionOutput(scores, label=taken, name="chance")


def symbol_chances(symbol: Any, weights: Weights, padded: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """One forward pass of `user_level_net`: the chance of every item, (n_users, n_items).

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
        Made with the sizes of ``weights``.
    weights : dict
        As `helpers.models.userlevel.first_weights` makes them.
    padded : array-like of int, (n_users, length)

    Raises
    ------
    TypeError, ValueError, IndexError
        As `helpers.models.userlevel.check_padded`.
    """
    mx = import_mxnet()
    n_items = len(weights["item_in"])
    lists = check_padded(padded, n_items)
    if 0 in lists.shape:
        raise ValueError(
            f"padded histories have shape {lists.shape}: MXNet cannot bind an empty batch"
        )
    network = symbol.simple_bind(
        mx.cpu(), padded=lists.shape, taken=(len(lists), n_items), grad_req="null"
    )
    network.arg_dict["item_in_weight"][:] = weights["item_in"]
    network.arg_dict["hidden_bias"][:] = weights["hidden_bias"][None]
    network.arg_dict["items_weight"][:] = weights["item_out"]
    network.arg_dict["items_bias"][:] = weights["item_bias"]
    chances: npt.NDArray[np.float32] = network.forward(padded=mx.nd.array(lists))[0].asnumpy()
    return chances


def user_level_block(n_items: int, hidden: int) -> Any:
    """The same network as a hybrid block, without the output layer: it returns logits.

    Parameters
    ----------
    n_items, hidden : int

    Returns
    -------
    mxnet.gluon.HybridBlock
        Not initialized; called with padded lists, (B, length) float32, returns (B, n_items).
    """
    mx = import_mxnet()

    class UserLevelBlock(mx.gluon.HybridBlock):  # type: ignore[name-defined, misc, unused-ignore]
        """Masked embedding sum, tanh, all items at once."""

        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.item_in = mx.gluon.nn.Embedding(n_items, hidden)
                self.hidden_bias = self.params.get("hidden_bias", shape=(1, hidden), init="zeros")
                self.items = mx.gluon.nn.Dense(n_items, in_units=hidden)

        def hybrid_forward(self, F: Any, padded: Any, hidden_bias: Any) -> Any:
            rows = self.item_in(F.relu(padded))  # -1 becomes 0, and the mask takes it out again
            return self.items(F.tanh(F.broadcast_add(_history_sum(F, padded, rows), hidden_bias)))

    return UserLevelBlock()


def copy_to_block(weights: Weights, block: Any) -> None:
    """Put NumPy weights into a block of `user_level_block` with the same sizes, initializing it."""
    mx = import_mxnet()
    block.initialize(force_reinit=True)
    block.item_in.weight.set_data(mx.nd.array(weights["item_in"]))
    block.hidden_bias.set_data(mx.nd.array(weights["hidden_bias"][None]))
    block.items.weight.set_data(mx.nd.array(weights["item_out"]))
    block.items.bias.set_data(mx.nd.array(weights["item_bias"]))


def block_step(
    block: Any, padded: npt.ArrayLike, taken: npt.ArrayLike, learning_rate: float
) -> tuple[npt.NDArray[np.float32], Weights]:
    """One step of plain gradient descent on the multi-label loss.

    Parameters
    ----------
    block : mxnet.gluon.HybridBlock
        Of `user_level_block`, initialized; changed in place.
    padded : array-like of int, (n_users, length)
    taken : array-like, (n_users, n_items)
        Ones and zeros.
    learning_rate : float

    Returns
    -------
    scores : numpy.ndarray
        (n_users, n_items) logits before the step.
    weights : dict
        After it, by the names of `helpers.models.userlevel.first_weights`.
    """
    mx = import_mxnet()
    lists = check_padded(padded, np.asarray(taken).shape[1])
    loss_of = mx.gluon.loss.SigmoidBinaryCrossEntropyLoss()  # the mean over items
    trainer = mx.gluon.Trainer(block.collect_params(), "sgd", {"learning_rate": learning_rate})
    target = mx.nd.array(taken)
    with mx.autograd.record():
        scores = block(mx.nd.array(lists))
        loss = (
            loss_of(scores, target) * target.shape[1]
        )  # a sum over items, as in the other frameworks
    loss.backward()
    trainer.step(len(lists))
    return scores.asnumpy(), {
        "item_in": block.item_in.weight.data().asnumpy(),
        "hidden_bias": block.hidden_bias.data().asnumpy()[0],
        "item_out": block.items.weight.data().asnumpy(),
        "item_bias": block.items.bias.data().asnumpy(),
    }
