"""Marks of the chapters: core or optional, honest minutes, short cells, short sentences."""

from __future__ import annotations

import re
import statistics

import pytest

from helpers import book


def texts(cells, kind):
    shown = (c for c in cells if c.cell_type == kind and "fold" not in c.metadata.get("tags", []))
    return [c.source for c in shown]


def minutes(cells):
    """200 words or 20 lines of code a minute, what exercises say, and one for a question."""
    code, prose = "\n".join(texts(cells, "code")), "\n".join(texts(cells, "markdown"))
    exercises = map(int, re.findall(r"\*\*Exercise \d\d\.\d+\*\* \((\d+) min", prose))
    lines = len(re.findall(r"^.*\S", code, re.MULTILINE))
    return len(prose.split()) / 200 + lines / 20 + sum(exercises) + code.count(".ask(")


@pytest.mark.parametrize("number", ["00", "01", "02", "03", "04", "09"])  # others: no marks yet
def test_parts_are_marked_minutes_are_honest_and_sentences_short(number):
    cells, core, inside = book.read(book.sources([number])[0]).cells, [], False
    for cell in cells:
        if cell.cell_type == "markdown" and re.match("#{1,3} ", cell.source):  # a part starts
            inside, heading = "core" in cell.metadata.get("tags", []), cell.source.split("\n")[0]
            assert inside != heading.endswith(" · optional"), f"core or optional? {heading}"
        core += [cell] if inside else []
    assert len(core) <= 45
    prose = texts(cells, "markdown")
    words = [len(text.split()) for text in prose]
    assert statistics.median(words) <= 65 and max(words) <= 130
    text = "\n\n".join(cell.split("**References")[0] for cell in prose)
    said = re.search(r"\*\*Time\*\* \| (\d+) minutes for the core, (\d+) for all", text)
    for stated, counted in ((said[1], minutes(core)), (said[2], minutes(cells))):
        assert int(stated) % 5 == 0 and abs(int(stated) - counted) <= 5, f"{stated}: {counted:.0f}"
    text = re.sub(r"```.*?```|^\|.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    sentences = re.split(r"(?<=[.!?:])\s+|\n\n|\n[-*] |\n\d+\. ", text)
    assert not [sentence for sentence in sentences if len(sentence.split()) > 30]
