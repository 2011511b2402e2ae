"""The course's virtual environment: its place, its state, the variables of its programs."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from helpers import files, installed
from helpers.runner.machine import CannotRun

ROOT = Path(__file__).resolve().parents[2]
# Settings for other environments, other projects or other frameworks. They would put foreign
# packages in front of the course's, send packages elsewhere, or change what a chapter prints.
FOREIGN = (
    *("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "__PYVENV_LAUNCHER__", "SETUPTOOLS_USE_DISTUTILS"),
    *("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"),
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_USER", "PIP_PYTHON"),
    *("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "MYPYPATH"),
    *("XLA_FLAGS", "MPLBACKEND"),
)
FOREIGN_PREFIXES = (
    *("PYTHON", "KERAS_", "NPY_", "PANDAS_", "SCIPY_", "SKLEARN_", "DMLC_"),
    *("MXNET_", "NUMBA_", "TF_"),
)
KEPT = (  # encodings, caches and numbers of threads
    *("PYTHONIOENCODING", "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED", "PYTHONUTF8"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "MXNET_CPU_WORKER_NTHREADS"),
    *("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR"),
)
# What the course leaves in its environment's folder. Only a folder with one of them is changed.
GUARD = "course-install.lock"  # locked by the one run that changes the environment
UNFINISHED = "course-install.unfinished"  # there while packages are written
STAMP = "course-lock.sha256"  # the locks that were installed to the end
# What is installed: for a learner; instead of TensorFlow's build for processors; more for tests.
LOCK, GPU_LOCK, TESTS_LOCK = (f"requirements{kind}.lock" for kind in ("", "-gpu", "-dev"))
# The folders of an environment: what is removed before it is made anew.
PARTS = (
    *("bin", "lib", "lib64", "include", "share", "etc", "Scripts", "Lib", "Include"),
    *("keras", "ipython"),
)
DIFFERENCES = """
import pathlib, sys
from helpers import installed
print("\\n".join(installed.differences(*map(pathlib.Path, sys.argv[1:]))))
"""


@dataclass(frozen=True)
class Environment:
    """The environment of a checkout ``root``, in ``folder``, whether it exists or not.

    ``gpu``: with TensorFlow's build for NVIDIA GPUs. ``tests``: with what only tests need.
    """

    root: Path
    folder: Path
    gpu: bool = False
    tests: bool = False

    @classmethod
    def here(cls, gpu: bool | None = None, tests: bool = False) -> Environment:
        """Return this checkout's: in ``.venv``, or in the folder that COURSE_VENV names.

        ``gpu`` is None: TensorFlow's build is the installed one, else what this machine has.
        """
        named = os.environ.get("COURSE_VENV", "").strip()
        try:
            folder = Path(named).expanduser().absolute() if named else ROOT / ".venv"
        except RuntimeError as error:  # ~ of a user that this machine does not know
            raise CannotRun(f"COURSE_VENV is {named}, and that home folder is unknown.") from error
        here = cls(ROOT, folder, tests=tests)
        fits = (platform.system(), platform.machine()) == ("Linux", "x86_64")
        if gpu and not fits:
            raise CannotRun("TensorFlow's build for GPUs is for Linux on x86-64: leave out --gpu.")
        if gpu is None:
            new = fits and not (ROOT / "wheels").is_dir()  # of `pack`, without the GPU's libraries
            gpu = here.has_gpu_build() if here.installed() else new and installed.sees_nvidia()
        return replace(here, gpu=gpu)

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """Return the path of one of its programs, whether it is installed or not."""
        return self.programs / (f"{name}.exe" if os.name == "nt" else name)

    @property
    def stamp(self) -> Path:
        """The file that tells which locks were installed to the end."""
        return self.folder / STAMP

    def has_gpu_build(self) -> bool:
        """Return whether the installed TensorFlow is the build for GPUs."""
        return any(line.endswith(f" {GPU_LOCK}") for line in self.installed())

    def locks(self) -> dict[str, str]:
        """Return the locks to install, by name, with plain line ends: git may change them."""
        names = [LOCK, *[GPU_LOCK] * self.gpu, *[TESTS_LOCK] * self.tests]
        try:
            return {name: (self.root / name).read_text(encoding="utf-8") for name in names}
        except (OSError, UnicodeDecodeError) as error:
            words = "and it says what to install: take that file from a fresh copy of the course."
            said = f"{' or '.join(names)} cannot be read ({error}), {words}"
            raise CannotRun(said) from error

    def wanted(self) -> set[str]:
        """Return the locks to install: the SHA-256 of each, in hex, and its name."""
        texts = self.locks().items()
        return {f"{hashlib.sha256(text.encode()).hexdigest()} {name}" for name, text in texts}

    def installed(self) -> set[str]:
        """Return the locks it was installed from; none if that did not finish."""
        try:
            return set(self.stamp.read_text(encoding="ascii").splitlines())
        except (OSError, UnicodeDecodeError):
            return set()

    def up_to_date(self) -> bool:
        """Return whether these locks were installed to the end, TensorFlow's build included."""
        return self.wanted() <= self.installed() and self.gpu == self.has_gpu_build()

    def is_empty(self) -> bool:
        """Return whether its folder is new, or holds only what a killed first run leaves."""
        try:
            names = {path.name for path in self.folder.iterdir()} - {GUARD, UNFINISHED}
            parts = [self.folder / name for name in names if name in PARTS]
            below = itertools.chain(parts, *(part.rglob("*") for part in parts))
            return len(parts) == len(names) and all(path.is_dir() for path in below)
        except FileNotFoundError:
            return not self.folder.is_symlink()
        except OSError:  # a file, or a folder that cannot be read
            return False

    def is_ours(self) -> bool:
        """Return whether its folder holds an environment with a mark of the course."""
        marks = (os.access(self.folder / name, os.F_OK) for name in (GUARD, STAMP, UNFINISHED))
        return os.access(self.folder / "pyvenv.cfg", os.F_OK) and any(marks)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its interpreter to the end; return what it printed and its exit code."""
        command, variables = [str(self.python), *arguments], self.variables()
        return subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )

    def differences(self) -> list[str]:
        """Return how its interpreter and packages differ from the lock, one clause each."""
        try:
            told = self.ask("-c", DIFFERENCES, *(str(self.root / name) for name in self.locks()))
        except OSError as error:
            return [f"its Python does not start ({error.strerror})"]
        if told.returncode != 0:
            return [f"its Python fails ({(told.stderr.strip() or 'silently').splitlines()[-1]})"]
        return [line for line in told.stdout.splitlines() if line]

    def ready(self) -> bool:
        """Return whether these locks were installed to the end, and nothing has changed since."""
        return self.up_to_date() and not self.differences()

    def variables(self) -> dict[str, str]:
        """Return the variables of a program that runs in it: its own programs and settings first.

        Hashes of strings are the same in every run. Threads share two heaps: by default Linux
        gives each its own (80 MiB more in chapter 09).
        """
        variables = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or not (name in FOREIGN or name.startswith(FOREIGN_PREFIXES))
        }
        path = [str(self.programs), *filter(None, [variables.get("PATH")])]
        variables |= {
            "VIRTUAL_ENV": str(self.folder),
            "PATH": os.pathsep.join(path),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "LOCAL_SAGEMAKER_STATE": str(files.cloud_folder() or ""),
            "KERAS_BACKEND": "tensorflow",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several kernels share a GPU
            "NVIDIA_TF32_OVERRIDE": "0",  # its products in float32, as on a processor
            "KERAS_HOME": str(self.folder / "keras"),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "MATPLOTLIBRC": os.devnull,
        }
        variables.setdefault("MALLOC_ARENA_MAX", "2")
        files.loopback_without_proxy(variables)
        return variables
