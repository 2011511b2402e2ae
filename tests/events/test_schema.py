"""What an event may be, and the reason for each refusal."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.events import EventLog, click, impression, new_request_id, response
from helpers.events.schema import FIELDS, BadEvent, judge

SHOWN = impression("r1", user=3, item=7, position=0, propensity=0.8, model="mf-1", time=5)


def test_the_three_kinds_become_rows():
    clicked = click("r1", user=3, item=7, position=0, model="mf-1", time=6)
    answered = response("r1", user=3, model="mf-1", latency_ms=12, status=200, time=7)
    rows = [dict(zip(FIELDS, judge(e), strict=True)) for e in (SHOWN, clicked, answered)]
    assert [r["kind"] for r in rows] == ["impression", "click", "response"]
    assert [r["propensity"] for r in rows] == [0.8, None, None]
    assert [r["position"] for r in rows] == [0, 0, -1], "a response is about the whole request"
    assert (rows[2]["latency_ms"], rows[2]["status"], rows[2]["item"]) == (12.0, 200, None)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"propensity": None}, "propensity is missing"),
        ({"propensity": float("nan")}, "propensity is nan"),
        ({"propensity": True}, "propensity is True"),
        ({"item": 10}, "item 10 is not in the catalog"),
        ({"item": 7.0}, "item is 7.0"),
        ({"position": -1}, "position is -1"),
        ({"user": 10**30}, "user is 10000"),
        ({"time": None}, "time is None"),
        ({"kind": "view"}, "kind is 'view', expected one of impression, click, response"),
        ({"kind": ["click"]}, "kind is ['click']"),
        ({"request_id": ""}, "request_id is ''"),
        ({"request_id": "\ud800"}, "request_id is"),
        ({"v": 3}, "schema version 3 is unknown here (known: 1, 2)"),
        ({"v": True}, "schema version True"),
        ({"v": 1}, "position is None, expected a slot from 0"),
        ({"kind": "response", "latency_ms": -1, "status": 200}, "latency_ms is -1"),
        ({"kind": "response", "latency_ms": 10**400, "status": 200}, "latency_ms is 1000"),
        ({"kind": "response", "latency_ms": 1, "status": 600}, "status is 600"),
    ],
)
def test_a_bad_field_is_named_with_its_value(change, reason):
    with pytest.raises(BadEvent) as refused:
        judge(json.loads(json.dumps({**SHOWN, **change})), items=range(10))
    assert reason in str(refused.value)


def test_version_1_is_brought_up_to_date():
    old = {k: v for k, v in SHOWN.items() if k not in ("position", "model")}
    row = judge({**old, "v": 1, "slot": 1})
    assert (row[2], row[7]) == (0, "unknown"), "slots were counted from 1"


def test_request_ids_differ_and_sort_by_time():
    ids = [new_request_id(t) for t in (1_000, 1_000, 2_000, 3_000_000)]
    assert len(set(ids)) == 4 and ids[0][:12] == ids[1][:12] < ids[2] < ids[3]
    assert all(len(i) == 28 for i in ids)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
LOG = EventLog(":memory:")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([SHOWN, response("r", 1, "m", 3.0, time=1), {**SHOWN, "kind": "click"}]),
    st.dictionaries(st.sampled_from([*FIELDS, "v", "slot", "more"]), json_values, max_size=3),
)
def test_whatever_comes_is_a_row_that_the_log_takes_or_has_a_reason(event, change):
    """One event that neither fits nor is refused would stop the consumer for good."""
    try:
        row = judge(json.loads(json.dumps({**event, **change})))
    except BadEvent as refused:
        assert str(refused)
    else:
        LOG.write([(*row, "source", 0)], ())
        assert LOG.count()
