"""Training for networks of pairs: one ``tf.function`` runs a whole epoch, and negatives are fresh in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.models.training import FusedAdam
from helpers.sampling import LabeledPairs, NegativeSampler

if TYPE_CHECKING:
    import keras

    from helpers.data import Interactions


def train(
    model: keras.Model,
    data: Interactions | NegativeSampler,
    *,
    epochs: int = 10,
    ratio: int = 5,
    batch_size: int = 2048,
    learning_rate: float = 0.003,
    seed: int = 0,
    **sampling: Any,
) -> list[float]:
    """Train a network of pairs by Adam on positives and fresh negatives.

    Parameters
    ----------
    model : keras.Model
        Takes ``{"user": (B,), "item": (B,)}`` and returns chances, (B, 1); changed in place.
    data : Interactions or NegativeSampler
        The positives.
    epochs, ratio, batch_size : int
        Passes over the positives, negatives a positive, examples a step.
    learning_rate : float
        Adam's; it falls linearly to a tenth over the epochs.
    seed : int
        Epoch e draws from ``default_rng([seed, e])``.
    **sampling
        Settings of `NegativeSampler`, where `data` is not one.

    Returns
    -------
    list of float
        Mean loss of every epoch on its own examples, in nats, penalties included.

    Raises
    ------
    ValueError
        Epochs or a batch size below 1, a learning rate that is not above 0.
    """
    if epochs < 1 or batch_size < 1 or learning_rate <= 0:
        raise ValueError(
            f"epochs={epochs}, batch_size={batch_size}, learning_rate={learning_rate}: "
            "expected at least 1, at least 1, and above 0"
        )
    sampler = data if isinstance(data, NegativeSampler) else NegativeSampler(data, **sampling)
    run = epoch_runner(model, batch_size)
    history = []
    for epoch in range(epochs):
        examples = sampler.epoch(ratio, rng=np.random.default_rng([seed, epoch]))
        history.append(run(examples, learning_rate * (1 - 0.9 * epoch / max(1, epochs - 1))))
    return history


def epoch_runner(model: keras.Model, batch_size: int) -> Callable[[LabeledPairs, float], float]:
    """Compile one epoch of a model into one graph.

    Keras' ``fit`` goes back to Python after each step; with small batches that takes longer than the
    step. Here Python is called once an epoch.

    Parameters
    ----------
    model : keras.Model
        As in `train`.
    batch_size : int
        Examples a step; a last, smaller batch is trained on, too.

    Returns
    -------
    callable
        ``run(examples, learning_rate)`` trains on all examples in their order and returns the mean loss.
    """
    import tensorflow as tf

    optimizer = FusedAdam([v.value for v in model.trainable_variables])
    rate = tf.Variable(0.001, trainable=False)
    column, truth = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)

    @tf.function(input_signature=(column, column, truth))  # one graph for epochs of every length
    def epoch(users: Any, items: Any, labels: Any) -> Any:
        n, total = tf.shape(labels)[0], 0.0
        for start in tf.range(0, n, batch_size):
            end = tf.minimum(start + batch_size, n)
            with tf.GradientTape() as tape:
                chance = model({"user": users[start:end], "item": items[start:end]}, training=True)
                loss = cross_entropy(labels[start:end], chance[:, 0])
                if model.losses:
                    loss += tf.add_n(model.losses)
            optimizer.apply(tape.gradient(loss, model.trainable_variables), rate)
            total += loss * tf.cast(end - start, tf.float32)
        return total / tf.cast(n, tf.float32)

    def run(examples: LabeledPairs, learning_rate: float) -> float:
        rate.assign(learning_rate)
        return float(epoch(*(tf.constant(values) for values in examples)))

    return run


def cross_entropy(labels: Any, chance: Any) -> Any:
    """Mean binary cross-entropy in nats of chances, both (B,) tensors; chances are kept off 0 and 1."""
    import tensorflow as tf

    p = tf.clip_by_value(chance, 1e-7, 1 - 1e-7)
    return -tf.reduce_mean(labels * tf.math.log(p) + (1 - labels) * tf.math.log(1 - p))
