"""Prose and hygiene, without a kernel or a network: links, headings, alt text, secrets, paths."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest

from helpers import book

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[baprs]-[0-9A-Za-z-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
#: folders of the machine a file was written on; patterns that search for them are the exception
PATHS = re.compile(r"(?<![\w.\"'|(~])/(?:home|root|Users)/[\w.-]+")
TEXT = re.compile(r"\.(py|md|ipynb|txt|cfg|toml|ya?ml|sh|lock|json)$|^\.?[^.]+$")
BRITISH = re.compile(
    r"\b(colour|behaviour|favour|normalis|optimis|regularis|vectoris|labell|modell|centre\b"
    r"|catalogue|neighbour)",
    re.I,
)
SHOUT = re.compile(r"\b(simply|obviously|trivially)\b", re.I)


def tracked():
    """Files of the course, found without git: a ZIP has none, and git refuses another's folder."""
    lines = (book.ROOT / ".gitignore").read_text().splitlines()
    skipped = {".git", *(line.strip("/") for line in lines)}
    found = []
    for folder, folders, names in os.walk(book.ROOT):
        here = Path(folder)
        ours = (name for name in folders if not (here / name / "pyvenv.cfg").exists())
        folders[:] = [name for name in ours if name not in skipped]
        found += [here / name for name in names if name not in skipped]
    return sorted(found)


def test_files_are_found_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = {path.relative_to(book.ROOT).as_posix() for path in tracked()}
    assert {"README.md", "helpers/book.py", ".ci/run", "binder/start"} <= found
    assert not [name for name in found if "__pycache__" in name or name.startswith(".venv")]


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def texts():
    yield from ((p, p.read_text(encoding="utf-8")) for p in sorted(book.ROOT.glob("*.md")))
    for source in book.sources():
        cells = [c.source for c in book.read(source).cells if c.cell_type == "markdown"]
        yield book.ROOT / "chapters" / source.name, "\n\n".join(cells)


TEXTS = pytest.mark.parametrize("path, text", list(texts()), ids=lambda x: getattr(x, "stem", ""))


@TEXTS
def test_links_headings_and_alt_text(path, text):
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    anchors = {slug(h) for h in re.findall(r"^#+ (.+)$", plain, re.MULTILINE)}
    for image, label, target in LINK.findall(re.sub(r"`[^`\n]*`", "", plain)):
        assert not image or label.strip(), f"image {target} has no alt text"
        if re.match(r"(https?|mailto):", target):
            continue
        if target.startswith("#"):
            assert slug(target[1:]) in anchors, f"no heading {target}"
            continue
        chapter = re.fullmatch(r"(\d\d)_\w+\.ipynb", target)
        coming = chapter and chapter[1] not in {s.name[:2] for s in book.sources()}
        assert coming or (path.parent / target.split("#")[0]).exists(), f"{target} does not exist"
    for tag in re.findall(r"<img\b[^>]*>", plain):
        assert re.search(r"""alt=(["']).+?\1""", tag), f"{tag[:60]} has no alt text"
    levels = [len(h) for h in re.findall(r"^(#+) ", plain, re.MULTILINE)]
    assert levels and levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), f"one is skipped: {levels}"
    assert not re.search(r"[^\n]\n\$\$[^$]", plain), "leave a blank line before $$"


@TEXTS
def test_words(path, text):
    plain = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert not SHOUT.findall(plain) + BRITISH.findall(plain)
    assert not re.search(r"[A-Za-z]!(\s|$)", plain), "no exclamation marks"


def test_no_secret_no_path_of_a_machine_and_no_big_file():
    found = []
    for path in tracked():
        name = path.relative_to(book.ROOT).as_posix()
        if path.stat().st_size >= 5_000_000:
            found.append(f"{name}: 5 MB or more")
        if TEXT.search(path.name):
            text = path.read_text(encoding="utf-8", errors="ignore")
            hits = (SECRET.search(text), PATHS.search(text))
            found += [f"{name}: {hit[0]}" for hit in hits if hit]
            if f"{book.ROOT}/" in text:
                found.append(f"{name}: the folder of this checkout")
    assert not found, "\n".join(found)
