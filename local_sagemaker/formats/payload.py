"""S3 objects cut into the requests of a batch transform, and the answers joined again."""

import csv
import io
import re
import struct
from collections.abc import Iterable, Iterator

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


def split(data: bytes, split_type: str, strategy: str, max_payload_mb: float) -> Iterator[bytes]:
    """Yield the bodies of requests, each of one record, or of as many as fit (MultiRecord)."""
    cut = {"None": _whole, "Line": _lines, "RecordIO": frames, "TFRecord": _tfrecord}
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
    yield 0, len(data)


def _lines(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(data):
        stop = data.find(b"\n", start) + 1 or len(data)
        if data[start:stop].strip():
            yield start, stop
        start = stop


def _tfrecord(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(data):
        size = int.from_bytes(data[start : start + 8], "little")
        stop = start + 12 + size + 4  # length and its checksum; the record; its checksum
        if stop > len(data):
            raise PayloadError(f"TFRecord: the record at byte {start} is cut off")
        yield start, stop
        start = stop
