"""The two ways in which something of this room can go wrong."""

from __future__ import annotations


class CloudError(RuntimeError):
    """Connecting, or what a chapter asked of the connection, did not work; the text says what to do."""


class ApiError(Exception):
    """An error that the local service answers over the wire, with a code AWS uses.

    Parameters
    ----------
    message : str
        The sentence a caller reads.
    code : str
        Error code, such as ``"ValidationException"`` or ``"ResourceNotFound"``.
    status : int
        HTTP status.
    """

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def failure(error: Exception) -> str:
    """Return what the ``FailureReason`` of a job says of the error that ended it."""
    if isinstance(error, ApiError):
        return str(error)
    answered = getattr(error, "response", {}).get(
        "ResponseMetadata", {}
    )  # by S3, in a client's error
    if 400 <= answered.get("HTTPStatusCode", 500) < 500:
        return f"ClientError: {error}"
    if isinstance(error, OSError):  # a full disk, for one
        return f"InternalServerError: this machine could not run the job: {error.strerror or error}"
    return f"InternalServerError: {type(error).__name__}: {error}"


_REASON = 1024  # characters of a FailureReason
_HEAD = 200


def reason(text: str, ending: str = "") -> str:
    """Fit a reason into a ``FailureReason``: where it is too long, its middle is left out.

    Parameters
    ----------
    text : str
        What happened; the start says what, the end of a traceback says why.
    ending : str
        Kept whole.

    Returns
    -------
    str
        At most 1,024 characters.
    """
    room = _REASON - len(ending)
    if len(text) > room:
        text = f"{text[:_HEAD]} … {text[_HEAD + 3 - room :]}"
    return text + ending
