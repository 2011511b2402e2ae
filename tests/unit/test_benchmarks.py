"""The benchmarks can be started; what they measure is for their readers."""

from __future__ import annotations

import importlib

import pytest

from tests.benchmarks.__main__ import HERE, main

NAMES = sorted(path.stem for path in HERE.glob("bench_*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_imports_is_there(name):
    assert callable(importlib.import_module(f"tests.benchmarks.{name}").run)


def test_an_unknown_benchmark_is_answered_with_those_there_are(capsys):
    assert main(["no-such"]) == 2
    first = NAMES[0].removeprefix("bench_")
    assert f"no benchmark no-such; there are {first}" in capsys.readouterr().out
