"""What this machine has: the one place that decides, and the one sentence a skipped cell prints.

A gate is asked, not set: ``if gates.mxnet.ready("The symbolic network"):`` runs the cell where the
machine can, and elsewhere prints what is missing and what shows the same idea. Nothing is tried at
import; each gate looks once and remembers.

``COURSE_RUN_GATED=1`` opens the GPU gate on a machine without one, so that its cells run on the CPU
and cannot rot. ``COURSE_OFFLINE=1`` closes the network gate. ``COURSE_CLOUD=aws`` opens the AWS gate.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# the host the course downloads its data from; reaching it is what "network" means here
_HOST = "files.grouplens.org"
# plain HTTP, because the host's TLS certificate has lapsed more than once; nothing is read from it
_PAGE = f"http://{_HOST}/datasets/movielens/ml-100k-README.txt"
_ASK = """
import sys, urllib.error, urllib.request as request

class Stay(request.HTTPRedirectHandler):
    def redirect_request(self, *unused):
        return None  # an answer is enough: where it points to does not matter

try:
    request.build_opener(Stay).open(request.Request(sys.argv[1], method="HEAD"), timeout=1).close()
except urllib.error.HTTPError as error:
    sys.exit(error.code >= 400)
except OSError:
    sys.exit(1)
"""
_YES = ("1", "true", "yes", "on")


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """Make packages look as if they were not installed, for the imports inside the block.

    A framework that imports what it can find, for wrappers nobody calls, then takes less memory and time:
    Keras 60 MB less without scikit-learn, and another 60 without pandas. A package that was imported before
    is left alone, and after the block all are there as ever.

    Parameters
    ----------
    *names : str
        Top-level packages.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class Gate:
    """One thing a machine may lack; true or false, with a reason.

    Parameters
    ----------
    name : str
        What it stands for, as a sentence would call it.
    probe : callable
        Returns an empty string where the thing is there, else why not, as a clause without a full stop.
    twin : str
        What shows the same idea without it; the second half of the sentence that is printed.
    """

    def __init__(self, name: str, probe: Callable[[], str], twin: str) -> None:
        self.name = name
        self.twin = twin
        self._probe = probe
        self._missing: str | None = None

    def _look(self) -> str:
        if self._missing is None:
            self._missing = self._probe()
        return self._missing

    def __bool__(self) -> bool:
        """Whether it is there; the machine is asked the first time only."""
        return not self._look()

    @property
    def reason(self) -> str:
        """One sentence: what is missing and what to do instead, or that it is there."""
        missing = self._look()
        return f"{missing}; {self.twin}." if missing else f"{self.name} is here."

    def ready(self, what: str = "This cell") -> bool:
        """Whether a cell can run; where it cannot, one sentence says so.

        Parameters
        ----------
        what : str
            What the cell shows, as the start of a sentence: ``"The symbolic network"``.

        Returns
        -------
        bool
            Same as the gate's truth.
        """
        if self:
            return True
        print(f"{what} is skipped: {self.reason}")
        return False

    def forget(self) -> None:
        """Look again the next time: after the environment changed, and in tests."""
        self._missing = None

    def __repr__(self) -> str:
        """``Gate(MXNet: open)``, without asking the machine where nothing has yet."""
        state = "not asked yet" if self._missing is None else "closed" if self._missing else "open"
        return f"Gate({self.name}: {state})"


