"""Make README's two pictures: a chapter at work in JupyterLab, and the site.

    python -m helpers site && .venv/bin/python scripts/make_pictures.py

They go to .github/pictures, each below 300 kB, on a light ground of their own: GitHub shows them in
its light and in its dark theme. What drives Chromium is in requirements-dev.txt.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from helpers import files  # noqa: E402
from helpers.publish.tools import chromium  # noqa: E402
from helpers.runner import copies  # noqa: E402
from tests.browser.lab import CHROME_ARGUMENTS, lab_server, run_all  # noqa: E402

PICTURES, SITE = ROOT / ".github" / "pictures", ROOT / "build" / "site"
CHAPTER, PAGE, PLACE = "00_start_here.ipynb", "02_matrix_factorization.html", "exercise-02-5"
SIZE = {"width": 1200, "height": 960}
LARGEST = 300_000  # bytes
SHOWN = """() => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const at = notebook.widgets.findIndex(
    cell => cell.model.sharedModel.getSource().startsWith('def head_share'));
  window.jupyterapp.shell.collapseLeft();
  notebook.activeCellIndex = at;
  notebook.widgets[at - 1].node.scrollIntoView({block: 'start'});
}"""


def keep(page: Any, name: str) -> None:
    """Write what a page shows, in 128 colors."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    assert len(buffer.getvalue()) < LARGEST, f"{name}: {len(buffer.getvalue()):,} bytes"
    files.write(PICTURES / name, buffer.getvalue())
    print(f"{name}: {len(buffer.getvalue()) / 1000:.0f} kB")


def chapter_at_work(browser: Any) -> None:
    """Run a solved chapter in a copy of the course and show an answer, its check and a slider."""
    with tempfile.TemporaryDirectory() as scratch:
        course, home = Path(scratch) / "course", Path(scratch) / "home"
        home.mkdir()
        for folder in ("chapters", "helpers", "local_sagemaker", "solutions"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / folder, course / folder, ignore=ignored)
        (course / copies.MINE).mkdir()
        shutil.copy(course / "solutions" / CHAPTER, course / copies.MINE)
        with lab_server(course, home) as (base, token):
            page = browser.new_page(viewport=SIZE)
            page.goto(f"{base}/lab/tree/{copies.MINE}/{CHAPTER}?token={token}&reset")
            run_all(page)
            for _ in range(3):  # cells get their heights as they come into view
                page.evaluate(SHOWN)
                page.wait_for_timeout(1500)
            keep(page, "chapter.png")


def site(browser: Any) -> None:
    """Show an exercise of the site with a hint opened."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto(f"{(SITE / PAGE).as_uri()}#{PLACE}")
    page.wait_for_selector("mjx-container")
    page.evaluate(f"document.querySelector('#{PLACE}').scrollIntoView({{block: 'center'}})")
    page.evaluate(
        f"[...document.querySelectorAll('details')].find(one => one.compareDocumentPosition("
        f"document.querySelector('#{PLACE}')) & Node.DOCUMENT_POSITION_PRECEDING).open = true"
    )
    page.wait_for_timeout(1000)
    keep(page, "site.png")


def main() -> int:
    """Make both pictures; return an exit code."""
    if not chromium() or not (SITE / PAGE).exists():
        print("It needs Chromium (CHROMIUM=/path names one) and the site: python -m helpers site.")
        return 1
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=CHROME_ARGUMENTS)
        site(browser)
        chapter_at_work(browser)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
