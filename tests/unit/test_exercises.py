"""The exercise API: four outcomes, time limit, hints, solutions, progress that survives accidents."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from helpers import interactive
from helpers.book import ROOT
from helpers.exercises import grading, progress_file
from helpers.exercises.checking import NotYet, TimeLimit, expect, number, numbers, time_limit
from helpers.exercises.grading import Exercise, Quiz
from helpers.exercises.messages import Outcome
from helpers.exercises.progress_file import done, mark_done, reset
from helpers.exercises.registry import exercise, exercises_of, progress, register


def twice(x):
    return 2 * x


def doubles(f):
    expect(f(2) == 4, "`twice` of 2: expected 4 on the toy input")


@pytest.fixture
def q():
    return Exercise("99.1", "twice", [doubles], ["double it", "2 * x"], twice, seconds=0.5)


@pytest.fixture
def quiz():
    why = {"a": "this is not it", "b": "it is"}
    return Quiz("99.q1", "Is `a < b`?", {"a": "`True`", "b": "no"}, "b", why)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A progress file of our own, and a kernel that has seen nothing."""
    path = tmp_path / "folder" / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    monkeypatch.setattr(progress_file, "_session", set())
    return path


def stored(path):
    return json.loads(path.read_text())["done"]


def unwritten(x):
    raise NotImplementedError


def crash(x):
    return x / 0


def endless(x):
    while True:
        try:
            x += 1
        except Exception:
            x = 0


@pytest.mark.parametrize(
    "answer, outcome, words",
    [
        (twice, Outcome.PASS, "`twice` is right"),
        (lambda x: 2.0 * x, Outcome.PASS, ""),
        (lambda x: x, Outcome.FAIL, "expected 4"),
        (lambda x: None, Outcome.FAIL, "did you forget `return`"),
        (lambda x: ..., Outcome.FAIL, "placeholder"),
        (endless, Outcome.FAIL, "longer than 0.5 s"),
        (crash, Outcome.EXCEPTION, "`ZeroDivisionError: division by zero` in line "),
        (crash, Outcome.EXCEPTION, "`return x / 0`"),
        (3, Outcome.EXCEPTION, "kind of object"),
        (None, Outcome.NOT_ATTEMPTED, "write `twice`"),
        (..., Outcome.NOT_ATTEMPTED, ""),
        (unwritten, Outcome.NOT_ATTEMPTED, ""),
    ],
)
def test_outcomes(q, answer, outcome, words):
    result = q.grade(answer)
    assert result.outcome is outcome and words in result.text
    assert "/test_exercises" not in result.text, "no path"


def test_time_limit_in_another_thread():
    caught = []

    def work():
        with pytest.raises(TimeLimit), time_limit(0.2):
            endless(0)
        caught.append("ended")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert caught == ["ended"]


class Silent(float):
    @property
    def shape(self):
        raise AssertionError("asked only to describe a failure")


def test_numbers_in_an_answer():
    assert number([[2]], "f") == number(Silent(2), "f") == 2.0
    assert numbers([1, 2], "f", (2,)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "read, given, words",
    [
        (number, ("x", "f", "stars"), "`f` returned a str, expected one number: stars."),
        (number, (np.ones(2), "f"), "an array of shape (2,), expected one number."),
        (numbers, ([1, 2], "f", (3,)), "`f` returned the shape (2,), expected (3,)."),
        (numbers, ("x", "f", ()), "`f` returned a str, expected numbers."),
    ],
)
def test_what_is_not_the_number_asked_for_is_described(read, given, words):
    with pytest.raises(NotYet) as error:
        read(*given)
    assert words in str(error.value)


def test_messages_are_escaped_html_and_plain_text(q):
    result = q.grade(lambda x: (_ for _ in ()).throw(ValueError("<script>alert(1)</script>")))
    html = result._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert repr(result).startswith("99.1 EXCEPTION:")


def test_hints_come_in_order_and_the_course_goes_on(q, capsys):
    assert [q.hint().text for _ in range(3)] == ["double it", "2 * x", "2 * x"]
    assert "hint 2 of 2" in repr(q.hint())
    assert q.use(twice) is twice and not capsys.readouterr().out
    assert q.use(lambda x: x) is q.reference
    assert "going on with the course's `twice`" in capsys.readouterr().out


def test_a_wrong_definition_is_refused():
    with pytest.raises(ValueError, match="1 checks and 1 hints, expected 1 and 2"):
        Exercise("99.2", "x", [doubles], ["only one"], 1)
    with pytest.raises(ValueError, match="reasons"):
        Quiz("99.q2", "Which?", {"a": "x"}, "a", {})
    with pytest.raises(ValueError, match="registered twice"):
        register(exercises_of("00")[0])


