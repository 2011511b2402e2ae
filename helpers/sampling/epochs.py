"""One source of epochs for the MXNet iterator and the tf.data pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.sampling.checks import SamplingError, check_ratio
from helpers.sampling.sampler import LabeledPairs, NegativeSampler


class EpochSource:
    """Labeled pairs, one epoch after the other; epoch e of a seed is always the same.

    Parameters
    ----------
    train_data : Interactions, (users, items) or NegativeSampler
        The positives.
    sample_ratio : int
        Negatives a positive.
    batch_size : int
        Examples a batch; with strategy "in-batch" the sampler has its own.
    seed : int
        Epoch e draws from ``default_rng([seed, e])``.
    resample : bool
        Fresh negatives every epoch. Without it, those of epoch 0 return, in a new order.
    shuffle : bool
        Mix positives and negatives.
    **options
        Settings of `NegativeSampler`, where `train_data` is not one.
    """

    def __init__(
        self,
        train_data: Any,
        sample_ratio: int,
        batch_size: int,
        seed: int,
        resample: bool,
        shuffle: bool,
        **options: Any,
    ) -> None:
        check_ratio(sample_ratio, np.random.default_rng(0))
        if batch_size < 1:
            raise SamplingError(f"batch_size is {batch_size}; expected 1 or more")
        if isinstance(train_data, NegativeSampler):
            if options:
                raise SamplingError(
                    f"train_data is a sampler already; {', '.join(options)} would be ignored"
                )
            self.sampler = train_data
        else:
            self.sampler = NegativeSampler(train_data, **options)
        self.ratio, self.batch_size, self.seed = sample_ratio, batch_size, seed
        self.resample, self.shuffle = resample, shuffle

    @property
    def n_examples(self) -> int:
        """Examples in an epoch."""
        return len(self.sampler.users) * (1 + self.ratio)

    @property
    def n_batches(self) -> int:
        """Batches in an epoch, a short last one included."""
        return -(-self.n_examples // self.batch_size)

    def draw(self, epoch: int) -> LabeledPairs:
        """Return all examples of an epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.resample or epoch == 0:
            return self.sampler.epoch(self.ratio, rng=rng, shuffle=self.shuffle)
        first = self.draw(0)
        if not self.shuffle:
            return first
        order = rng.permutation(len(first.labels))
        return LabeledPairs(*(column[order] for column in first))
