"""The event log: what was shown, what was clicked, and what it takes to lose none of it.

``Producer`` → Kinesis → ``Consumer`` → ``EventLog`` (SQLite) → Parquet. At-least-once
delivery on the way, idempotent writes at its end: kill any part at any point, and every
acknowledged event stands in the log once, or among the dead letters with the reason. A week
of a log with incidents to find, and an index of drift, stand in ``helpers.events.week``.
"""

from .consumer import Consumer, Read
from .errors import BadEvent, EventError, LogBusy, LogFull, OutboxFull, StreamError
from .log import Dead, EventLog, Written
from .outbox import Outbox
from .parquet import export
from .producer import Producer, Sent
from .schema import VERSION, click, decode, impression, judge, new_request_id, response
from .stream import Forgetful, OpenStream, Patience, put_all

__all__ = [
    "VERSION",
    "BadEvent",
    "Consumer",
    "Dead",
    "EventError",
    "EventLog",
    "Forgetful",
    "LogBusy",
    "LogFull",
    "OpenStream",
    "Outbox",
    "OutboxFull",
    "Patience",
    "Producer",
    "Read",
    "Sent",
    "StreamError",
    "Written",
    "click",
    "decode",
    "export",
    "impression",
    "judge",
    "new_request_id",
    "put_all",
    "response",
]
