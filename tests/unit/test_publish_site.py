"""The site: pages without what only a notebook can do, lists that are whole, links that lead on."""

from __future__ import annotations

import dataclasses
import filecmp
import functools
import http.server
import os
import re
import sys
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import ipywidgets as widgets
import matplotlib.pyplot as plt
import nbformat
import pytest
import yaml

from helpers import book, files, interactive
from helpers.exercises.grading import Quiz
from helpers.publish import pages, site, slides, tools
from helpers.publish.chapters import chapter
from helpers.publish.tools import chromium
from helpers.runner.machine import CannotRun
from tests.browser.lab import CHROME_ARGUMENTS

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
    dead_end = (
        r"NOT ATTEMPTED|Run this cell|q\d\.use\(|q\d\.check\(|\bPASS\b: |Shift\+Enter runs|Stuck\?"
    )
    for one in CHAPTERS:
        found = re.findall(dead_end, text_of(sources / f"{one.name}.ipynb"))
        assert set(found) <= ({"NOT ATTEMPTED"} if one.number == "00" else set()), one.name


def test_every_exercise_has_its_hints_and_solution_and_every_quiz_its_reasons(sources):
    for one in CHAPTERS:
        text, listed = text_of(sources / f"{one.name}.ipynb"), text_of(sources / "exercises.md")
        for id, exercise in one.exercises.items():
            anchor = f'id="exercise-{tools.slug(id)}"'
            assert text.count(anchor) == 1 and f"{one.name}.html#{anchor[4:-1]}" in listed
            folded = ["Answer to {}"] if isinstance(exercise, Quiz) else ["Solution of {}"]
            folded += ["Hint 1 of 2 for {}"] * (not isinstance(exercise, Quiz))
            assert all(f"<summary>{words.format(id)}</summary>" in text for words in folded), id


def test_every_figure_has_a_caption_and_every_moving_one_its_other_states(sources, tmp_path):
    moving = next(cell for cell in CHAPTERS[0].cells if cell.controls)
    png = next(o["data"]["image/png"] for o in moving.outputs if "image/png" in o["data"])
    data, named = {"image/png": png, "text/plain": "Nearly all <of them>."}, "top items: 3000"
    state = nbformat.v4.new_output("display_data", data, metadata={"state": named})
    states = {moving.id: [state]}
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


def test_a_chapter_without_figures_or_code_has_a_page_and_a_deck(tmp_path):
    first, *others = CHAPTERS
    bare = [dataclasses.replace(cell, outputs=(), controls="") for cell in first.cells]
    words = [cell for cell in bare if cell.role == "prose" and not cell.exercises]
    for cells in (bare, words):
        one = dataclasses.replace(first, cells=tuple(cells))
        pages.write(tmp_path, [one, *others], {})
        page = text_of(tmp_path / f"{one.name}.ipynb")
        assert "<img" not in page and "## The data" in page
        assert any(slide["title"] == "The data" for slide in slides.deck(one))


def test_a_stored_notebook_of_another_text_is_refused(tmp_path):
    path = book.sources(["01"])[0]
    text = path.read_text(encoding="utf-8")
    (tmp_path / path.name).write_text(text.replace("# ## Recap", "# ## Looking back"))
    said = "01_sparsity.ipynb is missing or of another text: python -m helpers build 01"
    with pytest.raises(CannotRun, match=said):
        chapter(tmp_path / path.name)
    (tmp_path / f"{path.stem}.ipynb").write_bytes(path.with_suffix(".ipynb").read_bytes())
    with pytest.raises(CannotRun, match=said):
        chapter(tmp_path / path.name)
    (tmp_path / path.name).write_text(text)
    assert chapter(tmp_path / path.name).cells == chapter(path).cells


def test_each_term_of_the_glossary_leads_to_a_heading():
    headings = {}
    for path in book.sources():
        text = path.read_text(encoding="utf-8").lower()
        found = re.findall(r"^# #{1,3} (.*)$", text, re.MULTILINE)
        headings[path.name[:2]] = {re.sub(r"[^a-z0-9]+", "-", one).strip("-") for one in found}
    terms = yaml.safe_load((pages.WEBSITE / "glossary.yaml").read_text(encoding="utf-8"))
    ends = [term["where"].split("#") for term in terms]
    assert len(ends) > 50 and [e for e in ends if e[1] not in headings[e[0]]] == []


