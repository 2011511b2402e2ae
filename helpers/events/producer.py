"""Producer of events: `log` keeps them in a SQLite outbox, `flush` delivers them to Kinesis."""

from __future__ import annotations

import atexit
import contextlib
import json
import random
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .schema import Event

RECORD_EVENTS = 100  # events in a record, at most
ATTEMPTS = 8  # calls in a row that get nothing through, before `put_all` gives up
# a row of calls: the lines of one call of `log`, and the number after that of its last event
_TABLES = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA wal_autocheckpoint = 10000;  -- pages; every flush copies them to the file, too
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS calls (stop INTEGER PRIMARY KEY, stamp INTEGER, lines BLOB);
CREATE TABLE IF NOT EXISTS state AS SELECT hex(randomblob(16)) AS source, 0 AS sent, 0 AS stamp;
COMMIT;
"""
_STATE = """
SELECT source, sent, max(sent, coalesce(max(stop), 0)),
max(state.stamp, coalesce(max(calls.stamp), 0)), coalesce(sum(length(lines)), 0)
FROM state LEFT JOIN calls
"""
_OLDEST = "SELECT stop, lines FROM calls WHERE stop > ? ORDER BY stop"
_DELETE = "DELETE FROM calls WHERE stop <= ? RETURNING length(lines)"
_EVENT_BYTES, _BATCH_BYTES = 64 << 10, 900 << 10  # a batch fits into one record, of 1 MiB
_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


class OutboxFull(OSError):
    """The producer's disk, or its share of it, is full; nothing of this call was acknowledged."""


class Sent(NamedTuple):
    """Events and records that a flush delivered, and records that it had to send again."""

    events: int
    records: int
    again: int


