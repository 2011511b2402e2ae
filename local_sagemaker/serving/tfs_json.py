"""JSON requests of TensorFlow Serving's REST interface, to arrays; errors in TensorFlow Serving's words.

The rules are those of its ``json_tensor.cc``: row format (``instances``), column format (``inputs``), numbers
that must fit the type, ``{"b64": …}`` for bytes, and ``NaN`` and ``Infinity``, which it reads as floats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from local_sagemaker.serving.tfs_values import JsonError, is_bytes, shown, tensor

Tensors = dict[str, np.ndarray]
_PARSE_ERRORS = {
    "Expecting value": "Invalid value.",
    "Extra data": "The document root must not be followed by other values.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma or closing bracket after an element.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
}


def parse(body: bytes) -> dict[str, Any]:
    """Read the JSON object of a request.

    Raises
    ------
    JsonError
        It is none.
    """
    if not body.strip():
        raise JsonError("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as wrong:
        text = _PARSE_ERRORS.get(wrong.msg, wrong.msg)
        raise JsonError(f"JSON Parse error: {text} at offset: {wrong.pos}") from None
    except UnicodeDecodeError as wrong:
        raise JsonError(
            f"JSON Parse error: Invalid encoding in string. at offset: {wrong.start}"
        ) from None
    except RecursionError:
        raise JsonError("JSON Parse error: nested too deeply") from None
    if not isinstance(document, dict):
        raise JsonError(f"JSON Value: {shown(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise JsonError(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key "
            "must be a string value."
        )
    return document


def tensors(document: Mapping[str, Any], spec: Mapping[str, np.dtype]) -> tuple[Tensors, bool]:
    """Take the input tensors out of a request.

    Parameters
    ----------
    document : mapping
        What `parse` returned.
    spec : mapping of str to numpy.dtype
        Names and types of the signature's inputs; ``object`` stands for strings.

    Returns
    -------
    tuple of dict and bool
        Arrays by input name, and whether the request was in row format.

    Raises
    ------
    JsonError
        Keys are missing, or a value is not of its type or place.
    """
    if "instances" in document and "inputs" in document:
        raise JsonError(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise JsonError(
                f"JSON Value: {shown(document)} Excepting 'instances' to be an list/array"
            )
        if not instances:
            raise JsonError(f"JSON Value: {shown(document)} No values in 'instances' array")
        return _rows(instances, spec), True
    if "inputs" in document:
        return _columns(document["inputs"], spec), False
    raise JsonError("Missing 'inputs' or 'instances' key")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_bytes(value)


def _rows(instances: list[Any], spec: Mapping[str, np.dtype]) -> Tensors:
    if not isinstance(instances[0], dict) and len(spec) > 1:
        raise JsonError(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    objects = _is_object(instances[0])
    if not objects:
        for place, value in enumerate(instances):
            if _is_object(value):
                raise JsonError(
                    f"Expecting value/list but got object at item {place} of input list"
                )
        return {name: _column(instances, dtype, "") for name, dtype in spec.items()}
    names = set(spec)
    for place, value in enumerate(instances):
        if not _is_object(value):
            raise JsonError(f"Expecting object but got list at item {place} of input list")
        if value.keys() != names:
            for name in value:
                if name not in names:
                    raise JsonError(
                        f"Failed to process element: {place} key: {name} of 'instances' list. Error: "
                        f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
                    )
            raise JsonError(
                f"Failed to process element: {place} of 'instances' list. JSON object: {shown(value)} keys "
                f"must be equal to: {','.join(sorted(names))}"
            )
    return {
        name: _column([row[name] for row in instances], dtype, f" key: {name}")
        for name, dtype in spec.items()
    }


def _column(values: list[Any], dtype: np.dtype, key: str) -> np.ndarray:
    """Stack the values of all rows; where that fails, look for the row to blame."""
    array = _fast(values, dtype)
    if array is not None:
        return array
    first: np.ndarray | None = None
    stacked = []
    for place, value in enumerate(values):
        try:
            item = tensor(value, dtype)
            if first is not None and item.size != first.size:
                raise JsonError(f"Expecting tensor size: {first.size} but got: {item.size}")
            if first is not None and item.shape != first.shape:
                raise JsonError(f"Expecting shape {_shape(first)} but got: {_shape(item)}")
        except JsonError as wrong:
            raise JsonError(
                f"Failed to process element: {place}{key} of 'instances' list. Error: "
                f"INVALID_ARGUMENT: {wrong}"
            ) from None
        first = item if first is None else first
        stacked.append(item)
    return np.stack(stacked)


def _shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def _columns(inputs: Any, spec: Mapping[str, np.dtype]) -> Tensors:
    if not _is_object(inputs):
        if len(spec) > 1:
            raise JsonError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        inputs = {name: inputs for name in spec}
    found = {}
    for name, dtype in spec.items():
        if name not in inputs:
            raise JsonError(f"Missing named input: {name} in 'inputs' object.")
        array = _fast(inputs[name], dtype)
        found[name] = tensor(inputs[name], dtype) if array is None else array
    return found


def _fast(values: Any, dtype: np.dtype) -> np.ndarray | None:
    """Return a regular array of nothing but numbers of the right kind; ``None`` means: look closer."""
    if dtype.kind not in "fiu" or not isinstance(values, list):
        return None
    flat: Sequence[Any] | chain[Any] = values
    while isinstance(flat, list) and flat and isinstance(flat[0], list):
        if set(map(type, flat)) != {list}:
            return None
        flat = list(chain.from_iterable(flat))
    allowed = {int, float} if dtype.kind == "f" else {int}
    if not set(map(type, flat)) <= allowed:
        return None
    try:
        array = np.array(values, dtype=np.float64 if dtype.kind == "f" else None)
    except (ValueError, OverflowError):
        return None
    if dtype.kind == "f":
        largest = 2.0 ** (np.finfo(dtype).nmant + 1) - 1
        if {int} & set(map(type, flat)) and np.abs(
            array, where=np.isfinite(array), out=np.zeros_like(array)
        ).max(initial=0) > largest:
            return None
        if dtype == np.float32 and np.any(
            np.isfinite(array) & (np.abs(array) > np.finfo(dtype).max)
        ):
            return None
    elif array.size and (
        array.dtype.kind not in "iu"
        or array.min() < np.iinfo(dtype).min
        or array.max() > np.iinfo(dtype).max
    ):
        return None
    return array.astype(dtype)
