"""What pages are made with: templates, packages in an environment of their own, Chromium."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from helpers.exercises.grading import Quiz
from helpers.exercises.messages import with_code
from helpers.exercises.source import worked
from helpers.publish.locks import SITE_LOCK
from helpers.runner import install
from helpers.runner.environment import ROOT, Environment
from helpers.runner.machine import CannotRun

HERE, BUILD = Path(__file__).parent, ROOT / "build"
OWN = BUILD / "site_env"
#: where packages of this Python are in it; another version's environment has no such folder
PACKAGES = Path(sysconfig.get_path("purelib", vars={"base": str(OWN)}))
#: templates/ are pages in HTML; website/ are sources of the site, in Markdown
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader([HERE / "templates", HERE / "website"]),
    autoescape=jinja2.select_autoescape(["html"]),
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def parser(task: str, what: str | None, out: Path) -> argparse.ArgumentParser:
    """Return a parser of a task's arguments, which begin with where to write."""
    made = argparse.ArgumentParser(prog=f"python -m helpers {task}", description=what)
    made.add_argument("out", type=Path, nargs="?", default=out, help="%(default)s if not given")
    return made


def environment() -> Path:
    """Return the Python of the site's environment, made from its lock; else raise CannotRun."""
    if sys.version_info < (3, 11):
        raise CannotRun("Sphinx needs Python 3.11 or newer; this is 3.10.")
    here, own = Environment.here(), Environment(ROOT, OWN)
    steps = [["pip", "install", "--python", str(own.python), "--require-hashes", "-r", SITE_LOCK]]
    if not (own.python.exists() and PACKAGES.exists()):
        print(f"Making the site's environment in {OWN}: about 0.2 GB, once.", flush=True)
        steps.insert(0, ["venv", "--clear", "--python", sys.executable, str(OWN)])
    variables = install.package_variables(here)
    for step in steps:
        command = [str(here.program("uv")), *step, "--quiet"]
        if subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode:
            raise CannotRun(f"The packages of {SITE_LOCK} are missing (see above).", 1)
    return own.python


def chromium() -> str | None:
    """Return the path of a Chromium on this machine, or None; ``CHROMIUM`` names another."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def markdown() -> MarkdownIt:
    """Return a reader of Markdown whose formulas become MathML, by latex2mathml."""
    # it is pure Python, and in the site's environment: learners do not install it
    environment()
    sys.path.append(str(PACKAGES))
    convert = importlib.import_module("latex2mathml.converter").convert

    def formula(text: str, options: dict[str, bool]) -> str:
        made = convert(text, display="block" if options["display_mode"] else "inline")
        # bars of a norm keep their height beside an exponent
        return str(made).replace("<mo>&#x02016;", '<mo stretchy="false">&#x02016;')

    reader = MarkdownIt("commonmark", {"html": True}).enable("table")
    return reader.use(dollarmath_plugin, renderer=formula, double_inline=True)


def slug(text: str) -> str:
    """Return a text as an anchor: small letters, digits and hyphens, 40 at most."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")


def _said(text: str) -> Markup:
    return Markup(re.sub(r"(?<= )\*(\w+)\*", r"<em>\1</em>", with_code(text)))


TEMPLATES.filters |= {"code": _said, "slug": slug, "worked": worked}
TEMPLATES.tests["quiz"] = lambda one: isinstance(one, Quiz)
