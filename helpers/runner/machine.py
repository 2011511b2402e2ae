"""What a machine must have before anything is installed, and what it will miss."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import struct
import sys
import sysconfig
from pathlib import Path

NEEDED_BYTES = 5_500_000_000  # the environment is 3.5 GB; the rest is the download and the caches
UPDATE_BYTES = 1_500_000_000  # an environment that is there already and changes a few packages
MACHINES = {
    "Linux": ("x86_64", "aarch64"),
    "Darwin": ("x86_64", "arm64"),
    "Windows": ("AMD64",),
}
OLDEST_GLIBC = (2, 28)  # manylinux_2_28: Debian 10, Ubuntu 20.04, RHEL 8 and newer
OLDEST_MACOS = {"arm64": 14, "x86_64": 15}  # the oldest that faiss-cpu has wheels for


class CannotRun(Exception):
    """The task cannot be done here; the message is one sentence for the learner.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    code : int
        The exit code: 2 where nothing was begun, 1 where something failed.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def check_platform() -> None:
    """Refuse a machine that the course's packages have no wheels for.

    Raises
    ------
    CannotRun
        Names what was found and what would do.
    """
    system, processor = platform.system(), platform.machine()
    if platform.python_implementation() != "CPython" or struct.calcsize("P") != 8:
        raise CannotRun(
            f"This is {8 * struct.calcsize('P')}-bit {platform.python_implementation()}, and the course needs"
            " the 64-bit CPython from python.org (its packages have no wheels for others)."
        )
    if processor not in MACHINES.get(system, ()):
        known = "; ".join(f"{name} on {' or '.join(kinds)}" for name, kinds in MACHINES.items())
        raise CannotRun(
            f"This is {system} on {processor}, and TensorFlow has no wheel for it;"
            f" the course runs on {known}."
        )
    if system == "Linux":
        _check_libc()
    if system == "Darwin":
        major = int(platform.mac_ver()[0].partition(".")[0] or 0)
        oldest = OLDEST_MACOS[processor]
        if 11 <= major < oldest:
            raise CannotRun(
                f"This is macOS {major}, and the course's packages need macOS {oldest} or newer here."
            )


def _check_libc() -> None:
    if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
        raise CannotRun(
            "This Linux is built on musl (Alpine), and TensorFlow and MXNet have wheels for glibc only:"
            " use Debian, Ubuntu, Fedora or another glibc system."
        )
    name, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name == "glibc" and numbers and numbers < OLDEST_GLIBC:
        raise CannotRun(
            f"This system has glibc {version}, and the course's packages need glibc 2.28 or newer"
            " (Debian 10, Ubuntu 20.04, RHEL 8)."
        )


def check_venv_module() -> None:
    """Refuse a Python that cannot make virtual environments.

    Raises
    ------
    CannotRun
        Debian and Ubuntu ship ``venv`` without ``ensurepip`` until python3-venv is installed.
    """
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise CannotRun(
            f"Python at {sys.executable} has no {' and no '.join(missing)} module, which makes the course's"
            f" environment: install it (Debian and Ubuntu: sudo apt install {package}) and run this again."
        )


def existing_parent(path: Path) -> Path:
    """The nearest folder at or above a path that exists already."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_disk(folder: Path, needed: int = NEEDED_BYTES) -> None:
    """Refuse a disk that the environment would fill.

    Parameters
    ----------
    folder : pathlib.Path
        Where the environment is or will be.
    needed : int
        Bytes that must be free.

    Raises
    ------
    CannotRun
        Says how much is free, how much is needed, and how to use another disk.
    """
    free = shutil.disk_usage(existing_parent(folder)).free
    if free < needed:
        raise CannotRun(
            f"The disk that holds {folder} has {free / 1e9:.1f} GB free, and the course's environment needs"
            f" {needed / 1e9:.1f} GB: free some space, or name a folder on another disk with COURSE_VENV."
        )


def check_writable(folder: Path) -> None:
    """Refuse a place where nothing can be written.

    Raises
    ------
    CannotRun
        Names the folder and how to use another one.
    """
    parent = existing_parent(folder)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise CannotRun(
            f"Nothing can be written in {parent}, where the course's environment {folder.name} would be made:"
            " name a folder of yours with COURSE_VENV."
        )


def missed() -> list[str]:
    """What this platform will lack, a sentence each; empty on Linux.

    Sources: the wheels of mxnet 1.9.1 and tensorflow 2.21.0 on PyPI.
    """
    system, processor = platform.system(), platform.machine()
    sentences = []
    if system == "Windows" or (system == "Darwin" and processor == "arm64"):
        name = "Windows" if system == "Windows" else "Apple Silicon"
        sentences.append(
            f"MXNet has no wheel for {name}: everything else is installed, the MXNet cells say that they are"
            " skipped, and each has a Keras or NumPy twin."
        )
    if system == "Darwin" and processor == "x86_64":
        sentences.append(
            "TensorFlow ended Intel Macs with 2.16, so that is what is installed here."
        )
    if system == "Windows":
        sentences.append("The SageMaker chapters need bash and process groups: use WSL for them.")
    return sentences


def memory_bytes() -> int | None:
    """Memory this process may use, in bytes: the machine's, or its container's where that is less.

    Returns
    -------
    int or None
        None where the system does not say.
    """
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            total = min(total, int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return total
