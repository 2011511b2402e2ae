"""Reading RecordIO-protobuf: all records at once where they lie as the SDK writes them, else one by one."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from scipy import sparse

from local_sagemaker.formats.recordio_checks import check_finite, check_keys, width_of
from local_sagemaker.formats.recordio_wire import Found, RecordError, one_by_one

MAGIC = 0xCED7230A
_ENTRY = np.frombuffer(b"\x0a\x06values\x12", dtype=np.uint8)


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
        """How many records there were."""
        return int(self.features.shape[0])


def varint_sizes(values: np.ndarray) -> np.ndarray:
    """Bytes that base-128 numbers take: (n,) int64; negative ones take ten, as in protobuf."""
    rest = values.astype(np.uint64)
    sizes = np.ones(len(rest), dtype=np.int64)
    while (rest := rest >> np.uint64(7)).any():
        sizes += rest > 0
    return sizes


def ragged(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count up from each of ``starts`` for as long as ``counts`` says: (sum of counts,)."""
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum(), dtype=np.int64) + np.repeat(starts - before, counts)


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
    RecordError
        A wrong magic number, a stream that is cut off, a message that cannot be read, keys out of range,
        unsorted or doubled, NaN or infinity, some records with a label and some without, or no record at all.
    """
    data = source if isinstance(source, bytes) else source.read()
    starts, sizes = _frames(data, name)
    if not len(starts):
        raise RecordError(f"{name}: no records")
    found = _all_at_once(data, starts, sizes)
    if found is None:
        found = one_by_one(data, starts, sizes, name)
    values, keys, counts, widths, labels, dense = found
    width = width_of(keys, widths, counts, feature_dim, dense, name)
    check_keys(keys, counts, width, name)
    check_finite(values, counts, labels, name)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    matrix = sparse.csr_matrix((values, keys, indptr), shape=(len(counts), width))
    return Records(matrix, labels, dense)


def _frames(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the messages begin and how long they are."""
    starts: list[int] = []
    sizes: list[int] = []
    at, end = 0, len(data)
    head = struct.Struct("<II").unpack_from
    while at < end:
        if end - at < 8:
            raise RecordError(
                f"{name}: truncated: record {len(starts)} has {end - at} bytes of its 8-byte head"
            )
        magic, size = head(data, at)
        if magic != MAGIC:
            raise RecordError(
                f"{name}: record {len(starts)} begins with {magic:#010x}, expected the magic number "
                f"{MAGIC:#010x}: this is not RecordIO-protobuf"
            )
        if at + 8 + size > end:
            raise RecordError(
                f"{name}: truncated: record {len(starts)} announces {size} bytes, {end - at - 8} are left"
            )
        starts.append(at + 8)
        sizes.append(size)
        at += 8 + (size + 3) // 4 * 4
    return np.array(starts, dtype=np.int64), np.array(sizes, dtype=np.int64)


class _Layout(Exception):
    """The records are not laid out as the SDK writes them."""


