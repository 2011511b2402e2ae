"""TensorFlow container: AWS' handling of ``/invocations``, and TensorFlow Serving's REST path."""

import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from local_sagemaker.serving.savedmodel import SavedModel
from local_sagemaker.serving.script import call, load, respond
from local_sagemaker.serving.server import JSON, ClientError, Request, Response, error, serve

_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_JSON_KINDS = (JSON, "application/jsonlines", "application/jsons")
_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:(\w+)")


def find_model(model_dir: Path) -> Path:
    """Return the folder of the newest version: the highest number, whatever zeros lead it."""
    found = [file.parent for file in sorted(model_dir.rglob("saved_model.pb"))]
    versions = [folder for folder in found if re.fullmatch(r"[0-9]+", folder.name)]
    if not versions:
        have = sorted(p.relative_to(model_dir).as_posix() for p in model_dir.rglob("*"))[:8]
        expected = "no SavedModel bundles found! Expected a numbered folder: 1/saved_model.pb"
        raise FileNotFoundError(f"{expected}, found {', '.join(have) or 'nothing'}")
    beside = [folder for folder in versions if folder.parent == versions[0].parent]
    return max(beside, key=lambda folder: int(folder.name))


def to_document(body: bytes, content_type: str) -> Any:
    """Turn a body as an endpoint takes it into a request of TensorFlow Serving."""
    if content_type == "text/csv":
        lines = [line for line in body.decode(errors="replace").splitlines() if line.strip()]
        rows = [[_cell(cell) for cell in line.split(",")] for line in lines]
        return {"instances": [row if len(row) > 1 else row[0] for row in rows]}
    if content_type not in _JSON_KINDS:
        raise ClientError(f"Unsupported Media Type: {content_type or 'Unknown'}", 415)
    try:
        try:
            document = json.loads(body)
        except json.JSONDecodeError as wrong:
            if wrong.msg != "Extra data":
                raise
            return {"instances": [json.loads(line) for line in body.splitlines() if line.strip()]}
    except (ValueError, RecursionError) as wrong:
        raise ClientError(f"JSON parse error: {wrong}") from None
    if isinstance(document, dict) and document.keys() & {"instances", "inputs"}:
        return document
    several = isinstance(document, list) and document and isinstance(document[0], list)
    return {"instances": document if several else [document]}


def _cell(text: str) -> float | str:
    try:
        return int(text) if text.strip().lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text.strip().strip('"')


class TensorFlowContainer:
    def __init__(self, model: SavedModel, name: str, version: str, user: Any) -> None:
        self._model, self._name, self._version, self._user = model, name, version, user
        both = hasattr(user, "input_handler") and hasattr(user, "output_handler")
        if user is not None and not hasattr(user, "handler") and not both:
            raise NotImplementedError("Handlers are not implemented correctly in user script.")

    def rest(self, request: Request) -> Response:
        return self._answer(request.path, request.body, JSON)

    def _answer(self, path: str, body: bytes, content_type: str) -> Response:
        found = _PATH.fullmatch(path)
        if found is None:
            return error(f"Malformed request: {path}", 404)
        name, version, method = found.groups()
        if name != self._name or (version and int(version) != int(self._version)):
            have = f"{self._name}, version {self._version}"
            return error(f"Servable not found for request: {path}; here is {have}", 404)
        if method != "predict":
            return error(f"{method} has no local implementation: use predict", 501)
        try:
            answer = self._model.predict(to_document(body, content_type))
        except ClientError as wrong:
            return error(str(wrong), wrong.status)
        return Response(json.dumps(answer).encode())

    def invoke(self, request: Request) -> Response:
        given = request.headers.get(_ATTRIBUTES, "")
        asked = dict(re.findall(r"(tfs-[a-z\-]+)=([^,]+)", given))
        name, version = asked.get("tfs-model-name", self._name), asked.get("tfs-model-version")
        method = asked.get("tfs-method", "predict")
        path = f"/v1/models/{name}{f'/versions/{version}' if version else ''}:{method}"
        if self._user is None:
            answer = self._answer(path, request.body, request.content_type)
            lines = answer.status == 200 and request.accept.startswith("application/jsonlines")
            return replace(answer, content_type="application/jsonlines") if lines else answer
        # a user's handler may ask the path itself: it finds the token in the address
        token = os.environ.get("LOCAL_SAGEMAKER_TOKEN", "")
        context = SimpleNamespace(
            model_name=name,
            model_version=version,
            method=method,
            rest_uri=f"http://{request.headers.get('host', '')}{path}?AWSAccessKeyId={token}",
            grpc_port=None,
            channel=None,
            custom_attributes=given or None,
            request_content_type=request.content_type or None,
            accept_header=request.accept,
            content_length=len(request.body),
        )
        stream = io.BytesIO(request.body)
        if hasattr(self._user, "handler"):
            return respond(self._user.handler(stream, context), JSON)
        data = call(self._user.input_handler, stream, context)
        reply = self._answer(path, data.encode() if isinstance(data, str) else data, JSON)
        return respond(self._user.output_handler(_reply(reply), context), JSON)


def _reply(response: Response) -> Any:
    """Return an answer as AWS' container hands it to an ``output_handler``."""
    import requests  # only where a user's code takes it

    reply = requests.Response()
    reply.status_code, reply.raw = response.status, io.BytesIO(response.body)
    reply.headers["content-type"], reply.encoding = response.content_type, "utf-8"
    return reply


def main() -> NoReturn:
    model_dir = Path(os.environ["LOCAL_SAGEMAKER_MODEL_DIR"])
    folder = find_model(model_dir)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    model = SavedModel(folder)
    code = model_dir / "code" / (os.environ.get("SAGEMAKER_PROGRAM") or "inference.py")
    user = load(code) if code.exists() else None
    name = os.environ.get("SAGEMAKER_TFS_DEFAULT_MODEL_NAME") or "model"
    container = TensorFlowContainer(model, name, folder.name, user)
    os.chdir(model_dir)
    serve(
        container.invoke,
        backend=f"TensorFlow's REST interface in Python, version {folder.name} of the model",
        rest=container.rest,
        in_turn=user is None,  # a user's code may wait for something, its own path for one
    )


if __name__ == "__main__":
    main()
