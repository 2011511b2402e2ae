"""A check as data: calls of an answer, the right values, and what each known mistake returns."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .checking import NotYet

_MUTABLE = (np.ndarray, list, dict, set)


@dataclass(frozen=True)
class Case:
    """One call of an answer, and what is right there.

    Parameters
    ----------
    args : tuple
        The arguments; every call gets copies of its own.
    where : str
        What a message says instead of the call: ``"of perfect predictions"``.
    right : object
        The value expected; by default what the course's own answer returns.
    wrong : sequence of (value, str)
        What a value of this call means, for slips that no rule of the exercise tells.
    raises : type of exception, optional
        The answer must raise it.
    judge : callable, optional
        Takes the converted answer and the arguments and raises `NotYet` where a property does not
        hold: for calls with more than one right value.
    keywords : dict
        Arguments given by name.
    """

    args: tuple[Any, ...]
    where: str = ""
    right: Any = ...
    wrong: Sequence[tuple[Any, str]] = ()
    raises: type[Exception] | None = None
    judge: Callable[..., None] | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def call(self, function: Callable[..., Any]) -> tuple[Any, str]:
        """Return what a function gives, and the name of an argument that it changed (or "")."""
        args, keywords = copy.deepcopy((self.args, dict(self.keywords)))
        given = dict(enumerate(args)) | keywords
        before = {k: pickle.dumps(v) for k, v in given.items() if isinstance(v, _MUTABLE)}
        value = function(*args, **keywords)
        if isinstance(value, BaseException):
            name = getattr(function, "__name__", "answer")
            raise NotYet(f"{self.described(name)} returned {value!r}: `raise` it instead.")
        changed = [k for k, old in before.items() if pickle.dumps(given[k]) != old]
        return value, _parameter(function, changed[0]) if changed else ""

    def expect_error(self, came: Any, name: str) -> None:
        """Raise `NotYet` unless what came is the error that this call must raise."""
        kind = self.raises or Exception
        if isinstance(came, NotYet):
            raise came
        if not isinstance(came, kind):
            did = f"raised {came!r}" if isinstance(came, BaseException) else f"gave {shown(came)}"
            raise NotYet(f"{self.described(name)} {did}, expected a `{kind.__name__}`.")

    def described(self, name: str) -> str:
        """Return the call as a learner would write it, or the words that stand for it."""
        if self.where:
            return f"`{name}` {self.where}"
        args = [shown(a) for a in self.args] + [f"{k}={shown(v)}" for k, v in self.keywords.items()]
        return f"`{name}({', '.join(args)})`"


def _parameter(function: Callable[..., Any], place: int | str) -> str:
    """Return the name of a parameter, by its place in a call."""
    try:
        return place if isinstance(place, str) else [*inspect.signature(function).parameters][place]
    except (ValueError, TypeError, IndexError):
        return f"number {place}"


def cases(*arguments: tuple[Any, ...]) -> list[Case]:
    """Return one case for each tuple of arguments."""
    return [Case(args) for args in arguments]


def normals(*shapes: str, least: int = 1) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Return `Exercise.inputs`: arrays of normal numbers, a random size for each letter, up to six.

    ``normals("nk", "k", "")`` makes an array (n, k), one of k, and a number.
    """

    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        sizes = {letter: int(rng.integers(least, 7)) for letter in sorted(set("".join(shapes)))}
        arrays = (rng.normal(size=[sizes[letter] for letter in shape]) for shape in shapes)
        return tuple(a if a.ndim else float(a) for a in arrays)

    return make


def same(got: Any, right: Any) -> bool:
    """Return whether two values are equal: numbers within rounding (1e-4), shapes exactly."""
    if isinstance(right, Mapping):
        return (
            isinstance(got, Mapping)
            and got.keys() == right.keys()
            and all(same(got[key], right[key]) for key in right)
        )
    if isinstance(right, list | tuple):
        return (
            isinstance(got, list | tuple) and len(got) == len(right) and all(map(same, got, right))
        )
    left, other = table(got), table(right)
    if left is None or other is None:
        return bool(got == right)
    return left.shape == other.shape and bool(_close(left, other).all())


def table(value: Any) -> np.ndarray | None:
    """Return numbers of any kind (list, frame, sparse matrix) as floats; None for all else."""
    if isinstance(value, str | bytes | Mapping):
        return None
    try:
        return np.asarray(value.toarray() if hasattr(value, "toarray") else value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def _close(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return entry by entry whether numbers are equal within float32's rounding."""
    scale = np.abs(right[np.isfinite(right)]).max(initial=0.0)
    return np.isclose(left, right, rtol=1e-4, atol=1e-6 * scale + 1e-13, equal_nan=True)


def difference(got: Any, right: Any) -> str:
    """Say how an answer differs from the right value: order, shape, one entry, or all of it."""
    if isinstance(right, tuple) and isinstance(got, tuple) and len(got) == len(right):
        if same(got[::-1], right):
            return "returned the right values in the other order"
        at = next(i for i in range(len(right)) if not same(got[i], right[i]))
        return f"as value {at + 1} of {len(right)} {difference(got[at], right[at])}"
    path = ""
    while table(right) is None and (places := _places(right)) and places == _places(got):
        at = next(p for p in places if not same(got[p], right[p]))
        got, right, path = got[at], right[at], f"{path}[{at!r}]"
    if path:
        return f"has {shown(got)} at {path}, expected {shown(right)}"
    left, other = table(got), table(right)
    short = isinstance(right, list) and other is not None and other.size <= 12
    if left is not None and other is not None and left.shape != other.shape and not short:
        turned = ": turned over with `.T` it is right" if same(left.T, other) else ""
        return f"returned the shape {left.shape}, expected {other.shape}{turned}"
    said = f"gave {shown(got)}, expected {shown(right)}"
    pair = [float(x) for x in (left, other) if x is not None and x.shape == ()]
    if len(pair) == 2 and f"{pair[0]:.4g}" == f"{pair[1]:.4g}":
        said = (
            f"gave {pair[0]:.10g}, expected {pair[1]:.10g}"  # they differ behind the fourth digit
        )
    if left is None or other is None or (other.size <= 12 and "<shape" not in said):
        return said
    place = tuple(int(i) for i in np.argwhere(~_close(left, other))[0])
    where = ", ".join(map(str, place))
    return f"gave {shown(left[place])} at [{where}], expected {shown(other[place])}"


def _places(value: Any) -> list[Any]:
    """Return the keys of a dict or the places of a list; none of anything else."""
    if isinstance(value, Mapping):
        return sorted(value, key=str)
    return [*range(len(value))] if isinstance(value, list) else []


def shown(value: Any, longest: int = 60) -> str:
    """Return a value as text for a message: short, with four digits."""
    if isinstance(value, np.random.Generator):
        return "rng"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    short = _rounded(value.toarray() if hasattr(value, "toarray") else value)
    text = repr(short) if isinstance(short, str | bytes) else str(short)
    if len(text) <= longest:
        return text
    shape = getattr(value, "shape", None)
    return f"<shape {shape}>" if shape else f"{text[: longest - 1]}…"


def _rounded(value: Any) -> Any:
    """Return numbers with four digits, and whole ones without a point, inside of any list."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e9 else float(f"{value:.4g}")
    if type(value) in (list, tuple):
        return type(value)(map(_rounded, value))
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return value
