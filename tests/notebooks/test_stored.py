"""What the stored notebooks are: built from their source, complete, strict, readable, clean."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys

import nbformat
import pytest

from helpers import book
from helpers.exercises import REGION
from helpers.runner import copies

SOURCES = book.sources()
PAIRS = [(s, folder, make) for s in SOURCES for folder, make in book.BUILDS]
IDS = [f"{folder}/{s.stem}" for s, folder, _ in PAIRS]
NOTEBOOKS = pytest.mark.parametrize("source, folder, make", PAIRS, ids=IDS)
CHAPTERS = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
#: folders of some machine, this one's checkout among them
MACHINE = re.compile(
    rf"/home/|/root/|/Users/|/tmp/|{re.escape(str(book.ROOT))}|[A-Z]:\\\\|ipykernel_\d"
)
ALLOWED = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png"}


def stored(source, folder):
    return nbformat.read(book.ROOT / folder / f"{source.stem}.ipynb", 4)


def code_of(notebook):
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def tags_of(cell):
    return cell.metadata.get("tags", [])


@NOTEBOOKS
def test_matches_its_source(source, folder, make):
    notebook = stored(source, folder)
    nbformat.validate(notebook)
    same = book.same_source(make(book.read(source)), notebook)
    assert same, f"run: python -m helpers build {source.name[:2]}"


@NOTEBOOKS
def test_ran_from_top_to_bottom_without_an_error(source, folder, make):
    code = code_of(stored(source, folder))
    counts = [c.execution_count for c in code]
    assert counts == list(range(1, len(code) + 1)), "nbval skips a cell without a count"
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert not (output.output_type == "stream" and output.name == "stderr"), output.text


@NOTEBOOKS
def test_outputs_are_plain_and_of_no_machine(source, folder, make):
    notebook = stored(source, folder)
    assert "widgets" not in notebook.metadata
    text = nbformat.writes(notebook)
    found = MACHINE.search(text)
    assert not found, text[max(0, found.start() - 80) : found.end() + 80]
    assert len(text) < 3_000_000, "a notebook of more than 3 MB is slow to open"
    assert "catalogue" not in text, "an output from before a change of words"
    for cell in code_of(notebook):
        for output in cell.outputs:
            kinds = set(output.get("data", {}))
            assert kinds <= ALLOWED, f"{kinds - ALLOWED} in {cell.source[:60]}"
            assert not kinds or kinds & {"text/plain", "text/html"}, "nothing without a kernel"
            assert "<script" not in str(output.get("data", {}).get("text/html", ""))
            if "image/png" in kinds:
                alt = output["data"].get("text/plain", "")
                assert alt and alt[0] != "<", f"a figure without words: {cell.source[:80]}"


@CHAPTERS
def test_no_answer_is_left_in_the_blank_one(source):
    written = source.read_text(encoding="utf-8")
    answers = [m[3] for m in REGION.finditer(written)]
    for marker in ("### BEGIN SOLUTION", "### END SOLUTION"):  # nbgrader's, too
        assert written.count(marker) == len(answers)
    text = "\n".join(c.source for c in book.blank(book.read(source)).cells)
    assert answers and "SOLUTION" not in text
    for line in {s.strip() for a in answers for s in a.splitlines() if len(s.strip()) > 20}:
        assert line not in text, f"the answer's line {line!r} stands elsewhere in the chapter"


@CHAPTERS
def test_size_and_rhythm(source):
    cells = [c for c in book.read(source).cells if c.id != copies.ALONE_ID]
    code = [c for c in cells if c.cell_type == "code" and c.source.strip()]
    lines = sorted(len([s for s in c.source.splitlines() if s.strip()]) for c in code)
    most = 96
    assert 30 <= len(cells) <= most, f"{len(cells)} cells"
    assert statistics.median(lines) <= 6, f"median {statistics.median(lines)} lines of code"
    assert lines[int(0.9 * (len(lines) - 1))] <= 20, "a tenth of the cells are longer"
    wide = [s for c in code for s in c.source.splitlines() if len(s) > 100]
    assert not wide, "\n".join(wide)


@CHAPTERS
def test_every_guess_meets_its_answer(source):
    cells = [c.source.strip() for c in code_of(book.read(source))]
    code = "\n".join(cells)
    asked = re.findall(r"""guess\(\s*"([\d.a-z]+)",""", code)
    met = re.findall(r"""guess\("([\d.a-z]+)"\)\.meets\(""", code)
    assert asked and len(set(asked)) == len(asked) and set(asked) == set(met)
    assert all(name.startswith(source.name[:2]) for name in asked)
    for cell in cells:  # only the last line of a cell is shown by itself
        assert not re.search(r"^guess\([^\n]*\.meets\([^\n]*\n", cell, re.MULTILINE), cell


@NOTEBOOKS
def test_what_is_shown_fits_a_window_and_a_caption(source, folder, make):
    for cell in code_of(stored(source, folder)):
        for output in cell.outputs:
            text = output.get("text", "")
            wide = [line for line in text.splitlines() if len(line) > 100]
            assert not wide, f"printed lines of more than 100 characters: {wide[:1]}"
            if "image/png" in output.get("data", {}):
                alt = output["data"]["text/plain"]
                assert len(alt) <= 260 and not re.search(r"[.!?] [A-Z]", alt), (
                    f"not a caption: {alt}"
                )


@CHAPTERS
def test_at_most_a_quarter_is_not_compared(source):
    code = code_of(book.read(source))
    ignored = [c for c in code if {"nbval-ignore-output", "nbval-skip"} & set(tags_of(c))]
    assert not any("nbval-skip" in tags_of(c) for c in code), "every cell runs"
    assert 4 * len(ignored) <= len(code), f"{len(ignored)} of {len(code)} cells are not compared"


@CHAPTERS
def test_cells_suit_a_strict_comparison(source):
    for cell in code_of(book.read(source)):
        last = cell.source.rstrip().splitlines()[-1]
        assert not last.endswith(";"), f"nbval shows what ';' hides: {last}"
        bad = r"tqdm|clear_output|\binteract\(|interactive_output|widgets\.Output"
        assert not re.search(bad, cell.source), "does not survive a strict comparison"


@CHAPTERS
def test_chapter_has_its_parts(source):
    cells = book.read(source).cells
    prose = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    number = source.name[:2]
    assert prose.startswith(f"# {number} · ")
    parts = ["You will be able to", "Predict before you run", "What the sources say"]
    missing = [part for part in [*parts, "Recap", "References", "Next"] if part not in prose]
    assert not missing
    code = "\n".join(c.source for c in cells if c.cell_type == "code")
    assert "explore(" in code, "no widget"
    assert f'ledger.scoreboard("{number}")' in code
    shown = "progress()" if number == "00" else f'progress("{number}")'
    assert shown in cells[-1].source, "how much is done, in 00 of the whole course"


def test_a_rebuild_without_a_change_gives_the_same_bytes():
    source = book.sources(["00"])[0]
    for folder, make in book.BUILDS:
        again = book.execute(make(book.read(source)), book.ROOT / folder)
        path = book.ROOT / folder / f"{source.stem}.ipynb"
        assert nbformat.writes(again).rstrip() == path.read_text(encoding="utf-8").rstrip()


@pytest.mark.parametrize("change", [False, True], ids=["as stored", "one fact changed"])
def test_nbval_notices_one_changed_fact(tmp_path, change):
    notebook = stored(book.sources(["00"])[0], "chapters")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    (fact,) = [output for output in outputs if "100,004 ratings" in output.get("text", "")]
    if change:
        fact.text = fact.text.replace("100,004", "100,005")
    nbformat.write(notebook, tmp_path / "toy.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "toy.ipynb"]
    command += ["-c", str(book.ROOT / "pyproject.toml"), f"--rootdir={tmp_path}"]
    command += [f"--nbval-sanitize-with={book.ROOT / 'tests/nbval_sanitize.cfg'}"]
    env = {**os.environ, **book.ENVIRONMENT, "PYTHONPATH": str(book.ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode == 1) is change, done.stdout[-3000:] + done.stderr[-1000:]
    assert ("1 failed" in done.stdout) is change, done.stdout[-3000:]