class Producer(contextlib.AbstractContextManager["Producer"]):
    """Write events to an outbox on disk, and from there to a Kinesis stream.

    *Acknowledged* means that `log` returned. After that, whatever dies, the event will be in the
    stream at least once; the log at the other end holds it once. Only a loss of power can undo the
    last calls, if they were not sent, but no part of one; with ``sync``, `log` waits until the disk
    has the events, and no power cut undoes it. Leaving a ``with`` block delivers.

    ``path`` is the outbox, a SQLite file. A producer opened on the file of a process that was
    killed goes on where that one stopped; on that of a living one it raises a RuntimeError.
    ``clock`` returns seconds since 1970; ``max_bytes`` is the size of the events that may wait.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.time,
        max_bytes: int = 1 << 30,
        sync: bool = False,
    ) -> None:
        self.client, self.stream, self.path = client, stream, Path(path)
        self.clock, self.max_bytes = clock, max_bytes
        try:
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        except sqlite3.OperationalError as error:
            why = f"{error} (each process needs one of its own)"
            raise RuntimeError(f"the outbox {self.path.name} cannot be opened: {why}") from error
        # the outbox' name, numbers of the oldest unsent and of the next event, the last time stamp
        self.source, self.sent, self.next, self.stamp, self._bytes = next(self._db.execute(_STATE))

    def log(self, events: Event | Iterable[Event]) -> int:
        """Acknowledge events, all of one call or none, and return how many.

        An event without a ``time`` gets one; these stamps never decrease, even if the clock is set
        back. Raise ValueError if an event is not a dictionary that JSON can hold, or over 64 KiB,
        and OutboxFull if the disk, or the outbox' share of it, is full.
        """
        batch = [events] if isinstance(events, dict) else events
        stamp = max(self.stamp, int(self.clock() * 1000))
        try:
            lines = [_to_json({"time": stamp, **event}) for event in batch]
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"an event cannot be written as JSON: {error}") from None
        if (longest := max(map(len, lines), default=0)) > _EVENT_BYTES:
            raise ValueError(f"an event of {longest:,} bytes, expected at most {_EVENT_BYTES:,}")
        if not lines:
            return 0
        text, stop = "\n".join(lines).encode(), self.next + len(lines)
        if self._bytes + len(text) > self.max_bytes:
            held = f"{self.next - self.sent:,} unsent events and may hold {self.max_bytes:,} bytes"
            raise OutboxFull(f"the outbox {self.path.name} holds {held}: send, or give it more")
        try:
            self._db.execute("INSERT INTO calls VALUES (?, ?, ?)", (stop, stamp, text))
        except sqlite3.OperationalError as error:
            kept = f"could not keep {len(lines)} events: {error}"
            raise OutboxFull(f"the outbox {self.path.name} {kept}") from error
        self.next, self.stamp, self._bytes = stop, stamp, self._bytes + len(text)
        return len(lines)

    def flush(self) -> Sent:
        """Deliver everything that was acknowledged so far.

        Raise a RuntimeError or an error of boto3 if the stream refuses for too long, or does not
        exist. Events that it did not acknowledge stay in the outbox.
        """
        begin, records, again = self.sent, 0, 0
        while lines := self._oldest():
            parcel = pack(self.source, self.sent, lines)
            again += put_all(self.client, self.stream, parcel)
            self._forget(len(lines))
            records += len(parcel)
        return Sent(self.sent - begin, records, again)

    def _oldest(self) -> list[bytes]:
        """Return the oldest unsent events, as many as can be sent at once."""
        # to the disk first: else a loss of power could give the numbers of what was sent to others
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk: sending makes room
            self._db.execute("PRAGMA wal_checkpoint")
        found: list[bytes] = []
        size = 0
        for stop, text in self._db.execute(_OLDEST, (self.sent,)):
            for line in text.split(b"\n")[self.sent - stop :]:  # the first may be sent already
                found.append(line)
                size += len(line) + 20  # so that 500 records can hold the shortest events, too
                if size > _BATCH_BYTES:
                    return found
        return found

    def _forget(self, n: int) -> None:
        """Delete so many of the oldest events: the stream has them."""
        self.sent += n
        # on a full disk they stay, and are sent again after a restart
        with contextlib.suppress(sqlite3.OperationalError):
            self._db.execute("UPDATE state SET sent = ?, stamp = ?", (self.sent, self.stamp))
            self._bytes -= sum(size for (size,) in self._db.execute(_DELETE, (self.sent,)))

    def __exit__(self, kind: object, *rest: object) -> None:
        """Deliver, unless an error is on its way, and close the outbox; what waits in it stays."""
        with contextlib.closing(self._db):
            if kind is None:
                self.flush()


def pack(source: str, first: int, lines: list[bytes]) -> list[dict[str, Any]]:
    """Put consecutive events of an outbox, each a line of JSON, into records of the stream."""
    records = []
    for begin in range(0, len(lines), RECORD_EVENTS):
        number, some = first + begin, b",".join(lines[begin : begin + RECORD_EVENTS])
        data = b'{"source":"%b","first":%d,"events":[%b]}' % (source.encode(), number, some)
        # the key differs from record to record: they spread over the shards
        records.append({"Data": data, "PartitionKey": f"{source}-{number}"})
    return records


def back_off(failures: int) -> None:
    """Wait longer after each failure, and at random: many producers must not return at once."""
    time.sleep(random.uniform(0, min(5.0, 0.05 * 2**failures)))


def put_all(client: Any, stream: str, records: list[Any]) -> int:
    """Put up to 500 records until the stream has every one; return how many were sent again.

    ``put_records`` can succeed in part: each refused record has an ``ErrorCode`` at its place in
    the answer. Only those are sent again. boto3 itself repeats calls that fail as a whole.
    """
    again, failures = 0, 0
    while records:
        codes = ["ConnectionError"] * len(records)
        with contextlib.suppress(ConnectionError):
            answer = client.put_records(StreamName=stream, Records=records)
            codes = [result.get("ErrorCode") for result in answer["Records"]]
        records = [record for record, code in zip(records, codes, strict=True) if code]
        again, failures = again + len(records), failures + 1 if all(codes) else 1
        if records and failures == ATTEMPTS:
            reasons = ", ".join(sorted(set(codes)))
            why = f"{len(records)} records refused {failures} times: {reasons}"
            raise RuntimeError(f"put_records to {stream}: {why}")
        if records:
            back_off(failures)
    return again


class OpenStream:
    """Make a stream with a ``name`` of its own; `close` deletes it, at the latest Python's end.

    On AWS it costs money for as long as it lives. A shard takes 1,000 records or 1 MiB a second.
    """

    def __init__(self, client: Any, prefix: str, shards: int) -> None:
        self.client, self.name = client, f"{prefix}-{secrets.token_hex(4)}"
        client.create_stream(StreamName=self.name, ShardCount=shards)
        atexit.register(self.close)
        patience = {"Delay": 1, "MaxAttempts": 300}  # seconds
        client.get_waiter("stream_exists").wait(StreamName=self.name, WaiterConfig=patience)

    def close(self) -> None:
        """Delete the stream; a second call does nothing."""
        with contextlib.suppress(Exception):  # gone already, or its service is
            self.client.delete_stream(StreamName=self.name)


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
