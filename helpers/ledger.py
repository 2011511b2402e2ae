"""The scoreboard: every number the course reports, with the protocol it was measured under.

A chapter records what it measured; the records of this kernel make its
scoreboard, and, where ``COURSE_LEDGER`` names a folder, they are also written
there as one JSON file a notebook, which the tests read.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from helpers.metrics import RankingResult


@dataclass(frozen=True)
class Record:
    """One number and everything needed to judge it.

    Attributes
    ----------
    chapter : str
        Two digits.
    model, metric : str
        Such as ``"biased MF"`` and ``"RMSE"``.
    value : float
        The number itself.
    dataset, split, candidates : str
        Protocol: such as ``"latest-small"``, ``"random 80/20, seed 0"``, ``"all items"``
        (``"-"`` for a rating metric, which has no candidates).
    k : int or None
        Cut-off of a ranking metric.
    seed : int or None
        Seed of the model; None for a model without chance.
    low, high : float or None
        95 % interval, where one was computed.
    seconds, peak_mb : float or None
        What training took on the machine that ran it; never part of a stored output.
    """

    chapter: str
    model: str
    metric: str
    value: float
    dataset: str
    split: str
    candidates: str = "-"
    k: int | None = None
    seed: int | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    peak_mb: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What two records of the same measurement have in common."""
        return (
            self.chapter,
            self.model,
            self.metric,
            self.dataset,
            self.split,
            self.candidates,
            self.k,
            self.seed,
        )


_records: dict[tuple[object, ...], Record] = {}


def record(
    *,
    chapter: str,
    model: str,
    metric: str,
    value: float,
    dataset: str,
    split: str,
    candidates: str = "-",
    k: int | None = None,
    seed: int | None = None,
    low: float | None = None,
    high: float | None = None,
    seconds: float | None = None,
    peak_mb: float | None = None,
) -> Record:
    """Put a number on the scoreboard; measuring it again replaces it.

    The parameters are those of :class:`Record`.

    Raises
    ------
    ValueError
        If the value is not finite, a name is empty, or the interval does not hold the value.
    """
    entry = Record(
        chapter,
        model,
        metric,
        float(value),
        dataset,
        split,
        candidates,
        k,
        seed,
        None if low is None else float(low),
        None if high is None else float(high),
        None if seconds is None else float(seconds),
        None if peak_mb is None else float(peak_mb),
    )
    if not math.isfinite(entry.value):
        raise ValueError(f"ledger: {metric} of {model} is {value}, expected a finite number")
    for field in ("chapter", "model", "metric", "dataset", "split", "candidates"):
        if not isinstance(getattr(entry, field), str) or not getattr(entry, field).strip():
            raise ValueError(
                f"ledger: {field} is {getattr(entry, field)!r}, expected a name; no number without protocol"
            )
    if (
        entry.low is not None
        and entry.high is not None
        and not entry.low <= entry.value <= entry.high
    ):
        raise ValueError(
            f"ledger: {metric} {value} of {model} is outside its interval [{low}, {high}]"
        )
    _records[entry.key] = entry
    _write()
    return entry


def record_lists(
    results: Mapping[str, RankingResult],
    *,
    chapter: str,
    model: str,
    dataset: str,
    split: str,
    seed: int | None = None,
) -> list[Record]:
    """Put all numbers of one model's lists on the scoreboard, each with its interval.

    Parameters
    ----------
    results : mapping of str to RankingResult
        From `helpers.metrics.evaluate`; metric, k and candidates are read from each.
    chapter, model, dataset, split, seed
        As in :class:`Record`.

    Raises
    ------
    ValueError
        As :func:`record`; no results at all.
    """
    if not results:
        raise ValueError(
            f"ledger: {model} comes with no results, expected those of metrics.evaluate"
        )
    entries = []
    for result in results.values():
        interval = result.interval
        entry = record(
            chapter=chapter,
            model=model,
            metric=result.metric,
            k=result.k,
            value=result.mean,
            low=interval.low,
            high=interval.high,
            dataset=dataset,
            split=split,
            candidates=result.candidates,
            seed=seed,
        )
        entries.append(entry)
    return entries


def records(chapter: str | None = None) -> list[Record]:
    """Return what this kernel recorded, in order of the first recording, for one chapter or for all."""
    return [r for r in _records.values() if chapter is None or r.chapter == chapter]


def clear() -> None:
    """Forget all records of this kernel."""
    _records.clear()


def scoreboard(chapter: str, *, digits: int = 3) -> pd.DataFrame:
    """Return a chapter's scoreboard: one row a model and protocol, one column a metric.

    Parameters
    ----------
    chapter : str
        Two digits.
    digits : int
        Decimals shown. Seconds and memory depend on the machine and are left out.

    Returns
    -------
    pandas.DataFrame
        Indexed by model, in the order of recording.

    Raises
    ------
    LookupError
        If the chapter recorded nothing yet.
    """
    found = records(chapter)
    if not found:
        raise LookupError(f"chapter {chapter} has no scoreboard yet: run its cells from the top")
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for r in found:
        place = (r.model, r.dataset, r.split, r.candidates, r.seed)
        row = rows.setdefault(
            place,
            {
                "model": r.model,
                "dataset": r.dataset,
                "split": r.split,
                "candidates": r.candidates,
                "seed": "-" if r.seed is None else str(r.seed),
            },
        )
        label = r.metric if r.k is None else f"{r.metric}@{r.k}"
        text = f"{r.value:.{digits}f}"
        if r.low is not None and r.high is not None:
            text += f" [{r.low:.{digits}f}, {r.high:.{digits}f}]"
        row[label] = text
    board = pd.DataFrame(list(rows.values())).fillna("").set_index("model")
    if (board["candidates"] == "-").all():
        board = board.drop(columns="candidates")
    return board[
        [c for c in board.columns if c not in PROTOCOL]
        + [c for c in PROTOCOL if c in board.columns]
    ]


PROTOCOL = ("dataset", "split", "candidates", "seed")


def ledger_file(chapter: str) -> Path | None:
    """Return the file that this notebook's records of a chapter go to, or None."""
    folder = os.environ.get("COURSE_LEDGER")
    if not folder:
        return None
    return Path(folder) / f"{Path.cwd().name}-{chapter}.json"


def _write() -> None:
    """Write each chapter's records, atomically, where ``COURSE_LEDGER`` asks for it."""
    for chapter in {r.chapter for r in _records.values()}:
        path = ledger_file(chapter)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump([asdict(r) for r in records(chapter)], out, indent=1)
        Path(name).replace(path)


def read(path: Path) -> list[Record]:
    """Return the records of one ledger file.

    Parameters
    ----------
    path : pathlib.Path
        A file that :func:`record` wrote.
    """
    known = {f.name for f in fields(Record)}
    rows = json.loads(path.read_text(encoding="utf-8"))
    for row in rows:
        if set(row) != known:
            raise ValueError(
                f"ledger file {path.name}: fields {sorted(set(row) ^ known)} are missing or unknown"
            )
    return [Record(**row) for row in rows]
