"""A deck of slides per chapter, from the cells of its core; each a file that needs no network."""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import mistune

from helpers import book, files
from helpers.exercises.grading import Quiz
from helpers.publish import forms, site
from helpers.publish.chapters import OPTIONAL, Cell, Chapter, chapter

WORDS = 55  # shown of a cell's prose; what follows goes to the notes
LINES = 10  # of a printed text
MOST = 30  # slides of a deck
_markdown = mistune.create_markdown(escape=False, plugins=["table", "math"])
_FORMULA = re.compile(
    r'<div class="math">\$\$(.*?)\$\$</div>|<span class="math">\\\((.*?)\\\)</span>', re.DOTALL
)
_CONVERT = """import json, sys; from latex2mathml.converter import convert
print(json.dumps([convert(text, display=kind) for text, kind in json.load(sys.stdin)]))"""
Slide = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Write a deck for every chapter, or for some; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m helpers slides", description=__doc__)
    parser.add_argument(
        "out", type=Path, nargs="?", default=site.BUILD / "slides", help="build/slides"
    )
    parser.add_argument("--only", nargs="+", metavar="NN", help="chapter numbers")
    chosen = parser.parse_args(arguments)
    python = site.environment()
    if python is None:
        return 1
    for path in book.sources(chosen.only):
        found = chapter(path)
        slides = deck(found)
        page = forms.fill("slides.html", title=found.title, slides=slides)
        files.write(chosen.out / f"{found.name}.html", with_formulas(page, python))
        print(f"{chosen.out / found.name}.html: {len(slides)} slides", flush=True)
    return 0


def with_formulas(page: str, python: Path) -> str:
    """Return a page whose formulas are MathML, made by the site's environment."""
    asked = [
        [html.unescape(block or inline).strip(), "block" if block else "inline"]
        for block, inline in _FORMULA.findall(page)
    ]
    told = subprocess.run(
        [str(python), "-c", _CONVERT],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    # bars of a norm keep their height beside an exponent
    made = iter(
        json.loads(told.stdout.replace("<mo>&#x02016;", '<mo stretchy=\\"false\\">&#x02016;'))
    )
    return _FORMULA.sub(lambda _: next(made), page)


def deck(found: Chapter) -> list[Slide]:
    """Return the slides of a chapter: title, body and notes as HTML."""
    slides: list[Slide] = []
    inside, section = False, ""
    for cell in found.cells:
        heading = re.match(r"#{1,3} (.*)", cell.source) if cell.role == "prose" else None
        if heading:
            inside = not heading[1].endswith(OPTIONAL)
            section = heading[1].removeprefix(f"{found.number} · ")
        slides += _slides(found, cell, section) if inside else ()
    return next(made for full in count(60, 10) if len(made := _joined(slides, full)) <= MOST)


def _joined(slides: Sequence[Slide], full: int) -> list[Slide]:
    """Return slides of which neighbors of a section share one, as long as it is not too full."""
    made: list[Slide] = []
    for slide in slides:
        last = made[-1] if made else slide
        together = last["kind"] == slide["kind"] == "" and last["title"] == slide["title"]
        if made and together and _load(last) + _load(slide) <= full:
            made[-1] = last | {key: last[key] + slide[key] for key in ("body", "notes")}
        else:
            made.append(slide)
    return made


def _load(slide: Slide) -> int:
    """Return how full a slide is: words, and what figures, formulas and rows take beside them."""
    body = slide["body"]
    words = len(re.sub("<[^>]*>", " ", body).split())
    rows = body.count("<tr") + (body.count("\n") if "<pre>" in body else 0)
    return words + 40 * body.count("<img") + 8 * body.count('<div class="math"') + 4 * rows


def _slides(found: Chapter, cell: Cell, section: str) -> Iterator[Slide]:
    """Yield the slides that stand for a cell."""
    if cell.role == "prose" and "**You will be able to**" in cell.source:
        rows = dict(re.findall(r"^\| \*\*(.*?)\*\* \| (.*) \|$", cell.source, re.MULTILINE))
        items = "\n".join(f"- {item}" for item in rows["You will be able to"].split(" · "))
        yield _slide(
            "You will be able to", items, f"**Time** {rows['Time']}. **Needs** {rows['Needs']}."
        )
    elif cell.role == "prose":
        text = re.sub(r"^#{1,3} .*\n+", "", cell.source)
        text, mark, task = text.partition("**Exercise ")
        if text.strip():
            yield _reading(section, text)
        if mark:
            id = cell.exercises[0]
            one = found.exercises[id]
            hints = "\n".join(f"- Hint: {hint}" for hint in one.hints)
            yield _reading(
                f"Exercise {id} · {one.minutes} min", task.partition("). ")[2], hints
            ) | {"kind": "exercise"}
    for question in cell.guesses:
        words, _, options = question.rstrip(")").partition(" (")
        items = "\n".join(f"- {option}" for option in options.split(" · ") if option)
        yield _slide(section, f"**{words}**\n\n{items}", "Let everybody write a guess down.")
    for id in cell.exercises if cell.role == "quiz" else ():
        quiz = found.exercises[id]
        assert isinstance(quiz, Quiz)
        items = "\n".join(f"- {letter}) {text}" for letter, text in quiz.options.items())
        why = "\n".join(f"- {letter}) {text}" for letter, text in quiz.why.items())
        yield _slide(
            "Question", f"**{quiz.question}**\n\n{items}", f"The answer is {quiz.answer}.\n\n{why}"
        ) | {"kind": "quiz"}
    for output in cell.outputs if cell.role == "code" else ():
        yield from _outputs(output, section)
    for text in cell.met:
        yield _slide(section, f"*Your guess:* {text}", "")


def _outputs(output: dict[str, Any], section: str) -> Iterator[Slide]:
    """Yield the slide of a figure, a table, or a printed text."""
    data = output.get("data", {})
    if "image/png" in data:
        alt = html.escape(data["text/plain"])
        picture = f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{alt}">'
        yield _slide(section, "", "") | {
            "body": f"<figure>{picture}</figure>",
            "notes": f"<p>{alt}</p>",
        }
    elif "text/html" in data:
        yield _slide(section, "", "") | {"body": data["text/html"]}
    elif output.get("name") == "stdout":
        lines = output["text"].rstrip().splitlines()
        shown = html.escape("\n".join(lines[:LINES]) + "\n…" * (len(lines) > LINES))
        yield _slide(section, "", "") | {"body": f"<pre>{shown}</pre>"}


def _reading(title: str, text: str, notes: str = "") -> Slide:
    """Return a slide of a prose: first words, formulas, tables; the rest goes to the notes."""
    shown, hidden, words = [], [], 0
    for block in text.strip().split("\n\n"):
        words += len(block.split())
        fits = words <= WORDS or not shown or block.startswith(("$$", "|", "- "))
        (shown if fits else hidden).append(block)
    return _slide(title, "\n\n".join(shown), "\n\n".join([*hidden, notes]))


def _slide(title: str, text: str, notes: str) -> Slide:
    texts = (re.sub(r"\(([\w./]+\.ipynb)[^)]*\)", "()", part) for part in (text, notes))
    body, said = (str(_markdown(part)).replace('<a href="">', "<a>") for part in texts)
    return {"title": str(_markdown(title))[3:-5], "body": body, "notes": said, "kind": ""}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
