"""What can go wrong between a shop and its log; in every case nothing acknowledged is lost."""

from __future__ import annotations


class EventError(ValueError):
    """An event that cannot be written down at all; it was not acknowledged."""


class BadEvent(ValueError):
    """An acknowledged event that must not enter the table of events; its text is the reason."""


class OutboxFull(OSError):
    """The producer's disk, or its share of it, is full; the events of this call were not acknowledged."""


class StreamError(RuntimeError):
    """The stream did not take, or give, records for too long; they stay where they are."""


class LogBusy(RuntimeError):
    """Another process held the log locked for too long; nothing was written, nothing was skipped."""


class LogFull(RuntimeError):
    """The log's disk is full; nothing of the batch was written, nothing was skipped."""
