"""The progress file: what a learner has done and tried. It never leaves the machine.

It is ``~/.recsys-workbook/progress.json``. The variable ``COURSE_PROGRESS`` names another file; an
empty value keeps progress only until the kernel stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from helpers import files

PATIENCE = 2.0  # seconds for the lock: two notebooks must not overwrite each other's progress
#: exercise id -> done, attempts, outcome and mistake of the last one; or a guess
Entries = dict[str, dict[str, Any]]

_session: Entries = {}  # what this kernel saw, also where nothing can be written


def progress_file() -> Path | None:
    """Return where progress is kept, or None when ``COURSE_PROGRESS`` is empty."""
    named = os.environ.get("COURSE_PROGRESS", "~/.recsys-workbook/progress.json")
    return Path(named).expanduser() if named else None


def entries() -> Entries:
    """Return what is known of every exercise tried, on disk or in this kernel."""
    path = progress_file()
    return (_read(path) if path else {}) | _session


def done() -> set[str]:
    """Return the ids of every exercise done."""
    return {id for id, entry in entries().items() if entry.get("done")}


def remember(id: str, **facts: Any) -> str | None:
    """Keep facts about an exercise; return why they could not be written to disk, else None.

    ``attempts`` are added to those before, and what was done stays done. It never raises: a
    read-only home loses progress, not the lesson.
    """
    before, path = _session.get(id, {}), progress_file()
    _session[id] = _merged(before, facts)
    try:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.locked(path.with_suffix(".lock"), PATIENCE):
                known = _read(path)
                known[id] = _session[id] = _merged(known.get(id, before), facts)
                _write(path, known)
    except OSError as error:
        reason = error.strerror or error
        return f"progress is kept until this kernel stops, but not on disk ({reason})"
    return None


def _merged(before: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    entry = before | facts
    if "attempts" in facts:
        entry["attempts"] += before.get("attempts", 0)
    return entry | ({"done": True} if before.get("done") else {})


def reset(chapter: str | None = None) -> None:
    """Forget the progress of one chapter (``"02"``), or of all; for a learner who starts over."""
    keep = {i: e for i, e in entries().items() if chapter and not i.startswith(f"{chapter}.")}
    _session.clear()
    _session.update(keep)
    path = progress_file()
    if path and path.exists():
        with files.locked(path.with_suffix(".lock"), PATIENCE):
            _write(path, keep)


def _read(path: Path) -> Entries:
    """Return what is stored; set a damaged file aside under another name."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("version") == 1:  # a list of ids
            return {str(i): {"done": True} for i in list(stored["done"])}
        found = {str(i): dict(entry) for i, entry in stored["exercises"].items()}
        if not all(isinstance(e.get("attempts", 0), int) for e in found.values()):
            raise ValueError("not a progress file")
        return found
    except OSError:
        return {}  # none yet, or unreadable: this kernel's own progress still counts
    except (ValueError, AttributeError, TypeError, KeyError):
        with contextlib.suppress(OSError):
            path.replace(path.with_name(f"{path.stem}.damaged-{time.time_ns()}{path.suffix}"))
        return {}


def _write(path: Path, known: Entries) -> None:
    content = {"version": 2, "exercises": dict(sorted(known.items()))}
    files.write(path, json.dumps(content, indent=1, ensure_ascii=False))
