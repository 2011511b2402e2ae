"""Run a built-in algorithm's container as the control plane does: a folder for ``/opt/ml``."""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
from scipy import sparse

from helpers.book import ROOT
from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.formats import recordio
from local_sagemaker.serving.process import ModelServer
from local_sagemaker.serving.server import ModelHTTPServer, Request

RECORDIO = {"Content-Type": "application/x-recordio-protobuf"}


def records(matrix, labels=None) -> bytes:
    """Write a matrix as records, sparse or dense as it is."""
    file = io.BytesIO()
    if sparse.issparse(matrix):
        recordio.write_spmatrix_to_sparse_tensor(file, matrix.astype(np.float32), labels)
    else:
        recordio.write_numpy_to_dense_tensor(file, np.asarray(matrix, dtype=np.float32), labels)
    return file.getvalue()


def python(*arguments: str, without: tuple[str, ...] = (), **environment: str):
    """Run Python to its end in the project's folder, without variables that begin so."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(without)} | environment
    how = {"env": own, "capture_output": True, "text": True, "timeout": 400}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, **how)


Job = namedtuple("Job", "code log failure model")  # one that has ended


def prepare(root: Path, settings: dict, channels: dict[str, dict[str, bytes]], **types: str):
    """Lay out a job's folder and return it; ``types`` are the channels' content types."""
    config = root / "input" / "config"
    config.mkdir(parents=True)
    for name, content in {
        "hyperparameters": {k: str(v) for k, v in settings.items()},
        "inputdataconfig": {c: {"ContentType": t} for c, t in types.items()},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    for channel, files in channels.items():
        (root / "input" / "data" / channel).mkdir(parents=True)
        for file, content in files.items():
            (root / "input" / "data" / channel / file).write_bytes(content)
    return root


def run(
    root: Path, name: str, settings: dict, channels: dict[str, dict[str, bytes]], **types: str
) -> Job:
    """Train in a process of its own."""
    prepare(root, settings, channels, **types)
    done = python("-m", BUILTIN[name].module, LOCAL_SAGEMAKER_OPT_ML=str(root))
    failure = root / "output" / "failure"
    reason = failure.read_text() if failure.exists() else ""
    return Job(done.returncode, done.stdout + done.stderr, reason, root / "model")


@contextlib.contextmanager
def serving(kind: str, folder: Path, **environment: str):
    """Start a model server that is ready; its ``lines`` are its log."""
    lines: list[str] = []
    server = ModelServer(kind, folder, environment=environment, log=lines.append)
    server.lines = lines
    try:
        server.start()
        server.wait_ready(60)
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running(server: ModelHTTPServer):
    """Let a thread of this process answer."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def send(port: int, raw: bytes, whole: bool = False) -> bytes:
    """Send what may be no request, and nothing after it unless it is whole; return the answer."""
    said = b""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as caller,
        contextlib.suppress(ConnectionError),
    ):
        caller.sendall(raw)
        if not whole:
            caller.shutdown(socket.SHUT_WR)
        said = caller.recv(1 << 16)
    return said


def asked(body: bytes, content_type: str, accept: str = "*/*") -> Request:
    """Return a request as a container's handler gets it."""
    headers = {"content-type": content_type, "accept": accept}
    return Request("POST", "/invocations", "", headers, body)
