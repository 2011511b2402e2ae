"""The networks of neural collaborative filtering: what they compute, how they train, what they refuse."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import data, plots
from helpers.book import ROOT
from helpers.models import ncf
from helpers.models.base import NotFittedError
from helpers.models.dmf import DeepMF
from helpers.models.ncf import PairScores
from helpers.sampling import NegativeSampler
from tests.benchmarks.bench_ncf import look_ups

N_USERS, N_ITEMS = 7, 11
BUILDERS = {"gmf": ncf.gmf, "mlp": ncf.mlp, "neumf": ncf.neumf}


def pairs(n=20):
    rng, sizes = np.random.default_rng(0), {"user": N_USERS, "item": N_ITEMS}
    return {side: rng.integers(0, size, n).astype(np.int32) for side, size in sizes.items()}


def weights_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


def two_tastes(n_users=40, n_items=30):
    """Even users click even items, odd users odd ones, three in four of them."""
    pairs = [(u, i) for u in range(n_users) for i in range(u % 2, n_items, 2) if (u + i // 2) % 4]
    table = pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(rating=5.0, timestamp=0)
    return data.Interactions.from_frame(table, name="two tastes")


def own_and_other(model, clicks):
    """Mean score of the items of one's own taste, and of the others."""
    scores = model.scores(np.arange(clicks.n_users))
    own = np.add.outer(np.arange(clicks.n_users), np.arange(clicks.n_items)) % 2 == 0
    return scores[own].mean(), scores[~own].mean()


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_the_seed_decides_all_first_weights(build):
    one, same, other = (build(N_USERS, N_ITEMS, 3, seed=s).get_weights() for s in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True) if a.any())


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_scores_without_pairs_are_the_networks_own(build, activation):
    model = build(N_USERS, N_ITEMS, 3, activation=activation, seed=2)
    rng, users = np.random.default_rng(0), [4, 0, 4]
    model.set_weights([w + 0.3 * rng.standard_normal(w.shape) for w in model.get_weights()])
    grid = {"user": np.repeat(users, N_ITEMS), "item": np.tile(np.arange(N_ITEMS), 3)}
    scores = PairScores(model).scores(users)
    assert scores.shape == (3, N_ITEMS) and scores.dtype == np.float32
    chances = np.asarray(model(grid)).reshape(3, N_ITEMS)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), chances, atol=1e-6)
    with pytest.raises(IndexError, match=str(N_USERS)):
        PairScores(model).scores([N_USERS])


def test_regularization_is_half_the_squared_vectors_of_a_pair():
    model = ncf.gmf(N_USERS, N_ITEMS, 3, regularization=0.5)
    batch, w = pairs(10), weights_of(model)
    model(batch)
    rows = [w["user_gmf"][0][batch["user"]], w["item_gmf"][0][batch["item"]]]
    expected = sum(0.25 * (r**2).sum() / 10 for r in rows)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "bad", [{"factors": 0}, {"dropout": 1.0}, {"regularization": -1.0}, {"activation": "tanh"}]
)
def test_settings_that_make_no_network_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ncf.neumf(N_USERS, N_ITEMS, **bad)


def test_dense_layers_on_one_hot_compute_and_learn_what_embeddings_do():
    """The same scores, and after the same batches, dropout included, the same weights."""
    import keras

    clicks = two_tastes()
    sizes = {"user": clicks.n_users, "item": clicks.n_items}
    examples = NegativeSampler(clicks).epoch(3, rng=np.random.default_rng(0))
    batch = {"user": examples.users, "item": examples.items}
    wide = {side: keras.ops.one_hot(batch[side], size) for side, size in sizes.items()}
    posts = ncf.neumf(*sizes.values(), 4, one_hot=True, dropout=0.25, seed=1)
    rng = np.random.default_rng(0)
    posts.set_weights([w + 0.05 * rng.standard_normal(w.shape) for w in posts.get_weights()])
    ours = look_ups(posts, ncf.neumf(*sizes.values(), 4, activation="relu", dropout=0.25))
    chances = np.asarray(ours(batch))
    np.testing.assert_allclose(np.asarray(posts(wide)), chances, atol=1e-6)
    assert chances.std() > 0.001, "a constant would agree as well"
    before = [w.copy() for w in ours.get_weights()]
    ncf.epoch_runner(ours, 100)(examples, 0.001)
    posts.compile(keras.optimizers.Adam(0.001), "binary_crossentropy")
    posts.fit(wide, examples.labels, batch_size=100, shuffle=False, verbose=0)
    again = look_ups(posts, keras.models.clone_model(ours)).get_weights()
    after = list(zip(before, again, ours.get_weights(), strict=True))
    moved = max(np.abs(first - mine).max() for first, _, mine in after)
    apart = max(np.abs(theirs - mine).max() for _, theirs, mine in after)
    assert moved > 0.005 and apart < 0.05 * moved


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_training_tells_two_tastes_apart(build):
    clicks = two_tastes()
    model = build(clicks.n_users, clicks.n_items, 8, seed=0)
    history = ncf.train(model, clicks, epochs=25, batch_size=256, learning_rate=0.02)
    assert len(history) == 25 and history[-1] < 0.5 * history[0]
    own, other = own_and_other(PairScores(model), clicks)
    assert own > other + 2


