"""Builder of the notebooks: two executed notebooks from each chapter's percent script.

``solutions/NN_name.ipynb`` has the answers in, ``chapters/NN_name.ipynb`` has them blank. A rebuild
without a change writes the same bytes; cells tagged ``timing`` keep their seconds until then.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

from helpers import files
from helpers.exercises import REGION
from helpers.runner import copies
from helpers.runner.machine import CannotRun

ROOT = Path(__file__).resolve().parents[1]
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
#: Variables of the kernels of builds and of nbval: same hashes, quiet frameworks, no progress file.
ENVIRONMENT = {
    "PYTEST_CURRENT_TEST": "build",  # ipykernel then leaves C-level output alone
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "OMP_NUM_THREADS": "2",
    "COURSE_PROGRESS": "",
    "COURSE_BUILD": "1",  # plain outputs: nobody looks
    "COURSE_RUN_GATED": "",  # a stored GPU cell says its sentence
    "COURSE_CLOUD_STATE": "",  # a server of its own, whatever lab runs beside it
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
TIMING = "timing"
TAKE_HOME = "take"  # take_home, a notebook beside the chapters, without exercises
#: the first cell of a chapter; working copies go without it
ALONE = """\
# Opened alone, as on Colab or Kaggle? Then this {does}.
import importlib.util, pathlib, sys

if not pathlib.Path("../helpers").is_dir() and importlib.util.find_spec("helpers") is None:
    {then}"""
FETCHES = (
    "fetches the course, and what this place lacks",
    "!git clone --quiet --depth 1 {} course && {{sys.executable}} course/binder/alone.py\n"
    "    %cd -q course/chapters",
)
ASKS = (
    "says what is missing",
    'sys.exit("The folder of the whole course is needed: take it, and run python -m helpers lab.")',
)
_LONGEST_SOCKET = 95  # bytes of its path without the channel; macOS takes 103, Linux 107
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def sources(only: list[str] | None = None) -> list[Path]:
    """Return the chapters' sources in order; ``only`` names some (``["02"]``, or `TAKE_HOME`)."""
    known = {p.stem.split("_")[0]: p for p in sorted((ROOT / "solutions").glob("*.py"))}
    if unknown := sorted({*(only or known)} - {*known}):
        raise CannotRun(f"There is no chapter {', '.join(unknown)}, only {', '.join(known)}.")
    return [p for name, p in known.items() if (name in only if only else name.isdigit())]


def read(source: Path) -> NotebookNode:
    """Return a source as a notebook without outputs, its cell ids hashed from their text."""
    notebook = jupytext.read(source, fmt="py:percent")
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = copies.text_id(cell.cell_type, cell.source)
        seen[digest] = seen.get(digest, 0) + 1
        if cell.cell_type == "code" and (answer := REGION.search(cell.source)):
            cell.metadata["exercise"] = answer[2]
        if "fold" in cell.metadata.get("tags", []):  # it only draws or tells
            cell.metadata["jupyter"] = {"source_hidden": True}
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    if table := [cell for cell in notebook.cells[:6] if "| **Needs** |" in cell.source]:
        _opened_alone(notebook, table[0], source, repository())
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def repository() -> str:
    """Return the public address that `links` wrote into pyproject.toml; empty if there is none."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^repository = "(https://[^"]+)"$', text, re.MULTILINE)
    return found[1] if found else ""


def _opened_alone(notebook: NotebookNode, table: NotebookNode, source: Path, address: str) -> None:
    """Put a cell before the others that fetches the course; buttons under the header table."""
    where = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    does, then = FETCHES if address else ASKS
    code = ALONE.format(does=does, then=then.format(address))
    cell = nbformat.v4.new_code_cell(code, id=copies.ALONE_ID)
    cell.metadata = {"jupyter": {"source_hidden": True}, "tags": ["fold"]}
    notebook.cells.insert(where, cell)
    if address:
        found = launchers(address, f"{source.stem}.ipynb").items()
        buttons = " · ".join(f"[{name}]({url})" for name, url in found)
        table.source += f"\n\nOpen it in {buttons}."


def launchers(address: str, notebook: str) -> dict[str, str]:
    """Return where a chapter can be opened in a browser: the service, and the address."""
    name = address.removeprefix("https://github.com/")
    file = f"{name}/blob/main/chapters/{notebook}"
    return {
        "Colab": f"https://colab.research.google.com/github/{file}",
        "Kaggle": f"https://kaggle.com/kernels/welcome?src=https://github.com/{file}",
        "Codespaces": f"https://codespaces.new/{name}",
        "Binder": f"https://mybinder.org/v2/gh/{name}/main?labpath=my_course%2F{notebook}",
        "Studio Lab": f"https://studiolab.sagemaker.aws/import/github/{file}",
    }


def with_regions(notebook: NotebookNode, replace: Callable[[re.Match[str]], str]) -> NotebookNode:
    """Return a copy in which every region between markers is replaced."""
    result = copy.deepcopy(notebook)
    for cell in result.cells:
        if cell.cell_type == "code":
            cell.source = REGION.sub(replace, cell.source).rstrip("\n")
    return result


def blank(notebook: NotebookNode) -> NotebookNode:
    """Return what a learner opens: placeholders, which a check reports as "not attempted".

    At top level the line above the region has set the name to ``...``.
    """

    def placeholder(match: re.Match[str]) -> str:
        indent = match[1]
        if ".q" in match[2]:  # buttons answer it
            return ""
        return f"{indent}# YOUR CODE HERE\n" + (
            f"{indent}raise NotImplementedError\n" if indent else ""
        )

    result = with_regions(notebook, placeholder)
    for cell in result.cells:
        if "exercise" in cell.metadata:  # by which an answer is told from the placeholder
            cell.metadata["blank"] = copies.fingerprint(cell.source)
    return result


def solved(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with the answers in and the markers gone."""
    return with_regions(notebook, lambda match: match[3])


