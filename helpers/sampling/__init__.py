"""Negatives for implicit feedback: one vectorized sampler, and its pipelines for the frameworks."""

from helpers.sampling.frameworks import NegativeSamplingDataIter, negative_sampling_dataset
from helpers.sampling.sampler import (
    LabeledPairs,
    NegativeSampler,
    SamplingError,
    false_negative_rate,
)

__all__ = [
    "LabeledPairs",
    "NegativeSampler",
    "NegativeSamplingDataIter",
    "SamplingError",
    "false_negative_rate",
    "negative_sampling_dataset",
]
