"""The house: rooms in order, without circles, within their budgets, and nothing in them unused.

Lines of at most 100 characters are ruff's to check (E501).
"""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import sys
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter

import pytest

from helpers.book import ROOT
from tests.house import FUNCTION, House

MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: the rows of the table of rooms: their names, and the lines they may have together ("–": any)
ROOMS = [
    (re.findall(r"`(\w+)(?:\.py|/)`", rooms), int(lines.replace(",", "").replace("–", "99999")))
    for rooms, lines in re.findall(r"^\| (`.*?`) \|.*\| ([\d,]+|–) \|$", MAP, re.MULTILINE)
]
ORDER = [room for rooms, _ in ROOMS for room in rooms]
#: names that later issues will use
AWAITED = {"time_split", "read_ratings"}
CALLERS = ("solutions", "chapters", "tests/benchmarks")
HOUSE = House(ROOT)
SAGEMAKER = House(ROOT, "local_sagemaker")


def room_of(module):
    return module.split(".")[1] if "." in module else ""


def is_checks(module):
    """What says whether an answer is right, and the words for it."""
    return re.search(r"\.(checks_\d\d|cases|converters|cost)$", module) is not None


def trees(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def lines_of(paths):
    return sum(len(p.read_text(encoding="utf-8").splitlines()) for p in paths)


def none_of(offenders):
    found = list(offenders)
    assert not found, "\n".join(found)


def test_a_room_imports_only_rooms_above_it():
    none_of(
        f"{file} imports {other}"
        for file, others in HOUSE.import_graph().items()
        for other in sorted(others)
        if not room_of(file) or ORDER.index(room_of(other)) > ORDER.index(room_of(file))
    )


def test_the_local_sagemaker_imports_nothing_of_helpers():
    none_of(
        f"{module.name} imports {source}"
        for module in SAGEMAKER.modules.values()
        for _, source, _ in module.imports()
        if source.split(".")[0] in ("helpers", "tests")
    )


def test_no_files_import_each_other_in_a_circle():
    """Imports inside functions count."""
    graph = HOUSE.import_graph() | SAGEMAKER.import_graph()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_the_map_names_files_that_exist():
    named = re.findall(r"`(helpers/[\w/]+(?:\.py)?)`", MAP)
    assert len(named) > 5
    none_of(name for name in named if not (ROOT / name.replace("NN", "01")).exists())


def test_rooms_keep_their_budgets():
    assert len(ROOMS) > 10 and {r for r in map(room_of, HOUSE.modules) if r} == set(ORDER)
    lines = Counter()
    for module in HOUSE.modules.values():
        if not is_checks(module.name):
            lines[room_of(module.name)] += lines_of([module.path])
    none_of(
        f"{' and '.join(rooms)}: {found} lines, {budget} at most"
        for rooms, budget in ROOMS
        if (found := sum(lines[room] for room in rooms)) > budget
    )


def test_the_house_and_its_tests_keep_their_budgets():
    other = [m for m in HOUSE.modules.values() if room_of(m.name) in ("cloud", "publish")]
    rooms = [m.path for m in HOUSE.modules.values() if not (m in other or is_checks(m.name))]
    # what is measured by hand, and lists of answers
    aside = ("benchmarks", "answers_", "test_publish")
    tests = [p for p in (ROOT / "tests").rglob("*.py") if not any(a in str(p) for a in aside)]
    assert len(rooms) <= 80
    assert lines_of(rooms) <= 10_800
    assert lines_of(tests) <= 16_000  # of them 6,600 for the faults and notebooks of SageMaker


def test_the_local_sagemaker_keeps_its_budget():
    assert lines_of(module.path for module in SAGEMAKER.modules.values()) <= 6_000


def test_a_class_of_helpers_or_the_local_sagemaker_has_a_name_of_its_own():
    places = defaultdict(set)
    for path, tree in trees("helpers", "local_sagemaker", "solutions", "chapters", "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(path)
    none_of(
        f"{name}: {', '.join(sorted(paths))}"
        for name, paths in places.items()
        if len(paths) > 1 and any(p.startswith(("helpers/", "local_sagemaker/")) for p in paths)
    )


def test_no_function_takes_more_than_eight_arguments():
    none_of(
        f"{path}: {node.name}"
        for path, tree in trees("helpers", "local_sagemaker", "solutions", "tests")
        for node in ast.walk(tree)
        if isinstance(node, FUNCTION)
        and len({a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)} - {"self"}) > 8
    )


def test_every_public_name_is_used():
    """By a chapter, the runner, README, a benchmark that it names, `cloud`, or a used name.

    Tests alone keep nothing alive, nor does a re-export.
    """
    callers = [p for folder in CALLERS for p in (ROOT / folder).rglob("*.py")]
    words = MAP + (ROOT / "README.md").read_text(encoding="utf-8")
    # settings of the kernels name `restart` in a text
    roots = {"helpers.__main__", "helpers.exercises.restart"}
    roots |= {m for m in HOUSE.modules if room_of(m) in ("cloud", "publish") or is_checks(m)}
    public = {s for m in HOUSE.modules.values() if m.name not in roots for s in HOUSE.public(m)}
    awaited = {s for s in public if s[1] in AWAITED}
    assert {name for _, name in awaited} == AWAITED
    unused = public - HOUSE.used(callers, words, roots, awaited)
    none_of(
        f"{module}.{name} is used by nothing but tests"
        for module, name in sorted(unused)
        if "." not in name or (module, name.split(".")[0]) not in unused
    )


def test_names_used_by_nothing_but_tests_and_each_other_are_found(tmp_path):
    for name, text in {
        "helpers/__init__.py": "",
        "helpers/room/__init__.py": "from .file import dead, used",
        "helpers/room/file.py": "def used(): return _own()\ndef _own(): return needed()\n"
        "def needed(): ...\ndef dead(): return dead_too()\ndef dead_too(): ...\n"
        "class Kept:\n    def asked(self): ...\n    def never(self): ...\n",
        "solutions/01.py": "from helpers import room\nfrom helpers.room.file import Kept\n"
        "room.used()\nKept().asked()\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    house = House(tmp_path)
    public = {s for m in house.modules.values() for s in house.public(m)}
    used = house.used([tmp_path / "solutions/01.py"], "", set(), set())
    assert {name for _, name in public - used} == {"dead", "dead_too", "Kept.never"}


def test_model_servers_and_algorithms_know_nothing_of_the_service():
    for folder in ("serving", "algorithms"):
        for path in (ROOT / "local_sagemaker" / folder).rglob("*.py"):
            assert "local_sagemaker.service" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("room", ["service", "serving"])
def test_a_room_names_all_its_files(room):
    folder = ROOT / "local_sagemaker" / room
    words = (folder / "__init__.py").read_text(encoding="utf-8")
    missing = [
        p.stem for p in folder.glob("*.py") if p.stem != "__init__" and f"`{p.stem}`" not in words
    ]
    assert not missing, f"{room}/__init__.py should say what {missing} hold"


def test_examples_in_docstrings_are_true():
    examples, failed = 0, []
    for name, module in HOUSE.modules.items():
        if ">>>" in module.path.read_text(encoding="utf-8"):
            result = doctest.testmod(importlib.import_module(name))
            examples += result.attempted
            failed += [name] * bool(result.failed)
    assert examples
    none_of(failed)


def run(code):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_rooms_and_all_models_import_without_a_framework():
    rooms = {f"helpers.{room_of(m)}" for m in HOUSE.modules} - {"helpers.", "helpers.__main__"}
    heavy = ("tensorflow", "keras", "mxnet", "faiss", "sklearn", "sagemaker", "torch")
    names = [m for m in HOUSE.modules if m in rooms or m.startswith("helpers.models.")]
    imports = "\n".join(f"import {name}" for name in names)
    code = f"import sys\n{imports}\nprint([m for m in {heavy} if m in sys.modules])"
    assert len(names) > 20 and run(code) == "[]", "frameworks load where they are first used"


def test_helpers_and_the_runner_need_the_standard_library_only():
    code = "import sys, helpers.runner, helpers.files\nprint(sorted(sys.modules))"
    alone = "import site, sys\nprint(sorted(sys.modules))"
    loaded = set(ast.literal_eval(run(code))) - set(ast.literal_eval(run(alone)))
    more = {m for m in loaded if m.split(".")[0] not in {*sys.stdlib_module_names, "helpers"}}
    assert more == {"local_sagemaker", "local_sagemaker.files"}, "and what both share"
