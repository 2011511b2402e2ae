"""A deck of slides per chapter, from the cells of its core; each a file that needs no network."""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import mistune

from helpers import book, files
from helpers.exercises.grading import Quiz
from helpers.publish import forms, site
from helpers.publish.chapters import OPTIONAL, Cell, Chapter, chapter

MOST, WORDS, ROWS = 30, 55, 10  # slides; words of a prose, the rest goes to the notes; rows
_markdown = mistune.create_markdown(escape=False, plugins=["table", "math"])
_FORMULA = re.compile(
    r'<(?:div|span) class="math">(\$\$|\\\()(.*?)(?:\$\$|\\\))</(?:div|span)>', re.S
)
_CONVERT = """import json, sys; from latex2mathml.converter import convert
print(json.dumps([convert(text, display=kind) for kind, text in json.load(sys.stdin)]))"""
Slide = dict[str, Any]  # title, body and notes as HTML; exercise, quiz or other; how full


def main(arguments: Sequence[str]) -> int:
    """Write the decks of all chapters, or of some; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m helpers slides", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=book.ROOT / "build" / "slides")
    parser.add_argument("--only", nargs="+", metavar="NN", help="chapter numbers")
    chosen = parser.parse_args(arguments)
    python = site.environment()
    for path in book.sources(chosen.only) if python else ():
        slides, out = deck(chapter(path)), chosen.out / f"{path.stem}.html"
        page = forms.fill("slides.html", title=chapter(path).title, slides=slides)
        files.write(out, with_formulas(page, str(python)))
        print(f"{out}: {len(slides)} slides", flush=True)
    return 0 if python else 1


def with_formulas(page: str, python: str) -> str:
    """Return a page whose formulas are MathML, made by the site's environment."""
    kinds = {"$$": "block", "\\(": "inline"}
    asked = [(kinds[mark], html.unescape(text).strip()) for mark, text in _FORMULA.findall(page)]
    command, given = [python, "-c", _CONVERT], json.dumps(asked)
    told = subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout
    # bars of a norm keep their height beside an exponent
    told = told.replace("<mo>&#x02016;", '<mo stretchy=\\"false\\">&#x02016;')
    made = iter(json.loads(told))
    return _FORMULA.sub(lambda _: next(made), page)


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
            made[-1] = last | {key: last[key] + slide[key] for key in ("body", "notes", "load")}
        else:
            made.append(slide)
    return made


def _slides(found: Chapter, cell: Cell, section: str) -> Iterator[Slide]:
    """Yield the slides that stand for a cell."""
    text = re.sub(r"^#{1,3} .*\n+", "", cell.source)
    if cell.role == "prose" and "**You will be able to**" in text:
        if intro := text.partition("| | |")[0].strip():
            yield _slide(section, intro)
        rows = dict(re.findall(r"^\| \*\*(.*?)\*\* \| (.*) \|$", text, re.MULTILINE))
        able = rows["You will be able to"].split(" · ")
        yield _slide("You will be able to", _list(able), f"{rows['Time']}. {rows['Needs']}")
    elif cell.role == "prose":
        text, _, task = text.partition("**Exercise ")
        if text.strip():
            yield _slide(section, text)
        for id in cell.exercises:
            title = f"Exercise {id} · {found.exercises[id].minutes} min"
            hints = _list(f"Hint: {hint}" for hint in found.exercises[id].hints)
            yield _slide(title, task.partition("). ")[2], hints, "exercise")
    for question in cell.guesses:
        words, _, options = question.rstrip(")").partition(" (")
        yield _slide(section, f"**{words}**\n\n{_list(filter(None, options.split(' · ')))}")
    for id in cell.exercises if cell.role == "quiz" else ():
        quiz = found.exercises[id]
        assert isinstance(quiz, Quiz)
        options, why = (_list(map(") ".join, d.items())) for d in (quiz.options, quiz.why))
        answer = f"The answer is {quiz.answer}.\n\n{why}"
        yield _slide("Question", f"**{quiz.question}**\n\n{options}", answer, "quiz")
    for output in cell.outputs if cell.role == "code" else ():
        data, lines = output.get("data", {}), output.get("text", "").rstrip().splitlines()
        if "image/png" in data:
            alt, source = html.escape(data["text/plain"]), data["image/png"].strip()
            source = f"data:image/png;base64,{source}"
            figure = f'<figure><img src="{source}" alt="{alt}"></figure>'
            yield _slide(section, figure, alt, load=40)
        elif 0 < (rows := data.get("text/html", "").count("<tr")) <= 1.5 * ROWS:
            yield _slide(section, data["text/html"].replace("\n", ""), load=5 * rows)
        elif lines:
            more = "\n…" * (len(lines) > ROWS)
            text = "```\n" + "\n".join(lines[:ROWS]) + more + "\n```"
            yield _slide(section, text, load=5 * len(lines[:ROWS]))
    for text in cell.met:
        yield _slide(section, f"*Your guess:* {text}")


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _slide(title: str, text: str, notes: str = "", kind: str = "", load: int = 0) -> Slide:
    """Return a slide of the first words of a text, its formulas and tables; the rest is notes."""
    kept: dict[bool, list[str]] = {True: [], False: []}
    words = 0
    for block in text.strip().split("\n\n"):
        words += len(block.split())
        fits = words <= max(WORDS, 9999 * load) or block.startswith(("$$", "|", "- "))
        kept[fits or not kept[True]].append(block)
    texts = (title, "\n\n".join(kept[True]), "\n\n".join([*kept[False], notes]))
    made = [str(_markdown(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", part))) for part in texts]
    size = load or len(texts[1].split())
    return {"title": made[0][3:-5], "body": made[1], "notes": made[2], "kind": kind, "load": size}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