def execute(notebook: NotebookNode, folder: Path, *, seconds: int = 900) -> NotebookNode:
    """Run a notebook in a fresh kernel, in place; keep the outputs that a rerun makes again.

    ``folder`` is the kernel's working directory, ``seconds`` the time limit of one cell. No widget
    state, random ids or versions stay in the notebook.
    """
    with patch.dict(os.environ, ENVIRONMENT), _sockets() as config:
        place = {"metadata": {"path": str(folder)}}
        config.NotebookClient.update(timeout=seconds, record_timing=False)
        NotebookClient(notebook, resources=place, config=config).execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = nbformat.from_dict({"name": "python"})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(_WIDGET_VIEW, None)
        if "outputs" in cell:
            cell.outputs = _joined(cell.outputs)
    return notebook


@contextmanager
def _sockets() -> Iterator[Config]:
    """Let a kernel use sockets in a folder of its own, where there are such: ports can collide."""
    with tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True) as folder:
        path, config = str(Path(folder) / "k"), Config()
        if os.name == "posix" and len(os.fsencode(path)) <= _LONGEST_SOCKET:
            config.KernelManager.transport, config.KernelManager.ip = "ipc", path
        yield config


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighboring pieces of one stream, whose cuts depend on the clock."""
    result: list[NotebookNode] = []
    for output in outputs:
        if result and output.output_type == "stream" and result[-1].get("name") == output.name:
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def same_source(one: NotebookNode, other: NotebookNode) -> bool:
    """Return whether two notebooks agree in all but their outputs."""

    def key(notebook: NotebookNode) -> list[object]:
        return [(c.cell_type, c.id, c.source, dict(c.metadata)) for c in notebook.cells]

    return key(one) == key(other) and dict(one.metadata) == dict(other.metadata)


def keep_timings(notebook: NotebookNode, stored: NotebookNode) -> None:
    """Put the stored outputs into cells tagged ``timing``, in place, if the source is the same."""
    if not same_source(notebook, stored):
        return
    for cell, before in zip(notebook.cells, stored.cells, strict=True):
        if TIMING in cell.metadata.get("tags", []) and before.outputs:
            cell.outputs = before.outputs


BUILDS = (("solutions", solved), ("chapters", blank))


def main(arguments: list[str] | None = None) -> int:
    """Build, or check, the notebooks of some chapters or of all; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers build", description="Build the notebooks, executed."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    parser.add_argument("only", nargs="*", metavar="NN", help="chapter numbers; else all")
    options = parser.parse_args(arguments)
    stale = 0
    every = sorted((ROOT / "solutions").glob("*.py"))
    for source in sources(options.only) if options.only else every:
        base = read(source)  # of the one without answers, there is one notebook
        for folder, make in BUILDS[source.stem.startswith(TAKE_HOME) :]:
            target, notebook = ROOT / folder / f"{source.stem}.ipynb", make(base)
            name = target.relative_to(ROOT).as_posix()
            if options.check:
                good = target.exists() and same_source(notebook, nbformat.read(target, 4))
                stale += not good
                print(f"{'ok   ' if good else 'STALE'} {name}")
                continue
            stored = nbformat.read(target, 4) if target.exists() else None
            if folder == "chapters" and stored and any(map(copies.is_answered, stored.cells)):
                print(f"{name} holds answers, so it is not overwritten: move it away first.")
                stale += 1
                continue
            execute(notebook, ROOT / folder)
            if stored:
                keep_timings(notebook, stored)
            with files.replacing(target) as part:
                nbformat.write(notebook, part)
            print(f"built {name}")
    return 1 if stale else 0
