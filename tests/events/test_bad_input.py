"""Whatever comes in from outside: nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import sqlite3

import pytest

from helpers.events import (
    Consumer,
    EventError,
    LogBusy,
    LogFull,
    OutboxFull,
    Producer,
    click,
    impression,
)

from .conftest import request


def test_a_clock_that_goes_back_does_not_turn_the_order(kinesis, stream, consumer, log, tmp_path):
    times = iter([100.0, 90.0, 95.0, 101.0])
    first = Producer(kinesis, stream, tmp_path / "o", clock=lambda: next(times))
    for number in range(2):
        first.log(request(number))
    first.close()
    with Producer(
        kinesis, stream, tmp_path / "o", clock=lambda: next(times)
    ) as second:  # a restart remembers
        for number in range(2, 4):
            second.log(request(number))
    consumer.drain()
    frame = log.query(
        "SELECT min(time) AS low, max(time) AS high FROM events GROUP BY request_id ORDER BY 1"
    )
    assert frame["low"].tolist() == frame["high"].tolist() == [100_000, 100_000, 100_000, 101_000]


@pytest.mark.parametrize("line", [b"\x00\x00", b"[1]", b'{"time":"late"}'])
def test_what_a_loss_of_power_left_at_the_end_does_not_stop_the_next_producer(
    kinesis, stream, consumer, tmp_path, line
):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / f"{0:020d}.jsonl").write_bytes(line + b"\n")
    with Producer(kinesis, stream, tmp_path / "o") as producer:
        producer.log(request(0))
    read = consumer.drain()
    assert (read.new, read.dead) == (5, 1)


def test_a_time_of_the_shop_s_own_is_kept_also_if_a_click_comes_before_its_impression(
    producer, consumer, log
):
    producer.log(
        [impression("r", 1, 1, 0, 1.0, "m", time=2000), click("r", 1, 1, 0, "m", time=1000)]
    )
    producer.flush()
    consumer.drain()
    assert log.query("SELECT time FROM events ORDER BY number")["time"].tolist() == [2000, 1000]


def test_the_same_request_again_changes_nothing(producer, consumer, log):
    events = [{**e, "time": 5} for e in request(0)]
    producer.log(events)
    producer.log(events)  # the shop did not get an answer and tries again
    producer.flush()
    read = consumer.drain()
    assert (read.new, read.repeated, read.dead, log.count()) == (5, 5, 0, 5)


def test_a_second_click_on_the_same_slot_leaves_the_first_and_is_no_conflict(
    producer, consumer, log
):
    for time in (1000, 2500):
        producer.log(click("r", 1, 7, 0, "m", time=time))
    producer.flush()
    read = consumer.drain()
    assert (read.new, read.repeated, read.dead, log.count("dead_letters")) == (1, 1, 0, 0)
    assert log.query("SELECT time FROM events")["time"].tolist() == [1000]


@pytest.mark.parametrize(
    "other",
    [
        click("r", 2, 7, 0, "m", time=9),
        click("r", 1, 8, 0, "m", time=1),
        click("r", 1, 7, 0, "n", time=9),
    ],
)
def test_a_click_of_somebody_else_on_another_item_or_model_is_a_conflict(
    producer, consumer, log, other
):
    producer.log([click("r", 1, 7, 0, "m", time=1), other])
    producer.flush()
    read = consumer.drain()
    assert (read.new, read.repeated, read.dead) == (1, 0, 1)
    assert (
        "the log has this click with" in log.query("SELECT reason FROM dead_letters")["reason"][0]
    )


def test_a_request_id_used_twice_is_a_conflict_and_both_are_kept(
    kinesis, stream, producer, consumer, log
):
    producer.log(
        [
            impression("same", 1, 10, 0, 0.5, "m", time=1),
            impression("same", 2, 11, 0, 0.5, "m", time=2),
        ]
    )
    producer.flush()
    read = consumer.drain()
    assert (read.new, read.dead) == (1, 1)
    dead = log.query("SELECT * FROM dead_letters").iloc[0]
    assert "request id used twice: the log has this impression with" in dead["reason"]
    assert "item 10, not 11" in dead["reason"] or "item 11, not 10" in dead["reason"]
    assert json.loads(dead["event"])["request_id"] == "same"
    again = Consumer(kinesis, "other-name-for-the-place", log, interval=0)
    again.stream = stream
    with log.transaction() as db:  # the same records read a second time, from the start
        db.execute("DELETE FROM checkpoints")
    read = again.drain()
    assert (read.new, read.repeated, read.dead, log.count("dead_letters")) == (0, 1, 0, 1)


BAD = {
    "unknown item": (impression("a", 1, 100, 0, 0.5, "m"), "item 100 is not in the catalog"),
    "no propensity": (
        {k: v for k, v in impression("b", 1, 1, 0, 0.5, "m").items() if k != "propensity"},
        "missing",
    ),
    "propensity 0": (
        impression("c", 1, 1, 0, 0, "m"),
        "propensity is 0, expected a chance above 0",
    ),
    "unknown version": (
        {**impression("d", 1, 1, 0, 0.5, "m"), "v": 9},
        "schema version 9 is unknown",
    ),
    "no version": ({"kind": "click"}, "schema version None"),
    "strange kind": ({**click("e", 1, 1, 0, "m"), "kind": "hover"}, "kind is 'hover'"),
}


def test_bad_events_go_to_the_dead_letters_with_the_reason_and_the_good_ones_pass(
    producer, consumer, log
):
    producer.log([event for event, _ in BAD.values()] + request(0))
    producer.flush()
    read = consumer.drain()
    assert (read.new, read.dead) == (5, len(BAD))
    reasons = log.query("SELECT reason FROM dead_letters ORDER BY number")["reason"]
    for (name, (_, expected)), reason in zip(BAD.items(), reasons, strict=True):
        assert expected in reason, name


def test_records_of_somebody_else_are_kept_with_their_address(kinesis, stream, consumer, log):
    kinesis.put_records(
        StreamName=stream,
        Records=[
            {"Data": b"\xff\x00 not ours", "PartitionKey": "a"},
            {"Data": b'{"v":2}', "PartitionKey": "b"},
        ],
    )
    assert consumer.drain().dead == 2
    dead = log.query("SELECT * FROM dead_letters")
    assert dead["reason"].unique().tolist() == ["the record has no header of a producer"]
    assert dead["source"].str.startswith("shardId-").all() and dead["source"].nunique() == 2


def test_dead_letters_are_judged_again_when_the_catalog_has_grown(producer, consumer, log):
    producer.log([event for event, _ in BAD.values()])
    producer.flush()
    consumer.drain()
    assert log.replay(range(100)) == (0, 0, len(BAD))
    assert log.replay(range(101)) == (1, 0, len(BAD) - 1)
    assert log.query("SELECT item FROM events")["item"].tolist() == [100]
    assert log.replay(range(101)).new == 0


@pytest.mark.parametrize(
    "event, message",
    [
        ({"user": {1, 2}}, "set is not JSON serializable"),
        ({"propensity": float("nan")}, "a event cannot be written as JSON"),
        ({"text": "x" * (64 << 10)}, "expected at most 65,536"),
        ([1], "an event is a list"),
    ],
)
def test_what_cannot_be_written_down_is_not_acknowledged(producer, event, message):
    with pytest.raises(EventError, match=message):
        producer.log([impression("r", 1, 1, 0, 0.5, "m"), event])
    assert producer.outbox.next == 0, "all of a call or none"


def test_a_full_disk_of_the_producer_refuses_and_keeps_what_it_acknowledged(
    kinesis, stream, consumer, tmp_path, hasty
):
    producer = Producer(
        kinesis, stream, tmp_path / "small", max_bytes=3000, segment_bytes=1000, patience=hasty
    )
    acknowledged = 0
    with pytest.raises(OutboxFull, match="may not exceed 3,000 bytes"):
        for number in range(100):
            acknowledged += producer.log(request(number))
    producer.flush()
    assert consumer.drain().new == acknowledged > 10
    acknowledged += producer.log(request(99))
    producer.flush()
    assert consumer.drain().new == 5
    producer.close()


def test_a_full_disk_of_the_log_writes_nothing_and_skips_nothing(producer, consumer, log):
    for number in range(400):
        producer.log(request(number))
    producer.flush()
    pages = log._db.execute("PRAGMA page_count").fetchone()[0]
    log._db.execute(f"PRAGMA max_page_count = {pages + 8}")
    with pytest.raises(LogFull, match="no room left"):
        consumer.drain()
    held = log.count()
    with sqlite3.connect(log.path) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    log._db.execute("PRAGMA max_page_count = 1000000")
    assert consumer.drain().new == 2000 - held
    assert log.count() == 2000


def test_a_locked_log_writes_nothing_and_skips_nothing(producer, consumer, log):
    producer.log(request(0))
    producer.flush()
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogBusy, match="locked by another process"):
        consumer.drain()
    assert log.count() == 0 and log.query("SELECT count(*) AS n FROM events")["n"][0] == 0, (
        "readers do not wait"
    )
    other.execute("ROLLBACK")
    other.close()
    assert consumer.drain().new == 5


def test_a_failure_between_events_and_checkpoint_keeps_neither(
    producer, consumer, log, monkeypatch
):
    producer.log(request(0))
    producer.flush()
    monkeypatch.setattr(
        log,
        "checkpoint",
        lambda *_: (_ for _ in ()).throw(MemoryError()) if log._db.in_transaction else None,
    )
    with pytest.raises(MemoryError):
        consumer.drain()
    assert log.count() == 0
    monkeypatch.undo()
    assert consumer.drain().new == 5
