"""Marks of the chapters: core or optional, honest minutes, short cells, short sentences."""

from __future__ import annotations

import re
import statistics

import pytest

from helpers import book

MARKED = ["00", "01", "02", "03", "04"]  # the other chapters have no marks yet
CHAPTERS = pytest.mark.parametrize("source", book.sources(MARKED), ids=lambda s: s.stem)


def markdown(cells):
    return [c.source for c in cells if c.cell_type == "markdown"]


def minutes(cells):
    """200 words or 20 lines of code a minute, what exercises say, and one for a question."""
    shown = [c for c in cells if c.cell_type == "code" and "fold" not in c.metadata.get("tags", [])]
    code, prose = "\n".join(c.source for c in shown), "\n".join(markdown(cells))
    lines = len(re.findall(r"^.*\S", code, re.MULTILINE))
    exercises = map(int, re.findall(r"\*\*Exercise \d\d\.\d+\*\* \((\d+) min", prose))
    return len(prose.split()) / 200 + lines / 20 + sum(exercises) + code.count(".ask(")


def core_of(cells):
    """Return the cells of the parts tagged as core; a part starts at a cell with a heading."""
    kept, core = [], False
    for cell in cells:
        if cell.cell_type == "markdown" and re.match("#{1,3} ", cell.source):
            core, heading = "core" in cell.metadata.get("tags", []), cell.source.split("\n")[0]
            assert core != heading.endswith(" · optional"), f"core or optional? {heading}"
        kept += [cell] if core else []
    return kept


@CHAPTERS
def test_core_is_short_and_minutes_are_honest(source):
    cells = book.read(source).cells
    core = core_of(cells)
    assert len(core) <= 45
    said = re.search(r"\*\*Time\*\* \| (\d+) minutes for the core, (\d+) for all", str(cells))
    for stated, counted in ((said[1], minutes(core)), (said[2], minutes(cells))):
        assert int(stated) % 5 == 0 and abs(int(stated) - counted) <= 5, f"{stated}: {counted:.0f}"


@CHAPTERS
def test_cells_and_sentences_are_short(source):
    texts = markdown(book.read(source).cells)
    words = [len(text.split()) for text in texts]
    assert statistics.median(words) <= 65 and max(words) <= 130
    prose = "\n\n".join(text.split("**References")[0] for text in texts)
    prose = re.sub(r"```.*?```|^\|.*?$", "", prose, flags=re.DOTALL | re.MULTILINE)
    sentences = re.split(r"(?<=[.!?:])\s+|\n\n|\n[-*] |\n\d+\. ", prose)
    assert not [text for text in sentences if len(text.split()) > 30]
