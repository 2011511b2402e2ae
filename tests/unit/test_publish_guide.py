"""`python -m helpers guide`: every exercise and quiz is in it, and its minutes are the chapters'."""

from __future__ import annotations

import re

import pytest

from helpers import book
from helpers.exercises import exercises_of
from helpers.exercises.grading import Quiz
from helpers.publish import __main__ as publish
from helpers.publish import guide
from helpers.publish.chapters import chapter
from tests.exercises.test_answers import answers
from tests.notebooks.test_minutes import minutes

PATHS = book.sources()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("guide") / "guide.html"
    assert guide.main([str(out)]) == 0
    return out.read_text(encoding="utf-8")


def part(page, id):
    return page.split(f'<h4 id="e{id}">')[1].split("<h4")[0]


@pytest.mark.parametrize("number", [path.name[:2] for path in PATHS])
def test_every_exercise_and_quiz_has_wrong_answers_and_a_question(page, number):
    for q in exercises_of(number):
        text = part(page, q.id)
        if isinstance(q, Quiz):
            assert text.count("<em>Ask:</em>") == len(q.options) - 1 >= 2
        else:
            assert re.search(r"<strong>Ask:</strong> .*\?", text), q.id
            assert text.count("<li>") >= 2 and f" {q.minutes} min" in text, q.id


def test_a_folder_where_a_file_should_be_is_named(tmp_path, capsys):
    assert publish.main(["guide", str(tmp_path)]) == 2
    assert f"{tmp_path} cannot be written (" in capsys.readouterr().err


def test_nothing_asks_a_server_and_no_exercise_is_made_up(page):
    assert "http" not in page and "<script" not in page
    known = {q.id for path in PATHS for q in exercises_of(path.name[:2])}
    assert set(re.findall(r'<h4 id="e(.*?)">', page)) == known
    added = guide.ADDED
    asked = {id for path in PATHS for id in added[path.name[:2]]["ask"]} | set(added["wrong"])
    assert asked <= known, "guide.yaml names an exercise that is gone"
    named = re.findall(r"xercises? (\d\d\.\d+)(?: and (\d\d\.\d+))?", page)
    assert named and {id for ids in named for id in ids if id} <= known
    assert all(len(added[path.name[:2]]["discuss"]) == 3 for path in PATHS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name[:2])
def test_minutes_of_sections_add_up_to_those_of_the_chapter(path):
    found = guide.sections(chapter(path))
    cells = book.read(path).cells
    assert sum(spent for *_, spent, _ in found) == pytest.approx(minutes(cells), abs=0.1)
    ids = [id for *_, ids in found for id in ids]
    assert sorted(ids) == sorted(q.id for q in exercises_of(path.name[:2]))


def test_wrong_answers_in_words_get_what_a_tested_mistake_gets():
    for id, said in guide.ADDED["wrong"].items():
        mistakes = answers(id[:2]).MISTAKES[id]
        assert all(any(part in one for _, part in mistakes) for one in said), id


def test_each_day_of_a_plan_ends_in_time(page):
    ends = [60 * int(h) + int(m) for h, m in re.findall(r"<strong>(\d):(\d\d)</strong> End", page)]
    hours = [195, 360, 360, 360]
    assert all(most - 70 < end < most for end, most in zip(ends, hours, strict=True)), ends
    assert page.count("take first: ") == len(PATHS)  # a part that the chapter has
