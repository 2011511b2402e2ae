"""What an answer returned, as later cells take it: number, array, indices, pair.

A converter is called with the value and the name of the answer, and raises `NotYet` with a sentence
that says what to return. A check compares converted values, and `use` hands them on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .cases import table
from .checking import NotYet

Converter = Callable[[Any, str], Any]


def number(value: Any, name: str) -> float:
    """Return one number."""
    array = table(_given(value, name, "one number"))
    if array is None or array.size != 1:
        raise NotYet(f"`{name}` returned {_kind(value)}, expected one number.")
    return float(array.ravel()[0])


def whole(value: Any, name: str) -> int:
    """Return one whole number."""
    one = number(value, name)
    if not one.is_integer():
        raise NotYet(f"`{name}` returned {one:.10g}, expected a whole number.")
    return int(one)


def array(value: Any, name: str) -> np.ndarray:
    """Return an array of floats."""
    found = table(_given(value, name, "an array"))
    if found is None:
        raise NotYet(f"`{name}` returned {_kind(value)}, expected an array of numbers.")
    return found


def single(value: Any, name: str) -> np.ndarray:
    """Return an array of floats of 32 bits, as models hold them."""
    return array(value, name).astype(np.float32)


def integers(value: Any, name: str) -> np.ndarray:
    """Return an array of whole numbers that can be used as indices."""
    found = array(value, name)
    if not np.array_equal(found, np.floor(found)):
        raise NotYet(f"`{name}` returned numbers that are not whole, expected whole ones.")
    return found.astype(np.int64)


def items(value: Any, name: str) -> list[int]:
    """Return a list of whole numbers."""
    return [int(i) for i in integers(value, name).ravel()]


def pair(*parts: tuple[str, Converter]) -> Converter:
    """Return a converter of several values: for each its name and its own converter."""

    def convert(value: Any, name: str) -> tuple[Any, ...]:
        called = ", ".join(f"`{part}`" for part, _ in parts)
        value = _given(value, name, called)
        try:
            found = None if isinstance(value, str | Mapping | set) else list(value)
        except TypeError:
            found = None
        if found is None or len(found) != len(parts):
            raise NotYet(
                f"`{name}` returned {_kind(value)}, expected {len(parts)} values: {called}."
            )
        for one, (part, _) in zip(found, parts, strict=True):
            if one is None:
                raise NotYet(f"`{name}` returned None as {part}.")
        return tuple(
            convert_one(one, name) for one, (_, convert_one) in zip(found, parts, strict=True)
        )

    return convert


def _given(value: Any, name: str, wanted: str) -> Any:
    """Return a value, or say what stands in its place."""
    if value is None:
        raise NotYet(f"`{name}` returned None, expected {wanted}: did you forget `return`?")
    if value is Ellipsis:
        raise NotYet(f"`{name}` returned the placeholder `...`, expected {wanted}.")
    if isinstance(value, Iterator | range):
        if isinstance(value, range):
            return list(value)
        kind = type(value).__name__
        raise NotYet(f"`{name}` returned a {kind}, expected {wanted}: wrap it in `list(...)`.")
    if isinstance(value, Mapping) or callable(value):
        raise NotYet(f"`{name}` returned {_kind(value)}, expected {wanted}.")
    return value


def _kind(value: Any) -> str:
    """Return what a value is, with its shape or length."""
    shape = getattr(value, "shape", None)
    if shape:
        return f"an array of shape {shape}"
    length = f" of {len(value)}" if isinstance(value, list | tuple | dict) else ""
    return f"a {type(value).__name__}{length}"


def json_of(answer: Any, **settings: Any) -> Any:
    """Return a function that reads the JSON text which an answer writes (`Exercise.asked`)."""
    if not callable(answer):
        return answer
    name = getattr(answer, "__name__", "answer")

    def read(*args: Any, **keywords: Any) -> Any:
        try:
            text = answer(*args, **keywords)
        except TypeError as error:
            if "JSON serializable" not in str(error):
                raise
            hint = "make Python's numbers of NumPy's, by `int(…)`, `float(…)` or `.tolist()`"
            raise NotYet(f"{error}: {hint}.") from error
        if not isinstance(text, str | bytes | bytearray):
            text = _given(text, name, "text") if not isinstance(text, Mapping) else text
            raise NotYet(f"`{name}` returned {_kind(text)}, expected text: use `json.dumps`.")
        try:
            return json.loads(text, **settings)
        except ValueError as error:
            raise NotYet(f"the text of `{name}` is not JSON: {error}.") from error

    return read
