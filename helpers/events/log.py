"""SQLite log of events, each once, refused ones with their reason; the consumer that fills it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.files import replacing

from .schema import FIELDS, VERSION, BadEvent, Items, is_index, is_name, judge

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 100  # records in a call, at most; AWS allows 10,000
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS events (
    request_id TEXT NOT NULL, kind TEXT NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,
    user INTEGER NOT NULL, item INTEGER, propensity REAL, model TEXT NOT NULL, latency_ms REAL,
    status INTEGER, source TEXT NOT NULL, number INTEGER NOT NULL,
    id INTEGER PRIMARY KEY, UNIQUE (request_id, kind, position)
);
CREATE TABLE IF NOT EXISTS dead_letters (
    source TEXT NOT NULL, number INTEGER NOT NULL, reason TEXT NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (source, number)
);
CREATE TABLE IF NOT EXISTS checkpoints (stream, shard, sequence, PRIMARY KEY (stream, shard));
"""
_COLUMNS = ", ".join(FIELDS)
_INSERT = f"INSERT INTO events VALUES (?{', ?' * (len(FIELDS) + 1)}, NULL) ON CONFLICT DO NOTHING"
_SAME = f"SELECT {_COLUMNS} FROM events WHERE request_id = ? AND kind = ? AND position = ?"
_PARQUET = {"item": "Int64", "status": "Int64", "propensity": "float64", "latency_ms": "float64"}
_BURY = "INSERT INTO dead_letters VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"

Rows = list[tuple[Any, ...]]  # as from `judge`, then source and number
Letter = tuple[str, int, str, str]  # a refused event: source, number, reason, text


class LogBusy(RuntimeError):
    """Another process locked the log for too long; nothing was written, nothing was skipped."""


class LogFull(RuntimeError):
    """The log's disk is full; nothing of the batch was written, nothing was skipped."""


class Written(NamedTuple):
    """Events that were new, events that were there already, and new dead letters."""

    new: int
    repeated: int
    dead: int


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
        sums = map(sum, zip(self[:5], other[:5], strict=True))
        return Read._make([*sums, self.behind or other.behind])


