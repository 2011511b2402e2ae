"""Exercises by id and by chapter, and the bar that shows how many are done."""

from __future__ import annotations

import html
import importlib
from pathlib import Path
from typing import Any

from .grading import Exercise
from .progress_file import done

_registry: dict[str, Exercise] = {}


def register(*exercises: Exercise) -> None:
    """Make exercises known by their id; each ``checks_NN.py`` calls it once."""
    for item in exercises:
        if item.id in _registry:
            raise ValueError(f"exercise {item.id} is registered twice")
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
    """How much of one chapter (``"02"``), or of the course (None), is done; shown as a bar."""

    def __init__(self, chapter: str | None = None) -> None:
        finished = done()
        self._rows: list[tuple[str, int, int]] = []  # chapter, exercises done, exercises
        for name in _chapters() if chapter is None else [chapter]:
            ids = {q.id for q in exercises_of(name)}
            self._rows.append((name, len(ids & finished), len(ids)))

    def __repr__(self) -> str:
        """Return one line per chapter."""
        return "\n".join(
            f"Chapter {name}: {n} of {total} exercises done" for name, n, total in self._rows
        )

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
    """Return the progress of a chapter (``"02"``), or of the whole course."""
    return Progress(chapter)
