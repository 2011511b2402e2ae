"""Three builds of every chapter: blank, solved, and wrong in typical ways."""

from __future__ import annotations

import importlib
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import nbformat
import pytest

from helpers import book
from helpers.exercises import Outcome, exercises_of
from helpers.exercises.source import REGION

from .slicing import CHECK, exercise_slice

CHAPTERS = [s.name[:2] for s in book.sources()]
REPORT = re.compile(r"^(\d\d\.\w+) (PASS|FAIL|EXCEPTION|NOT ATTEMPTED)\b(?:: (.*))?$", re.MULTILINE)


def mistakes_of(chapter: str) -> dict[str, list[tuple[str, str]]]:
    """Exercise id -> typical mistakes, each the text of an answer and a part of its message."""
    return importlib.import_module(f"tests.exercises.mistakes_{chapter}").MISTAKES


def reports(notebook: nbformat.NotebookNode) -> dict[str, tuple[Outcome, str]]:
    """Exercise id -> outcome and sentence, as the outputs of a notebook show them."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", f"{output.get('ename')}: {output.get('evalue')}"
            for match in REPORT.finditer(output.get("data", {}).get("text/plain", "")):
                found[match[1]] = (Outcome(match[2]), match[3] or "")
    return found


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("folder, wanted", [("chapters", Outcome.NOT_ATTEMPTED), ("solutions", Outcome.PASS)])
def test_blank_is_not_attempted_and_solved_passes(chapter, folder, wanted):
    """nbval shows that the stored outputs are what a run gives; this reads what they say."""
    source = book.sources([chapter])[0]
    stored = nbformat.read(book.ROOT / folder / f"{source.stem}.ipynb", 4)
    outcomes = {name: outcome for name, (outcome, _) in reports(stored).items()}
    assert outcomes == {q.id: wanted for q in exercises_of(chapter)}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_has_its_exercises(chapter):
    answers = {m[2] for m in REGION.finditer(book.sources([chapter])[0].read_text(encoding="utf-8"))}
    known = {q.id: q for q in exercises_of(chapter)}
    assert answers == set(known), "every exercise has its worked answer, every answer its exercise"
    quizzes = [i for i in known if ".q" in i]
    least = (1, 0) if chapter == "00" else (4, 3)
    assert len(known) - len(quizzes) >= least[0]
    assert len(quizzes) >= least[1]
    if chapter != "00":
        assert any(q.stretch for q in known.values()), "at least one stretch exercise"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_reference_passes(chapter):
    for q in exercises_of(chapter):
        assert q.grade(q.reference).outcome is Outcome.PASS, (q.id, repr(q.grade(q.reference)))


@pytest.fixture(scope="module")
def processes():
    """Two: each waits for a kernel of its own."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


def wrong_build(chapter: str, mistakes: dict[str, str]) -> tuple[dict[str, tuple[Outcome, str]], int]:
    """Put mistakes into a chapter, run what the checks need; what they say, and how many checks there are."""
    wrong = exercise_slice(book.answered(book.read(book.sources([chapter])[0]), mistakes))
    checks = sum(bool(CHECK.search(cell.source)) for cell in wrong.cells)
    return reports(book.execute(wrong, book.ROOT / "chapters", seconds=120)), checks


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_wrong_answers_fail_with_the_message_meant_for_them(chapter, processes):
    """Round r puts each exercise's r-th mistake into the chapter."""
    mistakes = mistakes_of(chapter)
    ids = {q.id for q in exercises_of(chapter)}
    assert set(mistakes) == ids
    assert all(len(m) >= 2 for m in mistakes.values()), "at least two typical mistakes an exercise"
    most = max(len(m) for m in mistakes.values())
    rounds = [{i: m[r][0] for i, m in mistakes.items() if r < len(m)} for r in range(most)]
    builds = processes.map(wrong_build, repeat(chapter), rounds)
    for number, (answers, (found, checks)) in enumerate(zip(rounds, builds, strict=True)):
        assert checks >= len(ids)
        for name, text in answers.items():
            (outcome, sentence), message = found[name], mistakes[name][number][1]
            assert outcome is Outcome.FAIL, f"{name} accepts a wrong answer ({outcome.value}):\n{text}"
            assert message in sentence, f"{name}: {sentence!r} does not say {message!r}"
