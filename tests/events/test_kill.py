"""Kill the producer and the consumer at any point: the log holds what was acknowledged, once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter

import pytest

from helpers.book import ROOT
from helpers.events import Consumer, EventLog, Producer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def lines(path):
    return [tuple(line.split()) for line in path.read_text().splitlines()]


@pytest.fixture
def start(kinesis_url, name, tmp_path):
    """Start a producer and a consumer that die so often, or live on; then look at the log."""
    started = []

    def both(kills, life):
        place = [sys.executable, "-m", "tests.events.mortal", kinesis_url, name, str(tmp_path)]
        for work in ("produce", "consume"):
            command = [*place, work, str(kills), str(life)]
            started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        assert [process.stdout.readline() for process in started[-2:]] == ["ready\n"] * 2
        return started[-2:]

    yield both
    for process in started:
        process.kill()
        process.communicate()


def check(kinesis, stream, folder):
    """Let one more producer and consumer live to their end, and count."""
    with Producer(kinesis, stream, folder / "outbox"):
        pass
    log = EventLog(folder / "log.sqlite")
    Consumer(kinesis, stream, log, items=range(100), interval=0).drain()
    assert log.query("PRAGMA integrity_check").iloc[0, 0] == "ok"
    events = log.query("SELECT request_id, source, number FROM events")
    dead = log.query("SELECT event, source, number, reason FROM dead_letters")
    assert dead["reason"].str.contains("item 9999 is not in the catalog").all()
    found = Counter([*events["request_id"], *(json.loads(e)["request_id"] for e in dead["event"])])
    acknowledged = {name: int(n) for name, n in lines(folder / "acknowledged")}
    attempted = {name: int(n) for name, n in lines(folder / "attempted")}
    lost = {name: (n, found[name]) for name, n in acknowledged.items() if found[name] != n}
    assert not lost, "acknowledged, and not in the log exactly once"
    assert len(acknowledged) > 20 and all(n <= attempted[name] for name, n in found.items())
    places = [*events[["source", "number"]].itertuples(index=False, name=None)]
    places += dead[["source", "number"]].itertuples(index=False, name=None)
    assert len(set(places)) == len(places), "one place in the outbox, one place in the log"


def test_killed_fifty_times_at_any_line(kinesis, name, tmp_path, start):
    assert [process.wait(120) for process in start(kills=25, life=0)] == [0, 0]
    deaths = lines(tmp_path / "deaths")
    assert Counter(work for work, _ in deaths) == {"produce": 25, "consume": 25}
    assert len({line for _, line in deaths}) > 20, "the kills are spread over the code"
    check(kinesis, name, tmp_path)


def test_killed_by_the_clock_while_both_run(kinesis, name, tmp_path, start):
    """Three times each, wherever they are just then: also inside a call of the stream or of SQLite."""
    rng = random.Random(1)
    for life in range(3):
        for process in rng.sample(start(kills=0, life=life), 2):
            time.sleep(0.1 + 0.4 * rng.random())
            assert process.poll() is None, "it should have been at work"
            process.kill()
            process.wait()
    check(kinesis, name, tmp_path)
