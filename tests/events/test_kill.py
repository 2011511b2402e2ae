"""Kill the producer and the consumer at any point: the log holds what was acknowledged, once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from helpers.book import ROOT
from helpers.events import Consumer, EventLog, Producer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def counted(folder, name):
    path = folder / name
    return dict(line.split() for line in path.read_text().splitlines()) if path.exists() else {}


def settle(kinesis, stream, folder):
    """Let one more producer and consumer live to their end; return the log's requests and its numbers."""
    with Producer(kinesis, stream, folder / "outbox") as producer:
        producer.flush()
    log = EventLog(folder / "log.sqlite")
    Consumer(kinesis, stream, log, items=range(100), interval=0).drain()
    events = log.query("SELECT request_id, source, number FROM events")
    dead = log.query("SELECT event, source, number, reason FROM dead_letters")
    assert log.query("PRAGMA integrity_check").iloc[0, 0] == "ok"
    return events, dead


def check(folder, events, dead):
    acknowledged, attempted = counted(folder, "acknowledged"), counted(folder, "attempted")
    names = list(events["request_id"]) + [json.loads(e)["request_id"] for e in dead["event"]]
    found = Counter(names)
    lost = {r: (int(n), found[r]) for r, n in acknowledged.items() if found[r] != int(n)}
    assert not lost, "acknowledged, and not in the log exactly once"
    assert set(found) <= set(attempted) and all(found[r] <= int(attempted[r]) for r in found)
    addresses = [*zip(events["source"], events["number"], strict=True)]
    addresses += [*zip(dead["source"], dead["number"], strict=True)]
    assert len(set(addresses)) == len(addresses), "one place in the outbox, one place in the log"
    assert dead["reason"].str.contains("item 9999 is not in the catalog").all()
    assert len(acknowledged) > 20


def test_killed_fifty_times_at_any_line(kinesis, kinesis_url, name, tmp_path):
    command = [sys.executable, "-m", "tests.events.mortal", kinesis_url, name, str(tmp_path), "25"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert not report["failures"]
    assert Counter(work for work, _ in report["deaths"]) == {"produce": 25, "consume": 25}
    assert len({where for _, where in report["deaths"]}) > 20, "the kills are spread over the code"
    check(tmp_path, *settle(kinesis, name, tmp_path))


LIVE = """
import sys
from pathlib import Path
import boto3
from tests.events.conftest import ACCESS
from tests.events.mortal import consume, produce
url, stream, folder, which, life = sys.argv[1:]
client = boto3.client("kinesis", endpoint_url=url, **ACCESS)
print("ready", flush=True)
for n in range(10_000):
    (produce if which == "produce" else consume)(client, stream, Path(folder), int(life) * 1000 + n)
"""


def test_killed_by_the_clock_while_both_run(kinesis, kinesis_url, name, tmp_path):
    """Three times each, wherever they are just then: also inside a call of the stream or of SQLite."""
    rng = random.Random(1)

    def start(which, life):
        command = [sys.executable, "-c", LIVE, kinesis_url, name, str(tmp_path), which, str(life)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    for life in range(3):
        both = [start("produce", life), start("consume", life)]
        try:
            for process in both:
                assert process.stdout.readline() == "ready\n"
            for process in rng.sample(both, 2):
                time.sleep(0.1 + 0.4 * rng.random())
                assert process.poll() is None, "it should have been at work"
                process.send_signal(signal.SIGKILL)
        finally:
            for process in both:
                process.kill()
                process.wait()
                process.stdout.close()
    check(tmp_path, *settle(kinesis, name, tmp_path))
