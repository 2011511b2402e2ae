"""Schema of an event: its fields, its versions, and the reasons for which one is refused.

An event is a flat dictionary with the identity ``(request_id, kind, position)``. The producer takes
whatever JSON can hold; the consumer judges.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

VERSION = 2  # the version written today
KINDS = ("impression", "click", "response")
Event = dict[str, Any]


class BadEvent(ValueError):
    """An acknowledged event that must not enter the table of events; its text is the reason."""


def new_request_id(time_ms: int) -> str:
    """Return a unique id that sorts by time (milliseconds since 1970): 28 hexadecimal digits."""
    return f"{time_ms:012x}{secrets.token_hex(8)}"


def impression(
    request_id: str, user: int, item: int, position: int, propensity: float, model: str, **more: Any
) -> Event:
    """Return the event "this item was shown".

    Parameters
    ----------
    request_id, model : str
        Ties the events of one request together; name and version of the model that ranked.
    user, item, position : int
        Contiguous indices, and the slot, counted from 0 at the top.
    propensity : float
        Chance, in (0, 1], with which the policy puts this item into this slot for this user.
    **more
        ``time`` in milliseconds since 1970, if the shop has its own; else the producer adds it.
    """
    shown = {"item": item, "position": position, "propensity": propensity}
    return _event("impression", request_id, user, model, shown | more)


def click(request_id: str, user: int, item: int, position: int, model: str, **more: Any) -> Event:
    """Return the event "this item was clicked"; parameters as in `impression`."""
    return _event("click", request_id, user, model, {"item": item, "position": position} | more)


def response(
    request_id: str, user: int, model: str, latency_ms: float, status: int = 200, **more: Any
) -> Event:
    """Return the event "this request was answered" after ``latency_ms``, with an HTTP status."""
    answer = {"latency_ms": latency_ms, "status": status}
    return _event("response", request_id, user, model, answer | more)


def _event(kind: str, request_id: str, user: int, model: str, more: Event) -> Event:
    head = {"v": VERSION, "kind": kind, "request_id": request_id, "user": user, "model": model}
    return head | more


def is_whole(value: Any, first: int = 0, stop: int = 1 << 53) -> bool:
    """Return whether a value is a whole number in a range that every language can hold."""
    return type(value) is int and first <= value < stop


def is_name(value: Any) -> bool:
    """Return whether a value is a text that every database can hold, 1 to 64 characters."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable()


def _number(value: Any) -> bool:
    return type(value) in (int, float)


_LISTED, _SHOWN, _ANSWER = ("impression", "click"), ("impression",), ("response",)
#: column of the log -> the kinds that have it, its test, and what it must be
FIELDS = {
    "request_id": (KINDS, is_name, "a text of 1 to 64 characters"),
    "kind": (KINDS, KINDS.__contains__, "one of impression, click, response"),
    "position": (_LISTED, lambda v: is_whole(v, 0, 1 << 31), "a slot from 0"),
    "time": (KINDS, is_whole, "milliseconds since 1970"),
    "user": (KINDS, is_whole, "an index from 0"),
    "item": (_LISTED, is_whole, "an index from 0"),
    "propensity": (_SHOWN, lambda v: _number(v) and 0 < v <= 1, "a chance above 0 and up to 1"),
    "model": (KINDS, is_name, "name and version in 1 to 64 characters"),
    "latency_ms": (_ANSWER, lambda v: _number(v) and 0 <= v < 1e12, "milliseconds from 0"),
    "status": (_ANSWER, lambda v: is_whole(v, 100, 600), "a code from 100 to 599"),
}


def judge(event: Any, items: Collection[int] | None = None) -> tuple[Any, ...]:
    """Return an event as a row of the log, its `FIELDS`, or raise BadEvent with the reason.

    ``items`` is the catalog, such as ``range(n_items)``; without it any item is known. Fields that
    the kind does not have are None; the position of a response is -1.
    """
    if not isinstance(event, dict):
        raise BadEvent(f"a JSON {type(event).__name__}, expected an object")
    version = event.get("v")
    if type(version) is not int or version not in (1, VERSION):
        raise BadEvent(f"schema version {_brief(version)} is unknown here (known: 1, {VERSION})")
    if version == 1:  # it counted slots from 1, and did not know the model
        place = event["slot"] - 1 if is_whole(event.get("slot"), 1) else None
        event = {"model": "unknown", **event, "position": place}
    row: list[Any] = []
    for name, (kinds, fits, expected) in FIELDS.items():
        value = event.get(name)
        if event.get("kind") in KINDS and event["kind"] not in kinds:
            value = -1 if name == "position" else None
        elif name == "propensity" and value is None:
            raise BadEvent("propensity is missing: without it the impression cannot be weighted")
        elif not fits(value):
            raise BadEvent(f"{name} is {_brief(value)}, expected {expected}")
        elif name == "item" and items is not None and value not in items:
            raise BadEvent(f"item {value} is not in the catalog")
        row.append(value)
    return tuple(row)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
