"""Feedback of a check: one outcome and one sentence, as plain text and as escaped HTML."""

from __future__ import annotations

import enum
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

React = Callable[[str], str]  # from an answer to its feedback, as HTML


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
    """One line of feedback and, optionally, code; its HTML survives an untrusted notebook."""

    outcome: Outcome
    title: str
    text: str = ""
    code: str | None = None
    mistake: str = ""  # the sentence of a known mistake, where one was recognized

    def __repr__(self) -> str:
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


def show_question(
    question: str, options: Sequence[Any], value: Any, react: React, said: str, **instead: str
) -> None:
    """Show a question with buttons, or with a box if there are no options to choose from.

    ``said`` is the feedback until there is an answer; ``instead`` is for `show_widget`.
    """
    import ipywidgets as widgets

    from helpers.interactive import show_widget

    control: Any
    if options:
        layout, style = widgets.Layout(width="auto"), {"description_width": "initial"}
        control = widgets.RadioButtons(options=options, value=value, layout=layout, style=style)
    else:
        control = widgets.Text(value=value, placeholder="your guess", description="Guess:")
    title = widgets.HTML(value=f"<strong>{with_code(question)}</strong>")
    feedback = widgets.HTML(value=said)

    def on_change(change: dict[str, Any]) -> None:
        feedback.value = react(change["new"])

    control.observe(on_change, "value")
    show_widget(widgets.VBox([title, control, feedback]), **instead)
