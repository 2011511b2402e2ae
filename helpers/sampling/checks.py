"""The settings of a sampler: their names, and what is wrong with bad ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import PairSource

Strategy = Literal["uniform", "popularity", "in-batch", "hard"]
Avoid = Literal["all", "train", "none"]
#: ``score(users, items)`` returns one number a pair, higher for a better item.
ScoreFunction = Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32]], npt.ArrayLike]


class SamplingError(ValueError):
    """The negatives asked for do not exist, or the request makes no sense."""


def check_ratio(ratio: int, rng: Any) -> None:
    """Refuse a ratio that is not a whole number of negatives, and an rng that is no Generator."""
    if isinstance(ratio, bool) or not isinstance(ratio, (int, np.integer)) or ratio < 1:
        raise SamplingError(
            f"ratio is {ratio!r}; expected a whole number of negatives a positive, 1 or more"
        )
    if not isinstance(rng, np.random.Generator):
        raise SamplingError(
            f"rng is a {type(rng).__name__}; expected a Generator such as np.random.default_rng(0)"
        )


def check_settings(
    strategy: str,
    alpha: float | None,
    avoid: str,
    known: PairSource | None,
    hard_draws: int,
    score: ScoreFunction | None,
    batch_size: int,
) -> None:
    """Refuse settings of a `NegativeSampler` that are out of range or contradict each other."""
    if strategy not in ("uniform", "popularity", "in-batch", "hard"):
        raise SamplingError(
            f"strategy is {strategy!r}; expected uniform, popularity, in-batch or hard"
        )
    if alpha is not None and not (np.isfinite(alpha) and alpha >= 0):
        raise SamplingError(f"alpha is {alpha}; expected 0 (uniform) or more (1: by popularity)")
    if alpha is not None and strategy in ("uniform", "in-batch"):
        raise SamplingError(
            f'alpha is {alpha}, but strategy "{strategy}" has none; use "popularity"'
        )
    if avoid not in ("all", "train", "none"):
        raise SamplingError(f"avoid is {avoid!r}; expected all, train or none")
    if avoid == "all" and known is None:
        raise SamplingError(
            'avoid="all" needs every positive: pass known=data, the set before its split'
        )
    if avoid != "all" and known is not None:
        raise SamplingError(f'known is given, but avoid="{avoid}" does not use it; say avoid="all"')
    if strategy == "hard" and score is None:
        raise SamplingError('strategy "hard" needs score, a function of (users, items)')
    if hard_draws < 1 or batch_size < 2:
        raise SamplingError(
            f"hard_draws is {hard_draws} and batch_size {batch_size}; expected at least 1 and at least 2"
        )
