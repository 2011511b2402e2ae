"""Chapters for pages, slides and guides: cells with roles, without the machinery of checks.

The text comes from a chapter's source, blank; the outputs come from its stored solved notebook.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from itertools import compress
from pathlib import Path
from typing import Any

import nbformat

from helpers import book
from helpers.exercises import exercises_of, source
from helpers.exercises.grading import Exercise
from helpers.runner import copies
from helpers.runner.machine import CannotRun

ASKED = re.compile(r"^\*\*Exercise (\d\d\.\d+)\*\*", re.MULTILINE)
_OPTIONAL = " · optional"  # at the end of a heading: not of the core
_HEADING = re.compile(r"#{1,3} (.+)")
_USE = re.compile(r"\bq\d+\.use\((\w+)\)")
_MACHINERY = re.compile(r"(q\d+ = )?exercise\(|q\d+\.check\(|(display\()?guess\(|progress\(")
# texts of outputs: "02.1 PASS: …", a question, the answer to it, and the names of sliders
_FEEDBACK = re.compile(r"(\d\d\.q?\d+ [A-Z]{4}|(?:Chapter \d\d|The course): ).*", re.DOTALL)
_GUESS = re.compile(r"(.*) Run this cell to write your guess down\.", re.DOTALL)
_MET = re.compile(r"\d\d(?:\.\w)? guess: .*?; (it is .*)", re.DOTALL)
_CONTROLS = re.compile(r"Run this cell to get the (?:slider|controls): (.*)\.")
# what is true of notebooks only: how to run cells, how to ask for help
_HOW = re.compile(r"(?<=\n\n)\*[^*]*Shift\+Enter[^*]*\*")
_HELP = re.compile(r"\s*(For help, run|Stuck\? Run) `q\d+\.hint\(\)`\s+or\s+`q\d+\.[^.]*\.")


@dataclass(frozen=True)
class Cell:
    """One cell; its role is prose, code, answer (it has a gap), quiz, guess, check or alone.

    ``source`` is what a learner gets, without the lines that check, ask or go on; ``outputs`` are
    nbformat's, without feedback.
    """

    id: str  # the same until the text of the cell changes
    role: str
    source: str
    tags: frozenset[str] = frozenset()  # "core", "fold" and what else the source says
    exercises: tuple[str, ...] = ()  # what prose asks, an answer answers, a quiz is
    guesses: tuple[str, ...] = ()  # questions, with their options in brackets
    met: tuple[str, ...] = ()  # "it is 92 of 100": what a guess is compared with
    controls: str = ""  # the names of the sliders of `explore`
    outputs: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    heading: str = ""  # the last one, without its mark of what is optional
    core: bool = True
    minutes: float = 0  # of a careful reader, without those of exercises


@dataclass(frozen=True)
class Chapter:
    """One chapter: ``"02"``, ``"02_matrix_factorization"``, its title, and its cells in order."""

    number: str
    name: str
    title: str
    cells: tuple[Cell, ...]

    @property
    def header(self) -> dict[str, str]:
        """The header table: what the chapter teaches, takes and needs."""
        text = "\n".join(cell.source for cell in self.cells[:8] if cell.role == "prose")
        return dict(re.findall(r"^\| \*\*(.*?)\*\* \| (.*) \|$", text, re.MULTILINE))

    @property
    def exercises(self) -> dict[str, Exercise]:
        """Exercises and quizzes by id, in the order of the text: hints, mistakes, minutes."""
        known = {q.id: q for q in exercises_of(self.number)}
        return {id: known[id] for c in self.cells if c.role != "prose" for id in c.exercises}


@cache
def chapter(path: Path) -> Chapter:
    """Return a chapter from its source, one of `book.sources()`."""
    stored, whole, heading = path.with_suffix(".ipynb"), book.read(path), ""
    read = nbformat.read(stored, 4).cells if stored.exists() else []
    outputs, cells = {c.id: c.get("outputs", []) for c in read}, []
    if {cell.id for cell in whole.cells} - outputs.keys():
        words = "{} is missing or of another text: python -m helpers build {} makes it."
        raise CannotRun(words.format(stored, path.name[:2]))
    for cell, blank in zip(whole.cells, book.blank(whole).cells, strict=True):
        if cell.cell_type == "markdown" and (found := _HEADING.match(cell.source)):
            heading = found[1]
        place = {"heading": heading.removesuffix(_OPTIONAL), "core": _OPTIONAL not in heading}
        cells.append(_cell(blank, outputs[cell.id], {**place, "minutes": _minutes(cell)}))
    return Chapter(path.name[:2], path.stem, cells[0].heading, tuple(cells))


def _minutes(cell: Any) -> float:
    """Return minutes: 200 words or 20 lines of code take one, and each question."""
    if cell.cell_type == "markdown":
        return len(cell.source.split()) / 200
    lines = len(re.findall(r"^.*\S", cell.source, re.MULTILINE))
    folded = "fold" in cell.metadata.get("tags", [])
    return 0 if folded else lines / 20 + cell.source.count(".ask(")


def _cell(cell: Any, outputs: list[Any], place: dict[str, Any]) -> Cell:
    tags = frozenset(cell.metadata.get("tags", []))
    if cell.cell_type == "markdown":
        asked = tuple(ASKED.findall(cell.source))
        text = _HELP.sub("", _HOW.sub("", cell.source))
        return Cell(cell.id, "prose", text, tags, asked, **place)
    texts = [output.get("data", {}).get("text/plain", "") for output in outputs]
    told = (_GUESS, _MET, _CONTROLS, _FEEDBACK)
    guesses, met, controls, _ = ([m[1] for t in texts if (m := p.fullmatch(t))] for p in told)
    kept = [not any(p.fullmatch(text) for p in told) for text in texts]
    id, text = cell.metadata.get("exercise", ""), _plain(cell.source)
    role = "answer" if id else "code"
    if cell.id == copies.ALONE_ID or ".q" in id:
        role = "quiz" if id else "alone"
    elif not text:
        role = "guess" if guesses else "check"
    place |= {"guesses": (*guesses,), "met": (*met,), "controls": " · ".join(controls)}
    place |= {"exercises": (id,) if id else (), "outputs": (*compress(outputs, kept),)}
    return Cell(cell.id, role, text, tags, **place)


def _plain(code: str) -> str:
    """Return a cell's code without the statements that check, ask or go on with an answer."""
    lines, body = code.splitlines(), ast.parse(source.python(code)).body
    is_list = []  # of the statements that stay: whether they name a list or a constant
    for node in reversed(body):
        where = slice(node.lineno - 1, node.end_lineno)
        text = _USE.sub(r"\1", "\n".join(lines[where]))
        name, _, value = text.partition(" = ")
        if _MACHINERY.match(text) or name == value:
            lines[where] = []
            continue
        lines[where] = text.split("\n")
        named = node.value if isinstance(node, ast.Assign | ast.AugAssign) else None
        is_list.append(isinstance(named, ast.List | ast.Constant))
    if len(is_list) < len(body) and all(is_list):  # the choices of a guess
        return ""
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n")
