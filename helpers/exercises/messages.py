"""What a check says: one outcome, one sentence, readable without color, trust or a screen."""

from __future__ import annotations

import enum
import html
import re
from dataclasses import dataclass


class Outcome(enum.Enum):
    """How a check ended; the value is the word a learner reads."""

    PASS = "PASS"
    FAIL = "FAIL"
    EXCEPTION = "EXCEPTION"
    NOT_ATTEMPTED = "NOT ATTEMPTED"
    INFO = "INFO"


_COLOR = {
    Outcome.PASS: "#1a7f37",
    Outcome.FAIL: "#b42318",
    Outcome.EXCEPTION: "#b42318",
    Outcome.NOT_ATTEMPTED: "#6b5900",
    Outcome.INFO: "#1f5fa8",
}


class NotYet(AssertionError):
    """Raised by a check whose expectation does not hold; the text is shown to the learner."""


def expect(condition: object, message: str) -> None:
    """Raise :class:`NotYet` with ``message`` unless ``condition`` holds.

    Parameters
    ----------
    condition : object
        What must be true. An array must be reduced to one truth value first.
    message : str
        What was expected of which name, without giving the answer away.

    Raises
    ------
    NotYet
        If the condition is false.
    """
    if not bool(condition):
        raise NotYet(message)


@dataclass(frozen=True)
class Message:
    """One line of feedback, with an optional block of code under it.

    Plain text for a terminal, a screen reader and nbval; escaped HTML with
    inline style only (it survives an untrusted notebook) for Jupyter.
    """

    outcome: Outcome
    title: str
    text: str = ""
    code: str | None = None

    def __repr__(self) -> str:
        """Return the message as plain text, the outcome's word first."""
        line = f"{self.title}: {self.text}" if self.text else self.title
        return f"{line}\n\n{self.code}" if self.code else line

    def _repr_html_(self) -> str:
        color = _COLOR[self.outcome]
        text = with_code(self.text)
        code = f"<pre>{html.escape(self.code, quote=False)}</pre>" if self.code else ""
        return (
            f'<div style="border-left:4px solid {color};padding:.3em .8em">'
            f'<strong style="color:{color}">{html.escape(self.title)}</strong> {text}{code}</div>'
        )


def with_code(text: str) -> str:
    """Return a sentence as HTML: escaped, and what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def outcome_message(exercise_id: str, outcome: Outcome, text: str) -> Message:
    """Return the message of one check: the exercise, the outcome's word, the sentence."""
    return Message(outcome, f"{exercise_id} {outcome.value}", text)