def test_figures_in_other_settings_are_kept_until_the_chapter_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "STATES", tmp_path)
    path, runs = book.sources(["00"])[0], []

    def execute(notebook, folder):
        runs.append(os.environ["COURSE_STATES"])
        code = next(cell for cell in notebook.cells if cell.cell_type == "code")
        data, meta = {"image/png": "", "text/plain": "low"}, {"state": "k: 0"}
        code.outputs = [
            nbformat.v4.new_output("stream", text="a line"),
            nbformat.v4.new_output("display_data", data, metadata=meta),
        ]
        return notebook

    monkeypatch.setattr(book, "execute", execute)
    assert site.states(path, run=False) == {} and not runs
    (tmp_path / f"{path.stem}-of-old.ipynb").write_text("")
    for run in (True, True, False):
        (found,) = filter(None, site.states(path, run).values())
        assert [one.metadata["state"] for one in found] == ["k: 0"]
    assert runs == ["1"] and len([*tmp_path.iterdir()]) == 1


def test_a_moving_figure_is_also_drawn_at_both_ends_of_its_first_control(monkeypatch):
    shown = []
    monkeypatch.setenv("COURSE_STATES", "1")
    monkeypatch.setattr(interactive, "display", lambda data, **more: shown.append((data, more)))
    for control in (
        widgets.IntSlider(value=5, min=0, max=10),
        widgets.FloatLogSlider(value=1, min=-1, max=1),
        widgets.SelectionSlider(options=[("few", 1), ("many", 9)], value=9),
        widgets.Dropdown(options=["a", "b"]),
        widgets.Text("no ends"),
    ):
        interactive.explore(
            lambda k, n: plt.figure(), alt="{k} of {n}".format, k=control, n=widgets.IntSlider(3)
        )
    said = [(m["metadata"]["state"], d["text/plain"]) for d, m in shown if "state" in m["metadata"]]
    assert said == [
        ("k: 0", "0 of 3"), ("k: 10", "10 of 3"), ("k: 0.1", "0.1 of 3"), ("k: 10", "10.0 of 3"),
        ("k: few", "1 of 3"), ("k: b", "b of 3"),
    ]  # fmt: skip


def test_a_changed_chapter_changes_its_own_page_alone(sources, tmp_path):
    cells = [*CHAPTERS[2].cells]
    cells[-2] = dataclasses.replace(cells[-2], role="prose", source="More.")
    changed = [*CHAPTERS[:2], dataclasses.replace(CHAPTERS[2], cells=tuple(cells)), *CHAPTERS[3:]]
    pages.write(tmp_path, changed, {})
    names = [path.name for path in sources.iterdir() if path.is_file()]
    _, different, missing = filecmp.cmpfiles(sources, tmp_path, names, shallow=False)
    assert (different, missing) == ([f"{CHAPTERS[2].name}.ipynb"], [])


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CannotRun, match="other files"):
        site.main([str(tmp_path)])


def test_without_chromium_there_is_a_sentence_and_no_pdf(tmp_path, monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    with pytest.raises(CannotRun, match="Chromium is not here .*; the pages are written"):
        site.write_pdf(tmp_path, tmp_path, tmp_path / "course.pdf")


def test_a_chromium_that_fails_is_no_pdf(tmp_path, monkeypatch):
    monkeypatch.setenv("CHROMIUM", sys.executable)  # it knows no --headless
    monkeypatch.setattr(site, "sphinx", lambda *given: None)
    with pytest.raises(CannotRun, match="python.* failed; the pages are written"):
        site.write_pdf(tmp_path, tmp_path, tmp_path / "course.pdf")
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "gone"))
    assert tools.chromium() != str(tmp_path / "gone")


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
    for name in (".git/HEAD", "searchindex.js", "_static/old.png"):  # an older site, in a checkout
        files.write(out / name, "")
    assert site.main([str(out)]) == 0
    assert (out / ".git/HEAD").exists() and not (out / "_static/old.png").exists()
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
        asked, problems = [], []
        for path in sorted(built.glob("*.html")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"{base}/{path.name}")
            page.wait_for_function(
                "() => !document.querySelector('.math') || document.querySelector('mjx-container')"
            )
            # what unfolds fades in, and has too little contrast until then
            page.add_style_tag(
                content="* { animation: none !important; transition: none !important }"
            )
            page.evaluate(
                "document.querySelectorAll('details').forEach(one => { one.open = true; })"
            )
            for broken in Axe().run(page).response["violations"]:
                said = [node["html"][:200] for node in broken["nodes"]]
                if broken["id"] != "region" or not all("logo" in one for one in said):
                    problems.append((path.name, broken["id"], said))
            if page.evaluate("document.documentElement.scrollWidth") > width:
                problems.append((path.name, "wider than the screen"))
            page.close()
        assert asked and all(url.startswith((base, "data:")) for url in asked)
        server.shutdown()
        assert not problems, problems
