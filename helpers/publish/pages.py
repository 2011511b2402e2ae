"""Pages of the site as sources for myst-nb, by the templates in ``website``."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml

from helpers import book, files
from helpers.exercises.grading import Quiz
from helpers.exercises.source import worked
from helpers.publish.chapters import ASKED, Cell, Chapter
from helpers.publish.tools import TEMPLATES, slug

WEBSITE = Path(__file__).with_name("website")
#: other states of figures that move, by the id of the cell: the setting, a text, a PNG in base 64
States = dict[str, list[tuple[str, str, str]]]


def write(folder: Path, chapters: Sequence[Chapter], states: States) -> None:
    """Write the sources of all pages and their figures into a folder."""
    for chapter in chapters:
        cells = [made for cell in chapter.cells for made in _cells(folder, chapter, cell, states)]
        first = next(cell for cell in cells if cell.cell_type == "code")
        first.metadata.tags = ["hide-input"]  # the imports
        page = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": book.KERNEL})
        files.write(folder / f"{chapter.name}.ipynb", nbformat.writes(page))
    with (WEBSITE / "glossary.csv").open(encoding="utf-8", newline="") as file:
        terms = sorted(csv.DictReader(file), key=lambda row: row["term"].lower())
    cited = yaml.safe_load((book.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    facts = {"chapters": chapters, "terms": terms, "cited": cited, "address": book.repository()}
    first_page = f"{chapters[0].name}.ipynb"
    facts |= {"launchers": book.launchers(book.repository(), first_page)}
    facts |= {"names": {c.number: c.name for c in chapters}, "questions": _questions(chapters[0])}
    for path in WEBSITE.glob("*.md"):
        files.write(folder / path.name, TEMPLATES.get_template(path.name).render(facts))


def said(cell: Cell) -> list[tuple[str, str]]:
    """Return what a cell says of the sources: for each entry an anchor, and its Markdown."""
    if cell.role != "prose" or not cell.section.startswith("What the sources say"):
        return []
    parts = re.split(r"\n\n(?=\*\*|[^-#|\s])|\n(?=- )", cell.source)
    texts = [part.removeprefix("- ") for part in parts if not part.startswith("#")]
    return [(f"said-{slug(t)}" if f"- {t}" in parts or t[:2] == "**" else "", t) for t in texts]


def _cells(folder: Path, chapter: Chapter, cell: Cell, states: States) -> Iterator[Any]:
    """Yield the cells of a page that stand for one of a chapter."""
    facts = {"cell": cell, "chapter": chapter, "address": book.repository(), "asked": []}
    if cell.role == "prose":
        text = cell.source.replace("../chapters/ncf", "ncf")
        text = ASKED.sub(lambda m: f'<span id="exercise-{slug(m[1])}"></span>{m[0]}', text)
        for anchor, words in said(cell):
            text = text.replace(words, f'<span id="{anchor}"></span>{words}') if anchor else text
        yield nbformat.v4.new_markdown_cell(text, id=cell.id)
    elif cell.role in ("code", "answer"):
        made = nbformat.v4.new_code_cell(cell.source, id=cell.id)
        made.metadata.tags = ["hide-input"] if "fold" in cell.tags else []
        made.outputs = [_shown(folder, output) for output in cell.outputs]
        yield made
    facts["asked"] = [
        (q, "quiz" if isinstance(q, Quiz) else worked(q.id))
        for q in (chapter.exercises[id] for id in cell.exercises if cell.role != "prose")
    ]
    facts["moved"] = [
        (setting, _figure(folder, data, alt)) for setting, alt, data in states.get(cell.id, [])
    ]
    if text := _macro("below")(**facts).strip():
        yield nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-below")


def _shown(folder: Path, output: Any) -> Any:
    """Return an output as a page shows it: figures with captions, tables that scroll."""
    data = output.get("data", {})
    if "image/png" in data:
        text = _figure(folder, data["image/png"], data["text/plain"])
    elif "text/html" in data:
        text = re.sub(r"<th([^>]*)>(&nbsp;)?</th>", r"<td\1></td>", data["text/html"])
        text = text.replace("Run this cell to get the search box.", "In the notebook, type here.")
        text = re.sub(r"(\[\S+, \S+\])(?=<| over)", r'<span class="interval">\1</span>', text)
        text = f'<div class="scroll" tabindex="0">{text}</div>'
    else:
        return output
    return nbformat.v4.new_output("display_data", {"text/html": text})


def _figure(folder: Path, data: str, alt: str) -> str:
    """Write a PNG under its hash; return it as HTML with its caption."""
    picture = base64.b64decode(data)
    name = f"_static/figures/{hashlib.sha256(picture).hexdigest()[:16]}.png"
    files.write(folder / name, picture)
    width, height = (int.from_bytes(picture[i : i + 4], "big") // 2 for i in (16, 20))
    return _macro("figure")(name, alt, width, height)


def _macro(name: str) -> Any:
    return getattr(TEMPLATES.get_template("cells.html").module, name)


def _questions(first: Chapter) -> dict[str, str]:
    """Return the question of each chapter, by number, as the first chapter lists them."""
    listed = "\n".join(cell.source for cell in first.cells[:4])
    return dict(re.findall(r"^\| \[?(\d\d) [^|]*\| ([^|]*) \|", listed, re.MULTILINE))


TEMPLATES.filters["said"] = said
