"""The benchmarks can be started; what they measure is for their readers."""

from __future__ import annotations

import importlib

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks import bench_peers, bench_scale, bench_workers
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


def test_the_model_of_cost_finds_what_steps_were_made_of():
    rows = pd.DataFrame({"workers": [1, 2] * 4, "batch": [10, 10, 20, 20, 40, 40, 80, 80]})
    rows["step_bytes"] = [0, 50, 0, 90, 0, 170, 0, 330]
    cost = np.array([2.0, 0.1, 3.0, 5.0])
    own = rows["batch"] / rows["workers"] * 2 + rows["step_bytes"] * 0.1 + 3
    found, misfit = bench_workers.fit_cost(rows.assign(step_s=own + 5 * (rows["workers"] > 1)))
    np.testing.assert_allclose(found, cost, atol=1e-9)
    assert misfit < 1e-9
    assert bench_workers.pays_from(cost, "kvstore", (0.0, 0.0), 2) == pytest.approx(5.0002)
    assert bench_workers.pays_from(cost, "kvstore", (1e10, 0.0), 2) == np.inf
    waits = [
        bench_workers.pays_from(cost, way, (0.0, 1.25e9), 4) for way in ("kvstore", "NeuMF job")
    ]
    assert waits == pytest.approx([7.0002 / 1.5, 8.0002 / 1.5])  # one server, or the first worker
