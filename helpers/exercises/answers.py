"""What a check asks first: is the answer made of numbers, and of the right shape?"""

from __future__ import annotations

from typing import Any

import numpy as np

from .messages import expect


def numbers(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an answer as floats of the shape asked for, or say what it is instead."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    expect(array is not None, f"`{name}` returned a {type(value).__name__}, expected numbers.")
    assert array is not None
    expect(array.shape == shape, f"`{name}` returned the shape {array.shape}, expected {shape}.")
    return array


def number(value: Any, name: str) -> float:
    return float(numbers(np.squeeze(np.asarray(value)), name, ()))
