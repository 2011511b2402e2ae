"""Gradients by central differences, to hold written-out gradients against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def gradient(loss: Callable[[], float], array: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return the gradient of ``loss()`` for ``array``, which is changed and put back in place."""
    result = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        kept = array[place]
        array[place] = kept + step
        above = loss()
        array[place] = kept - step
        result[place] = (above - loss()) / (2 * step)
        array[place] = kept
    return result
