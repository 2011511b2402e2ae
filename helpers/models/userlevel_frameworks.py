"""The user-level network in Keras, and in MXNet as a symbol and as a Gluon block.

MXNet may be missing: ask `helpers.gates.mxnet` first. Its Embedding reads the first row for -1, and
the last row for an index that is too large, without an error; so lists are checked and masked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers.gates import import_keras, import_mxnet
from helpers.models.training import Weights
from helpers.models.userlevel import check_padded

if TYPE_CHECKING:
    import keras


def keras_user_level(weights: Weights) -> keras.Model:
    """Return the network in Keras with these weights; its logits are (B, n_items) float32.

    It takes int32 lists padded with -1, (B, length), or float32 rows of ones, (B, n_items).
    """
    keras = import_keras()
    ops = keras.ops

    class KerasUserLevel(keras.Model):  # type: ignore[name-defined, misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__(name="user_level")
            self.tables = {n: self.add_weight(shape=w.shape, name=n) for n, w in weights.items()}
            self.built = True
            self.set_weights(list(weights.values()))

        def call(self, history: Any) -> Any:
            table, real = self.tables["item_in"], history
            if "int" in keras.backend.standardize_dtype(history.dtype):
                real = ops.cast(history >= 0, "float32")
                rows = ops.take(table, ops.maximum(history, 0), axis=0)  # (B, length, hidden)
                total = ops.einsum("blk,bl->bk", rows, real)
            else:
                total = ops.matmul(history, table)
            length = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0)
            hidden = ops.tanh(total / ops.sqrt(length) + self.tables["hidden_bias"])
            item_out = ops.transpose(self.tables["item_out"])
            return ops.matmul(hidden, item_out) + self.tables["item_bias"]

    return KerasUserLevel()


def _mxnet_scores(
    F: Any, padded: Any, item_in: Any, hidden_bias: Any, item_out: Any, item_bias: Any, shape: Any
) -> Any:
    """Return the network in MXNet's operators; ``shape`` is (n_items, hidden)."""
    n_items, hidden = shape
    real = padded >= 0  # (B, length) of float32 ones and zeros
    # -1 becomes 0, and the mask takes it out again
    rows = F.Embedding(F.relu(padded), item_in, input_dim=n_items, output_dim=hidden)
    total = F.sum(F.broadcast_mul(rows, F.expand_dims(real, axis=2)), axis=1)
    length = F.maximum(F.sum(real, axis=1, keepdims=True), 1.0)
    scaled = F.broadcast_div(total, F.sqrt(length))
    out = F.tanh(F.broadcast_add(scaled, F.reshape(hidden_bias, shape=(1, hidden))))
    return F.FullyConnected(out, item_out, item_bias, num_hidden=n_items)


def symbol_chances(weights: Weights, padded: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return items' chances, (n_users, n_items), from an MXNet symbol that ends in a sigmoid."""
    mx = import_mxnet()
    given = {"padded": check_padded(padded, len(weights["item_in"])), **weights}
    variables = {name: mx.sym.Variable(name) for name in given}
    scores = _mxnet_scores(mx.sym, **variables, shape=weights["item_in"].shape)
    arrays = {name: mx.nd.array(value) for name, value in given.items()}
    (chances,) = mx.sym.sigmoid(scores).bind(mx.cpu(), arrays).forward()
    return np.asarray(chances.asnumpy())


def user_level_block(weights: Weights) -> Any:
    """Return an MXNet Gluon block with these weights: (B, length) lists to (B, n_items) logits."""
    mx = import_mxnet()

    class UserLevelBlock(mx.gluon.HybridBlock):  # type: ignore[name-defined, misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                for name, value in weights.items():
                    start = mx.init.Constant(mx.nd.array(value))
                    setattr(self, name, self.params.get(name, shape=value.shape, init=start))

        def hybrid_forward(self, F: Any, padded: Any, **tables: Any) -> Any:
            return _mxnet_scores(F, padded, **tables, shape=weights["item_in"].shape)

    block = UserLevelBlock()
    block.initialize()
    return block
