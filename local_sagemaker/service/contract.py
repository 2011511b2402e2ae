"""SageMaker's API as botocore describes it: requests are checked against it, answers cut to it."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError

_FAILED = "failed to satisfy constraint"
_NUMBERS = ("integer", "long", "float", "double")
_PYTHON: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "timestamp": (int, float, str),
    "blob": (str, bytes),
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


@functools.cache
def _service() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


def operations() -> list[str]:
    """Names of all operations that SageMaker has."""
    return list(_service().operation_names)


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that SageMaker would refuse for its form.

    Parameters
    ----------
    operation : str
        Such as ``"CreateTrainingJob"``; it must exist.
    request : mapping
        The request as it came over the wire.

    Raises
    ------
    ApiError
        ``ValidationException`` that names every member at fault, worded as AWS words it.
    """
    found = list(_faults(_service().operation_model(operation).input_shape, request, ""))
    if found:
        many = "error" if len(found) == 1 else "errors"
        raise ApiError(f"{len(found)} validation {many} detected: {'; '.join(found)}")


def answer(operation: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a record down to what the answer of an operation may hold.

    Parameters
    ----------
    operation : str
        Such as ``"DescribeTrainingJob"``.
    record : mapping
        May hold more: what is private to this service is left out.

    Returns
    -------
    dict
        Only members that the operation's output has; times are seconds since 1970.
    """
    shape = _service().operation_model(operation).output_shape
    return {} if shape is None else _project(shape, record)


def _project(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        return {
            k: _project(shape.members[k], v)
            for k, v in value.items()
            if k in shape.members and v is not None
        }
    if shape.type_name == "list":
        return [_project(shape.member, v) for v in value]
    if shape.type_name == "map":
        return {k: _project(shape.value, v) for k, v in value.items()}
    if shape.type_name == "timestamp" and isinstance(value, datetime.datetime):
        return value.timestamp()
    return value


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    where = f"'{path or 'request'}'"
    kind: Any = _PYTHON[shape.type_name]
    if not isinstance(value, kind) or (isinstance(value, bool) and shape.type_name in _NUMBERS):
        yield f"Value {value!r} at {where} {_FAILED}: Member must be of type {shape.type_name}"
        return
    if shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"Value null at '{_join(path, name)}' {_FAILED}: Member must not be null"
        for name, inner in value.items():
            if name in shape.members and inner is not None:
                yield from _faults(shape.members[name], inner, _join(path, name))
        return
    yield from _size(shape, value, where)
    if shape.type_name == "list":
        for place, inner in enumerate(value, 1):
            yield from _faults(shape.member, inner, f"{path}.{place}.member")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from _faults(shape.key, name, f"{path}.key")
            yield from _faults(shape.value, inner, f"{path}.{name}")
    elif shape.type_name == "string":
        yield from _text(shape, value, where)


def _size(shape: Any, value: Any, where: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in _NUMBERS:
        size, words = value, "Member must have value"
    elif shape.type_name in ("string", "list", "map"):
        size, words = len(value), "Member must have length"
    else:
        return
    shown = repr(value)[:80]
    if low is not None and size < low:
        yield f"Value {shown} at {where} failed to satisfy constraint: {words} greater than or equal to {low}"
    if high is not None and size > high:
        yield f"Value {shown} at {where} failed to satisfy constraint: {words} less than or equal to {high}"


def _text(shape: Any, value: str, where: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        names = ", ".join(shape.enum[:12]) + (", …" if len(shape.enum) > 12 else "")
        yield f"Value '{value}' at {where} {_FAILED}: Member must satisfy enum value set: [{names}]"
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield (
            f"Value '{value[:80]}' at {where} failed to satisfy constraint:"
            f" Member must satisfy regular expression pattern: {pattern}"
        )


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a Java pattern for Python, or None where Python cannot read it."""
    try:
        return re.compile(
            pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]").replace(r"\z", r"\Z"), re.DOTALL
        )
    except re.error:
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered
