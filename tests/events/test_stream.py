"""Retries as the API demands: only what was refused, after pauses that grow."""

from __future__ import annotations

import random

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.stub import ANY, Stubber

from helpers.events import Patience, StreamError, put_all

from .conftest import ACCESS


def records(n, size=4):
    return [{"Data": b"%0*d" % (size, i), "PartitionKey": str(i)} for i in range(n)]


@pytest.fixture
def stubbed():
    client = boto3.client("kinesis", endpoint_url="http://127.0.0.1:1", **ACCESS)
    with Stubber(client) as stub:
        yield client, stub


def answer(codes):
    results = [
        {"ErrorCode": c, "ErrorMessage": "no"} if c else {"SequenceNumber": "1", "ShardId": "s"}
        for c in codes
    ]
    failed = len(codes) - codes.count(None)
    return {
        "Records": results,
        **({"FailedRecordCount": failed} if failed else {}),
    }  # the stub wants 1 or more


THROTTLED = "ProvisionedThroughputExceededException"


def test_only_refused_records_are_sent_again(stubbed, hasty):
    client, stub = stubbed
    first = records(5)
    stub.add_response(
        "put_records",
        answer([None, THROTTLED, None, "InternalFailure", None]),
        {"StreamName": "s", "Records": first},
    )
    stub.add_response(
        "put_records",
        answer([THROTTLED, None]),
        {"StreamName": "s", "Records": [first[1], first[3]]},
    )
    stub.add_response("put_records", answer([None]), {"StreamName": "s", "Records": [first[1]]})
    assert put_all(client, "s", first, hasty) == 3
    stub.assert_no_pending_responses()
    assert len(hasty.pauses) == 2


def test_it_gives_up_after_so_many_calls_without_progress(stubbed, hasty):
    client, stub = stubbed
    for _ in range(4):
        stub.add_response(
            "put_records", answer([THROTTLED] * 2), {"StreamName": "s", "Records": ANY}
        )
    with pytest.raises(StreamError, match=f"2 records refused 4 times: {THROTTLED}"):
        put_all(client, "s", records(2), hasty)


def test_progress_renews_the_patience(stubbed, hasty):
    client, stub = stubbed
    for left in range(12, 0, -1):  # one a call
        stub.add_response("put_records", answer([None] + [THROTTLED] * (left - 1)))
    assert put_all(client, "s", records(12), hasty) == 66


@pytest.mark.parametrize("code", [THROTTLED, "InternalFailure", "LimitExceededException"])
def test_a_whole_call_that_failed_in_passing_is_repeated(stubbed, hasty, code):
    client, stub = stubbed
    stub.add_client_error("put_records", code)
    stub.add_response("put_records", answer([None]))
    assert put_all(client, "s", records(1), hasty) == 0


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_an_error_that_cannot_pass_is_raised_at_once(stubbed, hasty, code):
    client, stub = stubbed
    stub.add_client_error("put_records", code, "who?")
    with pytest.raises(StreamError, match=code):
        put_all(client, "s", records(1), hasty)
    assert not hasty.pauses


class Broken:
    """A client whose connection fails so often, and then works."""

    def __init__(self, failures):
        self.failures = failures

    def put_records(self, StreamName, Records):
        if self.failures:
            raise self.failures.pop()
        return answer([None] * len(Records))


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="x"),
        ReadTimeoutError(endpoint_url="x"),
        ConnectionResetError(),
    ],
)
def test_a_lost_connection_is_tried_again(hasty, error):
    assert put_all(Broken([error] * 3), "s", records(2), hasty) == 0
    with pytest.raises(StreamError, match="after 4 attempts"):
        put_all(Broken([error] * 4), "s", records(2), hasty)


def test_calls_keep_within_the_limits(hasty):
    sizes = []

    class Counting:
        def put_records(self, StreamName, Records):
            sizes.append(
                (len(Records), sum(len(r["Data"]) + len(r["PartitionKey"]) for r in Records))
            )
            return answer([None] * len(Records))

    put_all(Counting(), "s", records(1201), hasty)
    put_all(Counting(), "s", records(12, size=1_000_000), hasty)
    put_all(Counting(), "s", [], hasty)
    assert [n for n, _ in sizes] == [500, 500, 201, 5, 5, 2]
    assert all(size <= 5 << 20 for _, size in sizes)


def test_pauses_grow_are_random_and_capped():
    pauses = []
    patience = Patience(20, base=0.1, cap=2.0, sleep=pauses.append, rng=random.Random(0))
    for _ in range(200):
        for failures in range(1, 8):
            patience.wait(failures)
    tops = [round(max(pauses[i::7]), 1) for i in range(7)]
    assert tops[:5] == sorted(tops[:5]) and 0.15 < tops[0] <= 0.2 and 1.9 < tops[-1] <= 2.0
    assert min(pauses) < 0.01, "full jitter: anything from 0"


def test_patience_needs_at_least_one_attempt():
    with pytest.raises(ValueError, match="0 attempts"):
        Patience(0)
