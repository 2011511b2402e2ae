"""Records and tables in the bytes of an object, and the requests of a batch transform."""

import csv
import io
import re
import struct
from collections.abc import Iterable, Iterator
from typing import Any

MAGIC = 0xCED7230A  # every record of RecordIO begins with it


class PayloadError(ValueError):
    """The bytes are not the records they should be, or a record is too large for a request."""


def frames(data: bytes, name: str = "RecordIO") -> Iterator[tuple[int, int]]:
    """Yield begin and end of each RecordIO record: head, message, padding to four bytes."""
    head, at, number = struct.Struct("<II"), 0, 0
    while at < len(data):
        left = len(data) - at - head.size
        if left < 0:
            here = f"record {number} has {len(data) - at} bytes of its 8-byte head"
            raise PayloadError(f"{name}: truncated: {here}")
        magic, size = head.unpack_from(data, at)
        if magic != MAGIC:
            here = f"record {number} begins with {magic:#010x}"
            raise PayloadError(f"{name}: {here}, expected the magic number {MAGIC:#010x}")
        padded = size + -size % 4
        if padded > left:
            here = f"record {number} announces {padded} bytes, {left} are left"
            raise PayloadError(f"{name}: truncated: {here}")
        yield at, at + head.size + padded
        at += head.size + padded
        number += 1


def read_csv(data: bytes, columns: int, name: str, what: str) -> Any:
    """Return a table, (n, columns) float64, of finite numbers; raise `PayloadError` by ``name``."""
    import numpy as np  # the service does without

    if not data.strip():
        raise PayloadError(f"{name}: no rows")
    try:
        lines = data.decode("utf-8-sig").splitlines()
        table = np.loadtxt(lines, delimiter=",", ndmin=2, dtype=np.float64, comments=None)
    except ValueError as wrong:
        raise PayloadError(f"{name}: not CSV of numbers without a header: {wrong}") from None
    if table.shape[1] != columns:
        raise PayloadError(f"{name}: {table.shape[1]} columns, expected {what}: {columns}")
    with np.errstate(over="ignore"):  # too large for float32
        finite = np.isfinite(table.astype(np.float32)).all(axis=1)
    if not finite.all():
        raise PayloadError(f"{name}: row {finite.argmin()} holds NaN or infinity")
    return table


def split(data: bytes, split_type: str, strategy: str, max_payload_mb: float) -> Iterator[bytes]:
    """Yield the bodies of requests, each of one record, or of as many as fit (MultiRecord)."""
    cut = {"None": lambda data: [(0, len(data))], "Line": _lines, "RecordIO": frames}
    limit = int(max_payload_mb * (1 << 20)) or len(data)
    begin = end = 0
    for start, stop in cut[split_type](data):
        if stop - start > limit:
            here = f"{stop - start} bytes at byte {start}, MaxPayloadInMB allows {limit}"
            raise PayloadError(f"Too much data for max payload size: {here}; or set SplitType")
        joins = strategy == "MultiRecord" and start == end and stop - begin <= limit
        if not joins:
            if end > begin:
                yield data[begin:end]
            begin = start
        end = stop
    if end > begin:
        yield data[begin:end]


def columns(path: str) -> slice:
    """Read a filter of columns, such as ``$[1:]`` or ``$[0:-2]``; else raise `PayloadError`."""
    if found := re.fullmatch(r"\$\[(-?\d+)?:(-?\d+)?\]", path):
        return slice(*(None if end is None else int(end) for end in found.groups()))
    raise PayloadError(f"The filter {path!r} can't be read: expected columns of CSV, as in $[1:]")


def keep(body: bytes, kept: slice) -> bytes:
    """Return the lines of CSV with some columns only."""
    text, rows = io.StringIO(), csv.reader(io.StringIO(body.decode()))
    csv.writer(text, lineterminator="\n").writerows(row[kept] for row in rows)
    return text.getvalue().encode()


def assemble(parts: Iterable[bytes], assemble_with: str) -> bytes:
    """Join answers, in the order of their requests; ``"Line"`` ends each with a line break."""
    if assemble_with == "None":
        return b"".join(parts)
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)


def _lines(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(data):
        stop = data.find(b"\n", start) + 1 or len(data)
        if data[start:stop].strip():
            yield start, stop
        start = stop
