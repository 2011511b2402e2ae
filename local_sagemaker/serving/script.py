"""Python container around the user's functions, with the defaults of ``sagemaker-inference``."""

import importlib.util
import inspect
import io
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from local_sagemaker.serving.server import JSON, ClientError, Request, Response, serve

_NPY = "application/x-npy"


def load(path: Path) -> ModuleType:
    """Run the user's file as the module ``inference``; what lies beside it can be imported."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.name}, the entry point: not in {path.parent.name}/")
    if (path.parent / "requirements.txt").exists():
        print("code/requirements.txt: nothing is installed; this machine's packages are used")
    sys.path.insert(0, str(path.parent))
    sys.stdin = io.StringIO()  # the real one is open as long as the service lives
    spec = importlib.util.spec_from_file_location("inference", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    spec.loader.exec_module(module)
    return module


def call(function: Callable[..., Any], *arguments: Any, context: Any = None) -> Any:
    """Call a user's function; one that takes one argument more gets the ``context`` as well."""
    with suppress(TypeError, ValueError):  # it takes fewer, or is built in and does not say
        inspect.signature(function).bind(*arguments, context)
        arguments = (*arguments, context)
    return function(*arguments)


def respond(result: Any, accept: str) -> Response:
    """Return what a user's function answered: a body, or a body and its content type."""
    body, kind = result if isinstance(result, tuple) else (result, accept)
    # a list of numbers or a number is no body: `bytes` would take it for one
    return Response(body.encode() if isinstance(body, str) else bytes(memoryview(body)), kind)


def _text(body: bytes) -> str:
    """Decode JSON and CSV for the user's functions, as AWS' toolkit does."""
    try:
        return body.decode()
    except UnicodeDecodeError as wrong:
        raise ClientError(f"the body is not text: {wrong}") from None


def default_input_fn(data: Any, content_type: str) -> Any:
    """Decode JSON, CSV or ``.npy`` to an array."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == JSON:
            return np.array(json.loads(data))
        if kind == "text/csv":
            text = data if isinstance(data, str) else data.decode()
            return np.genfromtxt(io.StringIO(text), dtype=np.float32, delimiter=",")
        if kind == _NPY:
            return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, RecursionError, EOFError) as wrong:
        raise ClientError(f"the body is not {kind}: {wrong}") from None
    said = f"Content type {content_type} is not supported by this framework"
    raise ClientError(f"{said}. Please implement input_fn to deserialize the request data.", 415)


def default_output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """Encode an array as JSON, CSV or ``.npy``."""
    array = np.asarray(prediction)
    for kind in (part.partition(";")[0].strip().lower() for part in accept.split(",")):
        if kind in (JSON, "*/*", ""):
            return json.dumps(array.tolist()).encode(), JSON
        if kind == "text/csv":
            stream = io.StringIO()
            np.savetxt(stream, np.atleast_1d(array), delimiter=",", fmt="%s")
            return stream.getvalue().encode(), kind
        if kind == _NPY:
            buffer = io.BytesIO()
            np.save(buffer, array)
            return buffer.getvalue(), kind
    said = f"Accept type {accept} is not supported by this framework"
    raise ClientError(f"{said}. Please implement output_fn to serialize the response.", 406)


class UserModel:
    def __init__(self, model_dir: Path, program: str) -> None:
        folder = model_dir / "code"
        self._user = load((folder if (folder / program).exists() else model_dir) / program)
        self._lock = threading.Lock()  # a container's worker takes one request at a time
        properties = {"model_dir": str(model_dir), "gpu_id": None}
        self._context = SimpleNamespace(system_properties=properties)
        for names in ("model_fn",), ("predict_fn", "transform_fn"):
            if not any(hasattr(self._user, name) for name in names):
                wanted = f"Please provide a {' or a '.join(names)} implementation in {program}."
                raise NotImplementedError(wanted)
        self._model = call(self._user.model_fn, str(model_dir), context=self._context)

    def invoke(self, request: Request) -> Response:
        user, model, context = self._user, self._model, self._context
        kind = request.headers.get("content-type") or JSON
        accept = JSON if request.accept == "*/*" else request.accept
        body = _text(request.body) if kind in (JSON, "text/csv") else request.body
        with self._lock:
            if hasattr(user, "transform_fn"):
                arguments = (model, body, kind, accept)
                return respond(call(user.transform_fn, *arguments, context=context), accept)
            read = getattr(user, "input_fn", default_input_fn)
            write = getattr(user, "output_fn", default_output_fn)
            data = call(read, body, kind, context=context)
            prediction = call(user.predict_fn, data, model, context=context)
            return respond(call(write, prediction, accept, context=context), accept)


def main() -> NoReturn:
    model_dir = Path(os.environ["LOCAL_SAGEMAKER_MODEL_DIR"])
    program = os.environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    os.chdir(model_dir)
    model = UserModel(model_dir, program)
    serve(model.invoke, backend=f"the functions of the model's own {program}, in Python")


if __name__ == "__main__":
    main()
