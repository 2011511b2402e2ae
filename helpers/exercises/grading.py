"""Exercises and quizzes: grade an answer, give hints, show the solution, go on either way."""

from __future__ import annotations

import linecache
import re
import textwrap
import traceback
import types
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from .checking import NotYet, TimeLimit, time_limit
from .messages import Message, Outcome, with_code
from .progress_file import mark_done

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"

#: an answer in a chapter's source: its indentation (1), the exercise id (2) and the code (3)
REGION = re.compile(
    r"^([ \t]*)### BEGIN SOLUTION (\S+)[^\n]*\n(.*?)^[ \t]*### END SOLUTION[^\n]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)

Check = Callable[..., None]


@dataclass(repr=False, eq=False)
class Exercise:
    """One exercise: its checks, two hints, and the course's own answer.

    Parameters
    ----------
    id : str
        Chapter and number, ``"02.1"``.
    name : str
        What the learner writes, as it is called in the notebook (``"rmse"``).
    checks : sequence of callables
        Each takes the answer and raises `NotYet` (through `expect`) where it does not hold. They
        run in order, on planted data.
    hints : sequence of str
        At least two: a direction, then nearly the way.
    reference : object
        A right answer: what `use` returns until the learner's own is right.
    minutes : int
        How long it takes a learner, as printed in the chapter.
    stretch : bool
        True for the exercises that go beyond the chapter.
    seconds : float
        Time limit for all checks together.
    returns : bool
        False for a function that is judged by what it does: it may return ``None``.
    """

    id: str
    name: str
    checks: Sequence[Check]
    hints: Sequence[str]
    reference: Any
    _: KW_ONLY
    minutes: int = 5
    stretch: bool = False
    seconds: float = 10.0
    returns: bool = True
    _hints_given: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Refuse an exercise without a check or without two hints."""
        if not self.checks or len(self.hints) < 2:
            found = f"{len(self.checks)} checks and {len(self.hints)} hints"
            raise ValueError(f"exercise {self.id}: {found}, expected 1 and 2")

    def grade(self, *answer: Any) -> Message:
        """Return what the checks say of an answer; remember nothing.

        Parameters
        ----------
        *answer
            The object, or objects, that the learner made: a function, a number, an array.

        Returns
        -------
        Message
            With one of four outcomes; never raises what the answer raises.
        """
        if not answer or any(a is None or a is Ellipsis for a in answer):
            return self._not_attempted()
        probes = [_no_none(a, self.name) for a in answer] if self.returns else answer
        try:
            with time_limit(self.seconds):
                for check in self.checks:
                    check(*probes)
        except NotYet as error:
            return self._message(Outcome.FAIL, str(error))
        except NotImplementedError:
            return self._not_attempted()
        except TimeLimit:
            slow = f"`{self.name}` took longer than {self.seconds:g} s on a toy input"
            return self._message(Outcome.FAIL, f"{slow}: does a loop never end?")
        except Exception as error:
            return self._message(Outcome.EXCEPTION, _their_line(error, self.name))
        return self._message(Outcome.PASS, f"`{self.name}` is right.")

    def check(self, *answer: Any) -> Message:
        """Return what the checks say of an answer; remember that a right one was given."""
        result = self.grade(*answer)
        problem = mark_done(self.id) if result.outcome is Outcome.PASS else None
        if problem:
            return self._message(result.outcome, f"{result.text} ({problem})")
        return result

    def use(self, answer: Any) -> Any:
        """Return the learner's answer if it is right, else the course's own.

        Every later cell then runs, whatever was answered here.
        """
        if self.grade(answer).outcome is Outcome.PASS:
            return answer
        print(f"{self.id}: going on with the course's `{self.name}` until yours passes.")
        return self.reference

    def hint(self) -> Message:
        """Return the first hint, then the second; the last one is repeated."""
        number = min(self._hints_given, len(self.hints) - 1)
        self._hints_given += 1
        title = f"{self.id} hint {number + 1} of {len(self.hints)}"
        return Message(Outcome.INFO, title, self.hints[number])

    def solution(self) -> Message:
        """Return the worked answer, read from the chapter's source."""
        title = f"{self.id} solution"
        for path in sorted(SOLUTIONS.glob(f"{self.id.split('.')[0]}_*.py")):
            for match in REGION.finditer(path.read_text(encoding="utf-8")):
                if match[2] == self.id:
                    code = textwrap.dedent(match[3]).rstrip()
                    return Message(Outcome.INFO, title, "one way to do it", code)
        return Message(Outcome.INFO, title, "not found: this copy has no solutions/ folder.")

    def _message(self, outcome: Outcome, text: str) -> Message:
        return Message(outcome, f"{self.id} {outcome.value}", text)

    def _not_attempted(self) -> Message:
        text = f"write `{self.name}` in the cell above, run it, then check again."
        return self._message(Outcome.NOT_ATTEMPTED, text)

    def __repr__(self) -> str:
        """Return what the exercise is and what can be done with it."""
        kind = "stretch exercise" if self.stretch else "exercise"
        calls = ".check(…), .hint(), .solution(), .use(…)"
        return f"{kind} {self.id} `{self.name}`, {self.minutes} min: {calls}"


class Quiz(Exercise):
    """A question with a few answers to choose from.

    Parameters
    ----------
    id : str
        Chapter and number, ``"02.q1"``.
    question : str
        One sentence.
    options : dict
        Letter to text, in the order shown: ``{"a": "…", "b": "…"}``.
    answer : str
        The letter that is right.
    why : dict
        Letter to the sentence shown when it is chosen: why it is right, or why it is not.
    """

    def __init__(
        self, id: str, question: str, options: dict[str, str], answer: str, why: dict[str, str]
    ) -> None:
        if answer not in options or set(why) != set(options):
            given = f"the answer {answer!r} and the reasons"
            raise ValueError(f"quiz {id}: {given} must name the options {list(options)}")
        wrong = next((f"({o})" for o in options if o != answer), "")
        hints = (
            "Read the section above once more with one small example in mind.",
            f"It is not {wrong}.",
        )
        super().__init__(id, "choice", [self._chosen], hints, answer, minutes=1)
        self.question, self.options, self.answer, self.why = question, options, answer, why

    def _chosen(self, choice: Any) -> None:
        letter = _letter(choice)
        if letter not in self.options:
            raise NotYet(f"{choice!r} is not one of the options {', '.join(self.options)}.")
        if letter != self.answer:
            raise NotYet(self.why[letter])

    def grade(self, *answer: Any) -> Message:
        """Return whether a choice is right, and why."""
        result = super().grade(*answer)
        if result.outcome is Outcome.PASS:
            return self._message(Outcome.PASS, self.why[self.answer])
        return result

    def _not_attempted(self) -> Message:
        letters = ", ".join(f'"{o}"' for o in self.options)
        return self._message(
            Outcome.NOT_ATTEMPTED, f"click an answer, or set `choice` to {letters}."
        )

    def ask(self, choice: Any = None) -> None:
        """Show the question: live buttons in Jupyter, text and HTML elsewhere.

        Parameters
        ----------
        choice : str, optional
            A letter chosen in code; it is checked and preselected.
        """
        import ipywidgets as widgets

        from helpers.interactive import show_widget

        result = self.check(choice)
        buttons = widgets.RadioButtons(  # their labels are text and nothing else
            options=[(f"{o}) {text.replace('`', '')}", o) for o, text in self.options.items()],
            value=_letter(choice) if _letter(choice) in self.options else None,
            layout=widgets.Layout(width="auto"),
            style={"description_width": "initial"},
        )
        feedback = widgets.HTML(value=result._repr_html_())

        def on_choice(change: dict[str, Any]) -> None:
            feedback.value = self.check(change["new"])._repr_html_()

        buttons.observe(on_choice, "value")
        question = f"<strong>{with_code(self.question)}</strong>"
        box = widgets.VBox([widgets.HTML(value=question), buttons, feedback])
        items = "".join(f"<li>{o}) {with_code(text)}</li>" for o, text in self.options.items())
        plain = [self.question, *(f"  {o}) {text}" for o, text in self.options.items())]
        static = f'<p>{question}</p><ul style="list-style:none">{items}</ul>'
        show_widget(box, html=static + result._repr_html_(), text="\n".join([*plain, repr(result)]))


def _letter(choice: Any) -> str:
    return str(choice).strip().lower()


def _no_none(answer: Any, name: str) -> Any:
    """Wrap a plain function so that a forgotten ``return`` is reported as one."""
    if not isinstance(answer, types.FunctionType):
        return answer

    @wraps(answer)
    def probe(*args: Any, **kwargs: Any) -> Any:
        result = answer(*args, **kwargs)
        if result is None or result is Ellipsis:
            what = "None: did you forget `return`?" if result is None else "the placeholder `...`."
            raise NotYet(f"`{name}` returned {what}")
        return result

    return probe


def _their_line(error: Exception, name: str) -> str:
    """Name the exception and the learner's own line that raised it, never a path."""
    here = Path(__file__).resolve().parent
    frames = traceback.extract_tb(error.__traceback__)[2:]  # without grade() and the check itself
    own = [
        f
        for f in frames
        if here not in Path(f.filename).resolve().parents and "site-packages" not in f.filename
    ]
    raised = f"`{name}` raised `{type(error).__name__}: {error}`"
    if not own:
        return f"the check of {raised}: is it the kind of object the exercise asks for?"
    last = own[-1]
    line = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    return f"{raised} in line {last.lineno} of its cell: `{line}`"
