"""`python -m helpers class`: a folder of progress files becomes a table and a heat map."""

from __future__ import annotations

import csv
import json
import re

import pytest

from helpers.exercises import exercises_of, registry
from helpers.publish import __main__ as publish
from helpers.publish import classroom
from helpers.runner.machine import CannotRun

SAID = "the root is missing; without it the error is in squared stars."


def entry(outcome, attempts=1, **more):
    return {"outcome": outcome, "attempts": attempts, "done": outcome == "PASS", **more}


GOOD = {
    "anna.json": {"02.1": entry("PASS", 5), "02.3": entry("FAIL", 2), "02.guess": {"guess": "A"}},
    "bert.json": {"02.1": entry("FAIL", 3, mistake=SAID), "02.99": entry("PASS")},
    "cleo.json": {"02.1": entry("EXCEPTION", 1, mistake="=1+1"), "02.3": entry("PASS")},
}
BAD = {
    "cut.json": ('{"version": 2, "exer', "damaged, or no progress file"),
    "deep.json": ("[" * 100_000, "damaged, or no progress file"),
    "later.json": ('{"version": 3, "exercises": {}}', "its version is 3, expected 1 or 2"),
    "list.json": ("[1, 2]", "damaged, or no progress file"),
    "much.json": (" " * classroom.LARGEST + "{}", "damaged, or no progress file"),
    "picture.png": (b"\x89PNG\r\n\x1a\n", "damaged, or no progress file"),
    "words.json": ('{"version": 2, "exercises": {"02.1": {"outcome": "BEST"}}}', "damaged"),
    "shape.json": ('{"version": 2, "exercises": [1]}', "damaged"),
    "foreign.json": ('{"version": 2, "exercises": {"x": {}}}', "its exercises are no numbers"),
    "endless.json": ('{"version": 2, "exercises": {"02.1": {"attempts": 1e999}}}', "damaged"),
    "half.json": ('{"version": 2, "exercises": {"02.1": {"mistake": "\\ud800"}}}', "damaged"),
    "wide.csv": ("exercise,outcome\n02.1," + "x" * 200_000 + "\n", "damaged"),
    "rounded.csv": ("exercise,outcome\n2.1,PASS\n2.3,FAIL\n", "its exercises are no numbers"),
    "tries.json": ('{"version": 2, "exercises": {"02.1": {"done": true, "attempts": -1}}}', "dam"),
    "other.csv": ("exercise,name\n02.1,rmse\n", "damaged, or no progress file"),
    "empty.json": ("", "damaged, or no progress file"),
}


def hand_in(folder):
    folder.mkdir(exist_ok=True)
    for name, exercises in GOOD.items():
        content = {"version": 2, "exercises": exercises}
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["exercise"]: row for row in csv.DictReader(file)}


def test_a_class_becomes_a_table_a_page_and_a_picture(tmp_path, capsys):
    assert classroom.main([str(hand_in(tmp_path))]) == 0
    said = capsys.readouterr().out
    assert (
        "bert.json: this version has no 02.99; the rest counts." in said and "left out" not in said
    )
    rows = rows_of(tmp_path / "class" / "class.csv")
    assert [*rows] == [q.id for q in exercises_of("02")]  # the chapter that was tried, no other
    assert [rows["02.1"][label] for label in "123"] == ["PASS 5", "FAIL 3", "EXCEPTION 1"]
    assert rows["02.1"]["name"] == exercises_of("02")[0].name
    assert (rows["02.1"]["right"], rows["02.1"]["not yet"], rows["02.1"]["times"]) == (
        "1",
        "2",
        "1",
    )
    assert {row["1"] for id, row in rows.items() if id not in ("02.1", "02.3")} == {""}
    page = (tmp_path / "class" / "class.html").read_text(encoding="utf-8")
    assert SAID in page and "http" not in page
    assert "anna" not in page and "bert" not in page, "the page may be shown to the class"
    heat_map = page.split('<table class="map">')[1].split("</table>")[0]
    cells = re.findall(r'<td class="(\w+)">(.*?)</td>', heat_map.split("02.1 ")[1])[:3]
    assert cells == [("late", "✓5"), ("open", "✗3"), ("error", "!1")]
    again = sorted(path.name for path in (tmp_path / "class").iterdir())
    assert classroom.main([str(tmp_path)]) == 0  # what it wrote is not read
    assert again == sorted(path.name for path in (tmp_path / "class").iterdir())
    assert "of 3 learners" in capsys.readouterr().out


def test_the_folder_may_be_its_own_place_for_the_outputs(tmp_path):
    for _ in range(2):
        assert classroom.main([str(hand_in(tmp_path)), "--out", str(tmp_path)]) == 0
    assert rows_of(tmp_path / "class.csv")["02.1"]["2"] == "FAIL 3"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_one_sentence_and_the_rest_goes_on(tmp_path, capsys, name):
    content, why = BAD[name]
    path = hand_in(tmp_path) / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert classroom.main([str(tmp_path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert {"1: anna.json", "2: bert.json", "3: cleo.json"} <= {*told}, "who has which number"
    lines = [line for line in told if line.startswith(name)]
    assert len(lines) == 1 and lines[0].startswith(f"{name} is left out: {why}"[: len(lines[0])])
    assert len(rows_of(tmp_path / "class" / "class.csv")["02.1"]) == 7 + len(GOOD)


def test_tables_of_the_progress_command_are_read_too_also_saved_by_a_spreadsheet(tmp_path):
    text = registry.report().replace("02.1,NOT ATTEMPTED,0,", f'02.1,FAIL,4,"{SAID}"')
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    rows = [";".join(row) for row in csv.reader(text.splitlines())]
    (tmp_path / "b.csv").write_text("\ufeff" + "\r\n".join(rows).replace(f"{SAID}", f'"{SAID}"'))
    old = {"version": 1, "done": ["02.3"]}
    (tmp_path / "c.json").write_text(json.dumps(old))
    quoted = [",".join(f'"{cell}"' for cell in row) for row in csv.reader(text.splitlines())]
    (tmp_path / "d.csv").write_text("\n".join(quoted))
    (tmp_path / "e.csv").write_text("\n".join(quoted).replace('","', '"\t"'))
    assert classroom.main([str(tmp_path)]) == 0
    row = rows_of(tmp_path / "class" / "class.csv")
    assert [row["02.1"][n] for n in "12345"] == ["FAIL 4", "FAIL 4", "", "FAIL 4", "FAIL 4"]
    assert row["02.3"]["3"] == "PASS 1"


def test_no_text_in_the_table_is_a_formula(tmp_path):
    hand_in(tmp_path)
    (tmp_path / "bert.json").unlink()
    assert classroom.main([str(tmp_path)]) == 0
    assert rows_of(tmp_path / "class" / "class.csv")["02.1"]["usual mistake"] == "'=1+1"


def test_a_folder_without_tries_says_so(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(CannotRun, match="no progress file shows a try"):
            classroom.main([str(folder)])


def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    arguments = ["classroom", str(hand_in(tmp_path / "in")), "--out", str(tmp_path / "file")]
    assert publish.main(arguments) == 2
    assert f"{tmp_path / 'file'} cannot be written (" in capsys.readouterr().err
