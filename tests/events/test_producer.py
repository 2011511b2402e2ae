"""The producer: what `log` acknowledged is kept, and only what was refused is sent again."""

from __future__ import annotations

import shutil
import signal

import pytest

from helpers.events import OpenStream, OutboxFull, Producer
from helpers.events import producer as producers
from helpers.events.log import unpack
from helpers.events.producer import ATTEMPTS, back_off, put_all

THROTTLED = "ProvisionedThroughputExceededException"
RECORDS = [{"Data": b"%d" % i, "PartitionKey": str(i)} for i in range(5)]


class Client:
    """Keeps what it gets; answers with prepared codes, one for each record or None, or raises."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []

    def put_records(self, StreamName, Records):
        self.got.append([record["Data"] for record in Records])
        codes = self.answers.pop(0) if self.answers else [None] * len(Records)
        if isinstance(codes, Exception):
            raise codes
        return {"Records": [{"ErrorCode": code} if code else {"ShardId": "s"} for code in codes]}


def box(path, **settings):
    return Producer(Client(), "s", path, **settings)


def numbered(start, n):
    return [{"n": i} for i in range(start, start + n)]


def arrived(producer):
    """Deliver; return the numbers of all events that came to the stream."""
    producer.flush()
    records = (unpack(data)[2] for call in producer.client.got for data in call)
    return [event["n"] for events in records for event in events]


@pytest.mark.parametrize("sent", [0, 3, 5, 50, 99, 100])
def test_the_next_process_goes_on_where_the_last_one_stopped(tmp_path, sent):
    first = box(tmp_path / "box", clock=iter(range(99)).__next__)
    for start in range(0, 100, 5):
        first.log(numbered(start, 5))
    assert (first.log([]), len(first._oldest())) == (0, 100)
    first._forget(sent)
    first._db.close()
    again = box(tmp_path / "box", clock=lambda: 0)
    assert (again.source, again.sent, again.next) == (first.source, sent, 100)
    assert again.stamp == first.stamp == 19_000
    again.log(numbered(100, 1))
    assert arrived(again) == list(range(sent, 101))
    assert (again.sent, again.next, again._bytes) == (101, 101, 0), "no number is used twice"


def test_what_is_sent_at_once_fits_into_one_record(tmp_path):
    producer = box(tmp_path / "box")
    producer.log([{"n": i, "text": "x" * 63_000} for i in range(40)])
    producer.log({"n": i, "text": "é\n\ud800"} for i in range(40, 60_000))
    assert arrived(producer) == list(range(60_000))
    for call in producer.client.got:
        assert len(call) <= 500 and sum(map(len, call)) < (1 << 20)


def test_a_full_disk_is_said_and_leaves_no_part_of_a_call(tmp_path):
    """RLIMIT_FSIZE makes the system write what fits and then refuse, as a disk does."""
    resource = pytest.importorskip("resource")
    producer = box(tmp_path / "box")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(OutboxFull, match="could not keep 20 events"):
            while True:
                producer.log(numbered(producer.next, 20))
        sent = arrived(producer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    kept = producer.next
    assert kept > 100 and sent == list(range(kept)) and not producer._oldest()
    producer._db.close()
    again = box(tmp_path / "box")
    again.log(numbered(again.next, 1))
    assert arrived(again)[-1] == kept, "those before it may come a second time"


def test_two_processes_cannot_share_an_outbox(tmp_path):
    producer = box(tmp_path / "box")
    with pytest.raises(RuntimeError, match="the outbox box cannot be opened: database is locked"):
        box(tmp_path / "box")
    producer.log(numbered(0, 1))
    producer._db.close()
    assert arrived(box(tmp_path / "box")) == [0]
    with pytest.raises(RuntimeError, match="cannot be opened: unable to open"):
        box(tmp_path)


def test_what_can_be_sent_survives_a_loss_of_power(tmp_path):
    """Then its number is not given to another event. SQLite syncs the file that it copies to."""
    producer = box(tmp_path / "box")
    producer.log(numbered(0, 7))
    producer._oldest()
    shutil.copy(tmp_path / "box", tmp_path / "left")  # without what waits in the log beside it
    assert box(tmp_path / "left").next == 7
    modes = [
        box(tmp_path / f"{s}", sync=s)._db.execute("PRAGMA synchronous") for s in (True, False)
    ]
    assert [next(mode)[0] for mode in modes] == [2, 1], "with sync, each call waits for the disk"


def test_only_what_was_refused_is_sent_again(monkeypatch):
    pauses, lost = [], ConnectionResetError("the answer")
    monkeypatch.setattr(producers, "back_off", pauses.append)
    client = Client([None, THROTTLED, None, "InternalFailure", None], lost, [THROTTLED, None], lost)
    assert put_all(client, "s", RECORDS) == 2 + 2 + 1 + 1
    assert [b"".join(call) for call in client.got] == [b"01234", b"13", b"13", b"1", b"1"]
    assert pauses == [1, 2, 1, 2], "failures count anew when something got through"


def test_it_gives_up_after_so_many_calls_without_progress(monkeypatch):
    pauses, why = [], f"to s: 5 records refused {ATTEMPTS} times: {THROTTLED}"
    monkeypatch.setattr(producers, "back_off", pauses.append)
    with pytest.raises(RuntimeError, match=why):
        put_all(Client(*[[THROTTLED] * 5] * ATTEMPTS), "s", RECORDS)
    assert pauses == list(range(1, ATTEMPTS))


def test_pauses_grow_are_random_and_capped(monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    for failures in list(range(1, 10)) * 200:
        back_off(failures)
    tops = [max(pauses[i::9]) for i in range(9)]
    assert tops[:6] == sorted(tops[:6]) and tops[0] <= 0.1 and 4.5 < tops[-1] <= 5.0
    assert min(pauses) < 0.01, "full jitter: anything from 0"


def test_a_stream_of_one_s_own_is_made_and_deleted(kinesis):
    stream, other = OpenStream(kinesis, "mine", shards=1), OpenStream(kinesis, "mine", shards=3)
    assert stream.name != other.name and stream.name.startswith("mine-")
    assert len(kinesis.list_shards(StreamName=other.name)["Shards"]) == 3
    for one in (stream, other, stream):
        one.close()
    assert not [n for n in kinesis.list_streams()["StreamNames"] if n.startswith("mine-")]
