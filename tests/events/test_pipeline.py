"""Producer, stream, consumer and log together."""

from __future__ import annotations

import contextlib
import threading

import pandas as pd
import pytest

from helpers.events import (
    Consumer,
    EventError,
    EventLog,
    Forgetful,
    OpenStream,
    Producer,
    StreamError,
    export,
)

from .conftest import request


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
        (
            int(shard["HashKeyRange"]["StartingHashKey"])
            + int(shard["HashKeyRange"]["EndingHashKey"])
        )
        // 2
    )
    producer.log([e for n in range(1, 9) for e in request(n)])
    producer.flush()
    kinesis.split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
    producer.log([e for n in range(9, 17) for e in request(n)])
    producer.flush()
    assert first.new + consumer.drain().new == 17 * 5


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
    return pd.concat([pd.read_parquet(p) for p in sorted(folder.rglob("*.parquet"))]).sort_values(
        "id"
    )


def test_parquet_holds_what_the_log_holds_by_day(filled, tmp_path):
    files = export(filled, tmp_path / "lake", rows=40)
    assert {f.parent.name for f in files} == {"day=1970-01-02", "day=1970-01-03", "day=1970-01-04"}
    both = [everything(tmp_path / "lake"), filled.query("SELECT * FROM events ORDER BY id")]
    for column in ("id", "request_id", "kind", "item", "propensity", "latency_ms"):
        left, right = (
            f[column].astype(object).where(f[column].notna(), None).tolist() for f in both
        )
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
                answer.update(
                    Records=[], NextShardIterator=arguments["ShardIterator"], MillisBehindLatest=0
                )
            return answer

    producer.log(request(0))
    producer.flush()
    assert Consumer(Slow(), stream, log, interval=0).drain().events == 0
    assert Consumer(Slow(), stream, log, interval=0).drain(at_least=5).events == 5
    assert Consumer(kinesis, stream, log, interval=0).drain(0.05, at_least=1).events == 0, (
        "time is over"
    )


def test_a_closed_producer_says_so(producer):
    producer.close()
    with pytest.raises(EventError, match="is closed"):
        producer.log(request(0))