def test_training_repeats_with_its_seed():
    clicks = two_tastes()
    models = [ncf.gmf(clicks.n_users, clicks.n_items, 4, seed=0) for _ in range(3)]
    runs = [ncf.train(m, clicks, epochs=2, seed=s) for m, s in zip(models, (0, 0, 1), strict=True)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}])
def test_training_refuses_settings_that_train_nothing(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ncf.train(ncf.gmf(40, 30, 4), two_tastes(), **bad)


def test_deep_mf_tells_two_tastes_apart_and_stays_between_0_and_1():
    clicks = two_tastes()
    model = DeepMF(tower=(16, 8), epochs=40, batch_size=512, learning_rate=0.01).fit(clicks)
    own, other = own_and_other(model, clicks)
    assert own > other + 0.4 and model.history[-1] < model.history[0]
    scores = model.scores(np.arange(clicks.n_users))
    assert scores.min() >= -1e-6 and scores.max() <= 1 + 1e-6


def test_deep_mf_refuses():
    with pytest.raises(ValueError, match="tower="):
        DeepMF(tower=())
    with pytest.raises(NotFittedError, match="fit"):
        DeepMF().scores([0])


def test_a_network_is_drawn_with_the_shapes_of_its_layers():
    figure = plots.layers(ncf.gmf(N_USERS, N_ITEMS, 3))
    shown = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    both = shown["product\nMultiply\n3"][0]
    assert shown["user"][0] < shown[f"user_gmf\nEmbedding\n{N_USERS} × 3"][0] < both
    assert both < shown["chance\nDense\n3 × 1"][0]
    assert len(figure.axes[0].lines) == 5
    plt.close(figure)


@pytest.fixture
def program():
    """The program of the job, which knows nothing of the course."""
    path = ROOT / "chapters" / "ncf_job" / "ncf.py"
    spec = importlib.util.spec_from_file_location("ncf_job_program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_programs_network_is_the_courses(program):
    assert "helpers" not in Path(program.__file__).read_text(encoding="utf-8")
    batch = pairs(50)
    theirs = program.build_model(N_USERS, N_ITEMS, 4, 0.1, 0.25, 3)
    ours = ncf.neumf(N_USERS, N_ITEMS, 4, regularization=0.1, dropout=0.25, seed=3)
    assert {layer.name for layer in theirs.layers} == {layer.name for layer in ours.layers}
    assert set(weights_of(theirs)) == set(weights_of(ours))
    for name, weights in weights_of(ours).items():
        theirs.get_layer(name).set_weights(weights)
    np.testing.assert_allclose(np.asarray(theirs(batch)), np.asarray(ours(batch)), atol=1e-7)
    losses = [float(sum(model.losses)) for model in (theirs, ours)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0] > 0


def test_the_program_draws_no_click_as_a_negative(program):
    clicked = np.zeros((3, 5), dtype=bool)
    users, items = np.array([0, 0, 1, 2], np.int32), np.array([0, 1, 4, 2], np.int32)
    clicked[users, items] = True
    *drawn, labels = program.draw_epoch(users, items, clicked, 50, np.random.default_rng(0))
    assert len(labels) == 4 * 51 and labels.sum() == 4
    assert np.array_equal(clicked[tuple(drawn)], labels == 1)


@pytest.mark.parametrize(
    "rows, sentence",
    [([[0, 0, 1], [3, 164979, 1]], "raw ids"), ([[0, 0, 1], [0, 1, 0]], "clicks only")],
)
def test_the_program_refuses_raw_ids_and_ready_made_negatives(program, tmp_path, rows, sentence):
    np.save(tmp_path / "train.npy", np.array(rows, np.int32))
    with pytest.raises(SystemExit, match=sentence):
        program.read_clicks(tmp_path, 671, 9066)


def test_the_program_reads_its_hosts(program, monkeypatch):
    """Without TF_CONFIG the addresses come from SageMaker's own variables."""
    import tensorflow as tf

    monkeypatch.setenv("SM_HOSTS", json.dumps(["algo-1", "algo-2"]))
    monkeypatch.setenv("SM_CURRENT_HOST", "algo-2")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: "joined")
    assert program.join_workers() == (2, 1, "joined")
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": {"worker": ["algo-1:2222", "algo-2:2222"]},
        "task": {"type": "worker", "index": 1},
    }
    monkeypatch.delenv("TF_CONFIG")