@pytest.mark.parametrize(
    "answer, outcome, words",
    [
        ("B ", Outcome.PASS, "it is"),
        ("a", Outcome.FAIL, "this is not it"),
        ("z", Outcome.FAIL, "not one of the options"),
        (..., Outcome.NOT_ATTEMPTED, ""),
    ],
)
def test_quiz(quiz, answer, outcome, words):
    result = quiz.grade(answer)
    assert result.outcome is outcome and words in result.text


def test_quiz_buttons_check_and_remember_and_code_is_shown_as_code(home, monkeypatch, quiz):
    shown = []
    monkeypatch.setattr(interactive, "show_widget", lambda box, **k: shown.append((box, k)))
    quiz.ask(...)
    (box, instead), *_ = shown
    title, buttons, feedback = box.children
    assert title.value == "<strong>Is <code>a &lt; b</code>?</strong>"
    assert title.value in instead["html"] and "<li>a) <code>True</code></li>" in instead["html"]
    assert instead["text"].startswith("Is `a < b`?\n  a) `True`\n  b) no\n99.q1 NOT ATTEMPTED: ")
    assert buttons.value is None
    buttons.value = "a"
    assert "this is not it" in feedback.value and not home.exists()
    buttons.value = "b"
    assert stored(home) == ["99.q1"]


@pytest.mark.parametrize("name, known", [("00.77", "00.1"), ("77.1", "no exercises")])
def test_unknown_exercise_names_those_that_exist(name, known):
    with pytest.raises(KeyError, match=known):
        exercise(name)


def test_solution_is_read_from_the_source(tmp_path, monkeypatch, q):
    monkeypatch.setattr(grading, "SOLUTIONS", tmp_path)
    assert "not found" in q.solution().text
    answer = "    ### BEGIN SOLUTION 99.1\n    y = x\n    return y + x\n    ### END SOLUTION\n"
    (tmp_path / "99_toy.py").write_text(f"def twice(x):\n{answer}")
    assert q.solution().code == "y = x\nreturn y + x"


def test_progress_is_written_and_read_by_the_next_kernel(home, q):
    assert q.check(lambda x: x).outcome is Outcome.FAIL
    assert not home.exists(), "a wrong answer writes nothing"
    q.check(twice)
    assert stored(home) == ["99.1"]
    assert {p.suffix for p in home.parent.iterdir()} == {".json", ".lock"}, "no part is left"
    progress_file._session.clear()
    q.check(lambda x: x)
    assert "99.1" in done(), "a later wrong try takes nothing away"


@pytest.mark.parametrize(
    "content", ['{"done": ["99', "[1, 2]", '{"done": [1]}', '{"done": 1}', "null", "\x00\x01"]
)
def test_damaged_or_foreign_content_is_set_aside(home, q, content):
    home.parent.mkdir()
    home.write_text(content)
    assert done() == set()
    assert [p.name.startswith("progress.damaged-") for p in home.parent.iterdir()] == [True]
    q.check(twice)
    assert stored(home) == ["99.1"]


def refuse(*unused, **options):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("read_only", [True, False])
def test_progress_that_cannot_be_kept_is_known_to_this_kernel(home, q, monkeypatch, read_only):
    if read_only:
        monkeypatch.setattr(Path, "mkdir", refuse)
    else:
        monkeypatch.setenv("COURSE_PROGRESS", "")
    result = q.check(twice)
    assert result.outcome is Outcome.PASS and ("not on disk" in result.text) is read_only
    assert done() == {"99.1"} and not home.exists()


def test_two_kernels_do_not_overwrite_each_other(home):
    code = """
import sys
from helpers.exercises.progress_file import mark_done
for i in range(25): mark_done(f"99.{sys.argv[1]}{i}")
"""
    both = [subprocess.Popen([sys.executable, "-c", code, name], cwd=ROOT) for name in ("a", "b")]
    assert [p.wait(60) for p in both] == [0, 0] and len(stored(home)) == 50


def test_progress_bar_and_reset(home):
    assert "Chapter 00: 0 of" in repr(progress("00"))
    mark_done(exercises_of("00")[0].id)
    mark_done("01.1")
    assert "Chapter 00: 1 of" in repr(progress("00")) and "Chapter 00" in repr(progress())
    assert "width:" in progress("00")._repr_html_()
    reset("00")
    assert done() == {"01.1"} == set(stored(home))