def _flag(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in _YES


def has_gpu() -> bool:
    """Whether a GPU is there that TensorFlow can use.

    TensorFlow is asked where it is loaded already. Before that, only the driver is: loading
    TensorFlow to hear "no" would cost seconds and half a gigabyte.

    Returns
    -------
    bool
        ``COURSE_RUN_GATED`` does not change the answer.
    """
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        return bool(tensorflow.config.list_physical_devices("GPU"))
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False  # the usual way to hide a GPU from this process
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        found = subprocess.run(
            [program, "--list-gpus"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0 and "GPU" in found.stdout


def _gpu() -> str:
    if _flag("COURSE_RUN_GATED") or has_gpu():
        return ""
    return "there is no GPU on this machine"


def _mxnet() -> str:
    if importlib.util.find_spec("mxnet") is not None:
        return ""
    system, processor = platform.system(), platform.machine()
    if system == "Windows" or (system == "Darwin" and processor == "arm64"):
        return f"MXNet has no wheel for {system} on {processor}"
    return "MXNet is not installed"


def _aws() -> str:
    if os.environ.get("COURSE_CLOUD", "").strip().lower() == "aws":
        return ""
    return "no AWS account is asked for (COURSE_CLOUD is not aws)"


def _network() -> str:
    if _flag("COURSE_OFFLINE"):
        return "the course is set to stay offline (COURSE_OFFLINE)"
    if _answers(_PAGE, seconds=1.0):
        return ""
    return f"{_HOST} cannot be reached"


def _answers(page: str, seconds: float) -> bool:
    """Whether a web page answers within ``seconds``, through the proxy where one is set.

    The look-up of a name has no time limit of its own, so a process asks that can be ended.
    """
    try:
        tried = subprocess.run(
            [sys.executable, "-S", "-c", _ASK, page],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


gpu = Gate("A GPU", _gpu, "the CPU cells before it show the same on a smaller size")
mxnet = Gate("MXNet", _mxnet, "the NumPy and Keras cells beside it compute the same function")
aws = Gate("AWS", _aws, "the SageMaker of this course runs the same calls on this machine")
network = Gate("The network", _network, "the data inside the course is enough for every chapter")


def import_keras() -> ModuleType:
    """Import Keras without its wrappers for scikit-learn, which nobody calls here: 60 MB and a second less.

    Returns
    -------
    module
        ``keras``. Where scikit-learn is loaded already, nothing is saved and nothing missing.
    """
    with absent("sklearn"):
        return importlib.import_module("keras")


def import_mxnet() -> ModuleType:
    """Import MXNet 1.9.1 on a NumPy it does not know.

    MXNet still reads ``numpy.bool``, which NumPy 1.24 removed; it is put back before the import. Its
    graph optimizer would write a line with the time of day at every bind; it is told to be quiet.

    Returns
    -------
    module
        ``mxnet``.

    Raises
    ------
    ImportError
        MXNet is not here; the message says why and what to use.
    """
    if not mxnet:
        raise ImportError(f"mxnet: {mxnet.reason}")
    if "bool" not in vars(np):
        vars(np)["bool"] = np.bool_
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy functions it merely lists
        return importlib.import_module("mxnet")


def report() -> pd.DataFrame:
    """Tell whether this machine is ready for the course, and which optional things it has.

    Returns
    -------
    pandas.DataFrame
        Indexed by what was looked at; columns ``state`` ("ready", "here", "not here" or
        "not ready") and ``what it means``. It holds words, not versions or sizes, so that two
        machines that are ready give the same table. Nothing outside this machine is asked.
    """
    import pandas as pd
    import psutil

    from helpers import data

    def damaged() -> str:
        try:
            data.load("latest-small")
        except data.DataError as error:
            return str(error)
        return ""

    needed = {"tensorflow": "TensorFlow", "sklearn": "scikit-learn", "ipywidgets": "ipywidgets"}
    absent = [title for name, title in needed.items() if importlib.util.find_spec(name) is None]
    checks = {
        "Python": (
            ""
            if (3, 10) <= sys.version_info[:2] <= (3, 12)
            else "the course needs Python 3.10, 3.11 or 3.12",
            "a version that every framework has wheels for",
        ),
        "packages": (
            f"{', '.join(absent)} missing" if absent else "",
            "the environment is complete",
        ),
        "memory": (
            ""
            if psutil.virtual_memory().total >= 1.8 * 2**30
            else "less than 2 GB: close other programs",
            "2 GB or more: enough for one chapter at a time",
        ),
        "data": (damaged(), "the ratings are here and unchanged"),
    }
    rows = [
        (name, "not ready" if wrong else "ready", wrong or fine)
        for name, (wrong, fine) in checks.items()
    ]
    for gate in (gpu, mxnet, aws):
        rows.append((gate.name.removeprefix("A "), "here" if gate else "not here", gate.reason))
    return pd.DataFrame(rows, columns=["", "state", "what it means"]).set_index("")
