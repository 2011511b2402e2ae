"""Chapters for pages, slides and guides: cells with roles, without the machinery of checks.

The text comes from a chapter's source, blank; the outputs come from its stored solved notebook.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from helpers import book
from helpers.exercises import exercises_of, source
from helpers.exercises.grading import Exercise
from helpers.runner import copies

ASKED = re.compile(r"^\*\*Exercise (\d\d\.\d+)\*\*", re.MULTILINE)
OPTIONAL = " · optional"  # at the end of a heading: not of the core
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_USE = re.compile(r"\bq\d+\.use\((\w+)\)")
_MACHINERY = re.compile(r"(q\d+ = )?exercise\(|q\d+\.check\(|(display\()?guess\(|progress\(")
# texts of outputs: "02.1 PASS: …", a question, the answer to it, and the names of sliders
_FEEDBACK = re.compile(r"\d\d\.q?\d+ [A-Z]{4}|(Chapter \d\d|The course): ")
_GUESS = re.compile(r"(.*) Run this cell to write your guess down\.", re.DOTALL)
_MET = re.compile(r"\d\d(?:\.\w)? guess: .*?; (it is .*)", re.DOTALL)
#: what is true of notebooks only: how to run cells, how to ask for help
_HOW = re.compile(r"(?<=\n\n)\*[^*]*Shift\+Enter[^*]*\*")
_HELP = re.compile(
    r"\s*(For help, run|Stuck\? Run) `q\d+\.hint\(\)`\s+or\s+`q\d+\.solution\(\)`[^.]*\."
)
_READ = "*To run this chapter, answer and be checked: `python -m helpers lab`.*"
_CONTROLS = re.compile(r"Run this cell to get the (?:slider|controls): (.*)\.")


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
    section: str = ""  # the last heading of level 2
    exercises: tuple[str, ...] = ()  # what prose asks, an answer answers, a quiz is
    guesses: tuple[str, ...] = ()  # questions, with their options in brackets
    met: tuple[str, ...] = ()  # "it is 92 of 100": what a guess is compared with
    controls: str = ""  # the names of the sliders of `explore`
    outputs: tuple[dict[str, Any], ...] = field(default=(), repr=False)


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
    notebook = book.blank(book.read(path))
    outputs = {
        c.id: c.get("outputs", []) for c in nbformat.read(path.with_suffix(".ipynb"), 4).cells
    }
    section, cells = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = [section, *_HEADING.findall(cell.source)][-1]
        cells.append(_cell(cell, section, outputs.get(cell.id, [])))
    title = notebook.cells[0].source.partition("\n")[0].removeprefix("# ")
    return Chapter(path.name[:2], path.stem, title, tuple(cells))


def _cell(cell: Any, section: str, outputs: list[Any]) -> Cell:
    tags = frozenset(cell.metadata.get("tags", []))
    if cell.cell_type == "markdown":
        asked = tuple(ASKED.findall(cell.source))
        text = _HELP.sub("", _HOW.sub(_READ, cell.source))
        return Cell(cell.id, "prose", text, tags, section, asked)
    texts = [output.get("data", {}).get("text/plain", "") for output in outputs]
    found = [[m[1] for t in texts if (m := p.fullmatch(t))] for p in (_GUESS, _MET, _CONTROLS)]
    told = [m[0] for t in texts for p in (_GUESS, _MET, _CONTROLS) if (m := p.fullmatch(t))]
    kept = [
        o for o, t in zip(outputs, texts, strict=True) if t not in told and not _FEEDBACK.match(t)
    ]
    id, text = cell.metadata.get("exercise", ""), _plain(cell.source)
    role = "answer" if id else "code"
    if cell.id == copies.ALONE_ID or ".q" in id:
        role = "quiz" if id else "alone"
    elif not text:
        role = "guess" if found[0] else "check"
    ids, (guesses, met, controls) = (id,) if id else (), found
    names = " · ".join(controls)
    return Cell(cell.id, role, text, tags, section, ids, (*guesses,), (*met,), names, (*kept,))


def _plain(code: str) -> str:
    """Return a cell's code without the statements that check, ask or go on with an answer."""
    lines, body = code.splitlines(), ast.parse(source.python(code)).body
    own = []
    for node in reversed(body):
        where = slice(node.lineno - 1, node.end_lineno)
        text = _USE.sub(r"\1", "\n".join(lines[where]))
        name, _, value = text.partition(" = ")
        is_own = not _MACHINERY.match(text) and name != value
        lines[where] = text.split("\n") if is_own else []
        own += [node] * is_own
    if len(own) < len(body) and all(map(_is_list, own)):  # the choices of a guess
        return ""
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n")


def _is_list(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AugAssign):
        return False
    return isinstance(node.value, ast.List | ast.Constant)
