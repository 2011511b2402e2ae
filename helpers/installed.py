"""What is installed: packages, compared with the lock; a driver. Standard library at import."""

from __future__ import annotations

import contextlib
import functools
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

SUPPORTED = ((3, 10), (3, 11), (3, 12), (3, 13))
LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def interpreter() -> str:
    """Return a clause if this interpreter is not the one that made its environment, or too new."""
    running = ".".join(map(str, sys.version_info[:2]))
    if sys.version_info[:2] not in SUPPORTED:
        return f"its interpreter is Python {running}, and the course needs 3.10 to 3.13"
    with contextlib.suppress(OSError):
        settings = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
        made = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", settings, re.MULTILINE)
        if made and made[1] != running:
            return f"it was made with Python {made[1]}, and its interpreter is now {running}"
    return ""


def differences(*locks: Path) -> list[str]:
    """Return how this environment differs from locks, one clause each; empty if it is the same.

    The interpreter is compared first (`interpreter`), then the versions in the packages' metadata.
    """
    if interpreter():
        return [interpreter()]
    try:
        from packaging.markers import Marker
        from packaging.version import Version
    except ImportError:  # pip has its own copy
        from pip._vendor.packaging.markers import Marker  # type: ignore[assignment]
        from pip._vendor.packaging.version import Version  # type: ignore[assignment]
    try:
        locked = "".join(lock.read_text(encoding="utf-8") for lock in locks or [LOCK])
    except OSError as error:
        return [f"{error.filename} cannot be read ({error.strerror})"]
    installed = {}
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for file in Path(folder).glob("[!~]*.dist-info/METADATA"):  # ~ is a half removed package
            head = file.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
            fields = dict(re.findall(r"^(Name|Version): *(\S+)", head, re.MULTILINE))
            if len(fields) == 2:
                installed[re.sub(r"[-_.]+", "-", fields["Name"]).lower()] = fields["Version"]
    if "tensorflow" in installed:  # the build for GPUs takes the place of the other
        installed.setdefault("tensorflow-cpu", installed["tensorflow"])
    found = []
    for name, wanted, marker in re.findall(
        r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]+))?", locked, re.M
    ):
        if marker and not Marker(marker).evaluate():
            continue
        if name not in installed:
            found.append(f"{name} is missing")
        elif installed[name] != wanted and Version(installed[name]) != Version(wanted):
            found.append(f"{name} is {installed[name]}, not {wanted}")
    return found


@functools.cache  # one that hangs costs ten seconds
def sees_nvidia() -> bool:
    """Return whether the driver of an NVIDIA GPU answers."""
    try:
        command = ["nvidia-smi", "--list-gpus"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # there is none, or it hangs
        return False
    return told.returncode == 0 and "GPU" in told.stdout


def few(clauses: list[str]) -> str:
    """Join the first three clauses, and count the others."""
    more = [f"{len(clauses) - 3} more"] if len(clauses) > 3 else []
    return "; ".join([*clauses[:3], *more])
