"""Adam as TensorFlow's own kernel computes it, for training loops written by hand."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class FusedAdam:
    """Adam in one operation of TensorFlow a table, for use inside a graph: half the time of Keras' dozen.

    Slopes of looked-up rows become whole tables first. Keras' Adam (3.15) squares each of a row's repeated
    slopes and adds the squares, so that rows met often in a batch take longer steps than Adam's.

    Parameters
    ----------
    variables : sequence of tf.Variable
        What `apply` moves, in this order.

    References
    ----------
    Kingma and Ba 2015, "Adam: a method for stochastic optimization".
    """

    MEMORY, SQUARES, EPSILON = 0.9, 0.999, 1e-7  # Keras' own

    def __init__(self, variables: Sequence[Any]) -> None:
        import tensorflow as tf

        self._variables = variables
        self._means, self._squares = (
            [tf.Variable(tf.zeros_like(v), trainable=False) for v in variables] for _ in range(2)
        )
        self._powers = [tf.Variable(1.0, trainable=False) for _ in range(2)]

    def apply(self, slopes: Sequence[Any], learning_rate: Any) -> None:
        """Take one step down the slopes, tensors or slices of tables, one for each variable."""
        import tensorflow as tf

        powers = [
            p.assign(p * b) for p, b in zip(self._powers, (self.MEMORY, self.SQUARES), strict=True)
        ]
        arrays = zip(self._variables, self._means, self._squares, slopes, strict=True)
        for variable, mean, square, slope in arrays:
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=mean.handle, v=square.handle,
                beta1_power=powers[0], beta2_power=powers[1], lr=learning_rate,
                beta1=self.MEMORY, beta2=self.SQUARES, epsilon=self.EPSILON, grad=tf.convert_to_tensor(slope),
            )  # fmt: skip


def adam_step(loss: Callable[..., tuple[Any, Any]], variables: list[Any]) -> Callable[..., Any]:
    """Compile one step of `FusedAdam`.

    Parameters
    ----------
    loss : callable
        Takes what a batch consists of, and returns two tensors: the loss, and what is added to it before
        slopes are taken, such as squared weights. Compiled once; batches may differ in size.
    variables : list of tf.Variable
        Changed in place.

    Returns
    -------
    callable
        ``step(learning_rate, *batch)`` takes a step and returns the loss before it. Give the learning
        rate as an array or NumPy scalar: each new Python number would be compiled anew.
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

    def compiled_once(learning_rate: Any, *batch: Any) -> Any:
        if not step.experimental_get_tracing_count():
            step.get_concrete_function(
                *tf.nest.map_structure(_of_any_length, (learning_rate, *batch))
            )
        return step(learning_rate, *batch)

    return compiled_once


def _of_any_length(example: Any) -> Any:
    """Describe tensors like an array, with a first axis of any length."""
    import tensorflow as tf

    kind = tf.TensorSpec.from_tensor(tf.convert_to_tensor(example))
    return tf.TensorSpec((None, *kind.shape[1:]), kind.dtype) if kind.shape.rank else kind


@contextmanager
def freed_afterwards() -> Iterator[None]:
    """Free what a training leaves behind: compiled steps, networks and variables refer to each other.

    Only what was made inside is looked at. Looking through TensorFlow's own objects, too, would take
    longer than many a training here.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
