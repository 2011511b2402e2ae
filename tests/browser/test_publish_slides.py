"""`python -m helpers slides`: every slide of every deck fits, and asks no server for anything."""

from __future__ import annotations

import os
import re

import pytest

from helpers import book
from helpers.publish import classroom, guide, slides
from helpers.publish.chapters import chapter
from helpers.publish.tools import chromium
from tests.unit.test_publish_class import hand_in

from .lab import CHROME_ARGUMENTS

PATHS = {path.name[:2]: path for path in book.sources()}
FULL = bool(os.environ.get("COURSE_FULL"))
#: what reaches beyond its place on the slide that is shown
OVER = """() => {
  const slide = slides[now], body = slide.querySelector('.body');
  const ends = [...slide.querySelectorAll('*')].map(part => part.getBoundingClientRect());
  const out = ends.some(end => end.right > innerWidth + 1 || end.bottom > innerHeight + 1);
  const long = body.scrollHeight > body.clientHeight || body.scrollWidth > body.clientWidth;
  return out || long ? location.hash + ' ' + slide.querySelector('h1').textContent : '';
}"""
CUT = """() => slides.filter(slide => {
  const body = slide.querySelector('.body');
  return !body.clientHeight || body.scrollHeight > body.clientHeight + 1;
}).map(slide => slide.id)"""


@pytest.mark.parametrize("number", PATHS)
def test_a_deck_has_15_to_30_slides_with_the_exercises_of_the_core(number):
    found = chapter(PATHS[number])
    deck = slides.deck(found)
    assert 15 <= len(deck) <= slides.MOST
    titles = " ".join(slide["title"] for slide in deck)
    inside, core = False, []
    for cell in found.cells:
        if cell.role == "prose" and re.match("#{1,3} ", cell.source):
            inside = "core" in cell.tags
        core += [id for id in cell.exercises if inside and cell.role == "prose"]
    assert core and all(f"Exercise {id} " in titles for id in core)
    assert any(re.search(r"<img|<table|\$|^\|", slide["body"], re.MULTILINE) for slide in deck)
    assert all("BEGIN SOLUTION" not in slide["body"] for slide in deck)
    guesses = {guess.partition(" (")[0] for cell in found.cells for guess in cell.guesses}
    asking = [s["body"] for s in deck if any(f"**{guess}" in s["body"] for guess in guesses)]
    assert asking and all("*Against your prediction:*" not in body for body in asking), (
        "no question is answered"
    )


browser = pytest.mark.browser
full = pytest.mark.skipif(not FULL, reason="with --full: every slide of every deck in Chromium")
drawn = pytest.mark.skipif(not chromium(), reason="no Chromium here (CHROMIUM=/path names one)")


@browser
@full
@drawn
def test_every_slide_fits_at_1280_by_720_and_asks_for_nothing(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    assert slides.main([str(tmp_path)]) == 0
    over, asked = [], []
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=CHROME_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.on("request", lambda request: asked.append(request.url))
        for path in sorted(tmp_path.glob("*.html")):
            page.goto(path.as_uri())
            for place in range(page.evaluate("slides.length")):
                assert page.evaluate("now") == place
                found = page.evaluate(OVER)
                over += [f"{path.name}{found}"] if found else []
                page.keyboard.press("ArrowRight")
            page.keyboard.press("n")
            assert page.locator("aside:visible").count() == 1
            page.keyboard.press("n")
            page.emulate_media(media="print")
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
            over += [f"{path.name}#{name}, printed" for name in page.evaluate(CUT)]
            page.emulate_media(media="screen")
            page.evaluate("dispatchEvent(new Event('afterprint'))")
            for asked_for, shown in (("s99", "slides.length - 1"), ("sabc", 0), ("s3", 2)):
                page.evaluate(f"location.hash = '{asked_for}'")
                page.wait_for_function(f"now === {shown}")
        browser.close()
    assert not over, "\n".join(over)
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


@browser
@full
@drawn
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_guide_class_and_slides_are_readable_by_all_and_fit_a_phone(tmp_path, width, scheme):
    """Except for headers of tables that are formulas, which axe-core takes for empty."""
    sync_api = pytest.importorskip("playwright.sync_api")
    from axe_playwright_python.sync_playwright import Axe

    assert guide.main([str(tmp_path / "guide.html")]) == slides.main([str(tmp_path)]) == 0
    assert classroom.main([str(hand_in(tmp_path / "progress")), "--out", str(tmp_path)]) == 0
    problems, screen = [], {"width": width, "height": 720}
    with sync_api.sync_playwright() as play:
        chrome = play.chromium.launch(executable_path=chromium(), args=CHROME_ARGUMENTS)
        page = chrome.new_page(viewport=screen, color_scheme=scheme)
        paths = sorted(tmp_path.glob("*.html"))
        assert len(paths) == len(PATHS) + 2
        for path in paths:
            page.goto(path.as_uri())
            for place in range(page.evaluate("typeof slides == 'object' ? slides.length : 1")):
                for broken in Axe().run(page).response["violations"]:
                    said = [node["html"][:150] for node in broken["nodes"]]
                    if broken["id"] != "empty-table-header" or any("<math" not in h for h in said):
                        problems.append((path.name, place, broken["id"], said))
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    problems.append((path.name, place, "wider than the screen"))
                page.keyboard.press("ArrowRight")
        chrome.close()
    assert not problems, problems
