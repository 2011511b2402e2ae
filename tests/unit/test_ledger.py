"""The scoreboard: no number without its protocol."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers import ledger
from helpers.metrics import RankingResult

TOY = ledger.Protocol(chapter="98", dataset="toy", split="random 80/20, seed 0")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(ledger, "_records", {})
    monkeypatch.delenv("COURSE_LEDGER", raising=False)


def test_record_and_scoreboard():
    ledger.record(TOY, model="mean", metric="RMSE", value=1.23456)
    ledger.record(TOY, model="mean", metric="MAE", value=1.0)
    ledger.record(TOY, model="mean", metric="RMSE", value=1.5, low=1.4, high=1.6)
    ((caption, table),) = ledger.scoreboard("98").tables
    assert caption == "toy · random 80/20 · split by seed 0"
    assert list(table.columns) == ["RMSE", "MAE", ""]
    assert table.loc["mean", "RMSE"] == "1.500 [1.400, 1.600]", "measured again, replaced"


def test_baseline_and_best_are_marked_by_a_word():
    for model, rmse, strange in (("mean", 1.0, 1.0), ("MF", 0.8, 2.0), ("net", 0.9, 3.0)):
        ledger.record(TOY, model=model, metric="RMSE", value=rmse)
        ledger.record(TOY, model=model, metric="clicks", value=strange)
    ((_, table),) = ledger.scoreboard("98").tables
    assert table[""].to_dict() == {"mean": "baseline", "MF": "best RMSE", "net": ""}


def test_what_rows_share_is_a_caption_and_other_protocols_are_other_tables():
    details = {"k": 10, "candidates": "all <items>", "seed": 1}
    ledger.record(TOY, model="mean", metric="HR", value=0.1, **details)
    ledger.record(TOY, model="mean", metric="RMSE", value=1.0)
    board = ledger.scoreboard("98")
    first, second = board.tables
    assert first[0] == "toy · random 80/20 · all <items> · split by seed 0 · models with seed 1"
    assert list(first[1].columns) == ["HR@10", ""] and list(second[1].columns) == ["RMSE", ""]
    page = board._repr_html_()
    assert "all &lt;items&gt;" in page and "nowrap" in page


def test_several_seeds_are_one_row():
    for seed, value in enumerate((0.1, 0.4, 0.4)):
        split = ledger.Protocol(chapter="98", dataset="toy", split=f"cold 90/10, seed {seed}")
        ledger.record(split, model="net", metric="HR", value=value, k=10, seed=seed)
    ((caption, table),) = ledger.scoreboard("98").tables
    assert caption.endswith("split by seed 0, 1, 2 · models with seed 0, 1, 2")
    assert table["HR@10"].to_list() == ["0.300 [0.100, 0.400] over 3"]
    assert all(len(line) <= 100 for line in repr(ledger.scoreboard("98")).splitlines())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"value": float("nan")}, "finite"),
        ({"value": 1.0, "dataset": " "}, "dataset is ' '"),
        ({"value": 1.0, "low": 2.0, "high": 3.0}, "outside its interval"),
    ],
)
def test_bad_records(change, message):
    with pytest.raises(ValueError, match=message):
        ledger.record(TOY, **{"model": "mean", "metric": "RMSE", **change})
    with pytest.raises(LookupError, match="run its cells"):
        ledger.scoreboard("98")


def test_all_numbers_of_a_models_lists_come_with_their_protocol():
    users, hits = np.arange(4, dtype=np.int32), np.array([0.0, 1.0, 1.0, 0.0])
    results = [
        RankingResult("HR", 10, users, hits, "all items"),
        RankingResult("NDCG", 10, users, hits / 2, "all items"),
    ]
    entries = ledger.record_lists(TOY, results, model="GMF", seed=0)
    assert entries == ledger.records("98")
    assert [(e.metric, e.k, e.value) for e in entries] == [("HR", 10, 0.5), ("NDCG", 10, 0.25)]
    assert {(e.candidates, e.dataset, e.split, e.seed) for e in entries} == {
        ("all items", TOY.dataset, TOY.split, 0)
    }
    interval = results[0].interval
    assert (entries[0].low, entries[0].high) == (interval.low, interval.high)
    with pytest.raises(ValueError, match="GMF has no results"):
        ledger.record_lists(TOY, [], model="GMF")


def test_records_are_written_as_plain_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_LEDGER", str(tmp_path / "new"))
    value = np.float32(0.5)
    entry = ledger.record(TOY, model="mean", metric="RMSE", value=value, low=value, seed=3)
    (path,) = (tmp_path / "new").iterdir()
    assert path.name.endswith("-98.json")
    assert [ledger.Record(**row) for row in json.loads(path.read_text())] == [entry]
