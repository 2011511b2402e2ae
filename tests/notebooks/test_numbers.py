"""The numbers that the executed notebooks recorded: in their bands, and never impossible."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from helpers import book, installed, ledger

from .bands import BANDS, ON_A_GPU

pytestmark = pytest.mark.after_notebooks
CHAPTERS = [s.name[:2] for s in book.sources()]
BUILDS = pytest.mark.parametrize("folder", ["solutions", "chapters"])
SHARES = ("HR", "NDCG", "recall", "precision", "MRR")


def recorded(folder: str, chapter: str) -> list[ledger.Record]:
    path = Path(os.environ["COURSE_LEDGER"]) / f"{folder}-{chapter}.json"
    if not path.exists():
        pytest.skip(f"{folder}/{chapter} did not run in this session, so it recorded nothing")
    return [ledger.Record(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


@BUILDS
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_number_is_in_its_band(chapter, folder):
    """``bands.py`` lists, for every record of a chapter, its value and how far it may be off."""
    bands, rows = BANDS[chapter], recorded(folder, chapter)
    found = {(r.model, r.metric, r.dataset, r.split, r.seed): r.value for r in rows}
    optional = {key for key, band in bands.items() if band.optional}
    assert found.keys() <= bands.keys(), "a record without a band"
    assert bands.keys() - optional <= found.keys(), "a band without a record"
    wider = ON_A_GPU if installed.sees_nvidia() else 1.0
    assert not {k: v for k, v in found.items() if abs(v - bands[k].value) > wider * bands[k].off}
    wide = [k for k, b in bands.items() if b.off > 0.05 * abs(b.value) and not b.reason]
    assert not wide, "say why it is wide"


@BUILDS
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_invariants(chapter, folder):
    measured = {}
    for r in recorded(folder, chapter):
        place = (r.dataset, r.split, r.candidates, r.seed, r.model)
        measured.setdefault(place, {})[r.metric, r.k] = r.value
    for place, found in measured.items():
        for (metric, k), value in found.items():
            assert metric not in SHARES or 0 <= value <= 1, place
            if metric == "NDCG" and place[1].startswith("leave last one out"):
                assert value <= found.get(("HR", k), 1) + 1e-9, "one held-out item: at most HR"
        for metric in ("HR", "NDCG"):
            rising = [found[metric, k] for k in sorted(k for m, k in found if m == metric and k)]
            assert rising == sorted(rising), "more places cannot lose hits"
        root, absolute = found.get(("RMSE", None), 0), found.get(("MAE", None), 0)
        assert root >= absolute or not root, "the mean of squares is never smaller"


@BUILDS
def test_constant_and_biases_and_factors_come_in_order(folder):
    rows = [r for chapter in ("00", "02") for r in recorded(folder, chapter)]
    protocol = ("RMSE", "latest-small", "random 80/20, seed 0")
    found = {r.model: r.value for r in rows if (r.metric, r.dataset, r.split) == protocol}
    assert found["global mean"] > found["user mean"] > found["user + item bias"]
    assert found["user + item bias"] > found["biased MF"], "factors must add something to biases"
