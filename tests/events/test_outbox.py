"""The outbox: what `append` returned from is there, whatever happens next."""

from __future__ import annotations

import errno
import os

import pytest

from helpers.events import EventError, Outbox, OutboxFull


def numbered(start, n):
    return [b'{"n":%d}' % i for i in range(start, start + n)]


def read_all(box):
    found = []
    while box.sent < box.next:
        first, lines = box.read(max_lines=7)
        assert first == box.sent and lines
        found += lines
        box.mark_sent(first + len(lines))
    return found


def test_lines_come_back_in_order_across_files(tmp_path):
    box = Outbox(tmp_path, segment_bytes=100)
    for start in range(0, 100, 5):
        assert box.append(numbered(start, 5)) == start
    assert len(list(tmp_path.glob("*.jsonl"))) > 3
    assert read_all(box) == numbered(0, 100)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1, "what the stream has is removed"
    assert box.read() == (100, [])


@pytest.mark.parametrize("sent", [0, 3, 50, 99, 100])
def test_the_next_process_goes_on_where_the_last_one_stopped(tmp_path, sent):
    box = Outbox(tmp_path, segment_bytes=100)
    for start in range(0, 100, 5):
        box.append(numbered(start, 5))
    box.mark_sent(sent)
    name = box.source
    box.close()
    again = Outbox(tmp_path, segment_bytes=100)
    assert again.source == name
    assert (again.sent, again.next) == (sent, 100)
    assert again.append(numbered(100, 1)) == 100
    assert read_all(again) == numbered(sent, 101 - sent)


@pytest.mark.parametrize("cut", [1, 5, 8])
def test_a_line_cut_off_by_a_kill_was_never_acknowledged(tmp_path, cut):
    box = Outbox(tmp_path)
    box.append(numbered(0, 3))
    box.close()
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as f:
        f.write(b'{"n":3}\n'[:cut] if cut < 8 else b'{"n":3,')
    again = Outbox(tmp_path)
    assert again.next == 3
    again.append(numbered(3, 1))
    assert read_all(again) == numbered(0, 4)


def test_a_full_disk_is_said_and_leaves_no_half_batch(tmp_path, monkeypatch):
    box = Outbox(tmp_path)
    box.append(numbered(0, 2))
    real = os.write

    def half_then_full(file, data):
        if len(data) > 10:
            return real(file, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OutboxFull, match="could not write 3 events: No space left"):
        box.append(numbered(2, 3))
    monkeypatch.undo()
    assert box.append(numbered(5, 1)) == 2, "the numbers of a refused batch are free again"
    assert read_all(box) == numbered(0, 2) + numbered(5, 1)


def test_a_full_disk_while_noting_what_was_sent_only_sends_again(tmp_path, monkeypatch):
    box = Outbox(tmp_path, segment_bytes=20)
    for start in range(0, 12, 3):
        box.append(numbered(start, 3))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(box, "_replace", full)
    box.mark_sent(7)
    assert box.read(1) == (7, numbered(7, 1))
    box.close()
    monkeypatch.undo()
    again = Outbox(tmp_path, segment_bytes=20)
    assert again.sent == 6, "files below were removed, so the stream has them"
    assert read_all(again) == numbered(6, 6)


def test_a_real_limit_on_the_size_of_files_is_met_in_the_same_way(tmp_path):
    """RLIMIT_FSIZE makes the system write what fits and then refuse, as a disk does."""
    resource = pytest.importorskip("resource")
    import signal

    box = Outbox(tmp_path)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, old[1]))
    try:
        acknowledged = 0
        with pytest.raises(OutboxFull):
            while True:
                box.append(numbered(acknowledged, 2))
                acknowledged += 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    assert acknowledged == 6
    assert read_all(box) == numbered(0, 6)


def test_its_share_of_the_disk_is_bounded(tmp_path):
    box = Outbox(tmp_path, max_bytes=100, segment_bytes=30)
    with pytest.raises(OutboxFull, match="may not exceed 100 bytes"):
        for start in range(0, 100, 2):
            box.append(numbered(start, 2))
    n = box.next
    assert n >= 8
    assert read_all(box) == numbered(0, n)
    box.append(numbered(n, 2))
    assert read_all(box) == numbered(n, 2), "sending makes room"


def test_two_processes_cannot_share_an_outbox(tmp_path):
    pytest.importorskip("fcntl")
    box = Outbox(tmp_path / "box")
    with pytest.raises(EventError, match="the outbox box is in use"):
        Outbox(tmp_path / "box")
    box.close()
    Outbox(tmp_path / "box").close()


def test_numbers_are_not_used_twice_when_files_are_lost(tmp_path):
    box = Outbox(tmp_path)
    box.append(numbered(0, 5))
    box.mark_sent(5)
    box.close()
    for file in tmp_path.glob("*.jsonl"):
        file.unlink()
    again = Outbox(tmp_path)
    assert again.append(numbered(5, 1)) == 5


def test_marking_beyond_what_there_is_is_refused(tmp_path):
    box = Outbox(tmp_path)
    box.append(numbered(0, 2))
    with pytest.raises(ValueError, match="expected a number from 0 to 2"):
        box.mark_sent(3)


def test_sync_writes_through(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "fsync", lambda file: calls.append(file))
    Outbox(tmp_path / "a", sync=True).append(numbered(0, 2))
    Outbox(tmp_path / "b").append(numbered(0, 2))
    assert len(calls) == 1
