"""SageMaker's API as botocore describes it: requests and answers are checked against it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError

_FAILED = "failed to satisfy constraint: Member must"
_NUMBERS = ("integer", "long", "float", "double", "timestamp")
_PYTHON: dict[str, Any] = {"structure": dict, "map": dict, "list": list, "string": str}
_PYTHON |= {"boolean": bool, "integer": int, "long": int}
_PYTHON |= dict.fromkeys(("float", "double", "timestamp"), (int, float))


@functools.cache
def service() -> Any:
    """Return botocore's model of SageMaker."""
    import botocore.session

    return botocore.session.Session().get_service_model("sagemaker")


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that SageMaker would refuse for its form, in AWS' words."""
    found = list(_faults(service().operation_model(operation).input_shape, request, ""))
    if found:
        many = "error" if len(found) == 1 else "errors"
        raise ApiError(f"{len(found)} validation {many} detected: {'; '.join(found)}")


def answer(operation: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a record down to the members of an operation's answer; raise where one is wrong."""
    shape = service().operation_model(operation).output_shape
    cut: dict[str, Any] = _cut(shape, record) if shape else {}
    found = list(_faults(shape, cut, "")) if shape else []
    if found:
        raise RuntimeError(f"The answer of {operation} is not SageMaker's: {'; '.join(found)}")
    return cut


def _cut(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        known = shape.members
        return {k: _cut(known[k], v) for k, v in value.items() if k in known and v is not None}
    if shape.type_name == "list":
        return [_cut(shape.member, v) for v in value]
    return value


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    fits = isinstance(value, _PYTHON[kind]) and (kind == "boolean" or not isinstance(value, bool))
    for words in _misfits(shape, value) if fits else [f"be of type {kind}"]:
        yield f"Value {value!r:.80} at '{path or 'request'}' {_FAILED} {words}"
    if not fits:
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
    """Yield what a value of the right type, without what is in it, must be and is not."""
    kind = shape.type_name
    if kind in _NUMBERS and not abs(value) < 1e300:  # nan as well
        yield "be a finite number"
    if kind != "boolean":
        size, words = (value, "value") if kind in _NUMBERS else (len(value), "length")
        if size < shape.metadata.get("min", size):
            yield f"have {words} greater than or equal to {shape.metadata['min']}"
        if size > shape.metadata.get("max", size):
            yield f"have {words} less than or equal to {shape.metadata['max']}"
    if kind == "string":
        if shape.enum and value not in shape.enum:
            yield f"satisfy enum value set: [{', '.join(shape.enum)}]"
        pattern = shape.metadata.get("pattern", "")
        # Java's classes, such as \p{L}, are not Python's
        if pattern and not re.fullmatch(re.sub(r"\\p\{\w+\}", r"\\w\\s", pattern), value, re.S):
            yield f"satisfy regular expression pattern: {pattern}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name[:1].lower()}{name[1:]}".lstrip(".")
