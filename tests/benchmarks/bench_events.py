"""A million events from the producer through the stream into SQLite, and what the processes took."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from helpers.book import ROOT

_EVENTS = 1_000_000
_KEY = {"region_name": "us-west-2", "aws_access_key_id": "local", "aws_secret_access_key": "local"}

_SERVER = """
import logging, sys, time
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""

# a request is ten impressions, a click and a response; every hundredth request, the producer delivers
_PRODUCER = """
import json, sys, time
import boto3
from helpers.events import Producer, click, impression, new_request_id, response
url, stream, folder, wanted, key = sys.argv[1:]
client = boto3.client("kinesis", endpoint_url=url, **json.loads(key))
producer = Producer(client, stream, folder + "/outbox")
def memory():
    return int(next(s for s in open("/proc/self/status") if s.startswith("VmRSS")).split()[1]) / 1024
done, requests, marks, begin = 0, 0, [], time.perf_counter()
while done < int(wanted):
    name, user = new_request_id(int(time.time() * 1000)), requests % 671
    events = [impression(name, user, (user * 10 + k) % 9066, k, 0.05, "mf-1") for k in range(10)]
    events += [click(name, user, events[0]["item"], 0, "mf-1"), response(name, user, "mf-1", 12.5)]
    done += producer.log(events)
    requests += 1
    if requests % 500 == 0:
        producer.flush()
    if done * 10 // int(wanted) > len(marks):
        marks.append(memory())
producer.flush()
print(json.dumps({"seconds": time.perf_counter() - begin, "marks": marks, "events": done}))
"""

_CONSUMER = """
import json, sys, time
import boto3
from helpers.events import Consumer, EventLog
url, stream, folder, wanted, key = sys.argv[1:]
client = boto3.client("kinesis", endpoint_url=url, **json.loads(key))
log = EventLog(folder + "/log.sqlite")
consumer = Consumer(client, stream, log, items=range(9066), interval=0.2)
def memory():
    return int(next(s for s in open("/proc/self/status") if s.startswith("VmRSS")).split()[1]) / 1024
seen, marks, begin = 0, [], time.perf_counter()
while seen < int(wanted):
    seen += consumer.poll().events
    if seen * 10 // int(wanted) > len(marks):
        marks.append(memory())
print(json.dumps({"seconds": time.perf_counter() - begin, "marks": marks, "new": log.count()}))
"""


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _pipeline(folder: str) -> tuple[dict, dict, float]:
    import boto3

    server = _start(_SERVER)
    workers: list[subprocess.Popen[str]] = []
    try:
        assert server.stdout
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        boto3.client("kinesis", endpoint_url=url, **_KEY).create_stream(
            StreamName="bench", ShardCount=4
        )
        arguments = (url, "bench", folder, str(_EVENTS), json.dumps(_KEY))
        begin = time.perf_counter()
        workers = [_start(code, *arguments) for code in (_PRODUCER, _CONSUMER)]
        answers = [json.loads(w.communicate(timeout=900)[0]) for w in workers]
        return answers[0], answers[1], time.perf_counter() - begin
    finally:
        for process in (*workers, server):
            process.kill()
            process.wait()


def _calls_a_second(folder: str) -> float:
    """Return calls of `log` a second, twelve events each, without a stream."""
    from helpers.events import Producer, impression

    shown = [impression("0123456789ab", 3, 7, 0, 0.05, "mf-1")] * 12
    begin, n = time.perf_counter(), 0
    producer = Producer(None, "", Path(folder) / "alone")
    while time.perf_counter() - begin < 2:
        producer.log(shown)
        n += 1
    return n / (time.perf_counter() - begin)


def run() -> list[dict]:
    """Measure events a second from end to end, what was lost, and how flat memory is."""
    folder = tempfile.mkdtemp(prefix="bench-events-")
    try:
        sent, read, seconds = _pipeline(folder)
        bytes_ = (Path(folder) / "log.sqlite").stat().st_size
        calls = _calls_a_second(folder)
    finally:
        shutil.rmtree(folder)
    what = f"{_EVENTS:,} events"

    def row(name: str, value: float, unit: str, target: str = "-") -> dict:
        return {"name": name, "value": value, "unit": unit, "target": target}

    rows = [
        row(
            f"{what}, producer → stream → SQLite", sent["events"] / seconds, "events/s", ">= 10000"
        ),
        row("  lost", float(sent["events"] - read["new"]), "events", "0"),
        row(
            "  the producer alone, while the others work",
            sent["events"] / sent["seconds"],
            "events/s",
        ),
        row("  size of the log", bytes_ / sent["events"], "bytes/event"),
    ]
    for who, marks in (("producer", sent["marks"]), ("consumer", read["marks"])):
        rows.append(row(f"  {who}: memory after 2/10 of the events", marks[1], "MiB"))
        rows.append(row(f"  {who}: memory after all", marks[-1], "MiB", "flat: within 10 %"))
    rows.append(row("`log` alone, 12 events a call", calls, "calls/s"))
    return rows
