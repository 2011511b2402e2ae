"""Guesses: what a learner expects before a cell shows it, kept with the progress."""

from __future__ import annotations

import html
from collections.abc import Sequence

from .messages import Message, Outcome, show_question, with_code
from .progress_file import entries, remember


class Guess:
    """One question of a chapter that has no wrong answer, only an answer that comes later."""

    def __init__(self, id: str) -> None:
        self.id = id

    @property
    def made(self) -> str:
        """What was guessed, as text; empty if nothing was."""
        return str(entries().get(f"{self.id}.guess", {}).get("guess", ""))

    def meets(self, answer: str) -> Message:
        """Return the guess beside what came out."""
        mine = f"you said {self.made}" if self.made else "you did not say what you expect"
        return Message(Outcome.INFO, f"{self.id} guess", f"{mine}; it is {answer}.")

    def ask(self, question: str, choices: Sequence[str] = ()) -> None:
        """Show the question with buttons, or with a box for a number or a word."""

        def keep(text: str) -> str:
            remember(f"{self.id}.guess", guess=text.strip())
            return self._kept()

        offered = f" ({' · '.join(choices)})" if choices else ""
        words = f"{question}{offered} Run this cell to write your guess down."
        value = self.made if not choices or self.made in choices else None
        instead = {"html": f"<p>{with_code(words)}</p>", "text": words}
        show_question(question, choices, value, keep, self._kept(), **instead)

    def _kept(self) -> str:
        said = f"kept: {html.escape(self.made)}" if self.made else "nothing kept yet"
        return f"<em>{said}; change it as long as you like.</em>"


def guess(id: str, question: str = "", choices: Sequence[str] = ()) -> Guess | None:
    """Ask a learner for a guess, or without a question return the one that was made.

    Parameters
    ----------
    id : str
        The chapter (``"05"``), or the chapter and a letter for a second guess (``"05.b"``).
    choices : sequence of str
        What can be chosen; without them a number or a word is typed.
    """
    if not question:
        return Guess(id)
    Guess(id).ask(question, choices)
    return None
