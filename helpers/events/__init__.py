"""Event log of a shop: what was shown and clicked, with nothing lost on the way.

`Producer` -> Kinesis -> `Consumer` -> `EventLog` (SQLite) -> `export` (Parquet). Delivery is at
least once, and writing an event again changes nothing. Kill any part at any point: every
acknowledged event is in the log once, or among the dead letters with the reason.
"""

from .log import Consumer, EventLog, LogBusy, LogFull, export
from .producer import Forgetful, OpenStream, OutboxFull, Producer
from .schema import click, impression, new_request_id, response

__all__ = [
    "Consumer",
    "EventLog",
    "Forgetful",
    "LogBusy",
    "LogFull",
    "OpenStream",
    "OutboxFull",
    "Producer",
    "click",
    "export",
    "impression",
    "new_request_id",
    "response",
]
