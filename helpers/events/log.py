"""SQLite log of events, in which every event is once, and every refused one with its reason."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from helpers.files import replacing

from .schema import FIELDS, VERSION, BadEvent, judge

if TYPE_CHECKING:
    import pandas as pd

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
BEGIN IMMEDIATE;
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
CREATE TABLE IF NOT EXISTS checkpoints (
    stream TEXT NOT NULL, shard TEXT NOT NULL, sequence TEXT NOT NULL, PRIMARY KEY (stream, shard)
);
COMMIT;
"""
_COLUMNS = ", ".join(FIELDS)
_INSERT = f"INSERT INTO events VALUES (?{', ?' * (len(FIELDS) + 1)}, NULL) ON CONFLICT DO NOTHING"
_SAME = f"SELECT {_COLUMNS} FROM events WHERE request_id = ? AND kind = ? AND position = ?"
_PARQUET = {"item": "Int64", "status": "Int64", "propensity": "float64", "latency_ms": "float64"}
_BURY = "INSERT INTO dead_letters VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"

Rows = Sequence[tuple[Any, ...]]  # as from `judge`, then source and number
Letter = tuple[str, int, str, str]  # a refused event: source, number, reason, text
Place = tuple[str, str, str]  # stream, shard, sequence number


class LogBusy(RuntimeError):
    """Another process locked the log for too long; nothing was written, nothing was skipped."""


class LogFull(RuntimeError):
    """The log's disk is full; nothing of the batch was written, nothing was skipped."""


class Written(NamedTuple):
    """Events that were new, events that were there already, and new dead letters."""

    new: int
    repeated: int
    dead: int


class EventLog:
    """Open a log file, made if missing: tables ``events``, ``dead_letters`` and ``checkpoints``.

    Readers never wait for the writer, which waits ``busy_seconds`` for another one. A loss of power
    can undo the last transactions, no part of one; what was undone is read from the stream again.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float = 5.0) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
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

    def write(self, rows: Rows, dead: Sequence[Letter] = (), at: Place | None = None) -> Written:
        """Write events, dead letters and the place reached in the stream, all or nothing."""
        with self._transaction():
            written = self._insert(rows, dead)
            if at is not None:
                old = self.checkpoint(*at[:2])
                if old is None or int(old) < int(at[2]):  # never back, whoever else reads the shard
                    self._db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", at)
        return written

    def load(self, frame: pd.DataFrame) -> EventLog:
        """Write a table of events, one row each with the columns `FIELDS`; return the log."""
        rows = frame[list(FIELDS)].itertuples(index=False, name=None)
        self.write([(*row, "frame", number) for number, row in enumerate(rows)])
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
        """Return rows whose identity the log holds with other content: a request id used twice.

        A customer can click the same slot again: a click with another time is no conflict.
        """
        found = []
        for *row, source, number in rows:
            held = self._db.execute(_SAME, row[:3]).fetchone()
            unlike = {c: (a, b) for c, a, b in zip(FIELDS, held, row, strict=True) if a != b}
            if unlike and not (row[1] == "click" and set(unlike) == {"time"}):
                differ = ", ".join(f"{c} {a!r}, not {b!r}" for c, (a, b) in unlike.items())
                reason = f"request id used twice: the log has this {row[1]} with {differ}"
                event = {"v": VERSION, **dict(zip(FIELDS, row, strict=True))}
                found.append((source, number, reason, json.dumps(event)))
        return found

    def replay(self, items: Collection[int] | None = None) -> Written:
        """Judge the dead letters again, after the consumer or the catalog was mended.

        Events that are good now move to ``events`` in one transaction: ``new`` and ``repeated``
        left the dead letters, ``dead`` is how many remain.
        """
        with self._transaction():
            rows = []
            for source, number, _, text in self._db.execute("SELECT * FROM dead_letters"):
                with contextlib.suppress(BadEvent, ValueError):
                    rows.append((*judge(json.loads(text), items), source, number))
            places = [row[-2:] for row in rows]
            self._db.executemany("DELETE FROM dead_letters WHERE (source, number) = (?, ?)", places)
            written = self._insert(rows, ())
            left = self._db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return written._replace(dead=left)

    def checkpoint(self, stream: str, shard: str) -> str | None:
        """Return the sequence number up to which a shard has been read, or None."""
        place = "SELECT sequence FROM checkpoints WHERE stream = ? AND shard = ?"
        row = self._db.execute(place, (stream, shard)).fetchone()
        return row[0] if row else None

    def query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> pd.DataFrame:
        """Return the answer to a question in SQL, through a connection that can only read."""
        import pandas as pd

        address = f"{self.path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
            return pd.read_sql_query(sql, db, params=parameters)  # type: ignore[arg-type]

    def count(self) -> int:
        """Return the number of events."""
        return self._db.execute("SELECT count(*) FROM events").fetchone()[0]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def export(log: EventLog, folder: str | os.PathLike[str]) -> list[Path]:
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
