"""The one source of a chapter: where a worked answer stands between its markers."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"

#: a region between the markers, with the indentation (1), the exercise id (2) and the answer (3)
REGION = re.compile(
    r"^([ \t]*)### BEGIN SOLUTION (\S+)[^\n]*\n(.*?)^[ \t]*### END SOLUTION[^\n]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)


def chapter_source(chapter: str) -> Path | None:
    """Return the percent script of a chapter (``"02"``), or None where this copy has none."""
    return next(iter(sorted(SOLUTIONS.glob(f"{chapter}_*.py"))), None)


def solution_text(exercise_id: str) -> str | None:
    """Return the worked answer of an exercise, dedented, or None where it has none.

    Parameters
    ----------
    exercise_id : str
        Chapter and number, such as ``"02.1"`` or ``"02.q1"``.
    """
    path = chapter_source(exercise_id.split(".")[0])
    if path is None:
        return None
    for match in REGION.finditer(path.read_text(encoding="utf-8")):
        if match[2] == exercise_id:
            return textwrap.dedent(match[3]).rstrip()
    return None
