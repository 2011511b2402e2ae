"""The scoreboard: every number the course reports, with the protocol it was measured under.

A chapter records what it measured; the records of this kernel make its scoreboard. If
``COURSE_LEDGER`` names a folder, they are also written there as JSON, which the tests read.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from helpers import files
from helpers.metrics import RankingResult

PROTOCOL = ("dataset", "split", "candidates", "seed")
MEASURED = ("value", "low", "high", "seconds", "peak_mb")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How numbers were measured: what the records of a cell have in common.

    Parameters
    ----------
    chapter : str
        Two digits.
    dataset, split : str
        Such as ``"latest-small"`` and ``"random 80/20, seed 0"``.
    candidates : str
        The items that were ranked, such as ``"all items"``; ``"-"`` for a rating metric.
    seed : int or None
        Seed of the model; None for a model without chance.
    """

    chapter: str
    dataset: str
    split: str
    candidates: str = "-"
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Record(Protocol):
    """One number and everything needed to judge it.

    Parameters
    ----------
    model, metric : str
        Such as ``"biased MF"`` and ``"RMSE"``.
    value : float
        The number itself.
    k : int or None
        Cut-off of a ranking metric.
    low, high : float or None
        95 % interval, if one was computed.
    seconds, peak_mb : float or None
        Time and memory of training on the machine that ran it; never part of a stored output.
    """

    model: str
    metric: str
    value: float
    k: int | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    peak_mb: float | None = None

    def __post_init__(self) -> None:
        """Refuse a number that is not finite, has no protocol or is outside its interval."""
        if not math.isfinite(self.value):
            given = f"{self.metric} of {self.model} is {self.value}"
            raise ValueError(f"ledger: {given}, expected a finite number")
        for field in ("chapter", "model", "metric", "dataset", "split", "candidates"):
            name = getattr(self, field)
            if not isinstance(name, str) or not name.strip():
                given = f"{field} is {name!r}"
                raise ValueError(f"ledger: {given}, expected a name; no number without protocol")
        low, high = self.low, self.high
        if low is not None and high is not None and not low <= self.value <= high:
            given = f"{self.metric} {self.value} of {self.model}"
            raise ValueError(f"ledger: {given} is outside its interval [{low}, {high}]")


_records: dict[tuple[object, ...], Record] = {}


def record(protocol: Protocol, *, model: str, metric: str, value: float, **details: Any) -> Record:
    """Put a number on the scoreboard; measuring it again replaces it.

    Parameters
    ----------
    protocol : Protocol
        How it was measured.
    model, metric, value
        As in `Record`.
    **details
        Other fields of `Record`: ``k``, ``low`` and ``high``, or a ``seed`` that differs from the
        protocol's.

    Raises
    ------
    ValueError
        The value is not finite, a name is empty, or the value is outside its interval.
    """
    given = {**vars(protocol), "model": model, "metric": metric, "value": value, **details}
    for name in MEASURED:
        if given.get(name) is not None:
            given[name] = float(given[name])
    entry = Record(**given)
    _records[tuple(v for name, v in vars(entry).items() if name not in MEASURED)] = entry
    _write(entry.chapter)
    return entry


def record_lists(
    protocol: Protocol, results: Iterable[RankingResult], *, model: str, **details: Any
) -> list[Record]:
    """Put all numbers of one model's lists on the scoreboard, each with its interval.

    Parameters
    ----------
    protocol : Protocol
        How they were measured; the candidates are read from each result.
    results : iterable of RankingResult
        From `helpers.metrics.evaluate`.
    model, **details
        As in `record`.

    Raises
    ------
    ValueError
        There are no results, or `record` refuses one.
    """
    entries = []
    for r in results:
        interval = r.interval  # a bootstrap: computed once
        known = {"k": r.k, "candidates": r.candidates, "low": interval.low, "high": interval.high}
        known |= details
        entries.append(record(protocol, model=model, metric=r.metric, value=r.mean, **known))
    if not entries:
        raise ValueError(f"ledger: {model} has no results, expected those of metrics.evaluate")
    return entries


def records(chapter: str) -> list[Record]:
    """Return what this kernel recorded for a chapter, in order of first recording."""
    return [r for r in _records.values() if r.chapter == chapter]


def scoreboard(chapter: str) -> pd.DataFrame:
    """Return a chapter's scoreboard: one row per model and protocol, one column per metric.

    Parameters
    ----------
    chapter : str
        Two digits.

    Returns
    -------
    pandas.DataFrame
        Indexed by model, in the order of recording; without seconds and memory, which depend on
        the machine.

    Raises
    ------
    LookupError
        The chapter recorded nothing yet.
    """
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for r in records(chapter):
        place = {"model": r.model, "dataset": r.dataset, "split": r.split}
        place |= {"candidates": r.candidates, "seed": "-" if r.seed is None else str(r.seed)}
        row = rows.setdefault(tuple(place.values()), place)
        text = f"{r.value:.3f}"
        if r.low is not None and r.high is not None:
            text += f" [{r.low:.3f}, {r.high:.3f}]"
        row[r.metric if r.k is None else f"{r.metric}@{r.k}"] = text
    if not rows:
        raise LookupError(f"chapter {chapter} has no scoreboard yet: run its cells from the top")
    board = pd.DataFrame(list(rows.values())).fillna("").set_index("model")
    if (board["candidates"] == "-").all():
        board = board.drop(columns="candidates")
    last = [name for name in PROTOCOL if name in board.columns]
    return board[[name for name in board.columns if name not in last] + last]


def _write(chapter: str) -> None:
    """Write a chapter's records to this notebook's file, if there is a folder for them."""
    if folder := os.environ.get("COURSE_LEDGER"):
        path = Path(folder) / f"{Path.cwd().name}-{chapter}.json"
        files.write(path, json.dumps([asdict(r) for r in records(chapter)], indent=1))
