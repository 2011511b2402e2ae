"""The numbers that the executed notebooks recorded: in their bands, and never impossible."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from helpers import book, ledger

from .bands import BANDS

pytestmark = pytest.mark.after_notebooks
CHAPTERS = [s.name[:2] for s in book.sources()]
FOLDERS = ("solutions", "chapters")


def recorded(folder: str, chapter: str) -> list[ledger.Record]:
    path = Path(os.environ["COURSE_LEDGER"]) / f"{folder}-{chapter}.json"
    if not path.exists():
        pytest.skip(f"{folder}/{chapter} did not run in this session, so it recorded nothing")
    return [ledger.Record(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_number_is_in_its_band(chapter, folder):
    """``bands.py`` lists, for every record of a chapter, its value and how far it may be off."""
    bands = BANDS[chapter]
    found = {
        (r.model, r.metric, r.dataset, r.split, r.seed): r.value for r in recorded(folder, chapter)
    }
    optional = {key for key, band in bands.items() if band.optional}
    assert found.keys() <= bands.keys(), "a record without a band"
    assert bands.keys() - optional <= found.keys(), "a band without a record"
    wrong = {k: v for k, v in found.items() if abs(v - bands[k].value) > bands[k].off}
    assert not wrong
    assert all(b.off <= 0.05 * abs(b.value) or b.reason for b in bands.values()), (
        "say why it is wide"
    )


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_invariants(chapter, folder):
    rows = recorded(folder, chapter)
    by = {}
    for r in rows:
        by.setdefault((r.dataset, r.split, r.candidates, r.seed, r.model), {})[(r.metric, r.k)] = (
            r.value
        )
    for place, found in by.items():
        for (metric, k), value in found.items():
            if metric in ("HR", "NDCG", "recall", "precision", "MRR"):
                assert 0 <= value <= 1, place
            if (
                metric == "NDCG"
                and ("HR", k) in found
                and place[1].startswith("leave last one out")
            ):
                assert value <= found[("HR", k)] + 1e-9, "one held-out item: NDCG cannot exceed HR"
        for metric in ("HR", "NDCG"):
            rising = [v for (m, k), v in sorted(found.items(), key=str) if m == metric and k]
            ks = sorted(k for (m, k) in found if m == metric and k)
            rising = [found[(metric, k)] for k in ks]
            assert rising == sorted(rising), "more places cannot lose hits"
        if ("RMSE", None) in found and ("MAE", None) in found:
            assert found[("RMSE", None)] >= found[("MAE", None)], (
                "the mean of squares is never smaller"
            )


@pytest.mark.parametrize("folder", FOLDERS)
def test_constant_and_biases_and_factors_come_in_order(folder):
    rows = {}
    for chapter in ("00", "02"):
        if chapter not in CHAPTERS:
            pytest.skip(f"chapter {chapter} is not in this copy")
        for r in recorded(folder, chapter):
            if (
                r.metric == "RMSE"
                and r.dataset == "latest-small"
                and r.split == "random 80/20, seed 0"
            ):
                rows.setdefault(r.model, r.value)
    assert rows["global mean"] > rows["user mean"] > rows["user + item bias"]
    assert rows["user + item bias"] > rows["biased MF"], "factors must add something to biases"
