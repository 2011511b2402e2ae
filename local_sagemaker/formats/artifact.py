"""The artifact of SageMaker's factorization-machines container, written and read without MXNet."""

import io
import json
import math
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

_LIST_MAGIC, _ARRAY_V2 = 0x112, 0xF993FAC9
_DTYPES = {0: "<f4", 1: "<f8", 4: "<i4", 6: "<i8"}  # MXNet's numbers of types
_MEMBER = "model_algo-1"
# shapes after training on sparse records: (features, factors), (features, 1), (1,)
_SPARSE = ("v", "w1_weight", "w0_weight")
# and on dense ones, as on AWS: (factors, features), (1, features), (1,)
_DENSE = ("v", "Linear_Plus_Bias_weight", "Linear_Plus_Bias_bias")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, UnicodeError)


class ArtifactError(ValueError):
    """The archive is not what a factorization-machines job leaves."""


class FMArtifact(NamedTuple):
    """A fitted factorization machine."""

    w0: float  # the constant
    w1: np.ndarray  # (feature_dim,), float32: a weight for each feature
    v: np.ndarray  # (feature_dim, num_factors), float32: factors of each feature
    hyperparameters: Mapping[str, str] = MappingProxyType({})  # of the job, with defaults
    dense: bool = False  # trained on dense records: the arrays of the file have other names


