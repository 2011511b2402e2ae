"""Gates: optional features of this machine (GPU, MXNet, AWS).

``if gates.mxnet.ready("The talk's network"):`` runs a cell if the machine can. Otherwise it prints
one sentence: what is missing, and what shows the same idea. Each gate looks once, when it is first
asked. ``COURSE_RUN_GATED=1`` opens the GPU gate without a GPU, as in tests: its cells run on the
CPU. ``COURSE_CLOUD=aws`` opens the AWS gate.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from helpers import installed

if TYPE_CHECKING:
    import pandas as pd


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """Hide packages from imports inside the block.

    Keras imports scikit-learn and pandas if it finds them; hiding each saves 60 MB. Packages that
    are imported already are unaffected.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class Gate:
    """One feature that a machine may lack; true or false, with a reason.

    Parameters
    ----------
    name : str
        The feature, as a sentence would call it.
    probe : callable
        Returns an empty string if the feature is here, else the reason as a clause.
    twin : str
        What shows the same idea without it: the second half of the sentence that is printed.
    """

    def __init__(self, name: str, probe: Callable[[], str], twin: str) -> None:
        self.name, self.twin, self._probe = name, twin, probe
        self._missing: str | None = None

    def _look(self) -> str:
        if self._missing is None:
            self._missing = self._probe()
        return self._missing

    def __bool__(self) -> bool:
        """Return whether it is here; the machine is asked the first time only."""
        return not self._look()

    @property
    def reason(self) -> str:
        """One sentence: what is missing and what to do instead, or that it is here."""
        missing = self._look()
        return f"{missing}; {self.twin}." if missing else f"{self.name} is here."

    def ready(self, what: str = "This cell") -> bool:
        """Return whether a cell can run; print one sentence if it cannot.

        ``what`` begins that sentence; it names what the cell shows: ``"The symbolic network"``.
        """
        if self:
            return True
        print(f"{what} is skipped: {self.reason}")
        return False


def _has_gpu() -> bool:
    """Return whether there is a GPU that TensorFlow can use, whatever ``COURSE_RUN_GATED`` is."""
    # loading TensorFlow costs seconds and half a gigabyte: else the driver is asked
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        return bool(tensorflow.config.list_physical_devices("GPU"))
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False  # the usual way to hide a GPU from this process
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    return installed.sees_nvidia()


def _gpu() -> str:
    forced = os.environ.get("COURSE_RUN_GATED", "") not in ("", "0")
    place = "that TensorFlow can use" if installed.sees_nvidia() else "on this machine"
    return "" if forced or _has_gpu() else f"there is no GPU {place}"


def _mxnet() -> str:
    if importlib.util.find_spec("mxnet") is not None:
        return ""
    system, processor = platform.system(), platform.machine()
    if system == "Windows" or (system == "Darwin" and processor == "arm64"):
        return f"MXNet has no wheel for {system} on {processor}"
    if sys.version_info >= (3, 13):
        return "MXNet, whose project has ended, does not run on Python 3.13"
    return "MXNet is not installed"


def _aws() -> str:
    asked = os.environ.get("COURSE_CLOUD", "").strip().lower() == "aws"
    return "" if asked else "no AWS account is asked for (COURSE_CLOUD is not aws)"


gpu = Gate("A GPU", _gpu, "cells on the CPU show the same")
mxnet = Gate("MXNet", _mxnet, "the NumPy and Keras cells beside it compute the same function")
aws = Gate("AWS", _aws, "the SageMaker of this course runs the same calls on this machine")


def strategy(kind: str = "GPU") -> Any:
    """Return how TensorFlow spreads training: over all GPUs where there are two, else as it is.

    A model is made under ``with gates.strategy().scope():``. ``kind`` names other devices, "CPU".
    """
    tensorflow = importlib.import_module("tensorflow")
    several = tensorflow.config.list_logical_devices(kind)
    if len(several) < 2:
        return tensorflow.distribute.get_strategy()
    return tensorflow.distribute.MirroredStrategy([device.name for device in several])


def import_keras() -> ModuleType:
    """Return Keras, imported without its wrappers for scikit-learn: 60 MB and a second less."""
    with absent("sklearn"):
        return importlib.import_module("keras")


def import_mxnet() -> ModuleType:
    """Return MXNet 1.9.1, imported with the ``numpy.bool`` that NumPy 1.24 removed.

    Raises
    ------
    ImportError
        MXNet is not here; the message says why and what to use.
    """
    import numpy as np

    if not mxnet:
        raise ImportError(f"mxnet: {mxnet.reason}")
    if "bool" not in vars(np):
        vars(np)["bool"] = np.bool_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy functions it merely lists
        return importlib.import_module("mxnet")


def report() -> pd.DataFrame:
    """Return whether this machine is ready for the course, and which optional features it has.

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

    damaged = ""
    try:
        data.load("latest-small")
    except data.DataError as error:
        damaged = str(error)
    supported = sys.version_info[:2] in installed.SUPPORTED
    python = "" if supported else "the course needs Python 3.10 to 3.13"
    differ = installed.few(installed.differences())
    packages = f"{differ} (python -m helpers lab repairs it)" if differ else ""
    enough = psutil.virtual_memory().total >= 1.8 * 2**30
    memory = "" if enough else "less than 2 GB: close other programs"
    checks = [
        ("Python", python, "a version that every framework has wheels for"),
        ("packages", packages, "the environment is complete"),
        ("memory", memory, "2 GB or more: enough for one chapter at a time"),
        ("data", damaged, "the ratings are here and unchanged"),
    ]
    rows = [(name, "not ready" if bad else "ready", bad or good) for name, bad, good in checks]
    for gate in (gpu, mxnet, aws):
        rows.append((gate.name.removeprefix("A "), "here" if gate else "not here", gate.reason))
    return pd.DataFrame(rows, columns=["", "state", "what it means"]).set_index("")
