"""Chapters in a real JupyterLab: run all cells, move sliders, answer; foreign addresses blocked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from helpers.book import ROOT, blank, read, sources

from .lab import CHROME_ARGUMENTS, chromium, lab_server, run_all

sync_api = pytest.importorskip("playwright.sync_api")
none = pytest.mark.skipif(not chromium(), reason="no Chromium here (CHROMIUM=/path names one)")
pytestmark = [pytest.mark.browser, none]
NOTEBOOK = "window.jupyterapp.shell.currentWidget.content"
CELLS = f"() => {NOTEBOOK}.model.sharedModel.toJSON().cells"
BAD_OUTPUTS = f"""{CELLS}.flatMap(cell => cell.outputs || [])
  .filter(output => output.output_type === 'error' || output.name === 'stderr')"""
NOT_RUN = f"""{CELLS}.filter(cell => cell.cell_type === 'code' && !cell.execution_count
  && [cell.source].flat().join('').trim()).length"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, home):
    copy = tmp_path_factory.mktemp("course")
    for folder in ("chapters", "helpers", "local_sagemaker", "solutions"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
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
    context = browser.new_context(viewport={"width": 1200, "height": 1600})

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
        page.goto(f"{base}/lab/tree/chapters/{name}.ipynb?token={token}&reset")
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
    box = page.locator(".widget-vbox", has=page.locator(".widget-slider")).first
    picture = box.locator(".widget-html img").first
    picture.wait_for(timeout=20_000)
    before, words = picture.get_attribute("src"), picture.get_attribute("alt")
    assert words
    picture_of(page, f"{name}-before")
    box.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(  # each value brings a new img element, so it is looked up every time
        """old => {
          const box = document.querySelector('.noUi-handle').closest('.widget-vbox');
          const image = box.querySelector('.widget-html img');
          return image && image.src !== old;
        }""",
        arg=before,
        timeout=30_000,
    )
    assert picture.get_attribute("alt") != words, "the words move with the picture"
    picture_of(page, f"{name}-after")


CHAPTERS = [s.stem for s in sources() if s.name[:2] in ("00", "10")]  # 10 uses the local cloud


@pytest.mark.parametrize("name", CHAPTERS)
def test_all_cells_run_and_a_slider_moves(open_chapter, name):
    page = open_chapter(name)
    run_all(page)
    assert page.evaluate(BAD_OUTPUTS) == []  # of all cells; the page holds only those in view
    assert page.evaluate(NOT_RUN) == 0
    move_first_slider(page, name)


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
    return cell_of(page, index).locator(".jp-OutputArea").first.inner_text()


def test_wrong_answer_hint_right_answer_and_quiz(open_chapter, home):
    """The first exercise of chapter 00, as a learner meets it; then a quiz button."""
    page = open_chapter("00_start_here")
    run_all(page)
    cells = blank(read(sources(["00"])[0])).cells
    answer = next(i for i, c in enumerate(cells) if "def density" in c.source)
    check = next(i for i, c in enumerate(cells) if c.source.startswith('q1 = exercise("00.1")'))
    assert "NOT ATTEMPTED" in output_of(page, check)
    stub = source_of(page, answer)
    signature = stub.split("\n")[0]
    write_and_run(page, answer, f"{signature}\n    return n_ratings")
    write_and_run(page, check, source_of(page, check))
    assert "FAIL" in output_of(page, check)
    assert "not the number of ratings" in output_of(page, check)
    write_and_run(page, check, 'q1 = exercise("00.1")\nq1.hint()')
    assert "hint 1 of 2" in output_of(page, check)
    write_and_run(page, check, "q1.solution()")
    assert "return n_ratings / (n_users * n_items)" in output_of(page, check)
    write_and_run(page, answer, f"{signature}\n    return n_ratings / (n_users * n_items)")
    write_and_run(page, check, 'q1 = exercise("00.1")\nq1.check(density)')
    assert "PASS" in output_of(page, check)
    quiz = next(i for i, c in enumerate(cells) if '"00.q1"' in c.source)
    cell = cell_of(page, quiz)
    cell.locator("input[type=radio]").nth(2).check()
    cell.get_by_text("PASS").first.wait_for(timeout=20_000)
    picture_of(page, "quiz")
    done = json.loads((home / "progress.json").read_text())["done"]
    assert {"00.1", "00.q1"} <= set(done)
