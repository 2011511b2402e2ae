"""Chapters in a real JupyterLab: run all cells, move sliders, answer; foreign addresses blocked."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from helpers.book import ROOT, blank, read, sources
from helpers.publish.tools import chromium
from helpers.runner import copies

from .lab import CHROME_ARGUMENTS, READY, lab_server, run_all

sync_api = pytest.importorskip("playwright.sync_api")
none = pytest.mark.skipif(not chromium(), reason="no Chromium here (CHROMIUM=/path names one)")
pytestmark = [pytest.mark.browser, none]
NOTEBOOK = "window.jupyterapp.shell.currentWidget.content"
CELLS = f"() => {NOTEBOOK}.model.sharedModel.toJSON().cells"
BAD_OUTPUTS = f"""{CELLS}.flatMap(cell => cell.outputs || [])
  .filter(output => output.output_type === 'error' || output.name === 'stderr')"""
NOT_RUN = f"""{CELLS}.filter(cell => cell.cell_type === 'code' && !cell.execution_count
  && [cell.source].flat().join('').trim()).length"""

#: pixels from the question above a widget's cell to the end of what the cell shows
HEIGHT = f"""i => {{
  const cells = {NOTEBOOK}.widgets.map(cell => cell.node), output = '.jp-Cell-outputWrapper';
  const below = cells[i].querySelector(output).getBoundingClientRect();
  const asks = cell => [...cell.querySelectorAll('.jp-RenderedMarkdown > *')].at(-1)
    || cell.querySelector('input[type=radio]')?.closest(output);
  while (!asks(cells[--i])) {{}}
  return Math.round(below.bottom - asks(cells[i]).getBoundingClientRect().top);
}}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, home):
    copy = tmp_path_factory.mktemp("course")
    for folder in ("chapters", "helpers", "local_sagemaker", "solutions"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert copies.make(copy) == []
    mine = copy / copies.MINE  # a notebook and a kernel that no other test touches
    shutil.copy(mine / "00_start_here.ipynb", mine / "two_days.ipynb")
    with lab_server(copy, home) as (base, token):
        yield base, token


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium(), args=CHROME_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_chapter(lab, browser):
    """Open a chapter; at the end nothing foreign was asked for and no script failed."""
    base, token = lab
    foreign: list[str] = []
    failures: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})

    def gate(route):
        if route.request.url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    context.route("**/*", gate)

    def open_(name):
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"{base}/lab/tree/my_course/{name}.ipynb?token={token}&reset")
        return page

    yield open_
    context.close()
    assert not foreign, foreign
    assert not failures, failures


