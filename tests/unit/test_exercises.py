"""The exercise API: four outcomes, time limit, hints, solutions, progress that survives accidents."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import interactive
from helpers.book import ROOT
from helpers.exercises import progress_file, source
from helpers.exercises.__main__ import main as report_main
from helpers.exercises.cases import Case, cases, difference, normals, same, shown
from helpers.exercises.checking import NotYet, TimeLimit, expect, time_limit
from helpers.exercises.converters import (
    array,
    integers,
    items,
    json_of,
    number,
    pair,
    single,
    whole,
)
from helpers.exercises.cost import grows, memory, multiplications, steps
from helpers.exercises.grading import Exercise, Quiz
from helpers.exercises.guesses import guess
from helpers.exercises.messages import COLOR, Message, Outcome
from helpers.exercises.progress_file import done, entries, remember, reset
from helpers.exercises.registry import exercise, exercises_of, progress, register

TOY = """
# %%
import numpy as np

FACTOR = 2


# %%
def twice(x):
    ### BEGIN SOLUTION 99.1
    y = FACTOR * x
    return y
    ### END SOLUTION


# %%
table = {"a": ..., "b": ...}
### BEGIN SOLUTION 99.2
table |= {"a": 1, "b": 2}
### END SOLUTION
"""


@pytest.fixture(autouse=True)
def toy(tmp_path, monkeypatch):
    """A chapter 99 with two exercises, beside chapter 00."""
    (tmp_path / "99_toy.py").write_text(TOY)
    first = ROOT / "solutions" / "00_start_here.py"
    (tmp_path / first.name).write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(source, "SOLUTIONS", tmp_path)
    source.cells_of.cache_clear()
    yield tmp_path
    source.cells_of.cache_clear()


def twice(x):
    return 2 * x


def three(rng):
    return (rng.integers(1, 9, 3),)


@pytest.fixture
def q():
    return Exercise(
        "99.1",
        "twice",
        array,
        cases=cases((np.array([1, -3]),), (np.array([[1, 2], [3, 4]]),)),
        inputs=three,
        mistakes=[
            ("return x**2", "that is the square."),
            ("return x", "that is `x` itself."),
            ("return 2 * abs(x)", "the sign is lost."),
        ],
        hints=["double it", "2 * x"],
        seconds=1.5,
    )


@pytest.fixture
def quiz():
    return Quiz("99.q1", "Is `a < b`?", "b", {"`True`": "this is not it", "no": "it is"})


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A progress file of our own, and a kernel that has seen nothing."""
    path = tmp_path / "folder" / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    monkeypatch.setattr(progress_file, "_session", {})
    return path


def stored(path):
    kept = json.loads(path.read_text())["exercises"]
    return sorted(i for i, entry in kept.items() if entry.get("done"))


def unwritten(x):
    raise NotImplementedError


def crash(x):
    return 1 / 0


def interrupt():
    raise KeyboardInterrupt


def endless(x):
    while True:
        try:
            x += 1
        except Exception:
            x = 0


def itself(x):
    return itself


def forever(x):
    return forever(x)


