"""Schema of an event: its fields, its versions, and the reasons for which one is refused.

An event is a flat dictionary with the identity ``(request_id, kind, position)``. The producer takes
whatever JSON can hold; the consumer judges.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from typing import Any

VERSION = 2  # the version written today
KINDS = ("impression", "click", "response")
Event = dict[str, Any]
Items = Collection[int] | None  # the catalog; with None, any item is known


class BadEvent(ValueError):
    """An acknowledged event that must not enter the table of events; its text is the reason."""


def new_request_id(time_ms: int) -> str:
    """Return a unique id that sorts by time (milliseconds since 1970): 28 hexadecimal digits."""
    return f"{time_ms:012x}{secrets.token_hex(8)}"


def impression(
    request_id: str, user: int, item: int, position: int, propensity: float, model: str, **more: Any
) -> Event:
    """Return the event "this item was shown".

    ``user`` and ``item`` are contiguous indices, ``position`` is the slot, counted from 0 at the
    top, and ``propensity`` the chance, in (0, 1], that the policy puts this item there for this
    user. ``request_id`` ties the events of a request together; ``model`` is the name and version of
    the model that ranked. ``time``, in milliseconds since 1970, can be given, too.
    """
    event = {"v": VERSION, "kind": "impression", "request_id": request_id, "user": user}
    shown = {"item": item, "position": position, "propensity": propensity, "model": model}
    return {**event, **shown, **more}


def click(request_id: str, user: int, item: int, position: int, model: str, **more: Any) -> Event:
    """Return the event "this item was clicked"; parameters as in `impression`."""
    event = {"v": VERSION, "kind": "click", "request_id": request_id, "user": user}
    return {**event, "item": item, "position": position, "model": model, **more}


def response(
    request_id: str, user: int, model: str, latency_ms: float, status: int = 200, **more: Any
) -> Event:
    """Return the event "this request was answered" after ``latency_ms``, with an HTTP status."""
    event = {"v": VERSION, "kind": "response", "request_id": request_id, "user": user}
    return {**event, "model": model, "latency_ms": latency_ms, "status": status, **more}


def whole(first: int, stop: int) -> Callable[[Any], bool]:
    """Return the test for a whole number in a range."""
    return lambda value: type(value) is int and first <= value < stop


def is_name(value: Any) -> bool:
    """Return whether a value is a text that every database can hold, 1 to 64 characters."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable()


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12


is_index = whole(0, 1 << 53)  # every language can hold it
_LISTED, _SHOWN, _ANSWER = ("impression", "click"), ("impression",), ("response",)
#: column of the log -> the kinds that have it, its test, and what it must be
FIELDS: dict[str, Any] = {
    "request_id": (KINDS, is_name, "a text of 1 to 64 characters"),
    "kind": (KINDS, KINDS.__contains__, "one of impression, click, response"),
    "position": (_LISTED, whole(0, 1 << 31), "a slot from 0"),
    "time": (KINDS, is_index, "milliseconds since 1970"),
    "user": (KINDS, is_index, "an index from 0"),
    "item": (_LISTED, is_index, "an index from 0"),
    "propensity": (_SHOWN, lambda v: _is_number(v) and 0 < v <= 1, "a chance above 0 and up to 1"),
    "model": (KINDS, is_name, "name and version in 1 to 64 characters"),
    "latency_ms": (_ANSWER, _is_number, "milliseconds from 0"),
    "status": (_ANSWER, whole(100, 600), "a code from 100 to 599"),
}
_RULES = {k: [(name, *r) for name, (kinds, *r) in FIELDS.items() if k in kinds] for k in KINDS}
_ABSENT = {**dict.fromkeys(FIELDS), "position": -1}  # the fields that a kind does not have


def judge(event: Any, items: Items = None) -> tuple[Any, ...]:
    """Return an event as a row of the log, its `FIELDS`, or raise BadEvent with the reason.

    Fields that the kind does not have are None; the position of a response is -1.
    """
    if not isinstance(event, dict):
        raise BadEvent(f"a JSON {type(event).__name__}, expected an object")
    version, kind = event.get("v"), event.get("kind")
    if type(version) is not int or version not in (1, VERSION):
        raise BadEvent(f"schema version {version!r:.40} is unknown here (known: 1, {VERSION})")
    if version == 1:  # it counted slots from 1, and did not know the model
        place = event["slot"] - 1 if is_index(event.get("slot")) else None
        event = {"model": "unknown", **event, "position": place}
    if kind == "impression" and event.get("propensity") is None:
        raise BadEvent("propensity is missing: without it the impression cannot be weighted")
    row = _ABSENT.copy()
    # a kind that does not exist fails in its own field
    for name, fits, expected in _RULES[kind if kind in KINDS else "response"]:
        value = row[name] = event.get(name)
        if not fits(value):
            raise BadEvent(f"{name} is {value!r:.40}, expected {expected}")
    if items is not None and row["item"] is not None and row["item"] not in items:
        raise BadEvent(f"item {row['item']} is not in the catalog")
    return tuple(row.values())
