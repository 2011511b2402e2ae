"""Kinesis streams: one made for a notebook, records of many events, retries of what was refused."""

from __future__ import annotations

import atexit
import contextlib
import json
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .schema import BadEvent, is_name, is_whole

RECORD_EVENTS = 100  # events in a record, at most
ATTEMPTS = 8  # calls in a row that get nothing through, before `put_all` gives up


class StreamError(RuntimeError):
    """The stream did not take, or give, records for too long; they stay where they are."""


@contextlib.contextmanager
def stream_errors(call: str) -> Iterator[None]:
    """Raise an error of boto3, which has tried again by itself, as one that names the call."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StreamError(f"{call}: {type(error).__name__}: {error}") from error


def pack(source: str, first: int, lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Put consecutive events of an outbox, each a line of JSON, into records of the stream.

    A record names the outbox and the number of its first event, so every event has an address,
    the same however often it is sent. Partition keys differ: records spread over the shards.
    """
    records = []
    for begin in range(0, len(lines), RECORD_EVENTS):
        number, some = first + begin, b",".join(lines[begin : begin + RECORD_EVENTS])
        data = b'{"source":"%b","first":%d,"events":[%b]}' % (source.encode(), number, some)
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
    """Put records until the stream has every one; return how many had to be sent again.

    ``put_records`` can succeed in part: each refused record has an ``ErrorCode`` at its place in
    the answer. Only those are sent again, after ``pause(failures)``. ``records`` are as many as one
    call takes: 500, and 5 MiB.

    Raises
    ------
    StreamError
        If it gave up. Some of the records may be in the stream.
    """
    again, failures = 0, 0
    while records:
        refused, codes = records, {"ConnectionError"}
        with contextlib.suppress(ConnectionError), stream_errors(f"put_records to {stream}"):
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
    """Make a stream that `close` deletes, at the latest when Python ends.

    Parameters
    ----------
    client : boto3 Kinesis client
        Real or local. On AWS a stream costs money for as long as it lives.
    prefix : str
        Its ``name`` begins with it; a random end keeps it apart from all others.
    shards : int
        Each takes 1,000 records or 1 MiB a second.
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
