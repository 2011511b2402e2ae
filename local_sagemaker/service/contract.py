"""SageMaker's API as botocore describes it: requests and answers are checked against it."""

from __future__ import annotations

import datetime
import functools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError

_FAILED = "failed to satisfy constraint: Member must"
_NUMBERS = ("integer", "long", "float", "double", "timestamp")
_PYTHON: dict[str, Any] = {"structure": dict, "map": dict, "list": list, "string": str}
_PYTHON |= {"boolean": bool, "integer": int, "long": int, "timestamp": (int, float, str)}
_PYTHON |= {"float": (int, float), "double": (int, float), "blob": (str, bytes)}


@functools.cache
def service() -> Any:
    """Return botocore's model of SageMaker."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that SageMaker would refuse for its form, in AWS' words."""
    found = list(_faults(service().operation_model(operation).input_shape, request, ""))
    if "\\u0000" in json.dumps(request):  # also in a hyperparameter that is JSON itself
        found.append("A text holds the character NUL, which no argument of a program can hold")
    if found:
        many = "error" if len(found) == 1 else "errors"
        raise ApiError(f"{len(found)} validation {many} detected: {'; '.join(found)}")


def answer(operation: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a record down to the members of an operation's answer; raise where one is wrong."""
    shape = service().operation_model(operation).output_shape
    if shape is None:
        return {}
    cut: dict[str, Any] = _cut(shape, record)
    found = list(_faults(shape, cut, ""))
    if found:
        raise RuntimeError(f"The answer of {operation} is not SageMaker's: {'; '.join(found)}")
    return cut


def check_row(listing: str, record: Mapping[str, Any]) -> None:
    """Raise a ValueError where a member of a record would spoil the answer of a listing."""
    members = service().operation_model(listing).output_shape.members.values()
    (row,) = (shape.member for shape in members if shape.type_name == "list")
    for name in row.members.keys() & record.keys():
        shape, value = row.members[name], record[name]
        found = [] if value is None else list(_faults(shape, _cut(shape, value), name))
        if found:
            raise ValueError("; ".join(found))


def _cut(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        known = shape.members
        return {k: _cut(known[k], v) for k, v in value.items() if k in known and v is not None}
    if shape.type_name == "list":
        return [_cut(shape.member, v) for v in value]
    if shape.type_name == "map":
        return {k: _cut(shape.value, v) for k, v in value.items()}
    return value


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    for words in _misfits(shape, value):
        yield f"Value {value!r:.80} at '{path or 'request'}' {_FAILED} {words}"
    if not isinstance(value, _PYTHON[kind]):
        return
    if kind == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"Value null at '{_join(path, name)}' {_FAILED} not be null"
        for name, inner in value.items():
            if name in shape.members and inner is not None:
                yield from _faults(shape.members[name], inner, _join(path, name))
    elif kind == "list":
        for place, inner in enumerate(value, 1):
            yield from _faults(shape.member, inner, f"{path}.{place}.member")
    elif kind == "map":
        for name, inner in value.items():
            yield from _faults(shape.key, name, f"{path}.key")
            yield from _faults(shape.value, inner, f"{path}.{name}")


def _misfits(shape: Any, value: Any) -> Iterator[str]:
    """Yield what a value, without what is in it, must be and is not."""
    kind = shape.type_name
    if not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind in _NUMBERS):
        yield f"be of type {kind}"
        return
    if kind == "timestamp" and not _is_time(value):
        yield "be a time, such as 2026-01-31T12:00:00Z"
        return
    if isinstance(value, float) and not math.isfinite(value):
        yield "be a finite number"
    if kind not in ("structure", "timestamp", "boolean", "blob"):
        size, words = (value, "value") if kind in _NUMBERS else (len(value), "length")
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and size < low:
            yield f"have {words} greater than or equal to {low}"
        if high is not None and size > high:
            yield f"have {words} less than or equal to {high}"
    if kind == "string":
        if shape.enum and value not in shape.enum:
            names = ", ".join(shape.enum[:12]) + (", …" if len(shape.enum) > 12 else "")
            yield f"satisfy enum value set: [{names}]"
        pattern = shape.metadata.get("pattern")
        compiled = pattern and _compiled(pattern)
        if compiled and not compiled.fullmatch(value):
            yield f"satisfy regular expression pattern: {pattern}"


def _is_time(value: float | str) -> bool:
    try:
        if isinstance(value, str):
            datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        else:
            datetime.datetime.fromtimestamp(value)
    except (ValueError, OverflowError, OSError):
        return False
    return True


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a Java pattern for Python, or None where Python cannot read it."""
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered
