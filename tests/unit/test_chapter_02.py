"""What chapter 02 writes out as its lesson is the function that later chapters import."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers import book
from helpers.models.mf import gradients


def test_batch_gradient_is_the_helpers():
    code = next(
        cell.source
        for cell in book.solved(book.read(book.sources(["02"])[0])).cells
        if cell.cell_type == "code" and "def batch_gradient(" in cell.source
    )
    space: dict[str, Any] = {"np": np}
    exec(code, space)
    chance = np.random.default_rng(0)
    weights = {
        "user_factors": chance.normal(size=(6, 3)).astype("float32"),
        "item_factors": chance.normal(size=(5, 3)).astype("float32"),
    }
    batch = (np.array([0, 0, 3]), np.array([1, 2, 1]), np.array([4, 3, 5], "float32"))
    found = dict(zip(weights, space["batch_gradient"](*weights.values(), *batch), strict=True))
    for name, expected in gradients(weights, *batch).items():
        assert np.abs(found[name] - expected).max() < 1e-5
