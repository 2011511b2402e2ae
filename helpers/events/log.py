"""The log: a SQLite file in which every event stands once, and what was refused stands with its reason."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BadEvent, LogBusy, LogFull
from .schema import COLUMNS, Row, decode, judge

if TYPE_CHECKING:
    import pandas as pd

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    time INTEGER NOT NULL,
    user INTEGER NOT NULL,
    item INTEGER,
    propensity REAL,
    model TEXT NOT NULL,
    latency_ms REAL,
    status INTEGER,
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    UNIQUE (request_id, kind, position)
);
CREATE TABLE IF NOT EXISTS dead_letters (
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    reason TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (source, number)
);
CREATE TABLE IF NOT EXISTS checkpoints (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    sequence TEXT NOT NULL,
    PRIMARY KEY (stream, shard)
);
CREATE TABLE IF NOT EXISTS exports (
    path TEXT PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    written INTEGER NOT NULL
);
"""
_ALL = (*COLUMNS, "source", "number")
_INSERT = f"INSERT INTO events ({', '.join(_ALL)}) VALUES ({', '.join('?' * len(_ALL))})"
_INSERT += " ON CONFLICT DO NOTHING"
_SAME = (
    f"SELECT {', '.join(COLUMNS)} FROM events WHERE request_id = ? AND kind = ? AND position = ?"
)
_BURY = "INSERT INTO dead_letters VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"


class Dead(NamedTuple):
    """A refused event: where it comes from, why, and its text."""

    source: str
    number: int
    reason: str
    event: str


class Written(NamedTuple):
    """What writing a batch did: new events, events that were there already, and new dead letters."""

    new: int
    repeated: int
    dead: int


class EventLog:
    """A log file: tables ``events``, ``dead_letters``, ``checkpoints`` and ``exports``.

    Parameters
    ----------
    path : path
        The SQLite file; made if missing, in WAL mode, so that readers never wait for the writer.
    busy_seconds : float
        How long to wait for another writer before :class:`LogBusy`.

    Notes
    -----
    With WAL and ``synchronous = NORMAL`` a loss of power can undo the last
    transactions, never part of one. The checkpoint is in the same transaction as
    its events, so what was undone is read from the stream again.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_seconds: float = 5.0) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=busy_seconds, isolation_level=None)
        with _translated(self.path):
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(f"BEGIN IMMEDIATE;{_TABLES}COMMIT;")

    def write(
        self,
        rows: Sequence[Row],
        dead: Sequence[Dead] = (),
        *,
        at: tuple[str, str, str] | None = None,
    ) -> Written:
        """Write events, dead letters and the place in the stream, all or nothing.

        Parameters
        ----------
        rows : sequence of tuple
            From :func:`~helpers.events.schema.judge`, with source and number appended.
        dead : sequence of Dead
            What was refused.
        at : (stream, shard, sequence), optional
            Everything up to there has been read.

        Raises
        ------
        LogBusy, LogFull
            Nothing was written, and the place in the stream is the old one.
        """
        with self.transaction() as db:
            written = self._insert(db, rows, dead)
            if at is not None:
                old = self.checkpoint(*at[:2])
                if old is None or int(old) < int(at[2]):  # never back, whoever else reads the shard
                    db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", at)
        return written

    def load(self, frame: pd.DataFrame, source: str = "frame") -> EventLog:
        """Write a table with the columns of :data:`~helpers.events.schema.COLUMNS`; return the log."""
        rows = frame[list(COLUMNS)].itertuples(index=False, name=None)
        self.write([(*row, source, number) for number, row in enumerate(rows)])
        return self

    def _insert(self, db: sqlite3.Connection, rows: Sequence[Row], dead: Sequence[Dead]) -> Written:
        before = db.total_changes
        db.executemany(_INSERT, rows)
        new = db.total_changes - before
        conflicts = self._conflicts(db, rows) if new < len(rows) else []
        before = db.total_changes
        db.executemany(_BURY, [*dead, *conflicts])
        return Written(new, len(rows) - new - len(conflicts), db.total_changes - before)

    def _conflicts(self, db: sqlite3.Connection, rows: Sequence[Row]) -> list[Dead]:
        """Return rows whose identity the log holds with another content: a request id used twice.

        A customer can click the same slot again: a click that differs in its time only is none of them.
        """
        found = []
        n = len(COLUMNS)
        for row in rows:
            held = db.execute(_SAME, row[:3]).fetchone()
            unlike = [(c, a, b) for c, a, b in zip(COLUMNS, held, row, strict=False) if a != b]
            if unlike and not (row[1] == "click" and [c for c, *_ in unlike] == ["time"]):
                differ = ", ".join(f"{c} {a!r}, not {b!r}" for c, a, b in unlike)
                event = {
                    "v": 2,
                    **{c: v for c, v in zip(COLUMNS, row, strict=False) if v is not None},
                }
                reason = f"request id used twice: the log has this {row[1]} with {differ}"
                found.append(Dead(row[n], row[n + 1], reason, json.dumps(event)))
        return found

    def replay(self, items: Collection[int] | None = None) -> Written:
        """Judge the dead letters again, after the consumer or the catalog was mended.

        What is good now moves to ``events`` in one transaction; the rest stays.

        Returns
        -------
        Written
            ``new`` and ``repeated`` left the dead letters; ``dead`` is how many remain.
        """
        with self.transaction() as db:
            rows = []
            for source, number, _, text in db.execute("SELECT * FROM dead_letters").fetchall():
                with contextlib.suppress(BadEvent):
                    rows.append((*judge(decode(text), items), source, number))
            db.executemany(
                "DELETE FROM dead_letters WHERE source = ? AND number = ?", [r[-2:] for r in rows]
            )
            written = self._insert(db, rows, ())
            left = db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return Written(written.new, written.repeated, left)

    def checkpoint(self, stream: str, shard: str) -> str | None:
        """Return the sequence number up to which a shard has been read, or None."""
        place = "SELECT sequence FROM checkpoints WHERE stream = ? AND shard = ?"
        row = self._db.execute(place, (stream, shard)).fetchone()
        return row[0] if row else None

    def query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> pd.DataFrame:
        """Return the answer to a question in SQL, through a connection that can only read."""
        import pandas as pd

        with contextlib.closing(
            sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)
        ) as db:
            return pd.read_sql_query(sql, db, params=parameters)  # type: ignore[arg-type]

    def count(self, table: str = "events") -> int:
        """Return the number of rows of a table."""
        if table not in ("events", "dead_letters", "checkpoints", "exports"):
            raise ValueError(
                f"no table {table!r}: expected events, dead_letters, checkpoints or exports"
            )
        return self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one transaction: all of it is kept, or nothing."""
        with _translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> EventLog:
        """Return itself; leaving the block closes the file."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Give SQLite's two complaints that pass a name of their own."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise LogBusy(f"the log {path.name} is locked by another process: try again") from error
        if "is full" in text:
            raise LogFull(f"the log {path.name} has no room left on its disk: free some") from error
        raise
