"""Which exercises a learner has done: one small local file that never leaves the machine.

The file is ``~/.recsys-workbook/progress.json``; the variable ``COURSE_PROGRESS``
names another one, and an empty value keeps nothing beyond the running kernel.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_session: set[str] = set()  # what this kernel saw pass, also where nothing can be written
_problem: str | None = None  # why the last save did not reach the disk


def progress_file() -> Path | None:
    """Return where progress is kept, or None when ``COURSE_PROGRESS`` is empty."""
    named = os.environ.get("COURSE_PROGRESS")
    if named == "":
        return None
    return Path(named).expanduser() if named else Path.home() / ".recsys-workbook" / "progress.json"


def _read(path: Path) -> set[str]:
    """Return the ids stored at ``path``; a damaged file is set aside under another name."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, dict) or not all(
            isinstance(k, str) for k in stored.get("done", {})
        ):
            raise ValueError("not a progress file")
        return set(stored.get("done", []))
    except FileNotFoundError:
        return set()
    except OSError:
        return set()  # unreadable: this kernel's own progress still counts
    except ValueError:
        with contextlib.suppress(OSError):
            path.replace(path.with_name(f"{path.stem}.damaged-{time.time_ns()}{path.suffix}"))
        return set()


@contextlib.contextmanager
def _locked(path: Path, patience: float = 2.0, stale: float = 10.0) -> Iterator[None]:
    """Hold ``path``'s lock file, so that two notebooks do not overwrite each other's progress."""
    lock = path.with_suffix(".lock")
    deadline = time.monotonic() + patience
    held = False
    while not held and time.monotonic() < deadline:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            held = True
        except FileExistsError:
            with contextlib.suppress(OSError):
                if time.time() - lock.stat().st_mtime > stale:  # left by a kernel that was killed
                    lock.unlink()
            time.sleep(0.02)
    try:
        yield
    finally:
        if held:
            with contextlib.suppress(OSError):
                lock.unlink()


def done() -> set[str]:
    """Return the ids of every exercise done, on disk or in this kernel."""
    path = progress_file()
    return _session | (_read(path) if path else set())


def mark_done(exercise_id: str) -> str | None:
    """Remember an exercise as done.

    Returns
    -------
    str or None
        Why it could not be written to disk, else None. Never raises: a
        read-only home loses progress, not the lesson.
    """
    global _problem
    _session.add(exercise_id)
    path = progress_file()
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            ids = _read(path) | {exercise_id}
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".progress-", suffix=".tmp")
            temporary = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as out:
                    json.dump({"version": 1, "done": sorted(ids)}, out, indent=1)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        _problem = None
    except OSError as error:
        _problem = (
            f"progress is kept until this kernel stops, but not on disk ({error.strerror or error})"
        )
    return _problem


def reset(chapter: str | None = None) -> None:
    """Forget the progress of one chapter, or of all; for a learner who starts over."""
    keep = set() if chapter is None else {i for i in done() if not i.startswith(f"{chapter}.")}
    _session.intersection_update(keep)
    path = progress_file()
    if path is not None and path.exists():
        with _locked(path):
            path.write_text(
                json.dumps({"version": 1, "done": sorted(keep)}, indent=1), encoding="utf-8"
            )


class Progress:
    """How much of one chapter, or of the course, is done; shown as a bar.

    Parameters
    ----------
    chapter : str, optional
        Two digits, such as ``"02"``; None for every chapter that has exercises.
    """

    def __init__(self, chapter: str | None = None) -> None:
        from .api import chapters_with_exercises, exercises_of

        finished = done()
        wanted = chapters_with_exercises() if chapter is None else [chapter]
        self.rows: list[tuple[str, int, int]] = []
        for name in wanted:
            ids = [q.id for q in exercises_of(name)]
            self.rows.append((name, sum(i in finished for i in ids), len(ids)))

    def __repr__(self) -> str:
        """Return one line a chapter."""
        return "\n".join(
            f"Chapter {name}: {n} of {total} exercises done" for name, n, total in self.rows
        )

    def _repr_html_(self) -> str:
        lines = []
        for name, n, total in self.rows:
            label = html.escape(f"Chapter {name}: {n} of {total} exercises done")
            width = 100 * n / total if total else 0
            lines.append(
                f'<div style="margin:.2em 0">{label}'
                '<div style="width:20em;max-width:100%;border:1px solid #57606a;border-radius:3px">'
                f'<div style="width:{width:.0f}%;height:.7em;background:#0072b2"></div></div></div>'
            )
        return "".join(lines)


def progress(chapter: str | None = None) -> Progress:
    """Return the progress of ``chapter`` (``"02"``), or of the whole course."""
    return Progress(chapter)
