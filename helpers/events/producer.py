"""From the shop to the stream: `log` acknowledges, `flush` delivers, nothing in between is lost."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .errors import EventError, StreamError
from .outbox import Outbox
from .records import EVENT_BYTES, pack
from .schema import Event
from .stream import Patience, put_all


class Sent(NamedTuple):
    """What a flush did: events and records delivered, and records that had to be sent again."""

    events: int
    records: int
    again: int


class Producer:
    """Writes events to an outbox on disk and from there to a Kinesis stream.

    Parameters
    ----------
    client : boto3 Kinesis client
        Real or local; the only calls are ``put_records``.
    stream : str
        Name of the stream; it must exist when :meth:`flush` is called, not before.
    folder : path
        The outbox. After a kill, a producer opened on the same folder goes on where the last one stopped.
    events_per_record : int
        Events that travel together in one record.
    patience : Patience, optional
        Pauses and attempts when the stream refuses.
    clock : callable
        Returns seconds since 1970.
    **settings
        Passed to :class:`~helpers.events.outbox.Outbox`: ``sync``, ``max_bytes``, ``segment_bytes``.

    Notes
    -----
    *Acknowledged* means that :meth:`log` returned. Delivery is at least once: an
    answer that is lost on its way makes the producer send again. The log at the
    other end is idempotent, so there every event stands once.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        folder: str | os.PathLike[str],
        *,
        events_per_record: int = 100,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        if events_per_record < 1:
            raise ValueError(f"events_per_record is {events_per_record}, expected at least 1")
        self.client, self.stream, self.clock = client, stream, clock
        self.events_per_record, self.patience = events_per_record, patience or Patience()
        self.outbox = Outbox(folder, **settings)
        self._stamping, self._sending = threading.Lock(), threading.Lock()
        self._last = self._last_stamp()

    def log(self, events: Event | Iterable[Event]) -> int:
        """Acknowledge events: once this returns they will be in the log, whatever dies.

        Parameters
        ----------
        events : dict or iterable of dict
            All of one call are kept or none is. An event without a ``time`` gets one in
            milliseconds; stamps of one producer never decrease, also if the clock is set back.

        Returns
        -------
        int
            How many were acknowledged.

        Raises
        ------
        EventError
            If an event is not a dictionary that JSON can hold, or over 64 KiB. Anything else
            that is wrong with an event is for the consumer to say, which keeps it.
        OutboxFull
            If the disk is full.
        """
        batch = [events] if isinstance(events, dict) else list(events)
        with self._stamping:
            stamp = max(self._last, int(self.clock() * 1000))
            lines = [_encode(event, stamp) for event in batch]
            if lines:
                self.outbox.append(lines)
            self._last = stamp
        return len(lines)

    def flush(self) -> Sent:
        """Deliver everything that was acknowledged so far.

        Raises
        ------
        StreamError
            If the stream refuses for too long or does not exist. All events stay in the outbox.
        """
        events = records = again = 0
        with self._sending:
            until = self.outbox.next
            while self.outbox.sent < until:
                first, lines = self.outbox.read()
                parcel = list(pack(self.outbox.source, first, lines, self.events_per_record))
                again += put_all(self.client, self.stream, parcel, self.patience)
                self.outbox.mark_sent(first + len(lines))
                events, records = events + len(lines), records + len(parcel)
        return Sent(events, records, again)

    def run(self, stop: threading.Event, pause: float = 0.1) -> None:
        """Deliver in a thread of its own until ``stop`` is set, and once more then.

        While the stream is away, events gather in the outbox, and every pause is another try.
        """
        while not stop.wait(pause):
            try:
                self.flush()
            except StreamError:
                continue  # flush() below, or a later round, raises or delivers
        self.flush()

    def close(self) -> None:
        """Let go of the outbox without delivering; what waits is delivered by the next producer."""
        self.outbox.close()

    def __enter__(self) -> Producer:
        """Return itself; leaving the block delivers and closes."""
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        """Deliver, unless an error is on its way, and close."""
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()

    def _last_stamp(self) -> int:
        """Return the time of the newest event in the outbox, or 0."""
        try:
            event = json.loads(self.outbox.last_line() or b"{}")
        except ValueError:  # what a loss of power can leave; the consumer says so
            return 0
        stamp = event.get("time") if isinstance(event, dict) else 0
        return stamp if type(stamp) is int else 0


def _encode(event: Event, stamp: int) -> bytes:
    if not isinstance(event, dict):
        raise EventError(f"an event is a {type(event).__name__}, expected a dictionary")
    if "time" not in event:
        event = {**event, "time": stamp}
    try:
        line = json.dumps(event, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = event.get("kind", "event")
        raise EventError(f"a {kind} cannot be written as JSON: {error}") from None
    if len(line) > EVENT_BYTES:
        raise EventError(f"an event of {len(line):,} bytes, expected at most {EVENT_BYTES:,}")
    return line
