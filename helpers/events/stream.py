"""Putting records into Kinesis and getting them out, with the retries that the API asks for.

``put_records`` can succeed in part: the call answers without an error, and some
of its records were refused. Each refused one has an ``ErrorCode`` at its place
in the answer and must be sent again, after a pause that grows and is random, so
that many producers do not return at the same moment.
"""

from __future__ import annotations

import atexit
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .errors import StreamError
from .records import CALL_BYTES, CALL_RECORDS, Record

#: codes that pass: throttling, and failures on the other side
PASSING = {
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "ThrottlingException",
    "KMSThrottlingException",
    "InternalFailure",
    "InternalFailureException",
    "ServiceUnavailable",
    "RequestTimeout",
}
T = TypeVar("T")


class Patience:
    """How long to wait before each further attempt, and when to give up.

    Parameters
    ----------
    attempts : int
        So many failures in a row end in :class:`StreamError`.
    base, cap : float
        Seconds. The n-th pause is drawn uniformly from 0 to ``min(cap, base * 2**n)``.
    sleep : callable
        Waits that many seconds; tests pass one that only notes them.
    rng : random.Random, optional
        Source of the random pauses.
    """

    def __init__(
        self,
        attempts: int = 8,
        base: float = 0.05,
        cap: float = 5.0,
        *,
        sleep: Callable[[float], object] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        if attempts < 1 or base < 0 or cap < 0:
            given = f"{attempts} attempts, base {base}, cap {cap}"
            raise ValueError(f"patience of {given}: expected at least 1, 0 and 0")
        self.attempts, self.base, self.cap, self.sleep = attempts, base, cap, sleep
        self.rng = rng or random.Random()

    def wait(self, failures: int) -> None:
        """Pause after so many failures in a row, the first is 1."""
        self.sleep(self.rng.uniform(0, min(self.cap, self.base * 2**failures)))


def error_code(error: Exception) -> str:
    """Return the API's code of an error, or the name of an error of the connection."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        return str(answer.get("Error", {}).get("Code", type(error).__name__))
    return type(error).__name__


def passes(error: Exception) -> bool:
    """Return whether trying again can help: throttling, their failures, and the connection."""
    from botocore.exceptions import BotoCoreError, HTTPClientError

    if isinstance(getattr(error, "response", None), dict):
        return error_code(error) in PASSING
    return isinstance(error, HTTPClientError | ConnectionError | TimeoutError) or (
        isinstance(error, BotoCoreError) and "onnect" in type(error).__name__
    )


def patiently(call: Callable[[], T], what: str, patience: Patience) -> T:
    """Return what ``call`` returns, trying again while its error can pass.

    Raises
    ------
    StreamError
        After ``patience.attempts`` failures, or at once for an error that cannot pass.
    """
    for failures in range(1, patience.attempts + 1):
        try:
            return call()
        except Exception as error:
            if not passes(error):
                raise StreamError(f"{what}: {error_code(error)}: {error}") from error
            if failures == patience.attempts:
                raise StreamError(
                    f"{what}: {error_code(error)} after {failures} attempts"
                ) from error
            patience.wait(failures)
    raise AssertionError("unreachable: the last attempt returns or raises")


class OpenStream:
    """A stream of one's own: made now, deleted by :meth:`close`, at the latest when Python ends.

    Parameters
    ----------
    client : boto3 Kinesis client
        Real or local. On AWS a stream costs money for as long as it lives.
    prefix : str
        Its name begins with it; a random end keeps it apart from all others.
    shards : int
        Each takes 1,000 records or 1 MiB a second.
    """

    def __init__(self, client: Any, prefix: str, shards: int = 2) -> None:
        self.client = client
        self.name = f"{prefix}-{secrets.token_hex(4)}"
        client.create_stream(StreamName=self.name, ShardCount=shards)
        atexit.register(self.close)
        here = "127.0.0.1" in client.meta.endpoint_url
        waiting = {"Delay": 1 if here else 5, "MaxAttempts": 60}
        client.get_waiter("stream_exists").wait(StreamName=self.name, WaiterConfig=waiting)

    def close(self) -> None:
        """Delete the stream; a second call does nothing."""
        if self.name:
            with contextlib.suppress(Exception):  # gone already, or its service is
                self.client.delete_stream(StreamName=self.name)
            self.name = ""
            atexit.unregister(self.close)


class Forgetful:
    """A client whose first answers to ``put_records`` get lost on the way back, for lessons and tests.

    The records are in the stream, the caller sees a broken connection.

    Parameters
    ----------
    client : boto3 Kinesis client
        Does the work.
    losses : int
        So many answers are lost.
    """

    def __init__(self, client: Any, losses: int) -> None:
        self.client, self.losses = client, losses

    def put_records(self, **call: Any) -> Any:
        """Put the records, then return the answer or lose it."""
        answer = self.client.put_records(**call)
        self.losses -= 1
        if self.losses >= 0:
            raise ConnectionResetError("the answer was lost")
        return answer


def put_all(client: Any, stream: str, records: Sequence[Record], patience: Patience) -> int:
    """Put records until the stream has acknowledged every one.

    Parameters
    ----------
    client : boto3 Kinesis client
        The only calls are ``put_records``.
    stream : str
        Its name.
    records : sequence of dict
        ``Data`` and ``PartitionKey`` of each.
    patience : Patience
        Failures are counted anew whenever a call got something through.

    Returns
    -------
    int
        Records that were sent more than once. The stream may hold some of them twice.

    Raises
    ------
    StreamError
        If it gave up. Some of the records may be in the stream.
    """
    again = 0
    for batch in _calls(records):
        waiting, failures = batch, 0
        while waiting:
            now = waiting
            answer = patiently(
                lambda now=now: client.put_records(StreamName=stream, Records=now),  # type: ignore[misc]
                f"put_records to {stream}",
                patience,
            )
            results = zip(now, answer["Records"], strict=True)
            refused = [(record, r["ErrorCode"]) for record, r in results if r.get("ErrorCode")]
            failures = failures + 1 if len(refused) == len(now) else 1
            if refused and failures >= patience.attempts:
                codes = ", ".join(sorted({code for _, code in refused}))
                raise StreamError(
                    f"put_records to {stream}: {len(refused)} records refused {failures} times: {codes}"
                )
            waiting = [record for record, _ in refused]
            again += len(waiting)
            if waiting:
                patience.wait(failures)
    return again


def _calls(records: Sequence[Record]) -> list[list[Record]]:
    """Cut records into calls within the limits of the API."""
    calls: list[list[Record]] = [[]]
    size = 0
    for record in records:
        bytes_ = len(record["Data"]) + len(record["PartitionKey"])
        if len(calls[-1]) == CALL_RECORDS or size + bytes_ > CALL_BYTES:
            calls.append([])
            size = 0
        calls[-1].append(record)
        size += bytes_
    return calls
