"""The installed packages, compared with requirements.lock. Standard library at import."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import re
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def interpreter() -> str:
    """Return a clause if this interpreter is not the one that made its environment, or too new."""
    running = ".".join(map(str, sys.version_info[:2]))
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return f"its interpreter is Python {running}, and the course needs 3.10, 3.11 or 3.12"
    with contextlib.suppress(OSError):
        settings = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
        made = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", settings, re.MULTILINE)
        if made and made[1] != running:
            return f"it was made with Python {made[1]}, and its interpreter is now {running}"
    return ""


def differences(lock: Path = LOCK) -> list[str]:
    """Return how this environment differs from a lock, one clause each; empty if it is the same.

    The interpreter is compared first (`interpreter`), then the versions in the packages' metadata.
    """
    if interpreter():
        return [interpreter()]
    try:
        locked = lock.read_text(encoding="utf-8")
        packaging = importlib.import_module("packaging.markers")
    except OSError as error:
        return [f"{lock} cannot be read ({error.strerror})"]
    except ImportError:  # pip has its own copy
        packaging = importlib.import_module("pip._vendor.packaging.markers")
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
            fits[marker] = packaging.Marker(marker).evaluate()
        if not fits[marker]:
            continue
        if name not in installed:
            found.append(f"{name} is missing")
        elif installed[name] != wanted:
            found.append(f"{name} is {installed[name]}, not {wanted}")
    return found


def few(clauses: list[str]) -> str:
    """Join the first three clauses, and count the others."""
    more = [f"{len(clauses) - 3} more"] if len(clauses) > 3 else []
    return "; ".join([*clauses[:3], *more])
