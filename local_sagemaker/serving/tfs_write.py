"""Output tensors to the JSON that TensorFlow Serving writes: a float32 of 0.2 as 0.2, not 0.20000000298."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def decimals(values: np.ndarray) -> list[str]:
    """Write floats with six digits where that is exact, else with as many as it takes.

    Parameters
    ----------
    values : numpy.ndarray
        (n,), float32 or float64.

    Returns
    -------
    list of str
        Whole numbers keep a ``.0``; NaN and infinities are written as in JavaScript.
    """
    whole = values.tolist()
    short = ("%.6g " * len(whole) % tuple(whole)).split()
    back = np.array(short, dtype=values.dtype)
    if not np.array_equal(back, values):
        precise = f"%.{9 if values.dtype == np.float32 else 17}g"
        for place in np.flatnonzero(~(back == values)).tolist():
            short[place] = precise % whole[place]
    return [text if "." in text or "e" in text else _whole(text) for text in short]


def _whole(text: str) -> str:
    return {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(
        text
    ) or text + ".0"


def array(values: np.ndarray) -> str:
    """Write one tensor of any shape as nested JSON lists."""
    if values.dtype.kind == "f":
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float32)
        leaves = decimals(values.ravel())
    elif values.dtype.kind == "O":
        leaves = [_string(value) for value in values.ravel()]
    else:
        leaves = [json.dumps(value) for value in values.ravel().tolist()]
    if not leaves:
        return json.dumps(values.tolist())
    for size in reversed(values.shape):
        leaves = ["[" + ", ".join(leaves[i : i + size]) + "]" for i in range(0, len(leaves), size)]
    return leaves[0]


def _string(value: Any) -> str:
    data = value if isinstance(value, bytes) else str(value).encode()
    try:
        return json.dumps(data.decode())
    except UnicodeDecodeError:
        return json.dumps({"b64": base64.b64encode(data).decode()})


def rows(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Answer a request in row format.

    Raises
    ------
    ValueError
        The outputs have no common first dimension, as TensorFlow Serving words it.
    """
    for name, values in outputs.items():
        if values.ndim == 0:
            raise ValueError(f"Tensor name: {name} has no shape information ")
    if len({len(values) for values in outputs.values()}) > 1:
        name = next(iter(outputs))
        raise ValueError(f"Tensor name: {name} has inconsistent batch size: {len(outputs[name])}")
    if len(outputs) == 1:
        return f'{{"predictions": {array(next(iter(outputs.values())))}}}'.encode()
    columns = {
        name: [array(np.asarray(row, values.dtype)) for row in values]
        for name, values in outputs.items()
    }
    cells = [[f"{json.dumps(name)}: {text}" for text in column] for name, column in columns.items()]
    return (
        '{"predictions": ['
        + ", ".join("{" + ", ".join(row) + "}" for row in zip(*cells, strict=True))
        + "]}"
    ).encode()


def columns(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Answer a request in column format."""
    if len(outputs) == 1:
        return f'{{"outputs": {array(next(iter(outputs.values())))}}}'.encode()
    body = ", ".join(f"{json.dumps(name)}: {array(values)}" for name, values in outputs.items())
    return f'{{"outputs": {{{body}}}}}'.encode()
