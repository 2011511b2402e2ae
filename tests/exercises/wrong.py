"""Wrong builds of a chapter, as a program of its own: what hangs in it can be ended, and tells where.

python -m tests.exercises.wrong NN ROUND [ROUND ...]

Round r puts each exercise's r-th mistake into the chapter. One line of JSON a round:
what each check says, and how many there are.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import re
import sys
import textwrap

import nbformat

from helpers import book
from helpers.exercises import Outcome

from .slicing import CHECK, exercise_slice

REPORT = re.compile(r"^(\d\d\.\w+) (PASS|FAIL|EXCEPTION|NOT ATTEMPTED)\b(?:: (.*))?$", re.MULTILINE)
CELL, ROUND = 120, 300  # seconds at most; a round takes about five


def mistakes_of(chapter: str) -> dict[str, list[tuple[str, str]]]:
    """Exercise id -> typical mistakes, each the text of an answer and a part of its message."""
    return importlib.import_module(f"tests.exercises.answers_{chapter}").MISTAKES


def answers_of(chapter: str, number: int) -> dict[str, str]:
    """Exercise id -> the text of its mistake of one round; exercises with fewer mistakes are left out."""
    return {i: m[number][0] for i, m in mistakes_of(chapter).items() if number < len(m)}


def answered(notebook: nbformat.NotebookNode, answers: dict[str, str]) -> nbformat.NotebookNode:
    """Return the solved notebook with other answers: exercise id -> text, not indented."""

    def insert(match: re.Match[str]) -> str:
        if match[2] not in answers:
            return match[3]
        return textwrap.indent(answers[match[2]].strip("\n") + "\n", match[1])

    return book.with_regions(notebook, insert)


def reports(notebook: nbformat.NotebookNode) -> dict[str, tuple[Outcome, str]]:
    """Exercise id -> outcome and sentence, as the outputs of a notebook show them."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", f"{output.get('ename')}: {output.get('evalue')}"
            for match in REPORT.finditer(output.get("data", {}).get("text/plain", "")):
                found[match[1]] = (Outcome(match[2]), match[3] or "")
    return found


def main() -> None:
    """Build and run the rounds named."""
    chapter, *rounds = sys.argv[1:]
    for number in map(int, rounds):
        faulthandler.dump_traceback_later(ROUND, exit=True)
        answers = answers_of(chapter, number)
        wrong = exercise_slice(answered(book.read(book.sources([chapter])[0]), answers))
        checks = sum(bool(CHECK.search(cell.source)) for cell in wrong.cells)
        found = reports(book.execute(wrong, book.ROOT / "chapters", seconds=CELL))
        said = {name: (outcome.value, sentence) for name, (outcome, sentence) in found.items()}
        print(json.dumps({"round": number, "checks": checks, "said": said}), flush=True)


if __name__ == "__main__":
    main()
