"""Batches of positives and fresh negatives for TensorFlow (tf.data) and MXNet (DataIter)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from helpers.sampling.sampler import LabeledPairs, NegativeSampler, SamplingError, check_request


class _Epochs:
    """Labeled pairs, one epoch after the other; epoch e draws from ``default_rng([seed, e])``."""

    def __init__(
        self, train_data: Any, ratio: int, batch_size: int, seed: int, options: dict[str, Any]
    ) -> None:
        check_request(ratio, np.random.default_rng(0))
        if batch_size < 1:
            raise SamplingError(f"batch_size is {batch_size}; expected 1 or more")
        given = isinstance(train_data, NegativeSampler)
        if given and options:
            raise SamplingError(
                f"train_data is a sampler already; {', '.join(options)} would be ignored"
            )
        self.sampler = train_data if given else NegativeSampler(train_data, **options)
        self.ratio, self.batch_size, self.seed = ratio, batch_size, seed
        self.n_batches = -(-len(self.sampler.users) * (1 + ratio) // batch_size)

    def draw(self, epoch: int) -> LabeledPairs:
        """Return all examples of an epoch, counted from 0."""
        return self.sampler.epoch(self.ratio, rng=np.random.default_rng([self.seed, epoch]))


def negative_sampling_dataset(
    train_data: Any, sample_ratio: int = 5, batch_size: int = 256, *, seed: int = 0, **options: Any
) -> Any:
    """Return a ``tf.data.Dataset`` of positives with sampled negatives.

    Every pass over it is an epoch with fresh negatives, so ``model.fit(dataset, epochs=3)`` sees
    three draws. Its length is known to Keras.

    Parameters
    ----------
    train_data : Interactions, (users, items) or NegativeSampler
        The positives.
    sample_ratio : int
        Negatives per positive.
    batch_size : int
        Examples per batch; the last one may be short.
    seed : int
        Epoch e draws from ``default_rng([seed, e])``.
    **options
        Settings of `NegativeSampler`, where `train_data` is not one.

    Returns
    -------
    tf.data.Dataset
        Of ``((users, items), labels)``: int32 (batch,), int32 (batch,), float32 (batch,).

    Raises
    ------
    SamplingError
        As `NegativeSampler`.
    """
    import tensorflow as tf

    source, epochs = _Epochs(train_data, sample_ratio, batch_size, seed, options), count()

    def batches() -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
        users, items, labels = source.draw(next(epochs))
        for start in range(0, len(labels), batch_size):
            part = slice(start, start + batch_size)
            yield (users[part], items[part]), labels[part]

    spec = tf.TensorSpec
    signature = ((spec((None,), tf.int32), spec((None,), tf.int32)), spec((None,), tf.float32))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(source.n_batches)).prefetch(2)


def NegativeSamplingDataIter(
    train_data: Any, sample_ratio: int = 5, batch_size: int = 256, *, seed: int = 0, **options: Any
) -> Any:
    """Return an MXNet ``DataIter`` of positives with sampled negatives, as in the 2016 talk.

    Named like the talk's class; it is a function so that importing this room does not import MXNet.
    Every ``reset()`` begins an epoch with fresh negatives; ``Module.fit`` calls it each time.

    Parameters
    ----------
    train_data, sample_ratio, seed, **options
        As in `negative_sampling_dataset`.
    batch_size : int
        Examples per batch. A short last batch is filled from the epoch's beginning, and
        ``batch.pad`` says how many were added.

    Returns
    -------
    mx.io.DataIter
        Data "user" and "item", label "score": (batch,) each, float32 as in MXNet's own iterators.

    Raises
    ------
    SamplingError
        As `NegativeSampler`.

    References
    ----------
    Dirac 2016, "Using MXNet for recommendation modeling at scale" (AWS re:Invent MAC306).
    """
    return _iterator_class()(_Epochs(train_data, sample_ratio, batch_size, seed, options))


@lru_cache(maxsize=1)
def _iterator_class() -> Any:
    """Make the subclass of ``mx.io.DataIter``, once."""
    from helpers.gates import import_mxnet

    mx: Any = import_mxnet()
    base: Any = mx.io.DataIter

    class NegativeSamplingIterator(base):
        """Batches of users, items and labels; fresh negatives after every reset."""

        def __init__(self, source: _Epochs) -> None:
            super().__init__(source.batch_size)
            self.source, self.epoch, self.cursor = source, 0, 0
            user, item, score = (
                mx.io.DataDesc(name, (source.batch_size,), np.dtype(np.float32))
                for name in ("user", "item", "score")
            )
            self.provide_data, self.provide_label = [user, item], [score]
            self.examples: LabeledPairs | None = None

        def reset(self) -> None:
            """Begin the next epoch."""
            self.epoch, self.cursor, self.examples = self.epoch + 1, 0, None

        def next(self) -> Any:
            """Return the next batch."""
            if self.examples is None:
                self.examples = self.source.draw(self.epoch)
            left = len(self.examples.labels) - self.cursor
            if left <= 0:
                raise StopIteration
            rows = np.arange(self.cursor, self.cursor + self.batch_size)
            self.cursor += self.batch_size
            # not mx.nd.array, which asks for every batch whether it is a scipy matrix and warns
            users, items, labels = (
                mx.nd.ndarray.array(column.take(rows, mode="wrap"), dtype=np.float32)
                for column in self.examples
            )
            return mx.io.DataBatch(
                data=[users, items],
                label=[labels],
                pad=max(0, self.batch_size - left),
                provide_data=self.provide_data,
                provide_label=self.provide_label,
            )

    return NegativeSamplingIterator
