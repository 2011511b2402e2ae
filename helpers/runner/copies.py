"""Working copies of the chapters, which a learner answers, in a folder that git ignores."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers import files
from helpers.runner.machine import CannotRun

MINE = "my_course"
Notebook = dict[str, Any]


def make(root: Path, fresh: Sequence[str] = (), update: bool = False) -> list[str]:
    """Copy every chapter that has no working copy; return sentences for the reader.

    The copies of the chapters in ``fresh`` (``"02"``) are set aside under another name and made
    anew; ``update`` does so with copies of an older version, and carries the answers over.
    """
    chapters = {path.name[:2]: path for path in sorted((root / "chapters").glob("[0-9]*.ipynb"))}
    unknown = [number for number in fresh if number not in chapters]
    if unknown:
        raise CannotRun(f"There is no chapter {unknown[0]}; there are {', '.join(chapters)}.")
    said, old = [], []
    try:
        (root / MINE).mkdir(exist_ok=True)
        with files.locked(root / MINE / ".lock"):
            for number, path in chapters.items():
                mine, chapter = root / MINE / path.name, _cleared(path)
                if not os.path.lexists(mine):
                    _write(mine, chapter)
                elif number in fresh:
                    said.append(f"Your {mine.name} is now {_aside(mine)}; the new one is blank.")
                    _write(mine, chapter)
                elif (copy := _read(mine)) is None:
                    said.append(f"{MINE}/{mine.name} is no notebook: lab --fresh {number} helps.")
                elif copy["metadata"].get("course") != chapter["metadata"]["course"]:
                    if update:
                        count = _carry_over(copy, chapter)
                        said.append(f"{mine.name}: {count} answers taken over from {_aside(mine)}.")
                        _write(mine, chapter)
                    else:
                        old.append(number)
    except OSError as error:
        why = f"{root / MINE} cannot be written ({error.strerror}): what you do is not kept."
        return [*said, why]
    if old:
        names = ", ".join(old)
        said.append(f"Copies of an older version: {names}. lab --update makes new ones of them,")
        said.append("with your answers in; the old ones stay under another name.")
    return said


def _read(path: Path) -> Notebook | None:
    """Return a notebook, or None where the file holds none."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            cell["metadata"].get("exercise", "")
        return dict(notebook)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _cleared(path: Path) -> Notebook:
    """Return a chapter without outputs, and with the version it is of."""
    notebook = _read(path)
    if notebook is None:
        raise CannotRun(f"{path} is no notebook: take it from a fresh copy of the course.", 1)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    text = "".join(cell["source"] for cell in notebook["cells"])
    notebook["metadata"]["course"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return notebook


def _write(path: Path, notebook: Notebook) -> None:
    files.write(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def _aside(path: Path) -> str:
    """Rename a copy by the minute; return its new name."""
    stem = f"{path.stem}.{time.strftime('%Y-%m-%d-%H%M')}"
    names = [f"{stem}{more}.ipynb" for more in ("", *(f"-{n}" for n in range(2, 1000)))]
    name = next(name for name in names if not os.path.lexists(path.with_name(name)))
    path.rename(path.with_name(name))
    return name


def _carry_over(copy: Notebook, chapter: Notebook) -> int:
    """Put the answers of a copy into a new version of its chapter; return how many."""
    answers = {
        cell["metadata"]["exercise"]: cell["source"] for cell in copy["cells"] if is_answered(cell)
    }
    cells = [c for c in chapter["cells"] if c["metadata"].get("exercise") in answers]
    for cell in cells:
        cell["source"] = answers[cell["metadata"]["exercise"]]
    return len(cells)


def is_answered(cell: Any) -> bool:
    """Return whether an exercise's cell of a blank chapter was changed since it was built."""
    details = cell["metadata"]
    return "exercise" in details and details.get("blank") != fingerprint(cell["source"])


def fingerprint(source: str) -> str:
    """Return a short hash of a cell's text, by which a change is seen."""
    return hashlib.sha256(source.strip().encode()).hexdigest()[:12]
