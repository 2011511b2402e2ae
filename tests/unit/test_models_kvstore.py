"""Workers around a parameter server learn what one process learns, and leave nothing behind."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import psutil
import pytest

from helpers import gates
from helpers.metrics import rmse
from helpers.models import kvstore as kv
from tests.unit import numeric

needs_mxnet = pytest.mark.skipif(not gates.mxnet, reason="no MXNet on this machine")
QUICK = kv.Settings(factors=4, epochs=5, batch_size=100, regularization=0.05)


@pytest.fixture(scope="module")
def world():
    """Keys, ratings and features of 40 users × 30 items with planted biases and one factor."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 40, 3000), rng.integers(0, 30, 3000)
    items, bias, factor = items + 40, rng.normal(0, 0.5, 70), rng.normal(0, 1, 70)
    ratings = 3.5 + bias[users] + bias[items] + factor[users] * factor[items]
    ratings += rng.normal(0, 0.2, 3000)
    return np.stack([users, items], axis=1), ratings.astype(np.float32), 70


def children():
    return [c.pid for c in psutil.Process().children(recursive=True)]


def test_scores_are_the_double_loop():
    rng = np.random.default_rng(1)
    table, keys = rng.normal(size=(9, 4)).astype(np.float32), np.array([[0, 3, 8], [2, 5, 1]])
    for row, score in zip(keys, kv.scores(table, keys), strict=True):
        pairs = sum(table[a, :3] @ table[b, :3] for i, a in enumerate(row) for b in row[i + 1 :])
        assert abs(pairs + table[row, 3].sum() - score) < 1e-5


def test_gradients_are_the_differences_of_the_loss():
    rng = np.random.default_rng(2)
    rows, places = rng.normal(size=(5, 3)), np.array([[0, 1], [0, 4], [2, 3], [0, 1]])
    residuals, pull = rng.normal(size=4), 0.3

    def loss():
        error = kv.scores(rows, places) - residuals
        return 0.5 * (error**2).sum() + 0.5 * pull * (rows[places] ** 2).sum()

    found, _ = kv.gradients(rows, places, residuals, pull)
    np.testing.assert_allclose(found, numeric.gradient(loss, rows), rtol=0, atol=1e-6)


def test_one_process_learns_the_planted_world(world):
    keys, ratings, n = world
    settings = kv.Settings(factors=4, epochs=30, batch_size=100, regularization=0.02)
    trained = kv.train_here(keys[:2500], ratings[:2500], n, settings)
    assert trained.errors.shape == (1, 30)
    assert rmse(trained.predict(keys[2500:]), ratings[2500:]) < 0.5 < 0.4 * np.std(ratings[2500:])


def test_gradients_that_come_late_still_all_come(world):
    keys, ratings, n = world
    whole = kv.Settings(factors=4, epochs=1, batch_size=len(keys))
    on_time, late = (kv.train_here(keys, ratings, n, whole, delay=d) for d in (0, 7))
    assert np.array_equal(on_time.table, late.table), "one step: it has nothing to wait for"
    errors = [kv.train_here(keys, ratings, n, QUICK, delay=d).errors[0, -1] for d in (0, 40)]
    assert errors[0] < errors[1] < np.std(ratings), "old rows teach less, but they teach"


@needs_mxnet
@pytest.mark.parametrize("mode, near", [("dist_sync", 1e-3), ("dist_async", 0.06)])
def test_two_workers_compute_what_one_process_computes(world, monkeypatch, mode, near):
    """In step number by number; out of step they take the same steps in another order."""
    monkeypatch.setattr(kv, "_MODE", mode)
    keys, ratings, n = world
    alone, before = kv.train_here(keys[:2500], ratings[:2500], n, QUICK), children()
    found = kv.train_on_workers(keys[:2500], ratings[:2500], n, QUICK, seconds=120)
    assert children() == before, "scheduler, server and workers have ended"
    assert found.errors.shape == (2, 5) and (found.errors[:, -1] < found.errors[:, 0]).all()
    errors = [rmse(run.predict(keys[2500:]), ratings[2500:]) for run in (found, alone)]
    assert abs(errors[0] - errors[1]) < near
    if mode == "dist_sync":
        assert np.abs(found.table - alone.table).max() < near
        assert np.abs(np.sqrt((found.errors**2).mean(axis=0)) - alone.errors[0]).max() < near


@needs_mxnet
def test_a_killed_worker_ends_all_with_a_sentence(world):
    before = children()

    def kill_the_last():
        while len(children()) < len(before) + 4:
            time.sleep(0.01)
        psutil.Process(max(set(children()) - set(before))).kill()

    killer = threading.Thread(target=kill_the_last, daemon=True)
    killer.start()
    with pytest.raises(RuntimeError, match="the worker ended with -9"):
        kv.train_on_workers(*world, QUICK, seconds=120)
    killer.join()
    assert children() == before


@needs_mxnet
def test_the_time_limit_ends_all(world):
    before = children()
    with pytest.raises(RuntimeError, match=r"4 processes did not end within 0\.2 s"):
        kv.train_on_workers(*world, QUICK, seconds=0.2)
    assert children() == before


def test_without_mxnet_it_says_so(world, monkeypatch):
    missing = gates.Gate("MXNet", lambda: "MXNet is not installed", "NumPy does it")
    monkeypatch.setattr(gates, "mxnet", missing)
    with pytest.raises(ImportError, match="MXNet is not installed; NumPy does it"):
        kv.train_on_workers(*world, QUICK, seconds=120)


def train(keys, ratings=(3.0,), **settings):
    return kv.train_here(keys, ratings, 70, QUICK, **settings)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: kv.Settings(factors=0), "factors=0"),
        (lambda: train([0, 1]), r"keys \(2,\), ratings \(1,\)"),
        (lambda: train(np.zeros((0, 2), int), []), "n > 0 ratings"),
        (lambda: train([[0, 1]], [np.nan]), "NaN or infinity"),
        (lambda: train([[0, 1]], delay=-1), "delay=-1"),
        (lambda: train([[0, 70]]), r"keys: index 70 is not in 0\.\.69"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises((ValueError, IndexError), match=message):
        call()


def test_the_children_listen_on_this_machine_only(monkeypatch, tmp_path):
    seen = {}

    def refuse(command, env, **unused):
        seen.update(env)
        raise InterruptedError

    monkeypatch.setattr(kv.subprocess, "Popen", refuse)
    with pytest.raises(InterruptedError):
        kv._run_all(tmp_path, ["scheduler"], 1.0)
    assert seen["DMLC_PS_ROOT_URI"] == seen["DMLC_NODE_HOST"] == "127.0.0.1"
    assert seen["DMLC_ROLE"] == "scheduler" and seen["PATH"] == os.environ["PATH"]
