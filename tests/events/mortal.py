"""A process whose children work for the log and kill themselves in the middle of it.

Run as ``python -m tests.events.mortal URL STREAM FOLDER ROUNDS``. Every round forks a
producer and a consumer. Each counts the lines of ``helpers/events`` that it executes
and sends itself SIGKILL at a line chosen beforehand, so that the kills are spread evenly
over everything there is, call by call. What `log` acknowledged is written to a file of
its own before anything else happens.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

import boto3

from helpers.events import Consumer, EventLog, Producer, click, impression
from helpers.events import log as logs
from helpers.events import producer as producers
from tests.events.conftest import ACCESS

producers.RECORD_EVENTS = logs.LIMIT = 3  # several records in every delivery and reading


def die_at_line(number: int, report: int) -> None:
    """Kill this process at the n-th executed line of the events room."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        if f"helpers{os.sep}events" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count += 1
            if count == number:
                os.write(report, f"{frame.f_code.co_name}:{frame.f_lineno}".encode())
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    at_exit.append(lambda: os.write(report, f"lines={count}".encode()))


at_exit: list = []


def produce(client, stream, folder, life):
    """Log six requests, one of them bad, and deliver after every second one."""
    producer = Producer(client, stream, folder / "outbox")
    for number in range(6):
        name = f"r{life:04d}-{number}"
        events = [impression(name, life, item, item, 0.5, "m") for item in range(3)]
        events.append(click(name, life, 1, 1, "m"))
        if number == 3:
            events.append(impression(name, life, 9999, 3, 0.5, "m"))  # not in the catalog
        with (folder / "attempted").open("a") as file:
            file.write(f"{name} {len(events)}\n")
        producer.log(events)
        with (folder / "acknowledged").open("a") as file:
            file.write(f"{name} {len(events)}\n")
        if number % 2:
            producer.flush()
    producer._db.close()


def consume(client, stream, folder, life):
    """Read what there is."""
    Consumer(client, stream, EventLog(folder / "log.sqlite"), items=range(100), interval=0).drain()


def child(work, line, *arguments):
    """Return where a child died, or how many lines it lived."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        try:
            die_at_line(line, theirs)
            work(*arguments)
            sys.settrace(None)
            at_exit[-1]()
            os._exit(0)
        except BaseException as error:
            os.write(theirs, f"error {type(error).__name__}: {error}".encode())
            os._exit(1)
    os.close(theirs)
    _, status = os.waitpid(pid, 0)
    said = os.read(ours, 4096).decode()
    os.close(ours)
    if os.WIFSIGNALED(status):
        return "killed", said
    return "ended" if status == 0 else "failed", said


def main(url, stream, folder, rounds):
    folder, rounds, rng = Path(folder), int(rounds), random.Random(0)
    # no connection yet: each child makes its own
    client = boto3.client("kinesis", endpoint_url=url, **ACCESS)
    deaths, failures, life = [], [], 0
    lines = {produce: 2000, consume: 2000}
    for number in range(rounds):
        for work in (produce, consume):
            while True:
                life += 1
                at = int(lines[work] * (number + rng.random()) / rounds) + 1
                end, said = child(work, at, client, stream, folder, life)
                if end == "failed":
                    failures.append(said)
                    break
                if end == "killed":
                    deaths.append((work.__name__, said))
                    break
                # it lived: aim within its real length
                lines[work] = max(int(said.removeprefix("lines=")), 200)
    print(json.dumps({"deaths": deaths, "failures": failures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
