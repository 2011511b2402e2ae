"""Producer, stream, consumer and log together, with all that can come in from outside."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading

import pandas as pd
import pytest

from helpers.events import (
    Consumer,
    EventError,
    EventLog,
    Forgetful,
    LogBusy,
    LogFull,
    OpenStream,
    OutboxFull,
    Producer,
    StreamError,
    click,
    export,
    impression,
    response,
)


def request(number, n_items=3, model="m1"):
    """Three impressions, one click and the response of one request."""
    name = f"r{number:05d}"
    shown = [impression(name, number % 7, item, item, 0.5, model) for item in range(n_items)]
    return [*shown, click(name, number % 7, 1, 1, model), response(name, number % 7, model, 12.5)]


@pytest.fixture
def producer(kinesis, stream, tmp_path, hasty):
    made = Producer(kinesis, stream, tmp_path / "outbox", events_per_record=4, patience=hasty)
    yield made
    made.close()


@pytest.fixture
def consumer(kinesis, stream, log, hasty):
    return Consumer(kinesis, stream, log, items=range(100), interval=0, patience=hasty)


def test_every_event_arrives_once_with_its_content(producer, consumer, log):
    for number in range(30):
        assert producer.log(request(number)) == 5
    sent = producer.flush()
    assert (sent.events, sent.again) == (150, 0) and sent.records >= 38
    read = consumer.drain()
    assert (read.events, read.new, read.repeated, read.dead, read.behind) == (150, 150, 0, 0, False)
    frame = log.query("SELECT * FROM events ORDER BY number")
    assert frame["number"].tolist() == list(range(150))
    assert frame["kind"].value_counts().to_dict() == {"impression": 90, "click": 30, "response": 30}
    assert frame["propensity"].dropna().unique().tolist() == [0.5]
    assert producer.flush().events == 0 and consumer.drain().records == 0


def test_a_second_consumer_goes_on_from_the_checkpoint(kinesis, stream, producer, consumer, log):
    producer.log(request(0))
    producer.flush()
    consumer.drain()
    producer.log(request(1))
    producer.flush()
    read = Consumer(kinesis, stream, log, interval=0).drain()
    assert (read.events, read.new) == (5, 5)


def test_two_consumers_on_one_log_write_every_event_once(kinesis, stream, producer, log, tmp_path):
    for number in range(40):
        producer.log(request(number))
    producer.flush()
    with EventLog(log.path) as other:
        a, b = (Consumer(kinesis, stream, x, interval=0, limit=5) for x in (log, other))
        reads = [c.poll() for _ in range(20) for c in (a, b)]
    assert sum(r.new for r in reads) == 200 == log.count()
    assert 0 < sum(r.repeated for r in reads) < 200, "both read most of it"


def test_a_lost_answer_doubles_records_but_not_events(kinesis, stream, producer, consumer, log):
    producer.client = Forgetful(kinesis, losses=2)
    producer.log(request(0))
    producer.flush()
    read = consumer.drain()
    assert (read.events, read.new, read.repeated) == (15, 5, 10)


def test_when_the_stream_is_away_events_wait(kinesis, producer, consumer, tmp_path):
    producer.stream = "no-such-stream"
    producer.log(request(0))
    with pytest.raises(StreamError, match="ResourceNotFoundException"):
        producer.flush()
    assert producer.outbox.next - producer.outbox.sent == 5
    producer.stream = consumer.stream
    assert producer.flush().events == 5
    assert consumer.drain().new == 5


def test_the_sender_thread_survives_an_outage(kinesis, stream, producer, consumer):
    stop = threading.Event()
    producer.stream = "no-such-stream"
    thread = threading.Thread(target=producer.run, args=(stop, 0.01))
    thread.start()
    for number in range(20):
        producer.log(request(number))
    producer.stream = stream
    stop.set()
    thread.join(20)
    assert not thread.is_alive() and consumer.drain().new == 100


def test_a_shard_that_is_split_is_read_to_its_end_and_so_are_its_children(
    kinesis, stream, producer, consumer
):
    producer.log(request(0))
    producer.flush()
    first = consumer.drain()
    shard = kinesis.list_shards(StreamName=stream)["Shards"][0]
    middle = str(
        (int(shard["HashKeyRange"]["StartingHashKey"]) + int(shard["HashKeyRange"]["EndingHashKey"])) // 2
    )
    producer.log([e for n in range(1, 9) for e in request(n)])
    producer.flush()
    kinesis.split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
    producer.log([e for n in range(9, 17) for e in request(n)])
    producer.flush()
    assert first.new + consumer.drain().new == 17 * 5


# bad input


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
    frame = log.query("SELECT min(time) AS low, max(time) AS high FROM events GROUP BY request_id ORDER BY 1")
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
    producer.log([impression("r", 1, 1, 0, 1.0, "m", time=2000), click("r", 1, 1, 0, "m", time=1000)])
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


def test_a_request_id_used_twice_is_a_conflict_and_both_are_kept(kinesis, stream, producer, consumer, log):
    producer.log(
        [impression("same", 1, 10, 0, 0.5, "m", time=1), impression("same", 2, 11, 0, 0.5, "m", time=2)]
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
    "propensity 0": (impression("c", 1, 1, 0, 0, "m"), "propensity is 0, expected a chance above 0"),
    "unknown version": ({**impression("d", 1, 1, 0, 0.5, "m"), "v": 9}, "schema version 9 is unknown"),
    "no version": ({"kind": "click"}, "schema version None"),
    "strange kind": ({**click("e", 1, 1, 0, "m"), "kind": "hover"}, "kind is 'hover'"),
}


def test_bad_events_go_to_the_dead_letters_with_the_reason_and_the_good_ones_pass(producer, consumer, log):
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


def test_a_failure_between_events_and_checkpoint_keeps_neither(producer, consumer, log, monkeypatch):
    producer.log(request(0))
    producer.flush()
    monkeypatch.setattr(
        log, "checkpoint", lambda *_: (_ for _ in ()).throw(MemoryError()) if log._db.in_transaction else None
    )
    with pytest.raises(MemoryError):
        consumer.drain()
    assert log.count() == 0
    monkeypatch.undo()
    assert consumer.drain().new == 5


def test_an_expired_iterator_is_replaced(kinesis, stream, producer, log):
    from botocore.exceptions import ClientError

    class Late:
        calls = 0

        def __getattr__(self, name):
            return getattr(kinesis, name)

        def get_records(self, **arguments):
            self.calls += 1
            if self.calls == 3:
                raise ClientError(
                    {"Error": {"Code": "ExpiredIteratorException", "Message": "late"}}, "GetRecords"
                )
            return kinesis.get_records(**arguments)

    for number in range(40):
        producer.log(request(number))
    producer.flush()
    assert Consumer(Late(), stream, log, limit=5, interval=0).drain().new == 200


def test_questions_cannot_change_the_log(log):
    for sql in ("DELETE FROM events", "DROP TABLE events"):
        with pytest.raises(Exception, match="readonly|read-only|attempt to write"):
            log.query(sql)
    with pytest.raises(ValueError, match="no table"):
        log.count("users")


def test_settings_out_of_range_are_refused(kinesis, stream, log, tmp_path):
    with pytest.raises(ValueError, match="limit is 0"):
        Consumer(kinesis, stream, log, limit=0)
    with pytest.raises(ValueError, match="events_per_record is 0"):
        Producer(kinesis, stream, tmp_path / "o", events_per_record=0)


# Parquet


@pytest.fixture
def filled(producer, consumer, log):
    producer.clock = lambda: 86_400.0 * (1 + producer.outbox.next // 50)  # ten requests a day
    for number in range(30):
        producer.log(request(number))
    producer.flush()
    consumer.drain()
    return log


def everything(folder):
    return pd.concat([pd.read_parquet(p) for p in sorted(folder.rglob("*.parquet"))]).sort_values("id")


def test_parquet_holds_what_the_log_holds_by_day(filled, tmp_path):
    files = export(filled, tmp_path / "lake", rows=40)
    assert {f.parent.name for f in files} == {"day=1970-01-02", "day=1970-01-03", "day=1970-01-04"}
    both = [everything(tmp_path / "lake"), filled.query("SELECT * FROM events ORDER BY id")]
    for column in ("id", "request_id", "kind", "item", "propensity", "latency_ms"):
        left, right = (f[column].astype(object).where(f[column].notna(), None).tolist() for f in both)
        assert left == right, column
    assert export(filled, tmp_path / "lake") == [], "nothing new, nothing written"


@pytest.mark.parametrize("dies_after", range(8))
def test_an_export_that_was_killed_is_finished_without_loss_or_doubles(
    filled, tmp_path, monkeypatch, dies_after
):
    import pyarrow.parquet as pq

    real, calls = pq.write_table, []

    def fragile(table, path, **settings):
        calls.append(path)
        if len(calls) > dies_after:
            path.write_bytes(b"half a file")
            raise KeyboardInterrupt
        return real(table, path, **settings)

    monkeypatch.setattr(pq, "write_table", fragile)
    with contextlib.suppress(KeyboardInterrupt):
        export(filled, tmp_path / "lake", rows=40)
    monkeypatch.undo()
    export(filled, tmp_path / "lake", rows=1000)
    found = everything(tmp_path / "lake")
    assert found["id"].tolist() == list(range(1, 151))


def test_a_stream_of_one_s_own_is_made_and_deleted(kinesis):
    stream, other = OpenStream(kinesis, "mine", shards=1), OpenStream(kinesis, "mine", shards=3)
    assert stream.name != other.name and stream.name.startswith("mine-")
    assert len(kinesis.list_shards(StreamName=other.name)["Shards"]) == 3
    for one in (stream, other, stream):
        one.close()
    assert not [n for n in kinesis.list_streams()["StreamNames"] if n.startswith("mine-")]


def test_a_consumer_can_wait_for_what_must_come(kinesis, stream, producer, log):
    class Slow:
        calls = 0

        def __getattr__(self, name):
            return getattr(kinesis, name)

        def get_records(self, **arguments):
            self.calls += 1
            answer = kinesis.get_records(**arguments)
            if self.calls <= 4:  # put, and not to be seen yet
                answer.update(Records=[], NextShardIterator=arguments["ShardIterator"], MillisBehindLatest=0)
            return answer

    producer.log(request(0))
    producer.flush()
    assert Consumer(Slow(), stream, log, interval=0).drain().events == 0
    assert Consumer(Slow(), stream, log, interval=0).drain(at_least=5).events == 5
    assert Consumer(kinesis, stream, log, interval=0).drain(0.05, at_least=1).events == 0, "time is over"


def test_a_closed_producer_says_so(producer):
    producer.close()
    with pytest.raises(EventError, match="is closed"):
        producer.log(request(0))
