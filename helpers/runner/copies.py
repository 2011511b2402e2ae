"""Working copies of the chapters, which a learner answers, in a folder that git ignores."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from helpers import files
from helpers.runner.machine import CannotRun

MINE = "my_course"
ALONE_ID = "opened-alone"  # the cell for a chapter without its course
_PUBLISHED = re.compile(r"([0-9a-f]{10}(-\d+)?)?")  # ids of the course's cells, as `book` makes
Notebook = dict[str, Any]


def make(root: Path, fresh: Sequence[str] = (), update: bool = False) -> list[str]:
    """Copy every chapter that has no working copy; return sentences for the reader.

    The copies of the chapters in ``fresh`` (``"02"``) are set aside under another name and made
    anew; ``update`` does so with copies of an older version, and carries the answers over.
    """
    chapters = {p.stem.split("_")[0]: p for p in sorted((root / "chapters").glob("[0-9t]*.ipynb"))}
    unknown = [number for number in fresh if number not in chapters]
    if unknown:
        raise CannotRun(f"There is no chapter {unknown[0]}; there are {', '.join(chapters)}.")
    said, old = [], []
    try:
        (root / MINE).mkdir(exist_ok=True)
        wait = partial(print, "Another command makes the copies; this one waits.", flush=True)
        with files.locked(root / MINE / ".lock", on_wait=wait):
            for number, path in chapters.items():
                mine, chapter = root / MINE / path.name, _cleared(path)
                if not os.path.lexists(mine):
                    pass  # the chapter is copied below
                elif number in fresh:
                    said.append(f"Your {mine.name} is now {_aside(mine)}; the new one is blank.")
                elif (copy := _read(mine)) is None:
                    said.append(f"{MINE}/{mine.name} is no notebook: lab --fresh {number} helps.")
                    continue
                elif copy["metadata"].get("course") == chapter["metadata"]["course"]:
                    continue
                elif not update:
                    old.append(number)
                    continue
                else:
                    answers, own, others = _carry_over(copy, chapter)
                    taken = f"{_many(answers, 'answer')} and {_many(own, 'new cell')}"
                    said.append(f"{mine.name}: {taken} taken over from {_aside(mine)}.")
                    if others:
                        said.append(f"{_many(others, 'other changed cell')}: only there.")
                files.write(mine, json.dumps(chapter, indent=1, ensure_ascii=False) + "\n")
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
        notebook["metadata"].get("course")
        for cell in notebook["cells"]:
            cell |= {"id": str(cell.get("id", "")), "source": "".join(cell["source"])}
            cell["cell_type"], cell["metadata"].get("exercise")
        return dict(notebook)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _cleared(path: Path) -> Notebook:
    """Return a chapter without outputs, and with the version it is of."""
    notebook = _read(path)
    if notebook is None:
        raise CannotRun(f"{path} is no notebook: take it from a fresh copy of the course.", 1)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != ALONE_ID]
    for cell in notebook["cells"]:
        _clear(cell)
    text = "".join(cell["source"] for cell in notebook["cells"])
    notebook["metadata"]["course"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return notebook


def _clear(cell: Any) -> None:
    if cell["cell_type"] == "code":
        cell |= {"outputs": [], "execution_count": None}


def _aside(path: Path) -> str:
    """Rename a copy by the minute; return its new name."""
    stem = f"{path.stem}.{time.strftime('%Y-%m-%d-%H%M')}"
    names = [f"{stem}{more}.ipynb" for more in ("", *(f"-{n}" for n in range(2, 1000)))]
    name = next(name for name in names if not os.path.lexists(path.with_name(name)))
    path.rename(path.with_name(name))
    return name


def _carry_over(copy: Notebook, chapter: Notebook) -> tuple[int, int, int]:
    """Put answers and a learner's cells into a new version; count them, and what else changed."""
    place = {_key(cell): number for number, cell in enumerate(chapter["cells"])}
    answers: dict[int, list[str]] = {}
    own: dict[int, list[Any]] = {}
    number, others = 0, 0
    for cell in copy["cells"]:
        number = place.get(_key(cell), number)
        if "exercise" in cell["metadata"]:
            if is_answered(cell) and _key(cell) in place:
                answers.setdefault(number, []).append(cell["source"])  # two, if it was split
            others += is_answered(cell) and _key(cell) not in place
        elif _PUBLISHED.fullmatch(cell["id"]):
            others += cell["id"][:10] != text_id(cell["cell_type"], cell["source"])
        else:
            _clear(cell)
            own.setdefault(number, []).append(cell)
    for number, parts in answers.items():
        chapter["cells"][number]["source"] = "\n".join(parts)
    for number in sorted(own, reverse=True):
        chapter["cells"][number + 1 : number + 1] = own[number]
    return len(answers), sum(map(len, own.values())), others


def _many(count: int, words: str) -> str:
    return f"{count} {words}{'' if count == 1 else 's'}"


def _key(cell: Any) -> str:
    """Return by what a cell is found in another version: its exercise, or the hash of its text."""
    return str(cell["metadata"].get("exercise") or cell["id"])


def text_id(kind: str, source: str) -> str:
    """Return the id of a published cell, which tells whether its text was changed since."""
    return hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:10]


def is_answered(cell: Any) -> bool:
    """Return whether an exercise's cell of a blank chapter was changed since it was built."""
    details = cell["metadata"]
    return "exercise" in details and details.get("blank") != fingerprint(cell["source"])


def fingerprint(source: str) -> str:
    """Return a short hash of a cell's text, by which a change is seen."""
    return hashlib.sha256(source.strip().encode()).hexdigest()[:12]
