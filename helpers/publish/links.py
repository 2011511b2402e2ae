"""The course's public address: into pyproject.toml, and buttons into README."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence

from helpers import book, files
from helpers.runner.machine import CannotRun

FIRST = "00_start_here.ipynb"
_BUTTONS = re.compile(r"<!-- buttons -->\n.*?<!-- /buttons -->\n", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Write the address given, or COURSE_REPOSITORY, or git's https origin; return an exit code."""
    given = arguments[0] if arguments else os.environ.get("COURSE_REPOSITORY", "") or _origin()
    address = given.strip().removesuffix("/").removesuffix(".git")
    if given and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        raise CannotRun(f"{given} is no address such as https://github.com/owner/name.")
    path = book.ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'\[project\.urls\]\nrepository = "[^"]*"\n\n', "", text)
    if address:
        urls = f'[project.urls]\nrepository = "{address}"\n\n[tool.uv]'
        text = text.replace("[tool.uv]", urls, 1)
    files.write(path, text)
    readme, found = book.ROOT / "README.md", book.launchers(address, FIRST).items()
    buttons = "Open it in " + " · ".join(f"[{name}]({url})" for name, url in found) + ".\n"
    block = f"<!-- buttons -->\n{buttons * bool(address)}<!-- /buttons -->\n"
    files.write(readme, _BUTTONS.sub(lambda _: block, readme.read_text(encoding="utf-8")))
    gone = "The buttons are gone: neither COURSE_REPOSITORY nor an https origin has an address."
    here = f"{address} is in pyproject.toml and README. For the chapters: python -m helpers build."
    print(here if address else gone)
    return 0


def _origin() -> str:
    """Return the https address of git's origin; empty without git or without such an origin."""
    command = ["git", "-C", str(book.ROOT), "remote", "get-url", "origin"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
    return told if told.startswith("https://github.com/") else ""
