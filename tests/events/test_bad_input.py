"""Whatever comes in from outside: nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import sqlite3

import pytest

from helpers.events import Consumer, LogBusy, LogFull, OutboxFull, Producer, click, impression

from .conftest import request, send


def deliver(producer, consumer, events):
    producer.log(events)
    producer.flush()
    return consumer.drain()


def test_a_clock_that_goes_back_does_not_turn_the_order(kinesis, name, consumer, log, tmp_path):
    clock = iter([100.0, 90.0, 95.0, 101.0]).__next__
    for first in (0, 2):  # a restart remembers
        with Producer(kinesis, name, tmp_path / "o", clock=clock) as producer:
            producer.log(request(first))
            producer.log(request(first + 1))
    consumer.drain()
    ends = "SELECT min(time) AS low, max(time) AS high FROM events GROUP BY request_id ORDER BY 1"
    frame = log.query(ends)
    assert frame["low"].tolist() == frame["high"].tolist() == [100_000, 100_000, 100_000, 101_000]


@pytest.mark.parametrize(
    "other, outcome",
    [
        (click("r", 1, 7, 0, "m", time=2500), (1, 1, 0)),  # a second click on the same slot
        (click("r", 2, 7, 0, "m"), (1, 0, 1)),
        (click("r", 1, 7, 0, "n"), (1, 0, 1)),
    ],
)
def test_the_first_click_stays_and_other_content_is_a_conflict(
    producer, consumer, log, other, outcome
):
    read = deliver(producer, consumer, [click("r", 1, 7, 0, "m", time=1000), other])
    assert (read.new, read.repeated, read.dead) == outcome
    assert log.query("SELECT time, user FROM events").to_numpy().tolist() == [[1000, 1]]


def test_a_request_id_used_twice_is_a_conflict_and_both_are_kept(
    kinesis, name, producer, consumer, log
):
    twice = [impression("same", n, 10 + n, 0, 0.5, "m", time=n) for n in (1, 2)]
    read = deliver(producer, consumer, twice)
    assert (read.new, read.dead) == (1, 1)
    dead = log.query("SELECT * FROM dead_letters").iloc[0]
    assert dead["reason"].endswith("time 1, not 2, user 1, not 2, item 11, not 12")
    assert json.loads(dead["event"])["request_id"] == "same"
    with log._db:  # the same records read a second time
        log._db.execute("DELETE FROM checkpoints")
    read = Consumer(kinesis, name, log, interval=0).drain()
    assert (read.new, read.repeated, read.dead) == (0, 1, 0)
    assert log.replay() == (0, 0, 1)


def test_bad_events_are_kept_with_the_reason_and_come_back_when_the_cause_is_mended(
    producer, consumer, log
):
    odd = [impression(f"odd-{n}", 1, 100 * n, 0, n / 2, "m") for n in range(2)]
    read = deliver(producer, consumer, odd + request(0))
    assert (read.new, read.dead) == (5, 2)
    assert log.query("SELECT reason FROM dead_letters ORDER BY number")["reason"].tolist() == [
        "propensity is 0.0, expected a chance above 0 and up to 1",
        "item 100 is not in the catalog",
    ]
    assert log.replay(range(100)) == (0, 0, 2)
    assert log.replay(range(101)) == (1, 0, 1)
    assert log.query("SELECT max(item) AS item FROM events")["item"].tolist() == [100]
    assert log.replay(range(101)).new == 0


def test_records_of_somebody_else_are_kept_with_their_address(kinesis, name, consumer, log):
    theirs = [
        b"\xff\x00 not ours",
        b'{"v":2}',
        b"[" * 100_000,
        b'{"source": "\\ud800", "first": 0, "events": []}',
        b'{"source": "a", "first": -1, "events": []}',
        b'{"source": "a", "first": 0, "events": "none"}',
        b'{"source": "a", "first": 0, "events": [[1]]}',
    ]
    records = [{"Data": data, "PartitionKey": str(n)} for n, data in enumerate(theirs)]
    kinesis.put_records(StreamName=name, Records=records)
    assert consumer.drain().dead == len(theirs)
    dead = log.query("SELECT * FROM dead_letters ORDER BY source")
    assert dead["reason"][0] == "a JSON list, expected an object"
    assert dead["reason"][1:].eq("the record was not packed by a producer of events").all()
    assert dead["source"][1:].str.startswith("shardId-").all() and dead["source"].is_unique
    assert log.replay() == (0, 0, len(theirs))


@pytest.mark.parametrize(
    "event, message",
    [
        ({"user": {1, 2}}, "set is not JSON serializable"),
        ({"propensity": float("nan")}, "cannot be written as JSON"),
        ({"text": "x" * (64 << 10)}, "expected at most 65,536"),
        ([1], "'list' object is not a mapping"),
    ],
)
def test_what_cannot_be_written_down_is_not_acknowledged(producer, event, message):
    with pytest.raises(ValueError, match=message):
        producer.log([impression("r", 1, 1, 0, 0.5, "m"), event])
    assert producer.next == 0, "all of a call or none"


def test_a_full_disk_of_the_producer_refuses_and_keeps_what_it_acknowledged(
    kinesis, name, consumer, tmp_path
):
    acknowledged = 0
    with Producer(kinesis, name, tmp_path / "small", max_bytes=3000) as producer:
        with pytest.raises(OutboxFull, match="may hold 3,000 bytes"):
            for number in range(100):
                acknowledged += producer.log(request(number))
        producer.flush()
        assert consumer.drain().new == acknowledged > 10
        assert deliver(producer, consumer, request(99)).new == 5


def test_a_full_disk_of_the_log_writes_nothing_and_skips_nothing(producer, consumer, log):
    send(producer, 400)
    pages = log._db.execute("PRAGMA page_count").fetchone()[0]
    log._db.execute(f"PRAGMA max_page_count = {pages + 8}")
    with pytest.raises(LogFull, match="no room left"):
        consumer.drain()
    log._db.execute("PRAGMA max_page_count = 1000000")
    held = log.count()
    assert (consumer.drain().new, log.count()) == (2000 - held, 2000)


def test_a_locked_log_writes_nothing_and_skips_nothing(producer, consumer, log):
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogBusy, match=r"log.sqlite is locked: try again"):
        deliver(producer, consumer, request(0))
    assert log.query("SELECT count(*) AS n FROM events")["n"][0] == 0, "readers do not wait"
    other.close()
    assert consumer.drain().new == 5


def test_a_failure_between_events_and_checkpoint_keeps_neither(
    producer, consumer, log, monkeypatch
):
    def fail(*place):
        if log._db.in_transaction:
            raise MemoryError

    monkeypatch.setattr(log, "checkpoint", fail)
    with pytest.raises(MemoryError):
        deliver(producer, consumer, request(0))
    assert log.count() == 0
    monkeypatch.undo()
    assert consumer.drain().new == 5
