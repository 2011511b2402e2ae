"""SavedModel in this process: rows and columns of JSON to its tensors, and its answers back."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from local_sagemaker.serving.server import ClientError

Tensors = dict[str, np.ndarray]
_ENDLESS = (float("inf"), float("-inf"))
_KINDS: dict[str, set[type]] = dict(f={int, float}, i={int}, u={int}, b={bool}, O={bytes})


class SavedModel:
    """The signatures of one model."""

    def __init__(self, folder: Path) -> None:
        guests = {"pandas", "sklearn", "matplotlib"} - sys.modules.keys()
        sys.modules.update(dict.fromkeys(guests))  # type: ignore[arg-type]
        import tensorflow as tf  # Keras would import them too: 150 MB in each model server

        for name in guests:
            del sys.modules[name]
        self._tf = tf
        # requests run beside one another already
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
        self._model = tf.saved_model.load(str(folder))  # kept: signatures only refer to it
        self._signatures = dict(self._model.signatures)
        self._inputs = {
            key: dict(signature.structured_input_signature[1])
            for key, signature in self._signatures.items()
        }
        self._warm_up()

    def _warm_up(self) -> None:
        """Run each signature twice on one row, so that the first request is as fast as the next."""
        for key, specs in self._inputs.items():
            if any(spec.shape.rank is None for spec in specs.values()):
                continue
            rows = {
                name: np.full([size or 1 for size in spec.shape.as_list()], b"", object)
                if spec.dtype == self._tf.string
                else np.zeros([size or 1 for size in spec.shape.as_list()])
                for name, spec in specs.items()
            }
            try:
                self._call(key, rows)
                self._call(key, rows)
            except self._tf.errors.OpError as failed:
                print(f"warm-up of {key} on zeros failed, which may be right: {failed}")

    def _call(self, key: str, arrays: Tensors) -> Tensors:
        specs = self._inputs[key]
        tensors = {n: self._tf.constant(a, dtype=specs[n].dtype) for n, a in arrays.items()}
        found = self._signatures[key](**tensors)
        return {name: tensor.numpy() for name, tensor in sorted(found.items())}

    def predict(self, document: Any) -> dict[str, Any]:
        """Answer a request of TensorFlow Serving's method ``predict``."""
        if not isinstance(document, dict):
            raise ClientError(f"expected a JSON object, found {type(document).__name__}")
        key = document.get("signature_name") or "serving_default"
        if not isinstance(key, str) or key not in self._signatures:
            have = ", ".join(sorted(self._signatures))
            raise ClientError(f"signature_name {key!r}: the model has {have}")
        specs = {
            name: np.dtype(object if spec.dtype == self._tf.string else spec.dtype.as_numpy_dtype)
            for name, spec in self._inputs[key].items()
        }
        arrays = to_tensors(document, specs)
        try:
            outputs = self._call(key, arrays)
        except (self._tf.errors.InvalidArgumentError, ValueError, TypeError) as wrong:
            said = str(getattr(wrong, "message", wrong))
            # what stands before it is TensorFlow's traceback
            raise ClientError(said.rpartition("<stack traces unavailable>\n")[2]) from None
        return by_row(outputs) if "instances" in document else by_column(outputs)


def to_tensors(document: Mapping[str, Any], specs: Mapping[str, np.dtype]) -> Tensors:
    """Take the input tensors out of a request; ``object`` is the type of strings."""
    names = ", ".join(sorted(specs))
    if ("instances" in document) == ("inputs" in document):
        raise ClientError("expected one of 'instances' (rows) and 'inputs' (columns)")
    rows, columns = document.get("instances"), document.get("inputs")
    if "instances" in document:
        if not isinstance(rows, list) or not rows:
            raise ClientError("'instances' is no list of rows, or is empty")
        columns = rows
        if any(map(_named, rows)):
            for place, row in enumerate(rows):
                if not _named(row) or row.keys() != specs.keys():
                    raise ClientError(f"instance {place} is {str(row)[:80]}; expected {names}")
            columns = {name: [row[name] for row in rows] for name in specs}
    if not _named(columns) and len(specs) == 1:
        columns = dict.fromkeys(specs, columns)
    if not _named(columns) or columns.keys() != specs.keys():
        has = ", ".join(sorted(columns)) if _named(columns) else ""
        raise ClientError(f"inputs by name: {has or 'none'}; expected {names}")
    return {name: _tensor(columns[name], dtype, name) for name, dtype in specs.items()}


def _named(value: Any) -> bool:
    """Whether a value holds inputs by name; ``{"b64": …}`` is one string."""
    return isinstance(value, dict) and value.keys() != {"b64"}


def _tensor(value: Any, dtype: np.dtype, name: str) -> np.ndarray:
    """Return one input as an array of its type; nothing is rounded, cut or guessed."""
    text = dtype.kind == "O"
    wanted = "string" if text else dtype.name
    try:
        array = np.array(_strings(value) if text else value, dtype=object)
    except ValueError:
        raise ClientError(f"input {name}: its lists have different depths") from None
    others = set(map(type, array.ravel())) - _KINDS[dtype.kind]
    if list in others:
        raise ClientError(f"input {name}: its lists have different lengths")
    if others:
        found = ", ".join(sorted(kind.__name__ for kind in others))
        raise ClientError(f"input {name} has {found}; expected {wanted}")
    if dtype.kind in "fiu":
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        low, high = np.array([limits.min, limits.max], dtype).tolist()
        for number in array.ravel():  # NaN and infinity are numbers of their own
            if not low <= number <= high and number not in _ENDLESS and number == number:
                raise ClientError(f"input {name}: no {wanted} can hold {str(number)[:40]}")
    return array.astype(dtype)


def _strings(value: Any) -> Any:
    """Return the bytes of strings and of ``{"b64": …}``, in lists as they came."""
    if isinstance(value, list):
        return [_strings(inner) for inner in value]
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as wrong:
            raise ClientError(f"b64 holds no base64: {wrong}") from None
    return value


def by_row(outputs: Tensors) -> dict[str, Any]:
    """Answer a request of rows."""
    if len({len(values) if values.ndim else -1 for values in outputs.values()}) > 1:
        raise ClientError("the model's outputs have different numbers of rows: ask with 'inputs'")
    columns = {name: _plain(values) for name, values in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def by_column(outputs: Tensors) -> dict[str, Any]:
    """Answer a request of columns."""
    columns = {name: _plain(values) for name, values in outputs.items()}
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}


def _plain(values: np.ndarray) -> Any:
    """Return lists for JSON, in which a float32 is as short as it is exact: 0.2, not 0.2000000029."""
    if values.dtype.kind == "O":
        return _texts(values.tolist())
    if values.dtype.kind == "f" and values.dtype != np.float64:
        return values.astype("U").astype(np.float64).tolist()
    return values.tolist()


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(inner) for inner in value]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