def doubled_in_place(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    "answer, outcome, words",
    [
        (twice, Outcome.PASS, "`twice` is right"),
        (lambda x: (2.0 * x).tolist(), Outcome.PASS, ""),
        (lambda x: pd.DataFrame(x) * 2 if x.ndim == 2 else pd.Series(x) * 2, Outcome.PASS, ""),
        (lambda x: np.float32(2) * x, Outcome.PASS, ""),
        (lambda x: x, Outcome.FAIL, "`twice([1, -3])` gave [1, -3], expected [2, -6]: that is `x`"),
        (lambda x: np.square(x), Outcome.FAIL, "expected [2, -6]: that is the square."),
        (lambda x: x + x[::-1], Outcome.FAIL, "gave [-2, -2], expected [2, -6]."),
        (lambda x: 2 * x if x.ndim == 1 else 2 * x.T, Outcome.FAIL, "[[2, 6], [4, 8]]"),
        (lambda x: 2 * np.minimum(x, 6), Outcome.FAIL, "expected"),
        (lambda x: (2 * x)[:1], Outcome.FAIL, "returned the shape (1,), expected (2,)"),
        (lambda x: None, Outcome.FAIL, "did you forget `return`"),
        (lambda x: ..., Outcome.FAIL, "placeholder"),
        (lambda x: (2 * i for i in x), Outcome.FAIL, "a generator, expected an array: wrap it in"),
        (lambda x: map(twice, x), Outcome.FAIL, "returned a map"),
        (lambda x: reversed([1]), Outcome.FAIL, "a list_reverseiterator, expected an array: wrap"),
        (lambda x: "22", Outcome.FAIL, "a str, expected an array"),
        (lambda x: {"x": 2}, Outcome.FAIL, "a dict of 1, expected an array"),
        (itself, Outcome.FAIL, "returned a function"),
        (doubled_in_place, Outcome.FAIL, "changed its argument `x`"),
        (endless, Outcome.FAIL, "longer than 1.5 s"),
        (lambda x: time.sleep(60), Outcome.FAIL, "longer than 1.5 s"),
        (crash, Outcome.EXCEPTION, "`ZeroDivisionError: division by zero` in line "),
        (crash, Outcome.EXCEPTION, "`return 1 / 0`, asked for `twice([1, -3])`."),
        (forever, Outcome.EXCEPTION, "`RecursionError"),
        (lambda x: np.zeros(2).sum(axis=7), Outcome.EXCEPTION, "axis 7 is out of bounds"),
        (lambda x: sys.exit("bye"), Outcome.EXCEPTION, "`SystemExit: bye` in line"),
        (lambda x: interrupt(), Outcome.EXCEPTION, "`KeyboardInterrupt` in line"),
        (lambda: 2, Outcome.EXCEPTION, "can't be called as the exercise says: `TypeError"),
        (3, Outcome.FAIL, "`twice` is a int, expected a function: `def twice("),
        (None, Outcome.NOT_ATTEMPTED, "write `twice`"),
        (..., Outcome.NOT_ATTEMPTED, ""),
        (unwritten, Outcome.NOT_ATTEMPTED, ""),
    ],
)
def test_outcomes(q, answer, outcome, words):
    result = q.grade(answer)
    assert result.outcome is outcome and words in result.text, repr(result)
    assert "/test_exercises" not in result.text, "no path"


def test_the_line_named_is_the_learners_own(q):
    """Not one of the standard library's or of NumPy's compiled files."""
    import statistics

    def answer(x):
        return np.array([statistics.mean([]), x])

    assert "`return np.array([statistics.mean([]), x])`" in q.grade(answer).text
    said = q.grade(lambda x: np.random.default_rng(0).choice([])).text
    assert "default_rng(0).choice([])" in said


def harm(x):
    np.seterr(all="raise")
    np.random.seed(3)  # noqa: NPY002
    np.mean = np.asarray = np.allclose = None
    np.linalg.norm = len
    pd.set_option("display.max_rows", 3)
    __builtins__["sum"] = max
    return 2 * x


def harm_and_raise(x):
    sys.stdout = random.random = None
    sys.setrecursionlimit(5000)
    np.set_printoptions(precision=1)
    raise BaseException("neither an error nor an exit")


@pytest.mark.parametrize(
    "answer, outcome", [(harm, Outcome.PASS), (harm_and_raise, Outcome.EXCEPTION)]
)
def test_what_an_answer_changes_for_the_kernel_is_given_back(q, answer, outcome):
    def state():
        drawn, rows = np.random.get_state()[1].tolist(), pd.get_option("display.max_rows")  # noqa: NPY002
        settings = np.geterr(), np.get_printoptions(), sys.stdout, sys.getrecursionlimit()
        return drawn, rows, settings, np.mean, np.linalg.norm, sum, random.random

    before = state()
    assert q.grade(answer).outcome is outcome and state() == before


def test_only_the_first_call_prints(q, capsys):
    def answer(x):
        print("x is", x.tolist())
        return 2 * x

    q.checks = [lambda answer: answer(np.ones(2))]
    assert q.grade(answer).outcome is Outcome.PASS
    assert capsys.readouterr().out == "x is [1, -3]\n"


