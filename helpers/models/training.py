"""Optimizers in NumPy (Adam, momentum) and TensorFlow (Adam), and batches prepared in a thread."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numpy as np

from helpers.models.base import above_zero

T = TypeVar("T")
Weights = dict[str, np.ndarray]  # by name of a table: (n, factors) or (n,)
Rows = Mapping[str, np.ndarray | slice]  # by name of a table: different rows, (m,), or a slice


class Momentum:
    """Stochastic gradient descent with momentum, as MXNet computes it, on the rows of a batch.

    ``velocity = momentum · velocity - learning_rate · gradient``, then ``weight += velocity``, for
    every row at every step. A row without a gradient coasts: over ``n`` steps it moves by
    ``velocity · (m + m² + … + mⁿ)``, where m is the momentum. That sum has a closed form, so the
    row is moved when it is read next. The result is that of the dense optimizer, up to rounding.
    """

    def __init__(self, learning_rate: float, momentum: float = 0.9) -> None:
        self.learning_rate, self.momentum = np.float32(learning_rate), np.float32(momentum)
        above_zero(self, "learning_rate")
        self._steps = 0
        self._velocity: Weights = {}
        self._moved: Weights = {}  # the step up to which each row has moved

    def refresh(self, weights: Weights, rows: Rows) -> None:
        """Let rows coast, in place, to where the dense optimizer would have them by now."""
        for name, index in rows.items():
            if name not in self._velocity:
                self._velocity[name] = np.zeros_like(weights[name])
                self._moved[name] = np.full(len(weights[name]), self._steps)
            missed = self._steps - self._moved[name][index]
            velocity = self._velocity[name][index]
            kept = self.momentum ** missed.astype(np.float32)
            kept = kept.reshape((-1,) + (1,) * (velocity.ndim - 1))
            weights[name][index] += velocity * (self.momentum * (1 - kept) / (1 - self.momentum))
            self._velocity[name][index] = velocity * kept
            self._moved[name][index] = self._steps

    def step(self, weights: Weights, rows: Rows, gradients: Weights) -> None:
        """Move rows that have been refreshed against their gradients, in place."""
        self._steps += 1
        for name, index in rows.items():
            velocity = self.momentum * self._velocity[name][index]
            velocity -= self.learning_rate * gradients[name]
            weights[name][index] += velocity
            self._velocity[name][index] = velocity
            self._moved[name][index] = self._steps


class Adam:
    """Adam (Kingma and Ba, 2015) on the rows of a batch; dense Adam lets the other rows coast.

    ``weight -= learning_rate · mean / (sqrt(square) + epsilon)`` with running means of the gradient
    and of its square, corrected for their start at zero. With ``epsilon_hat`` epsilon is added
    before the correction, as MXNet and TensorFlow do.
    """

    MEAN, SQUARE = 0.9, 0.999  # shares of the running means that a step keeps
    BLOCK = 512  # rows at a time: the working arrays stay in cache

    def __init__(self, learning_rate: float, epsilon_hat: bool = False) -> None:
        self.learning_rate, self.epsilon, self.epsilon_hat = learning_rate, 1e-8, epsilon_hat
        above_zero(self, "learning_rate")
        self.steps = 0
        self._mean: Weights = {}
        self._square: Weights = {}

    def refresh(self, weights: Weights, rows: Rows) -> None:
        """Do nothing: a row outside a batch does not move."""

    def memory(self, name: str, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the running means of a table's gradient and of its square; zeros at first."""
        if name not in self._mean:
            self._mean[name], self._square[name] = np.zeros_like(table), np.zeros_like(table)
        return self._mean[name], self._square[name]

    def step(self, weights: Weights, rows: Rows, gradients: Weights) -> None:
        """Move rows against their gradients, in place."""
        self.steps += 1
        correction = (1 - self.SQUARE**self.steps) ** 0.5
        rate = self.learning_rate / (1 - self.MEAN**self.steps) * correction
        epsilon = self.epsilon if self.epsilon_hat else self.epsilon * correction
        for name, index in rows.items():
            tables = weights[name], *self.memory(name, weights[name])
            moved = [table[index] for table in tables]  # views of a slice, else copies
            for start in range(0, len(moved[0]), self.BLOCK):
                part = slice(start, start + self.BLOCK)
                weight, mean, square = (m[part] for m in moved)
                gradient = gradients[name][part]
                # in place: allocating arrays costs more here than computing with them
                work: np.ndarray = gradient**2
                work *= 1 - self.SQUARE
                square *= self.SQUARE
                square += work
                np.subtract(gradient, mean, out=work)
                work *= 1 - self.MEAN
                mean += work
                np.sqrt(square, out=work)
                work += epsilon
                np.divide(mean, work, out=work)
                work *= rate
                weight -= work
            if not isinstance(index, slice):
                for table, new in zip(tables, moved, strict=True):
                    table[index] = new


