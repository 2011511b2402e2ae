"""RecordIO-protobuf, as version 2 of the SDK writes it: heads, ``aialgs.data.Record`` messages."""

import struct
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from scipy import sparse

from local_sagemaker.formats.payload import MAGIC, PayloadError, frames

_Labels = np.ndarray | None
_Sparse: TypeAlias = sparse.spmatrix | sparse.sparray
_LARGEST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Records:
    """What a stream held; its length is the number of records, n."""

    features: sparse.csr_matrix  # (n, width), float32
    labels: Any  # (n,), float32, or None where the records have none
    dense: bool  # the records were dense ones

    def __len__(self) -> int:
        return int(self.features.shape[0])


def _message_class() -> Any:
    """Return ``aialgs.data.Record``, after AWS' published definition."""
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data")
    double, single, int64, uint64, string, message, many = 1, 2, 3, 4, 9, 11, 3

    def add(to: Any, number: int, name: str, kind: int, **more: Any) -> None:
        to.field.add(number=number, name=name, type=kind, **{"label": 1, **more})

    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="tensor")
    # int64 for int32 is the same on the wire, and keeps a number that is too large as it is
    for name, number, kind in ("float32", 2, single), ("float64", 3, double), ("int32", 7, int64):
        tensor = file.message_type.add(name=f"{name}_tensor")
        for place, field, of in (1, "values", kind), (2, "keys", uint64), (3, "shape", uint64):
            add(tensor, place, field, of, label=many, options={"packed": True})
        type_name = f".aialgs.data.{tensor.name}"
        add(value, number, tensor.name, message, type_name=type_name, oneof_index=0)
    record = file.message_type.add(name="Record")
    for number, name in (1, "features"), (2, "label"):
        entry = record.nested_type.add(name=f"{name.title()}Entry", options={"map_entry": True})
        add(entry, 1, "key", string)
        add(entry, 2, "value", message, type_name=".aialgs.data.Value")
        type_name = f".aialgs.data.Record.{entry.name}"
        add(record, number, name, message, type_name=type_name, label=many)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


_Record = _message_class()


def _tensor(tensors: Any, dtype: np.dtype | None = None) -> Any:
    """Return the tensor "values" of a record: a new one of a dtype, or the one that is there."""
    value = tensors["values"]
    kind = value.WhichOneof("tensor")
    if dtype is not None:
        kind = f"{dtype.name.replace('int64', 'int32')}_tensor"
        getattr(value, kind).SetInParent()  # also where it is empty
    if kind is None:
        raise ValueError("has a tensor of another type: expected float32, float64 or int32")
    return getattr(value, kind)


def _framed(record: Any) -> bytes:
    message = record.SerializeToString(deterministic=True)
    return struct.pack("<II", MAGIC, len(message)) + message + bytes(-len(message) % 4)


def write_spmatrix_to_sparse_tensor(file: BinaryIO, array: _Sparse, labels: _Labels = None) -> None:
    """Write the rows of a sparse matrix, (n, width), as sparse records: values, keys, width.

    Matrix and ``labels``, (n,), are float32, float64 or int64, whose numbers fit 32 bits.
    """
    if not sparse.issparse(array):
        given = type(array).__name__
        raise TypeError(f"Array must be sparse, got {given}: see write_numpy_to_dense_tensor")
    _write(file, array.tocsr(), labels)


def write_numpy_to_dense_tensor(file: BinaryIO, array: np.ndarray, labels: _Labels = None) -> None:
    """Write an array, (n, width), as dense records; else as `write_spmatrix_to_sparse_tensor`."""
    _write(file, np.asarray(array), labels)


def _write(file: BinaryIO, matrix: Any, labels: npt.ArrayLike | None) -> None:
    if matrix.ndim != 2:
        raise ValueError(f"Array must be a matrix, got shape {matrix.shape}")
    n, width = matrix.shape
    if labels is not None and np.shape(labels) != (n,):
        raise ValueError(f"labels of shape {np.shape(labels)} for {n} rows: expected ({n},)")
    is_sparse = sparse.issparse(matrix)
    values = matrix.data if is_sparse else matrix.ravel()
    known = np.zeros(0) if labels is None else np.asarray(labels)
    for what, numbers in ("array", values), ("labels", known):
        dtype = numbers.dtype.name
        if dtype not in ("float32", "float64", "int64"):
            expected = "expected float32, float64 or int64 (astype(np.float32))"
            raise TypeError(f"{what} of dtype {dtype}: {expected}")
        if dtype == "int64" and len(numbers) and np.abs(numbers).max() >= 1 << 31:
            raise ValueError(f"{what}: whole numbers of the format have 32 bits, use float64")
    record = _Record()  # one for all rows: setting its numbers is faster than making it anew
    tensor = _tensor(record.features, values.dtype)
    if is_sparse:
        tensor.shape.append(width)
    label = _tensor(record.label, known.dtype).values if len(known) else []
    ends = matrix.indptr if is_sparse else np.arange(n + 1) * width
    for row, (begin, end) in enumerate(pairwise(ends.tolist())):
        tensor.values[:] = values[begin:end].tolist()
        if is_sparse:
            tensor.keys[:] = matrix.indices[begin:end].tolist()
        label[:] = known[row : row + 1].tolist()
        file.write(_framed(record))