def test_a_mistake_is_named_only_where_it_explains_every_call(q):
    """In the first call this answer is like the square; in the others it is not."""
    q.cases = cases((np.array([3, 1]),), (np.array([5, 5]),))
    said = q.grade(lambda x: np.where(x == 5, 7, x**2)).text
    assert said == "`twice([3, 1])` gave [9, 1], expected [6, 2]."


def test_mistakes_can_be_the_worked_answer_with_one_part_changed():
    mistakes = {"FACTOR * => FACTOR + ": "two is added.", "y = FACTOR * x => y = x": "that is x."}
    q = Exercise("99.1", "twice", cases=cases((5,)), mistakes=mistakes.items(), hints=["a", "b"])
    assert q.grade(lambda x: x + 2).text == "`twice(5)` gave 7, expected 10: two is added."
    assert q.grade(lambda x: x).text.endswith(": that is x.")
    with pytest.raises(LookupError, match="99.1: the answer has no 'FACTOR - ' to edit"):
        source.make("99.1", "twice", "FACTOR -  => FACTOR")


def test_a_value_of_one_call_can_mean_something(q):
    q.cases = [Case((np.array([1]),), where="of one", wrong=[([7], "seven is for luck.")])]
    assert "`twice` of one gave [7], expected [2]: seven" in q.grade(lambda x: [7]).text


def test_an_error_can_be_the_right_answer(q):
    q.inputs, q.cases = None, [Case((np.array([0]),), raises=ValueError)]

    def refuses(x):
        raise ValueError("not zero")

    assert q.grade(refuses).outcome is Outcome.PASS
    assert "gave [0], expected a `ValueError`" in q.grade(twice).text
    assert "raised ZeroDivisionError" in q.grade(crash).text


def test_a_property_is_judged_where_many_values_are_right(q):
    def even(got, x):
        expect((got % 2 == 0).all(), f"{got} is odd")

    q.inputs, q.cases = None, [Case((np.array([1]),), judge=even)]
    assert q.grade(lambda x: [4]).outcome is Outcome.PASS
    assert "is odd" in q.grade(lambda x: [5]).text


def test_an_answer_that_is_no_function_is_asked_like_one():
    q = Exercise(
        "99.2",
        "table",
        whole,
        asked=lambda table: table.get,
        cases=cases(("a",), ("b",)),
        hints=["1", "2"],
    )
    assert q.grade(q.reference).outcome is Outcome.PASS
    assert "`table('b')` gave 3, expected 2" in q.grade({"a": 1, "b": 3}).text


def test_what_passed_is_handed_on_converted(q):
    used = q.use(lambda x: (2 * x).tolist())
    assert isinstance(used(np.array([1, 2])), np.ndarray)
    assert used(x=np.array([3]))[0] == 6


def test_an_answer_checked_before_is_not_graded_again(q, monkeypatch, home):
    q.check(twice)
    monkeypatch.setattr(q, "grade", None)
    assert q.use(twice)(2) == 4
    assert q.use(source.make("99.1", "twice"))(2) == 4, "nor is the course's own"


def ones(n):
    return (np.ones((n, 3)),)


@pytest.mark.parametrize(
    "measure, cheap, dear",
    [
        (steps, lambda x: x.sum(axis=1), lambda x: [sum(row) for row in x]),
        (memory, lambda x: (x * x).sum(), lambda x: (x @ x.T).sum()),
        (multiplications, lambda x: (x.T @ x).sum(), lambda x: (x @ x.T).sum()),
        (multiplications, lambda x: np.dot(x, np.ones(3)), lambda x: np.einsum("ij,kj->", x, x)),
    ],
)
def test_costs_are_counted(measure, cheap, dear):
    at_most = 3 if measure is steps else 12
    check = grows(measure, at_most, ones(10), ones(100), "this grows too fast")
    check(cheap)
    with pytest.raises(NotYet, match="too fast"):
        check(dear)


