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

import numpy as np
from scipy import sparse

from local_sagemaker.formats.recordio import RecordError, Records, read_records

_OUTPUT_LIMIT = 1024  # AWS shows as many characters of a failure


class CustomerError(Exception):
    """What the caller can put right: a hyperparameter, the data."""


class Container:
    """The folder that stands for ``/opt/ml``.

    Parameters
    ----------
    root : Path
        Where it is.

    Attributes
    ----------
    hyperparameters : dict of str to str
        Of the job.
    host : str
        Name of this machine among the job's.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hyperparameters: dict[str, str] = self._config("hyperparameters")
        resources = self._config("resourceconfig")
        self.host: str = resources.get("current_host", "algo-1")
        self.hosts: list[str] = resources.get("hosts", [self.host])
        self._channels: dict[str, dict[str, str]] = self._config("inputdataconfig")

    def _config(self, name: str) -> dict:
        path = self.root / "input" / "config" / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @property
    def model_dir(self) -> Path:
        """Where the model goes."""
        folder = self.root / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def log(self, text: str) -> None:
        """Print a line with time and thread, as the containers do."""
        now = time.strftime("%m/%d/%Y %H:%M:%S")
        print(f"[{now} INFO {threading.get_ident()}] {text}", flush=True)

    def channel(self, name: str, feature_dim: int, *, csv: bool = False) -> Records | None:
        """Read all files of a channel.

        Parameters
        ----------
        name : str
            ``train`` or ``test``.
        feature_dim : int
            What every record must have.
        csv : bool
            The algorithm also reads CSV, the label first.

        Returns
        -------
        Records or None
            ``None`` where the job has no such channel.

        Raises
        ------
        CustomerError
            The channel is empty, or a file is not what it should be.
        """
        folder = self.root / "input" / "data" / name
        if not folder.is_dir():
            return None
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if not any(path.stat().st_size for path in files):
            raise CustomerError(
                f"No data found in the channel '{name}': {len(files)} files, all of them empty; check its "
                "S3Uri"
            )
        kind = self._channels.get(name, {}).get("ContentType", "").partition(";")[0]
        parts = []
        for path in files:
            if not path.stat().st_size:
                continue
            where = f"channel '{name}', file {path.relative_to(folder).as_posix()}"
            try:
                as_csv = csv and (kind == "text/csv" or (not kind and path.suffix == ".csv"))
                if kind not in ("", "application/x-recordio-protobuf") and not as_csv:
                    raise RecordError(f"{where}: content type {kind} is not supported")
                read = _read_csv if as_csv else read_records
                parts.append(read(path.read_bytes(), feature_dim, name=where))
            except RecordError as wrong:
                raise CustomerError(f"Unable to read data {wrong}") from None
        if len({part.labels is None for part in parts}) > 1:
            raise CustomerError(f"channel '{name}': some files have labels and some have none")
        labels = (
            None if parts[0].labels is None else np.concatenate([part.labels for part in parts])
        )
        features = (
            parts[0].features
            if len(parts) == 1
            else sparse.vstack([part.features for part in parts])
        )
        return Records(features.tocsr(), labels, all(part.dense for part in parts))


def _read_csv(data: bytes, feature_dim: int, *, name: str) -> Records:
    try:
        table = np.loadtxt(data.decode().splitlines(), delimiter=",", ndmin=2, dtype=np.float32)
    except ValueError as wrong:
        raise RecordError(f"{name}: not CSV of numbers: {wrong}") from None
    if table.shape[1] != feature_dim + 1:
        raise RecordError(
            f"{name}: {table.shape[1]} columns, expected the label and feature_dim ({feature_dim}) features"
        )
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise RecordError(f"{name}: row {row} holds NaN or infinity: expected finite numbers")
    return Records(sparse.csr_matrix(table[:, 1:]), table[:, 0], True)


def run(train: Callable[[Container], None]) -> None:
    """Train in the folder that ``COURSE_OPT_ML`` names; leave the reason where that fails.

    Parameters
    ----------
    train : callable
        The algorithm. `CustomerError` and ``ValueError`` are the caller's fault: exit code 2.
    """
    root = Path(os.environ["COURSE_OPT_ML"])
    try:
        train(Container(root))
    except (CustomerError, ValueError, FloatingPointError) as wrong:
        text = str(wrong)
        code, reason = 2, text if text.startswith("Customer Error: ") else f"Customer Error: {text}"
        print(
            f"[{time.strftime('%m/%d/%Y %H:%M:%S')} ERROR {threading.get_ident()}] {reason}",
            flush=True,
        )
    except Exception as failure:
        traceback.print_exc()
        code, reason = 1, f"{type(failure).__name__}: {failure}"
    else:
        return
    output = root / "output"
    output.mkdir(parents=True, exist_ok=True)
    (output / "failure").write_text(reason[:_OUTPUT_LIMIT], encoding="utf-8")
    sys.exit(code)
