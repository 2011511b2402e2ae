"""The instructor's guide: one page, from what sources and checks know and what guide.yaml adds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from helpers import book, files
from helpers.publish.chapters import ASKED, OPTIONAL, Chapter, chapter
from helpers.publish.tools import BUILD, HERE, TEMPLATES

Section = tuple[str, bool, float, list[str]]  # heading, whether it is core, minutes, exercises


def main(arguments: Sequence[str]) -> int:
    """Write the guide to the file that is named, or to build/guide.html; return an exit code."""
    out = Path(arguments[0]) if arguments else BUILD / "guide.html"
    chapters = [chapter(path) for path in book.sources()]
    parts = {one.number: (one, sections(one), added()[one.number]) for one in chapters}
    values = {"plans": added()["plans"], "wrong": added()["wrong"]}
    files.write(out, TEMPLATES.get_template("guide.html").render(parts=parts, **values))
    print(f"{out}: the guide, one page to print or to read offline.")
    return 0


def added() -> dict[str, Any]:
    """Return what guide.yaml adds, by chapter, and typical wrong answers by exercise."""
    return dict(yaml.safe_load((HERE / "templates" / "guide.yaml").read_text(encoding="utf-8")))


def sections(one: Chapter) -> list[Section]:
    """Return the sections of a chapter, timed as tests time it.

    200 words or 20 lines of code a minute, what exercises say, and one for a question.
    """
    found: list[Section] = []
    for cell in book.read(book.sources([one.number])[0]).cells:
        tags, text, prose = cell.metadata.get("tags", []), cell.source, cell.cell_type == "markdown"
        if prose and (heading := re.match("#{1,3} (.*)", text)):
            found.append((heading[1].removesuffix(OPTIONAL), "core" in tags, 0.0, []))
        title, core, spent, ids = found[-1]
        ids += ASKED.findall(text) if prose else re.findall(r'exercise\("(\d\d\.q\d+)"\)', text)
        if prose:
            spent += len(text.split()) / 200
            spent += sum(one.exercises[id].minutes for id in ASKED.findall(text))
        elif "fold" not in tags:
            spent += len(re.findall(r"^.*\S", text, re.MULTILINE)) / 20 + text.count(".ask(")
        found[-1] = title, core, spent, ids
    return found
