"""Times: kept to the millisecond, so that what a client sends back is what it was told."""

from __future__ import annotations

import random

import pytest
from botocore import serialize
from botocore.utils import parse_timestamp

from local_sagemaker.service import listing, store


def moments() -> list[int]:
    """Nanoseconds since 1970 that are awkward as floating-point seconds."""
    draw = random.Random(0)
    first = 1_763_802_831_000_000_000
    awkward = (0, 1, 499, 500, 501, 999_499, 999_500, 999_999, 1_000_000, 999_999_999)
    edges = [first + n for n in awkward]
    return edges + [first + draw.randrange(10**17) for _ in range(500)]


def found(records: store.Store, request: dict):
    return listing.page(records.all(store.MODEL), store.MODEL, request)


@pytest.mark.parametrize("precision", ["default", "millisecond"])
def test_after_and_before_a_things_own_time_leave_it_out(monkeypatch, precision):
    sent = serialize.JSONSerializer(timestamp_precision=precision)._timestamp_unixtimestamp
    records = store.Store("us-west-2")
    for number, moment in enumerate(moments()):
        monkeypatch.setattr(store.time, "time_ns", lambda moment=moment: moment)
        monkeypatch.setattr(store.time, "time", lambda moment=moment: moment / 1e9)
        records.add(store.MODEL, {"ModelName": f"m{number}"})
        told = records.get(store.MODEL, f"m{number}")["CreationTime"]
        asked = sent(parse_timestamp(told))
        for member in ("CreationTimeAfter", "CreationTimeBefore", "LastModifiedTimeAfter"):
            assert found(records, {member: asked}) == ([], {}), (member, moment)
        earlier, later = asked - 0.001, asked + 0.001
        around = {"CreationTimeAfter": earlier, "CreationTimeBefore": later}
        assert len(found(records, around)[0]) == 1, moment
        records.remove(store.MODEL, f"m{number}")
