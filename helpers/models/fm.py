"""The factorization machine and its rows of features.

How it trains and scores is the local SageMaker's: `local_sagemaker.algorithms.fm`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.base import check_indices
from local_sagemaker.algorithms.fm import FactorizationMachine, FloatArray, fm_scores

if TYPE_CHECKING:
    from helpers.data import Interactions

__all__ = [
    "TUNED_HYPERPARAMETERS",
    "FactorizationMachine",
    "fm_scores",
    "rating_rows",
    "side_by_side",
]

# SageMaker hyperparameters, chosen on a tenth of the training rows of ML-100K, never on test rows
TUNED_HYPERPARAMETERS: dict[str, float | int] = {
    "num_factors": 32,
    "epochs": 25,
    "mini_batch_size": 256,
    "bias_lr": 0.01,
    "linear_lr": 0.002,
    "factors_lr": 0.002,
    "bias_wd": 0.0,
    "linear_wd": 0.0001,
    "factors_wd": 0.0005,
    "factors_init_sigma": 0.02,
}


def side_by_side(*columns: tuple[npt.ArrayLike, int]) -> sparse.csr_matrix:
    """Return one-hot blocks side by side, (n, sum of the widths) float32.

    A column is contiguous indices (n,) and the width of their block. Raise ``ValueError`` for
    columns of different length, and ``IndexError`` for an index that is not below its width.
    """
    checked = [check_indices(c, n, f"column {place}") for place, (c, n) in enumerate(columns)]
    starts = np.cumsum([0, *(width for _, width in columns)])
    keys = np.stack(checked, axis=1) + starts[:-1]
    ends = np.arange(0, keys.size + 1, len(columns), dtype=np.int32)
    parts = np.ones(keys.size, dtype=np.float32), keys.ravel().astype(np.int32), ends
    return sparse.csr_matrix(parts, shape=(len(keys), int(starts[-1])))


def rating_rows(data: Interactions) -> tuple[sparse.csr_matrix, FloatArray]:
    """Return a row per rating, (n, n_users + n_items), users first, and the ratings, (n,)."""
    rows = side_by_side((data.frame["user"], data.n_users), (data.frame["item"], data.n_items))
    return rows, data.frame["rating"].to_numpy(dtype=np.float32)
