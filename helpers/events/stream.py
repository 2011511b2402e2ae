"""Kinesis streams: one made for a notebook, records of many events, retries of what was refused."""

from __future__ import annotations

import atexit
import contextlib
import json
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from .schema import BadEvent, is_name, is_whole

RECORD_EVENTS = 100  # events in a record, at most
ATTEMPTS = 8  # calls in a row that get nothing through, before `put_all` gives up


class StreamError(RuntimeError):
    """The stream refused records for too long; the outbox keeps them."""


def pack(source: str, first: int, lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Put consecutive events of an outbox, each a line of JSON, into records of the stream."""
    records = []
    for begin in range(0, len(lines), RECORD_EVENTS):
        number, some = first + begin, b",".join(lines[begin : begin + RECORD_EVENTS])
        data = b'{"source":"%b","first":%d,"events":[%b]}' % (source.encode(), number, some)
        # the key differs from record to record: they spread over the shards
        records.append({"Data": data, "PartitionKey": f"{source}-{number}"})
    return records


def unpack(data: bytes) -> tuple[str, int, list[Any]]:
    """Return the outbox of a record, the number of its first event, and its events."""
    try:
        record = json.loads(data)
        source, first, events = record["source"], record["first"], record["events"]
        if is_name(source) and is_whole(first) and isinstance(events, list):
            return source, first, events
    except (ValueError, RecursionError, TypeError, KeyError):
        pass
    raise BadEvent("the record was not packed by a producer of events")


def back_off(failures: int) -> None:
    """Wait longer after each failure, and at random: many producers must not return at once."""
    time.sleep(random.uniform(0, min(5.0, 0.05 * 2**failures)))


def put_all(
    client: Any, stream: str, records: list[Any], pause: Callable[[int], object] = back_off
) -> int:
    """Put up to 500 records until the stream has every one; return how many it got again.

    ``put_records`` can succeed in part: each refused record has an ``ErrorCode`` at its place in
    the answer. Only those are sent again, after ``pause(failures)``. boto3 itself repeats calls
    that fail as a whole. Raise StreamError after eight calls without progress.
    """
    again, failures = 0, 0
    while records:
        refused, codes = records, {"ConnectionError"}
        with contextlib.suppress(ConnectionError):
            results = client.put_records(StreamName=stream, Records=records)["Records"]
            pairs = zip(records, results, strict=True)
            refused = [record for record, result in pairs if "ErrorCode" in result]
            codes = {result["ErrorCode"] for result in results if "ErrorCode" in result}
        failures = failures + 1 if len(refused) == len(records) else 1
        if refused and failures == ATTEMPTS:
            why = f"{len(refused)} records refused {failures} times: {', '.join(sorted(codes))}"
            raise StreamError(f"put_records to {stream}: {why}")
        if refused:
            pause(failures)
        again, records = again + len(refused), refused
    return again


class OpenStream:
    """Make a stream with a ``name`` of its own; `close` deletes it, at the latest Python's end.

    On AWS a stream costs money for as long as it lives. Each shard takes 1,000 records or 1 MiB a
    second.
    """

    def __init__(self, client: Any, prefix: str, shards: int = 2) -> None:
        self.client, self.name = client, f"{prefix}-{secrets.token_hex(4)}"
        client.create_stream(StreamName=self.name, ShardCount=shards)
        atexit.register(self.close)
        delay = 1 if "127.0.0.1" in client.meta.endpoint_url else 5  # seconds
        waiter, patience = client.get_waiter("stream_exists"), {"Delay": delay, "MaxAttempts": 60}
        waiter.wait(StreamName=self.name, WaiterConfig=patience)

    def close(self) -> None:
        """Delete the stream; a second call does nothing."""
        with contextlib.suppress(Exception):  # gone already, or its service is
            self.client.delete_stream(StreamName=self.name)
        atexit.unregister(self.close)


class Forgetful:
    """A Kinesis client whose first answers to ``put_records`` get lost on the way back."""

    def __init__(self, client: Any, losses: int) -> None:
        self.client, self.losses = client, losses

    def put_records(self, **call: Any) -> Any:
        """Put the records, then return the answer or lose it: the connection breaks."""
        answer = self.client.put_records(**call)
        self.losses -= 1
        if self.losses >= 0:
            raise ConnectionResetError("the answer was lost")
        return answer
