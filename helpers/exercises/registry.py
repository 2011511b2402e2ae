"""Exercises by id and by chapter, and the bar that shows how many are done."""

from __future__ import annotations

import csv
import html
import importlib
import io
from pathlib import Path
from typing import Any

from .grading import Exercise
from .progress_file import done, entries

_registry: dict[str, Exercise] = {}


def register(*exercises: Exercise) -> None:
    """Make exercises known by their id; each ``checks_NN.py`` calls it once."""
    for item in exercises:
        if item.id in _registry:
            raise ValueError(f"exercise {item.id} is registered twice")
        item.together = [other.id for other in exercises]
        _registry[item.id] = item


def exercise(id: str) -> Any:
    """Return an exercise or a quiz by its id.

    Parameters
    ----------
    id : str
        ``"02.1"`` for the first exercise of chapter 02, ``"02.q1"`` for its first quiz question.

    Raises
    ------
    KeyError
        There is none; the message lists the chapter's ids.
    """
    chapter = str(id).split(".")[0]
    known = exercises_of(chapter)
    if id not in _registry:
        ids = ", ".join(q.id for q in known)
        raise KeyError(f"no exercise {id!r}; chapter {chapter} has {ids}")
    return _registry[id]


def exercises_of(chapter: str) -> list[Exercise]:
    """Return the exercises and quizzes of a chapter (``"02"``), in the order of registration."""
    chapters = _chapters()
    if chapter not in chapters:
        known = ", ".join(chapters)
        raise KeyError(f"chapter {chapter!r} has no exercises; chapters that do: {known}")
    importlib.import_module(f"{__package__}.checks_{chapter}")
    return [q for q in _registry.values() if q.id.split(".")[0] == chapter]


def _chapters() -> list[str]:
    """Return the chapters that have checks, as two digits, in order."""
    folder = Path(__file__).parent
    return sorted(p.stem.removeprefix("checks_") for p in folder.glob("checks_[0-9][0-9].py"))


class Progress:
    """How much of one chapter (``"02"``) and of the course is done; shown as bars."""

    def __init__(self, chapter: str | None = None) -> None:
        finished = done()
        self._rows: list[tuple[str, int, int]] = []  # name, exercises done, exercises
        for name in _chapters():
            ids = {q.id for q in exercises_of(name)}
            self._rows.append((f"Chapter {name}", len(ids & finished), len(ids)))
        sums = [sum(numbers) for numbers in list(zip(*self._rows, strict=True))[1:]]
        if chapter is not None:
            self._rows = [row for row in self._rows if row[0] == f"Chapter {chapter}"]
        self._rows.append(("The course", sums[0], sums[1]))

    def __repr__(self) -> str:
        """Return one line per chapter, and one for the course."""
        return "\n".join(f"{name}: {n} of {total} exercises done" for name, n, total in self._rows)

    def _repr_html_(self) -> str:
        lines = []
        for line, (_, n, total) in zip(repr(self).splitlines(), self._rows, strict=True):
            width = 100 * n / total if total else 0
            lines.append(
                f'<div style="margin:.2em 0">{html.escape(line)}'
                '<div style="width:20em;max-width:100%;border:1px solid #57606a;border-radius:3px">'
                f'<div style="width:{width:.0f}%;height:.7em;background:#0072b2"></div></div></div>'
            )
        return "".join(lines)


def progress(chapter: str | None = None) -> Progress:
    """Return the progress of a chapter (``"02"``) and of the course, or of every chapter."""
    return Progress(chapter)


def report() -> str:
    """Return a table for a teacher, as CSV: per exercise the outcome, attempts, last mistake.

    It holds no name and no answer. An exercise never tried has the outcome NOT ATTEMPTED.
    """
    known = entries()
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["exercise", "outcome", "attempts", "mistake"])
    for chapter in _chapters():
        for q in exercises_of(chapter):
            entry = known.get(q.id, {})
            outcome = "PASS" if entry.get("done") else entry.get("outcome", "NOT ATTEMPTED")
            rows.writerow([q.id, outcome, entry.get("attempts", 0), entry.get("mistake", "")])
    return text.getvalue()
