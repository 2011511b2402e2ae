"""RecordIO-protobuf (``application/x-recordio-protobuf``), written and read by whole matrices.

SageMaker's algorithms train on it: a stream of records, each a head (magic number, length), an
``aialgs.data.Record`` message and padding to four bytes. google.protobuf makes one example of each
layout. Records that differ from an example in their numbers alone are written and read together,
as rows of a table of bytes: ten times as fast as one by one. The bytes are those of
``sagemaker.amazon.common`` in version 2 of the SDK; version 3 raises ``NotImplementedError``.
"""

from __future__ import annotations

import functools
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from scipy import sparse

from local_sagemaker.formats.payload import MAGIC, PayloadError, frames

_ROWS_AT_ONCE = 100_000  # bounds the memory of one pass
_DTYPES = {"float32": "<f4", "float64": "<f8", "int32": "i1"}  # a number takes that, or more bytes
_LARGEST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Records:
    """What a stream held; its length is the number of records, n."""

    features: sparse.csr_matrix  # (n, width), float32
    labels: Any  # (n,), float32, or None where the records have none
    dense: bool  # the records were dense ones

    def __len__(self) -> int:
        return int(self.features.shape[0])


# --- the message and its layouts ---------------------------------------------------------------


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


def _framed(record: Any) -> bytes:
    message = record.SerializeToString(deterministic=True)
    return struct.pack("<II", MAGIC, len(message)) + message + bytes(-len(message) % 4)


@functools.lru_cache(maxsize=10_000)
def _around(kinds: tuple[str, str], width: int, sizes: tuple[int, int, int]) -> list[bytes]:
    """Return what a record has before its values, its keys and its label, and after them.

    ``kinds`` are those of values and label, ``sizes`` the bytes of values, keys and label. A width
    of -1 is not written.
    """
    both = []
    for byte in (1, 2):  # numbers made of other bytes: the two records differ where numbers are
        values, keys, label = (np.full(size, byte, dtype=np.uint8) for size in sizes)
        record = _Record()
        tensor = getattr(record.features["values"], f"{kinds[0]}_tensor")
        tensor.SetInParent()  # also where it is empty
        tensor.values.extend(values.view(_DTYPES[kinds[0]]).tolist())
        tensor.keys.extend(keys.tolist())
        tensor.shape.extend([width] * (width >= 0))
        if len(label):
            tensor = getattr(record.label["values"], f"{kinds[1]}_tensor")
            tensor.values.extend(label.view(_DTYPES[kinds[1]]).tolist())
        both.append(np.frombuffer(_framed(record), dtype=np.uint8))
    places, data = np.flatnonzero(both[0] != both[1]), both[0].tobytes()
    parts, end, at = [], 0, 0
    for size in sizes:
        begin = int(places[at]) if size else end
        parts.append(data[end:begin])
        end, at = begin + size, at + size
    return [*parts, data[end:]]


