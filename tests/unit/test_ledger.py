"""The scoreboard: no number without its protocol."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import ledger
from helpers.metrics import RankingResult

ROW = {
    "chapter": "98",
    "model": "mean",
    "metric": "RMSE",
    "dataset": "toy",
    "split": "random 80/20, seed 0",
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(ledger, "_records", {})


def test_record_and_scoreboard(monkeypatch):
    monkeypatch.delenv("COURSE_LEDGER", raising=False)
    ledger.record(**ROW, value=1.23456, seconds=3.0)
    ledger.record(**{**ROW, "metric": "MAE"}, value=1.0)
    ledger.record(**ROW, value=1.5, low=1.4, high=1.6)
    board = ledger.scoreboard("98")
    assert list(board.columns) == ["RMSE", "MAE", "dataset", "split", "seed"], (
        "no seconds: they depend on the machine"
    )
    assert board.loc["mean", "RMSE"] == "1.500 [1.400, 1.600]", "measured again, replaced"


def test_ranking_rows_name_cutoff_and_candidates():
    ledger.record(**{**ROW, "metric": "HR"}, value=0.1, k=10, candidates="all items", seed=1)
    board = ledger.scoreboard("98")
    assert list(board.columns) == ["HR@10", "dataset", "split", "candidates", "seed"]


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
        ledger.record(**{**ROW, **change})


def test_all_numbers_of_a_models_lists_come_with_their_protocol():
    users, hits = np.arange(4, dtype=np.int32), np.array([0.0, 1.0, 1.0, 0.0])
    results = {
        "hit_rate": RankingResult("HR", 10, users, hits, "all items"),
        "ndcg": RankingResult("NDCG", 10, users, hits / 2, "all items"),
    }
    entries = ledger.record_lists(
        results, chapter="05", model="GMF", dataset="latest-small", split="last one", seed=0
    )
    assert entries == ledger.records("05")
    assert [(e.metric, e.k, e.value) for e in entries] == [("HR", 10, 0.5), ("NDCG", 10, 0.25)]
    assert {(e.candidates, e.dataset, e.split, e.seed) for e in entries} == {
        ("all items", "latest-small", "last one", 0)
    }
    assert (entries[0].low, entries[0].high) == (
        results["hit_rate"].interval.low,
        results["hit_rate"].interval.high,
    )
    with pytest.raises(ValueError, match="GMF comes with no results"):
        ledger.record_lists({}, chapter="05", model="GMF", dataset="latest-small", split="last one")


def test_empty_scoreboard_says_what_to_do():
    with pytest.raises(LookupError, match="run its cells"):
        ledger.scoreboard("98")


def test_written_and_read(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_LEDGER", str(tmp_path))
    entry = ledger.record(**ROW, value=1.0, seed=3)
    path = ledger.ledger_file("98")
    assert path is not None
    assert ledger.read(path) == [entry]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    path.write_text('[{"model": "x"}]')
    with pytest.raises(ValueError, match="missing or unknown"):
        ledger.read(path)
