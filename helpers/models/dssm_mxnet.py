"""The talk's cosine loss as an MXNet layer, twice: as a symbol and as a Gluon block.

MXNet may be missing, so it is imported inside the functions; ask `helpers.gates.mxnet` first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.gates import import_mxnet


def cosine_loss(F: Any, a: Any, b: Any, label: Any) -> Any:
    """Write the cosine loss in MXNet's operators.

    Parameters
    ----------
    F : module
        ``mx.sym`` for a symbol, ``mx.nd`` for arrays; Gluon passes the right one.
    a, b : Symbol or NDArray
        (B, k) each, the rows of the two towers.
    label : Symbol or NDArray
        (B,), 1 for a pair that belongs together and 0 for one that does not.

    Returns
    -------
    Symbol or NDArray
        (B,): ``1 - cosine`` where the label is 1, ``max(0, cosine)`` where it is 0.
    """
    squares = F.sum(a * a, axis=1) * F.sum(b * b, axis=1)
    alive = squares > 0  # a row of zeros has no direction: cosine 0, slope 0
    cosine = alive * F.sum(a * b, axis=1) / F.sqrt(squares + (1 - alive))
    return label * (1 - cosine) + (1 - label) * F.relu(cosine)


def dssm_symbol(k: int, n_users: int, n_features: int) -> Any:
    """Build the symbolic two-tower network: an id's Embedding, a bag's dense layer, the cosine loss.

    Parameters
    ----------
    k : int
        Numbers of the shared space.
    n_users, n_features : int
        Rows of the embedding, columns of the bag.

    Returns
    -------
    mxnet.symbol.Symbol
        Inputs ``user`` (B,), ``bag`` (B, n_features) and ``label`` (B,); output the loss, (B,).
    """
    mx = import_mxnet()
    user, bag, label = (mx.sym.Variable(name) for name in ("user", "bag", "label"))
    a = mx.sym.Embedding(user, input_dim=n_users, output_dim=k, name="user_rows")
    b = mx.sym.FullyConnected(bag, num_hidden=k, no_bias=True, name="item_bag")
    return mx.sym.MakeLoss(cosine_loss(mx.sym, a, b, label), name="cosine")


def cosine_block() -> Any:
    """Return the loss as a Gluon block: called with ``(a, b, label)``, it returns (B,)."""
    mx = import_mxnet()

    class CosineLoss(mx.gluon.HybridBlock):  # type: ignore[name-defined]
        """One minus the cosine of each pair of rows."""

        def hybrid_forward(self, F: Any, a: Any, b: Any, label: Any) -> Any:
            return cosine_loss(F, a, b, label)

    return CosineLoss()


def block_slopes(
    a: np.ndarray, b: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the Gluon block once, forward and backward.

    Parameters
    ----------
    a, b : numpy.ndarray
        (B, k).
    label : numpy.ndarray
        (B,).

    Returns
    -------
    tuple of numpy.ndarray
        The loss (B,) and the slopes of its sum for ``a`` and ``b``, float32.
    """
    mx = import_mxnet()
    block = cosine_block()
    block.hybridize()
    left, right, marks = (mx.nd.array(x, dtype="float32") for x in (a, b, label))
    left.attach_grad()
    right.attach_grad()
    with mx.autograd.record():
        loss = block(left, right, marks)
    loss.backward()
    return loss.asnumpy(), left.grad.asnumpy(), right.grad.asnumpy()


def symbol_slopes(
    rows: np.ndarray, weight: np.ndarray, users: np.ndarray, bag: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run `dssm_symbol` once, forward and backward.

    Parameters
    ----------
    rows : numpy.ndarray
        (n_users, k), the users' embedding.
    weight : numpy.ndarray
        (k, n_features), the dense layer, transposed as MXNet keeps it.
    users, bag, label : numpy.ndarray
        (B,), (B, n_features) and (B,).

    Returns
    -------
    tuple of numpy.ndarray
        The loss (B,) and the slopes of its sum for ``rows`` and ``weight``, float32.
    """
    mx = import_mxnet()
    symbol = dssm_symbol(rows.shape[1], len(rows), weight.shape[1])
    given = {
        "user": users,
        "bag": bag,
        "label": label,
        "user_rows_weight": rows,
        "item_bag_weight": weight,
    }
    arrays = {name: mx.nd.array(value, dtype="float32") for name, value in given.items()}
    slopes = {
        name: mx.nd.zeros(arrays[name].shape) for name in ("user_rows_weight", "item_bag_weight")
    }
    executor = symbol.bind(mx.cpu(), arrays, args_grad=slopes)
    loss = executor.forward(is_train=True)[0].asnumpy()
    executor.backward()
    return loss, slopes["user_rows_weight"].asnumpy(), slopes["item_bag_weight"].asnumpy()
