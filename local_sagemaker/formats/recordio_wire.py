"""The protobuf wire format of one ``aialgs.data.Record``, field by field: any layout and tensor type."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_KINDS = {2: "<f4", 3: "<f8", 7: "int"}  # field of the message Value -> how its values are stored


class RecordError(ValueError):
    """The bytes are no RecordIO-protobuf, or hold what no algorithm reads; the text says which record."""


class Found(NamedTuple):
    """What records hold: all values and keys in a row, then a number for each record."""

    values: np.ndarray
    keys: np.ndarray
    counts: np.ndarray
    widths: np.ndarray  # -1 where a record does not say
    labels: np.ndarray | None
    dense: bool


def one_by_one(data: bytes, starts: np.ndarray, sizes: np.ndarray, name: str) -> Found:
    """Read records of any valid layout: other writers, other types of tensor."""
    values, keys, counts, widths, labels, dense = [], [], [], [], [], True
    for place, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        try:
            record = _record(data[start : start + size])
        except (IndexError, ValueError, struct.error) as wrong:
            raise RecordError(
                f"{name}: record {place} is not an aialgs.data.Record message: {wrong}"
            ) from None
        if 1 not in record:
            raise RecordError(f"{name}: record {place} has no features under the name 'values'")
        row, row_keys, shape = record[1]
        if row_keys and len(row_keys) != len(row):
            raise RecordError(
                f"{name}: record {place} has {len(row)} values and {len(row_keys)} keys"
            )
        is_dense = not row_keys and not (shape and not row)
        dense = dense and is_dense
        values.append(np.array(row, dtype=np.float32))
        keys.append(np.array(row_keys, dtype=np.int64) if row_keys else np.arange(len(row)))
        counts.append(len(row))
        widths.append(shape[0] if shape else len(row) if is_dense else -1)
        label = record.get(2, ([], [], []))[0]
        if len(label) > 1:
            raise RecordError(f"{name}: record {place} has {len(label)} labels: expected one")
        labels.append(label[0] if label else None)
    have = [label is not None for label in labels]
    if any(have) and not all(have):
        raise RecordError(f"{name}: record {have.index(False)} has no label, others have one")
    return Found(
        np.concatenate(values),
        np.concatenate(keys),
        np.array(counts, dtype=np.int64),
        np.array(widths, dtype=np.int64),
        np.array(labels, dtype=np.float32) if all(have) else None,
        dense,
    )


_Tensor = tuple[list[float], list[int], list[int]]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than ten bytes")


def _fields(data: bytes) -> Iterator[tuple[int, bytes, list[int]]]:
    """Walk over a message: number of each field, its bytes, or else the one number it is."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            number, at = _varint(data, at)
            yield tag >> 3, b"", [number]
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(data):
            raise ValueError(f"a field of {size} bytes where {len(data) - at} are left")
        yield tag >> 3, data[at : at + size], []
        at += size


def _record(data: bytes) -> dict[int, _Tensor]:
    """Features (1) and label (2) of a record, where they stand under the name ``values``."""
    found = {}
    for number, entry, _ in _fields(data):
        if number not in (1, 2):
            continue
        parts = {field: content for field, content, _ in _fields(entry)}
        if parts.get(1) == b"values":
            for kind, tensor, _ in _fields(parts.get(2, b"")):
                if kind not in _KINDS:
                    raise ValueError(f"a tensor of kind {kind}: expected float32, float64 or int32")
                found[number] = _tensor_of(tensor, _KINDS[kind])
    return found


def _tensor_of(data: bytes, kind: str) -> _Tensor:
    values: list[float] = []
    keys: list[int] = []
    shape: list[int] = []
    for number, content, single in _fields(data):
        if number == 1 and kind != "int":
            values += np.frombuffer(content, dtype=kind).tolist()
        elif number == 1:
            values += [n - (1 << 64) if n >= 1 << 63 else n for n in single or _numbers(content)]
        elif number in (2, 3):
            (keys if number == 2 else shape).extend(single or _numbers(content))
    return values, keys, shape


def _numbers(content: bytes) -> list[int]:
    found, at = [], 0
    while at < len(content):
        value, at = _varint(content, at)
        found.append(value)
    return found
