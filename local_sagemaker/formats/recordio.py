"""RecordIO-protobuf (``application/x-recordio-protobuf``), written and read by whole matrices.

The training format of SageMaker's built-in algorithms: a stream of records, each a head (magic number,
length), an ``aialgs.data.Record`` message and padding to four bytes. What the writers make is byte for byte
what ``sagemaker.amazon.common`` of SDK version 2 made; in version 3 those functions raise
``NotImplementedError``. Reading stands in `local_sagemaker.formats.recordio_read`.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from scipy import sparse

from local_sagemaker.formats.recordio_read import (
    MAGIC,
    Records,
    ragged,
    read_records,
    varint_sizes,
)
from local_sagemaker.formats.recordio_wire import RecordError

__all__ = [
    "MAGIC",
    "RecordError",
    "Records",
    "read_records",
    "write_numpy_to_dense_tensor",
    "write_spmatrix_to_sparse_tensor",
]

_FIELDS = {"float32": 2, "float64": 3, "int64": 7}  # of the message Value: which kind of tensor
_ENTRY_KEY = b"\x0a\x06values"  # field 1 of a map entry: the name under which the tensor stands
_ROWS_AT_ONCE = 200_000  # bounds the memory of one pass


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
        Shapes do not fit.
    """
    if not sparse.issparse(array):
        raise TypeError(
            f"Array must be sparse, got {type(array).__name__}: see write_numpy_to_dense_tensor"
        )
    matrix = array.tocsr()
    _check(matrix.shape, labels)
    for begin in range(0, matrix.shape[0], _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        part = matrix[rows]
        counts = np.diff(part.indptr).astype(np.int64)
        keys = part.indices.astype(np.int64)
        _write(
            file, part.data, counts, keys, matrix.shape[1], None if labels is None else labels[rows]
        )


def write_numpy_to_dense_tensor(
    file: BinaryIO, array: np.ndarray, labels: np.ndarray | None = None
) -> None:
    """Write the rows of an array as dense records: values only.

    Parameters
    ----------
    file : binary file
        Where to write.
    array : numpy.ndarray
        (n, width), float32, float64 or int64; the algorithms train on float32.
    labels : numpy.ndarray, optional
        (n,), of the same dtypes.

    Raises
    ------
    TypeError
        A dtype has no place in the format.
    ValueError
        Shapes do not fit.
    """
    array = np.asarray(array)
    _check(array.shape, labels)
    for begin in range(0, array.shape[0], _ROWS_AT_ONCE):
        part = array[begin : begin + _ROWS_AT_ONCE]
        counts = np.full(len(part), array.shape[1], dtype=np.int64)
        of_part = None if labels is None else labels[begin : begin + _ROWS_AT_ONCE]
        _write(file, part.ravel(), counts, None, None, of_part)


def _check(shape: tuple[int, ...], labels: np.ndarray | None) -> None:
    if len(shape) != 2:
        raise ValueError(f"Array must be a matrix, got shape {shape}")
    if labels is not None and np.shape(labels) != (shape[0],):
        raise ValueError(
            f"labels of shape {np.shape(labels)} for {shape[0]} rows: expected ({shape[0]},)"
        )


def _field_of(dtype: np.dtype, what: str) -> int:
    if dtype.name not in _FIELDS:
        raise TypeError(
            f"{what} of dtype {dtype}: expected float32, float64 or int64 (astype(np.float32))"
        )
    return _FIELDS[dtype.name]


class _Cursor:
    """A position in every row's record at once, and the buffer they all stand in."""

    def __init__(self, size: int, starts: np.ndarray) -> None:
        self.buffer = np.zeros(size, dtype=np.uint8)
        self.at = starts.copy()

    def constant(self, text: bytes, rows: np.ndarray | slice = slice(None)) -> None:
        """Write the same bytes into each of ``rows``."""
        for offset, byte in enumerate(text):
            self.buffer[self.at[rows] + offset] = byte
        self.at[rows] += len(text)

    def varint(self, values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> None:
        """Write one number into each of ``rows``."""
        self.at[rows] = _put_varints(self.buffer, self.at[rows], values)

    def block(self, data: np.ndarray, counts: np.ndarray) -> None:
        """Write the next ``counts`` bytes of ``data`` into each row."""
        self.buffer[ragged(self.at, counts)] = data
        self.at += counts


def _put_varints(buffer: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Write base-128 numbers, low digits first; returns the positions after them."""
    values = values.astype(np.uint64)
    sizes = varint_sizes(values)
    for digit in range(int(sizes.max(initial=0))):
        live = sizes > digit
        seven = ((values[live] >> np.uint64(7 * digit)) & np.uint64(0x7F)).astype(np.uint8)
        more = (sizes[live] > digit + 1).astype(np.uint8) << 7
        buffer[at[live] + digit] = seven | more
    return at + sizes


def _packed(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of a packed field of each row, and how many they are."""
    if values.dtype.kind == "f":
        little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        return little.view(np.uint8), counts * values.dtype.itemsize
    sizes = varint_sizes(values)
    ends = np.cumsum(sizes)
    out = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    _put_varints(out, ends - sizes, values)
    return out, _sum_by_row(sizes, counts)


def _sum_by_row(sizes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    total = np.concatenate([[0], np.cumsum(sizes)])
    ends = np.cumsum(counts)
    return total[ends] - total[ends - counts]


def _field_size(length: np.ndarray) -> np.ndarray:
    """Bytes of a field that holds ``length`` bytes: tag, length and they; absent fields have none."""
    return np.where(length > 0, 1 + varint_sizes(length) + length, 0)


def _nested(length: np.ndarray) -> np.ndarray:
    return 1 + varint_sizes(length) + length


def _write(
    file: BinaryIO,
    values: np.ndarray,
    counts: np.ndarray,
    keys: np.ndarray | None,
    width: int | None,
    labels: np.ndarray | None,
) -> None:
    """Lay out all records at once: sizes from the inside out, then bytes from the outside in."""
    n = len(counts)
    tag = bytes([_field_of(values.dtype, "array") << 3 | 2])
    data, data_size = _packed(values, counts)
    key_data, key_size = (
        _packed(keys, counts) if keys is not None else (None, np.zeros(n, np.int64))
    )
    shape = np.full(n, -1 if width is None else width, dtype=np.int64)
    shape_size = np.zeros(n, np.int64) if width is None else varint_sizes(shape)
    tensor = _field_size(data_size) + _field_size(key_size) + _field_size(shape_size)
    value = _nested(tensor)
    entry = len(_ENTRY_KEY) + _nested(value)
    message = _nested(entry)
    if labels is not None:
        label_tag = bytes([_field_of(labels.dtype, "labels") << 3 | 2])
        label_data, label_size = _packed(labels, np.ones(n, dtype=np.int64))
        label_tensor = _field_size(label_size)
        label_value = _nested(label_tensor)
        label_entry = len(_ENTRY_KEY) + _nested(label_value)
        message = message + _nested(label_entry)
    total = 8 + (message + 3) // 4 * 4
    starts = np.cumsum(total) - total
    cursor = _Cursor(int(total.sum()), starts)
    heads = np.stack([np.full(n, MAGIC, dtype="<u4"), message.astype("<u4")], axis=1)
    cursor.block(heads.view(np.uint8).ravel(), np.full(n, 8))

    def open_all(outer: bytes, *lengths: np.ndarray) -> None:
        entry_size, value_size, tensor_size = lengths
        cursor.constant(outer[:1])
        cursor.varint(entry_size)
        cursor.constant(_ENTRY_KEY + b"\x12")
        cursor.varint(value_size)
        cursor.constant(outer[1:])
        cursor.varint(tensor_size)

    def field(number: int, content: np.ndarray, sizes: np.ndarray) -> None:
        rows = np.flatnonzero(sizes)
        cursor.constant(bytes([number << 3 | 2]), rows)
        cursor.varint(sizes[rows], rows)
        cursor.block(content, sizes)

    open_all(b"\x0a" + tag, entry, value, tensor)
    field(1, data, data_size)
    if key_data is not None:
        field(2, key_data, key_size)
    if width is not None:
        field(3, _packed(shape, np.ones(n, dtype=np.int64))[0], shape_size)
    if labels is not None:
        open_all(b"\x12" + label_tag, label_entry, label_value, label_tensor)
        field(1, label_data, label_size)
    file.write(cursor.buffer.tobytes())
