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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.lib.stride_tricks import sliding_window_view
from scipy import sparse

from local_sagemaker.formats.payload import MAGIC, PayloadError, frames

_ROWS_AT_ONCE = 100_000  # bounds the memory of one pass
_DTYPES = {"float32": "<f4", "float64": "<f8", "int32": "i1"}  # a number takes that, or more bytes
_LARGEST = np.iinfo(np.int64).max
_TRIES = 20  # layouts of one length that are looked for before the rest is read one by one


@dataclass(frozen=True)
class Records:
    """What a stream held.

    Parameters
    ----------
    features : scipy.sparse.csr_matrix
        (n, width), float32.
    labels : numpy.ndarray or None
        (n,), float32; ``None`` where the records have none.
    dense : bool
        The records were dense ones.
    """

    features: sparse.csr_matrix
    labels: np.ndarray | None
    dense: bool

    def __len__(self) -> int:
        """Return how many records there were."""
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
        add(
            record, number, name, message, type_name=f".aialgs.data.Record.{entry.name}", label=many
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


_Record = _message_class()


def _framed(record: Any) -> bytes:
    message = record.SerializeToString(deterministic=True)
    return struct.pack("<II", MAGIC, len(message)) + message + bytes(-len(message) % 4)


class _Layout(NamedTuple):
    """What records must have in common to differ in their numbers alone."""

    values: int  # bytes
    keys: int  # bytes
    label: int  # bytes
    kind: str  # of the values: "float32", "float64" or "int32"
    label_kind: str
    width: int  # -1 where the record does not say


@functools.lru_cache(maxsize=1000)
def _example(layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of such a record, head and padding included, and where its numbers are."""
    both = []
    for byte in (1, 2):  # numbers made of other bytes: the records differ where numbers are

        def fill(field: Any, size: int, kind: str, byte: int = byte) -> None:
            field.extend(np.full(size, byte, dtype=np.uint8).view(_DTYPES[kind]).tolist())

        record = _Record()
        tensor = getattr(record.features["values"], f"{layout.kind}_tensor")
        tensor.SetInParent()  # also where it is empty
        fill(tensor.values, layout.values, layout.kind)
        fill(tensor.keys, layout.keys, "int32")
        tensor.shape.extend([layout.width] * (layout.width >= 0))
        if layout.label:
            tensor = getattr(record.label["values"], f"{layout.label_kind}_tensor")
            fill(tensor.values, layout.label, layout.label_kind)
        both.append(np.frombuffer(_framed(record), dtype=np.uint8))
    return both[0], np.flatnonzero(both[0] != both[1])


def _alike(sizes: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each distinct number."""
    order = np.argsort(sizes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1)


def _packed(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all rows' numbers, and how many of them each row has.

    Whole numbers are written in base 128; negative ones take ten bytes, as in protobuf.
    """
    if values.dtype.kind == "f":
        little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        return little.view(np.uint8), counts * values.itemsize
    digits = [rest := values.astype(np.uint64)]
    while (rest := rest >> np.uint64(7)).any():
        digits.append(rest)
    sizes = sum((digit > 0 for digit in digits[1:]), np.ones(len(values), dtype=np.int64))
    ends = np.cumsum(sizes)
    out = np.empty(int(sizes.sum()), dtype=np.uint8)
    for place, digit in enumerate(digits):
        live = np.flatnonzero(sizes > place)
        more = (sizes[live] > place + 1).astype(np.uint8) << 7
        out[ends[live] - sizes[live] + place] = digit[live].astype(np.uint8) & 0x7F | more
    total, last = np.append(0, ends), np.cumsum(counts)
    return out, total[last] - total[last - counts]


def _unpacked(block: np.ndarray, kind: str) -> np.ndarray | None:
    """Return all numbers in rows of bytes; None where one takes more than ten bytes."""
    if kind != "int32":
        return np.ascontiguousarray(block).view(_DTYPES[kind]).ravel()
    stream = block.ravel()
    last = stream < 0x80
    begins = np.flatnonzero(np.append(True, last))[:-1]
    digit = np.arange(len(stream)) - begins[np.cumsum(last) - last]
    if digit.max(initial=0) > 9:
        return None
    parts = (stream & 0x7F).astype(np.uint64) << (7 * digit).astype(np.uint64)
    return (np.add.reduceat(parts, begins) if len(begins) else parts).view(np.int64)


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


def _write(file: BinaryIO, array: Any, values: np.ndarray, labels: np.ndarray | None) -> None:
    """Check, then write some rows at a time."""
    if array.ndim != 2:
        raise ValueError(f"Array must be a matrix, got shape {array.shape}")
    n, width = array.shape
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
    kinds = [numbers.dtype.name.replace("int64", "int32") for numbers in (values, known)]
    for begin in range(0, n, _ROWS_AT_ONCE):
        part, some = array[begin : begin + _ROWS_AT_ONCE], known[begin : begin + _ROWS_AT_ONCE]
        if sparse.issparse(part):
            counts, numbers = np.diff(part.indptr).astype(np.int64), part.data
            keys = _packed(part.indices.astype(np.int64), counts)
        else:
            counts, numbers = np.full(len(part), width), part.ravel()
            keys = np.zeros(0, dtype=np.uint8), 0 * counts
        label = _packed(some, np.full(len(counts), int(len(some) > 0)))
        said = width if sparse.issparse(part) else -1
        file.write(_laid_out([_packed(numbers, counts), keys, label], *kinds, said))


def _laid_out(
    fields: list[tuple[np.ndarray, np.ndarray]], kind: str, label_kind: str, width: int
) -> bytes:
    """Return records of fields: of each, the bytes of all rows and how many of them a row has."""
    lengths = np.stack([sizes for _, sizes in fields])
    groups = _alike(lengths.T @ np.cumprod([1, *lengths[:2].max(axis=1) + 1]))
    layouts = [_Layout(*lengths[:, rows[0]].tolist(), kind, label_kind, width) for rows in groups]
    total = np.empty(lengths.shape[1], dtype=np.int64)
    for rows, layout in zip(groups, layouts, strict=True):
        total[rows] = len(_example(layout)[0])
    out, starts = np.empty(int(total.sum()), dtype=np.uint8), np.cumsum(total) - total
    for rows, layout in zip(groups, layouts, strict=True):
        example, places = _example(layout)
        block, at = np.tile(example, (len(rows), 1)), 0
        for (data, sizes), size in zip(fields, layout, strict=False):
            if size:
                begins, column = (np.cumsum(sizes) - sizes)[rows], places[at]
                block[:, column : column + size] = sliding_window_view(data, size)[begins]
            at += size
        sliding_window_view(out, len(example), writeable=True)[starts[rows]] = block
    return out.tobytes()


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


class _Part(NamedTuple):
    """Some records of one layout; their values, keys and labels all in a row."""

    rows: np.ndarray  # numbers of the records
    count: int  # values of each
    width: int  # -1 where they do not say
    dense: bool
    labelled: bool
    values: np.ndarray
    keys: np.ndarray
    labels: np.ndarray  # 0 where there is none


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
    framed = np.array(list(frames(data, name)), dtype=np.int64).reshape(-1, 2)
    if not len(framed):
        raise PayloadError(f"{name}: no records")
    stream, parts = np.frombuffer(data, dtype=np.uint8), []
    for rows in _alike(framed[:, 1]):
        block = sliding_window_view(stream, int(framed[rows[0], 1]))[framed[rows, 0]]
        parts += _read(block, rows, name)
    return _joined(parts, feature_dim, name)


def _read(block: np.ndarray, rows: np.ndarray, name: str) -> Iterator[_Part]:
    """Read messages of one length, (n, bytes): all that are like the first, then those left."""
    tries = _TRIES
    while len(rows):
        part, layout = _read_one(block[0].tobytes(), rows[0], name)
        alike, numbers = _read_like(part, layout, block) if tries else (None, {})
        if alike is None:
            yield part
            block, rows, tries = block[1:], rows[1:], 0
        else:
            yield part._replace(rows=rows[alike], **numbers)
            block, rows, tries = block[~alike], rows[~alike], tries - 1


def _read_one(message: bytes, row: int, name: str) -> tuple[_Part, _Layout]:
    """Read a record of any layout."""
    where = f"{name}: record {row}"
    try:
        record = _Record.FromString(message)
    except DecodeError:
        raise PayloadError(f"{where} is not an aialgs.data.Record message") from None
    found = []
    for tensors in (record.features, record.label):
        value = tensors["values"] if "values" in tensors else None
        kind = "float32_tensor" if value is None else value.WhichOneof("tensor")
        if kind is None:
            expected = "expected float32, float64 or int32"
            raise PayloadError(f"{where} has a tensor of another type: {expected}")
        kind, tensor = kind.removesuffix("_tensor"), value and getattr(value, kind)
        dtype, numbers = kind.replace("int32", "int64"), tensor.values if tensor else ()
        found.append((kind, tensor, np.array(numbers, dtype=dtype)))
    (kind, tensor, values), (label_kind, _, labels) = found
    if tensor is None:
        raise PayloadError(f"{where} has no features: expected numbers under the name 'values'")
    keys = np.minimum(np.array(tensor.keys, dtype=np.uint64), _LARGEST).astype(np.int64)
    shape, count = list(tensor.shape), len(values)
    said = min(shape[0], _LARGEST) if shape else -1
    dense = not len(keys) and not (shape and not count)
    if len(keys) not in (0, count):
        raise PayloadError(f"{where} has {count} values and {len(keys)} keys: expected as many")
    if len(shape) > 1 or (dense and said not in (-1, count)):
        raise PayloadError(f"{where} has {count} values, but its shape is {shape}")
    if len(labels) > 1:
        raise PayloadError(f"{where} has {len(labels)} labels: expected one")
    sizes = [int(_packed(a, np.array([len(a)]))[1][0]) for a in (values, keys, labels)]
    if dense:
        keys = np.arange(count, dtype=np.int32)
    label = np.append(labels, 0.0)[:1]
    width = count if dense else said
    part = _Part(np.array([row]), count, width, dense, len(labels) > 0, values, keys, label)
    return part, _Layout(*sizes, kind, label_kind, said)


def _read_like(
    one: _Part, layout: _Layout, block: np.ndarray
) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """Return which messages have the layout of the first, and their numbers; None if not even it."""
    example, places = _example(layout)
    size, places = block.shape[1], places - 8
    if int.from_bytes(example[4:8].tobytes(), "little") != size:
        return None, {}
    fixed = np.delete(np.arange(size), places)
    alike, fields, at = (block[:, fixed] == example[8:][fixed]).all(axis=1), [], 0
    for length, kind, count in (
        (layout.values, layout.kind, one.count),
        (layout.keys, "int32", one.count),
        (layout.label, layout.label_kind, 1),
    ):
        begin = places[at] if length else 0
        field = block[:, begin : begin + length]
        if length and kind == "int32":
            last = field < 0x80
            alike &= last[:, -1] & (last.sum(axis=1) == count)
        fields.append((field, kind))
        at += length
    found = [_unpacked(field[alike], kind) for field, kind in fields]
    if not alike[0] or any(numbers is None for numbers in found):
        return None, {}
    numbers = dict(zip(("values", "keys", "labels"), found, strict=True))
    if one.dense:
        numbers["keys"] = np.tile(one.keys, alike.sum())
    if not layout.label:
        numbers["labels"] = np.zeros(alike.sum())
    return alike, numbers


def _joined(parts: list[_Part], feature_dim: int | None, name: str) -> Records:
    """Check what was read, and return it in the order of the records."""
    sizes = [len(part.rows) for part in parts]
    rows, values, keys, labels = (
        np.concatenate([getattr(part, field) for part in parts])
        for field in ("rows", "values", "keys", "labels")
    )
    counts, widths, dense, labelled = (
        np.repeat([getattr(part, field) for part in parts], sizes)
        for field in ("count", "width", "dense", "labelled")
    )
    width = feature_dim
    if width is None:
        width = int(widths.max() if (widths >= 0).any() else keys.max(initial=-1) + 1)
    with np.errstate(over="ignore"):  # too large for float32: refused as infinite
        values, known = values.astype(np.float32), labels.astype(np.float32)
    ends = np.cumsum(counts)
    falls = np.diff(keys, prepend=-1) <= 0
    falls[(ends - counts)[counts > 0]] = False  # a record begins anew
    between = f"keys are 0 to {width - 1} for feature_dim {width}"
    equal = f"but feature_dim is {feature_dim}: they must be equal"
    for wrong, numbers, says in (
        (~labelled & labelled.any(), labels, "no label, others have one"),
        (dense & (widths != width), counts, f"{{}} values, {equal}"),
        ((widths >= 0) & (widths != width), widths, f"{{}} features, {equal}"),
        ((keys < 0) | (keys >= width), keys, f"key {{}}, out of range: {between}"),
        (falls, keys, "key {}, unsorted or twice: keys must ascend, each once"),
        (~np.isfinite(values), values, "the value {}: expected finite numbers"),
        (~np.isfinite(known), labels, "the label {}: expected a finite number"),
        (_merged(labels), labels, f"the label {{:.0f}}: {_MERGED}"),
    ):
        if wrong.any():
            places = np.flatnonzero(wrong)
            each = len(wrong) == len(rows)
            owner = places if each else np.searchsorted(ends, places, side="right")
            first = np.argmin(rows[owner])
            text = says.format(numbers[places[first]])
            raise PayloadError(f"{name}: record {rows[owner[first]]} has {text}")
    matrix = sparse.csr_matrix((values, keys, np.append(0, ends)), shape=(len(rows), width))
    if (np.diff(rows) < 0).any():
        order = np.argsort(rows)
        matrix, known = matrix[order], known[order]
    return Records(matrix, known if labelled.any() else None, bool(dense.all()))


_MERGED = (
    "labels are float32, as in SageMaker, and can't tell this number from its neighbor. Number the "
    "items from 0, or give amounts as float32"
)


def _merged(labels: np.ndarray) -> np.ndarray:
    """Return which labels are whole numbers that float32 would turn into others."""
    with np.errstate(over="ignore"):
        return (labels == np.rint(labels)) & (labels.astype(np.float32) != labels)


def as_float32(labels: np.ndarray, name: str) -> np.ndarray:
    """Return labels as float32; raise `PayloadError` where a whole number would become another."""
    wrong = np.flatnonzero(_merged(np.asarray(labels, dtype=np.float64)))
    if len(wrong):
        raise PayloadError(
            f"{name}: row {wrong[0]} has the label {labels[wrong[0]]:.0f}: {_MERGED}"
        )
    return np.asarray(labels, dtype=np.float32)
