"""Tools of a check: expectations, numbers in an answer, and a time limit."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np


class NotYet(AssertionError):
    """An expectation of a check that does not hold; the learner reads its text."""


def expect(condition: object, message: str) -> None:
    """Raise `NotYet` unless a condition holds; the message must not give the answer away."""
    if not bool(condition):
        raise NotYet(message)


def numbers(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an answer of the function ``name`` as floats of a shape, or raise `NotYet`."""
    array = _floats(value)
    if array is None:
        raise NotYet(f"`{name}` returned a {type(value).__name__}, expected numbers.")
    if shape == () and array.size == 1:
        array = array.reshape(())
    if array.shape != shape:
        raise NotYet(f"`{name}` returned the shape {array.shape}, expected {shape}.")
    return array


def number(value: Any, name: str, clue: str = "") -> float:
    """Return an answer of the function ``name`` as one number, or raise `NotYet` with a clue."""
    array = _floats(value)
    if array is None or array.size != 1:
        shape = getattr(value, "shape", None)
        kind = f"an array of shape {shape}" if shape else f"a {type(value).__name__}"
        raise NotYet(f"`{name}` returned {kind}, expected one number{clue and ': ' + clue}.")
    return float(array.ravel()[0])


def _floats(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value.toarray() if hasattr(value, "toarray") else value, dtype=np.float64)
    except (TypeError, ValueError):
        return None


class TimeLimit(BaseException):
    """The code ran too long. Not an `Exception`: a learner's ``except`` must not catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimit` inside the block after some seconds.

    On Linux and macOS in the main thread the alarm also ends a sleeping call; elsewhere it takes
    effect between two Python instructions.
    """
    if seconds <= 0:
        raise ValueError(f"time limit: {seconds} s given, expected a positive number of seconds")
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():

        def on_alarm(signum: int, frame: FrameType | None) -> None:
            raise TimeLimit

        previous = signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        return

    thread = ctypes.c_ulong(threading.get_ident())
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeLimit))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
