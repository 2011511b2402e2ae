"""What chapter 02 writes out as its lesson is the function that later chapters import."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from helpers import book, gates
from helpers.models.mf_arithmetic import gradients


def cell(name: str) -> str:
    """The code of the cell that defines ``name``, up to the first statement that is not a definition."""
    code = next(
        c.source
        for c in book.solved(book.read(book.sources(["02"])[0])).cells
        if c.cell_type == "code" and (f"def {name}(" in c.source or f"class {name}(" in c.source)
    )
    return code.split("\n\n\nif gates")[0]


def test_batch_gradient_is_the_helpers():
    space: dict[str, Any] = {"np": np}
    exec(cell("batch_gradient"), space)
    chance = np.random.default_rng(0)
    weights = {
        "user_factors": chance.normal(size=(6, 3)).astype("float32"),
        "item_factors": chance.normal(size=(5, 3)).astype("float32"),
    }
    batch = (np.array([0, 0, 3]), np.array([1, 2, 1]), np.array([4, 3, 5], "float32"))
    found = dict(zip(weights, space["batch_gradient"](*weights.values(), *batch), strict=True))
    for name, expected in gradients(weights, *batch).items():
        assert np.abs(found[name] - expected).max() < 1e-5


@pytest.mark.skipif(not gates.mxnet, reason="no MXNet on this machine")
def test_the_mxnet_networks_are_the_helpers():
    from types import SimpleNamespace

    from helpers.models import mf_mxnet

    mx = gates.import_mxnet()
    space: dict[str, Any] = {
        "mx": mx,
        "np": np,
        "gates": gates,
        "ratings": SimpleNamespace(n_users=6, n_items=5),
    }
    exec(cell("plain_net"), space)
    layers = [
        [node["op"] for node in json.loads(symbol.tojson())["nodes"]]
        for symbol in (space["plain_net"](4), mf_mxnet.plain_net(4, 6, 5))
    ]
    assert layers[0] == layers[1]
    exec(cell("MFBlock"), space)
    chance = np.random.default_rng(0)
    weights = {
        "user_factors": chance.normal(size=(6, 4)).astype("float32"),
        "item_factors": chance.normal(size=(5, 4)).astype("float32"),
    }
    users, items = mx.nd.array([0, 5, 2]), mx.nd.array([1, 1, 4])
    outputs = []
    for block in (space["MFBlock"](6, 5, 4), mf_mxnet.mf_block(6, 5, 4)):
        mf_mxnet.copy_to_block(weights, block)
        outputs.append(block(users, items).asnumpy())
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-6
