"""The installed packages, compared with requirements.lock. Standard library at import."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def differences(lock: Path = LOCK) -> list[str]:
    """Return how this interpreter's packages differ from a lock, one clause each; empty if equal.

    Versions come from the metadata of the packages. The interpreter is compared with the version
    that made its virtual environment (``pyvenv.cfg``).
    """
    running = ".".join(map(str, sys.version_info[:2]))
    with contextlib.suppress(OSError):
        settings = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
        made = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", settings, re.MULTILINE)
        if made and made[1] != running:
            return [f"it was made with Python {made[1]}, and its interpreter is now {running}"]
    try:
        from packaging.markers import Marker
        from packaging.version import Version

        locked = lock.read_text(encoding="utf-8")
    except (ImportError, OSError) as error:
        return [f"{error.name} is missing" if isinstance(error, ImportError) else str(error)]
    installed: dict[str, str] = {}
    for package in importlib.metadata.distributions():
        name, version = package.metadata["Name"], package.metadata["Version"]
        if name and version:
            installed.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    found = []
    fits: dict[str, bool] = {"": True}
    for name, wanted, marker in re.findall(
        r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]+))?", locked, re.M
    ):
        if marker not in fits:
            fits[marker] = Marker(marker).evaluate()
        if not fits[marker]:
            continue
        if name not in installed:
            found.append(f"{name} is missing")
        elif installed[name] != wanted and Version(installed[name]) != Version(wanted):
            found.append(f"{name} is {installed[name]}, not {wanted}")
    return found


def few(clauses: list[str]) -> str:
    """Join the first three clauses, and count the others."""
    more = [f"{len(clauses) - 3} more"] if len(clauses) > 3 else []
    return "; ".join([*clauses[:3], *more])
