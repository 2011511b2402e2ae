"""Requirements of this machine: platform, disk, a folder that can be written."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("x86_64", "arm64"), "Windows": ("AMD64",)}
OLDEST_GLIBC = (2, 28)  # manylinux_2_28: Debian 10, Ubuntu 20.04, RHEL 8 and newer
OLDEST_MACOS = {"arm64": 14, "x86_64": 15}  # the oldest that faiss-cpu has wheels for


class CannotRun(Exception):
    """A task cannot run here; one sentence says why. Code 2: nothing was begun, 1: it failed."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def check_platform() -> None:
    """Raise CannotRun if the course's packages have no wheels for this machine."""
    system, processor, bits = platform.system(), platform.machine(), 8 * struct.calcsize("P")
    python = f"{bits}-bit {platform.python_implementation()}"
    if python != "64-bit CPython":
        raise CannotRun(
            f"This is {python}, and the course needs the 64-bit CPython from python.org:"
            " its packages have no wheels for others."
        )
    if processor not in MACHINES.get(system, ()):
        known = "; ".join(f"{name} on {' or '.join(kinds)}" for name, kinds in MACHINES.items())
        raise CannotRun(
            f"This is {system} on {processor}, and TensorFlow has no wheel for it;"
            f" the course runs on {known}."
        )
    if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
        raise CannotRun(
            "This Linux is built on musl (Alpine), and TensorFlow and MXNet need glibc:"
            " use Debian, Ubuntu, Fedora or another glibc system."
        )
    name, version = platform.libc_ver() if system == "Linux" else ("", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name == "glibc" and numbers and numbers < OLDEST_GLIBC:
        raise CannotRun(
            f"This system has glibc {version}, and the course's packages need glibc 2.28 or newer:"
            " Debian 10, Ubuntu 20.04, RHEL 8 or later."
        )
    major = int(platform.mac_ver()[0].partition(".")[0] or 0) if system == "Darwin" else 0
    oldest = OLDEST_MACOS.get(processor, 0)
    if 11 <= major < oldest:
        raise CannotRun(
            f"This is macOS {major}, and the course's packages need macOS {oldest} or newer here."
        )
    if (system, processor) == ("Darwin", "x86_64") and sys.version_info >= (3, 13):
        raise CannotRun("TensorFlow has no wheel for Python 3.13 on Intel Macs: use Python 3.12.")


def check_venv_module() -> None:
    """Raise CannotRun if this Python cannot make environments (Debian without python3-venv)."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise CannotRun(
            f"Python at {sys.executable} has no {' and no '.join(missing)} module:"
            f" install it (Debian and Ubuntu: sudo apt install {package}) and run this again."
        )


def existing_parent(path: Path) -> Path:
    """Return the nearest folder at or above a path that exists."""
    while not os.access(path, os.F_OK) and path != path.parent:
        path = path.parent
    return path


def check_folder(folder: Path, needed: float) -> None:
    """Raise CannotRun if ``folder`` cannot be written, or its disk has too few bytes free."""
    parent = existing_parent(folder)
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise CannotRun(
            f"The disk of {folder} has {free / 1e9:.1f} GB free,"
            f" and the course's environment needs {needed / 1e9:.1f} GB:"
            " free some space, or name a folder on another disk with COURSE_VENV."
        )
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise CannotRun(
            f"Nothing can be written in {parent}, where the course's environment would be made:"
            " name a folder of yours with COURSE_VENV."
        )


def missed() -> list[str]:
    """Return what the course will lack here, by PyPI's wheels; one sentence each, none on Linux."""
    system, processor = platform.system(), platform.machine()
    sentences = []
    if system == "Windows" or (system == "Darwin" and processor == "arm64"):
        name = "Windows" if system == "Windows" else "Apple Silicon"
        sentences.append(
            f"MXNet has no wheel for {name}: the MXNet cells say that they are skipped,"
            " and each has a Keras or NumPy twin."
        )
    elif sys.version_info >= (3, 13):
        sentences.append(
            "MXNet has no wheel for Python 3.13: its cells say that they are skipped; 3.11 has it."
        )
    if system == "Darwin" and processor == "x86_64":
        sentences.append("TensorFlow ended Intel Macs with 2.16, so 2.16 is installed here.")
    if system == "Windows":
        sentences.append("The SageMaker chapters need bash and process groups: use WSL for them.")
    return sentences


def find_python(version: str) -> str:
    """Return the path of an installed Python of a version such as ``3.13``, or raise CannotRun."""
    pyenv = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for path in map(str, filter(None, [shutil.which(f"python{version}"), *pyenv])):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    raise CannotRun(f"No Python {version} is installed here, so nothing is tested under it.", 69)


def memory() -> str:
    """Return the memory of this machine, or of its container if that has less, in words."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return "memory unknown"
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            total = min(total, int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return f"{total / 1e9:.1f} GB of memory"
