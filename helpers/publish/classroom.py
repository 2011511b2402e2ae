"""The class: what progress files that learners handed in say, as a table and a heat map."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helpers import files
from helpers.exercises import exercises_of
from helpers.exercises.grading import Exercise, Quiz
from helpers.publish.tools import HERE, TEMPLATES
from helpers.runner.machine import CannotRun

LARGEST = 1_000_000  # bytes of a file, and tries of an exercise
OUTCOMES = ("PASS", "FAIL", "EXCEPTION", "NOT ATTEMPTED")
ID = re.compile(r"\d\d\.\w{1,12}", re.ASCII)
#: what a file that is no progress file may raise
BAD = (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError)


class Tried(NamedTuple):
    """What one learner did with one exercise; as text, ``PASS 5``: five tries."""

    outcome: str = ""
    tries: int = 0
    mistake: str = ""  # the sentence of the last known mistake

    def __str__(self) -> str:
        return f"{self.outcome} {self.tries or ''}".strip()


Entries = dict[str, Tried]  # by exercise, if there was a try


def main(arguments: Sequence[str]) -> int:
    """Write class.csv and class.html of a folder's progress files; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m helpers class", description=__doc__)
    parser.add_argument("folder", type=Path, help="with progress.json files, or tables as CSV")
    parser.add_argument("--out", type=Path, help="where to write; FOLDER/class if not given")
    chosen = parser.parse_args(arguments)
    out = chosen.out or chosen.folder / "class"
    learners, said = read_all(chosen.folder, out)
    print(*said, sep="\n", end="\n" * bool(said))
    if not any(learners):
        words = "no progress file shows a try; name the folder that they are in."
        raise CannotRun(f"{chosen.folder}: {words}", 1)
    rows, text = table(learners), io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write(out / "class.csv", "\ufeff" + text.getvalue())  # by which Excel knows UTF-8
    page = TEMPLATES.get_template("class.html")
    files.write(out / "class.html", page.render(rows=rows, count=len(learners), said=said))
    print(f"{out} has class.csv and class.html, of {len(learners)} learners.")
    return 0


def read_all(folder: Path, out: Path) -> tuple[list[Entries], list[str]]:
    """Return the entries of each file, by name, and a sentence for all that is left out."""
    learners: list[Entries] = []
    said, known = [], {one.id for one in exercises()}
    for path in sorted(folder.rglob("*")):
        ours = path.parent == out and path.stem == "class"
        if ours or path.name.startswith(".") or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix().encode("utf-8", "replace").decode()
        try:
            entries = _read(path)
        except (*BAD, RecursionError, csv.Error) as error:
            text = str(error)
            why = text if text.startswith("its ") else "damaged, or no progress file"
            said.append(f"{name} is left out: {why}.")
            continue
        learners.append({id: entries[id] for id in entries if id in known})
        print(f"{len(learners)}: {name}")
        if others := sorted(entries.keys() - known):
            said.append(f"{name}: this version has no {', '.join(others[:9])}; the rest counts.")
    return learners, said


def _read(path: Path) -> Entries:
    """Return what was tried, from JSON, or from a table that a spreadsheet may have saved."""
    if path.stat().st_size > LARGEST:
        raise ValueError("too large for a progress file")
    text = path.read_text(encoding="utf-8-sig").strip()
    if text.lstrip('"').startswith("exercise"):
        mark = next((mark for mark in ";\t" if mark in text.partition("\n")[0]), ",")
        rows = csv.DictReader(io.StringIO(text), delimiter=mark)
        entries: dict[str, Any] = {row["exercise"]: row for row in rows if row["outcome"]}
    else:
        stored = json.loads(text)
        if (version := stored["version"]) not in (1, 2):
            raise ValueError(f"its version is {version!r:.20}, expected 1 or 2; use its own course")
        kept = stored["done" if version == 1 else "exercises"]
        entries = dict.fromkeys(kept, {"done": True}) if version == 1 else kept
    if entries and not any(map(ID.fullmatch, entries)):
        words = "ask for the file that `python -m helpers progress FILE.csv` wrote"
        raise ValueError(f"its exercises are no numbers such as 02.1, as by a spreadsheet; {words}")
    found = {id: _tried(entry) for id, entry in entries.items() if ID.fullmatch(id)}
    return {id: tried for id, tried in found.items() if tried.outcome}


def _tried(entry: dict[str, Any]) -> Tried:
    """Return an entry of a progress file, empty for a guess, or without a try."""
    said = "PASS" if entry.get("done") is True else entry.get("outcome", "NOT ATTEMPTED")
    tries, mistake = int(entry.get("attempts", 1)), entry.get("mistake", "").strip()
    if said not in OUTCOMES or not 0 <= tries < LARGEST:
        raise ValueError(said)
    mistake.encode()  # a half of a character fails here, and not when the table is written
    # a spreadsheet takes a text that begins so for a formula
    mistake = "'" * mistake.startswith(("=", "+", "-", "@")) + mistake
    return Tried() if said == "NOT ATTEMPTED" else Tried(said, tries, mistake)


def exercises() -> list[Exercise]:
    """Return every exercise and quiz of the course, in order."""
    checks = sorted((HERE.parent / "exercises").glob("checks_??.py"))
    return [one for path in checks for one in exercises_of(path.stem[-2:])]


def table(learners: Sequence[Entries]) -> list[dict[str, Any]]:
    """Return a row per exercise of the chapters that anyone tried; learners are its ``"1"``, …"""
    chapters, rows = {id[:2] for entries in learners for id in entries}, []
    for one in (one for one in exercises() if one.id[:2] in chapters):
        cells = [entries.get(one.id, Tried()) for entries in learners]
        right = [cell.tries for cell in cells if cell.outcome == "PASS"]
        mistakes = Counter(cell.mistake for cell in cells if cell.mistake).most_common(1)
        name = "quiz" if isinstance(one, Quiz) else one.name
        row: dict[str, Any] = {"exercise": one.id, "name": name, "right": len(right)}
        row["not yet"] = sum(cell.outcome in ("FAIL", "EXCEPTION") for cell in cells)
        row["median tries"] = statistics.median(right) if right else ""
        row["usual mistake"], row["times"] = mistakes[0] if mistakes else ("", "")
        rows.append(row | {str(place): cell for place, cell in enumerate(cells, 1)})
    return rows
