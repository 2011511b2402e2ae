"""The course as web pages, by Sphinx in an environment of its own; as one PDF, by Chromium."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from helpers import book, files
from helpers.publish import pages, tools
from helpers.publish.chapters import chapter
from helpers.publish.tools import BUILD
from helpers.runner.machine import CannotRun

STATES = BUILD / "states"
LEFT = (".buildinfo", "objects.inv", "_sources")  # what readers don't need
PRINTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
WAITS = "--virtual-time-budget=120000"  # milliseconds until formulas are set


def main(arguments: Sequence[str]) -> int:
    """Write the site into the folder that the arguments name; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m helpers site", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=BUILD / "site", help="build/site")
    add = parser.add_argument
    add("--pdf", action="store_true", help="also write course.pdf, which needs Chromium")
    add("--states", action="store_true", help="first run the chapters whose figures move: minutes")
    chosen = parser.parse_args(arguments)
    out = chosen.out.absolute()
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise CannotRun(f"{out} holds other files: name a new folder, or one with a site.")
    python = tools.environment()
    chapters = [chapter(path) for path in book.sources()]
    states: pages.States = {}
    for path in book.sources() if chosen.states else []:
        keep_states(path)
    for path in sorted(STATES.glob("*.json")):
        states |= json.loads(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pages"
        shutil.copytree(pages.WEBSITE, folder)
        (folder / "conf.txt").rename(folder / "conf.py")
        shutil.copytree(book.ROOT / "chapters" / "ncf_job", folder / "ncf_job")  # linked by chapter 05
        pages.write(folder, chapters, states)
        if code := sphinx(python, "html", folder, Path(scratch) / "html"):
            return code
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(Path(scratch) / "html", out, ignore=shutil.ignore_patterns(*LEFT))
        if chosen.pdf:
            return write_pdf(python, folder, out / "course.pdf")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out / 'index.html'}: {size / 1e6:.1f} MB, no request to any other server.")
    return 0


def sphinx(python: Path, builder: str, folder: Path, out: Path) -> int:
    """Run Sphinx; a warning, such as a link without a target, fails."""
    command = [str(python), "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder, "-d"]
    command += [str(folder.with_name("doctrees")), str(folder), str(out)]
    return subprocess.run(command, check=False).returncode


def write_pdf(python: Path, folder: Path, target: Path) -> int:
    """Print all chapters into one file."""
    program = tools.chromium()
    if program is None:
        words = "No PDF: Chromium is not here (CHROMIUM=/path names one); the pages are written."
        raise CannotRun(words, 1)
    out = folder.with_name("single")
    if code := sphinx(python, "singlehtml", folder, out):
        return code
    command = [program, *PRINTS, WAITS, f"--print-to-pdf={target}", (out / "index.html").as_uri()]
    code = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB" if not code else "Chromium failed.")
    return code


def keep_states(path: Path) -> None:
    """Run a chapter and keep other states of its figures, unless its source's are there."""
    target = (
        STATES / f"{path.stem}-{book.copies.fingerprint(path.read_text(encoding='utf-8'))}.json"
    )
    if target.exists():
        return
    print(f"Running {path.stem} for the figures that move.", flush=True)
    with patch.dict(os.environ, {"COURSE_STATES": "1"}):
        notebook = book.execute(book.solved(book.read(path)), path.parent)
    kept: dict[str, list[list[str]]] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if state := output.get("metadata", {}).get("state"):
                found = [state, output.data["text/plain"], output.data["image/png"]]
                kept.setdefault(cell.id, []).append(found)
    for old in STATES.glob(f"{path.stem}-*.json"):
        old.unlink()
    files.write(target, json.dumps(kept))
