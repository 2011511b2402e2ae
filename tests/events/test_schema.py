"""What an event may be, and the reason for each refusal."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.events import (
    BadEvent,
    EventLog,
    click,
    decode,
    impression,
    judge,
    new_request_id,
    response,
)
from helpers.events.records import EVENT_BYTES, RECORD_BYTES, pack, unpack
from helpers.events.schema import COLUMNS

SHOWN = impression("r1", user=3, item=7, position=0, propensity=0.8, model="mf-1", time=5)


def test_the_three_kinds_become_rows():
    rows = [
        dict(zip(COLUMNS, judge(event), strict=True))
        for event in (
            SHOWN,
            click("r1", user=3, item=7, position=0, model="mf-1", time=6),
            response("r1", user=3, model="mf-1", latency_ms=12, status=200, time=7),
        )
    ]
    assert [r["kind"] for r in rows] == ["impression", "click", "response"]
    assert [r["propensity"] for r in rows] == [0.8, None, None]
    assert [r["position"] for r in rows] == [0, 0, -1], "a response is about the whole request"
    assert (rows[2]["latency_ms"], rows[2]["status"], rows[2]["item"]) == (12.0, 200, None)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"propensity": None}, "propensity is missing"),
        ({"propensity": 0}, "propensity is 0"),
        ({"propensity": -0.1}, "propensity is -0.1"),
        ({"propensity": 1.01}, "above 0 and up to 1"),
        ({"propensity": float("nan")}, "propensity is nan"),
        ({"propensity": "0.5"}, "propensity is '0.5'"),
        ({"propensity": True}, "propensity is True"),
        ({"item": 10}, "item 10 is not in the catalog"),
        ({"item": -1}, "item is -1"),
        ({"item": 7.0}, "item is 7.0"),
        ({"item": None}, "item is None"),
        ({"position": -1}, "position is -1"),
        ({"user": "3"}, "user is '3'"),
        ({"user": 10**30}, "user is 10000"),
        ({"time": None}, "time is None"),
        ({"time": -1}, "time is -1"),
        ({"kind": "view"}, "kind is 'view'"),
        ({"kind": ["click"]}, "kind is ['click']"),
        ({"request_id": ""}, "request_id is ''"),
        ({"request_id": "x" * 65}, "1 to 64 characters"),
        ({"request_id": "\ud800"}, "request_id is"),
        ({"model": ""}, "model is ''"),
        ({"v": 3}, "schema version 3 is unknown here (known: 1, 2)"),
        ({"v": None}, "schema version None"),
        ({"v": True}, "schema version True"),
        ({"v": [2]}, "schema version [2]"),
    ],
)
def test_a_bad_field_is_named_with_its_value(change, reason):
    with pytest.raises(BadEvent) as refused:
        judge(decode(json.dumps({**SHOWN, **change})), items=range(10))
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"latency_ms": -1}, "latency_ms is -1"),
        ({"latency_ms": None}, "latency_ms is None"),
        ({"latency_ms": 10**400}, "latency_ms is 1000"),
        ({"status": 20}, "status is 20"),
        ({"status": 600}, "status is 600"),
    ],
)
def test_a_bad_response_is_refused(change, reason):
    with pytest.raises(BadEvent) as refused:
        judge({**response("r", 1, "m", 3.0, time=1), **change})
    assert reason in str(refused.value)


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"7", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_an_object_of_json_is_refused(line):
    with pytest.raises(BadEvent):
        decode(line)


def test_version_1_is_brought_up_to_date():
    old = {k: v for k, v in SHOWN.items() if k not in ("position", "model")}
    row = dict(zip(COLUMNS, judge(decode(json.dumps({**old, "v": 1, "slot": 1}))), strict=True))
    assert (row["position"], row["model"]) == (0, "unknown"), "slots were counted from 1"
    for slot in (0, -1, None, 1.5):
        with pytest.raises(BadEvent, match="slot is"):
            decode(json.dumps({**old, "v": 1, "slot": slot}))


def test_request_ids_differ_and_sort_by_time():
    ids = [new_request_id(t) for t in (1_000, 1_000, 2_000, 3_000_000)]
    assert len(set(ids)) == 4 and ids[0][:12] == ids[1][:12] < ids[2] < ids[3]
    assert all(len(i) == 28 for i in ids)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # a busy machine
@given(
    st.sampled_from([SHOWN, response("r", 1, "m", 3.0, time=1), {**SHOWN, "kind": "click"}]),
    st.dictionaries(st.sampled_from([*COLUMNS, "v", "slot", "more"]), json_values, max_size=3),
)
def test_whatever_comes_is_a_row_that_the_log_takes_or_has_a_reason(
    tmp_path_factory, event, change
):
    """One event that neither fits nor is refused would stop the consumer for good."""
    log = _log_of(tmp_path_factory)
    try:
        row = judge(decode(json.dumps({**event, **change})))
    except BadEvent as refused:
        assert str(refused)
        return
    log.write([(*row, "source", 0)])
    assert log.query("SELECT * FROM events WHERE request_id = ?", (row[0],)).shape[0] >= 1


_logs: list[EventLog] = []


def _log_of(factory) -> EventLog:
    if not _logs:
        _logs.append(EventLog(factory.mktemp("fuzz") / "log.sqlite"))
    return _logs[0]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.binary(min_size=1, max_size=400).map(lambda b: b.replace(b"\n", b" ")), max_size=60)
)
def test_records_hold_what_was_packed(lines):
    records = list(pack("box", 40, lines, events_per_record=7))
    parcels = [unpack(r["Data"], "shard/1") for r in records]
    assert [line for p in parcels for line in p.lines] == lines
    assert [p.first for p in parcels] == list(range(40, 40 + len(lines), 7))
    assert not any(p.problem for p in parcels)


def test_a_record_keeps_within_the_limit_of_the_api():
    lines = [b"x" * EVENT_BYTES] * 50
    records = list(pack("box", 0, lines, events_per_record=100))
    sizes = [len(r["Data"]) + len(r["PartitionKey"]) for r in records]
    assert max(sizes) <= RECORD_BYTES and len(records) == 4


@pytest.mark.parametrize(
    "data, problem",
    [
        (b"hello", "no header"),
        (b"", "no header"),
        (b"[1,2]\nx", "no header"),
        (b'{"format":9,"source":"a","first":0,"count":1}\nx', "format 9"),
        (
            b'{"format":1,"source":"a","first":0,"count":2}\nx',
            "promises 2 events, the record has 1",
        ),
        (b'{"format":1,"source":"\\ud800","first":0,"count":1}\nx', "names no outbox"),
        (b'{"format":1,"source":"a","first":-1,"count":1}\nx', "names no outbox"),
    ],
)
def test_a_strange_record_is_kept_whole_with_its_address(data, problem):
    parcel = unpack(data, "shard-1/77")
    assert problem in parcel.problem
    assert (parcel.source, parcel.first, parcel.lines) == ("shard-1/77", 0, [data])
