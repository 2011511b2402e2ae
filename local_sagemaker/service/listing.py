"""Describe, List and Delete operations, which are alike for all kinds of records."""

from __future__ import annotations

import base64
import datetime
import heapq
import json
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import Kind, Record

Request = Mapping[str, Any]


def describe(kind: Kind, account: Account, request: Request) -> Record:
    """Return the record of a name."""
    return account.store.get(kind, request[kind.name])


def listing(kind: Kind, rows: str, order: str, account: Account, request: Request) -> Record:
    """Return a page of records as the member ``rows`` of the answer."""
    found, more = page(account.store.all(kind), kind, request, order)
    return {rows: found, **more}


def delete(kind: Kind, account: Account, request: Request) -> Record:
    """Forget the record of a name."""
    return account.store.remove(kind, request[kind.name])


def page(
    records: list[Record],
    kind: Kind,
    request: Request,
    order: str,
    key: Callable[[Record], Any] | None = None,
) -> tuple[list[Record], dict[str, str]]:
    """Return the records that a request asks for, a page of them, and the next ``NextToken``.

    ``order`` holds where the request has no ``SortOrder``; ``key`` replaces its ``SortBy``.
    """
    members = {"Name": kind.name, "Status": kind.status or kind.name}
    key = key or itemgetter(members.get(request.get("SortBy", ""), "CreationTime"))
    descending = request.get("SortOrder", order) == "Descending"

    def place(record: Record) -> tuple[Any, str]:
        return key(record), record[kind.name]

    found = _filtered(records, kind, request)
    told = request.get("NextToken")
    if told is not None:
        try:  # behind the last one told, even where that one was deleted meanwhile
            last = _place(told)
            found = [r for r in found if (place(r) < last if descending else place(r) > last)]
        except (ValueError, TypeError):
            raise ApiError(f"NextToken {told!r:.80} is not one of this listing's.") from None
    size = request.get("MaxResults", 10)
    first = heapq.nlargest if descending else heapq.nsmallest
    rows = first(size, found, key=place)
    if len(found) <= size:
        return rows, {}
    token = base64.urlsafe_b64encode(json.dumps(place(rows[-1])).encode())
    return rows, {"NextToken": token.decode()}


def _place(token: str) -> tuple[Any, str]:
    """Return key and name of the last row of the page before."""
    key, name = json.loads(base64.urlsafe_b64decode(token))
    return key, name + ""  # a TypeError where it is no name


def _filtered(records: list[Record], kind: Kind, request: Request) -> list[Record]:
    part, status = request.get("NameContains", "").lower(), request.get("StatusEquals")
    if part:
        records = [r for r in records if part in r[kind.name].lower()]
    if status is not None and kind.status:
        records = [r for r in records if r[kind.status] == status]
    for member in ("CreationTime", "LastModifiedTime"):
        after, before = request.get(f"{member}After"), request.get(f"{member}Before")
        if after is not None:
            records = [r for r in records if _microseconds(r[member]) > _microseconds(after)]
        if before is not None:
            records = [r for r in records if _microseconds(r[member]) < _microseconds(before)]
    return records


def _microseconds(moment: float | str) -> int:
    """Return whole microseconds: a client's float may be off by less than one."""
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    return round(moment * 1e6)