def picture_of(page, name):
    folder = os.environ.get("COURSE_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


def move_first_slider(page, name):
    """Press the right arrow on the first slider; its picture and its words must change."""
    page.locator(".widget-slider").first.scroll_into_view_if_needed()
    picture = (
        page.locator(".jp-Cell", has=page.locator(".widget-slider")).first.locator("img").first
    )
    picture.wait_for(timeout=20_000)
    before, words = picture.get_attribute("src"), picture.get_attribute("alt")
    assert words
    picture_of(page, f"{name}-before")
    page.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(  # each value brings a new img element, so it is looked up every time
        """old => {
          const image = document.querySelector('.noUi-handle').closest('.jp-Cell')
            .querySelector('.widget-html img');
          return image && image.src !== old;
        }""",
        arg=before,
        timeout=30_000,
    )
    assert picture.get_attribute("alt") != words, "the words move with the picture"
    picture_of(page, f"{name}-after")


# others take a minute; 05, 06, 07 and 10 use the local cloud
FULL = bool(os.environ.get("COURSE_FULL"))
CHAPTERS = [s.stem for s in sources() if FULL or s.name[:2] in ("00", "01")]


@pytest.mark.parametrize("name", CHAPTERS)
def test_all_cells_run_and_a_slider_moves(open_chapter, name):
    page = open_chapter(name)
    run_all(page)
    assert page.evaluate(BAD_OUTPUTS) == []  # of all cells; the page holds only those in view
    assert page.evaluate(NOT_RUN) == 0
    move_first_slider(page, name)
    assert problems_of_outputs(page) == {}
    high = {}
    for index, cell in enumerate(page.evaluate(CELLS)):
        if re.search(r"^(explore|answer)\(", "".join(cell["source"]), re.MULTILINE):
            high[index] = page.evaluate(HEIGHT, index)
    assert max(high.values()) <= 680, f"question, sliders and picture need two screens: {high}"


def problems_of_outputs(page):
    """Return what axe-core finds in the outputs of all cells, which are all put into the page."""
    page.evaluate(
        """async () => {
          const notebook = window.jupyterapp.shell.currentWidget.content;
          notebook.notebookConfig = {...notebook.notebookConfig, windowingMode: 'none'};
          await new Promise(done => setTimeout(done, 1500));
        }"""
    )
    options = {"resultTypes": ["violations"], "rules": {name: {"enabled": False} for name in LABS}}
    where = {"include": [[".jp-OutputArea"]], "exclude": [[".noUi-handle"]]}
    found = Axe().run(page, context=where, options=options).response
    return {
        v["id"]: [(n["target"], n["html"][:200]) for n in v["nodes"]] for v in found["violations"]
    }


#: rules that JupyterLab breaks in any notebook, such as an output that can be scrolled without
#: being focused. A slider's handle has no name in ipywidgets; the box beside it has one.
LABS = ("scrollable-region-focusable", "region")


def source_of(page, index):
    return page.evaluate(f"i => {NOTEBOOK}.widgets[i].model.sharedModel.getSource()", index)


def write_and_run(page, index, text):
    """Replace the text of a cell and run it, as a learner would."""
    page.evaluate(
        """([i, text]) => {
          const notebook = window.jupyterapp.shell.currentWidget.content;
          notebook.activeCellIndex = i;
          notebook.widgets[i].model.sharedModel.setSource(text);
          window.ran = null;
          window.jupyterapp.commands.execute('notebook:run-cell')
            .then(ok => { window.ran = {ok}; }, error => { window.ran = {error: String(error)}; });
        }""",
        [index, text],
    )
    page.wait_for_function("() => window.ran", timeout=60_000)


def cell_of(page, index):
    """Scroll to a cell and return it; JupyterLab keeps only the cells in view in the page."""
    page.evaluate(f"i => {NOTEBOOK}.scrollToItem(i, 'start')", index)
    cell = page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{index}"]')
    cell.wait_for(timeout=20_000)
    return cell


def output_of(page, index):
    """Return the text below a cell, once there is any: JupyterLab draws it when it is in view."""
    for _ in range(50):
        text = cell_of(page, index).locator(".jp-OutputArea").first.inner_text()
        if text.strip():
            break
        page.wait_for_timeout(200)
    return text


def index_of(beginning, chapter="00"):
    """Return the index of the cell of a working copy that contains a text."""
    cells = blank(read(sources([chapter])[0])).cells
    cells = [cell for cell in cells if cell.id != copies.ALONE_ID]
    return next(i for i, c in enumerate(cells) if beginning in c.source)


ANSWER, CHECK, QUIZ = "def density", 'q1 = exercise("00.1")', '"00.q1"'


def test_the_first_day(open_chapter, home):
    """A check before the set-up cell, a wrong answer, hints, the right one, a quiz, a guess."""
    page = open_chapter("two_days")
    page.wait_for_function(READY, timeout=90_000)
    answer, check, quiz = map(index_of, (ANSWER, CHECK, QUIZ))
    assert page.evaluate(CELLS)[check]["outputs"] == [], (
        "a working copy has no outputs that give answers away"
    )
    write_and_run(page, check, source_of(page, check))
    assert "Run All Above Selected Cell" in output_of(page, check), "no bare NameError"
    run_all(page)
    assert "NOT ATTEMPTED" in output_of(page, check)
    signature = source_of(page, answer).split("\n")[0]
    write_and_run(page, answer, f"{signature}\n    return n_ratings")
    write_and_run(page, check, source_of(page, check))
    assert "FAIL" in output_of(page, check) and "the number of ratings" in output_of(page, check)
    write_and_run(page, check, 'q1 = exercise("00.1")\nq1.hint()')
    assert "hint 1 of 2" in output_of(page, check)
    write_and_run(page, check, "q1.solution()")
    assert "return n_ratings / (n_users * n_items)" in output_of(page, check)
    write_and_run(page, answer, f"{signature}\n    return n_ratings / (n_users * n_items)")
    write_and_run(page, check, 'q1 = exercise("00.1")\nq1.check(density)')
    assert "PASS" in output_of(page, check) and "1 of 7 in this chapter" in output_of(page, check)
    cell = cell_of(page, quiz)
    choice = cell.locator("input[type=radio]").nth(1)
    choice.focus()
    page.keyboard.press("Space")
    cell.get_by_text("FAIL").first.wait_for(timeout=20_000)
    page.keyboard.press("Tab")
    cell.locator("input[type=radio]").nth(2).check()
    cell.get_by_text("PASS").first.wait_for(timeout=20_000)
    picture_of(page, "quiz")
    cell_of(page, index_of('guess("00", ')).locator("input[type=radio]").nth(2).check()
    page.wait_for_timeout(500)
    kept = json.loads((home / "progress.json").read_text())["exercises"]
    assert kept["00.1"]["done"] and kept["00.1"]["attempts"] == 2 and kept["00.q1"]["done"]
    assert kept["00.guess"] == {"guess": "about 90"}
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:shutdown-kernel')")
    page.wait_for_timeout(500)


def test_the_second_day(open_chapter, home):
    """The chapter of the first day, opened again: pictures, questions and answers are there."""
    page = open_chapter("two_days")
    page.wait_for_function(READY, timeout=90_000)
    quiz, guess = index_of(QUIZ), index_of('guess("00").meets')
    assert "return n_ratings / (n_users * n_items)" in source_of(page, index_of(ANSWER))
    cell = cell_of(page, quiz)
    cell.get_by_text("much fuller than the whole table").first.wait_for(timeout=20_000)
    assert cell.locator("input[type=radio]").nth(2).is_checked()
    assert cell.get_by_text("As you left it; run this cell").is_visible()
    assert cell_of(page, index_of("plots.long_tail")).locator("img").count()
    picture_of(page, "second-day")
    run_all(page)
    assert "PASS" in output_of(page, quiz), "a quiz that was solved stays solved"
    assert "As you left it" not in output_of(page, quiz)
    assert "you said about 90; it is 92 of 100" in output_of(page, guess)
    assert "Chapter 00: 2 of 7" in output_of(page, index_of("progress()"))


def test_the_dark_theme_and_narrow_screens(open_chapter):
    """In the dark words are readable; at 820 px and at 200 % nothing is cut off sideways."""
    page = open_chapter("00_start_here")
    page.wait_for_function(READY, timeout=90_000)
    dark = "'apputils:change-theme', {theme: 'JupyterLab Dark'}"
    page.evaluate(f"() => window.jupyterapp.commands.execute({dark})")
    run_all(page)
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    for width, height in ((820, 800), (640, 400)):
        page.set_viewport_size({"width": width, "height": height})
        box = cell_of(page, index_of("plots.long_tail")).locator(".jp-OutputArea").first
        box.locator("img").first.wait_for(timeout=20_000)
        picture_of(page, f"dark-{width}")
        size = box.bounding_box()
        assert size["x"] + size["width"] <= width
    assert problems_of_outputs(page) == {}
