"""The course as web pages, by Sphinx in an environment of its own; as one PDF, by Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import nbformat

from helpers import book, files
from helpers.publish import pages, tools
from helpers.publish.chapters import chapter
from helpers.publish.tools import BUILD
from helpers.runner.machine import CannotRun

STATES = BUILD / "states"
PRINTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
WAITS = "--virtual-time-budget=120000"  # milliseconds until formulas are set


def main(arguments: Sequence[str]) -> int:
    """Write the site into the folder that the arguments name; return an exit code."""
    parser = tools.parser("site", __doc__, BUILD / "site")
    parser.add_argument("--pdf", action="store_true", help="also course.pdf, which needs Chromium")
    parser.add_argument("--states", action="store_true", help="first draw figures in more states")
    chosen = parser.parse_args(arguments)
    out = chosen.out.absolute()
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise CannotRun(f"{out} holds other files: name a new folder, or one with a site.")
    python = tools.environment()
    chapters = [chapter(path) for path in book.sources()]
    moved = {k: v for path in book.sources() for k, v in states(path, chosen.states).items()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pages"
        shutil.copytree(pages.WEBSITE, folder)
        (folder / "conf.txt").rename(folder / "conf.py")
        shutil.copytree(book.ROOT / "chapters" / "ncf_job", folder / "ncf_job")  # 05 links to it
        pages.write(folder, chapters, moved)
        sphinx(python, "html", folder, Path(scratch) / "html")
        out.mkdir(parents=True, exist_ok=True)
        for made in (Path(scratch) / "html").iterdir():  # what else is there stays, such as .git
            old = out / made.name
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
            shutil.move(made, old)
        if chosen.pdf:
            write_pdf(python, folder, out / "course.pdf")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out / 'index.html'}: {size / 1e6:.1f} MB, no request to any other server.")
    return 0


def sphinx(python: Path, builder: str, folder: Path, out: Path) -> None:
    """Run Sphinx; a warning, such as a link without a target, fails."""
    command = [str(python), "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder, "-d"]
    command += [str(folder.with_name("doctrees")), str(folder), str(out)]
    if subprocess.run(command, check=False).returncode:
        raise CannotRun("Sphinx could not make all pages (see above).", 1)


def write_pdf(python: Path, folder: Path, target: Path) -> None:
    """Print all chapters into one file."""
    program = tools.chromium()
    if program is None:
        words = "No PDF: Chromium is not here (CHROMIUM=/path names one); the pages are written."
        raise CannotRun(words, 1)
    out = folder.with_name("single")
    sphinx(python, "singlehtml", folder, out)
    command = [program, *PRINTS, WAITS, f"--print-to-pdf={target}", (out / "index.html").as_uri()]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode or not target.exists():
        words = f"No PDF: {program} failed; the pages are written.\n{done.stderr[-500:]}"
        raise CannotRun(words, 1)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def states(path: Path, run: bool) -> pages.States:
    """Return a chapter's moving figures in other settings: those kept, or those of a run."""
    mark = book.copies.fingerprint(path.read_text(encoding="utf-8"))
    target = STATES / f"{path.stem}-{mark}.ipynb"
    if run and not target.exists():
        print(f"Running {path.stem} for the figures that move.", flush=True)
        with patch.dict(os.environ, {"COURSE_STATES": "1"}):
            notebook = book.execute(book.solved(book.read(path)), path.parent)
        for old in STATES.glob(f"{path.stem}-*"):
            old.unlink()
        files.write(target, nbformat.writes(notebook))
    cells = nbformat.read(target, 4).cells if target.exists() else []
    outputs = {cell.id: cell.get("outputs", []) for cell in cells}
    return {id: [o for o in outputs[id] if "state" in o.get("metadata", {})] for id in outputs}
