"""Producer of events: `log` keeps them in a SQLite outbox, `flush` delivers them to Kinesis."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .schema import Event
from .stream import pack, put_all

_TABLES = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS state AS
SELECT lower(hex(randomblob(16))) AS source, 0 AS sent, 0 AS stamp;
COMMIT;
"""
_WAITING = "SELECT count(*), coalesce(sum(length(line)), 0) FROM events WHERE number >= ?"
_OLDEST = "SELECT line FROM events WHERE number >= ? ORDER BY number LIMIT 50000"  # in 500 records
_EVENT_BYTES, _BATCH_BYTES = 64 << 10, 900 << 10  # a batch fits into one record, of 1 MiB


class OutboxFull(OSError):
    """The producer's disk, or its share of it, is full; nothing of this call was acknowledged."""


class Sent(NamedTuple):
    """Events and records that a flush delivered, and records that it had to send again."""

    events: int
    records: int
    again: int


class Outbox:
    """A queue in a SQLite file of one process: numbered events that the stream does not have yet.

    What `append` took survives the death of the process at any point. A loss of power can undo the
    last calls, if they were not sent, but no part of one; with ``sync`` it undoes none, and each
    call waits for the disk. ``max_bytes`` bounds the events that wait.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = 1 << 30, sync: bool = False
    ) -> None:
        self.path, self.max_bytes = Path(path), max_bytes
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level="IMMEDIATE")
            self._db.executescript(_TABLES + f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        except sqlite3.OperationalError as error:
            used = "locked" in str(error)
            why = "is in use: give each process its own" if used else f"cannot be opened: {error}"
            raise RuntimeError(f"the outbox {self.path.name} {why}") from error
        self.source, self.sent, self.stamp = self._db.execute("SELECT * FROM state").fetchone()
        count, self._bytes = self._db.execute(_WAITING, (self.sent,)).fetchone()
        self.next = self.sent + count

    def append(self, lines: Sequence[bytes], stamp: int = 0) -> None:
        """Keep events and the time of the last one, all or nothing."""
        size = sum(map(len, lines))
        if self._bytes + size > self.max_bytes:
            held = f"{self.next - self.sent:,} unsent events and may hold {self.max_bytes:,} bytes"
            raise OutboxFull(f"the outbox {self.path.name} holds {held}: send, or give it more")
        try:
            with self._db:
                numbered = enumerate(lines, self.next)
                self._db.executemany("INSERT INTO events VALUES (?, ?)", numbered)
                self._db.execute("UPDATE state SET stamp = ?", (stamp,))
        except sqlite3.OperationalError as error:
            kept = f"could not keep {len(lines)} events: {error}"
            raise OutboxFull(f"the outbox {self.path.name} {kept}") from error
        self.next, self.stamp, self._bytes = self.next + len(lines), stamp, self._bytes + size

    def read(self) -> list[bytes]:
        """Return the oldest unsent events, as many as can be sent at once."""
        # to the disk first: else a loss of power could give the numbers of what was sent to others
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk: sending makes room
            self._db.execute("PRAGMA wal_checkpoint")
        lines, size = [], 0
        for (line,) in self._db.execute(_OLDEST, (self.sent,)):
            lines.append(line)
            size += len(line) + 1
            if size > _BATCH_BYTES:
                break
        return lines

    def mark_sent(self, lines: Sequence[bytes]) -> None:
        """Forget the oldest events, those that `read` returned: the stream has them."""
        self.sent, self._bytes = self.sent + len(lines), self._bytes - sum(map(len, lines))
        # on a full disk they stay, and are sent again after a restart
        with contextlib.suppress(sqlite3.OperationalError), self._db:
            self._db.execute("UPDATE state SET sent = ?", (self.sent,))
            self._db.execute("DELETE FROM events WHERE number < ?", (self.sent,))

    def close(self) -> None:
        """Let go of the file; what waits in it stays."""
        self._db.close()


class Producer:
    """Write events to an outbox on disk, and from there to a Kinesis stream.

    *Acknowledged* means that `log` returned. After that, whatever dies, the event will be in the
    stream at least once; the log at the other end holds it once.

    Parameters
    ----------
    path : path
        The outbox, a SQLite file. A producer opened on the file of a process that was killed goes
        on where that one stopped; on that of a living one it raises a RuntimeError.
    clock : callable
        Returns seconds since 1970.
    **settings
        ``max_bytes``: events that may wait, 1 GiB; ``sync``: see `Outbox`.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        self.client, self.stream, self.clock = client, stream, clock
        self.outbox = Outbox(path, **settings)

    def log(self, events: Event | Iterable[Event]) -> int:
        """Acknowledge events, all of one call or none, and return how many.

        An event without a ``time`` gets one; these stamps never decrease, even if the clock is set
        back. The consumer judges the rest.

        Raises
        ------
        ValueError
            If an event is not a dictionary that JSON can hold, or over 64 KiB.
        OutboxFull
            If the disk, or the outbox' share of it, is full.
        """
        batch = [events] if isinstance(events, dict) else list(events)
        stamp = max(self.outbox.stamp, int(self.clock() * 1000))
        self.outbox.append([_encode(event, stamp) for event in batch], stamp)
        return len(batch)

    def flush(self) -> Sent:
        """Deliver everything that was acknowledged so far.

        Raise `StreamError`, or an error of boto3, if the stream refuses for too long or does not
        exist. Events that it did not acknowledge stay in the outbox.
        """
        box, begin, records, again = self.outbox, self.outbox.sent, 0, 0
        while lines := box.read():
            parcel = pack(box.source, box.sent, lines)
            again += put_all(self.client, self.stream, parcel)
            box.mark_sent(lines)
            records += len(parcel)
        return Sent(box.sent - begin, records, again)

    def __enter__(self) -> Producer:
        """Return itself; leaving the block delivers, unless an error is on its way, and closes."""
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        """Deliver and let go of the outbox."""
        with contextlib.closing(self.outbox):
            if kind is None:
                self.flush()


def _encode(event: Event, stamp: int) -> bytes:
    if not isinstance(event, dict):
        raise ValueError(f"an event is a {type(event).__name__}, expected a dictionary")
    try:
        line = json.dumps({"time": stamp, **event}, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"an event cannot be written as JSON: {error}") from None
    if len(line) > _EVENT_BYTES:
        raise ValueError(f"an event of {len(line):,} bytes, expected at most {_EVENT_BYTES:,}")
    return line
