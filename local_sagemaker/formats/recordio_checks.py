"""What is refused in the records of a RecordIO-protobuf stream, each by its record's number."""

from __future__ import annotations

import numpy as np

from local_sagemaker.formats.recordio_wire import RecordError


def _record_of(place: int, counts: np.ndarray) -> int:
    """Which record the ``place``-th value belongs to."""
    return int(np.searchsorted(np.cumsum(counts), place, side="right"))


def width_of(
    keys: np.ndarray,
    widths: np.ndarray,
    counts: np.ndarray,
    asked: int | None,
    dense: bool,
    name: str,
) -> int:
    """Return the features a record has: as many as asked for, or as the records say, or as they need."""
    said = widths[widths >= 0]
    if asked is None:
        return int(said.max() if len(said) else keys.max(initial=-1) + 1)
    wrong = np.flatnonzero((widths >= 0) & (widths != asked))
    if len(wrong):
        what = "values" if dense else "features"
        raise RecordError(
            f"{name}: record {wrong[0]} has {widths[wrong[0]]} {what}, but feature_dim is {asked}: "
            "they must be equal"
        )
    return asked


def check_keys(keys: np.ndarray, counts: np.ndarray, width: int, name: str) -> None:
    """Refuse keys that are out of range, unsorted, or there twice."""
    outside = np.flatnonzero((keys < 0) | (keys >= width))
    if len(outside):
        place = outside[0]
        raise RecordError(
            f"{name}: record {_record_of(place, counts)} has key {keys[place]}, out of range: keys are 0 to "
            f"{width - 1} for feature_dim {width}"
        )
    if len(keys) < 2:
        return
    same_record = np.ones(len(keys) - 1, dtype=bool)
    ends = np.cumsum(counts)[:-1]
    same_record[ends[(ends > 0) & (ends < len(keys))] - 1] = False
    wrong = np.flatnonzero((np.diff(keys) <= 0) & same_record)
    if len(wrong):
        place = wrong[0] + 1
        how = "twice" if keys[place] == keys[place - 1] else f"after {keys[place - 1]}, unsorted"
        raise RecordError(
            f"{name}: record {_record_of(place, counts)} has key {keys[place]} {how}: "
            "keys must ascend, each once"
        )


def check_finite(
    values: np.ndarray, counts: np.ndarray, labels: np.ndarray | None, name: str
) -> None:
    """Refuse values and labels that are NaN or infinite."""
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise RecordError(
            f"{name}: record {_record_of(wrong[0], counts)} has the value {values[wrong[0]]}: "
            "expected finite numbers"
        )
    if labels is not None and not np.isfinite(labels).all():
        place = int(np.flatnonzero(~np.isfinite(labels))[0])
        raise RecordError(
            f"{name}: record {place} has the label {labels[place]}: expected a finite number"
        )
