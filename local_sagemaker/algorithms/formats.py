"""Requests and answers of the built-in algorithms: JSON, JSON lines, RecordIO-protobuf and CSV.

See "Common Data Formats for Inference" in the SageMaker developer guide.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from local_sagemaker.formats.recordio import MAGIC, RecordError, read_records
from local_sagemaker.serving.server import ClientError, Request

RECORDIO = "application/x-recordio-protobuf"
LINES = ("application/jsonlines", "application/x-jsonlines")


def decode(request: Request, feature_dim: int, *, csv: bool) -> sparse.csr_matrix:
    """Turn the body of a request into rows.

    Parameters
    ----------
    request : Request
        With its content type.
    feature_dim : int
        How many features the model has.
    csv : bool
        Whether the algorithm takes CSV.

    Returns
    -------
    scipy.sparse.csr_matrix
        (rows, feature_dim), float32.

    Raises
    ------
    ClientError
        The body does not fit: 415 for another content type, else 400.
    """
    kind = request.content_type
    if kind == RECORDIO:
        try:
            return read_records(request.body, feature_dim, name="request").features
        except RecordError as wrong:
            raise ClientError(f"unable to evaluate payload provided: {wrong}") from None
    try:
        if kind == "text/csv" and csv:
            return _csv(request.body, feature_dim)
        if kind == "application/json":
            document = json.loads(request.body)
            if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
                raise ClientError(
                    'unable to evaluate payload provided: expected {"instances": […]}'
                )
            return _rows(document["instances"], feature_dim)
        if kind in LINES:
            return _rows(
                [json.loads(line) for line in request.body.splitlines() if line.strip()],
                feature_dim,
            )
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise ClientError(
            f"unable to evaluate payload provided: malformed {kind}: {wrong}"
        ) from None
    takes = ["application/json", LINES[0], RECORDIO, *(["text/csv"] if csv else [])]
    raise ClientError(
        f"content type {kind or 'missing'} is not supported: expected one of {', '.join(takes)}",
        415,
    )


def _csv(body: bytes, feature_dim: int) -> sparse.csr_matrix:
    try:
        table = np.loadtxt(body.decode().splitlines(), delimiter=",", ndmin=2, dtype=np.float32)
    except ValueError as wrong:
        raise ClientError(
            f"unable to evaluate payload provided: not CSV of numbers: {wrong}"
        ) from None
    if table.shape[1] != feature_dim:
        raise ClientError(
            f"rows of {table.shape[1]} values, but feature_dim is {feature_dim}: they must be equal"
        )
    if not np.isfinite(table).all():
        raise ClientError("values hold NaN or infinity: expected finite numbers")
    return sparse.csr_matrix(table)


def _rows(instances: Sequence[Any], feature_dim: int) -> sparse.csr_matrix:
    keys: list[int] = []
    values: list[float] = []
    ends = [0]
    for place, instance in enumerate(instances):
        row_keys, row = _instance(instance, place, feature_dim)
        keys += row_keys
        values += row
        ends.append(len(values))
    try:
        data, columns = np.array(values, dtype=np.float32), np.array(keys, dtype=np.int64)
    except (ValueError, TypeError, OverflowError):
        raise ClientError(
            "unable to evaluate payload provided: keys or values that are not numbers"
        ) from None
    if data.ndim != 1 or not np.isfinite(data).all():
        raise ClientError("values hold NaN, infinity or lists: expected finite numbers")
    outside = columns[(columns < 0) | (columns >= feature_dim)]
    if len(outside):
        raise ClientError(
            f"key {outside[0]} is out of range: keys are 0 to {feature_dim - 1} for feature_dim {feature_dim}"
        )
    matrix = sparse.csr_matrix((data, columns, ends), shape=(len(instances), feature_dim))
    matrix.sort_indices()
    if not matrix.has_canonical_format:
        raise ClientError("a key stands twice in one instance: expected each once")
    return matrix


def _instance(instance: Any, place: int, feature_dim: int) -> tuple[list[int], list[float]]:
    where = f"unable to evaluate payload provided: instance {place}"
    if not isinstance(instance, dict):
        raise ClientError(
            f'{where} is {type(instance).__name__}: expected an object with "features"'
        )
    holder = instance.get("data", instance)
    features = holder.get("features") if isinstance(holder, dict) else None
    if isinstance(features, dict):
        row, keys, shape = features.get("values"), features.get("keys"), features.get("shape")
    else:
        row, keys, shape = features, None, None
    if not isinstance(row, list) or not (keys is None or isinstance(keys, list)):
        raise ClientError(
            f'{where} has no "features": expected a list, or an object with "values" and "keys"'
        )
    if shape and shape[0] != feature_dim:
        raise ClientError(
            f"{where} has shape {shape}, but feature_dim is {feature_dim}: they must be equal"
        )
    if keys is None:
        if len(row) != feature_dim:
            raise ClientError(
                f"{where} has {len(row)} values, but feature_dim is {feature_dim}: they must be equal"
            )
        return list(range(len(row))), row
    if len(keys) != len(row):
        raise ClientError(f"{where} has {len(keys)} keys and {len(row)} values: expected as many")
    return keys, row


def encode(rows: Sequence[Mapping[str, Any]], accept: str) -> tuple[bytes, str]:
    """Write predictions as the caller accepts them.

    Parameters
    ----------
    rows : sequence of mapping
        A prediction each: numbers or lists of numbers by name.
    accept : str
        The request's ``Accept``; anything unknown gets JSON, as from the containers.

    Returns
    -------
    tuple of bytes and str
        Body and content type.
    """
    kind = accept.partition(",")[0].partition(";")[0].strip().lower()
    if kind in LINES:
        return "".join(json.dumps(row) + "\n" for row in rows).encode(), kind
    if kind == RECORDIO:
        return b"".join(_record(row) for row in rows), kind
    return json.dumps({"predictions": rows}).encode(), "application/json"


def _record(row: Mapping[str, Any]) -> bytes:
    """One prediction as an ``aialgs.data.Record``: each number a float32 tensor under ``label``."""

    def nested(tag: int, content: bytes) -> bytes:
        size, digits = len(content), b""
        while size > 0x7F:
            digits += bytes([size & 0x7F | 0x80])
            size >>= 7
        return bytes([tag]) + digits + bytes([size]) + content

    message = b""
    for name, value in row.items():
        values = np.atleast_1d(np.asarray(value, dtype="<f4")).tobytes()
        entry = nested(0x0A, name.encode()) + nested(0x12, nested(0x12, nested(0x0A, values)))
        message += nested(0x12, entry)
    return struct.pack("<II", MAGIC, len(message)) + message + b"\0" * (-len(message) % 4)
