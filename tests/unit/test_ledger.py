"""The scoreboard: no number without its protocol."""

from __future__ import annotations

import pytest

from helpers import ledger

ROW = {"chapter": "98", "model": "mean", "metric": "RMSE", "dataset": "toy", "split": "random 80/20, seed 0"}


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
