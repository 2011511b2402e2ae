"""The outbox: what `append` returned from is there, whatever happens next."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from helpers.book import ROOT
from helpers.events import Outbox, OutboxFull


def numbered(start, n):
    return [b'{"n":%d}' % i for i in range(start, start + n)]


def read_all(box):
    found = []
    while lines := box.read():
        found += lines
        box.mark_sent(lines)
    return found


@pytest.mark.parametrize("sent", [0, 3, 50, 99, 100])
def test_the_next_process_goes_on_where_the_last_one_stopped(tmp_path, sent):
    box = Outbox(tmp_path / "new" / "box")
    for start in range(0, 100, 5):
        box.append(numbered(start, 5), stamp=start)
    box.mark_sent(box.read()[:sent])
    box.close()
    again = Outbox(tmp_path / "new" / "box")
    assert (again.source, again.sent, again.next, again.stamp) == (box.source, sent, 100, 95)
    again.append(numbered(100, 1))
    assert read_all(again) == numbered(sent, 101 - sent)
    assert (again.sent, again.next) == (101, 101), "a number is never used twice"


def test_what_is_sent_at_once_fits_into_one_record(tmp_path):
    box = Outbox(tmp_path / "box")
    big = [b"%07d" % i * 9_000 for i in range(40)]  # 63,000 bytes each
    box.append(big)
    assert sum(map(len, box.read())) < (1 << 20) - 1000
    assert read_all(box) == big


def test_a_full_disk_is_said_and_leaves_no_part_of_a_call(tmp_path):
    box = Outbox(tmp_path / "box")
    box._db.execute("PRAGMA max_page_count = 20")
    kept = 0
    with pytest.raises(OutboxFull, match="could not keep 50 events: database or disk is full"):
        while True:
            box.append(numbered(kept, 50))
            kept += 50
    assert (box.next, kept > 100) == (kept, True)
    box._db.execute("PRAGMA max_page_count = 1000000")
    box.append(numbered(kept, 50))
    assert read_all(box) == numbered(0, kept + 50)


def test_a_real_limit_on_the_size_of_files_is_met_in_the_same_way(tmp_path):
    """RLIMIT_FSIZE makes the system write what fits and then refuse, as a disk does."""
    resource = pytest.importorskip("resource")
    box, kept = Outbox(tmp_path / "box"), 0
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(OutboxFull, match="could not keep 20 events"):
            while True:
                box.append(numbered(kept, 20))
                kept += 20
        box.mark_sent(box.read()[:3])  # cannot be noted
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    assert kept > 100
    assert box.read() == numbered(3, kept - 3)
    box.close()
    again = Outbox(tmp_path / "box")
    assert again.next == kept
    assert read_all(again)[-5:] == numbered(kept - 5, 5), "those that were sent may come again"


def test_two_processes_cannot_share_an_outbox(tmp_path):
    box = Outbox(tmp_path / "box")
    with pytest.raises(RuntimeError, match="the outbox box is in use: give each process its own"):
        Outbox(tmp_path / "box")
    code = "import sys; from helpers.events import Outbox; Outbox(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "box")]
    other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == 1 and "the outbox box is in use" in other.stderr
    box.append(numbered(0, 1))
    box.close()
    assert read_all(Outbox(tmp_path / "box")) == numbered(0, 1)
    with pytest.raises(RuntimeError, match="cannot be opened: unable to open"):
        Outbox(tmp_path)


def test_what_can_be_sent_survives_a_loss_of_power(tmp_path):
    """Then its number is not given to another event. SQLite syncs the file that it copies to."""
    box = Outbox(tmp_path / "box")
    box.append(numbered(0, 7))
    box.read()
    shutil.copy(tmp_path / "box", tmp_path / "left")  # without what waits in the log beside it
    assert Outbox(tmp_path / "left").next == 7


@pytest.mark.parametrize("sync, level", [(False, 1), (True, 2)])
def test_sync_waits_for_the_disk_in_every_call(tmp_path, sync, level):
    box = Outbox(tmp_path / "box", sync=sync)
    assert box._db.execute("PRAGMA synchronous").fetchone() == (level,)
    box.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        box.append(numbered(0, 1))
