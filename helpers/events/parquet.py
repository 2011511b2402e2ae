"""The log as Parquet files, one folder a day, for those who read columns by the million."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .log import EventLog
from .schema import COLUMNS


def export(log: EventLog, folder: str | os.PathLike[str], *, rows: int = 250_000) -> list[Path]:
    """Write what the log has gained since the last export.

    Parameters
    ----------
    log : EventLog
        Its table ``exports`` remembers which rows are in which file.
    folder : path
        Gets ``day=2026-01-31/0000000001-0000250000.parquet``: the day (UTC) of the event, the range
        of rows of the log that the file was cut from.
    rows : int
        Rows of the log per step; it bounds the memory.

    Returns
    -------
    list of pathlib.Path
        The files written now.

    Notes
    -----
    The range of each file is noted before it is written, and the file appears
    under its name when it is complete. Kill it at any point: the next export
    writes the same ranges to the same names, so no row is lost or doubled.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}, expected at least 1")
    base = Path(folder)
    written: list[Path] = []
    _plan(log, rows)
    planned = log.query("SELECT first, last FROM exports WHERE NOT written ORDER BY first")
    for first, last in planned.itertuples(index=False):
        written += _write_range(log, base, int(first), int(last))
        with log.transaction() as db:
            db.execute("UPDATE exports SET written = 1 WHERE first = ?", (int(first),))
    return written


def _plan(log: EventLog, rows: int) -> None:
    with log.transaction() as db:
        done = db.execute("SELECT coalesce(max(last), 0) FROM exports").fetchone()[0]
        newest = db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
        for first in range(done + 1, newest + 1, rows):
            last = min(first + rows - 1, newest)
            db.execute("INSERT INTO exports VALUES (?, ?, ?, 0)", (_name(first, last), first, last))


def _name(first: int, last: int) -> str:
    return f"{first:010d}-{last:010d}.parquet"


def _write_range(log: EventLog, base: Path, first: int, last: int) -> list[Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chosen = f"SELECT id, {', '.join(COLUMNS)} FROM events WHERE id BETWEEN ? AND ? ORDER BY id"
    frame = log.query(chosen, (first, last))
    integers = {c: "Int64" for c in ("id", "position", "time", "user", "item", "status")}
    frame = frame.astype({**integers, "propensity": "float64", "latency_ms": "float64"})
    days = frame["time"].map(_day)
    files = []
    for day, part in frame.groupby(days):
        path = base / f"day={day}" / _name(first, last)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".half")
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False), half, compression="zstd")
        half.replace(path)
        files.append(path)
    return files


def _day(time_ms: Any) -> str:
    return datetime.fromtimestamp(int(time_ms) / 1000, timezone.utc).date().isoformat()
