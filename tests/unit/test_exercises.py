"""The exercise API: four outcomes, time limit, hints, solutions, progress that survives accidents."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from helpers.exercises import Exercise, Outcome, Quiz, api, exercise, exercises_of, expect, progress
from helpers.exercises import progress as _progress_function
from helpers.exercises import source as exercise_source
from helpers.exercises.limit import TimeLimit, time_limit

progress_module = sys.modules["helpers.exercises.progress"]


def twice(x):
    return 2 * x


def doubles(f):
    expect(f(2) == 4, "`twice` of 2: expected 4 on the toy input")


@pytest.fixture
def q():
    return Exercise("99.1", "twice", [doubles], ["double it", "2 * x"], twice, seconds=0.5)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A progress file of our own, and a kernel that has seen nothing."""
    path = tmp_path / "folder" / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    monkeypatch.setattr(progress_module, "_session", set())
    return path


def test_four_outcomes(q):
    def unwritten(x):
        raise NotImplementedError

    def crash(x):
        return x / 0

    assert q.grade(twice).outcome is Outcome.PASS
    assert q.grade(lambda x: 2.0 * x).outcome is Outcome.PASS
    wrong = q.grade(lambda x: x)
    assert wrong.outcome is Outcome.FAIL
    assert "expected 4" in wrong.text
    crashed = q.grade(crash)
    assert crashed.outcome is Outcome.EXCEPTION
    assert "ZeroDivisionError" in crashed.text
    assert "return x / 0" in crashed.text, "the learner's own line is shown"
    assert "/" + "test_exercises" not in crashed.text, "and no path"
    for nothing in ((), (None,), (...,), (unwritten,)):
        assert q.grade(*nothing).outcome is Outcome.NOT_ATTEMPTED


def test_forgotten_return_and_placeholder_result_are_named(q):
    assert "did you forget `return`" in q.grade(lambda x: None).text
    assert "placeholder" in q.grade(lambda x: ...).text


def test_wrong_kind_of_object_is_an_exception_that_says_so(q):
    result = q.grade(3)
    assert result.outcome is Outcome.EXCEPTION
    assert "kind of object" in result.text


def test_endless_loop_ends_in_a_sentence(q):
    def endless(x):
        while True:
            try:
                x += 1
            except Exception:
                x = 0

    result = q.grade(endless)
    assert result.outcome is Outcome.FAIL
    assert "longer than 0.5 s" in result.text


def test_time_limit_in_another_thread():
    caught = []

    def work():
        try:
            with time_limit(0.2):
                while True:
                    pass
        except TimeLimit:
            caught.append("ended")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert caught == ["ended"]
    with pytest.raises(ValueError, match="positive"), time_limit(0):
        pass


def test_messages_are_escaped_html_and_plain_text(q):
    result = q.grade(lambda x: (_ for _ in ()).throw(ValueError("<script>alert(1)</script>")))
    assert "<script>" not in result._repr_html_()
    assert "&lt;script&gt;" in result._repr_html_()
    assert repr(result).startswith("99.1 EXCEPTION:")


def test_hints_come_in_order_and_stay(q):
    assert [q.hint().text for _ in range(3)] == ["double it", "2 * x", "2 * x"]
    assert "hint 1 of 2" not in repr(q.hint())


def test_use_goes_on_with_the_right_one(q, capsys):
    assert q.use(twice) is twice
    assert capsys.readouterr().out == ""
    assert q.use(lambda x: x) is q.reference
    assert "going on with the course's `twice`" in capsys.readouterr().out


def test_exercise_needs_checks_and_two_hints():
    with pytest.raises(ValueError, match="2 hints|1 hints|1 and 2"):
        Exercise("99.2", "x", [doubles], ["only one"], 1)


def test_quiz():
    quiz = Quiz(
        "99.q1", "Which?", {"a": "this", "b": "that"}, "b", {"a": "this is not it", "b": "it is"}
    )
    assert quiz.grade("B ").outcome is Outcome.PASS
    assert quiz.grade("B ").text == "it is"
    assert quiz.grade("a").text == "this is not it"
    assert "not one of the options" in quiz.grade("z").text
    assert quiz.grade(...).outcome is Outcome.NOT_ATTEMPTED
    with pytest.raises(ValueError, match="reasons"):
        Quiz("99.q2", "Which?", {"a": "x"}, "a", {})


def test_quiz_buttons_check_and_remember(home, monkeypatch):
    import ipywidgets as widgets

    from helpers.exercises.quiz import show_quiz

    made = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: None)
    real = widgets.RadioButtons
    monkeypatch.setattr(widgets, "RadioButtons", lambda **k: made.append(real(**k)) or made[-1])
    quiz = Quiz("99.q1", "Which?", {"a": "this", "b": "that"}, "b", {"a": "no", "b": "yes"})
    show_quiz(quiz, ...)
    assert made[0].value is None
    made[0].value = "a"
    assert not home.exists()
    made[0].value = "b"
    assert "99.q1" in json.loads(home.read_text())["done"]


