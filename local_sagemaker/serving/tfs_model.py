"""TensorFlow Serving's REST interface over a SavedModel, in this process."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from local_sagemaker.serving import tfs_json, tfs_write
from local_sagemaker.serving.tfs_session import Run, prepared

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+))?(?P<what>/metadata|:\w+)?"
)
Answer = tuple[int, bytes]


@contextlib.contextmanager
def _absent(*names: str) -> Iterator[None]:
    """Hide packages that are not imported yet from imports inside the block."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class Servable:
    """One version of one model.

    Parameters
    ----------
    base : Path
        Folder of the versions.
    name : str
        What it is called in paths.
    version : int
        Which of them: the folder that holds ``saved_model.pb``.
    """

    def __init__(self, base: Path, name: str, version: int) -> None:
        with _absent("pandas", "sklearn", "matplotlib"):  # Keras' guests: 150 MB a model server
            import tensorflow as tf

        self._tf = tf
        tf.config.threading.set_inter_op_parallelism_threads(
            1
        )  # requests run beside one another already
        tf.config.threading.set_intra_op_parallelism_threads(1)
        self.name, self.version = name, version
        self._model = tf.saved_model.load(
            str(base / str(version))
        )  # kept: signatures only refer to it
        self._signatures = dict(self._model.signatures)
        self._specs = {
            key: {
                n: _dtype(spec.dtype) for n, spec in signature.structured_input_signature[1].items()
            }
            for key, signature in self._signatures.items()
        }
        self._runs = self._prepared(base / str(version))
        self._warm_up()

    def _prepared(self, folder: Path) -> dict[str, Run]:
        """Signatures as runs of a session; none where the model can only be called from Python."""
        try:
            runs = prepared(folder, self._tf)
        except (self._tf.errors.OpError, ValueError, RuntimeError, KeyError, TypeError) as failed:
            print(f"requests are answered by the signatures themselves: {failed}", flush=True)
            return {}
        return {key: run for key, run in runs.items() if key in self._signatures}

    def _warm_up(self) -> None:
        """Run each signature twice on one row, so that the first request is as fast as the next."""
        for key, signature in self._signatures.items():
            rows = {}
            for name, spec in signature.structured_input_signature[1].items():
                if spec.shape.rank is None:
                    break
                shape = [size or 1 for size in spec.shape.as_list()]
                rows[name] = (
                    np.full(shape, b"") if spec.dtype == self._tf.string else np.zeros(shape)
                )
            else:
                try:
                    for _ in range(2):
                        self._call(key, rows)
                except self._tf.errors.OpError as failed:
                    print(
                        f"warm-up of {key} on zeros failed, which may be right: {failed}",
                        flush=True,
                    )

    def _call(self, key: str, arrays: tfs_json.Tensors) -> dict[str, np.ndarray]:
        run = self._runs.get(key)
        if run is not None:
            with contextlib.suppress(self._tf.errors.OpError, ValueError, TypeError, KeyError):
                return run(arrays)
            # the signature finds the words that TensorFlow Serving uses
        signature = self._signatures[key]
        specs = signature.structured_input_signature[1]
        found = signature(
            **{n: self._tf.constant(a, dtype=specs[n].dtype) for n, a in arrays.items()}
        )
        return {name: tensor.numpy() for name, tensor in sorted(found.items())}

    def predict(self, body: bytes) -> bytes:
        """Answer ``:predict``.

        Raises
        ------
        ValueError
            The request does not fit the model; the text is TensorFlow's.
        """
        document = tfs_json.parse(body)
        key = document.get("signature_name") or "serving_default"
        if key not in self._signatures:
            raise ValueError(f'Serving signature name: "{key}" not found in signature def')
        arrays, by_row = tfs_json.tensors(document, self._specs[key])
        try:
            outputs = self._call(key, arrays)
        except (self._tf.errors.InvalidArgumentError, ValueError, TypeError) as wrong:
            raise ValueError(_serving_text(getattr(wrong, "message", str(wrong)))) from wrong
        return tfs_write.rows(outputs) if by_row else tfs_write.columns(outputs)

    def rest(self, method: str, path: str, body: bytes) -> Answer:
        """Answer any path of the interface: status, metadata, predict."""
        found = _PATH.fullmatch(path)
        if not found:
            return _error(404, f"Malformed request: {method} {path}")
        asked = found["version"]
        if found["name"] != self.name or (asked and int(asked) != self.version):
            which = f"Specific({found['name']}, {asked})" if asked else f"Latest({found['name']})"
            return _error(404, f"Servable not found for request: {which}")
        if found["what"] is None:
            return 200, json.dumps(self._status()).encode()
        if found["what"] == "/metadata":
            return 200, json.dumps(self._metadata()).encode()
        if found["what"] != ":predict":
            return _error(501, f"{found['what'][1:]} has no local implementation: use predict")
        try:
            return 200, self.predict(body)
        except ValueError as wrong:
            return _error(400, str(wrong))

    def _status(self) -> dict[str, Any]:
        status = {"error_code": "OK", "error_message": ""}
        return {
            "model_version_status": [
                {"version": str(self.version), "state": "AVAILABLE", "status": status}
            ]
        }

    def _metadata(self) -> dict[str, Any]:
        signatures = {
            key: {
                "inputs": {n: _info(s) for n, s in signature.structured_input_signature[1].items()},
                "outputs": {n: _info(s) for n, s in signature.structured_outputs.items()},
                "method_name": "tensorflow/serving/predict",
            }
            for key, signature in self._signatures.items()
        }
        return {
            "model_spec": {"name": self.name, "signature_name": "", "version": str(self.version)},
            "metadata": {"signature_def": {"signature_def": signatures}},
        }


def _serving_text(message: str) -> str:
    """Leave out what only TensorFlow's Python adds to an error of the graph."""
    message = message.rpartition("<stack traces unavailable>\n")[2]
    return re.sub(r" \[Op:\w+\]$", "", message)


def _dtype(dtype: Any) -> np.dtype:
    return np.dtype(object) if dtype.name == "string" else np.dtype(dtype.as_numpy_dtype)


def _info(spec: Any) -> dict[str, Any]:
    kinds = {"float32": "FLOAT", "float64": "DOUBLE"}
    shape: dict[str, Any] = {"dim": [], "unknown_rank": True}
    if spec.shape.rank is not None:
        sizes = [
            {"size": str(-1 if size is None else size), "name": ""} for size in spec.shape.as_list()
        ]
        shape = {"dim": sizes, "unknown_rank": False}
    kind = f"DT_{kinds.get(spec.dtype.name, spec.dtype.name.upper())}"
    return {"dtype": kind, "tensor_shape": shape, "name": spec.name}


def _error(status: int, text: str) -> Answer:
    return status, json.dumps({"error": text}).encode()
