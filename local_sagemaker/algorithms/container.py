"""The inside of a training container: its folders, its channels, how it says that it failed."""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.formats.payload import PayloadError, read_csv
from local_sagemaker.formats.recordio import Records, as_float32, read_records


def log(text: str, level: str = "INFO") -> None:
    now = time.strftime("%m/%d/%Y %H:%M:%S")
    print(f"[{now} {level} {threading.get_ident()}] {text}", flush=True)


class Container:
    """The folder that stands for ``/opt/ml``, of a job of the algorithm ``name``."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.given: dict[str, str] = self._config("hyperparameters")
        self.settings: dict[str, Any] = BUILTIN[name].settings(self.given)
        resources = self._config("resourceconfig")
        self.host: str = resources.get("current_host", "algo-1")
        self._channels: dict[str, dict[str, str]] = self._config("inputdataconfig")
        count = len(resources.get("hosts", []))
        if count > 1:
            raise ValueError(f"instance_count {count}: this machine trains {name} on one")
        self.model_dir = root / "model"
        self.model_dir.mkdir(parents=True, exist_ok=True)

    def _config(self, name: str) -> dict[str, Any]:
        path = self.root / "input" / "config" / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def log_test(self, name: str, mark: str, value: float) -> None:
        log(f"#test_score ({self.host}) : ('{name}', {value!r})")
        log(f"#quality_metric: host={self.host}, test {name} <{mark}>={value:.10g}")

    def channels(self, csv: bool = False) -> tuple[Records, Records | None]:
        """Return the records of train, and of test where the job has it; ``csv`` may be read."""
        train, test = (self._channel(name, csv) for name in ("train", "test"))
        if train is None:
            raise ValueError("Missing required channel: 'train'")
        return train, test

    def _channel(self, name: str, csv: bool) -> Records | None:
        folder = self.root / "input" / "data" / name
        if not folder.is_dir():
            return None
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        full = [path for path in files if path.stat().st_size]
        if not full:
            found = f"the channel '{name}': {len(files)} files, all of them empty"
            raise ValueError(f"No data found in {found}; check its S3Uri")
        kind = self._channels.get(name, {}).get("ContentType", "").partition(";")[0]
        parts = []
        for path in full:
            where = f"channel '{name}', file {path.relative_to(folder)}"
            try:
                parts.append(self._read(path, kind, csv, where))
            except PayloadError as wrong:
                raise ValueError(f"Unable to read data {wrong}") from None
        features = sparse.vstack([part.features for part in parts], format="csr")
        labels = np.concatenate([part.labels for part in parts])
        return Records(features, labels, all(part.dense for part in parts))

    def _read(self, path: Path, kind: str, csv: bool, where: str) -> Records:
        width = self.settings["feature_dim"]
        if csv and (kind == "text/csv" or (not kind and path.suffix == ".csv")):
            what = f"the label and feature_dim ({width}) features"
            table = read_csv(path.read_bytes(), width + 1, where, what)
            features = sparse.csr_matrix(table[:, 1:], dtype=np.float32)
            return Records(features, as_float32(table[:, 0], where), True)
        if kind not in ("", "application/x-recordio-protobuf"):
            raise PayloadError(f"{where}: content type {kind} is not supported")
        found = read_records(path.read_bytes(), width, name=where)
        if found.labels is None:
            raise PayloadError(f"{where}: the records have no labels")
        return found


def run(name: str, train: Callable[[Container], None]) -> None:
    """Train in the job's folder; leave the reason there where that fails."""
    root = Path(os.environ["LOCAL_SAGEMAKER_OPT_ML"])
    try:
        return train(Container(root, name))
    except (ValueError, FloatingPointError, MemoryError) as wrong:  # the caller's fault
        code, reason = 2, f"Customer Error: {str(wrong).removeprefix('Customer Error: ')}"
        log(reason, "ERROR")
    except Exception as failure:
        traceback.print_exc()
        code, reason = 1, f"{type(failure).__name__}: {failure}"
    output = root / "output"
    output.mkdir(parents=True, exist_ok=True)
    (output / "failure").write_text(reason, encoding="utf-8")
    sys.exit(code)
