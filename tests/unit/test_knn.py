"""Top-x search: exact where it says exact, near where it says near, nothing filtered comes back."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import sparse

from helpers.knn import VectorIndex, keep_first, recall_at_k, vectors_like

RNG = np.random.default_rng(0)
VECTORS = (RNG.normal(size=(2000, 16)) * 0.8 ** np.arange(16)).astype(np.float32)
QUERIES = (RNG.normal(size=(50, 16)) * 0.8 ** np.arange(16)).astype(np.float32)
KINDS = ["flat", "ivfflat", "ivfpq", "hnsw"]
PRODUCTS = QUERIES @ VECTORS.T
NEARNESS = {"inner_product": PRODUCTS, "l2": -((QUERIES[:, None] - VECTORS[None]) ** 2).sum(2)}
TRUTH = {metric: np.argsort(-scores)[:, :20] for metric, scores in NEARNESS.items()}


@pytest.mark.parametrize("metric", NEARNESS)
def test_flat_is_exact(metric):
    found = VectorIndex(VECTORS, metric=metric).search(QUERIES, 20)
    np.testing.assert_array_equal(found.items, TRUTH[metric])
    best = np.abs(np.take_along_axis(NEARNESS[metric], TRUTH[metric], 1))
    np.testing.assert_allclose(np.abs(found.scores), best, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("metric", NEARNESS)
@pytest.mark.parametrize(
    "kind, settings, search, least",
    [
        ("ivfflat", {"cells": 40}, {"probes": 20}, 0.9),
        ("ivfpq", {"cells": 40, "codes": 8}, {"probes": 40}, 0.6),
        ("hnsw", {}, {"effort": 200}, 0.85),
    ],
)
def test_approximate_kinds_come_near(kind, metric, settings, search, least):
    index = VectorIndex(VECTORS, kind, metric, **settings)
    assert recall_at_k(index.search(QUERIES, 20, **search).items, TRUTH[metric]) > least


@pytest.mark.parametrize("kind", ["ivfflat", "hnsw"])
def test_inner_products_as_distances_keep_their_scores(kind):
    index = VectorIndex(VECTORS, kind, as_distance=True, cells=10)
    found = index.search(QUERIES, 20, probes=10, effort=400)
    products = np.take_along_axis(PRODUCTS, found.items, 1)
    np.testing.assert_allclose(found.scores, products, rtol=1e-2, atol=2e-3)
    assert (np.diff(found.scores, axis=1) <= 1e-3).all()
    assert recall_at_k(found.items, TRUTH["inner_product"]) > 0.9


@functools.cache
def built(kind):
    return VectorIndex(VECTORS, kind, cells=10, codes=4)


def search(kind, *arguments, **filters):
    """Look into all cells and follow all links."""
    return built(kind).search(*arguments, **filters, probes=10, effort=500)


def seen_by(counts):
    chosen = [RNG.choice(len(VECTORS), count, replace=False) for count in counts]
    rows, columns = np.repeat(np.arange(len(counts)), counts), np.concatenate(chosen)
    shape = (len(counts), len(VECTORS))
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns.astype(int))), shape=shape)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_seen_does_not_come_back(kind):
    seen = seen_by([0, 1, 5, 100, 1500] * 10)
    found, known = search(kind, QUERIES, 10, seen=seen).items, seen.toarray() > 0
    assert not np.take_along_axis(known, found, 1).any()
    assert all(len(set(row)) == 10 for row in found.tolist())
    if kind == "flat":
        best = np.argsort(-np.where(known, -np.inf, PRODUCTS))[:, :10]
        np.testing.assert_array_equal(found, best)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_out_of_stock_comes_to_nobody(kind):
    allowed = np.zeros(len(VECTORS), dtype=bool)
    allowed[RNG.choice(len(VECTORS), 300, replace=False)] = True
    found = search(kind, QUERIES, 10, allowed=allowed)
    assert allowed[found.items[found.items >= 0]].all() and (found.items >= 0).mean() > 0.95
    assert not allowed[search(kind, QUERIES, 10).items].all(), "the filter is gone again"


def test_both_filters_may_leave_fewer_than_wanted():
    first = sparse.csr_matrix((np.arange(2000) < 1995)[None].astype(float))
    found = built("flat").search(QUERIES[:1], 10, seen=first)
    assert set(found.items[0, :5]) == set(range(1995, 2000))
    assert (found.items[0, 5:] == -1).all() and np.isnan(found.scores[0, 5:]).all()
    both = built("flat").search(QUERIES[:1], 10, seen=first, allowed=np.arange(2000) < 1997)
    assert set(both.items[0]) == {1995, 1996, -1}
    nothing = built("flat").search(QUERIES[:1], 7, seen=sparse.csr_matrix((1, 2000)))
    np.testing.assert_array_equal(nothing.items, TRUTH["inner_product"][:1, :7])


def test_keep_first():
    scores, items = np.array([[3.0, 2, 1], [3, 2, 1]]), np.array([[7, 8, 9], [7, -1, -1]])
    kept = keep_first(scores, items, items == 7, 2)
    assert kept.items.tolist() == [[8, 9], [-1, -1]]
    np.testing.assert_array_equal(kept.scores, [[2, 1], [np.nan, np.nan]])


def test_recall_counts_whatever_the_order():
    truth = np.array([[0, 1], [2, 3]])
    assert recall_at_k(truth[:, ::-1], truth) == 1
    assert recall_at_k(np.array([[0, -1], [0, 1]]), truth) == 0.25


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: VectorIndex(VECTORS, "tree"), "kind='tree'"),
        (lambda: VectorIndex(VECTORS[:0]), "for 0 vectors"),
        (lambda: VectorIndex(VECTORS[0]), "expected a matrix"),
        (lambda: VectorIndex(np.where(np.eye(3) > 0, np.nan, 1)), "row 0 is not finite"),
        (lambda: vectors_like(np.diag([1, np.inf]), 3, RNG), "fitted: row 1 is not finite"),
        (lambda: VectorIndex(VECTORS[:5], "ivfflat", cells=6), "cells=6 for 5 vectors"),
        (lambda: built("flat").search(QUERIES, 2001), "k=2001: expected 1 to 2000"),
        (lambda: built("flat").search(QUERIES, 0), "k=0: expected 1 to 2000"),
        (lambda: built("flat").search(QUERIES[:, :5], 3), "expected rows of 16 numbers"),
        (lambda: built("flat").search(QUERIES, 3, seen=seen_by([1])), "expected .50, 2000."),
        (lambda: built("flat").search(QUERIES, 3, allowed=np.ones(3, bool)), r"expected \(2000,\)"),
        (lambda: recall_at_k(np.zeros((2, 3)), np.zeros((2, 2))), "expected equal shapes"),
    ],
)
def test_misuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
