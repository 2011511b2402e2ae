"""Pages of the site as sources for myst-nb, by the templates in ``website``."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml

from helpers import book, files
from helpers.publish.chapters import ASKED, Cell, Chapter
from helpers.publish.tools import TEMPLATES, slug

WEBSITE = Path(__file__).with_name("website")
#: figures that move in other settings, by the id of the cell: outputs whose metadata name a state
States = dict[str, list[Any]]
TEMPLATES.globals["book"] = book
_MACROS: Any = TEMPLATES.get_template("cells.html").module


def write(folder: Path, chapters: Sequence[Chapter], states: States) -> None:
    """Write the sources of all pages and their figures into a folder."""
    for chapter in chapters:
        cells = [made for cell in chapter.cells for made in _cells(folder, chapter, cell, states)]
        for first in [cell for cell in cells if cell.cell_type == "code"][:1]:
            first.metadata.tags = ["hide-input"]  # the imports
        page = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": book.KERNEL})
        files.write(folder / f"{chapter.name}.ipynb", nbformat.writes(page))
    terms = yaml.safe_load((WEBSITE / "glossary.yaml").read_text(encoding="utf-8"))
    cited = yaml.safe_load((book.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    names = {one.number: one.name for one in chapters}
    facts = {"chapters": chapters, "names": names, "terms": terms, "cited": cited}
    for path in WEBSITE.glob("*.md"):
        files.write(folder / path.name, TEMPLATES.get_template(path.name).render(facts))


def said(cell: Cell) -> list[tuple[str, str]]:
    """Return what a cell says of the sources: for each entry an anchor, and its Markdown."""
    if cell.role != "prose" or not cell.heading.startswith("What the sources say"):
        return []
    parts = re.split(r"\n\n(?=\*\*|[^-#|\s])|\n(?=- )", cell.source)
    texts = [part.removeprefix("- ") for part in parts if not part.startswith("#")]
    return [(f"said-{slug(t)}" if f"- {t}" in parts or t[:2] == "**" else "", t) for t in texts]


def _cells(folder: Path, chapter: Chapter, cell: Cell, states: States) -> Iterator[Any]:
    """Yield the cells of a page that stand for one of a chapter."""
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
    asked = [chapter.exercises[id] for id in cell.exercises if cell.role != "prose"]
    moved = [(one.metadata["state"], _figure(folder, one.data)) for one in states.get(cell.id, [])]
    if text := _MACROS.below(cell, chapter, asked, moved).strip():
        yield nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-below")


def _shown(folder: Path, output: Any) -> Any:
    """Return an output as a page shows it: figures with captions, tables that scroll."""
    data = output.get("data", {})
    if "image/png" in data:
        text = _figure(folder, data)
    elif "text/html" in data:
        text = re.sub(r"<th([^>]*)>(&nbsp;)?</th>", r"<td\1></td>", data["text/html"])
        text = text.replace("Run this cell to get the search box.", "In the notebook, type here.")
        text = re.sub(r"(\[\S+, \S+\])(?=<| over)", r'<span class="interval">\1</span>', text)
        text = f'<div class="scroll" tabindex="0">{text}</div>'
    else:
        return output
    return nbformat.v4.new_output("display_data", {"text/html": text})


def _figure(folder: Path, data: dict[str, str]) -> str:
    """Write a PNG under its hash; return it as HTML with its caption."""
    picture = base64.b64decode(data["image/png"])
    name = f"_static/figures/{hashlib.sha256(picture).hexdigest()[:16]}.png"
    files.write(folder / name, picture)
    width, height = (int.from_bytes(picture[i : i + 4], "big") // 2 for i in (16, 20))
    return _MACROS.figure(name, data["text/plain"], width, height)


TEMPLATES.filters["said"] = said
