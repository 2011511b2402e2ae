"""Model servers of the built-in algorithms: ``python -m`` this serves the one that it names.

Requests and answers follow SageMaker's developer guide.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from local_sagemaker.algorithms.fm import fm_scores
from local_sagemaker.algorithms.knn_model import KNNModel
from local_sagemaker.formats.artifact import FMArtifact, read_model
from local_sagemaker.formats.payload import PayloadError, read_csv
from local_sagemaker.formats.recordio import read_records, write_answers
from local_sagemaker.serving.server import ClientError, Request, Response, serve

_JSON, _RECORDIO, _CSV = "application/json", "application/x-recordio-protobuf", "text/csv"
_LINES = ("application/jsonlines", "application/x-jsonlines")


def answer_fm(model: FMArtifact, request: Request) -> Response:
    """Return a score for each row of a request; a classifier adds the predicted label."""
    with np.errstate(over="ignore", invalid="ignore"):  # refused with the answer
        scores = fm_scores(_decode(request, len(model.v), csv=False), model.w0, model.w1, model.v)
        rows: list[dict[str, Any]] = [{"score": score} for score in scores.tolist()]
        if model.hyperparameters.get("predictor_type") == "binary_classifier":
            chances = 1 / (1 + np.exp(-scores.astype(np.float64)))
            rows = [{"score": p, "predicted_label": float(p >= 0.5)} for p in chances.tolist()]
    return Response(*_encode(rows, request.accept))


def answer_knn(model: KNNModel, request: Request) -> Response:
    """Return labels; with ``verbose=true`` in ``Accept`` also those of the neighbors."""
    queries = _decode(request, model.feature_dim, csv=True).toarray()
    verbose = "verbose=true" in request.accept.replace(" ", "").lower()
    try:
        found = model.answers(queries, verbose)
    except ValueError as wrong:
        raise ClientError(str(wrong)) from None
    body, kind = _encode(found, request.accept)
    return Response(body, f"{kind}; verbose=true" if verbose else kind)


def _decode(request: Request, feature_dim: int, *, csv: bool) -> sparse.csr_matrix:
    """Return the rows of a request, (n, feature_dim) float32; raise `ClientError` by what fails."""
    kind, body = request.content_type, request.body
    takes = [_JSON, *_LINES, _RECORDIO, *([_CSV] if csv else [])]
    if kind not in takes:
        wrong = f"content type {kind or 'missing'} is not supported"
        raise ClientError(f"{wrong}: expected one of {', '.join(takes)}", 415)
    try:
        if not body.strip():
            raise PayloadError("the body is empty")
        if kind == _RECORDIO:
            return read_records(body, feature_dim, name="request").features
        if kind == _CSV:
            table = read_csv(body, feature_dim, "request", "feature_dim")
            return sparse.csr_matrix(table, dtype=np.float32)
        if kind in _LINES:
            lines = [line for line in body.splitlines() if line.strip()]
            return _rows([json.loads(line) for line in lines], feature_dim)
        document = json.loads(body)
        if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
            raise PayloadError('expected {"instances": […]}')
        return _rows(document["instances"], feature_dim)
    except PayloadError as wrong:
        reason = str(wrong)
    except (ValueError, RecursionError) as wrong:  # of json
        reason = f"malformed {kind}: {wrong}"
    raise ClientError(f"unable to evaluate payload provided: {reason}")


def _rows(instances: Sequence[Any], feature_dim: int) -> sparse.csr_matrix:
    pairs = [_features(one, f"instance {n}", feature_dim) for n, one in enumerate(instances)]
    keys = _flat([keys for keys, _ in pairs], "keys")
    values = _flat([values for _, values in pairs], "values").astype(np.float32)
    ends = np.cumsum([0, *(len(values) for _, values in pairs)])
    for wrong, numbers, what in (
        (~np.isfinite(values), values, "the value {}: expected finite numbers of float32"),
        (keys != np.floor(keys), keys, "the key {}: expected whole numbers"),
        ((keys < 0) | (keys >= feature_dim), keys, "the key {:.0f}, out of range: {}"),
    ):
        if wrong.any():
            first = int(wrong.argmax())
            place = np.searchsorted(ends, first, side="right") - 1
            allowed = f"keys are 0 to {feature_dim - 1} for feature_dim {feature_dim}"
            raise PayloadError(f"instance {place} has {what.format(numbers[first], allowed)}")
    parts = values, keys.astype(np.int64), ends
    matrix = sparse.csr_matrix(parts, shape=(len(pairs), feature_dim))
    matrix.sort_indices()
    if not matrix.has_canonical_format:
        raise PayloadError("a key stands twice in one instance: expected each once")
    return matrix


def _features(instance: Any, where: str, feature_dim: int) -> tuple[Sequence[int], list[float]]:
    """Return keys and values of an instance; its elements are not checked."""
    if not isinstance(instance, dict):
        raise PayloadError(f'{where} is no object: expected one with "features"')
    holder = instance.get("data", instance)
    features = holder.get("features") if isinstance(holder, dict) else None
    if not isinstance(features, dict):
        features = {"values": features}
    values, keys, shape = (features.get(name) for name in ("values", "keys", "shape"))
    if not isinstance(values, list) or not isinstance(keys, list | None):
        expected = 'expected a list, or an object with the lists "values" and "keys"'
        raise PayloadError(f'{where} has no "features": {expected}')
    if shape not in (None, [feature_dim]):
        raise PayloadError(f"{where} has shape {str(shape)[:50]}: expected [{feature_dim}]")
    if keys is None and len(values) != feature_dim:
        raise PayloadError(f"{where} has {len(values)} values, but feature_dim is {feature_dim}")
    if keys is not None and len(keys) != len(values):
        raise PayloadError(f"{where} has {len(keys)} keys and {len(values)} values: not as many")
    return range(feature_dim) if keys is None else keys, values


def _flat(lists: Sequence[Sequence[Any]], what: str) -> np.ndarray:
    """Return all elements of all lists as float64; refuse what is no number."""
    flat = list(chain.from_iterable(lists))
    if set(map(type, flat)) <= {int, float}:
        with contextlib.suppress(OverflowError):
            return np.array(flat, dtype=np.float64)
    for place, one in enumerate(lists):
        for element in one:
            if type(element) not in (int, float) or abs(element) > 1e300:
                found = f"{str(element)[:50]!r} among its {what}"
                raise PayloadError(f"instance {place} has {found}: expected numbers")
    raise AssertionError("one of the elements is no number")


def _encode(rows: Sequence[Mapping[str, Any]], accept: str) -> tuple[bytes, str]:
    """Return predictions as the caller accepts them, or else as JSON, and their content type."""
    kind = accept.partition(",")[0].partition(";")[0].strip().lower()
    if kind == _RECORDIO:
        return write_answers(rows), kind
    try:
        if kind in _LINES:
            return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode(), kind
        return json.dumps({"predictions": rows}, allow_nan=False).encode(), _JSON
    except ValueError:
        raise ClientError("the values are too large: a prediction is no finite number") from None


if __name__ == "__main__":
    folder = Path(os.environ["LOCAL_SAGEMAKER_MODEL_DIR"])
    if sys.argv[1] == "knn":
        served = partial(answer_knn, KNNModel.load(folder))
        serve(served, backend="k nearest neighbors over faiss, with AWS' formats")
    fitted = partial(answer_fm, read_model(folder))
    serve(fitted, backend="factorization machines in NumPy, with AWS' formats")
