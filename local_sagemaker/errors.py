"""Errors of a connection and of the service, their log, and what a failed job says of one."""

import logging

LOG = logging.getLogger("local_sagemaker")
_REASON = 1024  # characters of a FailureReason


class CloudError(RuntimeError):
    """Connecting, or what was asked of the connection, did not work; the text says what to do."""


class ApiError(Exception):
    """What the service answers over the wire: a sentence, AWS' code for it, and HTTP's status."""

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def failure(error: Exception) -> str:
    """Return what the ``FailureReason`` of a job says of the error that ended it."""
    if isinstance(error, ApiError):
        return str(error)
    answered = getattr(error, "response", {}).get("ResponseMetadata", {})  # by S3
    of_a_text = isinstance(error, UnicodeError)  # a hyperparameter or a record
    if of_a_text or 400 <= answered.get("HTTPStatusCode", 500) < 500:
        return f"ClientError: {error}"
    if isinstance(error, OSError):  # a full disk, for one
        return f"InternalServerError: this machine could not run the job: {error.strerror or error}"
    return f"InternalServerError: {type(error).__name__}: {error}"


def reason(text: str, ending: str = "") -> str:
    """Fit a reason into 1,024 characters: too long, it loses its middle; ``ending`` stays whole."""
    room = _REASON - len(ending)
    if len(text) > room:  # the start says what happened, the end of a traceback why
        text = f"{text[:200]} … {text[203 - room :]}"
    return text + ending
