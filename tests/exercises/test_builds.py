"""Three builds of every chapter: blank, solved, and wrong in typical ways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest

from helpers import book
from helpers.exercises import REGION, Outcome, exercises_of

from . import rounds

CHAPTERS = [s.name[:2] for s in book.sources()]
FULL = bool(os.environ.get("COURSE_FULL"))  # a round is a minute in some chapters


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize(
    "folder, wanted", [("chapters", Outcome.NOT_ATTEMPTED), ("solutions", Outcome.PASS)]
)
def test_blank_is_not_attempted_and_solved_passes(chapter, folder, wanted):
    """nbval shows that the stored outputs are what a run gives; this reads what they say."""
    source = book.sources([chapter])[0]
    stored = nbformat.read(book.ROOT / folder / f"{source.stem}.ipynb", 4)
    outcomes = {name: outcome for name, (outcome, _) in rounds.reports(stored).items()}
    assert outcomes == {q.id: wanted for q in exercises_of(chapter)}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_has_its_exercises(chapter):
    answers = {
        m[2] for m in REGION.finditer(book.sources([chapter])[0].read_text(encoding="utf-8"))
    }
    known = {q.id: q for q in exercises_of(chapter)}
    assert answers == set(known), "every exercise has its worked answer, every answer its exercise"
    quizzes = [i for i in known if ".q" in i]
    least = (1, 0) if chapter == "00" else (4, 3)
    assert len(known) - len(quizzes) >= least[0]
    assert len(quizzes) >= least[1]
    if chapter != "00":
        assert any(q.stretch for q in known.values()), "at least one stretch exercise"


def output_of(command: list[str], folder: Path) -> list[str]:
    """Run a program to its end; the lines that it printed.

    They go to a file: a pipe would stay open as long as any kernel of its lives. A program that
    ended itself because it hung (`faulthandler`) is run once more, with a warning that shows where.
    """
    folder.mkdir()
    for last in (False, True):
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            done = subprocess.run(command, cwd=book.ROOT, stdout=out, stderr=err)
        said = (folder / "err").read_text()[-10_000:]
        if done.returncode == 0 or last or "Timeout (" not in said:
            break
        warnings.warn(f"{command} hung:\n{said}", stacklevel=1)
    assert done.returncode == 0, f"{command}:\n{said}"
    return (folder / "out").read_text().splitlines()


def test_a_name_that_a_cell_binds_first_needs_no_earlier_cell():
    cells = ["names = 1", "for name in names: pass", "name = 2", "d = {}", "d[name] = 3"]
    new = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(cells=[new(c) for c in [*cells, "used(d)"]])
    rounds.keep_needed(notebook, {"used"})
    assert [c.source for c in notebook.cells] == ["name = 2", "d = {}", "d[name] = 3", "used(d)"]


@pytest.mark.parametrize("hangs, fails", [(1, False), (2, True)])
def test_a_program_that_hangs_is_run_once_more(tmp_path, hangs, fails):
    code = (
        "import faulthandler, pathlib, time\n"
        f"tries = pathlib.Path({str(tmp_path / 'tries')!r})\n"
        "with tries.open('a') as file:\n    file.write('x')\n"
        "faulthandler.dump_traceback_later(2, exit=True)\n"
        f"if len(tries.read_text()) <= {hangs}:\n    time.sleep(60)\n"
        "print('done')\n"
    )
    command, folder = [sys.executable, "-c", code], tmp_path / "run"
    with pytest.warns(UserWarning, match=r"hung:\nTimeout \((.|\n)*line 7"):
        if fails:
            with pytest.raises(AssertionError, match="Timeout"):
                output_of(command, folder)
        else:
            assert output_of(command, folder) == ["done"]
    assert (tmp_path / "tries").read_text() == "xx"


def test_a_program_that_fails_is_not_run_again(tmp_path):
    tries = tmp_path / "tries"
    code = f"open({str(tries)!r}, 'a').write('x'); raise SystemExit('no such round')"
    with pytest.raises(AssertionError, match="no such round"):
        output_of([sys.executable, "-c", code], tmp_path / "run")
    assert tries.read_text() == "x"


def run_rounds(chapter, kind, numbers, folder):
    command = [sys.executable, "-m", "tests.exercises.rounds", chapter, kind, *map(str, numbers)]
    found = [json.loads(line) for line in output_of(command, folder / "run")]
    assert [one["round"] for one in found] == list(numbers)
    return found


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_wrong_answers_in_the_notebook_fail_and_every_later_cell_runs(chapter, tmp_path):
    """One round in a kernel; `test_answers` gives every mistake to the checks themselves."""
    (build,) = run_rounds(chapter, "wrong", [0], tmp_path)
    assert set(build["answers"]) == {q.id for q in exercises_of(chapter)} == set(build["said"])
    passed = {i: said for i, said in build["said"].items() if said[0] != Outcome.FAIL.value}
    assert not passed


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if FULL or c != "05"])  # two minutes
def test_cells_run_with_right_answers_of_other_idioms_to_the_same_facts(chapter, tmp_path):
    for build in run_rounds(chapter, "right", [0, 1, 2, 3] if FULL else [0], tmp_path):
        refused = {i: said for i, said in build["said"].items() if said[0] != Outcome.PASS.value}
        assert not refused
        assert not build["differ"], "\n\n".join(build["differ"])


@pytest.mark.parametrize("chapter", CHAPTERS if FULL else ["01"])
def test_a_chapter_solved_with_loops_and_lists_runs_from_top_to_bottom(chapter, tmp_path):
    """One learner's way: the first idiom of every exercise, and every cell of the chapter."""
    (build,) = run_rounds(chapter, "whole", [0], tmp_path)
    assert {said[0] for said in build["said"].values()} == {Outcome.PASS.value}
    assert not build["differ"], "\n\n".join(build["differ"])
