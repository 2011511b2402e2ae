"""What the course's kernels say of a NameError for a name that an earlier cell makes."""

from __future__ import annotations

import sys
from typing import Any

from .source import SOLUTIONS, cells_of, names, python


def explain(shell: Any, kind: Any, error: Any, trace: Any, tb_offset: int | None = None) -> None:
    """Print what to run for a name that a chapter's cell makes; else show the traceback."""
    chapters = {path.name[:2] for path in SOLUTIONS.glob("[0-9][0-9]_*.py")}
    made = {n for c in chapters for cell in cells_of(c) for n in names(python(cell))[0]}
    name = getattr(error, "name", None)
    if name not in made:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return
    print(
        f"NameError: `{name}` is made by an earlier cell, which has not run since the kernel"
        " started.\nChoose Run → Run All Above Selected Cell, then run this cell again.",
        file=sys.stderr,
    )