class _Reader:
    """A position in every record at once; raises `_Layout` where one differs from the others."""

    def __init__(self, data: bytes, at: np.ndarray, ends: np.ndarray) -> None:
        self.bytes = np.frombuffer(data, dtype=np.uint8)
        self.at, self.ends = at.copy(), ends

    def byte(self, rows: np.ndarray) -> np.ndarray:
        """Look at the next byte of ``rows``; 0 at the end of a record."""
        inside = self.at[rows] < self.ends[rows]
        return np.where(inside, self.bytes[np.minimum(self.at[rows], len(self.bytes) - 1)], 0)

    def expect(self, text: np.ndarray) -> None:
        """Step over bytes that every record has here."""
        if np.any(self.at + len(text) > self.ends):
            raise _Layout
        for offset, byte in enumerate(text):
            if np.any(self.bytes[self.at + offset] != byte):
                raise _Layout
        self.at += len(text)

    def varint(self, rows: np.ndarray) -> np.ndarray:
        """Read a number of at most four bytes from each of ``rows``."""
        value = np.zeros(len(rows), dtype=np.int64)
        live = np.ones(len(rows), dtype=bool)
        for digit in range(4):
            byte = self.byte(rows[live]).astype(np.int64)
            value[live] |= (byte & 0x7F) << (7 * digit)
            self.at[rows[live]] += 1
            live[live] = byte >= 0x80
            if not live.any():
                return value
        raise _Layout

    def field(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Step over a field of bytes where it is there: where it begins, how long it is (0: absent)."""
        rows = np.flatnonzero(self.byte(np.arange(len(self.at))) == (number << 3 | 2))
        sizes = np.zeros(len(self.at), dtype=np.int64)
        self.at[rows] += 1
        sizes[rows] = self.varint(rows)
        begin = self.at.copy()
        self.at += sizes
        if np.any(self.at > self.ends):
            raise _Layout
        return begin, sizes


def _all_at_once(data: bytes, starts: np.ndarray, sizes: np.ndarray) -> Found | None:
    """Read float32 records of the SDK's layout, or return ``None``."""
    rows = np.arange(len(starts))
    try:
        reader = _Reader(data, starts, starts + sizes)
        begin, count, keys_at, keys_size, width_at, width_size = _tensor(reader, 1, rows)
        labels = None
        if np.any(reader.at < reader.ends):
            label_at, label_size, *rest = _tensor(reader, 2, rows)
            if np.any(label_size != 4) or np.any(rest[1]) or np.any(rest[3]):
                return None
            labels = reader.bytes[ragged(label_at, label_size)].view("<f4").astype(np.float32)
        if np.any(reader.at != reader.ends) or np.any(count % 4):
            return None
        values = reader.bytes[ragged(begin, count)].view("<f4").astype(np.float32)
        counts = count // 4
        dense = not keys_size.any() and not width_size.any()
        widths = np.where(dense, counts, -1)
        if width_size.any():
            reader.at = width_at.copy()
            if np.any(width_size == 0):
                return None
            widths = reader.varint(rows)
            if np.any(reader.at != width_at + width_size):
                return None
        if dense:
            return Found(
                values, ragged(np.zeros_like(counts), counts), counts, widths, labels, True
            )
        if np.any((keys_size == 0) & (counts > 0)):
            return None
        keys, per_row = _packed_varints(reader.bytes[ragged(keys_at, keys_size)], keys_size)
    except _Layout:
        return None
    return None if np.any(per_row != counts) else Found(values, keys, counts, widths, labels, False)


def _tensor(reader: _Reader, outer: int, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Read a map entry with a Float32Tensor: begin and length of values, keys and shape."""
    reader.expect(np.array([outer << 3 | 2], dtype=np.uint8))
    entry = reader.varint(rows)
    end = reader.at + entry
    reader.expect(_ENTRY)
    value = reader.varint(rows)
    if np.any(reader.at + value != end):
        raise _Layout
    reader.expect(np.array([2 << 3 | 2], dtype=np.uint8))
    tensor = reader.varint(rows)
    if np.any(reader.at + tensor != end) or np.any(end > reader.ends):
        raise _Layout
    ends, reader.ends = reader.ends, end
    found = (*reader.field(1), *reader.field(2), *reader.field(3))
    if np.any(reader.at != end):
        raise _Layout
    reader.ends = ends
    return found


def _packed_varints(stream: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decode a stream of numbers; returns them and how many each row's bytes hold."""
    last = stream < 0x80
    if len(stream) and not last[np.cumsum(sizes)[sizes > 0] - 1].all():
        raise _Layout
    number: np.ndarray = np.cumsum(last) - last  # which number a byte belongs to
    begins = (
        np.flatnonzero(np.concatenate([[True], last[:-1]]))
        if len(stream)
        else np.zeros(0, dtype=np.int64)
    )
    digit = np.arange(len(stream)) - begins[number] if len(stream) else np.zeros(0, dtype=np.int64)
    if digit.max(initial=0) > 8:
        raise _Layout
    parts = (stream & 0x7F).astype(np.int64) << (7 * digit)
    values = np.add.reduceat(parts, begins) if len(begins) else np.zeros(0, dtype=np.int64)
    total = np.concatenate([[0], np.cumsum(last)])
    ends = np.cumsum(sizes)
    return values, total[ends] - total[ends - sizes]