class EventLog:
    """Open a log file, made if missing: tables ``events``, ``dead_letters`` and ``checkpoints``.

    Readers never wait for the writer, which waits ``busy_seconds`` for another one. A loss of power
    can undo the last transactions, no part of one; what was undone is read from the stream again.
    """

    def __init__(self, path: str | Path, *, busy_seconds: float = 5.0) -> None:
        self.path = Path(path)
        self._db = sqlite3.connect(path, timeout=busy_seconds, isolation_level="IMMEDIATE")
        with self._transaction():
            self._db.executescript(_TABLES)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Keep all that the block writes, or nothing, and raise `LogBusy` or `LogFull`."""
        try:
            with self._db:
                yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LogBusy(f"the log {self.path.name} is locked: try again") from error
            if "is full" in str(error):
                raise LogFull(f"the log {self.path.name} has no room left on its disk") from error
            raise

    def write(self, rows: Rows, dead: Sequence[Letter], *at: str) -> Written:
        """Write events, dead letters and a place (stream, shard, sequence number), or nothing."""
        with self._transaction():
            written = self._insert(rows, dead)
            # never back, whoever else reads the shard
            if at and int(self.checkpoint(*at[:2]) or -1) < int(at[2]):
                self._db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", at)
        return written

    def load(self, frame: pd.DataFrame) -> EventLog:
        """Write a table of events, one row each with the columns `FIELDS`; return the log."""
        rows = frame[list(FIELDS)].itertuples(index=False, name=None)
        self.write([(*row, "frame", number) for number, row in enumerate(rows)], ())
        return self

    def _insert(self, rows: Rows, dead: Sequence[Letter]) -> Written:
        before = self._db.total_changes
        self._db.executemany(_INSERT, rows)
        new = self._db.total_changes - before
        conflicts = self._conflicts(rows) if new < len(rows) else []
        self._db.executemany(_BURY, [*dead, *conflicts])
        buried = self._db.total_changes - before - new
        return Written(new, len(rows) - new - len(conflicts), buried)

    def _conflicts(self, rows: Rows) -> list[Letter]:
        """Return rows whose identity the log holds with other content: a request id used twice."""
        found = []
        for *row, source, number in rows:
            held = self._db.execute(_SAME, row[:3]).fetchone()
            unlike = {c: (a, b) for c, a, b in zip(FIELDS, held, row, strict=True) if a != b}
            again = row[1] == "click" and set(unlike) == {"time"}  # a second click is no conflict
            if unlike and not again:
                differ = ", ".join(f"{c} {a!r}, not {b!r}" for c, (a, b) in unlike.items())
                reason = f"request id used twice: the log has this {row[1]} with {differ}"
                event = {"v": VERSION, **dict(zip(FIELDS, row, strict=True))}
                found.append((source, number, reason, json.dumps(event)))
        return found

    def replay(self, items: Items = None) -> Written:
        """Judge the dead letters again, after the consumer or the catalog was mended.

        Events that are good now move to ``events`` in one transaction: ``new`` and ``repeated``
        left the dead letters, ``dead`` is how many remain.
        """
        with self._transaction():
            rows = []
            for source, number, _, text in self._db.execute("SELECT * FROM dead_letters"):
                with contextlib.suppress(ValueError, RecursionError):
                    rows.append((*judge(json.loads(text), items), source, number))
            places = [row[-2:] for row in rows]
            self._db.executemany("DELETE FROM dead_letters WHERE (source, number) = (?, ?)", places)
            written = self._insert(rows, ())
            left = self._db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return written._replace(dead=left)

    def checkpoint(self, stream: str, shard: str) -> str | None:
        """Return the sequence number up to which a shard has been read, or None."""
        place = "SELECT max(sequence) FROM checkpoints WHERE stream = ? AND shard = ?"
        return self._db.execute(place, (stream, shard)).fetchone()[0]

    def query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> pd.DataFrame:
        """Return the answer to a question in SQL, through a connection that can only read."""
        import pandas as pd

        address = f"{self.path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
            return pd.read_sql_query(sql, db, params=parameters)  # type: ignore[arg-type]

    def count(self) -> int:
        """Return the number of events."""
        return self._db.execute("SELECT count(*) FROM events").fetchone()[0]


class Consumer:
    """Read all shards of a stream into a log.

    Kill it at any point: either a transaction was committed, and the next consumer begins behind
    it, or it was not, and the next one reads the same records again. The log keeps each event once.
    An event with an item that is not among ``items``, the catalog, becomes a dead letter. Two polls
    are ``interval`` seconds apart: AWS allows five a second.
    """

    def __init__(
        self, client: Any, stream: str, log: EventLog, *, items: Items = None, interval: float = 0.2
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

        It does not stop before ``at_least`` events were read: what was put may show a second later.
        """
        stop, total = time.monotonic() + seconds, Read(behind=True)
        while (total.behind or total.events < at_least) and time.monotonic() < stop:
            total = total._replace(behind=False).plus(self.poll())
        return total

    def _read(self, shard: str) -> Read:
        """Write the records behind the last ones, or, after a failure, behind the checkpoint."""
        iterator = self._iterators.pop(shard, None)
        if iterator is None:
            start = {"ShardIteratorType": "TRIM_HORIZON"}
            if place := self.log.checkpoint(self.stream, shard):
                start["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER"
                start["StartingSequenceNumber"] = place
            ask = self.client.get_shard_iterator
            iterator = ask(StreamName=self.stream, ShardId=shard, **start)["ShardIterator"]
        try:
            answer = self.client.get_records(ShardIterator=iterator, Limit=LIMIT)
        except self.client.exceptions.ExpiredIteratorException:  # it lives for five minutes
            return Read(behind=True)  # the next poll begins at the checkpoint
        records = answer["Records"]
        counts = self._write(shard, records) if records else Read()
        if answer.get("NextShardIterator"):  # a shard that was split comes to an end
            self._iterators[shard] = answer["NextShardIterator"]
        return counts._replace(behind=bool(records) or answer.get("MillisBehindLatest", 0) > 0)

    def _write(self, shard: str, records: list[dict[str, Any]]) -> Read:
        """Write what can be judged as events, the rest as dead letters, and the new place."""
        rows: Rows = []
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
        written = self.log.write(rows, dead, self.stream, shard, records[-1]["SequenceNumber"])
        return Read(len(records), len(rows) + len(dead), *written)


def unpack(data: bytes) -> tuple[str, int, list[Any]]:
    """Return the outbox of a record, the number of its first event, and its events."""
    with contextlib.suppress(ValueError, RecursionError, TypeError, KeyError):
        record = json.loads(data)
        source, first, events = record["source"], record["first"], record["events"]
        if is_name(source) and is_index(first) and isinstance(events, list):
            return source, first, events
    raise BadEvent("the record was not packed by a producer of events")


def export(log: EventLog, folder: str | Path) -> list[Path]:
    """Write the log as Parquet files, one a day (UTC): ``day=2026-01-31/events.parquet``.

    Each is replaced as a whole, so a killed export can be run again. Return their paths.
    """
    day = "coalesce(date(time / 1000, 'unixepoch'), 'unknown')"  # beyond the year 9999
    files = []
    for name in log.query(f"SELECT DISTINCT {day} AS day FROM events ORDER BY day")["day"]:
        chosen = f"SELECT id, {_COLUMNS} FROM events WHERE {day} = ? ORDER BY id"
        files.append(Path(folder) / f"day={name}" / "events.parquet")
        with replacing(files[-1]) as path:
            frame = log.query(chosen, (name,)).astype(_PARQUET)
            frame.to_parquet(path, index=False, compression="zstd")
    return files
