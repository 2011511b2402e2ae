"""Pages of the site as sources for myst-nb: chapters, an index, a glossary, two lists."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import yaml

from helpers import book, files
from helpers.exercises.grading import Exercise, Quiz
from helpers.exercises.messages import with_code
from helpers.exercises.source import worked
from helpers.publish.chapters import ASKED, Cell, Chapter

WEBSITE = Path(__file__).with_name("website")
#: pictures of `explore` by the id of its cell: what was set, a text, a PNG in base 64
States = dict[str, list[list[str]]]
_NOTEBOOK_ONLY = re.compile(  # sentences about running cells
    r"\n\n\*[^*]*Shift\+Enter[^*]*\*|\s+For help, run `q1\.hint\(\)`[^.]*\.hint[^.]*?\."
)


def slug(text: str) -> str:
    """Return a text as an anchor: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write(folder: Path, chapters: Sequence[Chapter], states: States) -> None:
    """Write the sources of all pages, their figures and settings into a folder."""
    for chapter in chapters:
        cells = [made for cell in chapter.cells for made in _cells(folder, chapter, cell, states)]
        page = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": book.KERNEL})
        files.write(folder / f"{chapter.name}.ipynb", nbformat.writes(page))
    for name, text in {
        "index": _index(chapters),
        "exercises": _exercises(chapters),
        "glossary": _glossary(chapters),
        "errata": _errata(chapters),
    }.items():
        files.write(folder / f"{name}.md", text)


def _cells(folder: Path, chapter: Chapter, cell: Cell, states: States) -> Iterator[Any]:
    """Yield the cells of a page that stand for one of a chapter."""
    shown = {id: chapter.exercises[id] for id in cell.exercises}
    if cell.role == "prose":
        text = _NOTEBOOK_ONLY.sub("", cell.source).replace("../chapters/ncf_job", "ncf_job")
        text = ASKED.sub(lambda m: f'<span id="{_anchor(m[1])}"></span>{m[0]}', text)
        for said in _said(cell):
            mark = f'<span id="{_said_anchor(said)}"></span>'
            text = text.replace(said, f"- {mark}{said[2:]}" if said[:2] == "- " else mark + said)
        yield nbformat.v4.new_markdown_cell(text, id=cell.id)
    for question in cell.guesses:
        yield _html(f"{cell.id}-{slug(question)[:20]}", _prediction(question))
    if cell.source and cell.role in ("code", "answer"):
        made = nbformat.v4.new_code_cell(cell.source, id=cell.id)
        made.metadata.tags = ["hide-input"] if "fold" in cell.tags else []
        made.outputs = [_shown(folder, output) for output in cell.outputs]
        yield made
    for name, one in shown.items():
        if isinstance(one, Quiz):
            yield _html(cell.id, _quiz(one))
        elif cell.role == "answer":
            yield nbformat.v4.new_markdown_cell(_help(one), id=f"{cell.id}-help")
    if cell.controls:
        yield _html(f"{cell.id}-states", _states(folder, chapter, cell, states.get(cell.id, [])))
    if cell.met:
        told = " ".join(f"<p>What you predicted: {with_code(text)}</p>" for text in cell.met)
        yield _html(f"{cell.id}-met", f'<div class="met">{told}</div>')


def _html(id: str, text: str) -> Any:
    return nbformat.v4.new_markdown_cell(text, id=id)


def _anchor(id: str) -> str:
    return f"exercise-{id.replace('.', '-')}"


def _prediction(question: str) -> str:
    words, _, options = question.rstrip(")").partition(" (")
    items = "".join(f"<li>{with_code(option)}</li>" for option in options.split(" · ") if option)
    said = f"<strong>Predict:</strong> {with_code(words)}"
    return f'<div class="predict"><p>{said}</p><ul>{items}</ul></div>'


