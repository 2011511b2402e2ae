"""The TensorFlow container: AWS' front before TensorFlow Serving.

``/invocations`` takes JSON, JSON lines and CSV, and the user's ``code/inference.py`` (``input_handler`` and
``output_handler``, or ``handler``). Behind it stands ``tensorflow_model_server`` where that is on the PATH
(``COURSE_TFS=python`` leaves it out), else `local_sagemaker.serving.tfs_model`.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, Protocol

from local_sagemaker.serving.server import JSON, ClientError, Invocation, Response, serve
from local_sagemaker.serving.usercode import call, load

_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_IS_SERVING = re.compile(rb'"(instances|inputs|examples)"\s*:')
_IS_LINES = re.compile(rb"[}\]]\s*[\[{]")
_LISTS = re.compile(rb"\s*\[\s*\[")
_NUMBERS = re.compile(r'\s*("|[\d.Ee+\-]+)')

Context = namedtuple(
    "Context",
    "model_name, model_version, method, rest_uri, grpc_port, channel, custom_attributes, "
    "request_content_type, accept_header, content_length",
)


class Backend(Protocol):
    """What answers TensorFlow Serving's REST interface."""

    def rest(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer one request with a status and a body."""


class HandlerReply:
    """An answer of TensorFlow Serving, with what an ``output_handler`` reads of a ``requests.Response``."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status_code, self.content = status, content
        self.headers = {"content-type": JSON}
        self.ok = status < 400

    @property
    def text(self) -> str:
        """The content, decoded."""
        return self.content.decode()

    def json(self) -> Any:
        """The content, parsed."""
        return json.loads(self.content)


def find_model(model_dir: Path) -> tuple[Path, int]:
    """Find the folder of versions and the newest of them.

    Parameters
    ----------
    model_dir : Path
        The unpacked ``model.tar.gz``.

    Returns
    -------
    tuple of Path and int
        As in ``base / str(version) / "saved_model.pb"``.

    Raises
    ------
    FileNotFoundError
        There is no SavedModel in a numbered folder.
    """
    found = [
        (pb.parent.parent, int(pb.parent.name))
        for pb in sorted(model_dir.rglob("saved_model.pb"))
        if pb.parent.name.isdigit()
    ]
    if not found:
        have = sorted(p.relative_to(model_dir).as_posix() for p in model_dir.rglob("*"))[:8]
        raise FileNotFoundError(
            "no SavedModel bundles found! Expected a numbered folder such as 1/saved_model.pb in "
            f"model.tar.gz (model.export(f'{{SM_MODEL_DIR}}/1')), found {', '.join(have) or 'nothing'}"
        )
    base = found[0][0]
    return base, max(version for folder, version in found if folder == base)


def to_serving(body: bytes, content_type: str) -> bytes:
    """Turn a body as an endpoint takes it into a request of TensorFlow Serving, as AWS' container does.

    Raises
    ------
    ClientError
        Another content type.
    """
    if content_type in (JSON, "application/jsonlines", "application/jsons"):
        if _IS_SERVING.search(body):
            return body
        if _IS_LINES.search(body) and not _LISTS.match(body):
            lines = [line.strip() for line in body.splitlines() if line.strip()]
            return b'{"instances":[' + b",".join(lines) + b"]}"
        return b'{"instances":' + (body if _LISTS.match(body) else b"[" + body + b"]") + b"}"
    if content_type == "text/csv":
        return _csv(body.decode(errors="replace"))
    raise ClientError(f"Unsupported Media Type: {content_type or 'Unknown'}", 415)


def _csv(text: str) -> bytes:
    quoted = not _NUMBERS.match(text)
    rows = []
    for line in filter(None, map(str.strip, text.strip().splitlines())):
        cells = [json.dumps(cell) for cell in line.split(",")] if quoted else line.split(",")
        rows.append(f"[{','.join(cells)}]" if len(cells) > 1 else cells[0])
    return f'{{"instances":[{",".join(rows)}]}}'.encode()


class RestFront:
    """What stands behind ``/invocations``.

    Parameters
    ----------
    backend : Backend
        Where requests go.
    name : str
        What the model is called in the backend's paths.
    user : module, optional
        The user's ``inference.py``.

    Raises
    ------
    NotImplementedError
        ``inference.py`` has neither ``handler`` nor both of the other two.
    """

    def __init__(self, backend: Backend, name: str, user: ModuleType | None = None) -> None:
        self._backend, self._name, self._user = backend, name, user
        self._port = 0
        if user is None or hasattr(user, "handler"):
            return
        if not (hasattr(user, "input_handler") and hasattr(user, "output_handler")):
            raise NotImplementedError("Handlers are not implemented correctly in user script.")

    def listens_on(self, port: int) -> None:
        """Remember the port, which a user's ``handler`` reads from its context."""
        self._port = port

    def invoke(self, request: Invocation) -> Response:
        """Answer one request."""
        if self._user is not None:
            return self._through_user(self._user, request)
        path, _ = self._path(request)
        status, body = self._backend.rest(
            "POST", path, to_serving(request.body, request.content_type)
        )
        wanted = [part.strip() for part in request.accept.split(",")]
        kind = wanted[0] if {"application/jsonlines", JSON} & set(wanted) else JSON
        return Response(body.replace(b"\n", b"") if status == 200 else body, kind, status)

    def _path(self, request: Invocation) -> tuple[str, dict[str, str]]:
        attributes = dict(
            re.findall(r"(tfs-[a-z\-]+)=([^,]+)", request.headers.get(_ATTRIBUTES, ""))
        )
        version = (
            f"/versions/{attributes['tfs-model-version']}"
            if "tfs-model-version" in attributes
            else ""
        )
        name = attributes.get("tfs-model-name", self._name)
        return f"/v1/models/{name}{version}:{attributes.get('tfs-method', 'predict')}", attributes

    def _through_user(self, user: ModuleType, request: Invocation) -> Response:
        path, attributes = self._path(request)
        context = Context(
            attributes.get("tfs-model-name", self._name),
            attributes.get("tfs-model-version"),
            attributes.get("tfs-method", "predict"),
            f"http://127.0.0.1:{self._port}{path}",
            None,
            None,
            request.headers.get(_ATTRIBUTES),
            request.content_type or None,
            request.accept,
            len(request.body),
        )
        if hasattr(user, "handler"):
            result = user.handler(io.BytesIO(request.body), context)
        else:
            data = call(user.input_handler, io.BytesIO(request.body), context)
            status, answer = self._backend.rest(
                "POST", path, data.encode() if isinstance(data, str) else data
            )
            result = user.output_handler(HandlerReply(status, answer), context)
        body, kind = result if isinstance(result, tuple) else (result, JSON)
        return Response(body.encode() if isinstance(body, str) else bytes(body), kind)


def main() -> NoReturn:
    """Load the newest version of the model and serve it."""
    model_dir = Path(os.environ["COURSE_MODEL_DIR"])
    name = os.environ.get("SAGEMAKER_TFS_DEFAULT_MODEL_NAME") or "model"
    base, version = find_model(model_dir)
    program = shutil.which("tensorflow_model_server")
    backend: Backend
    if program and os.environ.get("COURSE_TFS") != "python":
        from local_sagemaker.serving.tfs_binary import Binary

        backend, quick = Binary(program, base, name), False
        sentence = f"TensorFlow Serving itself ({program}), version {version} of the model"
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from local_sagemaker.serving.tfs_model import Servable

        backend, quick = Servable(base, name, version), True
        sentence = f"the course's own TensorFlow Serving REST interface in Python, version {version} of the model"
    code = model_dir / "code" / (os.environ.get("SAGEMAKER_PROGRAM") or "inference.py")
    user = load(code) if code.exists() else None
    front = RestFront(backend, name, user)

    def rest(request: Invocation) -> Response:
        status, body = backend.rest(request.method, request.path, request.body)
        return Response(body, JSON, status)

    os.chdir(model_dir)
    quick = quick and user is None  # a user's code may wait for something
    serve(
        front.invoke, backend=sentence, routes={"/v1/": rest}, on_port=front.listens_on, quick=quick
    )


if __name__ == "__main__":
    main()
