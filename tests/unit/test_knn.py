"""Top-x search: exact where it says exact, near where it says near, nothing filtered comes back."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from helpers.knn import Seen, VectorIndex, exact_search, queries_per_second, recall_at_k
from helpers.knn.filters import keep_first

RNG = np.random.default_rng(0)
VECTORS = (RNG.normal(size=(2000, 16)) * 0.8 ** np.arange(16)).astype(np.float32)
QUERIES = (RNG.normal(size=(50, 16)) * 0.8 ** np.arange(16)).astype(np.float32)


def scores_of(metric: str, queries=QUERIES, vectors=VECTORS) -> np.ndarray:
    """Larger is nearer."""
    if metric == "l2":
        return -((queries[:, None] - vectors[None]) ** 2).sum(2)
    if metric == "cosine":
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return queries @ vectors.T


@pytest.mark.parametrize("metric", ["inner_product", "l2", "cosine"])
def test_flat_is_exact(metric):
    found = VectorIndex(VECTORS, metric=metric).search(QUERIES, 10)
    truth = scores_of(metric)
    best = np.sort(truth, axis=1)[:, ::-1][:, :10]
    np.testing.assert_allclose(
        np.take_along_axis(truth, found.items, 1), best, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        found.scores, -best if metric == "l2" else best, rtol=1e-3, atol=1e-4
    )


def test_exact_search_needs_no_index():
    mine, theirs = exact_search(VECTORS, QUERIES, 10), VectorIndex(VECTORS).search(QUERIES, 10)
    np.testing.assert_array_equal(mine.items, theirs.items)
    np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", ["inner_product", "l2", "cosine"])
@pytest.mark.parametrize(
    "kind, settings, least",
    [
        ("ivfflat", {"cells": 40, "probes": 20}, 0.9),
        ("ivfpq", {"cells": 40, "probes": 40, "codes": 8}, 0.6),
        ("hnsw", {"effort": 200}, 0.85),
    ],
)
def test_approximate_kinds_come_near(kind, metric, settings, least):
    truth = VectorIndex(VECTORS, metric=metric).search(QUERIES, 20).items
    index = VectorIndex(VECTORS, kind, metric, **settings)
    assert recall_at_k(index.search(QUERIES, 20).items, truth) > least


def test_more_effort_finds_more():
    truth = exact_search(VECTORS, QUERIES, 20).items
    cells = VectorIndex(VECTORS, "ivfflat", cells=44)
    few, many, all_ = (
        recall_at_k(cells.search(QUERIES, 20, probes=p).items, truth) for p in (1, 8, 44)
    )
    assert few < many < all_ == 1
    graph = VectorIndex(VECTORS, "hnsw")
    low, high = (recall_at_k(graph.search(QUERIES, 20, effort=e).items, truth) for e in (20, 500))
    assert low <= high


@pytest.mark.parametrize("kind", ["ivfflat", "hnsw"])
def test_inner_products_as_distances_keep_their_scores(kind):
    index = VectorIndex(VECTORS, kind, as_distance=True, cells=10, probes=10, effort=400)
    found = index.search(QUERIES, 10)
    products = np.take_along_axis(scores_of("inner_product"), found.items, 1)
    np.testing.assert_allclose(found.scores, products, rtol=1e-2, atol=2e-3)
    assert (np.diff(found.scores, axis=1) <= 1e-3).all()
    assert recall_at_k(found.items, exact_search(VECTORS, QUERIES, 10).items) > 0.9


def seen_by(counts: list[int]) -> tuple[Seen, list[set[int]]]:
    rng = np.random.default_rng(3)
    sets = [set(rng.choice(len(VECTORS), count, replace=False).tolist()) for count in counts]
    users = np.concatenate([np.full(len(s), u) for u, s in enumerate(sets)]).astype(int)
    items = np.concatenate([np.array(sorted(s), dtype=int)[::-1] for s in sets])
    return Seen.of_pairs(users, items, len(counts)), sets


@functools.cache
def built(kind: str) -> VectorIndex:
    """One index a kind for the tests of filters, all of whose cells and links are searched."""
    return VectorIndex(VECTORS, kind, cells=10, probes=10, codes=4, effort=500)


@pytest.mark.parametrize("kind", ["flat", "ivfflat", "ivfpq", "hnsw"])
def test_what_was_seen_does_not_come_back(kind):
    seen, sets = seen_by([0, 1, 5, 100, 1500] * 10)
    found = built(kind).search(QUERIES, 10, seen=seen)
    for row, known in zip(found.items, sets, strict=True):
        assert not known & set(row.tolist()) and len(set(row.tolist())) == 10
    if kind == "flat":
        scores = scores_of("inner_product")
        for row, known, mine in zip(found.items, sets, scores, strict=True):
            mine[list(known)] = -np.inf
            assert set(row) == set(np.argsort(-mine)[:10])


@pytest.mark.parametrize("kind", ["flat", "ivfflat", "ivfpq", "hnsw"])
def test_what_is_out_of_stock_comes_to_nobody(kind):
    allowed = np.zeros(len(VECTORS), dtype=bool)
    allowed[RNG.choice(len(VECTORS), 300, replace=False)] = True
    found = built(kind).search(QUERIES, 10, allowed=allowed)
    assert allowed[found.items[found.items >= 0]].all() and (found.items >= 0).mean() > 0.95
    again = built(kind).search(QUERIES, 10)
    assert not allowed[again.items].all()


def test_fewer_left_than_wanted():
    seen = Seen.of_pairs(np.zeros(1995, dtype=int), np.arange(1995), 1)
    found = VectorIndex(VECTORS).search(QUERIES[:1], 10, seen=seen)
    assert set(found.items[0, :5]) == set(range(1995, 2000))
    assert (found.items[0, 5:] == -1).all() and np.isnan(found.scores[0, 5:]).all()


def test_both_filters_at_once():
    allowed = np.arange(2000) < 50
    seen = Seen.of_pairs(np.zeros(45, dtype=int), np.arange(45), 1)
    found = VectorIndex(VECTORS).search(QUERIES[:1], 5, seen=seen, allowed=allowed)
    assert set(found.items[0]) == set(range(45, 50))


def test_a_user_without_history_gets_the_plain_list():
    seen = Seen.of_pairs(np.array([], dtype=int), np.array([], dtype=int), len(QUERIES))
    index = VectorIndex(VECTORS)
    np.testing.assert_array_equal(
        index.search(QUERIES, 7, seen=seen).items, index.search(QUERIES, 7).items
    )


def test_seen_pairs():
    seen = Seen.of_pairs(np.array([2, 0, 2, 2]), np.array([5, 1, 3, 5]), 3)
    assert seen.counts.tolist() == [1, 0, 2] and seen.items.tolist() == [1, 3, 5]
    marks = seen.marks(np.array([2, 1]), np.array([[5, -1, 3], [5, 1, 0]]))
    assert marks.tolist() == [[True, False, True], [False, False, False]]
    with pytest.raises(ValueError, match="as many of each"):
        Seen.of_pairs(np.array([1]), np.array([1, 2]), 2)
    with pytest.raises(IndexError, match=r"0\.\.1"):
        Seen.of_pairs(np.array([2]), np.array([1]), 2)


def test_keep_first():
    scores, items = np.array([[3.0, 2, 1], [3, 2, 1]]), np.array([[7, 8, 9], [7, -1, -1]])
    kept = keep_first(scores, items, items == 7, 2)
    assert kept[1].tolist() == [[8, 9], [-1, -1]]
    np.testing.assert_array_equal(kept[0], [[2, 1], [np.nan, np.nan]])


def test_an_index_can_be_written(tmp_path):
    import faiss

    VectorIndex(VECTORS).save(tmp_path / "x.faiss")
    assert faiss.read_index(str(tmp_path / "x.faiss")).ntotal == 2000


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: VectorIndex(VECTORS, "tree"), "kind='tree'"),
        (lambda: VectorIndex(VECTORS[:0]), "none to index"),
        (lambda: VectorIndex(VECTORS[0]), "expected a matrix"),
        (lambda: VectorIndex(np.where(np.eye(3) > 0, np.nan, 1)), "row 0 is not finite"),
        (lambda: VectorIndex(VECTORS[:5], "ivfflat", cells=6), "cells=6 for 5 vectors"),
        (lambda: VectorIndex(VECTORS).search(QUERIES, 2001), "k=2001: expected 1 to 2000"),
        (lambda: VectorIndex(VECTORS).search(QUERIES, 0), "k=0: expected 1 to 2000"),
        (
            lambda: VectorIndex(VECTORS).search(QUERIES[:, :5], 3),
            "vectors of 5 numbers, but the index holds",
        ),
        (
            lambda: VectorIndex(VECTORS).search(QUERIES, 3, seen=seen_by([1])[0]),
            "1 rows for 50 queries",
        ),
        (
            lambda: VectorIndex(VECTORS).search(QUERIES, 3, allowed=np.ones(3, bool)),
            r"expected \(2000,\)",
        ),
        (lambda: exact_search(VECTORS, QUERIES, 3000), "k=3000"),
        (lambda: recall_at_k(np.zeros((2, 3)), np.zeros((2, 2))), "expected equal shapes"),
    ],
)
def test_misuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_recall_and_speed():
    truth = np.array([[0, 1], [2, 3]])
    assert recall_at_k(truth[:, ::-1], truth) == 1
    assert recall_at_k(np.array([[0, -1], [0, 1]]), truth) == 0.25
    assert queries_per_second(VectorIndex(VECTORS), QUERIES, 5, seconds=0.01) > 0
