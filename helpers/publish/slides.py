"""A deck of slides per chapter, from the cells of its core; each a file that needs no network."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from helpers import book, files
from helpers.publish import tools
from helpers.publish.chapters import OPTIONAL, Cell, Chapter, chapter

MOST, WORDS = 30, 55  # slides; words of a prose, the rest goes to the notes
_SLIDE = re.compile(r"^=== (\w*)\n(.*)\n([\s\S]*?)\nNote:\n([\s\S]*?)(?=\n=== |\Z)", re.MULTILINE)
Slide = dict[str, Any]  # title, body and notes in Markdown; exercise, quiz or other; how full


def main(arguments: Sequence[str]) -> int:
    """Write the decks of all chapters, or of some; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m helpers slides", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=book.ROOT / "build" / "slides")
    parser.add_argument("--only", nargs="+", metavar="NN", help="chapter numbers")
    chosen = parser.parse_args(arguments)
    template, reader = tools.TEMPLATES.get_template("slides.html"), tools.markdown()
    for path in book.sources(chosen.only):
        slides, out = deck(chapter(path)), chosen.out / f"{path.stem}.html"
        page = template.render(title=chapter(path).title, slides=slides, reader=reader)
        files.write(out, page)
        print(f"{out}: {len(slides)} slides", flush=True)
    return 0


def deck(found: Chapter) -> list[Slide]:
    """Return the slides of a chapter; neighbors of a section share one until there are few."""
    slides: list[Slide] = []
    inside, section = False, ""
    for cell in found.cells:
        if heading := re.match(r"#{1,3} (.*)", cell.source) if cell.role == "prose" else None:
            inside = not heading[1].endswith(OPTIONAL)
            section = heading[1].removeprefix(f"{found.number} · ")
        slides += _slides(found, cell, section) if inside else ()
    return next(made for full in count(60, 10) if len(made := _joined(slides, full)) <= MOST)


def _joined(slides: Sequence[Slide], full: int) -> list[Slide]:
    made = [slides[0]]
    for slide in slides[1:]:
        last = made[-1]
        together = not last["kind"] + slide["kind"] and last["title"] == slide["title"]
        if together and last["load"] + slide["load"] <= full:
            both = {key: f"{last[key]}\n\n{slide[key]}" for key in ("body", "notes")}
            made[-1] = last | both | {"load": last["load"] + slide["load"]}
        else:
            made.append(slide)
    return made


def _slides(found: Chapter, cell: Cell, section: str) -> Iterator[Slide]:
    """Yield the slides that stand for a cell, by templates/deck.md."""
    text = re.sub(r"^#{1,3} .*\n+", "", cell.source)
    made = tools.TEMPLATES.get_template("deck.md").module.slides(found, cell, section, text)
    for kind, title, body, notes in _SLIDE.findall(made):
        yield _slide(title, body, notes, kind)


def _slide(title: str, text: str, notes: str, kind: str) -> Slide:
    """Return a slide of the first words of a text and all else that it shows; the rest is notes."""
    kept: dict[bool, list[str]] = {True: [], False: []}
    words = 0
    for block in text.strip().split("\n\n"):
        words += len(block.split())
        fits = words <= WORDS or block.startswith(("$$", "|", "- ", "<", "```"))
        kept[fits or not kept[True]].append(block)
    texts = (title, "\n\n".join(kept[True]), "\n\n".join([*kept[False], notes.strip()]))
    made = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", part) for part in texts]  # no links
    rows = text.count("<tr") or text.startswith("```") * (text.strip().count("\n") - 1)
    load = 40 if "<img" in text else 5 * rows or len(texts[1].split())
    return {"title": made[0], "body": made[1], "notes": made[2], "kind": kind, "load": load}
