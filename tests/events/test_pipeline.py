"""Producer, stream, consumer and log together."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest

from helpers.events import Consumer, EventLog, Forgetful, export

from .conftest import request, send


def test_every_event_arrives_once_with_its_content(producer, consumer, log):
    sent = send(producer, 30)
    assert (sent.events, sent.again) == (150, 0) and sent.records >= 38
    read = consumer.drain()
    assert (read.events, read.new, read.repeated, read.dead, read.behind) == (150, 150, 0, 0, False)
    frame = log.query("SELECT * FROM events ORDER BY number")
    assert frame["number"].tolist() == list(range(150))
    assert frame["kind"].value_counts().to_dict() == {"impression": 90, "click": 30, "response": 30}
    assert frame["propensity"].dropna().unique().tolist() == [0.5]
    assert producer.flush().events == 0 and consumer.drain().records == 0


def test_two_consumers_on_one_log_write_every_event_once(kinesis, name, producer, log, monkeypatch):
    monkeypatch.setattr("helpers.events.log.LIMIT", 5)
    send(producer, 40)
    two = [Consumer(kinesis, name, one, interval=0) for one in (log, EventLog(log.path))]
    reads = [consumer.poll() for _ in range(20) for consumer in two]
    assert sum(r.new for r in reads) == 200 == log.count()
    assert 0 < sum(r.repeated for r in reads) < 200, "both read most of it"


def test_a_lost_answer_doubles_records_but_not_events(kinesis, producer, consumer):
    producer.client = Forgetful(kinesis, losses=2)
    assert send(producer, 1) == (5, 2, 4)
    read = consumer.drain()
    assert (read.events, read.new, read.repeated) == (15, 5, 10)


def test_when_the_stream_is_away_events_wait(kinesis, producer, consumer):
    producer.stream = "no-such-stream"
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        send(producer, 1)
    assert producer.next - producer.sent == 5
    producer.stream = consumer.stream
    assert producer.flush().events == 5
    assert consumer.drain().new == 5


def test_a_shard_that_is_split_is_read_to_its_end_and_so_are_its_children(
    kinesis, name, producer, consumer
):
    shard = kinesis.list_shards(StreamName=name)["Shards"][0]
    middle = sum(map(int, shard["HashKeyRange"].values())) // 2
    for number in range(16):
        producer.log(request(number))
        producer.flush()
        if number == 8:
            first = consumer.drain()
            cut = {"ShardToSplit": shard["ShardId"], "NewStartingHashKey": str(middle)}
            kinesis.split_shard(StreamName=name, **cut)
    assert first.new + consumer.drain().new == 16 * 5


class Odd:
    """A client with another ``get_records``, which gets the number of the call."""

    def __init__(self, client, get_records):
        self.client, self.get, self.calls = client, get_records, 0

    def __getattr__(self, name):
        return getattr(self.client, name)

    def get_records(self, **arguments):
        self.calls += 1
        return self.get(self.calls, arguments, self.client.get_records(**arguments))


def test_an_expired_iterator_is_replaced(kinesis, name, producer, log, monkeypatch):
    monkeypatch.setattr("helpers.events.log.LIMIT", 5)

    def late(call, arguments, answer):
        if call == 3:
            error = {"Error": {"Code": "ExpiredIteratorException", "Message": "late"}}
            raise kinesis.exceptions.ExpiredIteratorException(error, "GetRecords")
        return answer

    send(producer, 40)
    assert Consumer(Odd(kinesis, late), name, log, interval=0).drain().new == 200


def test_a_consumer_can_wait_for_what_must_come(kinesis, name, producer, log):
    def slow(call, arguments, answer):
        if call > 4:
            return answer
        iterator = arguments["ShardIterator"]  # put, and not to be seen yet
        return {"Records": [], "NextShardIterator": iterator, "MillisBehindLatest": 0}

    send(producer, 1)
    assert Consumer(Odd(kinesis, slow), name, log, interval=0).drain().events == 0
    assert Consumer(Odd(kinesis, slow), name, log, interval=0).drain(at_least=5).events == 5
    assert Consumer(kinesis, name, log, interval=0).drain(0.05, at_least=1).events == 0


def test_questions_cannot_change_the_log(log):
    with pytest.raises(Exception, match="readonly|read-only|attempt to write"):
        log.query("DELETE FROM events")


def test_parquet_holds_what_the_log_holds_by_day_also_after_a_kill(
    producer, consumer, log, tmp_path, monkeypatch
):
    producer.clock = lambda: 86_400.0 * (1 + producer.next // 50)  # ten requests a day
    send(producer, 30)
    consumer.drain()

    def fragile(frame, path, **settings):
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(pd.DataFrame, "to_parquet", fragile)
        export(log, tmp_path / "lake")
    files = export(log, tmp_path / "lake")
    assert [file.parent.name for file in files] == [f"day=1970-01-{day:02}" for day in (2, 3, 4)]
    assert sorted(files) == sorted((tmp_path / "lake").rglob("*.parquet"))
    there = log.query("SELECT * FROM events ORDER BY id").drop(columns=["source", "number"])
    lake = pd.concat(map(pd.read_parquet, files)).sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(lake[there.columns], there, check_dtype=False)
