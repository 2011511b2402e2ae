"""Links, buttons, a chapter that is opened alone, and the folder for a class without network."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import book, files
from helpers.book import ROOT
from helpers.exercises import source
from helpers.publish import __main__ as publish
from helpers.publish import links, locks, pack
from helpers.runner import copies
from helpers.runner.machine import CannotRun
from tests.benchmarks.bench_alone import THERE, elsewhere, wheel

ADDRESS = "https://github.com/owner/name"


def test_links_come_from_the_argument_the_variable_or_the_origin(tmp_path, monkeypatch, capsys):
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.delenv("COURSE_REPOSITORY", raising=False)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    with pytest.raises(CannotRun, match="no address such as"):
        links.main(["https://example.org/x"])
    assert links.main([f"{ADDRESS}.git/"]) == 0 and book.repository() == ADDRESS
    readme = (tmp_path / "README.md").read_text()
    assert "mybinder.org/v2/gh/owner/name/main?labpath=my_course%2F00_" in readme
    monkeypatch.setenv("COURSE_REPOSITORY", f"{ADDRESS}2")
    assert links.main([]) == 0 and book.repository() == f"{ADDRESS}2"
    monkeypatch.delenv("COURSE_REPOSITORY")
    assert links.main([]) == 0 and "an https origin" in capsys.readouterr().out
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before, "no buttons"
    for command in (["init", "-q"], ["remote", "add", "origin", f"{ADDRESS}.git"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert links.main([]) == 0 and book.repository() == ADDRESS


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_a_chapter_opened_alone_has_a_cell_and_buttons_or_says_so(monkeypatch, tmp_path, address):
    monkeypatch.setattr(book, "repository", lambda: address)
    notebook = book.read(book.sources(["00"])[0])
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.id == copies.ALONE_ID and ("git clone" in first.source) == bool(address)
    ast.parse(source.python(first.source))  # as pages and decks read it
    assert sum("colab.research" in cell.source for cell in notebook.cells) == bool(address)
    monkeypatch.chdir(tmp_path)  # not the course
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    if not address:
        with pytest.raises(SystemExit, match="folder of the whole course is needed"):
            exec(first.source, {})


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is replaced by it")
def test_the_first_cell_elsewhere_keeps_its_numpy_and_adds_the_rest(tmp_path):
    """With a `sagemaker` that does not fit, one that does, nothing to do, and a package missing."""
    command, options, site = elsewhere(tmp_path, needs="numpy<2")

    def cell(code: int) -> tuple[str, set[str]]:
        shutil.rmtree(tmp_path / "course", ignore_errors=True)
        done = subprocess.run(command, **options)
        assert done.returncode == code, done.stderr
        return done.stdout, {path.stem for path in site.glob("*.dist-info")}

    said, some = cell(0)
    names = {name.partition("-")[0] for name in some}
    assert "Without the SageMaker chapters" in said and some >= THERE and "faiss_cpu" in names
    assert not {"sagemaker", "moto", "jupyterlab"} & names
    (old,) = (tmp_path / "index").glob("sagemaker*")
    wheel(old.parent, old.name.split("-")[1], "sagemaker")
    said, all_ = cell(0)
    assert (said, len(all_)) == ("", len(some) + 3), "sagemaker, moto and pyarrow"
    assert cell(0) == ("", all_)
    for path in (*site.glob("faiss_cpu*"), *old.parent.glob("faiss_cpu*")):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    said, left = cell(1)
    assert "Not all packages could be installed" in said and left >= THERE


def test_a_packed_folder_has_the_wheels_of_each_machine(tmp_path, monkeypatch, capsys):
    asked, code = [], [0]

    def pip(command, **options):
        if "download" not in command:
            return subprocess.CompletedProcess(command, 0, stdout="")
        asked.append((command, Path(command[command.index("-r") + 1]).read_text()))
        return subprocess.CompletedProcess(command, code[0], stdout="")

    monkeypatch.setattr(pack.subprocess, "run", pip)
    out, course = tmp_path / "new" / "stick", tmp_path / "course"
    theirs, chapter = out.with_name("stick.part") / "thesis.txt", course / "chapters" / "00.ipynb"
    for path in (theirs, chapter, course / "diary.txt", course / "README.md"):
        files.write(path, "text")
    for folder in pack.WHAT["folders"]:
        (course / folder).mkdir(exist_ok=True)
    monkeypatch.setattr(pack, "ROOT", course)
    assert pack.main([str(out), "--platforms", "windows", "linux", "--pythons", "3.11"]) == 0
    assert {path.name for path in out.iterdir()} == {*pack.WHAT["folders"], "README.md"}
    assert (out / "chapters" / "00.ipynb").exists() and theirs.read_text() == "text"
    assert "ML-100K" in capsys.readouterr().out
    named = {command[-2]: text for command, text in asked if "numpy==" in text}
    windows, linux = named["--platform=win_amd64"], named["--platform=manylinux2014_x86_64"]
    assert "mxnet==" not in windows and "pywin32==" in windows and "mxnet==" in linux
    assert all("--require-hashes" in command for command, _ in asked)
    with pytest.raises(CannotRun, match="exists already"):
        pack.main([str(out)])
    with pytest.raises(SystemExit):
        pack.main([str(tmp_path / "other"), "--pythons", "3.14"])
    assert "invalid choice: '3.14'" in capsys.readouterr().err
    code[0] = 1
    with pytest.raises(CannotRun, match="nothing is packed"):
        pack.main([str(tmp_path / "other")])
    assert not list(tmp_path.glob("other*"))


def test_a_lock_that_is_interrupted_is_as_it_was(tmp_path, monkeypatch):
    def stopped(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(locks, "ROOT", tmp_path)
    monkeypatch.setattr(locks.install, "ensure_uv", lambda environment: Path("uv"))
    monkeypatch.setattr(locks.install, "package_variables", lambda *given, **more: {})
    monkeypatch.setattr(locks.subprocess, "run", stopped)
    (tmp_path / locks.TESTS_LOCK).write_text("old\n")
    with pytest.raises(KeyboardInterrupt):
        locks._lock(locks.TESTS_LOCK, [], "base\n")
    assert (tmp_path / locks.TESTS_LOCK).read_text() == "old\n"
    with pytest.raises(SystemExit):
        locks.main(["--help"])


def test_what_stops_a_task_of_authors_costs_a_sentence(monkeypatch, capsys):
    assert publish.main(["links", "https://example.org/x"]) == 2
    assert "is no address such as https://github.com/owner/name." in capsys.readouterr().err

    def stopped(by):
        def main(arguments):
            raise by

        monkeypatch.setattr(links, "main", main)
        monkeypatch.setattr(book, "main", main)
        codes = {publish.main([task]) for task in ("links", "build")}
        (said,) = set(filter(None, capsys.readouterr().err.splitlines()))
        return codes, said

    readme = "/course/README.md"
    for number, words in ((errno.EACCES, "Permission denied"), (errno.EROFS, "Read-only")):
        said = f"{readme} cannot be written ({words}): name a folder of yours"
        codes, told = stopped(OSError(number, words, readme))
        assert codes == {2} and told.startswith(said)
    codes, told = stopped(KeyboardInterrupt())
    assert codes == {130} and told == "Stopped."
