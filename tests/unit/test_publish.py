"""Links, buttons, a chapter that is opened alone, and the folder for a class without network."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import book, files
from helpers.book import ROOT
from helpers.publish import links, pack
from helpers.runner import copies

ADDRESS = "https://github.com/owner/name"
alone = runpy.run_path(str(ROOT / "binder" / "alone.py"))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of the two files that hold the address."""
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.delenv("COURSE_REPOSITORY", raising=False)
    return tmp_path


def test_links_come_from_the_argument_the_variable_or_the_origin_and_go(
    course, monkeypatch, capsys
):
    before = {path.name: path.read_text() for path in course.iterdir()}
    assert (
        links.main(["https://example.org/x"]) == 2
        and "no address such as" in capsys.readouterr().err
    )
    assert links.main([f"{ADDRESS}.git/"]) == 0 and book.repository() == ADDRESS
    assert (
        "mybinder.org/v2/gh/owner/name/main?labpath=my_course%2F00_"
        in (course / "README.md").read_text()
    )
    monkeypatch.setenv("COURSE_REPOSITORY", f"{ADDRESS}2")
    assert links.main([]) == 0 and book.repository() == f"{ADDRESS}2"
    monkeypatch.delenv("COURSE_REPOSITORY")
    assert links.main([]) == 0 and "an https origin" in capsys.readouterr().out
    assert {path.name: path.read_text() for path in course.iterdir()} == before
    for command in (["init", "-q"], ["remote", "add", "origin", f"{ADDRESS}.git"]):
        subprocess.run(["git", "-C", str(course), *command], check=True)
    assert links.main([]) == 0 and book.repository() == ADDRESS


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_a_chapter_opened_alone_fetches_the_course_or_says_so(monkeypatch, tmp_path, address):
    monkeypatch.setattr(book, "repository", lambda: address)
    notebook = book.read(book.sources(["00"])[0])
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.id == copies.ALONE_ID and ("git clone" in first.source) == bool(address)
    assert sum("colab.research" in cell.source for cell in notebook.cells) == bool(address)
    monkeypatch.chdir(tmp_path)  # not the course: the sentence, or the command
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    if not address:
        with pytest.raises(SystemExit, match="folder of the whole course is needed"):
            exec(first.source, {})


def test_only_what_is_missing_is_installed_there():
    text = "numpy==2.5.5  # arrays\n# a comment\n\nfaiss-cpu==1.15.1\njupyterlab==4.6.6  # Lab\n"
    text += 'mxnet==1.9.1; python_version < "3"\ntensorflow-cpu==2.21.0; python_version > "3"  # Keras\n'
    assert alone["lacking"](text, {"numpy": "2.0.2"}) == [
        "faiss-cpu==1.15.1",
        "tensorflow-cpu==2.21.0",
    ]
    assert alone["lacking"](text, alone["installed"]()) == []


def test_a_packed_folder_has_the_wheels_of_each_machine(tmp_path, monkeypatch, capsys):
    asked = []

    def pip(command, **options):
        if "download" in command:
            asked.append((command, Path(command[command.index("-r") + 1]).read_text()))
        return subprocess.CompletedProcess(command, 0, stdout="")

    monkeypatch.setattr(pack.subprocess, "run", pip)
    out, course = tmp_path / "new" / "stick", tmp_path / "course"
    theirs = out.with_name("stick.part") / "thesis.txt"
    for path in (
        theirs,
        course / "diary.txt",
        course / "README.md",
        course / "chapters" / "00.ipynb",
    ):
        files.write(path, "text")
    for folder in pack.FOLDERS:
        (course / folder).mkdir(exist_ok=True)
    monkeypatch.setattr(pack, "ROOT", course)
    assert pack.main([str(out), "--platforms", "windows", "linux", "--pythons", "3.11"]) == 0
    assert (
        {path.name for path in out.iterdir()} == {*pack.FOLDERS, "README.md"}
        and (out / "chapters" / "00.ipynb").exists()
        and theirs.read_text() == "text"
        and "ML-100K" in capsys.readouterr().out
    )
    named = {command[-2]: text for command, text in asked if "numpy==" in text}
    assert (
        "mxnet==" not in named["--platform=win_amd64"]
        and "pywin32==" in named["--platform=win_amd64"]
    )
    assert "mxnet==" in named["--platform=manylinux2014_x86_64"]
    assert all("--require-hashes" in command for command, _ in asked)
    assert pack.main([str(out)]) == 2 and "exists already" in capsys.readouterr().err
    monkeypatch.setattr(
        pack.subprocess,
        "run",
        lambda command, **_: subprocess.CompletedProcess(command, 1, stdout=""),
    )
    assert pack.main([str(tmp_path / "other")]) == 1 and not list(tmp_path.glob("other*"))
