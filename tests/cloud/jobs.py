"""Run a built-in algorithm's container as the control plane does: a folder for ``/opt/ml``, a subprocess."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from helpers.book import ROOT
from helpers.cloud import recordio
from helpers.cloud.algorithms import BUILTIN

RECORDIO = {"Content-Type": "application/x-recordio-protobuf"}


def records(matrix, labels=None) -> bytes:
    """Write a matrix as records, sparse or dense as it is."""
    file = io.BytesIO()
    if sparse.issparse(matrix):
        recordio.write_spmatrix_to_sparse_tensor(file, matrix.astype(np.float32), labels)
    else:
        recordio.write_numpy_to_dense_tensor(file, np.asarray(matrix, dtype=np.float32), labels)
    return file.getvalue()


@dataclass
class Job:
    """A job that has ended."""

    code: int
    log: str
    failure: str
    model: Path


def run(
    root: Path, name: str, settings: dict, channels: dict[str, dict[str, bytes]], **types: str
) -> Job:
    """Train; ``types`` are the channels' content types."""
    config = root / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(
        json.dumps({k: str(v) for k, v in settings.items()})
    )
    (config / "inputdataconfig.json").write_text(
        json.dumps({c: {"ContentType": t} for c, t in types.items()})
    )
    (config / "resourceconfig.json").write_text(
        json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]})
    )
    for channel, files in channels.items():
        (root / "input" / "data" / channel).mkdir(parents=True)
        for file, content in files.items():
            (root / "input" / "data" / channel / file).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", BUILTIN[name].module],
        cwd=ROOT,
        env={**os.environ, "COURSE_OPT_ML": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    failure = root / "output" / "failure"
    return Job(
        done.returncode,
        done.stdout + done.stderr,
        failure.read_text() if failure.exists() else "",
        root / "model",
    )
