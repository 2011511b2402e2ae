"""The house: a room imports only rooms above it, stays light, and is of a size to read."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.book import ROOT

ORDER = [
    "data",
    "planted",
    "gates",
    "metrics",
    "sampling",
    "models",
    "knn",
    "shop",
    "plots",
    "interactive",
    "exercises",
    "ledger",
    "cloud",
    "events",
    "book",
    "runner",
    "__main__",
]
FILES = sorted(p for p in (ROOT / "helpers").rglob("*.py") if "__pycache__" not in p.parts)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "helpers").parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms of helpers that a file imports, at the top or inside a function."""
    inside = path.relative_to(ROOT / "helpers").parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ["helpers", *inside][: len(inside) + 2 - node.level] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            modules = [f"{whole}.{a.name}" for a in node.names] if whole == "helpers" else [whole]
        else:
            continue
        found |= {m.split(".")[1] for m in modules if m.startswith("helpers.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT / "helpers").as_posix())
def test_a_room_imports_only_rooms_above_it(path):
    room = room_of(path)
    if room == "__init__":
        assert not imported_rooms(path)
        return
    allowed = set(ORDER[: ORDER.index(room) + 1])
    assert imported_rooms(path) <= allowed, f"{room} stands above what it imports"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT / "helpers").as_posix())
def test_a_file_is_short_enough_to_read(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= (600 if path.name.startswith("checks_") else 330), (
        "over about 300 lines: two rooms?"
    )


def test_model_servers_and_algorithms_know_nothing_of_the_service():
    for folder in ("serving", "algorithms"):
        for path in (ROOT / "helpers/cloud" / folder).rglob("*.py"):
            assert "helpers.cloud.service" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("room", ["cloud/service", "cloud/serving"])
def test_a_room_names_all_its_files(room):
    folder = ROOT / "helpers" / room
    words = (folder / "__init__.py").read_text(encoding="utf-8")
    missing = [
        p.stem for p in folder.glob("*.py") if p.stem != "__init__" and f"`{p.stem}`" not in words
    ]
    assert not missing, f"{room}/__init__.py should say what {missing} hold"


def test_rooms_import_without_a_framework():
    rooms = [
        r for r in ORDER if (ROOT / "helpers" / r).is_dir() or (ROOT / f"helpers/{r}.py").exists()
    ]
    code = "\n".join(
        [
            "import importlib, sys",
            *(f"importlib.import_module('helpers.{r}')" for r in rooms if r != "__main__"),
            "heavy = ('tensorflow', 'keras', 'mxnet', 'faiss', 'sklearn', 'sagemaker', 'torch')",
            "print([m for m in heavy if m in sys.modules])",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]", "frameworks load where they are first used"
