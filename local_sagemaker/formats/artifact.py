"""The artifact of SageMaker's factorization-machines container, written and read without MXNet.

``model.tar.gz`` holds ``model_algo-1``, a zip of ``params`` (MXNet's list of arrays), ``symbol.json`` (the
model as an MXNet graph) and ``meta.json``. Sparse training gives the arrays ``v`` (feature_dim, num_factors),
``w1_weight`` (feature_dim, 1) and ``w0_weight`` (1,). The graph stands in `local_sagemaker.formats.artifact_symbol`.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from local_sagemaker.formats.artifact_symbol import symbol_json

_LIST_MAGIC, _ARRAY_V2 = 0x112, 0xF993FAC9
_DTYPES: dict[int, np.dtype] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f8"),
    4: np.dtype("<i4"),
    6: np.dtype("<i8"),
}
_MEMBER = "model_algo-1"


class ArtifactError(ValueError):
    """The archive is not what a factorization-machines job leaves."""


@dataclass(frozen=True)
class FMArtifact:
    """A fitted factorization machine.

    Parameters
    ----------
    w0 : float
        The constant.
    w1 : numpy.ndarray
        (feature_dim,), float32: a weight for each feature.
    v : numpy.ndarray
        (feature_dim, num_factors), float32: factors of each feature.
    hyperparameters : mapping of str to str
        What the job was given, with the defaults filled in.
    """

    w0: float
    w1: np.ndarray
    v: np.ndarray
    hyperparameters: Mapping[str, str] = field(default_factory=dict)


def dump_params(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Write named arrays as ``mx.nd.save`` does: byte for byte the same.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        Names as the graph has them (``v``); stored as float32 under ``arg:v``.

    Returns
    -------
    bytes
        The content of a ``.params`` file.
    """
    out = io.BytesIO()
    out.write(struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays)))
    for array in arrays.values():
        array = np.ascontiguousarray(array, dtype="<f4")
        out.write(struct.pack("<Iii", _ARRAY_V2, 0, array.ndim))  # 0: dense
        out.write(struct.pack(f"<{array.ndim}q", *array.shape))
        out.write(struct.pack("<iii", 1, 0, 0))  # on cpu(0), of type float32
        out.write(array.tobytes())
    out.write(struct.pack("<Q", len(arrays)))
    for name in arrays:
        text = f"arg:{name}".encode()
        out.write(struct.pack("<Q", len(text)) + text)
    return out.getvalue()


def load_params(data: bytes) -> dict[str, np.ndarray]:
    """Read what ``mx.nd.save`` wrote.

    Parameters
    ----------
    data : bytes
        The content of a ``.params`` file.

    Returns
    -------
    dict of str to numpy.ndarray
        Names without ``arg:`` and ``aux:``.

    Raises
    ------
    ArtifactError
        It is no such file, is cut off, or holds arrays of another kind than dense ones.
    """
    stream = io.BytesIO(data)

    def take(form: str) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        chunk = stream.read(size)
        if len(chunk) < size:
            raise ArtifactError(f"params: cut off after {len(data)} bytes")
        return struct.unpack(form, chunk)

    magic, _, count = take("<QQQ")
    if magic != _LIST_MAGIC:
        raise ArtifactError(
            f"params: begins with {magic:#x}, expected {_LIST_MAGIC:#x}: not MXNet's list of arrays"
        )
    arrays = []
    for place in range(count):
        version, storage, dimensions = take("<Iii")
        if version != _ARRAY_V2 or storage != 0 or not 0 <= dimensions <= 32:
            raise ArtifactError(f"params: array {place} is not a dense array of MXNet 1.0 or later")
        shape = take(f"<{dimensions}q")
        _, _, kind = take("<iii")
        if kind not in _DTYPES or min(shape, default=1) < 0:
            raise ArtifactError(f"params: array {place} has type {kind} and shape {shape}")
        size = int(np.prod(shape, dtype=np.int64)) * _DTYPES[kind].itemsize
        if size > len(data):
            raise ArtifactError(
                f"params: cut off: array {place} of shape {shape} takes {size} bytes"
            )
        arrays.append(np.frombuffer(stream.read(size), _DTYPES[kind]).reshape(shape))
    (names_count,) = take("<Q")
    names = []
    for _ in range(names_count):
        (length,) = take("<Q")
        names.append(stream.read(min(length, len(data))).decode())
    return {
        name.partition(":")[2] or name: array for name, array in zip(names, arrays, strict=True)
    }


def write_model(folder: Path, model: FMArtifact) -> Path:
    """Write ``model_algo-1`` as the container leaves it in ``/opt/ml/model``.

    Parameters
    ----------
    folder : Path
        Where to put it.
    model : FMArtifact
        What to write; ``hyperparameters`` needs ``predictor_type``.

    Returns
    -------
    Path
        The file.
    """
    arrays = {
        "v": model.v,
        "w1_weight": np.reshape(model.w1, (-1, 1)),
        "w0_weight": np.full(1, model.w0),
    }
    settings = {name: str(value) for name, value in model.hyperparameters.items()}
    kind = settings.get("predictor_type", "regressor")
    path = Path(folder) / _MEMBER
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("params", dump_params(arrays))
        archive.writestr("symbol.json", symbol_json(kind, *model.v.shape))
        archive.writestr("meta.json", json.dumps({"training_parameters": settings}))
    return path


def read_model(path: Path) -> FMArtifact:
    """Read a fitted model.

    Parameters
    ----------
    path : Path
        ``model.tar.gz``, the ``model_algo-1`` in it, or a folder that holds that.

    Returns
    -------
    FMArtifact
        Weights as float32.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ArtifactError
        It is not the artifact of a factorization-machines job; ``v`` may be missing.
    """
    path = Path(path)
    if path.is_dir():
        path = path / _MEMBER
    if not path.exists():
        raise FileNotFoundError(f"{path}: no artifact of a factorization-machines job")
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            names = archive.getnames()
            found = [name for name in names if PurePosixPath(name).name == _MEMBER]
            member = archive.extractfile(found[0]) if found else None
            if member is None:
                raise ArtifactError(
                    f"{path.name}: holds {', '.join(names[:5])}; expected {_MEMBER}"
                )
            return _read_zip(io.BytesIO(member.read()), _MEMBER)
    return _read_zip(io.BytesIO(path.read_bytes()), path.name)


def _read_zip(stream: io.BytesIO, name: str) -> FMArtifact:
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
            if "params" not in names:
                raise ArtifactError(f"{name}: holds {', '.join(names)}; expected params")
            arrays = load_params(archive.read("params"))
            meta = json.loads(archive.read("meta.json")) if "meta.json" in names else {}
    except zipfile.BadZipFile:
        raise ArtifactError(
            f"{name}: not a zip file, as a factorization-machines job leaves it"
        ) from None
    missing = [key for key in ("v", "w1_weight", "w0_weight") if key not in arrays]
    if missing:
        have = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
        raise ArtifactError(
            f"{name}: no array {' or '.join(missing)}; it holds {have or 'none'}. Factors come from a "
            "factorization-machines job on sparse records"
        )
    v, w1, w0 = arrays["v"], arrays["w1_weight"], arrays["w0_weight"]
    if v.ndim != 2 or w1.size != len(v) or w0.size != 1:
        raise ArtifactError(
            f"{name}: v {v.shape}, w1_weight {w1.shape} and w0_weight {w0.shape} do not belong together"
        )
    return FMArtifact(
        float(w0.ravel()[0]), w1.ravel().astype(np.float32), v, meta.get("training_parameters", {})
    )
