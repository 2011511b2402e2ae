"""A producer and a consumer that kill themselves in the middle of their work, again and again.

Run as ``python -m tests.events.mortal URL STREAM FOLDER WORK KILLS LIFE``. Each life is a forked
child. At every line of ``helpers/events`` that it executes, it may send itself SIGKILL, so that the
kills are spread over everything there is. What `log` acknowledged is written to a file of its own
before anything else happens. With 0 kills it works on, without a fork, until somebody ends it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from pathlib import Path

import boto3

from helpers.events import Consumer, EventLog, Producer, click, impression
from helpers.events import log as logs
from helpers.events import producer as producers
from tests.events.conftest import ACCESS

producers.RECORD_EVENTS = logs.LIMIT = 3  # several records in every delivery and reading


def note(path, *words):
    with path.open("a") as file:
        print(*words, file=file)


def produce(client, stream, folder, life):
    """Log six requests, one of them bad, and deliver after every second one."""
    with Producer(client, stream, folder / "outbox") as producer:
        for number in range(6):
            name = f"r{life:06d}-{number}"
            events = [impression(name, life, item, item, 0.5, "m") for item in range(3)]
            events.append(click(name, life, 1, 1, "m"))
            if number == 3:
                events.append(impression(name, life, 9999, 3, 0.5, "m"))  # not in the catalog
            note(folder / "attempted", name, len(events))
            producer.log(events)
            note(folder / "acknowledged", name, len(events))
            if number % 2:
                producer.flush()


def consume(client, stream, folder, life):
    """Read what there is."""
    log = EventLog(folder / "log.sqlite")
    Consumer(client, stream, log, items=range(100), interval=0).drain()


def live(work, client, stream, folder, life):
    """Work in a child that may die at any line; return how it ended."""
    rng, pid = random.Random(life), os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]

    def trace(frame, event, argument):
        if f"helpers{os.sep}events" not in frame.f_code.co_filename:
            return None
        if event == "line" and rng.random() < 1 / 500:
            note(folder / "deaths", work.__name__, f"{frame.f_code.co_name}:{frame.f_lineno}")
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        sys.settrace(trace)
        work(client, stream, folder, life)
        sys.settrace(None)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(url, stream, folder, work, kills, life):
    # no connection yet: each child makes its own
    client, life, dead = boto3.client("kinesis", endpoint_url=url, **ACCESS), int(life) * 1000, 0
    works = {"produce": produce, "consume": consume}
    print("ready", flush=True)
    while kills == "0" or dead < int(kills):
        life += 1
        if kills == "0":
            works[work](client, stream, Path(folder), life)
        elif end := live(works[work], client, stream, Path(folder), life):
            assert os.WIFSIGNALED(end), "its error is above"
            dead += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
