"""Consumer of events: each batch and the place reached in the stream are one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from .log import EventLog, Letter
from .schema import BadEvent, is_index, is_name, judge

LIMIT = 100  # records in a call, at most; AWS allows 10,000


class Read(NamedTuple):
    """Records and events read, what became of the events, and whether more is waiting."""

    records: int = 0
    events: int = 0
    new: int = 0
    repeated: int = 0
    dead: int = 0
    behind: bool = False

    def plus(self, other: Read) -> Read:
        """Return the sums; more is waiting if it is for either of them."""
        sums = (a + b for a, b in zip(self[:5], other[:5], strict=True))
        return Read._make([*sums, self.behind or other.behind])


class Consumer:
    """Read all shards of a stream into a log.

    Kill it at any point: either a transaction was committed, and the next consumer begins behind
    it, or it was not, and the next one reads the same records again. The log keeps each event once.
    An event with an item that is not among ``items``, the catalog, becomes a dead letter.
    ``interval`` is the time between two polls in seconds: AWS allows five a second.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        log: EventLog,
        *,
        items: Collection[int] | None = None,
        interval: float = 0.2,
    ) -> None:
        self.client, self.stream, self.log = client, stream, log
        self.items, self.interval = items, interval
        self._iterators: dict[str, str] = {}
        self._next_poll = 0.0

    def poll(self) -> Read:
        """Read once from every shard and write what came.

        Raise `LogBusy` or `LogFull` if that cannot be; the next poll reads the records again.
        """
        time.sleep(max(0.0, self._next_poll - time.monotonic()))
        self._next_poll = time.monotonic() + self.interval
        total = Read()
        for shard in self.client.list_shards(StreamName=self.stream)["Shards"]:
            total = total.plus(self._read(shard["ShardId"]))
        return total

    def drain(self, seconds: float = 60.0, *, at_least: int = 0) -> Read:
        """Poll until nothing is waiting, or so many seconds have passed; return the sum.

        It does not stop before ``at_least`` events were read: what was put a moment ago may take
        a second to show.
        """
        stop, total = time.monotonic() + seconds, Read(behind=True)
        while (total.behind or total.events < at_least) and time.monotonic() < stop:
            total = total._replace(behind=False).plus(self.poll())
        return total

    def _read(self, shard: str) -> Read:
        """Write the records behind the last ones, or, after a failure, behind the checkpoint."""
        iterator = self._iterators.pop(shard, None) or self._from_checkpoint(shard)
        try:
            answer = self.client.get_records(ShardIterator=iterator, Limit=LIMIT)
        except self.client.exceptions.ExpiredIteratorException:  # it lives for five minutes
            iterator = self._from_checkpoint(shard)
            answer = self.client.get_records(ShardIterator=iterator, Limit=LIMIT)
        records = answer["Records"]
        counts = self._write(shard, records) if records else Read()
        if answer.get("NextShardIterator"):  # a shard that was split comes to an end
            self._iterators[shard] = answer["NextShardIterator"]
        return counts._replace(behind=bool(records) or answer.get("MillisBehindLatest", 0) > 0)

    def _from_checkpoint(self, shard: str) -> str:
        start = {"ShardIteratorType": "TRIM_HORIZON"}
        if place := self.log.checkpoint(self.stream, shard):
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": place}
        ask = self.client.get_shard_iterator
        return ask(StreamName=self.stream, ShardId=shard, **start)["ShardIterator"]

    def _write(self, shard: str, records: list[dict[str, Any]]) -> Read:
        """Write what can be judged as events, the rest as dead letters, and the new place."""
        rows: list[tuple[Any, ...]] = []
        dead: list[Letter] = []
        for record in records:
            try:
                source, first, events = unpack(record["Data"])
            except BadEvent as error:
                address = f"{shard}/{record['SequenceNumber']}"
                dead.append((address, 0, str(error), record["Data"].decode("utf-8", "replace")))
                continue
            for number, event in enumerate(events, first):
                try:
                    rows.append((*judge(event, self.items), source, number))
                except BadEvent as error:
                    dead.append((source, number, str(error), json.dumps(event)))
        at = (self.stream, shard, records[-1]["SequenceNumber"])
        return Read(len(records), len(rows) + len(dead), *self.log.write(rows, dead, at))


def unpack(data: bytes) -> tuple[str, int, list[Any]]:
    """Return the outbox of a record, the number of its first event, and its events."""
    try:
        record = json.loads(data)
        source, first, events = record["source"], record["first"], record["events"]
        if is_name(source) and is_index(first) and isinstance(events, list):
            return source, first, events
    except (ValueError, RecursionError, TypeError, KeyError):
        pass
    raise BadEvent("the record was not packed by a producer of events")