def test_code_in_a_quiz_is_shown_as_code(home, monkeypatch):
    import ipywidgets as widgets

    from helpers.exercises.quiz import show_quiz

    shown, made = [], []
    monkeypatch.setattr("IPython.display.display", lambda data, **k: shown.append(data))
    real = widgets.HTML
    monkeypatch.setattr(widgets, "HTML", lambda **k: made.append(real(**k)) or made[-1])
    show_quiz(
        Quiz("99.q1", "Is `a < b`?", {"a": "`True`", "b": "no"}, "a", {"a": "yes", "b": "no"}), ...
    )
    assert "<strong>Is <code>a &lt; b</code>?</strong>" in shown[0]["text/html"]
    assert "<li>a) <code>True</code></li>" in shown[0]["text/html"]
    assert any(w.value == "<strong>Is <code>a &lt; b</code>?</strong>" for w in made)


def test_unknown_exercise_names_those_that_exist():
    with pytest.raises(KeyError, match="00.1"):
        exercise("00.77")
    with pytest.raises(KeyError, match="no exercises"):
        exercise("77.1")


def test_register_refuses_a_second_of_the_same_id():
    first = exercises_of("00")[0]
    with pytest.raises(ValueError, match="registered twice"):
        api.register(first)


def test_solution_is_read_from_the_source(tmp_path, monkeypatch, q):
    monkeypatch.setattr(exercise_source, "SOLUTIONS", tmp_path)
    assert "not found" in q.solution().text
    text = "def twice(x):\n    ### BEGIN SOLUTION 99.1\n    y = x\n    return y + x\n    ### END SOLUTION\n"
    (tmp_path / "99_toy.py").write_text(text)
    assert q.solution().code == "y = x\nreturn y + x"


def test_progress_is_written_and_read_by_the_next_kernel(home, q):
    assert q.check(lambda x: x).outcome is Outcome.FAIL
    assert not home.exists(), "a wrong answer writes nothing"
    q.check(twice)
    assert json.loads(home.read_text())["done"] == ["99.1"]
    assert [p.name for p in home.parent.iterdir()] == ["progress.json"], (
        "no temporary or lock file stays"
    )
    progress_module._session.clear()
    assert "99.1" in progress_module.done()
    q.check(lambda x: x)
    assert "99.1" in progress_module.done(), "a later wrong try takes nothing away"


def test_damaged_progress_is_set_aside(home, q):
    home.parent.mkdir()
    home.write_text('{"done": ["99')
    assert progress_module.done() == set()
    assert [p.name.startswith("progress.damaged-") for p in home.parent.iterdir()] == [True]
    q.check(twice)
    assert "99.1" in json.loads(home.read_text())["done"]


@pytest.mark.parametrize("content", ["[1, 2]", '{"done": [1]}', "null", "\x00\x01"])
def test_foreign_content_is_set_aside(home, content):
    home.parent.mkdir()
    home.write_text(content)
    assert progress_module.done() == set()


def test_read_only_home_loses_progress_not_the_lesson(home, q, monkeypatch):
    def refuse(*a, **k):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    result = q.check(twice)
    assert result.outcome is Outcome.PASS
    assert "not on disk" in result.text
    assert "99.1" in progress_module.done(), "this kernel still knows"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_folder(home, q):
    home.parent.mkdir()
    home.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert q.check(twice).outcome is Outcome.PASS


def test_empty_variable_keeps_nothing(monkeypatch, q):
    monkeypatch.setattr(progress_module, "_session", set())
    monkeypatch.setenv("COURSE_PROGRESS", "")
    assert progress_module.progress_file() is None
    assert q.check(twice).outcome is Outcome.PASS
    assert progress_module.done() == {"99.1"}


def test_two_kernels_do_not_overwrite_each_other(home):
    code = """
        import sys
        from helpers.exercises import progress
        import helpers.exercises.progress as p
        p = sys.modules["helpers.exercises.progress"]
        for i in range(25):
            p.mark_done(f"99.{sys.argv[1]}{i}")
    """
    root = Path(__file__).resolve().parents[2]
    run = [sys.executable, "-c", textwrap.dedent(code)]
    both = [subprocess.Popen([*run, name], cwd=root, env=dict(os.environ)) for name in ("a", "b")]
    assert [p.wait(60) for p in both] == [0, 0]
    assert len(json.loads(home.read_text())["done"]) == 50


def test_lock_left_by_a_killed_kernel_does_not_stop_the_next(home, q):
    home.parent.mkdir()
    lock = home.with_suffix(".lock")
    lock.touch()
    os.utime(lock, (1, 1))
    q.check(twice)
    assert "99.1" in json.loads(home.read_text())["done"]
    assert not lock.exists()


def test_progress_bar_and_reset(home):
    assert "Chapter 00: 0 of" in repr(progress("00"))
    q = exercises_of("00")[0]
    progress_module.mark_done(q.id)
    assert "Chapter 00: 1 of" in repr(progress("00"))
    assert "width:" in progress("00")._repr_html_()
    progress_module.mark_done("01.1")
    progress_module.reset("00")
    assert progress_module.done() == {"01.1"}
    assert "Chapter 00" in repr(_progress_function())


def test_importing_helpers_loads_no_framework():
    code = "import helpers, helpers.exercises, sys; print([m for m in ('tensorflow', 'mxnet', 'faiss', 'sklearn', 'pandas') if m in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
