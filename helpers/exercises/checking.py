"""Run code that a learner wrote: a time limit, and Python as it was before."""

from __future__ import annotations

import builtins
import ctypes
import io
import math
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

_WATCHED = ("numpy.linalg", "numpy.random", "pandas", "scipy.sparse", "scipy.stats", "json")


class NotYet(AssertionError):
    """What is not right, as a sentence, with that of the known mistake where one was recognized."""

    def __init__(self, text: str, mistake: str = "") -> None:
        super().__init__(text)
        self.mistake = mistake


def expect(condition: object, message: str) -> None:
    """Raise `NotYet` unless a condition holds; the message must not give the answer away."""
    if not bool(condition):
        raise NotYet(message)


class TimeLimit(BaseException):
    """The code ran too long. Not an `Exception`: a learner's ``except`` must not catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimit` inside the block after some seconds.

    On Linux and macOS in the main thread the alarm also ends a sleeping call; elsewhere it takes
    effect between two Python instructions.
    """
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():

        def on_alarm(signum: int, frame: FrameType | None) -> None:
            if not ended:
                raise TimeLimit

        ended: list[bool] = []
        previous = signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.2)  # again, where one was caught
        try:
            yield
        finally:
            ended.append(True)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        return

    error = ctypes.c_ulong(threading.get_ident()), ctypes.py_object(TimeLimit)
    timer = threading.Timer(seconds, ctypes.pythonapi.PyThreadState_SetAsyncExc, error)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def unharmed() -> Iterator[None]:
    """Give back, after a learner's code, what it may have changed for the whole kernel.

    That is NumPy's error state and seed, Python's seed, pandas' options, the working folder, the
    environment, the output, the depth of recursion and whatever was replaced in NumPy, pandas, math
    or Python's built-ins. Warnings are not shown: the cells after the check show them.
    """
    watched = [m for m in map(sys.modules.get, _WATCHED) if isinstance(m, ModuleType)]
    contents = [(module, dict(vars(module))) for module in (builtins, math, random, np, *watched)]
    state, seed = random.getstate(), np.random.get_state()  # noqa: NPY002
    options = _pandas_options()
    folder, variables = Path.cwd(), dict(os.environ)
    streams, depth = (sys.stdout, sys.stderr), sys.getrecursionlimit()
    try:
        with np.errstate(), np.printoptions(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout, sys.stderr = streams
        sys.setrecursionlimit(depth)
        for module, before in contents:
            for name, value in before.items():
                if vars(module).get(name) is not value:
                    setattr(module, name, value)
        random.setstate(state)
        np.random.set_state(seed)  # noqa: NPY002 - it is the learner's
        os.chdir(folder)
        if dict(os.environ) != variables:
            os.environ.clear()
            os.environ.update(variables)
        for name, value in _pandas_options().items():
            if value != options.get(name, value):
                sys.modules["pandas"].set_option(name, options[name])


def _pandas_options() -> dict[str, Any]:
    """Return pandas' options by name, where pandas is in use."""
    config: Any = sys.modules.get("pandas._config.config")
    names = config._registered_options if config else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are deprecated
        return {name: config.get_option(name) for name in names}


@contextmanager
def silent() -> Iterator[None]:
    """Drop what a learner's code prints: the first call of a check has shown it."""
    with redirect_stdout(_Nowhere()), redirect_stderr(_Nowhere()):
        yield


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)
