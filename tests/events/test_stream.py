"""Records of events, and retries as the API demands: only what was refused, after pauses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.events import stream as streams
from helpers.events.schema import BadEvent
from helpers.events.stream import ATTEMPTS, OpenStream, StreamError, back_off, pack, put_all, unpack

THROTTLED = "ProvisionedThroughputExceededException"
RECORDS = [{"Data": b"%d" % i, "PartitionKey": str(i)} for i in range(5)]


class Client:
    """Answers with prepared codes, call by call, one for each record or None; raises errors."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []

    def put_records(self, StreamName, Records):
        self.got.append([int(record["Data"]) for record in Records])
        codes = self.answers.pop(0)
        if isinstance(codes, Exception):
            raise codes
        return {"Records": [{"ErrorCode": code} if code else {"ShardId": "s"} for code in codes]}


def test_only_refused_records_are_sent_again():
    pauses = []
    client = Client(
        [None, THROTTLED, None, "InternalFailure", None], [THROTTLED, None], [THROTTLED], [None]
    )
    assert put_all(client, "s", RECORDS, pauses.append) == 4
    assert client.got == [[0, 1, 2, 3, 4], [1, 3], [1], [1]]
    assert pauses == [1, 1, 2], "failures count anew when something got through"


def test_it_gives_up_after_so_many_calls_without_progress():
    pauses = []
    with pytest.raises(StreamError, match=f"to s: 5 records refused {ATTEMPTS} times: {THROTTLED}"):
        put_all(Client(*[[THROTTLED] * 5] * ATTEMPTS), "s", RECORDS, pauses.append)
    assert pauses == list(range(1, ATTEMPTS))


def test_a_lost_answer_is_no_failure_of_the_call():
    client = Client(ConnectionResetError(), ConnectionResetError(), [None] * 5)
    assert put_all(client, "s", RECORDS, [].append) == 10


def test_pauses_grow_are_random_and_capped(monkeypatch):
    pauses = []
    monkeypatch.setattr(streams.time, "sleep", pauses.append)
    for _ in range(200):
        for failures in range(1, 10):
            back_off(failures)
    tops = [max(pauses[i::9]) for i in range(9)]
    assert tops[:6] == sorted(tops[:6]) and tops[0] <= 0.1 and 4.5 < tops[-1] <= 5.0
    assert min(pauses) < 0.01, "full jitter: anything from 0"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=9), st.text() | st.floats()), max_size=250))
def test_records_hold_what_was_packed(events):
    lines = [json.dumps(event).encode() for event in events]
    parcels = [unpack(record["Data"]) for record in pack("box", 40, lines)]
    found = [json.dumps(event).encode() for _, _, some in parcels for event in some]
    assert found == lines
    assert [(source, first) for source, first, _ in parcels] == [
        ("box", first) for first in range(40, 40 + len(lines), 100)
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\x00 hello",
        b"[1, 2]",
        b'{"v": 2}',
        b"[" * 100_000,
        b'{"source": "\\ud800", "first": 0, "events": []}',
        b'{"source": "a", "first": -1, "events": []}',
        b'{"source": "a", "first": 0, "events": "none"}',
    ],
)
def test_a_record_of_somebody_else_is_refused(data):
    with pytest.raises(BadEvent, match="not packed by a producer"):
        unpack(data)


def test_a_stream_of_one_s_own_is_made_and_deleted(kinesis):
    stream, other = OpenStream(kinesis, "mine", shards=1), OpenStream(kinesis, "mine", shards=3)
    assert stream.name != other.name and stream.name.startswith("mine-")
    assert len(kinesis.list_shards(StreamName=other.name)["Shards"]) == 3
    for one in (stream, other, stream):
        one.close()
    assert not [n for n in kinesis.list_streams()["StreamNames"] if n.startswith("mine-")]
