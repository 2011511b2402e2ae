"""Negatives for implicit feedback: one vectorized sampler, and its pipelines for the frameworks."""

from helpers.sampling.frameworks import NegativeSamplingDataIter, negative_sampling_dataset
from helpers.sampling.sampler import (
    InBatchNegatives,
    LabeledPairs,
    NegativeSampler,
    SamplingError,
    false_negative_rate,
)

__all__ = [
    "InBatchNegatives",
    "LabeledPairs",
    "NegativeSampler",
    "NegativeSamplingDataIter",
    "SamplingError",
    "false_negative_rate",
    "negative_sampling_dataset",
]
