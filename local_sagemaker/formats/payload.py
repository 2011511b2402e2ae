"""How a batch transform cuts S3 objects into requests, and puts the answers together again."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

SPLIT_TYPES = ("None", "Line", "RecordIO", "TFRecord")
STRATEGIES = ("SingleRecord", "MultiRecord")
_RECORDIO_MAGIC = 0xCED7230A


class PayloadError(ValueError):
    """An object cannot be cut as asked, or a record is larger than a request may be."""


def split(data: bytes, split_type: str, strategy: str, max_payload_mb: float) -> Iterator[bytes]:
    """Cut an object into the bodies of requests.

    Parameters
    ----------
    data : bytes
        The whole object.
    split_type : {"None", "Line", "RecordIO", "TFRecord"}
        What a record is; with ``"None"`` the object is one.
    strategy : {"SingleRecord", "MultiRecord"}
        A record a request, or as many as fit.
    max_payload_mb : float
        Largest request, in units of 2^20 bytes; 0 for no limit.

    Yields
    ------
    bytes
        Whole records only, in their order; blank lines are no records.

    Raises
    ------
    PayloadError
        A record does not fit, or the object is not made of records.
    ValueError
        An unknown ``split_type`` or ``strategy``.
    """
    if split_type not in SPLIT_TYPES:
        raise ValueError(f"SplitType {split_type!r}: expected one of {', '.join(SPLIT_TYPES)}")
    if strategy not in STRATEGIES:
        raise ValueError(f"BatchStrategy {strategy!r}: expected one of {', '.join(STRATEGIES)}")
    limit = int(max_payload_mb * (1 << 20)) or None
    records = {"None": _whole, "Line": _lines, "RecordIO": _recordio, "TFRecord": _tfrecord}[
        split_type
    ](data)
    begin = end = 0
    for start, stop in records:
        if limit and stop - start > limit:
            raise PayloadError(
                f"Too much data for max payload size: a record of {stop - start} bytes at byte {start}, "
                f"MaxPayloadInMB allows {limit}; raise it, or split the object (SplitType)"
            )
        together = (
            strategy == "MultiRecord" and start == end and (not limit or stop - begin <= limit)
        )
        if end > begin and not together:
            yield data[begin:end]
            begin = start
        elif end == begin:
            begin = start
        end = stop
    if end > begin:
        yield data[begin:end]


def assemble(parts: Iterable[bytes], assemble_with: str) -> bytes:
    r"""Join the answers to the requests of one object.

    Parameters
    ----------
    parts : iterable of bytes
        Answers, in the order of the requests.
    assemble_with : {"None", "Line"}
        ``"Line"`` ends each with a line break where it has none.

    Returns
    -------
    bytes
        The content of the ``.out`` object.

    Raises
    ------
    ValueError
        Another ``assemble_with``.
    """
    if assemble_with == "None":
        return b"".join(parts)
    if assemble_with == "Line":
        return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)
    raise ValueError(f"AssembleWith {assemble_with!r}: expected None or Line")


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
    start = 0
    while start < len(data):
        if len(data) < start + 8:
            raise PayloadError(f"RecordIO: the object ends within a record's head, at byte {start}")
        magic, size = struct.unpack_from("<II", data, start)
        if magic != _RECORDIO_MAGIC:
            raise PayloadError(
                f"RecordIO: magic number {magic:#010x} at byte {start}, expected {_RECORDIO_MAGIC:#010x}"
            )
        stop = start + 8 + (size + 3) // 4 * 4
        if stop > len(data):
            raise PayloadError(
                f"RecordIO: the record at byte {start} is cut off: {size} bytes announced"
            )
        yield start, stop
        start = stop


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
