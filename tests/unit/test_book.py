"""The builder: two notebooks from one source, the same bytes every time."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbformat
import pytest

from helpers import book
from helpers.runner.machine import CannotRun
from tests.exercises.rounds import answered

SOURCE = """# %% [markdown]
# # Toy

# %%
def twice(x):
    ### BEGIN SOLUTION 99.1
    y = x

    return y + x
    ### END SOLUTION


# %%
share = ...  # a number
### BEGIN SOLUTION 99.2
share = 0.5
### END SOLUTION
print(share)

# %% tags=["nbval-ignore-output"]
1 + 1

# %%
1 + 1
"""


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "99_toy.py"
    path.write_text(SOURCE)
    return path


def sources_of(notebook):
    return [cell.source for cell in notebook.cells]


def built(path, folder):
    return book.execute(book.solved(book.read(path)), folder)


def test_blank_has_placeholders_and_solved_has_answers(toy):
    cells = sources_of(book.blank(book.read(toy)))
    assert cells[1] == "def twice(x):\n    # YOUR CODE HERE\n    raise NotImplementedError"
    assert cells[2] == "share = ...  # a number\n# YOUR CODE HERE\nprint(share)"
    cells = sources_of(book.solved(book.read(toy)))
    assert cells[1] == "def twice(x):\n    y = x\n\n    return y + x"
    assert "SOLUTION" not in "".join(cells)
    cells = sources_of(answered(book.read(toy), {"99.1": "if x:\n    return 1\nreturn 2"}))
    assert cells[1] == "def twice(x):\n    if x:\n        return 1\n    return 2"
    assert "share = 0.5" in cells[2], "exercises that are not named keep their right answer"


def test_ids_come_from_the_text_and_stay_unique(toy):
    ids = [c.id for c in book.read(toy).cells]
    assert ids == [c.id for c in book.read(toy).cells] and len(set(ids)) == len(ids)
    assert ids[-1].endswith("-2"), "two equal cells have two ids"


def test_executed_twice_gives_the_same_bytes(toy, tmp_path):
    toy.write_text('# %%\nimport sys\nfor i in range(3):\n    print(i, flush=True)\nprint("x")\n')
    runs = [nbformat.writes(built(toy, tmp_path)) for _ in range(2)]
    assert runs[0] == runs[1]
    outputs = nbformat.reads(runs[0], 4).cells[0].outputs
    assert [o.text for o in outputs] == ["0\n1\n2\nx\n"], "pieces of one stream are joined"


def test_seconds_stay_until_the_source_changes(toy, tmp_path):
    tagged = '# %% tags=["nbval-ignore-output", "timing"]\nimport time\nprint(time.time())\n'
    toy.write_text(f"{tagged}\n# %%\nprint(1)\n")
    stored, again = built(toy, tmp_path), built(toy, tmp_path)
    new = again.cells[0].outputs
    again.cells[1].source += "print(2)\n"
    book.keep_timings(again, stored)
    assert again.cells[0].outputs == new != stored.cells[0].outputs
    again.cells[1].source = stored.cells[1].source
    book.keep_timings(again, stored)
    assert again.cells[0].outputs == stored.cells[0].outputs


@pytest.mark.skipif(os.name != "posix", reason="ZeroMQ has no such sockets there")
@pytest.mark.parametrize("folder, transport", [("short", "ipc"), ("a-long-name" * 12, "tcp")])
def test_a_kernel_takes_a_port_only_where_it_must(toy, tmp_path, monkeypatch, folder, transport):
    """A port that is chosen first and bound later can be taken in between."""
    asks = "from ipykernel.connect import get_connection_info as info"
    toy.write_text(f"# %%\n{asks}\ninfo(unpack=True)['transport']\n")
    with tempfile.TemporaryDirectory(prefix="t") as short:  # pytest's own folder has a long name
        place = Path(short) / folder
        place.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        notebook = built(toy, tmp_path)
        assert not list(place.glob("kernel-*")), "the folder of the sockets goes with the kernel"
    assert notebook.cells[0].outputs[0].data["text/plain"] == repr(transport)


def test_check_reports_a_stale_notebook(tmp_path, monkeypatch, capsys):
    with pytest.raises(CannotRun, match="There is no chapter 77, only 00,"):
        book.main(["77"])
    source = tmp_path / "solutions" / "99_toy.py"
    for folder in ("solutions", "chapters"):
        (tmp_path / folder).mkdir()
    source.write_text(SOURCE)
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setattr(book, "sources", lambda only=None: [source])
    monkeypatch.setattr(book, "execute", lambda notebook, folder: notebook)
    assert book.main(["--check"]) == 1
    assert "STALE solutions/99_toy.ipynb" in capsys.readouterr().out
    assert (book.main([]), book.main(["--check"])) == (0, 0)
    source.write_text(SOURCE + "2\n")
    assert book.main(["--check"]) == 1
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()], "a part is left"
