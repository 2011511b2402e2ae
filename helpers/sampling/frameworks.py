"""Batches of positives and fresh negatives for TensorFlow (tf.data) and MXNet (data iterator)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from helpers.gates import import_mxnet
from helpers.sampling.sampler import LabeledPairs, NegativeSampler, SamplingError, check_request


def negative_sampling_dataset(
    train_data: Any, sample_ratio: int = 5, batch_size: int = 256, *, seed: int = 0
) -> Any:
    """Return a ``tf.data.Dataset`` of positives with sampled negatives.

    Every pass over it is an epoch with fresh negatives, so ``model.fit(dataset, epochs=3)`` sees
    three draws. Its length is known to Keras.

    Parameters
    ----------
    train_data : Interactions or (users, items)
        The positives.
    sample_ratio, batch_size : int
        Negatives per positive, and examples per batch; the last batch may be short.
    seed : int
        Epoch e draws from ``default_rng([seed, e])``.

    Returns
    -------
    tf.data.Dataset
        Of ``((users, items), labels)``: int32 (batch,), int32 (batch,), float32 (batch,).
    """
    import tensorflow as tf

    n_batches, epochs = _epochs(train_data, sample_ratio, batch_size, seed)

    def batches() -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
        users, items, labels = next(epochs)
        for start in range(0, len(labels), batch_size):
            part = slice(start, start + batch_size)
            yield (users[part], items[part]), labels[part]

    ids, label = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
    dataset = tf.data.Dataset.from_generator(batches, output_signature=((ids, ids), label))
    return dataset.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(2)


class NegativeSamplingDataIter:
    """Iterate over MXNet batches of positives with sampled negatives.

    Data are "user" and "item", the label is "score": (batch,) each, float32 as in MXNet's own
    iterators. Every ``reset()``, which ``Module.fit`` calls after each epoch, brings fresh
    negatives. A short last batch is filled from the epoch's beginning; ``batch.pad`` says how many
    examples were added. Parameters and errors are those of `negative_sampling_dataset`.
    Named in Dirac 2016, "Using MXNet for recommendation modeling at scale" (re:Invent MAC306).
    """

    def __init__(
        self, train_data: Any, sample_ratio: int = 5, batch_size: int = 256, *, seed: int = 0
    ) -> None:
        _, self._epochs = _epochs(train_data, sample_ratio, batch_size, seed)
        self.batch_size = batch_size
        self.reset()

    def reset(self) -> None:
        """Draw the next epoch."""
        mx: Any = import_mxnet()
        # mx.nd.array would warn: it looks for scipy matrices where SciPy keeps them no more
        user, item, score = (mx.nd.ndarray.array(c, dtype=np.float32) for c in next(self._epochs))
        inputs = {"user": user, "item": item}
        self._batches = mx.io.NDArrayIter(inputs, {"score": score}, self.batch_size)
        self.provide_data = self._batches.provide_data[::-1]  # it sorts by name: item, user
        self.provide_label = self._batches.provide_label

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        batch = next(self._batches)
        batch.data.reverse()  # as provide_data
        return batch


def _epochs(
    train_data: Any, sample_ratio: int, batch_size: int, seed: int
) -> tuple[int, Iterator[LabeledPairs]]:
    """Return how many batches an epoch has, and the epochs, one after the other."""
    check_request(sample_ratio, np.random.default_rng(0))
    if batch_size < 1:
        raise SamplingError(f"batch_size is {batch_size}; expected 1 or more")
    sampler = NegativeSampler(train_data)
    epochs = (sampler.epoch(sample_ratio, rng=np.random.default_rng([seed, e])) for e in count())
    return -(-len(sampler.users) * (1 + sample_ratio) // batch_size), epochs
