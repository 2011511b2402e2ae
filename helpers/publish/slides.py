"""A deck of slides per chapter, from the cells of its core; each a file that needs no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from helpers import book, files
from helpers.publish import tools
from helpers.publish.chapters import Chapter, chapter

MOST, WORDS = 30, 55  # slides; words of a prose, the rest goes to the notes
_SLIDE = re.compile(r"^=== (\w*)\n(.*)\n([\s\S]*?)\nNote:\n([\s\S]*?)(?=\n=== |\Z)", re.MULTILINE)
Slide = dict[str, Any]  # title, body and notes in Markdown; exercise, quiz, predict or other; load


def main(arguments: Sequence[str]) -> int:
    """Write the decks into the folder that is named, or build/slides; return an exit code."""
    folder = tools.parser("slides", __doc__, tools.BUILD / "slides").parse_args(arguments).out
    template, reader = tools.TEMPLATES.get_template("slides.html"), tools.markdown()
    for found in map(chapter, book.sources()):
        slides, out = deck(found), folder / f"{found.name}.html"
        files.write(out, template.render(title=found.title, slides=slides, reader=reader))
        print(f"{out}: {len(slides)} slides", flush=True)
    return 0


def deck(found: Chapter) -> list[Slide]:
    """Return the slides of a chapter; neighbors of a section share one until there are few."""
    text = tools.TEMPLATES.get_template("deck.md").render(found=found)
    slides = [_slide(*parts) for parts in _SLIDE.findall(text)]
    return next(made for full in count(60, 10) if len(made := _joined(slides, full)) <= MOST)


def _joined(slides: Sequence[Slide], full: int) -> list[Slide]:
    made = [slides[0]]
    for slide in slides[1:]:
        last = made[-1]
        # what follows a question would answer it
        together = not last["kind"] and slide["kind"] in ("", "predict")
        if together and last["title"] == slide["title"] and last["load"] + slide["load"] <= full:
            both = {key: f"{last[key]}\n\n{slide[key]}" for key in ("body", "notes")}
            made[-1] = slide | both | {"load": last["load"] + slide["load"]}
        else:
            made.append(slide)
    return made


def _slide(kind: str, title: str, text: str, notes: str) -> Slide:
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
