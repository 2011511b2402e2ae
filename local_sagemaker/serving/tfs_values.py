"""Values of a JSON request to a tensor, one by one, and TensorFlow Serving's words where one does not fit."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

import numpy as np

_NAMES = {"float32": "float", "float64": "double", "object": "string"}


class JsonError(ValueError):
    """The request cannot be turned into tensors; the text is TensorFlow Serving's."""


def is_bytes(value: Any) -> bool:
    """Whether a value is ``{"b64": …}``."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def tensor(value: Any, dtype: np.dtype) -> np.ndarray:
    """Build the tensor element by element, as TensorFlow Serving does, to word the error as it does."""
    shape = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        if not inner:
            break
        inner = inner[0]
    leaves: list[Any] = []
    _fill(value, 0, shape, dtype, leaves)
    array = np.empty(len(leaves), dtype=dtype)
    array[:] = leaves
    return array.reshape(shape)


def _fill(value: Any, level: int, shape: list[int], dtype: np.dtype, leaves: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise JsonError(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        leaves.append(_leaf(value, dtype))
        return
    if level >= len(shape):
        raise JsonError(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise JsonError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for inner in value:
        _fill(inner, level + 1, shape, dtype, leaves)


def _leaf(value: Any, dtype: np.dtype) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if dtype.kind == "O":
        if isinstance(value, str):
            return value.encode()
        if is_bytes(value):
            try:
                return base64.b64decode(value["b64"], validate=True)
            except binascii.Error:
                raise JsonError("Unable to base64 decode") from None
        if isinstance(value, dict):
            raise JsonError(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    elif dtype.kind == "b" and isinstance(value, bool):
        return value
    elif dtype.kind == "f" and number:
        limits = np.finfo(dtype)
        exact = (
            abs(value) <= 2 ** (limits.nmant + 1) - 1
            if isinstance(value, int)
            else not math.isfinite(value) or abs(value) <= limits.max
        )
        if not exact:
            raise JsonError(
                f"Cannot convert JSON value: {shown(value)} to {_name(dtype)} without loss of precision."
            )
        return value
    elif dtype.kind in "iu" and isinstance(value, int) and not isinstance(value, bool):
        limit = np.iinfo(dtype)
        if limit.min <= value <= limit.max:
            return value
    raise JsonError(
        f"JSON Value: {shown(value)} Type: {_type(value)} is not of expected type: {_name(dtype)}"
    )


def _name(dtype: np.dtype) -> str:
    return _NAMES.get(dtype.name, dtype.name)


def _type(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def shown(value: Any) -> str:
    """Write a value for a message; a large one is cut."""
    text = json.dumps(value)
    return text if len(text) <= 300 else text[:300] + "…"
