"""A kernel that explains a name whose cell has not run."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from helpers.book import ROOT
from helpers.runner import tasks


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Run a cell in a kernel with the course's settings; return what it printed and its errors."""
    name = "etc/ipython/ipython_kernel_config.json"
    profile = tmp_path / "profile_default" / name.rpartition("/")[2]
    profile.parent.mkdir()
    profile.write_text(json.dumps(tasks.SETTINGS[name]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))

    def run(source):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        with pytest.raises(CellExecutionError):
            config = Config({"KernelManager": {"transport": "ipc", "ip": str(tmp_path / "k")}})
            where = {"metadata": {"path": str(ROOT)}}
            NotebookClient(notebook, resources=where, config=config).execute()
        outputs = notebook.cells[0].outputs
        texts = [o.text for o in outputs if o.output_type == "stream"]
        return "".join(texts), [o.evalue for o in outputs if o.output_type == "error"]

    return run


def test_a_name_of_an_earlier_cell_is_explained_and_any_other_has_its_traceback(ran):
    said, errors = ran('q1 = exercise("00.1")')
    assert "`exercise` is made by an earlier cell" in said
    assert "Run All Above Selected Cell" in said and not errors
    said, errors = ran("misspelled + 1")
    assert not said and errors == ["name 'misspelled' is not defined"]
