"""The benchmarks can be started; what they measure is for their readers."""

from __future__ import annotations

import importlib

import pytest

from tests.benchmarks import bench_peers, bench_scale
from tests.benchmarks.__main__ import HERE, main
from tests.benchmarks.planted_million import planted_million

NAMES = sorted(path.stem for path in HERE.glob("bench_*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_imports_is_there(name):
    assert callable(importlib.import_module(f"tests.benchmarks.{name}").run)


def test_an_unknown_benchmark_is_answered_with_those_there_are(capsys):
    assert main(["no-such"]) == 2
    first = NAMES[0].removeprefix("bench_")
    assert f"no benchmark no-such; there are {first}" in capsys.readouterr().out
    assert main(["--help"]) == 2 and f"of {first}, " in capsys.readouterr().out
    assert main(["import", "--quick"]) == 2
    assert "import has no options; leave out --quick" in capsys.readouterr().out


@pytest.mark.parametrize(("there", "message"), [((1e9, 1e12), "memory"), ((1e12, 1e8), "disk")])
def test_a_size_that_does_not_fit_is_refused_with_the_numbers(
    there, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(bench_scale, "FOLDER", tmp_path)
    with pytest.raises(
        SystemExit, match=rf"20M ratings need \d.\d GB of {message}, and .* are free"
    ):
        bench_scale._room("20M", *there)


def test_peers_get_the_stars_of_their_pairs():
    data = planted_million(users=5)
    split = bench_peers.random_split(data, seed=0)
    rows = bench_peers._rows(split, "rating")
    stars = split.train.frame.set_index(["user", "item"])["rating"]
    assert (stars.loc[list(map(tuple, rows["train"]))].to_numpy() == rows["stars"]).all()
