"""Three builds of every chapter: blank, solved, and wrong in typical ways."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from helpers import book
from helpers.exercises import Outcome, exercises_of
from helpers.exercises.source import REGION

from . import wrong

CHAPTERS = [s.name[:2] for s in book.sources()]


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("folder, wanted", [("chapters", Outcome.NOT_ATTEMPTED), ("solutions", Outcome.PASS)])
def test_blank_is_not_attempted_and_solved_passes(chapter, folder, wanted):
    """nbval shows that the stored outputs are what a run gives; this reads what they say."""
    source = book.sources([chapter])[0]
    stored = nbformat.read(book.ROOT / folder / f"{source.stem}.ipynb", 4)
    outcomes = {name: outcome for name, (outcome, _) in wrong.reports(stored).items()}
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


def wrong_builds(chapter: str, rounds: Sequence[int], folder: Path) -> list[dict]:
    """Run rounds in a program of their own; what it printed, a dictionary a round.

    Its output goes to files: a pipe would stay open as long as any kernel of its lives.
    Where it hangs (a cell can't: it has a limit) it is run once more, with a warning that
    shows where its threads stood.
    """
    command = [sys.executable, "-m", "tests.exercises.wrong", chapter, *map(str, rounds)]
    for last in (False, True):
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            done = subprocess.run(command, cwd=book.ROOT, stdout=out, stderr=err)
        said = (folder / "err").read_text()[-10_000:]
        if done.returncode == 0 or last or "Timeout (" not in said:
            break
        warnings.warn(f"{command} hung:\n{said}", stacklevel=1)
    assert done.returncode == 0, f"{command}:\n{said}"
    return [json.loads(line) for line in (folder / "out").read_text().splitlines()]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_wrong_answers_fail_with_the_message_meant_for_them(chapter, tmp_path):
    """Two programs at a time, one for the even rounds and one for the odd: each waits for kernels."""
    mistakes = wrong.mistakes_of(chapter)
    ids = {q.id for q in exercises_of(chapter)}
    assert set(mistakes) == ids
    assert all(len(m) >= 2 for m in mistakes.values()), "at least two typical mistakes an exercise"
    most = max(len(m) for m in mistakes.values())
    halves, folders = [range(most)[::2], range(most)[1::2]], [tmp_path / "even", tmp_path / "odd"]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(2) as threads:
        builds = list(threads.map(wrong_builds, [chapter] * 2, halves, folders))
    assert sorted(build["round"] for half in builds for build in half) == list(range(most))
    for build in itertools.chain(*builds):
        assert build["checks"] >= len(ids)
        for name, text in wrong.answers_of(chapter, build["round"]).items():
            (outcome, sentence), message = build["said"][name], mistakes[name][build["round"]][1]
            assert outcome == Outcome.FAIL.value, f"{name} accepts a wrong answer ({outcome}):\n{text}"
            assert message in sentence, f"{name}: {sentence!r} does not say {message!r}"