def test_a_loop_in_a_function_of_another_cell_counts():
    cell = {}
    loop = "def loop(x):\n    return [sum(row) for row in x]"
    exec(compile(loop, "/tmp/ipykernel_1/22.py", "exec"), cell)
    with pytest.raises(NotYet, match="too fast"):
        grows(steps, 3, ones(10), ones(100), "this grows too fast")(lambda x: cell["loop"](x))


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


PAIR = pair(("ids", items), ("count", whole))


@pytest.mark.parametrize(
    "convert, value, right",
    [
        (number, [[2]], 2.0),
        (number, np.float32(2), 2.0),
        (whole, np.array([3.0]), 3),
        (array, [[1, 2]], np.array([[1.0, 2.0]])),
        (single, [[1, 2]], np.array([[1, 2]], dtype=np.float32)),
        (integers, [1.0, 2.0], np.array([1, 2])),
        (items, np.array([3, 1]), [3, 1]),
        (PAIR, [[1, 2], 2.0], ([1, 2], 2)),
    ],
)
def test_answers_of_other_types_are_converted(convert, value, right):
    got = convert(value, "f")
    assert type(got) is type(right) and same(got, right)
    assert not isinstance(got, np.ndarray) or got.dtype == right.dtype


@pytest.mark.parametrize(
    "convert, value, words",
    [
        (number, np.ones(2), "`f` returned an array of shape (2,), expected one number."),
        (number, "x", "a str, expected one number"),
        (whole, 2.5, "`f` returned 2.5, expected a whole number"),
        (whole, 25 + 1e-6, "`f` returned 25.000001, expected a whole number"),
        (integers, [0.5], "not whole"),
        (integers, [np.nan], "not whole"),
        (array, None, "did you forget `return`"),
        (PAIR, [1, 2, 3], "a list of 3, expected 2 values: `ids`"),
        (PAIR, 3, "a int, expected 2 values"),
        (PAIR, {1: 2, 3: 4}, "a dict of 2, expected `ids`"),
    ],
)
def test_what_can_not_be_used_is_described(convert, value, words):
    with pytest.raises(NotYet) as error:
        convert(value, "f")
    assert words in str(error.value)


@pytest.mark.parametrize(
    "got, right, words",
    [
        (1 / 3, 0.5, "gave 0.3333, expected 0.5"),
        ((2.0, 1.0), (1.0, 2.0), "the right values in the other order"),
        ((1.0, 3.0), (1.0, 2.0), "as value 2 of 2 gave 3, expected 2"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "turned over with `.T` it is right"),
        (np.arange(50.0), np.r_[np.arange(49.0), 7.5], "gave 49 at [49], expected 7.5"),
        ("a", "b", "gave 'a', expected 'b'"),
        ({"a": [1, {"x": 2}]}, {"a": [1, {"x": 3}]}, "has 2 at ['a'][1]['x'], expected 3"),
        ({"a": [{"x": 1}]}, {"a": [{"y": 1}]}, "has {'x': 1} at ['a'][0], expected {'y': 1}"),
        ({"a": 1}, {"a": 1, "b": 2}, "gave {'a': 1}, expected"),
        ([1, 2], [1, 2, 3], "gave [1, 2], expected [1, 2, 3]"),
        (["ab"], ["ab", 3], "gave ['ab'], expected ['ab', 3]"),
        ({1: 1 / 3}, {1: 0.5}, "has 0.3333 at [1], expected 0.5"),
        ({1: 1 / 3}, {2: 0.5}, "gave {1: 0.3333}, expected {2: 0.5}"),
    ],
)
def test_a_difference_is_named(got, right, words):
    assert not same(got, right) and words in difference(got, right)


def test_json_text_is_read():
    assert json_of(json.dumps)({"a": 1}) == json_of(lambda x: json.dumps(x).encode())({"a": 1})
    for write, words in (
        (lambda: {"a": 1}, "returned a dict of 1, expected text: use `json.dumps`"),
        (lambda: None, "did you forget `return`"),
        (lambda: "{'a': 1}", "is not JSON"),
        (lambda: json.dumps(np.int32(1)), "int32 is not JSON serializable: make Python's numbers"),
    ):
        with pytest.raises(NotYet, match=words):
            json_of(write)()


