"""The scoreboard: every number the course reports, with the protocol it was measured under.

A chapter records what it measured; the records of this kernel make its scoreboard. If
``COURSE_LEDGER`` names a folder, they are also written there as JSON, which the tests read.
"""

from __future__ import annotations

import html
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from helpers import files
from helpers.metrics import RankingResult

#: metrics of which more is better (1) or less (-1); no other is called best
BETTER = {"RMSE": -1, "MAE": -1, "HR": 1, "NDCG": 1, "MRR": 1, "recall": 1, "precision": 1}
MEASURED = ("value", "low", "high")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How numbers were measured: what the records of a cell have in common.

    ``chapter`` is two digits; ``dataset`` and ``split`` are such as ``"latest-small"`` and
    ``"random 80/20, seed 0"``; ``candidates`` are the items ranked, ``"-"`` for a rating metric;
    ``seed`` is the model's, None for a model without chance.
    """

    chapter: str
    dataset: str
    split: str
    candidates: str = "-"
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Record(Protocol):
    """One number and everything needed to judge it.

    ``k`` is the cut-off of a ranking metric, ``low`` and ``high`` are the ends of a 95 % interval.
    """

    model: str
    metric: str
    value: float
    k: int | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        names = ("chapter", "model", "metric", "dataset", "split", "candidates")
        empty = [n for n in names if not str(getattr(self, n) or "").strip()]
        problem = f"{self.metric} of {self.model} is {self.value}, "
        if not math.isfinite(self.value):
            raise ValueError(f"ledger: {problem}expected a finite number")
        if empty:
            given = f"{empty[0]} is {getattr(self, empty[0])!r}"
            raise ValueError(f"ledger: {given}, expected a name; no number without protocol")
        if None not in (self.low, self.high) and not self.low <= self.value <= self.high:  # type: ignore[operator]
            raise ValueError(f"ledger: {problem}outside its interval [{self.low}, {self.high}]")


_records: dict[tuple[object, ...], Record] = {}


def record(protocol: Protocol, *, model: str, metric: str, value: float, **details: Any) -> Record:
    """Put a number on the scoreboard; measuring it again replaces it.

    ``details`` are other fields of `Record`, or a ``seed`` that differs from the protocol's.

    Raises
    ------
    ValueError
        The value is not finite, a name is empty, or the value is outside its interval.
    """
    given = {**vars(protocol), "model": model, "metric": metric, "value": value, **details}
    given |= {name: float(given[name]) for name in MEASURED if given.get(name) is not None}
    entry = Record(**given)
    _records[tuple(v for name, v in vars(entry).items() if name not in MEASURED)] = entry
    if folder := os.environ.get("COURSE_LEDGER"):
        path = Path(folder) / f"{Path.cwd().name}-{entry.chapter}.json"  # this notebook's file
        files.write(path, json.dumps([asdict(r) for r in records(entry.chapter)], indent=1))
    return entry


def record_lists(
    protocol: Protocol, results: Iterable[RankingResult], *, model: str, **details: Any
) -> list[Record]:
    """Put all numbers of one model's lists on the scoreboard, each with its interval.

    ``results`` come from `helpers.metrics.evaluate` and name their candidates; there must be one.
    ``details`` and what is refused are as in `record`.
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


class Scoreboard:
    """A chapter's numbers, one table for each protocol, with that as its caption."""

    def __init__(self, entries: Sequence[Record]) -> None:
        shared: dict[str, list[Record]] = {}
        for r in entries:
            split = re.sub(r",? ?seed \d+", "", r.split)
            caption = " · ".join(p for p in (r.dataset, split, r.candidates) if p != "-")
            shared.setdefault(caption, []).append(r)
        self.tables = [(_with_seeds(c, rows), _table(rows)) for c, rows in shared.items()]

    def __repr__(self) -> str:
        return "\n\n".join(f"{caption}\n{table.to_string()}" for caption, table in self.tables)

    def _repr_html_(self) -> str:
        look = "white-space: nowrap; text-align: left !important"  # over JupyterLab's own
        page = "".join(
            f"<p>{html.escape(caption)}</p>{table.to_html(classes='scores', border=0)}"
            for caption, table in self.tables
        )
        page = page.replace("<th></th>", "<td></td>")  # a header must not be empty
        return f"<style>.scores td, .scores th {{{look}}}</style>{page}"


def _with_seeds(caption: str, rows: Sequence[Record]) -> str:
    """Return a caption with the seeds of the splits and of the models."""
    splits = sorted({m for r in rows for m in re.findall(r"seed (\d+)", r.split)})
    seeds = sorted({str(r.seed) for r in rows if r.seed is not None})
    if splits:
        caption += f" · split by seed {', '.join(splits)}"
    return caption + (f" · models with seed {', '.join(seeds)}" if seeds else "")


def _table(entries: Sequence[Record]) -> pd.DataFrame:
    """Return the numbers of one protocol as text, the baseline and the best marked by a word."""
    models: dict[str, dict[str, list[Record]]] = {}  # by model and metric
    for r in entries:
        name = r.metric if r.k is None else f"{r.metric}@{r.k}"
        models.setdefault(r.model, {}).setdefault(name, []).append(r)
    names = list(dict.fromkeys(name for metrics in models.values() for name in metrics))
    notes: dict[str, list[str]] = {model: [] for model in models}
    if len(models) > 1:
        notes[next(iter(models))].append("baseline")
        for name in names:
            sign = BETTER.get(name.partition("@")[0])
            known = [m for m in models if name in models[m]]
            if sign and len(known) > 1:
                best = max(known, key=lambda m: sign * fmean(r.value for r in models[m][name]))
                notes[best].append(f"best {name}")
    rows = [
        {"model": model, **{n: _text(metrics.get(n, [])) for n in names}}
        | {"": ", ".join(notes[model])}
        for model, metrics in models.items()
    ]
    return pd.DataFrame(rows).set_index("model").rename_axis(None)


def _text(rows: Sequence[Record]) -> str:
    """Return a number with its interval, or the mean and the range of several."""
    if not rows:
        return ""
    low, high, many = rows[0].low, rows[0].high, ""
    if len(rows) > 1:
        values = [r.value for r in rows]
        low, high, many = min(values), max(values), f" over {len(rows)}"
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{fmean(r.value for r in rows):.3f}{interval}{many}"


def scoreboard(chapter: str) -> Scoreboard:
    """Return a chapter's scoreboard; raise LookupError if it recorded nothing yet.

    The first model recorded under a protocol is its baseline. Several seeds are one row: the mean,
    the smallest and the largest value.
    """
    found = records(chapter)
    if not found:
        raise LookupError(f"chapter {chapter} has no scoreboard yet: run its cells from the top")
    return Scoreboard(found)
