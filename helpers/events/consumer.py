"""From the stream to the log: each batch and the place reached in the stream are one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from .errors import BadEvent, StreamError
from .log import Dead, EventLog
from .records import unpack
from .schema import Row, decode, judge
from .stream import Patience, error_code, patiently


class Read(NamedTuple):
    """What was read: records and events, what became of the events, and whether more is waiting."""

    records: int = 0
    events: int = 0
    new: int = 0
    repeated: int = 0
    dead: int = 0
    behind: bool = False

    def plus(self, other: Read) -> Read:
        """Return the sum of two reads; more is waiting if it is for the later one."""
        return Read(
            self.records + other.records,
            self.events + other.events,
            self.new + other.new,
            self.repeated + other.repeated,
            self.dead + other.dead,
            other.behind,
        )


class Consumer:
    """Reads all shards of a stream into a log.

    Parameters
    ----------
    client : boto3 Kinesis client
        Real or local; calls ``list_shards``, ``get_shard_iterator`` and ``get_records``.
    stream : str
        Name of the stream.
    log : EventLog
        Where events, refusals and the place in the stream are kept, together.
    items : collection of int, optional
        The catalog; an event with another item becomes a dead letter.
    limit : int
        Records per call, up to 10,000. It bounds the memory of the consumer.
    interval : float
        Seconds between two calls for one shard: the API allows five a second.
    patience : Patience, optional
        Pauses and attempts when the stream refuses.

    Notes
    -----
    Kill it at any point: either a transaction was committed, and the next
    consumer begins behind it, or it was not, and the next one reads the same
    records again. An event that was read twice is written once.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        log: EventLog,
        *,
        items: Collection[int] | None = None,
        limit: int = 100,
        interval: float = 0.2,
        patience: Patience | None = None,
    ) -> None:
        if not 1 <= limit <= 10_000:
            raise ValueError(f"limit is {limit}, expected 1 to 10,000 records a call")
        self.client, self.stream, self.log, self.items = client, stream, log, items
        self.limit, self.interval, self.patience = limit, interval, patience or Patience()
        self._iterators: dict[str, str] = {}
        self._ended: set[str] = set()
        self._next_call: dict[str, float] = {}

    def poll(self) -> Read:
        """Read once from every shard and write what came.

        Raises
        ------
        StreamError
            If the stream refuses for too long or does not exist.
        LogBusy, LogFull
            If the log cannot be written. The records are read again by the next poll.
        """
        total = Read()
        behind = False
        for shard in self._shards():
            one = self._read(shard)
            total, behind = total.plus(one), behind or one.behind
        return total._replace(behind=behind)

    def drain(self, seconds: float = 60.0, *, at_least: int = 0) -> Read:
        """Poll until nothing is waiting, or so many seconds have passed.

        Parameters
        ----------
        seconds : float
            Give up after them.
        at_least : int
            Do not stop before so many events were read: what was put a moment ago may take
            a second to show.

        Returns
        -------
        Read
            The sum; ``behind`` is True if the time was over before the end was reached.
        """
        stop = time.monotonic() + seconds
        total = Read(behind=True)
        while (total.behind or total.events < at_least) and time.monotonic() < stop:
            total = total.plus(self.poll())
        return total

    def run(self, stop: Callable[[], bool]) -> Read:
        """Poll until ``stop()`` is true."""
        total = Read()
        while not stop():
            total = total.plus(self.poll())
        return total

    def _shards(self) -> Iterator[str]:
        """Yield the shards that may hold something: those of before a split, and those of after."""
        token: dict[str, str] = {"StreamName": self.stream}
        while token:
            page = patiently(
                lambda token=token: self.client.list_shards(**token),  # type: ignore[misc]
                f"list_shards of {self.stream}",
                self.patience,
            )
            yield from (s["ShardId"] for s in page["Shards"] if s["ShardId"] not in self._ended)
            token = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}

    def _read(self, shard: str) -> Read:
        pause = self._next_call.get(shard, 0.0) - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        self._next_call[shard] = time.monotonic() + self.interval
        try:
            answer = self._get(shard)
            records = answer["Records"]
            behind = bool(records) or answer.get("MillisBehindLatest", 0) > 0
            counts = self._write(shard, records) if records else Read()
        except BaseException:
            self._iterators.pop(shard, None)  # go back to the checkpoint
            raise
        if answer.get("NextShardIterator"):
            self._iterators[shard] = answer["NextShardIterator"]
        else:  # closed by a split or a merge, and read to its end
            self._ended.add(shard)
        return counts._replace(behind=behind)

    def _get(self, shard: str) -> dict[str, Any]:
        for _ in range(2):
            iterator = self._iterators.get(shard) or self._iterator(shard)
            try:
                return patiently(
                    lambda iterator=iterator: self.client.get_records(  # type: ignore[misc]
                        ShardIterator=iterator, Limit=self.limit
                    ),
                    f"get_records of {self.stream}",
                    self.patience,
                )
            except StreamError as error:
                cause = error.__cause__
                if (
                    not isinstance(cause, Exception)
                    or error_code(cause) != "ExpiredIteratorException"
                ):
                    raise
                self._iterators.pop(shard, None)  # five minutes old: ask for a new one
        raise StreamError(f"get_records of {self.stream}: a fresh iterator had expired, too")

    def _iterator(self, shard: str) -> str:
        place = self.log.checkpoint(self.stream, shard)
        start = (
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": place}
            if place
            else {"ShardIteratorType": "TRIM_HORIZON"}
        )
        answer = patiently(
            lambda: self.client.get_shard_iterator(StreamName=self.stream, ShardId=shard, **start),
            f"get_shard_iterator of {self.stream}",
            self.patience,
        )
        return answer["ShardIterator"]

    def _write(self, shard: str, records: Sequence[dict[str, Any]]) -> Read:
        rows: list[Row] = []
        dead: list[Dead] = []
        for record in records:
            self._sort(record["Data"], f"{shard}/{record['SequenceNumber']}", rows, dead)
        at = (self.stream, shard, records[-1]["SequenceNumber"])
        written = self.log.write(rows, dead, at=at)
        return Read(len(records), len(rows) + len(dead), *written)

    def _sort(self, data: bytes, address: str, rows: list[Row], dead: list[Dead]) -> None:
        """Put each event of a record where it belongs."""
        parcel = unpack(data, address)
        for number, line in enumerate(parcel.lines, parcel.first):
            try:
                if parcel.problem:
                    raise BadEvent(parcel.problem)
                rows.append((*judge(decode(line), self.items), parcel.source, number))
            except BadEvent as error:
                text = line.decode("utf-8", "replace")
                dead.append(Dead(parcel.source, number, str(error), text))