def write_answers(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return predictions as records: every number or list of numbers a tensor of the label."""
    stream = b""
    for row in rows:
        record = _Record()
        for name, value in row.items():
            record.label[name].float32_tensor.values.extend(np.atleast_1d(value).tolist())
        stream += _framed(record)
    return stream


def read_records(
    source: BinaryIO | bytes, feature_dim: int | None = None, *, name: str = "data"
) -> Records:
    """Read a whole stream as float32, as wide as ``feature_dim``, or else as the records say."""
    data = source if isinstance(source, bytes) else source.read()
    values, keys, labels, rows = array("f"), array("Q"), array("d"), array("q")
    for begin, _ in frames(data, name):
        size = int.from_bytes(data[begin + 4 : begin + 8], "little")
        try:
            rows.extend(_read_one(data[begin + 8 : begin + 8 + size], values, keys, labels))
        except (DecodeError, ValueError) as wrong:
            raise PayloadError(f"{name}: record {len(rows) // 4} {wrong}") from None
    if not rows:
        raise PayloadError(f"{name}: no records")
    known = as_float32(np.frombuffer(labels), name)
    numbers = np.frombuffer(values, dtype=np.float32), np.frombuffer(keys, dtype=np.uint64), known
    return _checked(np.array(rows).reshape(-1, 4), numbers, feature_dim, name)


def _read_one(message: bytes, values: array, keys: array, labels: array) -> tuple[int, ...]:
    """Read one record; return its values, its width (-1: not said), 1 if dense, its labels."""
    try:
        record = _Record.FromString(message)
    except DecodeError:
        raise ValueError("is not an aialgs.data.Record message") from None
    if "values" not in record.features:
        raise ValueError("has no features: expected numbers under the name 'values'")
    tensor, label = _tensor(record.features), []
    row, own, shape = tensor.values[:], tensor.keys[:], tensor.shape[:]
    if "values" in record.label:
        label = _tensor(record.label).values[:]
    said, dense = min(*shape, _LARGEST) if shape else -1, not own and not (shape and not row)
    if len(own) not in (0, len(row)):
        raise ValueError(f"has {len(row)} values and {len(own)} keys: expected as many")
    if len(shape) > 1 or (dense and said not in (-1, len(row))):
        raise ValueError(f"has {len(row)} values, but its shape is {shape}")
    if len(label) > 1:
        raise ValueError(f"has {len(label)} labels: expected one")
    values.extend(row)
    keys.extend(own)
    labels.extend(label)
    return len(row), len(row) if dense else said, dense, len(label)


def _checked(rows: np.ndarray, numbers: tuple[Any, ...], width: int | None, name: str) -> Records:
    values, keys, labels = numbers
    (counts, widths, dense), labeled = rows[:, :3].T, rows[:, 3] > 0
    ends, keys = np.cumsum(counts), np.minimum(keys, _LARGEST).astype(np.int64)
    if dense.any():
        places = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        places[np.repeat(dense == 0, counts)] = keys
        keys = places
    if width is None:
        width = int(widths.max() if (widths >= 0).any() else keys.max(initial=-1) + 1)
    falls = np.diff(keys, prepend=-1) <= 0
    falls[(ends - counts)[counts > 0]] = False  # a record begins anew
    equal = f"but feature_dim is {width}: they must be equal"
    between = f"keys are 0 to {width - 1} for feature_dim {width}"
    each, ascend = np.arange(1, len(rows) + 1), "keys must ascend, each once"
    for wrong, owners, found, says in (
        (~labeled & labeled.any(), each, counts, "no label, others have one"),
        ((dense > 0) & (widths != width), each, widths, f"{{}} values, {equal}"),
        ((widths >= 0) & (widths != width), each, widths, f"{{}} features, {equal}"),
        (keys >= width, ends, keys, f"key {{}}, out of range: {between}"),
        (falls, ends, keys, f"key {{}}, which is not above the one before: {ascend}"),
        (~np.isfinite(values), ends, values, "the value {}: expected finite numbers"),
        (~np.isfinite(labels), each, labels, "the label {}: expected a finite number"),
    ):
        if wrong.any():
            place = int(wrong.argmax())
            record = np.searchsorted(owners, place, side="right")
            raise PayloadError(f"{name}: record {record} has {says.format(found[place])}")
    matrix = sparse.csr_matrix((values, keys, np.append(0, ends)), shape=(len(rows), width))
    return Records(matrix, labels if labeled.any() else None, bool(dense.all()))


def as_float32(labels: npt.ArrayLike, name: str) -> np.ndarray:
    """Return labels as float32; raise `PayloadError` where a whole number would become another."""
    exact = np.asarray(labels, dtype=np.float64)
    with np.errstate(over="ignore"):
        found = exact.astype(np.float32)
    merged = exact[(exact == np.rint(exact)) & (exact != found)]
    if len(merged):
        lost = f"label {merged[0]:.17g} is lost in float32, the type of SageMaker's labels"
        raise PayloadError(f"{name}: {lost}: number items from 0, or give amounts as float32")
    return found
