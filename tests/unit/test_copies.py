"""Working copies: made where missing, never overwritten, answers carried over."""

from __future__ import annotations

import json
import subprocess
import sys

import nbformat
import pytest

from helpers import book, files
from helpers.runner import copies

SOURCE = """# %% [markdown]
# # A chapter

# %%
1 + 1


# %%
def twice(x):
    ### BEGIN SOLUTION 00.1
    return 2 * x
    ### END SOLUTION


# %%
choice = ...
### BEGIN SOLUTION 00.q1
choice = "a"
### END SOLUTION
"""


@pytest.fixture
def course(tmp_path):
    """A checkout of one chapter, in a folder with a space and an umlaut."""
    root = tmp_path / "Kurs für mich"
    (root / "chapters").mkdir(parents=True)
    (root / "solutions").mkdir()
    publish(root)
    return root


def publish(root, text=SOURCE):
    source = root / "solutions" / "00_start.py"
    source.write_text(text)
    notebook = book.blank(book.read(source))
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="2\n")]
    notebook.cells[1].execution_count = 1
    nbformat.write(notebook, root / "chapters" / "00_start.ipynb")


def mine(root):
    return nbformat.read(root / copies.MINE / "00_start.ipynb", 4)


def answer(root, text="def twice(x):\n    return x + x", place=2):
    notebook = mine(root)
    notebook.cells[place].source = text
    nbformat.write(notebook, root / copies.MINE / "00_start.ipynb")


def others(root):
    return sorted(p.name for p in (root / copies.MINE).glob("*.*-*.ipynb"))


def test_a_missing_copy_is_made_without_outputs_and_never_overwritten(course):
    assert copies.make(course, []) == []
    assert not mine(course).cells[1].outputs and mine(course).cells[1].execution_count is None
    answer(course)
    assert copies.make(course, []) == []
    assert "x + x" in mine(course).cells[2].source
    assert "YOUR CODE" in (course / "chapters" / "00_start.ipynb").read_text()


def test_a_fresh_copy_sets_the_old_one_aside(course):
    copies.make(course, [])
    answer(course)
    for number in (1, 2):
        (said,) = copies.make(course, ["00"])
        assert said.startswith("Your 00_start.ipynb is now 00_start.20")
        assert "YOUR CODE HERE" in mine(course).cells[2].source and len(others(course)) == number
    kept = [(course / copies.MINE / name).read_text() for name in others(course)]
    assert ["x + x" in text for text in kept].count(True) == 1


def test_an_update_carries_answers_over(course):
    copies.make(course, [])
    answer(course)
    publish(course, SOURCE.replace("1 + 1", "1 + 1 == 2").replace("A chapter", "A better one"))
    said = copies.make(course, [])
    assert said[0].startswith("Copies of an older version: 00.") and not others(course)
    (said,) = copies.make(course, [], update=True)
    assert said.startswith("00_start.ipynb: 1 answer and 0 new cells taken over from 00_start.20")
    cells = mine(course).cells
    assert cells[1].source == "1 + 1 == 2" and "x + x" in cells[2].source
    assert cells[3].source == "choice = ...", "what was not answered is as it is published"
    assert copies.make(course, []) == [], "it is up to date"


def test_an_update_loses_no_note_and_no_half_of_an_answer(course):
    """A note, a split answer, a deleted cell, a changed cell, an exercise that is gone."""
    copies.make(course, [])
    notebook = mine(course)
    title, _, twice, choice = notebook.cells
    note, last = nbformat.v4.new_markdown_cell("my note"), nbformat.v4.new_code_cell("mine = 1")
    rest = nbformat.v4.new_code_cell("    x", metadata=twice.metadata)
    twice.source, choice.source, last.execution_count = "def twice(x):\n    (x +", 'choice = "c"', 7
    title.source += "\nread"
    notebook.cells = [title, note, twice, rest, choice, last]
    nbformat.write(notebook, course / copies.MINE / "00_start.ipynb")
    publish(course, SOURCE.replace("00.q1", "00.q2").replace("# # A chapter", "# # A chapter\n# x"))
    taken, others = copies.make(course, [], update=True)
    assert taken.startswith("00_start.ipynb: 1 answer and 2 new cells taken over from 00_start.20")
    assert others == "2 other changed cells: only there."
    found = [cell.source for cell in mine(course).cells]
    assert found[:3] == ["# A chapter\nx", "my note", "1 + 1"], "after the cell it stood after"
    assert found[3:] == ["def twice(x):\n    (x +\n    x", "mine = 1", "choice = ..."]
    assert not mine(course).cells[4].execution_count


@pytest.mark.parametrize("content", ["{", "[]", '{"cells": [1]}', '{"cells": [{"source": "x"}]}'])
def test_a_broken_copy_is_named_and_kept(course, content):
    copies.make(course, [])
    broken = course / copies.MINE / "00_start.ipynb"
    broken.write_text(content)
    (said,) = copies.make(course, [], update=True)
    assert said == "my_course/00_start.ipynb is no notebook: lab --fresh 00 helps."
    assert broken.read_text() == content
    copies.make(course, ["00"])
    assert (course / copies.MINE / others(course)[0]).read_text() == content
    assert len(mine(course).cells) == 4


def test_a_folder_that_cannot_be_written_costs_a_sentence(course, monkeypatch):
    (course / copies.MINE).write_text("a file of the reader's")
    (said,) = copies.make(course, [])
    assert "cannot be written" in said and "not kept" in said
    assert (course / copies.MINE).read_text() == "a file of the reader's"


def test_two_commands_at_once_lose_nothing(course):
    copies.make(course, [])
    answer(course)
    code = "import sys, pathlib; from helpers.runner import copies"
    code += "; print(copies.make(pathlib.Path(sys.argv[1]), ['00']))"
    command = [sys.executable, "-c", code, str(course)]
    with files.locked(course / copies.MINE / ".lock"):
        both = [subprocess.Popen(command, cwd=book.ROOT, stdout=subprocess.PIPE) for _ in "ab"]
        first = [process.stdout.readline() for process in both]
    assert first == [b"Another command makes the copies; this one waits.\n"] * 2
    assert all(b"00_start.ipynb is now" in process.communicate(timeout=60)[0] for process in both)
    kept = [(course / copies.MINE / name).read_text() for name in others(course)]
    assert ["x + x" in text for text in kept].count(True) == 1 and len(kept) == 2


def test_a_build_does_not_overwrite_answers(course, monkeypatch, capsys):
    monkeypatch.setattr(book, "ROOT", course)
    monkeypatch.setattr(book, "execute", lambda notebook, folder: notebook)
    assert book.main([]) == 0
    chapter = course / "chapters" / "00_start.ipynb"
    answered = json.loads(chapter.read_text())
    answered["cells"][3]["source"] = 'choice = "b"'
    chapter.write_text(json.dumps(answered))
    assert book.main([]) == 1
    assert "chapters/00_start.ipynb holds answers" in capsys.readouterr().out
    assert '\\"b\\"' in chapter.read_text()
