"""Which hyperparameters a tuning job tries: every point of a grid, or points drawn at random."""

from __future__ import annotations

import itertools
import math
import random
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError

STRATEGIES = ("Random", "Grid")
MOST_JOBS = 100


def candidates(name: str, config: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the settings to try, in order.

    Parameters
    ----------
    name : str
        Of the tuning job: the seed where the request names none, so that a second run tries the same.
    config : mapping
        ``HyperParameterTuningJobConfig``.

    Returns
    -------
    list of dict
        Hyperparameters as strings.

    Raises
    ------
    ApiError
        A range is empty, or a grid has more points than a tuning job may have.
    """
    ranges = config.get("ParameterRanges") or {}
    categories = ranges.get("CategoricalParameterRanges") or []
    numbers = [(r, True) for r in ranges.get("IntegerParameterRanges") or []]
    numbers += [(r, False) for r in ranges.get("ContinuousParameterRanges") or []]
    if not categories and not numbers:
        raise ApiError("ParameterRanges names no hyperparameter to tune.")
    if config["Strategy"] == "Grid":
        if numbers:
            raise ApiError(
                "The Grid strategy takes categorical parameters only: list the values to try."
            )
        points = list(itertools.product(*(r["Values"] for r in categories)))
        if len(points) > MOST_JOBS:
            raise ApiError(
                f"The grid has {len(points)} points; a tuning job here has at most {MOST_JOBS}."
            )
        return [dict(zip((r["Name"] for r in categories), point, strict=True)) for point in points]
    chance = random.Random(config.get("RandomSeed", zlib.crc32(name.encode())))
    count = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", MOST_JOBS)
    return [dict(_drawn(chance, categories, numbers)) for _ in range(count)]


def _drawn(
    chance: random.Random,
    categories: list[Mapping[str, Any]],
    numbers: list[tuple[Mapping[str, Any], bool]],
) -> Iterator[tuple[str, str]]:
    for one in categories:
        yield one["Name"], chance.choice(one["Values"])
    for one, whole in numbers:
        low, high = _limits(one)
        scale = one.get("ScalingType", "Auto")
        if scale == "Auto":  # AWS chooses; here, by the range's width
            scale = "Logarithmic" if low > 0 and high / low >= 100 else "Linear"
        share = chance.random()
        if scale == "Logarithmic":
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        elif scale == "ReverseLogarithmic":
            value = 1 - math.exp(
                math.log(1 - high) + share * (math.log(1 - low) - math.log(1 - high))
            )
        else:
            value = low + share * (high - low)
        yield one["Name"], str(round(value)) if whole else repr(value)


def _limits(one: Mapping[str, Any]) -> tuple[float, float]:
    try:
        low, high = float(one["MinValue"]), float(one["MaxValue"])
    except ValueError:
        raise ApiError(f"The range of {one['Name']!r} has limits that are no numbers.") from None
    scale = one.get("ScalingType", "Auto")
    if not low <= high or (scale == "Logarithmic" and low <= 0):
        raise ApiError(
            f"The range of {one['Name']!r}, {low:g} to {high:g}, can't be used with scaling {scale}."
        )
    if scale == "ReverseLogarithmic" and not (low >= 0 and high < 1):
        raise ApiError(
            f"The range of {one['Name']!r} must lie in [0, 1) for ReverseLogarithmic scaling."
        )
    return low, high
