"""A Python container: ``model_fn``, ``input_fn``, ``predict_fn``, ``output_fn``, ``transform_fn``.

Defaults are those of AWS' ``sagemaker-inference`` toolkit: JSON, CSV and ``.npy`` in and out.
``python -m local_sagemaker.serving.script`` with ``COURSE_MODEL_DIR``.
"""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from local_sagemaker.serving.server import ClientError, Invocation, Response, serve
from local_sagemaker.serving.usercode import call, load

_NPY = "application/x-npy"


def default_input_fn(data: bytes, content_type: str) -> Any:
    """Decode JSON, CSV or ``.npy`` to an array.

    Raises
    ------
    ClientError
        Another content type, or bytes that are not of it.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return np.array(json.loads(data))
        if kind == "text/csv":
            return np.genfromtxt(io.StringIO(data.decode()), dtype=np.float32, delimiter=",")
        if kind == _NPY:
            return np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError as wrong:
        raise ClientError(f"the body is not {kind}: {wrong}") from None
    raise ClientError(
        f"Content type {content_type} is not supported by this framework. Please implement input_fn to "
        "deserialize the request data and an output_fn to serialize the response.",
        415,
    )


def default_output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """Encode an array as JSON, CSV or ``.npy``.

    Raises
    ------
    ClientError
        Nothing that is accepted can be written.
    """
    array = np.asarray(prediction)
    for kind in (part.partition(";")[0].strip().lower() for part in accept.split(",")):
        if kind in ("application/json", "*/*", ""):
            return json.dumps(array.tolist()).encode(), "application/json"
        if kind == "text/csv":
            stream = io.StringIO()
            np.savetxt(stream, np.atleast_1d(array), delimiter=",", fmt="%s")
            return stream.getvalue().encode(), kind
        if kind == _NPY:
            buffer = io.BytesIO()
            np.save(buffer, array)
            return buffer.getvalue(), kind
    raise ClientError(
        f"Accept type {accept} is not supported by this framework. Please implement output_fn to "
        "serialize the response.",
        406,
    )


class UserModel:
    """The user's functions around the user's model.

    Parameters
    ----------
    model_dir : Path
        The unpacked ``model.tar.gz``; the entry point lies in its ``code`` folder, or in itself.
    program : str
        Name of the entry point.

    Raises
    ------
    NotImplementedError
        It lacks a function that has no default.
    """

    def __init__(self, model_dir: Path, program: str) -> None:
        folder = model_dir / "code"
        self._user = load((folder if (folder / program).exists() else model_dir) / program)
        self._lock = threading.Lock()  # a container's worker takes one request at a time
        self._context = SimpleNamespace(
            system_properties={"model_dir": str(model_dir), "gpu_id": None}
        )
        if not hasattr(self._user, "model_fn"):
            raise NotImplementedError(f"Please provide a model_fn implementation in {program}.")
        if not hasattr(self._user, "predict_fn") and not hasattr(self._user, "transform_fn"):
            raise NotImplementedError(
                f"Please provide a predict_fn or a transform_fn implementation in {program}."
            )
        self._model = call(self._user.model_fn, str(model_dir), context=self._context)

    def invoke(self, request: Invocation) -> Response:
        """Answer one request."""
        user, context = self._user, self._context
        content_type = request.headers.get("content-type") or "application/json"
        accept = "application/json" if request.accept == "*/*" else request.accept
        with self._lock:
            if hasattr(user, "transform_fn"):
                result = call(
                    user.transform_fn,
                    self._model,
                    request.body,
                    content_type,
                    accept,
                    context=context,
                )
            else:
                data = call(
                    getattr(user, "input_fn", default_input_fn),
                    request.body,
                    content_type,
                    context=context,
                )
                prediction = call(user.predict_fn, data, self._model, context=context)
                result = call(
                    getattr(user, "output_fn", default_output_fn),
                    prediction,
                    accept,
                    context=context,
                )
        body, kind = result if isinstance(result, tuple) else (result, accept)
        return Response(body.encode() if isinstance(body, str) else bytes(body), kind)


def main() -> NoReturn:
    """Load the model and serve it."""
    model_dir = Path(os.environ["COURSE_MODEL_DIR"])
    program = os.environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    os.chdir(model_dir)
    model = UserModel(model_dir, program)
    serve(model.invoke, backend=f"the functions of the model's own {program}, in Python")


if __name__ == "__main__":
    main()
