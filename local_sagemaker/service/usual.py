"""What can be done with every kind of thing alike: describe, list, stop, delete, tag."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service.operations import Answer, operation
from local_sagemaker.service.plane import Plane
from local_sagemaker.service.store import Kind, Record

#: States of a job that has not ended.
RUNNING = ("InProgress", "Stopping")


def describes(kind: Kind) -> None:
    """Have ``Describe…`` answered for a kind."""

    @operation(f"Describe{kind.prefix}")
    def _describe(plane: Plane, request: Mapping[str, Any]) -> Answer:
        return plane.store.get(kind, request[f"{kind.prefix}Name"])


def lists(kind: Kind, rows: str, *, descending: bool = True, status: str | None = None) -> None:
    """Have ``List…s`` answered for a kind, below the member ``rows``; the rest goes to :func:`listed`."""

    @operation(f"List{kind.prefix}s")
    def _list(plane: Plane, request: Mapping[str, Any]) -> Answer:
        found, more = listed(plane, kind, request, descending=descending, status=status)
        return {rows: found, **more}


def stops(kind: Kind, **said: Any) -> None:
    """Have ``Stop…`` answered for a kind of jobs; ``said`` is what the description says besides."""

    @operation(f"Stop{kind.prefix}")
    def _stop(plane: Plane, request: Mapping[str, Any]) -> Answer:
        return stop(plane, kind, request, **said)


def deletes(kind: Kind) -> None:
    """Have ``Delete…`` answered for a kind of which nothing runs."""

    @operation(f"Delete{kind.prefix}")
    def _delete(plane: Plane, request: Mapping[str, Any]) -> Answer:
        plane.store.remove(kind, request[f"{kind.prefix}Name"])
        return {}


def stop(plane: Plane, kind: Kind, request: Mapping[str, Any], **more: Any) -> Answer:
    """Stop a job, as every Stop operation does; ``more`` is said of it besides.

    Raises
    ------
    ApiError
        There is none of that name, or it has ended.
    """
    name, member = request[f"{kind.prefix}Name"], f"{kind.prefix}Status"
    with plane.lock, plane.store.lock:  # a job that ends at this moment has the last word
        status = plane.store.get(kind, name)[member]
        if status not in RUNNING:
            label = kind.label.replace("-", " ")
            raise ApiError(f"The request was rejected because the {label} is in status {status}.")
        if status == "InProgress":
            plane.store.update(kind, name, **{member: "Stopping"}, **more)
        job = plane.running.get(f"{kind.label}/{name}")
    if job is not None:
        job.stop()
    return {}


def listed(
    plane: Plane,
    kind: Kind,
    request: Mapping[str, Any],
    *,
    descending: bool = True,
    sort_by: str = "CreationTime",
    status: str | None = None,
    records: list[Record] | None = None,
    key: Callable[[Record], Any] | None = None,
) -> tuple[list[Record], dict[str, str]]:
    """Filter, sort and page descriptions, as every List operation does.

    Parameters
    ----------
    plane : Plane
        Where they are.
    kind : Kind
        Which.
    request : mapping
        ``NameContains``, ``StatusEquals``, ``CreationTimeAfter`` …, ``SortBy``, ``SortOrder``,
        ``MaxResults``, ``NextToken``.
    descending : bool
        Order where the request names none.
    sort_by : str
        Field where the request names none.
    status : str, optional
        Member that holds the status.
    records : list of dict, optional
        Descriptions to choose from; by default all of the kind.
    key : callable, optional
        What to sort by, instead of ``SortBy``.

    Returns
    -------
    list of dict
        This page.
    dict
        ``{"NextToken": …}`` where there is another page, else empty.
    """
    name = f"{kind.prefix}Name"
    members = {"Name": name, "CreationTime": "CreationTime", "Status": status or name}
    found = [
        r
        for r in (plane.store.all(kind) if records is None else records)
        if _wanted(r, request, name, status)
    ]
    member = members.get(request.get("SortBy", sort_by), "CreationTime")
    sorted_by = key or (lambda record: record[member])
    order = request.get("SortOrder", "Descending" if descending else "Ascending")
    found.sort(key=lambda r: (sorted_by(r), r[name]), reverse=order == "Descending")
    start = _page_start(request.get("NextToken"))
    stop = start + request.get("MaxResults", 10)
    return found[start:stop], {"NextToken": f"page-{stop}"} if stop < len(found) else {}


def _wanted(record: Record, request: Mapping[str, Any], name: str, status: str | None) -> bool:
    if request.get("NameContains", "").lower() not in record[name].lower():
        return False
    if status and request.get("StatusEquals") not in (None, record[status]):
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        after, before = request.get(f"{member}After"), request.get(f"{member}Before")
        moment = _microseconds(record[member])
        if after is not None and moment <= _microseconds(after):
            return False
        if before is not None and moment >= _microseconds(before):
            return False
    return True


def _page_start(token: str | None) -> int:
    if token is None:
        return 0
    number = token.removeprefix("page-")
    if not token.startswith("page-") or not number.isdigit():
        raise ApiError("NextToken is not one that this service gave out.")
    return int(number)


def _microseconds(moment: float | str) -> int:
    """Return a time of the wire in whole microseconds: a client's float may be off by less than one."""
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    return round(moment * 1e6)


@operation("AddTags")
def _add_tags(plane: Plane, request: Mapping[str, Any]) -> Answer:
    with plane.store.lock:
        tags = plane.store.tags(request["ResourceArn"])
        tags |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        if len(tags) > 50:
            raise ApiError("A resource can have at most 50 tags.")
        plane.store.set_tags(request["ResourceArn"], tags)
    return {"Tags": _pairs(tags)}


@operation("ListTags")
def _list_tags(plane: Plane, request: Mapping[str, Any]) -> Answer:
    tags = _pairs(plane.store.tags(request["ResourceArn"]))
    start = _page_start(request.get("NextToken"))
    stop = start + request.get("MaxResults", 50)
    return {"Tags": tags[start:stop]} | ({"NextToken": f"page-{stop}"} if stop < len(tags) else {})


@operation("DeleteTags")
def _delete_tags(plane: Plane, request: Mapping[str, Any]) -> Answer:
    with plane.store.lock:
        tags = plane.store.tags(request["ResourceArn"])
        plane.store.set_tags(
            request["ResourceArn"], {k: v for k, v in tags.items() if k not in request["TagKeys"]}
        )
    return {}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
