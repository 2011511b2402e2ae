"""Two optimizers in NumPy for tables of which a batch reads only a few rows.

A batch of ratings has gradients for the users and items in it and for nobody else. Both optimizers
therefore get the numbers of those rows and their gradients, and their cost does not grow with the
catalog.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

Weights = dict[str, np.ndarray]  # by name: (rows, k) or (rows,) float32
Rows = dict[str, np.ndarray]  # by name: (m,) numbers of different rows


class Optimizer(Protocol):
    """What a training loop needs of an optimizer."""

    def refresh(self, weights: Weights, rows: Rows) -> None:
        """Bring rows up to date, in place, before they are read."""

    def step(self, weights: Weights, rows: Rows, gradients: Weights) -> None:
        """Move rows against their gradients, in place."""


class Momentum:
    """Stochastic gradient descent with momentum, as MXNet computes it.

    ``velocity = momentum · velocity - learning_rate · gradient``, then ``weight += velocity``, for every
    row at every step. A row without a gradient only coasts: over ``n`` steps it moves by
    ``velocity · (m + m² + … + mⁿ)``, a sum with a closed form, so it is moved when it is next read.
    The result is that of the dense optimizer, up to rounding.

    Parameters
    ----------
    learning_rate : float
    momentum : float
        Share of the last step that is kept, 0 (plain SGD) to below 1.
    """

    def __init__(self, learning_rate: float = 0.02, momentum: float = 0.9) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum}: expected a number from 0 to below 1")
        self.learning_rate = np.float32(_positive(learning_rate))
        self.momentum = np.float32(momentum)
        self._steps = 0
        self._velocity: Weights = {}
        self._moved: Rows = {}  # the step up to which each row has moved

    def refresh(self, weights: Weights, rows: Rows) -> None:
        """Let rows coast to where the dense optimizer would have them by now."""
        for name, index in rows.items():
            if name not in self._velocity:
                self._velocity[name] = np.zeros_like(weights[name])
                self._moved[name] = np.full(len(weights[name]), self._steps)
            missed = self._steps - self._moved[name][index]
            velocity = self._velocity[name][index]
            kept = _columns(self.momentum ** missed.astype(np.float32), velocity)
            weights[name][index] += velocity * (self.momentum * (1 - kept) / (1 - self.momentum))
            self._velocity[name][index] = velocity * kept
            self._moved[name][index] = self._steps

    def step(self, weights: Weights, rows: Rows, gradients: Weights) -> None:
        """Take one step; the same rows must have been refreshed."""
        self._steps += 1
        for name, index in rows.items():
            velocity = (
                self.momentum * self._velocity[name][index] - self.learning_rate * gradients[name]
            )
            weights[name][index] += velocity
            self._velocity[name][index] = velocity
            self._moved[name][index] = self._steps


class Adam:
    """Adam (Kingma and Ba, 2015), in the lazy form: rows outside the batch stay where they are.

    ``mean`` and ``square`` are running means of the gradient and of its square, freed of the zeros
    they start from; ``weight -= learning_rate · mean / (sqrt(square) + epsilon)``. Dense Adam would
    let the other rows coast as well; where every row is in every batch, the two are the same.

    Parameters
    ----------
    learning_rate : float
    beta1, beta2 : float
        Memory of the running mean of the gradient, and of its square.
    epsilon : float
        Keeps the division finite where a gradient has always been zero.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.learning_rate = _positive(learning_rate)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self._steps = 0
        self._mean: Weights = {}
        self._square: Weights = {}

    def refresh(self, weights: Weights, rows: Rows) -> None:
        """Nothing to do: a row outside a batch does not move."""

    def step(self, weights: Weights, rows: Rows, gradients: Weights) -> None:
        """Take one step."""
        self._steps += 1
        of_mean = (
            1 - self.beta1**self._steps
        )  # what the zeros at the start leave of each running mean
        of_square = 1 - self.beta2**self._steps
        rate = self.learning_rate / of_mean * of_square**0.5
        epsilon = self.epsilon * of_square**0.5
        for name, index in rows.items():
            gradient = gradients[name]
            if name not in self._mean:
                self._mean[name] = np.zeros_like(weights[name])
                self._square[name] = np.zeros_like(weights[name])
            means, squares = self._mean[name], self._square[name]
            # in place where it can be: making arrays costs more here than computing with them
            mean, square = means[index], squares[index]
            mean += (1 - self.beta1) * (gradient - mean)
            square *= self.beta2
            square += (1 - self.beta2) * gradient**2
            means[index], squares[index] = mean, square
            np.sqrt(square, out=square)
            square += epsilon
            mean /= square
            mean *= rate
            weights[name][index] -= mean


def _positive(learning_rate: float) -> float:
    if not learning_rate > 0:
        raise ValueError(f"learning_rate={learning_rate}: expected a number above 0")
    return learning_rate


def _columns(by_row: np.ndarray, like: np.ndarray) -> np.ndarray:
    """One number a row, shaped to multiply ``like``: (m,) or (m, 1)."""
    return by_row.reshape((-1,) + (1,) * (like.ndim - 1))