def test_normal_numbers_share_sizes_by_letter():
    a, b, c = normals("nk", "k", "")(np.random.default_rng(0))
    assert a.ndim == 2 and b.shape == a.shape[1:] and type(c) is float


def test_values_are_shown_short():
    assert shown(np.array([0.123456, 2.0])) == "[0.1235, 2]"
    assert shown(np.zeros((9, 9))) == "<shape (9, 9)>"
    assert shown(np.random.default_rng(0)) == "rng" and shown(twice) == "twice"
    assert shown("x" * 99).endswith("…")
    assert Case((1, "a"), keywords={"k": 2.5}).described("f") == "`f(1, 'a', k=2.5)`"


def test_messages_are_escaped_html_and_plain_text(q):
    result = q.grade(lambda x: (_ for _ in ()).throw(ValueError("<script>alert(1)</script>")))
    html = result._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert repr(result).startswith("99.1 EXCEPTION:")


def brightness(color):
    """Return the relative luminance of a color, as WCAG defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("background", ["#ffffff", "#111111"])
def test_a_message_is_seen_in_both_themes(background):
    for color in COLOR.values():
        low, high = sorted([brightness(color), brightness(background)])
        assert (high + 0.05) / (low + 0.05) >= 3, f"{color} on {background}"
    assert "color:" not in Message(Outcome.FAIL, "99.1 FAIL", "no")._repr_html_().split(">", 1)[1]


def test_hints_come_in_order_and_the_course_goes_on(q, capsys):
    assert [q.hint().text for _ in range(2)] == ["double it", "2 * x"]
    last = "99.1 hints: hint 2 was the last; `.solution()` shows one way to do it."
    assert repr(q.hint()) == last
    assert q.use(twice)(2) == 4 and not capsys.readouterr().out
    assert q.use(lambda x: x)(2) == 4
    assert "going on with the course's `twice`" in capsys.readouterr().out


def test_a_wrong_definition_is_refused():
    with pytest.raises(ValueError, match="1 cases, 0 checks, 1 hints; expected"):
        Exercise("99.2", "x", cases=cases((1,)), hints=["only one"])
    with pytest.raises(ValueError, match="the answer 'c' is none of"):
        Quiz("99.q2", "Which?", "c", {"x": "y"})
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
    assert "this is not it" in feedback.value and stored(home) == []
    buttons.value = "b"
    assert stored(home) == ["99.q1"]
    progress_file._session.clear()
    quiz.ask(...)
    box, instead = shown[-1]
    assert box.children[1].value == "b" and "99.q1 PASS" in instead["text"], "as it was answered"


@pytest.mark.parametrize("name, known", [("00.77", "00.1"), ("77.1", "no exercises")])
def test_unknown_exercise_names_those_that_exist(name, known):
    with pytest.raises(KeyError, match=known):
        exercise(name)


def test_solution_is_read_from_the_source(q, toy):
    assert q.solution().code == "y = FACTOR * x\nreturn y"
    assert source.make("99.1", "twice", "return FACTOR + x")(5) == 7
    assert source.make("99.2", "table") == {"a": 1, "b": 2}
    (toy / "99_toy.py").unlink()
    source.cells_of.cache_clear()
    assert "not found" in q.solution().text


def test_what_is_local_to_a_function_needs_no_cell():
    """Else a cell that happens to count with a name of an answer would run, and print."""
    code = "def f(rows):\n    total = 0\n    rows[0] = 1\n    for r in rows:\n        total += r"
    assert source.names(code) == ({"f"}, set())
    assert source.names("total += 1\nrows[0] = 1") == ({"total", "rows"}, {"total", "rows"})


def test_progress_is_written_and_read_by_the_next_kernel(home, q):
    assert q.check(lambda x: x).outcome is Outcome.FAIL
    assert stored(home) == []
    kept = {"attempts": 1, "outcome": "FAIL", "mistake": "that is `x` itself.", "done": False}
    assert entries() == {"99.1": kept}
    q.check(lambda x: x + 9)  # a slip without a name: the last one with a name stays
    for _ in range(3):  # run again, it is no further attempt
        q.check(twice)
    assert entries()["99.1"] == kept | {"attempts": 3, "outcome": "PASS", "done": True}
    assert stored(home) == ["99.1"]
    assert {p.suffix for p in home.parent.iterdir()} == {".json", ".lock"}, "no part is left"
    progress_file._session.clear()
    q.check(lambda x: x)
    assert "99.1" in done(), "a later wrong try takes nothing away"


@pytest.mark.parametrize(
    "content",
    [
        *('{"done": ["99', "[1, 2]", '{"version": 1, "done": 1}', '{"done": 1}', "null"),
        *("\x00\x01", '{"version": 2, "exercises": {"99.1": 3}}'),
        '{"version": 2, "exercises": {"99.1": {"attempts": "two"}}}',
    ],
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
from helpers.exercises.progress_file import remember
for i in range(25): remember(f"99.{sys.argv[1]}{i}", done=True)
"""
    both = [subprocess.Popen([sys.executable, "-c", code, name], cwd=ROOT) for name in ("a", "b")]
    assert [p.wait(60) for p in both] == [0, 0] and len(stored(home)) == 50


