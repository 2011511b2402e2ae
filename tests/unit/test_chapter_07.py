"""What chapter 07 stands on: orders that agree, measured indexes, matrices on S3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from helpers.cloud import exchange
from helpers.exercises import source
from helpers.knn import keep_first, trade_off, vectors_like
from helpers.metrics import contradictions
from helpers.models.fm import fm_scores
from local_sagemaker.formats import recordio


def all_pairs(one, other, atol):
    """Count the items that one score has above, and the other below, some item."""
    return ((other[:, None] > other + atol) & (one > one[:, None] + atol)).any(axis=0).sum()


@pytest.mark.parametrize("seed", range(5))
def test_contradictions_are_those_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 6, (2, 40)).astype(float)
    assert contradictions(one, other, 0.5) == all_pairs(one, other, 0.5) > 0
    near = other + rng.normal(0, 0.3, 40)
    assert contradictions(near, other, 0.7) == all_pairs(near, other, 0.7)
    assert contradictions(other + 100, other) == 0 == contradictions(np.zeros(40), other)


def test_the_exercises_vectors_rank_as_the_machine_scores():
    rng = np.random.default_rng(3)
    v, w1 = (rng.normal(size=size).astype(np.float32) for size in ((30, 4), 30))
    fold, item_vectors = source.make("07.1", "fold"), source.make("07.5", "item_vectors")
    users, items = fold(v, w1, 10)
    for features in (rng.random((6, 20)), np.eye(20)):
        x = np.hstack([np.zeros((len(features), 10)), features]).astype(np.float32)
        tagged = item_vectors(x, v, w1)
        for user in range(10):
            x[:, :10] = np.eye(10)[user]
            scores = fm_scores(sparse.csr_matrix(x), 0.0, w1, v)
            assert np.allclose(scores - tagged @ users[user], w1[user], atol=1e-3)
    assert np.allclose(tagged, items), "with an item's own feature alone they are the same"


def test_the_exercises_filter_is_the_helpers():
    rng = np.random.default_rng(0)
    found = np.stack([rng.permutation(20)[:8] for _ in range(50)])
    found[rng.random(found.shape) < 0.1] = -1
    blocked = rng.random((50, 20)) < 0.6
    drop = (found >= 0) & blocked[np.arange(50)[:, None], found]
    _, expected = keep_first(np.zeros(found.shape), found, drop, 5)
    first_allowed = source.make("07.6", "first_allowed")
    assert np.array_equal(first_allowed(found, blocked, 5), expected)


def test_vectors_like_have_the_mean_and_the_spectrum():
    rng = np.random.default_rng(0)
    fitted = rng.normal(size=(400, 6)) * [5, 2, 1, 0.5, 0.1, 0] + [1, 0, 0, 0, -2, 3]
    drawn = vectors_like(fitted, 40_000, rng)
    assert drawn.dtype == np.float32 and drawn.shape == (40_000, 6)
    assert np.abs(drawn.mean(axis=0) - fitted.mean(axis=0)).max() < 0.1
    theirs, ours = np.cov(fitted.T), np.cov(drawn.T)
    assert np.allclose(ours, theirs, atol=1.25)
    assert np.allclose(*map(np.linalg.eigvalsh, (ours, theirs)), rtol=0.05, atol=1e-4)


def test_more_effort_finds_more_and_compares_more():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(2020, 12)) * np.linspace(3, 0.1, 12)).astype(np.float32)
    table, again = (trade_off(vectors[20:], vectors[:20], as_distance=True) for _ in "12")
    assert table["index"].unique().tolist() == ["Flat", "IVFFlat", "IVFPQ", "HNSW"]
    assert table.loc[0, "recall"] > 0.99 and table.loc[0, "compared"] == 1
    for name in ("IVFFlat", "HNSW"):
        rows = table[table["index"] == name]
        assert rows["recall"].is_monotonic_increasing and rows["compared"].is_monotonic_increasing
        assert 0 < rows["compared"].iloc[0] < 0.2 and rows["recall"].iloc[-1] > 0.9
        assert rows["recall"].iloc[0] < rows["recall"].iloc[-1]
    seconds = ["ms", "built"]
    assert table.drop(columns=seconds).equals(again.drop(columns=seconds)), "no clock in counts"
    cells = table[table["index"] == "IVFFlat"].set_index("setting")["compared"]
    assert table[table["index"] == "IVFFlat"]["recall"].iloc[-1] == 1, "all cells are looked into"
    assert cells[1] > 44 / 2000 and cells[64] == 1 + 44 / 2000, "the centroids of 44 cells count"


class FakeStore:
    """S3 as far as `exchange` asks it here."""

    def __init__(self):
        self.objects, self.bucket, self.client = {}, "bucket", lambda name: self

    def put_object(self, Bucket, Key, Body):
        self.objects[Key] = Body
        return {"ETag": hash(Body)}

    def download_file(self, bucket, key, path):
        Path(path).write_bytes(self.objects[key])


def test_a_matrix_goes_up_as_records_and_comes_back(tmp_path):
    store, x = FakeStore(), np.arange(6, dtype=np.float64).reshape(3, 2)
    for matrix in (x, sparse.csr_matrix(x)):
        uri, fingerprint = exchange.upload_matrix(store, "a/data.pbr", matrix, [1, 2, 3])
        assert uri == "s3://bucket/a/data.pbr" and fingerprint
        file = exchange.download(store, uri, tmp_path / "data.pbr")
        back = recordio.read_records(file.read_bytes())
        assert np.array_equal(back.features.toarray(), x) and back.labels.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="s3://bucket/key"):
        exchange.download(store, "http://bucket/a", tmp_path / "x")
    with pytest.raises(ValueError, match="items.pbr: label 16777217 is lost in float32"):
        exchange.upload_matrix(None, "items.pbr", x[:2], np.array([16_777_216, 16_777_217]))
