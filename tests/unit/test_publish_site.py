"""The site: pages without what only a notebook can do, lists that are whole, links that lead on."""

from __future__ import annotations

import dataclasses
import filecmp
import functools
import http.server
import os
import re
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from helpers import book
from helpers.exercises.grading import Quiz
from helpers.publish import pages, site
from helpers.publish.chapters import chapter
from tests.browser.lab import CHROME_ARGUMENTS, chromium

CHAPTERS = [chapter(path) for path in book.sources()]
full = pytest.mark.skipif(not os.environ.get("COURSE_FULL"), reason="takes minutes: test --full")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pages.write(folder, CHAPTERS, {})
    return folder


def text_of(path):
    cells = nbformat.read(path, 4).cells if path.suffix == ".ipynb" else []
    outputs = [str(o.get("data", o.get("text"))) for c in cells for o in c.get("outputs", [])]
    return "\n".join([cell.source for cell in cells] + outputs) or path.read_text(encoding="utf-8")


def test_pages_hold_nothing_that_only_a_notebook_can_do(sources):
    dead_end = r"NOT ATTEMPTED|Run this cell|q\d\.use\(|q\d\.check\(|\bPASS\b: |Shift\+Enter runs"
    for one in CHAPTERS:
        found = re.findall(dead_end, text_of(sources / f"{one.name}.ipynb"))
        assert set(found) <= ({"NOT ATTEMPTED"} if one.number == "00" else set()), one.name


def test_every_exercise_has_its_hints_and_solution_and_every_quiz_its_reasons(sources):
    for one in CHAPTERS:
        text, listed = text_of(sources / f"{one.name}.ipynb"), text_of(sources / "exercises.md")
        for id, exercise in one.exercises.items():
            anchor = f'id="exercise-{pages.slug(id)}"'
            assert text.count(anchor) == 1 and f"{one.name}.html#{anchor[4:-1]}" in listed
            folded = ["Answer to {}"] if isinstance(exercise, Quiz) else ["Solution of {}"]
            folded += ["Hint 1 of 2 for {}"] * (not isinstance(exercise, Quiz))
            assert all(f"<summary>{words.format(id)}</summary>" in text for words in folded), id


def test_every_figure_has_a_caption_and_every_moving_one_its_other_states(sources, tmp_path):
    moving = next(cell for cell in CHAPTERS[0].cells if cell.controls)
    png = next(o["data"]["image/png"] for o in moving.outputs if "image/png" in o["data"])
    states = {moving.id: [("top items: 3000", "Nearly all <of them>.", png)]}
    pages.write(tmp_path, CHAPTERS, states)
    text = text_of(tmp_path / f"{CHAPTERS[0].name}.ipynb")
    assert "<summary>top items: 3000</summary>" in text and "Nearly all &lt;of them&gt;." in text
    for one in CHAPTERS:
        images = re.findall(
            r'<img src="(.*?)" alt="(.*?)".*?><figcaption>(.*?)</figcaption>',
            text_of(sources / f"{one.name}.ipynb"),
        )
        assert images and all(alt == said != "" for _, alt, said in images)
        assert all((sources / name).exists() for name, _, _ in images)


def test_a_changed_chapter_changes_its_own_page_alone(sources, tmp_path):
    cells = [*CHAPTERS[2].cells]
    cells[-2] = dataclasses.replace(cells[-2], role="prose", source="More.")
    changed = [*CHAPTERS[:2], dataclasses.replace(CHAPTERS[2], cells=tuple(cells)), *CHAPTERS[3:]]
    pages.write(tmp_path, changed, {})
    names = [path.name for path in sources.iterdir() if path.is_file()]
    _, different, missing = filecmp.cmpfiles(sources, tmp_path, names, shallow=False)
    assert (different, missing) == ([f"{CHAPTERS[2].name}.ipynb"], [])


def test_a_folder_with_other_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    assert site.main([str(tmp_path)]) == 2 and "other files" in capsys.readouterr().err


def test_without_chromium_there_is_a_sentence_and_no_pdf(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(site.shutil, "which", lambda name: None)
    assert site.write_pdf(tmp_path, tmp_path, tmp_path / "course.pdf") == 1
    assert "Chromium is not here" in capsys.readouterr().out


class Page(HTMLParser):
    """The anchors of a page, and what it links to or loads."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.ids += [known["id"]] if known.get("id") else []
        link = known.get("href") or known.get("src")
        if link and not link.startswith(("data:", "mailto:")):
            (self.links if tag == "a" else self.loads).append(link)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "out"
    assert site.main([str(out)]) == 0
    return out


@full
def test_no_link_is_dead_and_nothing_comes_from_elsewhere(built):
    found = {path.name: Page(path.read_text(encoding="utf-8")) for path in built.glob("*.html")}
    assert len(found) == len(CHAPTERS) + 5 and "MathJax" in (
        built / "_static/mathjax/tex-mml-chtml.js"
    ).read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) < 40e6
    for name, page in found.items():
        assert not [i for i in page.ids if re.fullmatch(r"id\d+", i)], "anchors that may move"
        assert not [link for link in page.loads if urlsplit(link).netloc], name
        for link in map(urlsplit, page.links + page.loads):
            target, anchor = unquote(link.path) or name, unquote(link.fragment)
            if not link.netloc and target not in ("", "#"):
                assert (built / target).exists(), f"{name}: {link.geturl()}"
                assert not anchor or anchor in found[target].ids, f"{name}: {link.geturl()}"


@full
@pytest.mark.skipif(not chromium(), reason="no Chromium here (CHROMIUM=/path names one)")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_pages_are_readable_by_all_and_fit_a_phone(built, width, scheme):
    """Except for the theme's own logo, which is outside of its landmarks."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=built)
    handler.log_message = lambda *words: None  # type: ignore[attr-defined]
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as play,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        browser = play.chromium.launch(executable_path=chromium(), args=CHROME_ARGUMENTS)
        asked = []
        for path in sorted(built.glob("*.html")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"{base}/{path.name}")
            page.wait_for_function(
                "() => !document.querySelector('.math') || document.querySelector('mjx-container')"
            )
            page.evaluate(
                "document.querySelectorAll('details').forEach(one => { one.open = true; })"
            )
            found = {
                v["id"]: [n["html"][:200] for n in v["nodes"]]
                for v in Axe().run(page).response["violations"]
            }
            assert set(found) <= {"region"}, f"{path.name}: {found}"
            assert all("logo" in one for one in found.get("region", [])), found
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
            page.close()
        assert asked and all(url.startswith((base, "data:")) for url in asked)
        server.shutdown()