def test_progress_bar_and_reset(home):
    assert "Chapter 00: 0 of" in repr(progress("00"))
    remember(exercises_of("00")[0].id, done=True)
    remember("01.1", done=True)
    assert "Chapter 00: 1 of" in repr(progress("00")) and "Chapter 00" in repr(progress())
    assert "width:" in progress("00")._repr_html_()
    assert "The course: 2 of" in repr(progress()) and "Chapter 01" not in repr(progress("00"))
    reset("00")
    assert done() == {"01.1"} == set(stored(home))


def test_progress_of_the_first_version_is_kept(home, q):
    home.parent.mkdir()
    home.write_text('{"version": 1, "done": ["00.1", "99.1"]}')
    assert done() == {"00.1", "99.1"}
    q.check(lambda x: x)
    assert stored(home) == ["00.1", "99.1"]


def test_a_right_answer_says_how_much_of_the_chapter_is_done(home):
    first, second = exercises_of("00")[0], exercises_of("00")[1]
    first.check(first.reference)
    assert "(2 of 7 in this chapter)" in second.check("c").text


@pytest.mark.parametrize("choices", [(), ("5 ms", "50 ms")])
def test_a_guess_is_kept_and_quoted(home, monkeypatch, choices):
    shown = []
    monkeypatch.setattr(interactive, "show_widget", lambda box, **k: shown.append((box, k)))
    assert "you did not say what you expect; it is 50 ms" in repr(guess("05").meets("50 ms"))
    guess("05", "How long?", choices)
    (box, instead), *_ = shown
    assert instead["text"].startswith("How long?") and "Run this cell" in instead["text"]
    _, control, kept = box.children
    control.value = "5 ms"
    assert "kept: 5 ms" in kept.value
    progress_file._session.clear()  # the next day
    assert repr(guess("05").meets("50 ms")) == "05 guess: you said 5 ms; it is 50 ms."
    guess("05", "How long?", choices)
    assert shown[1][0].children[1].value == "5 ms" and done() == set()


def test_a_table_for_a_teacher(home, capsys, tmp_path):
    first = exercises_of("00")[0]
    first.check(lambda ratings, users, items: ratings)
    path = tmp_path / "mine.csv"
    assert report_main([str(path)]) == 0 and "The course: 0 of" in capsys.readouterr().out
    rows = path.read_text().splitlines()
    assert rows[0] == "exercise,outcome,attempts,mistake"
    assert rows[1].startswith("00.1,FAIL,1,") and "number of ratings" in rows[1]
    assert rows[2] == "00.q1,NOT ATTEMPTED,0,"
    assert report_main([str(path)]) == 0, "it is written again"
    (tmp_path / "thesis.txt").write_text("years of work")
    assert report_main([str(tmp_path / "thesis.txt")]) == 1
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert report_main([str(tmp_path / "thesis.txt" / "x.csv")]) == 1 and report_main([]) == 0
