"""A ``tf.data`` pipeline over the sampler."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from helpers.sampling.epochs import EpochSource


def negative_sampling_dataset(
    train_data: Any,
    sample_ratio: int = 5,
    batch_size: int = 256,
    *,
    seed: int = 0,
    resample: bool = True,
    shuffle: bool = True,
    **options: Any,
) -> Any:
    """Return a ``tf.data.Dataset`` of positives with sampled negatives.

    Every pass over it is an epoch with fresh negatives, so ``model.fit(dataset,
    epochs=3)`` sees three draws. Its length is known to Keras.

    Parameters
    ----------
    train_data : Interactions, (users, items) or NegativeSampler
        The positives.
    sample_ratio : int
        Negatives a positive.
    batch_size : int
        Examples a batch; the last one may be short.
    seed, resample, shuffle, **options
        As in `helpers.sampling.epochs.EpochSource`; `options` are those of
        `NegativeSampler`: strategy, alpha, avoid, known, n_users, n_items, ...

    Returns
    -------
    tf.data.Dataset
        Of ``((users, items), labels)``: int32 (batch,), int32 (batch,), float32 (batch,).
    """
    import tensorflow as tf

    source = EpochSource(train_data, sample_ratio, batch_size, seed, resample, shuffle, **options)
    epochs = count()

    def batches() -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
        users, items, labels = source.draw(next(epochs))
        for start in range(0, len(labels), batch_size):
            part = slice(start, start + batch_size)
            yield (users[part], items[part]), labels[part]

    spec = tf.TensorSpec
    signature = ((spec((None,), tf.int32), spec((None,), tf.int32)), spec((None,), tf.float32))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(source.n_batches)).prefetch(2)
