"""SavedModel in this process: rows and columns of JSON to its tensors, and its answers back."""

import base64
import binascii
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from local_sagemaker.serving.server import ClientError

Tensors = dict[str, np.ndarray]
_ENDLESS = (float("inf"), float("-inf"))
_KINDS: dict[str, set[type]] = dict(f={int, float}, i={int}, u={int}, b={bool}, O={bytes})


class SavedModel:
    """One model's signatures as runs of a session: half the cost of calling them from Python."""

    def __init__(self, folder: Path) -> None:
        guests = {"pandas", "sklearn", "matplotlib"} - sys.modules.keys()
        sys.modules.update(dict.fromkeys(guests))  # type: ignore[arg-type]
        import tensorflow as tf  # Keras would import them too: 150 MB in each model server

        for name in guests:
            del sys.modules[name]
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it advises a slower loader
        self._error, v1 = tf.errors.OpError, tf.compat.v1
        graph = tf.Graph()
        with graph.as_default():
            # requests run beside one another already
            alone = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
            session = v1.Session(graph=graph, config=alone)
            loaded = v1.saved_model.load(session, ["serve"], str(folder)).signature_def
        self._specs: dict[str, dict[str, np.dtype]] = {}
        self._runs: dict[str, Callable[[Tensors], Tensors]] = {}
        for key in loaded.keys() - {"__saved_model_init_op"}:
            self._prepare(session, key, loaded[key])

    def _prepare(self, session: Any, key: str, signature: Any) -> None:
        """Bind a signature, and run it twice: the first request is as fast as the next."""
        names, outputs = sorted(signature.inputs), sorted(signature.outputs)
        feeds = [session.graph.get_tensor_by_name(signature.inputs[n].name) for n in names]
        fetches = [session.graph.get_tensor_by_name(signature.outputs[n].name) for n in outputs]
        bound = session.make_callable(fetches, feed_list=feeds)
        kinds = [np.dtype(feed.dtype.as_numpy_dtype) for feed in feeds]
        self._specs[key] = dict(zip(names, kinds, strict=True))
        self._runs[key] = lambda rows: dict(zip(outputs, bound(*map(rows.get, names)), strict=True))
        if any(feed.shape.rank is None for feed in feeds):
            return
        rows: Tensors = {}
        for (name, kind), feed in zip(self._specs[key].items(), feeds, strict=True):
            one = [size or 1 for size in feed.shape.as_list()]
            rows[name] = np.full(one, b"" if kind.kind == "O" else 0, kind)
        try:
            self._runs[key](rows)
            self._runs[key](rows)
        except self._error as failed:
            print(f"warm-up of {key} on zeros failed, which may be right: {failed}")

    def predict(self, document: Any) -> dict[str, Any]:
        """Answer a request of TensorFlow Serving's method ``predict``."""
        if not isinstance(document, dict):
            raise ClientError(f"expected a JSON object, found {type(document).__name__}")
        key = document.get("signature_name") or "serving_default"
        if not isinstance(key, str) or key not in self._runs:
            have = ", ".join(sorted(self._runs))
            raise ClientError(f"signature_name {key!r}: the model has {have}")
        try:
            outputs = self._runs[key](to_tensors(document, self._specs[key]))
        except (self._error, ValueError, TypeError) as wrong:
            # TensorFlow's message first, then where in the graph
            said = getattr(wrong, "message", str(wrong)).partition("\n\nOriginal stack trace")[0]
            raise ClientError(said) from None
        return by_row(outputs) if "instances" in document else by_column(outputs)


def to_tensors(document: Mapping[str, Any], specs: Mapping[str, np.dtype]) -> Tensors:
    """Take the input tensors out of a request; ``object`` is the type of strings."""
    names = ", ".join(sorted(specs))
    if ("instances" in document) == ("inputs" in document):
        raise ClientError("expected one of 'instances' (rows) and 'inputs' (columns)")
    columns: Any = document.get("inputs")
    if "instances" in document:
        rows = document["instances"]
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
    if len({len(values) if values.ndim else -1 for values in outputs.values()}) > 1:
        raise ClientError("the model's outputs have different numbers of rows: ask with 'inputs'")
    columns = {name: _plain(values) for name, values in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def by_column(outputs: Tensors) -> dict[str, Any]:
    columns = {name: _plain(values) for name, values in outputs.items()}
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}


def _plain(values: np.ndarray) -> Any:
    """Return lists for JSON, in which a float32 is as short as it is exact: 0.2, not 0.20000000."""
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