def _packed(values: np.ndarray, counts: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Return the bytes of all rows' numbers, and where those of each row end.

    Whole numbers are written in base 128; negative ones take ten bytes, as in protobuf.
    """
    ends = np.cumsum(counts)
    if values.dtype.kind == "f":
        return values.astype(values.dtype.newbyteorder("<")).tobytes(), ends * values.itemsize
    digits = [rest := values.astype(np.uint64)]
    while (rest := rest >> np.uint64(7)).any():
        digits.append(rest)
    sizes = sum((digit > 0 for digit in digits[1:]), np.ones(len(values), dtype=np.int64))
    begins = np.cumsum(sizes) - sizes
    out = np.empty(int(sizes.sum()), dtype=np.uint8)
    for place, digit in enumerate(digits):
        live = np.flatnonzero(sizes > place)
        more = (sizes[live] > place + 1).astype(np.uint8) << 7
        out[begins[live] + place] = digit[live].astype(np.uint8) & 0x7F | more
    return out.tobytes(), np.append(0, np.cumsum(sizes))[ends]


# --- writing -----------------------------------------------------------------------------------


def write_spmatrix_to_sparse_tensor(
    file: BinaryIO, array: sparse.spmatrix | sparse.sparray, labels: np.ndarray | None = None
) -> None:
    """Write the rows of a sparse matrix as sparse records: values, keys, width.

    Parameters
    ----------
    file : binary file
        Where to write.
    array : scipy sparse matrix
        (n, width), float32, float64 or int64; the algorithms train on float32.
    labels : numpy.ndarray, optional
        (n,), of the same dtypes.

    Raises
    ------
    TypeError
        The matrix is not sparse, or a dtype has no place in the format.
    ValueError
        Shapes do not fit, or a whole number needs more than 32 bits.
    """
    if not sparse.issparse(array):
        given = type(array).__name__
        raise TypeError(f"Array must be sparse, got {given}: see write_numpy_to_dense_tensor")
    _write(file, array.tocsr(), array.data, labels)


def write_numpy_to_dense_tensor(
    file: BinaryIO, array: np.ndarray, labels: np.ndarray | None = None
) -> None:
    """Write the rows of an array, (n, width), as dense records: values only.

    Dtypes, labels and errors are those of `write_spmatrix_to_sparse_tensor`.
    """
    _write(file, np.asarray(array), np.asarray(array), labels)


def _write(file: BinaryIO, matrix: Any, values: np.ndarray, labels: np.ndarray | None) -> None:
    """Check, then write some rows at a time."""
    if matrix.ndim != 2:
        raise ValueError(f"Array must be a matrix, got shape {matrix.shape}")
    n, width = matrix.shape
    if labels is not None and np.shape(labels) != (n,):
        raise ValueError(f"labels of shape {np.shape(labels)} for {n} rows: expected ({n},)")
    known = np.zeros(0) if labels is None else np.asarray(labels)
    for what, numbers in ("array", values), ("labels", known):
        dtype = numbers.dtype.name
        if dtype not in ("float32", "float64", "int64"):
            expected = "expected float32, float64 or int64 (astype(np.float32))"
            raise TypeError(f"{what} of dtype {dtype}: {expected}")
        if dtype == "int64" and len(numbers) and np.abs(numbers).max() >= 1 << 31:
            raise ValueError(f"{what}: whole numbers of the format have 32 bits, use float64")
    kinds = tuple(numbers.dtype.name.replace("int64", "int32") for numbers in (values, known))
    for begin in range(0, n, _ROWS_AT_ONCE):
        part, some = matrix[begin : begin + _ROWS_AT_ONCE], known[begin : begin + _ROWS_AT_ONCE]
        if sparse.issparse(part):
            counts, numbers, said = np.diff(part.indptr), part.data, width
            keys = _packed(part.indices.astype(np.int64), counts)
        else:
            counts, numbers, said = np.full(len(part), width), part.ravel(), -1
            keys = b"", 0 * counts
        label = _packed(some, np.full(len(counts), int(labels is not None)))
        fields = [_packed(numbers, counts), keys, label]
        slices = [_slices(data, ends.tolist()) for data, ends in fields]
        for row in zip(*slices, strict=True):
            before = _around(kinds, said, tuple(map(len, row)))
            file.writelines(chain.from_iterable(zip(before, (*row, b""), strict=True)))


def _slices(data: bytes, ends: list[int]) -> Iterator[bytes]:
    begin = 0
    for end in ends:
        yield data[begin:end]
        begin = end


def write_answers(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return predictions as records: every number or list of numbers a tensor of the label."""
    stream = b""
    for row in rows:
        record = _Record()
        for name, value in row.items():
            record.label[name].float32_tensor.values.extend(np.atleast_1d(value).tolist())
        stream += _framed(record)
    return stream


# --- reading -----------------------------------------------------------------------------------


def read_records(
    source: BinaryIO | bytes, feature_dim: int | None = None, *, name: str = "data"
) -> Records:
    """Read a whole stream and check it.

    Parameters
    ----------
    source : bytes or binary file
        The stream.
    feature_dim : int, optional
        Width of the matrix; without it, what the records say.
    name : str
        What to call the stream in an error: its file's name.

    Returns
    -------
    Records
        Features and labels as float32, whatever the records held.

    Raises
    ------
    PayloadError
        There are no records or damaged ones; a key is out of range, unsorted or doubled; a number
        is not finite; some records have a label and some have none; float32 can't hold a label.
    """
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
    found = np.frombuffer(values, dtype=np.float32), np.frombuffer(keys, dtype=np.uint64)
    known = as_float32(np.frombuffer(labels), name)
    return _checked(np.array(rows).reshape(-1, 4), *found, known, feature_dim, name)


def _read_one(message: bytes, values: array, keys: array, labels: array) -> tuple[int, ...]:
    """Read one record; return its values, its width (-1: not said), 1 if dense, its labels."""
    try:
        record = _Record.FromString(message)
    except DecodeError:
        raise ValueError("is not an aialgs.data.Record message") from None
    if "values" not in record.features:
        raise ValueError("has no features: expected numbers under the name 'values'")
    tensor = _tensor(record.features)
    row, own, shape, label = tensor.values[:], tensor.keys[:], tensor.shape[:], []
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


def _tensor(tensors: Any) -> Any:
    kind = tensors["values"].WhichOneof("tensor")
    if kind is None:
        raise ValueError("has a tensor of another type: expected float32, float64 or int32")
    return getattr(tensors["values"], kind)


def _checked(
    rows: np.ndarray,
    values: np.ndarray,
    keys: np.ndarray,
    labels: np.ndarray,
    width: int | None,
    name: str,
) -> Records:
    """Check what was read, and return it."""
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
    for wrong, numbers, says in (
        (~labeled & labeled.any(), counts, "no label, others have one"),
        ((dense > 0) & (widths != width), widths, f"{{}} values, {equal}"),
        ((widths >= 0) & (widths != width), widths, f"{{}} features, {equal}"),
        (keys >= width, keys, f"key {{}}, out of range: {between}"),
        (falls, keys, "key {}, which is not above the one before: keys must ascend, each once"),
        (~np.isfinite(values), values, "the value {}: expected finite numbers"),
        (~np.isfinite(labels), labels, "the label {}: expected a finite number"),
    ):
        if wrong.any():
            place = int(wrong.argmax())
            each = len(wrong) == len(rows)
            record = place if each else np.searchsorted(ends, place, side="right")
            raise PayloadError(f"{name}: record {record} has {says.format(numbers[place])}")
    matrix = sparse.csr_matrix((values, keys, np.append(0, ends)), shape=(len(rows), width))
    return Records(matrix, labels if labeled.any() else None, bool(dense.all()))


def as_float32(labels: npt.ArrayLike, name: str) -> np.ndarray:
    """Return labels as float32; raise `PayloadError` where a whole number would become another."""
    exact = np.asarray(labels, dtype=np.float64)
    with np.errstate(over="ignore"):
        found = exact.astype(np.float32)
    merged = exact[(exact == np.rint(exact)) & (exact != found)]
    if len(merged):
        raise PayloadError(
            f"{name}: label {merged[0]:.0f} is lost in float32, the type of SageMaker's labels: "
            "number items from 0, or give amounts as float32"
        )
    return found
