"""Dimension reduction before k-NN: random signs, or the fast Johnson-Lindenstrauss transform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reduction:
    """A random linear map that roughly keeps distances; the same seed is the same map.

    Parameters
    ----------
    kind : {"sign", "fjlt"}
        ``sign`` multiplies with random plus and minus ones; ``fjlt`` flips signs, mixes with a Hadamard
        transform and keeps a random part of the numbers: n log n instead of n times the target.
    width, target : int
        Numbers a vector before and after.
    seed : int
        Of the map.
    """

    kind: str
    width: int
    target: int
    seed: int = 0

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Reduce vectors.

        Parameters
        ----------
        vectors : numpy.ndarray
            (n, width).

        Returns
        -------
        numpy.ndarray
            (n, target), float32.
        """
        random = np.random.default_rng(self.seed)
        if self.kind == "sign":
            signs = random.choice(
                np.array([-1, 1], dtype=np.float32), size=(self.width, self.target)
            )
            return vectors @ signs / np.float32(math.sqrt(self.target))
        padded = 1 << max(self.width - 1, self.target - 1, 1).bit_length()
        flips = random.choice(np.array([-1, 1], dtype=np.float32), size=self.width)
        kept = random.choice(padded, size=self.target, replace=False)
        mixed = hadamard(
            np.pad(vectors * flips, ((0, 0), (0, padded - self.width))).astype(np.float32)
        )
        return np.ascontiguousarray(mixed[:, kept]) / np.float32(math.sqrt(self.target))


def hadamard(rows: np.ndarray) -> np.ndarray:
    """Multiply each row with the Hadamard matrix of its length, in n log n.

    Parameters
    ----------
    rows : numpy.ndarray
        (n, d), d a power of two.

    Returns
    -------
    numpy.ndarray
        (n, d); not scaled.
    """
    n, d = rows.shape
    half = 1
    while half < d:
        pairs = rows.reshape(n, d // (2 * half), 2, half)
        rows = np.stack(
            [pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2
        ).reshape(n, d)
        half *= 2
    return rows
