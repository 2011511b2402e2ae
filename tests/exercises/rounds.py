"""A chapter with other answers than its own, as a program: what hangs in it can be ended.

python -m tests.exercises.rounds NN wrong|right|whole ROUND [ROUND ...]

Round r puts each exercise's r-th mistake, or its r-th right answer of another idiom, into the
chapter. ``whole`` runs every cell; the others only those that check an answer or use it, and what
these need. One line of JSON a round: what each check says, and which outputs are not as stored.
"""

from __future__ import annotations

import ast
import faulthandler
import importlib
import json
import re
import sys
import textwrap

import nbformat

from helpers import book
from helpers.exercises import Outcome, exercises_of
from helpers.exercises.source import names, python

REPORT = re.compile(r"^(\d\d\.\w+) (PASS|FAIL|EXCEPTION|NOT ATTEMPTED)\b(?:: (.*))?$", re.MULTILINE)
CHECK = re.compile(r"\.(check|ask)\(")
CELL, ROUND = 120, 300  # seconds at most


def answers_of(chapter: str, kind: str, number: int) -> dict[str, str]:
    """Exercise id -> the text of its answer of one round; exercises with fewer are left out."""
    module = importlib.import_module(f"tests.exercises.answers_{chapter}")
    if kind == "wrong":
        return {i: m[number][0] for i, m in module.MISTAKES.items() if number < len(m)}
    return {i: m[number] for i, m in module.IDIOMS.items() if number < len(m)}


def answered(notebook: nbformat.NotebookNode, answers: dict[str, str]) -> nbformat.NotebookNode:
    """Return the solved notebook with other answers: exercise id -> text, not indented."""

    def insert(match: re.Match[str]) -> str:
        if match[2] not in answers:
            return match[3]
        return textwrap.indent(answers[match[2]].strip("\n") + "\n", match[1])

    return book.with_regions(notebook, insert)


def binds(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds whatever happens."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    loop = [node.target] if isinstance(node, ast.For) else []
    targets = [*getattr(node, "targets", []), *loop]
    names_in = (n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
    return {n.id for n in names_in if isinstance(n.ctx, ast.Store)}


def keep_needed(notebook: nbformat.NotebookNode, wanted: set[str]) -> None:
    """Drop the code cells on which no check and no use of the wanted names depends.

    A cell is kept when it checks an exercise or uses a wanted name, when it binds a name that a
    later kept cell uses, or when it changes the path or the environment.
    """
    needed: set[str] = set()
    kept = []
    for cell in reversed(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        bound, used = names(python(cell.source))
        setting = re.search(r"sys\.path|environ", cell.source)
        if CHECK.search(cell.source) or bound & needed or used & wanted or setting:
            for statement in reversed(ast.parse(python(cell.source)).body):
                used = names(ast.unparse(statement))[1]
                loop = binds(statement) if isinstance(statement, ast.For) else set()
                needed = needed - binds(statement) | used - loop
            kept.append(cell)
    notebook.cells = kept[::-1]


def reports(notebook: nbformat.NotebookNode) -> dict[str, tuple[Outcome, str]]:
    """Exercise id -> outcome and sentence, as the outputs of a notebook show them."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", f"{output.get('ename')}: {output.get('evalue')}"
            for match in REPORT.finditer(output.get("data", {}).get("text/plain", "")):
                found[match[1]] = (Outcome(match[2]), match[3] or "")
    return found


def facts(cell: nbformat.NotebookNode) -> str:
    """Return what a cell prints and shows as text, without what nbval leaves out."""
    if {"nbval-ignore-output", "timing"} & set(cell.metadata.get("tags", [])):
        return ""
    shown = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    return re.sub(r"0x[0-9a-f]{6,16}", "ADDRESS", "\n".join(shown))


def run(chapter: str, kind: str, number: int) -> dict[str, object]:
    """Run one round and return what it showed."""
    source = book.sources([chapter])[0]
    answers = answers_of(chapter, kind, number)
    notebook = answered(book.read(source), answers)
    for place, cell in enumerate(notebook.cells):
        cell.metadata["place"] = place
    if kind != "whole":
        used = {q.name for q in exercises_of(chapter)} - {"choice"} if kind == "right" else set()
        keep_needed(notebook, used)
    stored = nbformat.read(book.ROOT / "solutions" / f"{source.stem}.ipynb", 4)
    book.execute(notebook, book.ROOT / "chapters", seconds=CELL)
    said = {name: (outcome.value, text) for name, (outcome, text) in reports(notebook).items()}
    differ = [
        f"{cell.source}\nGAVE {facts(cell)}\nSTORED {facts(stored.cells[cell.metadata.place])}"
        for cell in notebook.cells
        if kind != "wrong" and cell.cell_type == "code"
        if facts(cell) != facts(stored.cells[cell.metadata.place])
    ]
    return {"round": number, "answers": answers, "said": said, "differ": differ}


def main() -> None:
    """Run the rounds named."""
    chapter, kind, *rounds = sys.argv[1:]
    for number in map(int, rounds):
        faulthandler.dump_traceback_later(ROUND, exit=True)
        print(json.dumps(run(chapter, kind, number)), flush=True)


if __name__ == "__main__":
    main()
