"""What a check asks first: is the answer made of numbers, and of the right shape?"""

from __future__ import annotations

from typing import Any

import numpy as np

from .messages import expect


def numbers(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an answer as floats of the shape asked for, or say what it is instead.

    Parameters
    ----------
    value : object
        The answer: numbers in whatever holds them, a sparse matrix too.
    name : str
        What the learner calls the function that gave it.
    shape : tuple of int
        Expected; for ``()`` any array of one element will do.

    Raises
    ------
    NotYet
        It is not made of numbers, or of another shape.
    """
    array = _floats(value)
    expect(array is not None, f"`{name}` returned a {type(value).__name__}, expected numbers.")
    assert array is not None
    if shape == () and array.size == 1:
        array = array.reshape(())
    expect(array.shape == shape, f"`{name}` returned the shape {array.shape}, expected {shape}.")
    return array


def number(value: Any, name: str, clue: str = "") -> float:
    """Return an answer as one number, or say what it is instead; ``clue`` ends that sentence.

    Raises
    ------
    NotYet
        It is no number, or more than one.
    """
    array = _floats(value)
    one = array is not None and array.size == 1
    expect(one, f"`{name}` returned {_kind(value)}, expected one number{clue and ': ' + clue}.")
    assert array is not None
    return float(array.ravel()[0])


def _floats(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value.toarray() if hasattr(value, "toarray") else value, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape else f"a {type(value).__name__}"
