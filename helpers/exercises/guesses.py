"""Guesses: what a learner expects before a cell shows it, kept with the progress."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from .messages import Message, Outcome, with_code
from .progress_file import entries, remember


class Guess:
    """One question of a chapter that has no wrong answer, only an answer that comes later."""

    def __init__(self, id: str) -> None:
        self.id = id

    @property
    def made(self) -> str:
        """What was guessed, as text; empty if nothing was."""
        return str(entries().get(f"{self.id}.guess", {}).get("guess", ""))

    def keep(self, text: str) -> None:
        """Remember a guess in place of an earlier one."""
        remember(f"{self.id}.guess", guess=text)

    def meets(self, answer: str) -> Message:
        """Return the guess beside what came out."""
        mine = f"you said {self.made}" if self.made else "you did not say what you expect"
        return Message(Outcome.INFO, f"{self.id} guess", f"{mine}; it is {answer}.")

    def ask(self, question: str, choices: Sequence[str] = ()) -> None:
        """Show the question with buttons, or with a box for a number or a word."""
        import ipywidgets as widgets

        from helpers.interactive import show_widget

        kept = widgets.HTML(value=self._kept())
        control: Any
        if choices:
            given = self.made if self.made in choices else None
            options = {"options": list(choices), "value": given}
            control = widgets.RadioButtons(**options, layout=widgets.Layout(width="auto"))
        else:
            control = widgets.Text(value=self.made, placeholder="your guess", description="Guess:")

        def on_change(change: dict[str, Any]) -> None:
            self.keep(str(change["new"]).strip())
            kept.value = self._kept()

        control.observe(on_change, "value")
        title = f"<strong>{with_code(question)}</strong>"
        offered = f" ({' · '.join(choices)})" if choices else ""
        words = f"{question}{offered} Run this cell to write your guess down."
        box = widgets.VBox([widgets.HTML(value=title), control, kept])
        show_widget(box, html=f"<p>{with_code(words)}</p>", text=words)

    def _kept(self) -> str:
        said = f"kept: {html.escape(self.made)}" if self.made else "nothing kept yet"
        return f"<em>{said}; change it as long as you like.</em>"


def guess(id: str, question: str = "", choices: Sequence[str] = ()) -> Guess | None:
    """Ask a learner for a guess, or return the one that was made.

    Parameters
    ----------
    id : str
        The chapter (``"05"``), or the chapter and a letter for a second guess (``"05.b"``).
    question : str
        One sentence; without it nothing is shown.
    choices : sequence of str
        What can be chosen; without them a number or a word is typed.

    Returns
    -------
    Guess or None
        ``guess("05").meets("50 ms")`` quotes it beside the answer; None where it was asked for.
    """
    if not question:
        return Guess(id)
    Guess(id).ask(question, choices)
    return None
