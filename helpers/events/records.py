"""Several events in one record of the stream, as producers of Kinesis aggregate.

A record is lines of text: a header that says which events these are, then one
event a line. The header names the outbox and the number of the first event in
it, so every event has an address of its own, the same however often it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .schema import is_name

#: limits of the API, per record and per call: bytes with the partition key, and records
RECORD_BYTES = 1 << 20
CALL_BYTES = 5 << 20
CALL_RECORDS = 500
#: the longest event a producer takes
EVENT_BYTES = 64 << 10
_HEADER_ROOM = 512
_FORMAT = 1

Record = dict[str, Any]


class Parcel(NamedTuple):
    """What one record holds: an outbox, the number of its first event, and lines of JSON."""

    source: str
    first: int
    lines: list[bytes]
    problem: str = ""


def pack(
    source: str, first: int, lines: Sequence[bytes], events_per_record: int
) -> Iterator[Record]:
    """Cut consecutive events into records for ``put_records``.

    Parameters
    ----------
    source : str
        Name of the outbox.
    first : int
        Number of the first line.
    lines : sequence of bytes
        Events as JSON, none with a line break.
    events_per_record : int
        At most so many in a record; the limit in bytes is kept, too.

    Yields
    ------
    dict
        ``Data`` and ``PartitionKey``. The key changes from record to record, so
        that records spread over the shards; the log does not depend on their order.
    """
    start = 0
    while start < len(lines):
        stop, size = start, _HEADER_ROOM
        while stop < len(lines) and stop - start < events_per_record:
            size += len(lines[stop]) + 1
            if size > RECORD_BYTES and stop > start:
                break
            stop += 1
        header = {
            "format": _FORMAT,
            "source": source,
            "first": first + start,
            "count": stop - start,
        }
        data = b"\n".join([json.dumps(header).encode(), *lines[start:stop]])
        yield {"Data": data, "PartitionKey": f"{source}-{first + start}"}
        start = stop


def unpack(data: bytes, address: str) -> Parcel:
    """Return the events of a record.

    Parameters
    ----------
    data : bytes
        As read from the stream.
    address : str
        Where the record lay (shard and sequence number). It stands in for the
        outbox where a record has no header of ours, and then ``problem`` says so.
    """
    head, _, rest = data.partition(b"\n")
    lines = rest.split(b"\n") if rest else []
    try:
        header = json.loads(head)
        known = header["format"] == _FORMAT
        source, first, count = header["source"], header["first"], header["count"]
    except (ValueError, TypeError, KeyError):
        return Parcel(address, 0, [data], "the record has no header of a producer")
    if not known:
        return Parcel(address, 0, [data], f"record format {header['format']!r}, expected {_FORMAT}")
    if not is_name(source) or type(first) is not int or not 0 <= first < 1 << 53:
        return Parcel(address, 0, [data], "the record's header names no outbox and first event")
    if count != len(lines):
        problem = f"the header promises {count!r} events, the record has {len(lines)}"
        return Parcel(address, 0, [data], problem)
    return Parcel(source, first, lines)
