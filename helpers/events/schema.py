"""What an event is: its kinds, its versions, and the reasons for which one is refused.

An event is a flat dictionary. Its identity is ``(request_id, kind, position)``:
writing the same event again changes nothing, and the same identity with another
content is a conflict. Clicks are the exception: a customer who clicks the same slot
again has clicked it, and the click that came first stays. The producer takes whatever
can be written down; the consumer judges, so that what was acknowledged ends in one of
two tables and never nowhere.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection
from typing import Any, TypeGuard

from .errors import BadEvent

#: the version written today
VERSION = 2
KINDS = ("impression", "click", "response")
#: the columns that say what happened; where it came from follows behind them
COLUMNS = (
    "request_id",
    "kind",
    "position",
    "time",
    "user",
    "item",
    "propensity",
    "model",
    "latency_ms",
    "status",
)
#: position of an event that is about the whole request
WHOLE_REQUEST = -1

Event = dict[str, Any]
Row = tuple[Any, ...]


def new_request_id(time_ms: int) -> str:
    """Return an id that no other request has and that sorts by time, 28 hexadecimal digits.

    Parameters
    ----------
    time_ms : int
        Milliseconds since 1970. Ids that grow keep an index small and quick.
    """
    return f"{time_ms:012x}{secrets.token_hex(8)}"


def impression(
    request_id: str, user: int, item: int, position: int, propensity: float, model: str, **more: Any
) -> Event:
    """Return the event "this item was shown".

    Parameters
    ----------
    request_id : str
        Ties together everything that belongs to one request.
    user, item : int
        Contiguous indices.
    position : int
        Slot, counted from 0 at the top.
    propensity : float
        Chance, in (0, 1], with which the policy puts this item into this slot for this user.
        It is known while the list is made and can hardly be found out later.
    model : str
        Name and version of the model that ranked.
    **more
        ``time`` in milliseconds since 1970, where the shop has its own; else the producer stamps it.
    """
    return {
        "v": VERSION,
        "kind": "impression",
        "request_id": request_id,
        "user": user,
        "item": item,
        "position": position,
        "propensity": propensity,
        "model": model,
        **more,
    }


def click(request_id: str, user: int, item: int, position: int, model: str, **more: Any) -> Event:
    """Return the event "this item was clicked"; parameters as in :func:`impression`."""
    return {
        "v": VERSION,
        "kind": "click",
        "request_id": request_id,
        "user": user,
        "item": item,
        "position": position,
        "model": model,
        **more,
    }


def response(
    request_id: str, user: int, model: str, latency_ms: float, status: int = 200, **more: Any
) -> Event:
    """Return the event "this request was answered", or failed.

    Parameters
    ----------
    latency_ms : float
        From the request to its answer, in milliseconds.
    status : int
        As in HTTP: 200 is an answer, 500 and above are failures.
    request_id, user, model, **more
        As in :func:`impression`.
    """
    return {
        "v": VERSION,
        "kind": "response",
        "request_id": request_id,
        "user": user,
        "model": model,
        "latency_ms": latency_ms,
        "status": status,
        **more,
    }


def _from_version_1(event: Event) -> Event:
    """Version 1 counted slots from 1, called them ``slot``, and did not know the model."""
    if not _whole(event.get("slot")) or event["slot"] == 0:
        raise BadEvent(
            f"slot is {_brief(event.get('slot'))} in version 1, expected a whole number from 1"
        )
    newer = {k: v for k, v in event.items() if k != "slot"}
    return {**newer, "v": 2, "position": event["slot"] - 1, "model": event.get("model", "unknown")}


#: version -> a function that turns it into the next one
UPGRADES: dict[int, Callable[[Event], Event]] = {1: _from_version_1}


def _whole(value: Any, stop: int = 1 << 53) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < stop


def _number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float)


def is_name(value: Any) -> TypeGuard[str]:
    """Return whether a value is a text that every database can hold, 1 to 64 characters."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable()


def decode(line: bytes | str) -> Event:
    """Read one line of JSON and bring it to today's version.

    Raises
    ------
    BadEvent
        If it is not a JSON object, or of a version that nobody here knows.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadEvent(f"not JSON: {error}") from None
    if not isinstance(event, dict):
        raise BadEvent(f"a JSON {type(event).__name__}, expected an object")
    version = event.get("v")
    while version != VERSION:
        if type(version) is not int or version not in UPGRADES:
            known = ", ".join(map(str, sorted({*UPGRADES, VERSION})))
            raise BadEvent(f"schema version {_brief(version)} is unknown here (known: {known})")
        event = UPGRADES[version](event)
        version = event["v"]
    return event


def judge(event: Event, items: Collection[int] | None = None) -> Row:
    """Return an event as a row of the log, or say why it is not one.

    Parameters
    ----------
    event : dict
        Of today's version.
    items : collection of int, optional
        The catalog, such as ``range(n_items)`` or a set; without it any item is known.

    Returns
    -------
    tuple
        In the order of :data:`COLUMNS`.

    Raises
    ------
    BadEvent
        With the field, what it was, and what it must be.
    """
    get = event.get
    kind, request, time, user, model = (
        get("kind"),
        get("request_id"),
        get("time"),
        get("user"),
        get("model"),
    )
    if kind not in KINDS:
        raise BadEvent(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if not is_name(request):
        raise BadEvent(f"request_id is {_brief(request)}, expected a text of 1 to 64 characters")
    if not _whole(time):
        raise BadEvent(f"time is {_brief(time)}, expected milliseconds since 1970")
    if not _whole(user):
        raise BadEvent(f"user is {_brief(user)}, expected an index from 0")
    if not is_name(model):
        raise BadEvent(f"model is {_brief(model)}, expected name and version in 1 to 64 characters")
    if kind == "response":
        latency, status = get("latency_ms"), get("status")
        if not _number(latency) or not 0 <= latency < 1e12:
            raise BadEvent(f"latency_ms is {_brief(latency)}, expected milliseconds from 0")
        if not _whole(status, 600) or status < 100:
            raise BadEvent(f"status is {_brief(status)}, expected a code from 100 to 599")
        return (request, kind, WHOLE_REQUEST, time, user, None, None, model, float(latency), status)
    item, position, propensity = get("item"), get("position"), None
    if not _whole(item):
        raise BadEvent(f"item is {_brief(item)}, expected an index from 0")
    if items is not None and item not in items:
        raise BadEvent(f"item {item} is not in the catalog")
    if not _whole(position, 1 << 31):
        raise BadEvent(f"position is {_brief(position)}, expected a slot from 0")
    if kind == "impression":
        propensity = get("propensity")
        if propensity is None:
            raise BadEvent("propensity is missing: without it the impression cannot be weighted")
        if not _number(propensity) or not 0 < propensity <= 1:
            raise BadEvent(
                f"propensity is {_brief(propensity)}, expected a chance above 0 and up to 1"
            )
        propensity = float(propensity)
    return (request, kind, position, time, user, item, propensity, model, None, None)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
