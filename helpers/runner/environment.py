"""Where the course's environment is, whether it matches the lock, and what its programs see."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from helpers.runner.machine import CannotRun

ROOT = Path(__file__).resolve().parents[2]
SUPPORTED = ((3, 10), (3, 11), (3, 12))
# set for other environments; they would put foreign packages, kernels or settings in front of ours
FOREIGN = (
    "PYTHONDONTWRITEBYTECODE",  # TensorFlow takes half a minute to import where its bytecode is not kept
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "JUPYTER_PATH",
    "JUPYTER_CONFIG_PATH",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "__PYVENV_LAUNCHER__",
)


@dataclass(frozen=True)
class Environment:
    """The virtual environment of a checkout.

    Parameters
    ----------
    root : pathlib.Path
        The checkout, which holds ``requirements.lock``.
    folder : pathlib.Path
        The environment, whether it exists or not.
    """

    root: Path
    folder: Path

    @classmethod
    def here(cls) -> Environment:
        """The environment of this checkout: ``.venv``, or the folder that COURSE_VENV names."""
        named = os.environ.get("COURSE_VENV")
        return cls(ROOT, Path(named).expanduser().absolute() if named else ROOT / ".venv")

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """The path of one of its programs, whether it is installed or not."""
        return self.programs / (f"{name}.exe" if os.name == "nt" else name)

    @property
    def lock(self) -> Path:
        """The file that says what is installed, hash by hash."""
        return self.root / "requirements.lock"

    @property
    def stamp(self) -> Path:
        """The file that says which lock was installed to the end."""
        return self.folder / "course-lock.sha256"

    def lock_hash(self) -> str:
        """SHA-256 of the lock, in hex; line ends do not count, since git may change them on Windows.

        Raises
        ------
        CannotRun
            When the lock is missing.
        """
        try:
            content = self.lock.read_bytes()
        except OSError as error:
            raise CannotRun(
                f"{self.lock.name} cannot be read ({error.strerror}), and it says what to install:"
                f" restore it with: git checkout -- {self.lock.name}"
            ) from error
        return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()

    def ready(self) -> bool:
        """Whether it is there and was installed to the end from the lock as it is now."""
        return self.python.exists() and self.installed_hash() == self.lock_hash()

    def installed_hash(self) -> str:
        """SHA-256 of the lock it was installed from; empty when that did not come to its end."""
        try:
            return self.stamp.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def version(self) -> tuple[int, int] | None:
        """Its Python's version, read from ``pyvenv.cfg``; None where there is no environment."""
        try:
            text = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        except OSError:
            return None
        found = re.search(r"^version(?:_info)?\s*=\s*(\d+)\.(\d+)", text, re.MULTILINE)
        return (int(found[1]), int(found[2])) if found else None

    def variables(self) -> dict[str, str]:
        """The environment variables of a program that runs in it.

        Its own programs, packages and kernels come first, those of other environments are out of the
        way, and hashes of strings are the same in every run. The threads of a program share two heaps:
        by default Linux gives each its own, and each keeps what its thread once needed (80 MiB of
        chapter 09). A number that is set already stays.
        """
        variables = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        variables["VIRTUAL_ENV"] = str(self.folder)
        variables["PATH"] = os.pathsep.join(
            [str(self.programs), *filter(None, [variables.get("PATH")])]
        )
        variables["JUPYTER_PREFER_ENV_PATH"] = "1"
        variables["PYTHONHASHSEED"] = "0"
        variables["PYTHONNOUSERSITE"] = "1"
        variables.setdefault("MALLOC_ARENA_MAX", "2")
        return variables
