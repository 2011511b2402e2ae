"""Negatives for implicit feedback: one vectorized sampler, and thin shells over it.

Importing this room costs NumPy and SciPy; MXNet and TensorFlow load when their shell is used.
"""

from helpers.sampling.checks import SamplingError
from helpers.sampling.evaluation import Candidates, evaluation_candidates
from helpers.sampling.inbatch import InBatchNegatives
from helpers.sampling.mxnet_iterator import NegativeSamplingDataIter
from helpers.sampling.odds import (
    any_of,
    collision_rate,
    false_negative_rate,
    keep_rate,
    undo_sampling,
)
from helpers.sampling.sampler import LabeledPairs, NegativeSampler
from helpers.sampling.tf_dataset import negative_sampling_dataset

__all__ = [
    "Candidates",
    "InBatchNegatives",
    "LabeledPairs",
    "NegativeSampler",
    "NegativeSamplingDataIter",
    "SamplingError",
    "any_of",
    "collision_rate",
    "evaluation_candidates",
    "false_negative_rate",
    "keep_rate",
    "negative_sampling_dataset",
    "undo_sampling",
]
