"""Exercises by id and by chapter, and the bar that shows how many are done."""

from __future__ import annotations

import csv
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
        item.together = {other.id for other in exercises}
        _registry[item.id] = item


def exercise(id: str) -> Any:
    """Return an exercise (``"02.1"``) or a quiz (``"02.q1"``); a KeyError lists those there are."""
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
    folder = Path(__file__).parent
    return sorted(p.stem.removeprefix("checks_") for p in folder.glob("checks_[0-9][0-9].py"))


class Progress:
    """How much is done of a chapter (``"02"``), or of every one, and of the course; as bars."""

    def __init__(self, chapter: str | None = None) -> None:
        ids = {name: {q.id for q in exercises_of(name)} for name in _chapters()}
        parts = {f"Chapter {name}": ids[name] for name in ids if chapter in (None, name)}
        parts["The course"] = set().union(*ids.values())
        finished = done()
        self._rows = [(name, len(part & finished), len(part)) for name, part in parts.items()]

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {n} of {total} exercises done" for name, n, total in self._rows)

    def _repr_html_(self) -> str:
        return "".join(
            f'<div style="margin:.2em 0">{line}'
            '<div style="width:20em;max-width:100%;border:1px solid #57606a;border-radius:3px">'
            f'<div style="width:{n / total:.0%};height:.7em;background:#0072b2"></div></div></div>'
            for line, (_, n, total) in zip(repr(self).splitlines(), self._rows, strict=True)
        )


progress = Progress  # as chapters call it


def report() -> str:
    """Return a table for a teacher, as CSV; it holds no name and no answer."""
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
