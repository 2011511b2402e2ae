"""The instructor's guide: one page, from what sources and checks know and what guide.yaml adds."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from helpers import book, files
from helpers.exercises.grading import Exercise, Quiz
from helpers.exercises.messages import with_code
from helpers.publish import forms
from helpers.publish.chapters import ASKED, OPTIONAL, Chapter, chapter

#: by days: the chapters whose core is taken
PLANS = {
    "Half a day (3 h 15)": ("00", "01", "02", "04"),
    "One day (6 h)": ("00", "01", "02", "04", "05", "10"),
    "Two days": tuple(path.name[:2] for path in book.sources()),
}


def main(arguments: Sequence[str]) -> int:
    """Write the guide to the file that is named, or to build/guide.html; return an exit code."""
    out = Path(arguments[0]) if arguments else book.ROOT / "build" / "guide.html"
    files.write(out, guide([chapter(path) for path in book.sources()]))
    print(f"{out}: the guide, one page to print or to read offline.")
    return 0


def guide(chapters: Sequence[Chapter]) -> str:
    """Return the page."""
    more = added()
    parts = [_part(one, more[one.number], more["wrong"]) for one in chapters]
    plans = {
        name: [(part, part["number"] in taken) for part in parts] for name, taken in PLANS.items()
    }
    return forms.fill("guide.html", parts=parts, plans=plans, said=with_code)


def added() -> dict[str, Any]:
    """Return what guide.yaml adds, by chapter, and typical wrong answers by exercise."""
    path = Path(__file__).with_name("templates") / "guide.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _part(one: Chapter, added: dict[str, Any], wrong: dict[str, list[str]]) -> dict[str, Any]:
    """Return what the guide says of one chapter."""
    found = sections(one)
    return {
        "number": one.number,
        "title": one.title,
        "sections": found,
        "core": sum(spent for _, core, spent, _ in found if core),
        "all": sum(spent for *_, spent, _ in found),
        "exercises": [_exercise(q, added["ask"], wrong) for q in one.exercises.values()],
        **{key: added[key] for key in ("message", "discuss", "meanwhile")},
    }


def sections(one: Chapter) -> list[tuple[str, bool, float, list[str]]]:
    """Return heading, whether it is core, minutes and exercises of each section.

    200 words or 20 lines of code a minute, what exercises say, and one for a question.
    """
    found: list[tuple[str, bool, float, list[str]]] = []
    asked = one.exercises
    for cell in book.read(book.sources([one.number])[0]).cells:
        tags, text = cell.metadata.get("tags", []), cell.source
        if heading := re.match("#{1,3} (.*)", text) if cell.cell_type == "markdown" else None:
            found.append((heading[1].removesuffix(OPTIONAL), "core" in tags, 0.0, []))
        title, core, spent, ids = found[-1]
        mine = ASKED.findall(text) if cell.cell_type == "markdown" else []
        mine += re.findall(r'exercise\("(\d\d\.q\d+)"\)', text)
        if cell.cell_type == "markdown":
            spent += len(text.split()) / 200
        elif "fold" not in tags:
            spent += len(re.findall(r"^.*\S", text, re.MULTILINE)) / 20 + text.count(".ask(")
        spent += sum(asked[id].minutes for id in mine if ".q" not in id)
        found[-1] = title, core, spent, [*ids, *mine]
    return found


def _exercise(q: Exercise, ask: dict[str, str], wrong: dict[str, list[str]]) -> dict[str, Any]:
    """Return an exercise with its typical wrong answers; of a quiz, the options and reasons."""
    facts: dict[str, Any] = {"id": q.id, "name": q.name, "minutes": q.minutes, "stretch": q.stretch}
    if isinstance(q, Quiz):
        others = [(q.options[letter], q.why[letter]) for letter in q.options if letter != q.answer]
        right = (q.options[q.answer], q.why[q.answer])
        return facts | {"question": q.question, "right": right, "wrong": others, "ask": ""}
    typical: dict[str, str] = {}  # by sentence
    for body, said in [*q.mistakes, *(("", said) for said in wrong.get(q.id, ()))]:
        typical.setdefault(said, body)
    others = [(body, said) for said, body in typical.items()][:4]
    return facts | {"wrong": others, "ask": ask[q.id], "hints": q.hints}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