def dump_params(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return named arrays as float32 in the bytes of ``mx.nd.save``, as ``arg:name``."""
    out = struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays))
    for array in arrays.values():
        array = np.ascontiguousarray(array, dtype="<f4")
        out += struct.pack("<Iii", _ARRAY_V2, 0, array.ndim)  # 0: dense
        out += struct.pack(f"<{array.ndim}q", *array.shape)
        out += struct.pack("<iii", 1, 0, 0)  # on cpu(0), of type float32
        out += array.tobytes()
    out += struct.pack("<Q", len(arrays))
    for name in arrays:
        text = f"arg:{name}".encode()
        out += struct.pack("<Q", len(text)) + text
    return out


def load_params(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays that ``mx.nd.save`` wrote; raise `ArtifactError` where it did not."""
    at = 0

    def take(form: str) -> tuple[int, ...]:
        nonlocal at
        found = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return found

    try:
        magic, _, count = take("<QQQ")
        if magic != _LIST_MAGIC:
            raise ValueError(f"it begins with {magic:#x}: not MXNet's list of arrays")
        arrays, names = [], []
        for place in range(count):
            version, storage, dimensions = take("<Iii")
            if version != _ARRAY_V2 or storage != 0 or not 0 <= dimensions <= 32:
                raise ValueError(f"array {place} is not a dense array of MXNet 1.x")
            shape = take(f"<{dimensions}q")
            dtype = np.dtype(_DTYPES[take("<iii")[2]])
            arrays.append(np.frombuffer(data, dtype, math.prod(shape), at).reshape(shape))
            at += arrays[-1].nbytes
        for _ in range(take("<Q")[0]):
            names.append(struct.unpack(f"{(size := take('<Q')[0])}s", data[at : at + size])[0])
            at += size
        return dict(zip([name.decode().split(":", 1)[-1] for name in names], arrays, strict=True))
    except (struct.error, KeyError, ValueError, OverflowError, MemoryError) as wrong:
        where = f"byte {at} of {len(data)}"
        raise ArtifactError(f"params: cut off or damaged at {where}: {wrong}") from None


def write_model(folder: Path, model: FMArtifact) -> Path:
    """Write ``model_algo-1`` into a folder, as the container leaves it; return its path."""
    matrices = (model.v.T, model.w1[None]) if model.dense else (model.v, model.w1[:, None])
    names, values = _DENSE if model.dense else _SPARSE, (*matrices, np.full(1, model.w0))
    arrays = dict(zip(names, values, strict=True))
    settings = {name: str(value) for name, value in model.hyperparameters.items()}
    path = folder / _MEMBER
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("params", dump_params(arrays))
        archive.writestr("symbol.json", _symbol(settings.get("predictor_type", ""), arrays))
        archive.writestr("meta.json", json.dumps({"training_parameters": settings}))
    return path


def _symbol(predictor_type: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the graph of w0 + x·w1 + ½ (|x·v|² - x²·(v² summed over factors)) as JSON."""
    v, w1, w0 = arrays
    axis, turned = (1, {}) if w1 in _SPARSE else (0, {"transpose_b": True})
    shapes = {name: {"__shape__": array.shape} for name, array in arrays.items()}
    loss = "Logistic" if predictor_type == "binary_classifier" else "Linear"
    linear: list[tuple[str, str, list[str], dict]] = [
        ("dot", "x_w1", ["data", w1], {}),
        ("broadcast_add", "linear", ["x_w1", w0], {}),
    ]
    if w1 in _DENSE:
        linear = [("FullyConnected", "linear", ["data", w1, w0], {"num_hidden": 1})]
    nodes = [  # operator, name, inputs, attributes
        ("null", "data", [], {}),
        *(("null", name, [], shapes[name]) for name in (w1, w0, v)),
        *linear,
        ("dot", "x_v", ["data", v], turned),
        ("square", "xv_sq", ["x_v"], {}),
        ("sum", "xv_sq_sum", ["xv_sq"], {"axis": 1, "keepdims": True}),
        ("square", "v_sq", [v], {}),
        ("sum", "v_sq_sum", ["v_sq"], {"axis": axis, "keepdims": True}),
        ("square", "x_sq", ["data"], {}),
        ("dot", "x2_v2", ["x_sq", "v_sq_sum"], turned),
        ("elemwise_sub", "diff", ["xv_sq_sum", "x2_v2"], {}),
        ("_mul_scalar", "interactions", ["diff"], {"scalar": 0.5}),
        ("elemwise_add", "score", ["linear", "interactions"], {}),
        ("null", "out_label", [], {}),
        (f"{loss}RegressionOutput", "out", ["score", "out_label"], {}),
    ]
    places = {name: place for place, (_, name, _, _) in enumerate(nodes)}
    graph: dict[str, Any] = {"nodes": [], "node_row_ptr": list(range(len(nodes) + 1))}
    for op, name, inputs, attributes in nodes:
        node = {"op": op, "name": name, "inputs": [[places[one], 0, 0] for one in inputs]}
        graph["nodes"].append(node | {"attrs": {key: str(of) for key, of in attributes.items()}})
    graph["arg_nodes"] = [place for place, (op, *_) in enumerate(nodes) if op == "null"]
    graph |= {"heads": [[places["out"], 0, 0]], "attrs": {"mxnet_version": ["int", 10901]}}
    return json.dumps(graph, indent=2)


def read_model(path: Path) -> FMArtifact:
    """Return the model in ``model.tar.gz``, ``model_algo-1`` or its folder; or `ArtifactError`."""
    path = Path(path)
    path = path / _MEMBER if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(f"{path}: no artifact of a factorization-machines job")
    data, name = path.read_bytes(), path.name
    try:
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as tar:
                found = [one for one in tar.getnames() if PurePosixPath(one).name == _MEMBER]
                member = tar.extractfile(found[0]) if found else None
                if member is None:
                    have = ", ".join(tar.getnames()[:5])
                    raise ArtifactError(f"{name}: holds {have}; expected {_MEMBER}")
                data, name = member.read(), _MEMBER
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = load_params(archive.read("params"))
            meta = json.loads(archive.read("meta.json"))
    except (*_DAMAGED, json.JSONDecodeError) as bad:
        reason = f"not the zip file that a factorization-machines job leaves: {bad}"
        raise ArtifactError(f"{name}: {reason}") from None
    expected = _DENSE if _DENSE[1] in arrays else _SPARSE
    missing = [key for key in expected if key not in arrays]
    have = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "none"
    if missing:
        raise ArtifactError(f"{name}: no array {' or '.join(missing)}; it holds {have}")
    v, w1, w0 = (arrays[key].astype(np.float32) for key in expected)
    v = np.ascontiguousarray(v.T) if expected is _DENSE else v
    if v.ndim != 2 or w1.size != len(v) or w0.size != 1:
        raise ArtifactError(f"{name}: the arrays {have} do not belong together")
    settings = meta.get("training_parameters", {})
    return FMArtifact(float(w0.ravel()[0]), w1.ravel(), v, settings, expected is _DENSE)
