"""What an answer costs, counted and not timed: its own steps, memory, multiplications."""

from __future__ import annotations

import itertools
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from .checking import expect

Measure = Callable[..., float]


def grows(
    measure: Measure, at_most: float, small: tuple[Any, ...], large: tuple[Any, ...], sentence: str
) -> Callable[[Callable[..., Any]], None]:
    """Return a check: the cost of a large call is at most so many times that of a small one."""

    def check(answer: Callable[..., Any]) -> None:
        answer(*small)  # what the first call alone costs, such as an import
        expect(measure(answer, *large) <= at_most * measure(answer, *small), sentence)

    return check


def steps(answer: Callable[..., Any], *args: Any) -> float:
    """Return how many bytecodes of the learner's own code a call runs: loops make it grow."""
    home = getattr(getattr(answer, "__code__", None), "co_filename", None)
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != home and "ipykernel_" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        answer(*args)
    finally:
        sys.settrace(before)
    return count + 100.0


def memory(answer: Callable[..., Any], *args: Any) -> float:
    """Return the bytes that a call holds at its peak, with a thousand for what every call takes."""
    tracemalloc.start()
    try:
        answer(*args)
        return tracemalloc.get_traced_memory()[1] + 1000.0
    finally:
        tracemalloc.stop()


def multiplications(answer: Callable[..., Any], *args: Any) -> float:
    """Return how many numbers a call computes with its arrays, inner products counted in full."""
    counted = [Counted.of(a) if isinstance(a, np.ndarray) else a for a in args]
    Counted.total = 0.0
    answer(*counted)
    return Counted.total


class Counted(np.ndarray):
    """An array that adds up the work done with it and with what is computed from it."""

    total = 0.0

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return an array as one that counts; leave anything else."""
        if isinstance(value, tuple | list):
            return type(value)(map(cls.of, value))
        return value.view(cls) if isinstance(value, np.ndarray) else value

    @staticmethod
    def _plain(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(map(Counted._plain, value))
        return value.view(np.ndarray) if isinstance(value, Counted) else value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        """Count a ufunc by what it reads or writes, a matrix product by its products."""
        plain = [self._plain(x) for x in inputs]
        keywords = {k: self._plain(v) for k, v in keywords.items()}
        result = getattr(ufunc, method)(*plain, **keywords)
        sizes = [np.size(x) for x in (*plain, result) if not isinstance(x, slice)]
        product = ufunc is np.matmul
        Counted.total += float(np.prod(sizes, dtype=float)) ** 0.5 if product else max(sizes)
        return self.of(result)

    def __array_function__(self, func: Any, types: Any, args: Any, keywords: Any) -> Any:
        """Count any other function of NumPy."""
        plain, named = self._plain(args), {k: self._plain(v) for k, v in keywords.items()}
        result = func(*plain, **named)
        arrays = [np.shape(a) for a in plain if isinstance(a, np.ndarray)]
        if func in (np.dot, np.inner, np.tensordot, np.vdot):
            work = (np.prod([np.prod(s) for s in arrays]) * np.size(result)) ** 0.5
        elif func is np.einsum:
            labels = plain[0].replace(" ", "").split("->")[0].split(",")
            sizes = dict(zip("".join(labels), itertools.chain(*arrays), strict=True))
            work = np.prod([float(n) for n in sizes.values()])
        else:
            work = np.float64(result.size if isinstance(result, np.ndarray) else 1)
        Counted.total += float(work)
        return self.of(result)
