"""A Kinesis on this machine, and streams and logs of a test's own."""

from __future__ import annotations

import itertools

import pytest

from helpers.events import Consumer, EventLog, Producer, click, impression, response

ACCESS = {"region_name": "us-west-2", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
_numbers = itertools.count()


@pytest.fixture(scope="session")
def kinesis_url():
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every call
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture(scope="session")
def kinesis(kinesis_url):
    import boto3

    return boto3.client("kinesis", endpoint_url=kinesis_url, **ACCESS)


@pytest.fixture
def name(kinesis):
    """The name of a stream with two shards."""
    name = f"events-{next(_numbers)}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    return name


@pytest.fixture
def log(tmp_path):
    return EventLog(tmp_path / "log.sqlite", busy_seconds=0.2)


@pytest.fixture
def producer(kinesis, name, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.events.producer.RECORD_EVENTS", 4)
    made = Producer(kinesis, name, tmp_path / "outbox")
    yield made
    made._db.close()


@pytest.fixture
def consumer(kinesis, name, log):
    return Consumer(kinesis, name, log, items=range(100), interval=0)


def request(number, n_items=3, model="m1"):
    """Three impressions, one click and the response of one request."""
    name = f"r{number:05d}"
    shown = [impression(name, number % 7, item, item, 0.5, model) for item in range(n_items)]
    return [*shown, click(name, number % 7, 1, 1, model), response(name, number % 7, model, 12.5)]


def send(producer, n_requests):
    """Log so many requests, five events each, and deliver them."""
    for number in range(n_requests):
        assert producer.log(request(number)) == 5
    return producer.flush()
