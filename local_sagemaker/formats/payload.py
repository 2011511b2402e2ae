"""S3 objects cut into the requests of a batch transform, and the answers joined again."""

from __future__ import annotations

import csv
import io
import re
import struct
from collections.abc import Iterable, Iterator

MAGIC = 0xCED7230A  # every record of RecordIO begins with it


class PayloadError(ValueError):
    """The bytes are not the records they should be, or a record is too large for a request."""


def frames(data: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each RecordIO record: head, message, padding to four bytes."""
    head, at, number = struct.Struct("<II"), 0, 0
    while at < len(data):
        left = len(data) - at - head.size
        if left < 0:
            raise PayloadError(
                f"{name}: truncated: record {number} has {len(data) - at} bytes of its 8-byte head"
            )
        magic, size = head.unpack_from(data, at)
        if magic != MAGIC:
            raise PayloadError(
                f"{name}: record {number} begins with {magic:#010x}, expected the magic number "
                f"{MAGIC:#010x}: this is not RecordIO-protobuf"
            )
        padded = size + -size % 4
        if padded > left:
            raise PayloadError(
                f"{name}: truncated: record {number} announces {size} bytes and {padded - size} of "
                f"padding, {left} are left"
            )
        yield at, at + head.size + padded
        at += head.size + padded
        number += 1


def split(data: bytes, split_type: str, strategy: str, max_payload_mb: float) -> Iterator[bytes]:
    """Yield the bodies of requests: one record each ("SingleRecord"), or as many as fit.

    ``split_type`` is "Line", "RecordIO", "TFRecord", or "None": the object is one record. Blank
    lines are none. A request has at most ``max_payload_mb`` times 2^20 bytes; 0 is no limit. Raise
    `PayloadError` where a record does not fit, or the object is not made of records.
    """
    cut = {"None": _whole, "Line": _lines, "RecordIO": _recordio, "TFRecord": _tfrecord}
    limit = int(max_payload_mb * (1 << 20)) or len(data)
    begin = end = 0
    for start, stop in cut[split_type](data):
        if stop - start > limit:
            raise PayloadError(
                f"Too much data for max payload size: a record of {stop - start} bytes at byte "
                f"{start}, MaxPayloadInMB allows {limit}; raise it, or split the object (SplitType)"
            )
        joins = strategy == "MultiRecord" and start == end and stop - begin <= limit
        if not joins:
            if end > begin:
                yield data[begin:end]
            begin = start
        end = stop
    if end > begin:
        yield data[begin:end]


def columns(path: str) -> list[slice]:
    """Read a filter of columns, such as ``$[1:]`` or ``$[0,-2:]``; else raise `PayloadError`."""
    found = re.fullmatch(r"\$\[([-\d:, ]+)\]", path)
    try:
        if found is None:
            raise ValueError
        kept = []
        for part in found[1].split(","):
            first, colon, last = part.strip().partition(":")
            begin = int(first) if first or not colon else None
            end = int(last) if last else None
            if not colon:
                end = begin + 1 if begin is not None and begin != -1 else None
            kept.append(slice(begin, end))
        return kept
    except ValueError:
        raise PayloadError(
            f"The filter {path!r} can't be read: expected columns of CSV, such as $[1:] or $[0,2]"
        ) from None


def keep(body: bytes, kept: list[slice]) -> bytes:
    """Return the lines of CSV with some columns only."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in csv.reader(io.StringIO(body.decode())):
        writer.writerow([value for part in kept for value in row[part]])
    return text.getvalue().encode()


def assemble(parts: Iterable[bytes], assemble_with: str) -> bytes:
    """Join answers, in the order of their requests; ``"Line"`` ends each with a line break."""
    if assemble_with == "None":
        return b"".join(parts)
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)


def _whole(data: bytes) -> Iterator[tuple[int, int]]:
    if data:
        yield 0, len(data)


def _lines(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(data):
        stop = data.find(b"\n", start) + 1 or len(data)
        if data[start:stop].strip():
            yield start, stop
        start = stop


def _recordio(data: bytes) -> Iterator[tuple[int, int]]:
    return frames(data, "RecordIO")


def _tfrecord(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(data):
        if len(data) < start + 12:
            raise PayloadError(f"TFRecord: the object ends within a record's head, at byte {start}")
        (size,) = struct.unpack_from("<Q", data, start)
        stop = start + 12 + size + 4  # length and its checksum; the record; its checksum
        if stop > len(data):
            raise PayloadError(
                f"TFRecord: the record at byte {start} is cut off: {size} bytes announced"
            )
        yield start, stop
        start = stop
