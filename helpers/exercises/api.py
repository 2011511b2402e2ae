"""The exercise itself: grade an answer, give hints, show the solution, go on either way."""

from __future__ import annotations

import importlib
import linecache
import traceback
import types
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from .limit import TimeLimit, time_limit
from .messages import Message, NotYet, Outcome, outcome_message
from .progress import mark_done
from .source import solution_text

_HERE = Path(__file__).resolve().parent
_registry: dict[str, Exercise] = {}

Check = Callable[..., None]


class Exercise:
    """One exercise: its checks, two hints, and the course's own answer.

    Parameters
    ----------
    id : str
        Chapter and number, ``"02.1"``.
    name : str
        What the learner writes, as it is called in the notebook (``"rmse"``).
    checks : sequence of callables
        Each takes the answer and raises :class:`NotYet` (through ``expect``)
        where it does not hold. They run in order, on planted data.
    hints : sequence of str
        At least two: a direction, then nearly the way.
    reference : object
        A right answer: what ``use`` goes on with until the learner's own is right.
    minutes : int
        How long it takes a learner, as printed in the chapter.
    stretch : bool
        True for the exercises that go beyond the chapter.
    seconds : float
        Time limit for all checks together.
    returns : bool
        False for a function that is judged by what it does: then ``None`` is no forgotten ``return``.
    """

    def __init__(
        self,
        id: str,
        name: str,
        checks: Sequence[Check],
        hints: Sequence[str],
        reference: Any,
        *,
        minutes: int = 5,
        stretch: bool = False,
        seconds: float = 10.0,
        returns: bool = True,
    ) -> None:
        if not checks or len(hints) < 2:
            raise ValueError(
                f"exercise {id}: {len(checks)} checks and {len(hints)} hints, expected 1 and 2"
            )
        self.id, self.name = id, name
        self.checks, self.hints = list(checks), list(hints)
        self.reference = reference
        self.minutes, self.stretch, self.seconds, self.returns = minutes, stretch, seconds, returns
        self._hints_given = 0

    def grade(self, *answer: Any) -> Message:
        """Judge an answer, with no side effect.

        Parameters
        ----------
        *answer
            The object, or objects, the learner made: a function, a number, an array.

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
            return outcome_message(self.id, Outcome.FAIL, str(error))
        except NotImplementedError:
            return self._not_attempted()
        except TimeLimit:
            text = f"`{self.name}` took longer than {self.seconds:g} s on a toy input: does a loop never end?"
            return outcome_message(self.id, Outcome.FAIL, text)
        except Exception as error:
            return outcome_message(self.id, Outcome.EXCEPTION, _their_line(error, self.name))
        return outcome_message(self.id, Outcome.PASS, f"`{self.name}` is right.")

    def check(self, *answer: Any) -> Message:
        """Judge an answer and remember the exercise as done if it is right."""
        result = self.grade(*answer)
        if result.outcome is Outcome.PASS:
            problem = mark_done(self.id)
            if problem:
                return Message(result.outcome, result.title, f"{result.text} ({problem})")
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
        return Message(
            Outcome.INFO, f"{self.id} hint {number + 1} of {len(self.hints)}", self.hints[number]
        )

    def solution(self) -> Message:
        """Return the worked answer, read from the chapter's source."""
        code = solution_text(self.id)
        if code is None:
            return Message(
                Outcome.INFO,
                f"{self.id} solution",
                "not found: this copy has no solutions/ folder.",
            )
        return Message(Outcome.INFO, f"{self.id} solution", "one way to do it", code)

    def _not_attempted(self) -> Message:
        text = f"write `{self.name}` in the cell above, run it, then check again."
        return outcome_message(self.id, Outcome.NOT_ATTEMPTED, text)

    def __repr__(self) -> str:
        """Return what the exercise is and what can be done with it."""
        kind = "stretch exercise" if self.stretch else "exercise"
        return f"{kind} {self.id} `{self.name}`, {self.minutes} min: .check(…), .hint(), .solution(), .use(…)"


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
        Letter to the sentence shown when it is chosen: why it is right, or what speaks against it.
    """

    def __init__(
        self, id: str, question: str, options: dict[str, str], answer: str, why: dict[str, str]
    ) -> None:
        if answer not in options or set(why) != set(options):
            raise ValueError(
                f"quiz {id}: the answer {answer!r} and the reasons must name the options {list(options)}"
            )
        wrong = ", ".join(f"({o})" for o in options if o != answer)
        hints = (
            "Read the section above once more with one small example in mind.",
            f"It is not {wrong.split(', ')[0]}.",
        )
        super().__init__(id, "choice", [self._chosen], hints, answer, minutes=1)
        self.question, self.options, self.answer, self.why = (
            question,
            dict(options),
            answer,
            dict(why),
        )

    def _chosen(self, choice: Any) -> None:
        letter = str(choice).strip().lower()
        if letter not in self.options:
            raise NotYet(f"{choice!r} is not one of the options {', '.join(self.options)}.")
        if letter != self.answer:
            raise NotYet(self.why[letter])

    def grade(self, *answer: Any) -> Message:
        """Judge a choice; a right one comes with its reason."""
        result = super().grade(*answer)
        if result.outcome is Outcome.PASS:
            return outcome_message(self.id, Outcome.PASS, self.why[self.answer])
        return result

    def _not_attempted(self) -> Message:
        letters = ", ".join(f'"{o}"' for o in self.options)
        return outcome_message(
            self.id, Outcome.NOT_ATTEMPTED, f"click an answer, or set `choice` to {letters}."
        )

    def ask(self, choice: Any = None) -> None:
        """Show the question with buttons and, once chosen, what the answer is worth.

        Parameters
        ----------
        choice : str, optional
            A letter, for a reader without a mouse or without widgets.
        """
        from .quiz import show_quiz

        show_quiz(self, choice)


def _no_none(answer: Any, name: str) -> Any:
    """Wrap a plain function so that a forgotten ``return`` is named as such."""
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
    frames = traceback.extract_tb(error.__traceback__)[2:]  # without grade() and the check itself
    own = [
        f
        for f in frames
        if _HERE not in Path(f.filename).resolve().parents and "site-packages" not in f.filename
    ]
    what = f"{type(error).__name__}: {error}"
    if not own:
        return f"the check of `{name}` raised `{what}`: is it the kind of object the exercise asks for?"
    last = own[-1]
    line = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    return f"`{name}` raised `{what}` in line {last.lineno} of its cell: `{line}`"


def register(*exercises: Exercise) -> None:
    """Make exercises known by their id; called once by each ``checks_NN.py``."""
    for item in exercises:
        if item.id in _registry:
            raise ValueError(f"exercise {item.id} is registered twice")
        _registry[item.id] = item


def _load(chapter: str) -> None:
    if chapter not in chapters_with_exercises():
        known = ", ".join(chapters_with_exercises())
        raise KeyError(f"chapter {chapter!r} has no exercises; chapters that do: {known}")
    importlib.import_module(f"{__package__}.checks_{chapter}")


def chapters_with_exercises() -> list[str]:
    """Return the chapters that have checks, as two digits, in order."""
    return sorted(p.stem.removeprefix("checks_") for p in _HERE.glob("checks_[0-9][0-9].py"))


def exercises_of(chapter: str) -> list[Exercise]:
    """Return the exercises and quizzes of a chapter (``"02"``), in the order they are registered."""
    _load(chapter)
    return [q for q in _registry.values() if q.id.split(".")[0] == chapter]


def exercise(id: str) -> Any:
    """Return an exercise or a quiz by its id.

    Parameters
    ----------
    id : str
        ``"02.1"`` for the first exercise of chapter 02, ``"02.q1"`` for its first quiz question.

    Raises
    ------
    KeyError
        If there is none; the message lists the chapter's ids.
    """
    chapter = str(id).split(".")[0]
    _load(chapter)
    if id not in _registry:
        known = ", ".join(q.id for q in exercises_of(chapter))
        raise KeyError(f"no exercise {id!r}; chapter {chapter} has {known}")
    return _registry[id]
