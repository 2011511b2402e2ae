"""The instructor's guide: one page, from what sources and checks know and what guide.yaml adds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import yaml

from helpers import book, files
from helpers.publish.chapters import Chapter, chapter
from helpers.publish.tools import BUILD, HERE, TEMPLATES, parser

#: what no source says, by chapter; plans by name; typical wrong answers by exercise
ADDED = yaml.safe_load((HERE / "templates" / "guide.yaml").read_text(encoding="utf-8"))
Section = tuple[str, bool, float, list[str]]  # heading, whether it is core, minutes, exercises


def main(arguments: Sequence[str]) -> int:
    """Write the guide to the file that is named, or to build/guide.html; return an exit code."""
    out = parser("guide", __doc__, BUILD / "guide.html").parse_args(arguments).out
    chapters = map(chapter, book.sources())
    parts = {one.number: (one, sections(one), ADDED[one.number]) for one in chapters}
    files.write(out, TEMPLATES.get_template("guide.html").render(ADDED, parts=parts))
    print(f"{out}: the guide, one page to print or to read offline.")
    return 0


def sections(one: Chapter) -> list[Section]:
    """Return the sections of a chapter, timed as tests time it, with what exercises say."""
    found: list[Section] = []
    for (heading, core), cells in groupby(one.cells, key=lambda cell: (cell.heading, cell.core)):
        spent, ids = 0.0, list[str]()
        for cell in cells:
            asked = cell.exercises if cell.role in ("prose", "quiz") else ()
            ids += asked
            minutes = (one.exercises[id].minutes for id in asked if cell.role == "prose")
            spent += cell.minutes + sum(minutes)
        found.append((heading, core, spent, ids))
    return found
