"""Exercises and quizzes: grade an answer, give hints, show the solution, go on either way."""

from __future__ import annotations

import linecache
import traceback
import zlib
from collections.abc import Callable, Collection, Sequence, Set
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property, wraps
from typing import Any

import numpy as np

from . import source
from .cases import Case, difference, same
from .checking import NotYet, TimeLimit, silent, time_limit, unharmed
from .converters import Converter
from .messages import Message, Outcome, show_question, with_code
from .progress_file import done, remember


@dataclass(repr=False, eq=False)
class Exercise:
    """One exercise: calls of the answer with their right values, known mistakes, two hints.

    Parameters
    ----------
    id, name : str
        Chapter and number, ``"02.1"``, and what the learner writes there, ``"rmse"``.
    gives : callable, optional
        Converter of what the answer returns (`converters`): a check compares converted values and
        `use` hands them on. None for an answer that is judged by what it does.
    cases : sequence of Case
        Calls in the order in which a learner should hear of them.
    asked : callable, optional
        Makes a function of an answer that is none, such as SQL or a table; it is called for it.
    inputs : callable, optional
        Takes a `numpy.random.Generator` and returns one tuple of arguments (or `Case`) of its kind;
        thirty such calls follow the cases.
    mistakes : collection of (str, str)
        The text of a mistaken body (or an edit of the chapter's, ``"old => new"``), and the
        sentence for answers that give the same in every call.
    checks : sequence of callables
        What data can't say: each takes the answer and raises `NotYet` (through `expect`).
    hints : sequence of str
        At least two: a direction, then nearly the way.
    """

    id: str
    name: str
    gives: Converter | None = None
    _: KW_ONLY
    cases: Sequence[Case] = ()
    inputs: Callable[[np.random.Generator], tuple[Any, ...] | Case] | None = None
    asked: Callable[[Any], Callable[..., Any]] | None = None
    mistakes: Collection[tuple[str, str]] = ()
    checks: Sequence[Callable[..., None]] = ()
    hints: Sequence[str] = ()
    minutes: int = 5
    stretch: bool = False  # beyond the chapter
    seconds: float = 10.0  # for all calls together
    together: Set[str] = field(default=frozenset(), init=False)  # ids of the chapter
    _hints_given: int = field(default=0, init=False)
    _passed: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not (self.checks or self.cases) or len(self.hints) < 2:
            found = f"{len(self.cases)} cases, {len(self.checks)} checks, {len(self.hints)} hints"
            raise ValueError(f"exercise {self.id}: {found}; expected a case or check, and 2 hints")
        place = "in its cell, in place of `# YOUR CODE HERE`"
        self._todo = f"write `{self.name}` {place}, run the cell, then check again."
        self._praise = f"`{self.name}` is right."

    @cached_property
    def reference(self) -> Any:
        """The course's own answer: the text between its markers in the chapter's source, made."""
        return source.make(self.id, self.name)

    def grade(self, answer: Any = None) -> Message:
        """Return what the checks say of an answer; remember nothing, raise nothing of its own."""
        calls: list[tuple[Case, Any]] = []
        try:
            if answer is None or answer is ...:
                raise NotImplementedError
            with unharmed(), time_limit(self.seconds):
                calls = self._calls(answer)
            with unharmed(), time_limit(self.seconds):
                self._judge(answer, calls)
        except NotYet as error:
            return self._message(Outcome.FAIL, str(error), error.mistake)
        except NotImplementedError:
            return self._message(Outcome.NOT_ATTEMPTED, self._todo)
        except TimeLimit:
            slow = f"`{self.name}` took longer than {self.seconds:g} s on a toy input"
            return self._message(Outcome.FAIL, f"{slow}: does a loop never end?")
        except BaseException as error:
            said = _their_line(error, answer, self.name)
            asked = [case.described(self.name) for case, came in calls if came is error]
            if asked:
                said = f"{said.removesuffix('.')}, asked for {asked[0]}."
            return self._message(Outcome.EXCEPTION, said)
        return self._message(Outcome.PASS, self._praise)

    def _calls(self, answer: Any) -> list[tuple[Case, Any]]:
        """Return the cases asked, each with what came; an error that no case wants is the last."""
        if not self.cases:
            return []
        function = self.asked(answer) if self.asked else answer
        if not callable(function):
            kind = type(answer).__name__
            raise NotYet(f"`{self.name}` is a {kind}, expected a function: `def {self.name}(…):`.")
        calls: list[tuple[Case, Any]] = []
        for case in [*self.cases, *self.random_cases(30)]:
            with silent() if calls else nullcontext():
                calls.append((case, self._called(case, function)))
            if isinstance(calls[-1][1], BaseException) and not case.raises:
                break
        return calls

    def _judge(self, answer: Any, calls: Sequence[tuple[Case, Any]]) -> None:
        """Raise `NotYet` for the first call that is not right, or the first check that fails."""
        for case, came in calls:
            if case.raises:
                case.expect_error(came, self.name)
                continue
            got = self._converted(came)
            if case.judge:
                case.judge(got, *case.args)
            elif not same(got, right := self._right(case)):
                said = f"{case.described(self.name)} {difference(got, right)}"
                meaning = self._meaning(case, got, calls)
                raise NotYet(f"{said}: {meaning}" if meaning else f"{said}.", meaning)
        with silent() if calls else nullcontext():
            for check in self.checks:
                check(answer)

    def _called(self, case: Case, function: Callable[..., Any]) -> Any:
        """Return what a function gave for a case, or the error that it raised."""
        try:
            value, changed = case.call(function)
        except (Exception, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            return error
        what = f"`{self.name}` changed its argument `{changed}`"
        return NotYet(f"{what}: leave it as it was, and work on a copy.") if changed else value

    def _converted(self, came: Any) -> Any:
        """Return what a call gave as later cells take it, or raise what it raised."""
        if isinstance(came, BaseException):
            raise came
        return self.gives(came, self.name) if self.gives else came

    def _right(self, case: Case) -> Any:
        """Return the value that is right for a case, converted."""
        if case.right is not ...:
            return self._converted(case.right)
        reference = self.asked(self.reference) if self.asked else self.reference
        return self._converted(self._called(case, reference))

    def _meaning(self, case: Case, got: Any, calls: Sequence[tuple[Case, Any]]) -> str:
        """Return the sentence of the first mistake that explains every call, or an empty one."""
        for body, sentence in self.mistakes:
            rule = source.make(self.id, self.name, body)
            function = self.asked(rule) if self.asked else rule
            if all(self._explains(function, one, came, one is case) for one, came in calls):
                return sentence
        return next((s for value, s in case.wrong if same(got, self._converted(value))), "")

    def _explains(self, rule: Callable[..., Any], case: Case, came: Any, needed: bool) -> bool:
        """Return whether a rule gives what came; where one of them raised, only if not needed."""
        value = self._called(case, rule)
        if case.judge or isinstance(value, BaseException) or isinstance(came, BaseException):
            return not needed
        try:
            return same(self._converted(came), self._converted(value))
        except NotYet:
            return not needed

    def random_cases(self, number: int) -> list[Case]:
        """Return calls with random arguments of the notebook's kind, the same ones every time."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        made = [self.inputs(rng) for _ in range(number)] if self.inputs else []
        return [m if isinstance(m, Case) else Case(m) for m in made]

    def check(self, answer: Any = None) -> Message:
        """Return what the checks say of an answer; remember it, and that a right one was given."""
        result = self.grade(answer)
        if result.outcome is Outcome.NOT_ATTEMPTED:
            return result
        passed = result.outcome is Outcome.PASS
        facts: dict[str, Any] = {"outcome": result.outcome.value, "done": passed}
        facts |= {"mistake": result.mistake} if result.mistake else {}  # else the last one stays
        again = passed and self.id in done()  # the cell was only run again
        notes = [remember(self.id, attempts=int(not again), **facts)]
        if passed:
            self._passed = answer
            finished = len(done() & self.together)
            notes.insert(0, f"{finished} of {len(self.together)} in this chapter")
        said = f" ({'; '.join(filter(None, notes))})" if any(notes) else ""
        return self._message(result.outcome, result.text + said, result.mistake)

    def use(self, answer: Any) -> Any:
        """Return the learner's answer if it is right, else the course's own.

        Every later cell then runs, whatever was answered here. What the answer returns is converted
        as the check converted it: a list that passed becomes the array that later cells expect.
        """
        if not self._is_known(answer) and self.grade(answer).outcome is not Outcome.PASS:
            print(f"{self.id}: going on with the course's `{self.name}` until yours passes.")
            answer = self.reference
        if not callable(answer):
            return self._converted(answer)

        @wraps(answer)
        def converted(*args: Any, **keywords: Any) -> Any:
            return self._converted(answer(*args, **keywords))

        return converted if self.gives else answer

    def _is_known(self, answer: Any) -> bool:
        """Return whether a function is right without a call: checked before, or the course's."""
        code = getattr(answer, "__code__", None)
        made = getattr(code, "co_filename", "") == source.MADE
        own = made and code == getattr(self.reference, "__code__", None)
        return own or (callable(answer) and answer is self._passed)

    def hint(self) -> Message:
        """Return the first hint, then the second, then that there is no other."""
        self._hints_given += 1
        if self._hints_given > len(self.hints):
            last = f"hint {len(self.hints)} was the last; `.solution()` shows one way to do it."
            return Message(Outcome.INFO, f"{self.id} hints", last)
        title = f"{self.id} hint {self._hints_given} of {len(self.hints)}"
        return Message(Outcome.INFO, title, self.hints[self._hints_given - 1])

    def solution(self) -> Message:
        """Return the worked answer, read from the chapter's source."""
        title = f"{self.id} solution"
        try:
            return Message(Outcome.INFO, title, "one way to do it", source.worked(self.id))
        except LookupError:
            return Message(Outcome.INFO, title, "not found: this copy has no solutions/ folder.")

    def _message(self, outcome: Outcome, text: str, mistake: str = "") -> Message:
        return Message(outcome, f"{self.id} {outcome.value}", text, mistake=mistake)

    def __repr__(self) -> str:
        kind = f"{'stretch ' * self.stretch}exercise {self.id} `{self.name}`, {self.minutes} min"
        return f"{kind}: .check(…), .hint(), .solution(), .use(…)"


class Quiz(Exercise):
    """A question, the letter of its right answer, and its options: a, b, c.

    ``options`` maps the text of each, in the order shown, to the sentence for those who choose it.
    """

    def __init__(self, id: str, question: str, answer: str, options: dict[str, str]) -> None:
        self.question, self.answer = question, answer
        self.options = dict(zip("abcdef", options, strict=False))
        self.why = dict(zip("abcdef", options.values(), strict=False))
        if answer not in self.options:
            raise ValueError(f"quiz {id}: the answer {answer!r} is none of {list(self.options)}")
        first = "Read the section above once more with one small example in mind."
        wrong = next((f"({o})" for o in self.options if o != answer), "")
        hints = (first, f"It is not {wrong}.")
        super().__init__(id, "choice", checks=[self._chosen], hints=hints, minutes=1)
        letters = ", ".join(f'"{o}"' for o in self.options)
        self._todo = f"run this cell for the buttons, or set `choice` to {letters}."
        self._praise = self.why[answer]

    def _chosen(self, choice: Any) -> None:
        letter = str(choice).strip().lower()
        if letter not in self.options:
            raise NotYet(f"{choice!r} is not one of the options {', '.join(self.options)}.")
        if letter != self.answer:
            raise NotYet(self.why[letter], self.why[letter])

    def ask(self, choice: Any = None) -> None:
        """Show the question; a letter chosen in code is checked and preselected."""
        if choice in (None, ...) and self.id in done():
            choice = self.answer  # chosen before this kernel started
        result = self.check(choice)
        feedback, letter = result._repr_html_(), str(choice).strip().lower()
        lines = {o: f"{o}) {text}" for o, text in self.options.items()}
        items = "".join(f"<li>{with_code(line)}</li>" for line in lines.values())
        show_question(
            self.question,
            [(line.replace("`", ""), o) for o, line in lines.items()],  # text and nothing else
            letter if letter in self.options else None,
            lambda chosen: self.check(chosen)._repr_html_(),
            "" if result.outcome is Outcome.NOT_ATTEMPTED else feedback,
            html=f"<p><strong>{with_code(self.question)}</strong></p>"
            f'<ul style="list-style:none">{items}</ul>{feedback}',
            text="\n  ".join([self.question, *lines.values()]) + f"\n{result!r}",
        )


def _their_line(error: BaseException, answer: Any, name: str) -> str:
    """Name the exception and the learner's own line that raised it, never a path."""
    home = getattr(getattr(answer, "__code__", None), "co_filename", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename == home or "ipykernel_" in f.filename]
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if not own:
        kind = "can't be called as the exercise says" if callable(answer) else "can't be checked"
        return f"`{name}` {kind}: `{text}`."
    last = own[-1]
    line = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    place = f" in line {last.lineno} of its cell"
    return f"`{name}` raised `{text}`{place}" + (f": `{line}`" if line else ".")
