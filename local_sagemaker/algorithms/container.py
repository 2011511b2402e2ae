"""The inside of a training container: its folders, its channels, how it says that it failed."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.formats.csv import read_csv
from local_sagemaker.formats.payload import PayloadError
from local_sagemaker.formats.recordio import Records, as_float32, read_records

_REASON_LIMIT = 1024  # AWS shows as many characters of a failure


class CustomerError(ValueError):
    """What the caller can put right: a hyperparameter, the data."""


class Labeled(NamedTuple):
    """Records that have labels."""

    features: sparse.csr_matrix  # (n, feature_dim), float32
    labels: np.ndarray  # (n,), float32
    dense: bool  # all of them


class Container:
    """The folder that stands for ``/opt/ml``.

    Parameters
    ----------
    root : Path
        Where it is.
    name : str
        Of the built-in algorithm that runs in it.

    Attributes
    ----------
    settings : dict of str to object
        The job's hyperparameters, typed, with defaults.
    host : str
        Name of this machine among the job's.

    Raises
    ------
    CustomerError
        The job asks for more than one instance.
    ValueError
        A hyperparameter is not allowed.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.given: dict[str, str] = self._config("hyperparameters")
        self.settings: dict[str, Any] = BUILTIN[name].settings(self.given)
        resources = self._config("resourceconfig")
        self.host: str = resources.get("current_host", "algo-1")
        self._channels: dict[str, dict[str, str]] = self._config("inputdataconfig")
        count = len(resources.get("hosts", []))
        if count > 1:
            raise CustomerError(f"instance_count {count}: this machine trains {name} on one")
        self.model_dir = root / "model"
        self.model_dir.mkdir(parents=True, exist_ok=True)

    def _config(self, name: str) -> dict[str, Any]:
        path = self.root / "input" / "config" / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def log(self, text: str, level: str = "INFO") -> None:
        """Print a line with time and thread, as the containers do."""
        now = time.strftime("%m/%d/%Y %H:%M:%S")
        print(f"[{now} {level} {threading.get_ident()}] {text}", flush=True)

    def log_test(self, name: str, mark: str, value: float) -> None:
        """Print a metric of the test channel, in both ways of the containers."""
        self.log(f"#test_score ({self.host}) : ('{name}', {value!r})")
        self.log(f"#quality_metric: host={self.host}, test {name} <{mark}>={value:.10g}")

    def channels(self, csv: bool = False) -> tuple[Labeled, Labeled | None]:
        """Return the records of the channel train, and of test where the job has it.

        With ``csv`` the algorithm also reads CSV, the label first. Raise `CustomerError` where a
        channel or a file of it is not what it should be.
        """
        train, test = (self._channel(name, csv) for name in ("train", "test"))
        if train is None:
            raise CustomerError("Missing required channel: 'train'")
        return train, test

    def _channel(self, name: str, csv: bool) -> Labeled | None:
        folder = self.root / "input" / "data" / name
        if not folder.is_dir():
            return None
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        full = [path for path in files if path.stat().st_size]
        if not full:
            found = f"{len(files)} files, all of them empty"
            raise CustomerError(f"No data found in the channel '{name}': {found}; check its S3Uri")
        kind = self._channels.get(name, {}).get("ContentType", "").partition(";")[0]
        parts = []
        for path in full:
            where = f"channel '{name}', file {path.relative_to(folder).as_posix()}"
            parts.append(self._read(path, kind, csv, where))
        labels = [part.labels for part in parts if part.labels is not None]
        if len(labels) < len(parts):
            found = "some files have labels and some have none" if labels else "there are no labels"
            raise CustomerError(f"channel '{name}': {found}: expected one for each record")
        features = sparse.vstack([part.features for part in parts], format="csr")
        return Labeled(features, np.concatenate(labels), all(part.dense for part in parts))

    def _read(self, path: Path, kind: str, csv: bool, where: str) -> Records:
        width = self.settings["feature_dim"]
        try:
            if csv and (kind == "text/csv" or (not kind and path.suffix == ".csv")):
                what = f"the label and feature_dim ({width}) features"
                table = read_csv(path.read_bytes(), width + 1, where, what)
                features = sparse.csr_matrix(table[:, 1:], dtype=np.float32)
                return Records(features, as_float32(table[:, 0], where), True)
            if kind not in ("", "application/x-recordio-protobuf"):
                raise PayloadError(f"{where}: content type {kind} is not supported")
            return read_records(path.read_bytes(), width, name=where)
        except PayloadError as wrong:
            raise CustomerError(f"Unable to read data {wrong}") from None


def run(name: str, train: Callable[[Container], None]) -> None:
    """Train in the folder that ``COURSE_OPT_ML`` names; leave the reason where that fails.

    ``ValueError``, ``FloatingPointError`` and ``MemoryError`` are the caller's fault: exit code 2.
    """
    root = Path(os.environ["COURSE_OPT_ML"])
    try:
        return train(Container(root, name))
    except (ValueError, FloatingPointError, MemoryError) as wrong:
        code, reason = 2, f"Customer Error: {str(wrong).removeprefix('Customer Error: ')}"
        now = time.strftime("%m/%d/%Y %H:%M:%S")
        print(f"[{now} ERROR {threading.get_ident()}] {reason}", flush=True)
    except Exception as failure:
        traceback.print_exc()
        code, reason = 1, f"{type(failure).__name__}: {failure}"
    output = root / "output"
    output.mkdir(parents=True, exist_ok=True)
    (output / "failure").write_text(reason[:_REASON_LIMIT], encoding="utf-8")
    sys.exit(code)