def _help(one: Exercise) -> str:
    """Return two hints and a solution, folded, as Markdown."""
    folded = [
        (f"Hint {n} of {len(one.hints)}", f"<p>{with_code(text)}</p>")
        for n, text in enumerate(one.hints, 1)
    ]
    made = [f"<details><summary>{title}</summary>{text}</details>" for title, text in folded]
    code = f"```python\n{worked(one.id)}\n```"
    solved = f"<details><summary>Solution</summary>\n\n{code}\n\n</details>"
    return f'<div class="help">\n\n{"".join(made)}{solved}\n\n</div>'


def _quiz(one: Quiz) -> str:
    options = "".join(f"<li>{with_code(text)}</li>" for text in one.options.values())
    reasons = "".join(
        f"<li><strong>{'right' if letter == one.answer else 'no'}:</strong> {with_code(why)}</li>"
        for letter, why in one.why.items()
    )
    return (
        f'<div class="quiz" id="{_anchor(one.id)}"><p><strong>{with_code(one.question)}</strong>'
        f'</p><ol type="a">{options}</ol><details><summary>Answer</summary>'
        f'<p>{one.answer}) is right.</p><ol type="a">{reasons}</ol></details></div>'
    )


def _figure(folder: Path, data: str, alt: str) -> str:
    """Write a PNG once, under its hash; return it as HTML with its caption."""
    picture = base64.b64decode(data)
    name = f"_static/figures/{hashlib.sha256(picture).hexdigest()[:16]}.png"
    if not (folder / name).exists():
        files.write(folder / name, picture)
    width, height = (int.from_bytes(picture[i : i + 4], "big") // 2 for i in (16, 20))
    text = html.escape(alt)
    image = f'<img src="{name}" alt="{text}" width="{width}" height="{height}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _shown(folder: Path, output: Any) -> Any:
    """Return an output as a page shows it: figures with captions, tables that scroll."""
    data = output.get("data", {})
    if "image/png" in data:
        text = _figure(folder, data["image/png"], data["text/plain"])
    elif "text/html" in data:
        text = re.sub(r"<th([^>]*)>(&nbsp;)?</th>", r"<td\1></td>", data["text/html"])
        text = f'<div class="scroll" tabindex="0" role="region" aria-label="Output">{text}</div>'
    else:
        return output
    return nbformat.v4.new_output("display_data", {"text/html": text})


def _states(folder: Path, chapter: Chapter, cell: Cell, states: list[list[str]]) -> str:
    """Return other states of a figure that moves, folded, and where to move it."""
    parts = [
        f"<details><summary>{html.escape(setting)}</summary>{_figure(folder, data, alt)}</details>"
        for setting, alt, data in states
    ]
    where = f"<code>python -m helpers lab</code>, chapter {chapter.number}"
    if address := book.repository():
        links = book.launchers(address, f"{chapter.name}.ipynb").items()
        where = " · ".join(f'<a href="{url}">{name}</a>' for name, url in links)
    moves = f"Move it in the notebook ({html.escape(cell.controls)}): {where}"
    return f'<div class="states"><p>{moves}</p>{"".join(parts)}</div>'


def _said(cell: Cell) -> list[str]:
    """Return what a cell says of the sources, an entry of Markdown each."""
    if cell.role != "prose" or not cell.section.startswith("What the sources say"):
        return []
    parts = re.split(r"\n\n(?=\*\*|#)|\n(?=- )", cell.source)
    first = [parts[-1]] if cell.source.startswith("## ") and len(parts) == 1 else []
    return [part for part in parts if part.startswith(("**", "- "))] or first


def _said_anchor(entry: str) -> str:
    return f"said-{slug(entry)[:40].strip('-')}"


def _errata(chapters: Sequence[Chapter]) -> str:
    """Return the page of what the chapters correct, each with what its cell prints."""
    text = (WEBSITE / "errata.md").read_text(encoding="utf-8")
    for chapter in chapters:
        text += f"\n## {chapter.title}\n"
        for cell in chapter.cells:
            for entry in _said(cell):
                place = f"{chapter.name}.html#{_said_anchor(entry)}"
                shown = re.sub(r"^##.*\n+", "", entry.removeprefix("- "))
                text += f'\n{shown}\n\n<p><a href="{place}">Where chapter {chapter.number} shows it</a></p>\n'
    return text


def _link(chapter: Chapter, anchor: str = "", text: str = "") -> str:
    place = f"{chapter.name}.html" + (f"#{anchor}" if anchor else "")
    return f'<a href="{place}">{text or html.escape(chapter.title)}</a>'


def _exercises(chapters: Sequence[Chapter]) -> str:
    """Return the page that lists exercises and quizzes."""
    text = "# Exercises and quizzes\n\nMinutes are for a careful reader; *stretch* goes beyond the chapter.\n"
    for chapter in chapters:
        rows = []
        for id, one in chapter.exercises.items():
            if isinstance(one, Quiz):
                words = with_code(one.question)
            else:
                words = f"<code>{one.name}</code>, {one.minutes} min{', <em>stretch</em>' * one.stretch}"
            rows.append(f"<li>{_link(chapter, _anchor(id), id)}: {words}</li>")
        text += f"\n## {chapter.title}\n\n<ul>{''.join(rows)}</ul>\n"
    return text


def _glossary(chapters: Sequence[Chapter]) -> str:
    """Return the page of terms, from glossary.csv: a term, its meaning, and where it is explained."""
    by_number = {chapter.number: chapter for chapter in chapters}
    lines = (WEBSITE / "glossary.csv").read_text(encoding="utf-8").splitlines()
    terms = []
    for row in sorted(csv.DictReader(lines), key=lambda row: row["term"].lower()):
        number, _, anchor = row["where"].partition("#")
        place = _link(by_number[number], anchor, f"chapter {number}")
        meaning = f"{with_code(row['meaning'])} ({place})"
        terms.append(
            f'<dt id="{slug(row["term"])}">{html.escape(row["term"])}</dt><dd>{meaning}</dd>'
        )
    return (
        f"# Glossary\n\nThe field's terms, as this course uses them.\n\n<dl>{''.join(terms)}</dl>\n"
    )


def _index(chapters: Sequence[Chapter]) -> str:
    """Return the first page: what you will be able to do, the map, how to cite."""
    rows, after = [], {}
    questions = "".join(cell.source for cell in chapters[0].cells[:4])
    for chapter in chapters:
        number = chapter.number
        found = re.search(rf"\| \[?{number} [^|]*\| ([^|]*) \| ?(\d\d)? ?\|", questions)
        question, after[number] = (found[1], found[2] or "") if found else ("", "")
        text = "".join(cell.source for cell in chapter.cells[:8])
        able, time = (_row(text, name) for name in ("You will be able to", "Time"))
        items = "".join(f"<li>{with_code(item)}</li>" for item in able.split(" · "))
        rows.append(
            f"<dt>{_link(chapter)}</dt><dd><em>{question}</em> {time}.<ul>{items}</ul></dd>"
        )
    cited = yaml.safe_load((book.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    names = " and ".join(author["name"] for author in cited["authors"])
    year, address = str(cited["date-released"])[:4], book.repository()
    cite = f"{names}, {year}: *{cited['title']}*, version {cited['version']}. {address}"
    launch = (
        " · ".join(
            f"[{n}]({url})"
            for n, url in book.launchers(address, f"{chapters[0].name}.ipynb").items()
        )
        if address
        else ""
    )
    text = (WEBSITE / "index.md").read_text(encoding="utf-8")
    for name, value in {
        "LAUNCH": f"Or open it in {launch}." if launch else "",
        "CHAPTERS": f'<dl class="chapters">{"".join(rows)}</dl>',
        "CITE": cite.strip(),
        "TOC": "\n".join(chapter.name for chapter in chapters),
    }.items():
        text = text.replace(f"@{name}@", value)
    return text


def _row(text: str, name: str) -> str:
    """Return a row of a header table, without its Markdown."""
    found = re.search(rf"\| \*\*{name}\*\* \| (.*) \|", text)
    return found[1].rstrip(".") if found else ""
