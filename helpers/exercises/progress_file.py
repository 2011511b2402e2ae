"""The progress file: which exercises a learner has done. It never leaves the machine.

It is ``~/.recsys-workbook/progress.json``. The variable ``COURSE_PROGRESS`` names another file; an
empty value keeps progress only until the kernel stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from helpers import files

_session: set[str] = set()  # what this kernel saw pass, also where nothing can be written


def progress_file() -> Path | None:
    """Return where progress is kept, or None when ``COURSE_PROGRESS`` is empty."""
    named = os.environ.get("COURSE_PROGRESS")
    if named == "":
        return None
    return Path(named).expanduser() if named else Path.home() / ".recsys-workbook" / "progress.json"


def done() -> set[str]:
    """Return the ids of every exercise done, on disk or in this kernel."""
    path = progress_file()
    return _session | (_read(path) if path else set())


def mark_done(exercise_id: str) -> str | None:
    """Remember an exercise as done; return why it could not be written to disk, else None.

    It never raises: a read-only home loses progress, not the lesson.
    """
    _session.add(exercise_id)
    path = progress_file()
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            _write(path, _read(path) | {exercise_id})
    except OSError as error:
        reason = error.strerror or error
        return f"progress is kept until this kernel stops, but not on disk ({reason})"
    return None


def reset(chapter: str | None = None) -> None:
    """Forget the progress of one chapter (``"02"``), or of all; for a learner who starts over."""
    keep = set() if chapter is None else {i for i in done() if not i.startswith(f"{chapter}.")}
    _session.intersection_update(keep)
    path = progress_file()
    if path is not None and path.exists():
        with _locked(path):
            _write(path, keep)


def _read(path: Path) -> set[str]:
    """Return the stored ids; set a damaged file aside under another name."""
    try:
        ids = json.loads(path.read_text(encoding="utf-8")).get("done", [])
        if not all(isinstance(i, str) for i in ids):
            raise ValueError("not a progress file")
        return set(ids)
    except OSError:
        return set()  # none yet, or unreadable: this kernel's own progress still counts
    except (ValueError, AttributeError, TypeError):
        with contextlib.suppress(OSError):
            path.replace(path.with_name(f"{path.stem}.damaged-{time.time_ns()}{path.suffix}"))
        return set()


def _write(path: Path, ids: Iterable[str]) -> None:
    files.write(path, json.dumps({"version": 1, "done": sorted(ids)}, indent=1))


def _locked(path: Path) -> AbstractContextManager[object]:
    """Hold the file's lock for a moment: two notebooks must not overwrite each other's progress."""
    return files.locked(path.with_suffix(".lock"), patience=2.0)