Optimizer = Adam | Momentum


def falling(learning_rate: float, epoch: int, epochs: int) -> float:
    """Return the learning rate of an epoch (from 0): it falls linearly to a tenth."""
    return learning_rate * (1 - 0.9 * epoch / max(1, epochs - 1))


class FusedAdam:
    """Adam in one operation of TensorFlow per table: half the time of Keras' dozen operations.

    Gradients of looked-up rows become whole tables first. Keras' Adam (3.15) squares each of a
    row's repeated gradients and adds the squares, so rows that a batch repeats move too far.
    """

    MEAN, SQUARE, EPSILON = 0.9, 0.999, 1e-7  # the defaults of Keras

    def __init__(self, variables: Sequence[Any]) -> None:
        import tensorflow as tf

        self._variables = variables
        self._means, self._squares = (
            [tf.Variable(tf.zeros_like(v), trainable=False) for v in variables] for _ in range(2)
        )
        self._powers = [tf.Variable(1.0, trainable=False) for _ in range(2)]

    def apply(self, gradients: Sequence[Any], learning_rate: Any) -> None:
        """Take one step, inside a graph; gradients are tensors or slices, one per variable."""
        import tensorflow as tf

        memories = (self.MEAN, self.SQUARE)
        powers = [p.assign(p * m) for p, m in zip(self._powers, memories, strict=True)]
        tables = zip(self._variables, self._means, self._squares, gradients, strict=True)
        for variable, mean, square, gradient in tables:
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=mean.handle, v=square.handle,
                beta1_power=powers[0], beta2_power=powers[1], lr=learning_rate,
                beta1=self.MEAN, beta2=self.SQUARE, epsilon=self.EPSILON,
                grad=tf.convert_to_tensor(gradient),
            )  # fmt: skip


def adam_step(loss: Callable[..., tuple[Any, Any]], variables: list[Any]) -> Callable[..., Any]:
    """Return ``step(learning_rate, *batch)``: a compiled step of `FusedAdam` that returns the loss.

    ``loss(*batch)`` returns the loss and what is added to it before the gradient is taken, such as
    squared weights. It is compiled for the first batch, and once more for those of other sizes.
    Give the learning rate as a NumPy scalar: each new Python number would be compiled anew.
    """
    import tensorflow as tf

    optimizer = FusedAdam(variables)

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[misc, unused-ignore]
    def step(learning_rate: Any, *batch: Any) -> Any:
        with tf.GradientTape() as tape:
            value, added = loss(*batch)
            total = value + added
        optimizer.apply(tape.gradient(total, variables), learning_rate)
        return value

    return step


@contextmanager
def freed_afterwards() -> Iterator[None]:
    """Free what a training leaves: compiled steps, networks and variables refer to each other.

    Only objects made inside the block are searched: TensorFlow's own would take too long. Linux
    then gets the free memory back, which the allocators of threads would keep.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        with suppress(AttributeError):  # other systems have no such function
            ctypes.CDLL(None).malloc_trim(0)


def one_ahead(batches: Iterator[T]) -> Iterator[T]:
    """Yield the elements of an iterator while a second thread makes the next one.

    The thread is never more than one element ahead, and an exception is raised in its turn. The
    iterator must not change an element after yielding it.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = thread.submit(next, batches, end)
        while (batch := coming.result()) is not end:
            coming = thread.submit(next, batches, end)
            yield batch  # type: ignore[misc]
