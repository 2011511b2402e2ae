"""Feedback of a check: one outcome and one sentence, as plain text and as escaped HTML."""

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


#: of the bar beside a message, seen on white and on black; its words have the theme's own color
COLOR = {
    Outcome.PASS: "#1a7f37",
    Outcome.FAIL: "#d1453b",
    Outcome.EXCEPTION: "#d1453b",
    Outcome.NOT_ATTEMPTED: "#8a7300",
    Outcome.INFO: "#2f7fd0",
}


@dataclass(frozen=True)
class Message:
    """One line of feedback, with an optional block of code under it.

    The plain text is for a terminal, a screen reader and nbval. The HTML has inline style only, so
    that it survives an untrusted notebook.
    """

    outcome: Outcome
    title: str
    text: str = ""
    code: str | None = None
    mistake: str = ""  # the sentence of a known mistake, where one was recognized

    def __repr__(self) -> str:
        """Return the message as plain text, the outcome's word first."""
        line = f"{self.title}: {self.text}" if self.text else self.title
        return f"{line}\n\n{self.code}" if self.code else line

    def _repr_html_(self) -> str:
        color = COLOR[self.outcome]
        code = f"<pre>{html.escape(self.code, quote=False)}</pre>" if self.code else ""
        return (
            f'<div style="border-left:4px solid {color};padding:.3em .8em">'
            f"<strong>{html.escape(self.title)}</strong> "
            f"{with_code(self.text)}{code}</div>"
        )


def with_code(text: str) -> str:
    """Return a sentence as escaped HTML, with the words between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
