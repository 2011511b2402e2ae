"""Describe, List, Stop and Delete operations, which are alike for all kinds of records."""

import heapq
import json
from collections.abc import Callable
from operator import itemgetter

from local_sagemaker.errors import ApiError
from local_sagemaker.service.account import RUNNING, Account, Request
from local_sagemaker.service.store import TRAINING, TUNING, Kind, Record

More = Callable[[Account, Record], Record] | None


def describe(kind: Kind, account: Account, request: Request, more: More = None) -> Record:
    record = account.store.get(kind, request[kind.name])
    return more(account, record) if more else record


def listing(kind: Kind, rows: str, account: Account, request: Request, more: More = None) -> Record:
    """Return a page of records as the member ``rows`` of the answer."""
    found, following = page(account.store.all(kind), kind, request)
    return {rows: [more(account, one) for one in found] if more else found, **following}


def stop(kind: Kind, account: Account, request: Request) -> Record:
    account.stop(kind, request[kind.name])
    return {}


def delete(kind: Kind, account: Account, request: Request) -> Record:
    """Forget the record of a name, of a job once it has ended."""
    status = account.store.get(kind, request[kind.name]).get(kind.status)
    if status in RUNNING:
        code = "ResourceInUse" if kind is TRAINING else "ValidationException"
        raise ApiError(f"The {kind.words} is in status {status}: stop it first.", code)
    return account.store.remove(kind, request[kind.name])


def page(records: list[Record], kind: Kind, request: Request) -> tuple[list[Record], Record]:
    """Return the records that a request asks for, a page of them, and the next ``NextToken``."""
    by = request.get("SortBy", "Name" if kind is TUNING else "CreationTime")
    member = {"Name": kind.name, "Status": kind.status or kind.name}.get(by, by)
    order = "Ascending" if kind in (TRAINING, TUNING) else "Descending"
    descending = request.get("SortOrder", order) == "Descending"
    place = itemgetter(member, kind.name)
    found = [r for r in _filtered(records, kind, request) if member in r]
    if (told := request.get("NextToken")) is not None:
        try:  # behind the last one told, even where that one was deleted meanwhile
            value, name = json.loads(told)
            last = value, name + ""  # a TypeError where it is no name
            found = [r for r in found if (place(r) < last if descending else place(r) > last)]
        except (ValueError, TypeError):
            raise ApiError(f"NextToken {told!r:.80} is not one of this listing's.") from None
    size = request.get("MaxResults", 10)
    rows = (heapq.nlargest if descending else heapq.nsmallest)(size, found, key=place)
    return rows, {"NextToken": json.dumps(place(rows[-1]))} if len(found) > size else {}


def _filtered(records: list[Record], kind: Kind, request: Request) -> list[Record]:
    part, status = request.get("NameContains", "").lower(), request.get("StatusEquals")
    if part:
        records = [r for r in records if part in r[kind.name].lower()]
    if status is not None:
        records = [r for r in records if r[kind.status] == status]
    for member in ("CreationTime", "LastModifiedTime"):
        # in whole microseconds: a client's float may be off by less than one
        after = round(request.get(f"{member}After", -1e15) * 1e6)
        before = round(request.get(f"{member}Before", 1e15) * 1e6)
        records = [r for r in records if after < round(r[member] * 1e6) < before]
    return records
