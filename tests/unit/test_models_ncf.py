"""The networks of neural collaborative filtering: what they compute, how they train, what they refuse."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from helpers import data
from helpers.book import ROOT
from helpers.models import drawing, ncf
from helpers.models.base import NotFittedError
from helpers.models.dmf import DeepMF
from helpers.models.ncf import PairScores
from helpers.sampling import NegativeSampler
from tests.benchmarks.bench_ncf import look_ups

N_USERS, N_ITEMS = 7, 11
BUILDERS = {"gmf": ncf.gmf, "mlp": ncf.mlp, "neumf": ncf.neumf}


def pairs(n=20, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "user": rng.integers(0, N_USERS, n).astype(np.int32),
        "item": rng.integers(0, N_ITEMS, n).astype(np.int32),
    }


def weights_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


def two_tastes(n_users=40, n_items=30):
    """Even users click the first half of the items, odd ones the second half; the last item of each is hidden."""
    rows = [
        (user, item, 5.0, 1000 + k)
        for user in range(n_users)
        for k, item in enumerate(range(user % 2, n_items, 2))
        if (user + k) % 4
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    return data.Interactions.from_frame(table, name="two tastes")


# what a network computes


def test_gmf_is_a_weighed_product():
    model = ncf.gmf(N_USERS, N_ITEMS, 3, seed=1)
    batch, w = pairs(), weights_of(ncf.gmf(N_USERS, N_ITEMS, 3, seed=1))
    p, q = w["user_gmf"][0][batch["user"]], w["item_gmf"][0][batch["item"]]
    (h, c) = w["chance"]
    expected = 1 / (1 + np.exp(-((p * q) @ h[:, 0] + c)))
    np.testing.assert_allclose(np.asarray(model(batch))[:, 0], expected, atol=1e-6)


def test_mlp_is_the_layers_on_both_vectors():
    model = ncf.mlp(N_USERS, N_ITEMS, 3, seed=1)
    batch, w = pairs(), weights_of(model)
    x = np.hstack([w["user_mlp"][0][batch["user"]], w["item_mlp"][0][batch["item"]]])
    for number in range(1, 5):
        kernel, bias = w[f"hidden_{number}"]
        x = np.maximum(x @ kernel + bias, 0)
    assert [w[f"hidden_{i}"][1].size for i in range(1, 5)] == [64, 32, 16, 8]
    h, c = w["chance"]
    np.testing.assert_allclose(
        np.asarray(model(batch))[:, 0], 1 / (1 + np.exp(-(x @ h[:, 0] + c))), atol=1e-6
    )


def test_neumf_has_four_tables_and_both_branches():
    model = ncf.neumf(N_USERS, N_ITEMS, 3)
    w = weights_of(model)
    assert {name for name in w if "_" in name and "hidden" not in name} == {
        "user_gmf", "item_gmf", "user_mlp", "item_mlp",
    }  # fmt: skip
    assert w["chance"][0].shape == (3 + 8, 1)
    assert (
        model.count_params()
        == 6 * (N_USERS + N_ITEMS) + (6 + 1) * 64 + 65 * 32 + 33 * 16 + 17 * 8 + 12
    )


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_the_seed_decides_all_first_weights(build):
    one, same, other = (build(N_USERS, N_ITEMS, 3, seed=s).get_weights() for s in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True) if a.any())


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_scores_without_pairs_are_the_networks_own(build, activation):
    model = build(N_USERS, N_ITEMS, 3, activation=activation, seed=2)
    model.set_weights(
        [w + 0.3 * np.random.default_rng(0).standard_normal(w.shape) for w in model.get_weights()]
    )
    users = [4, 0, 4]
    grid = {
        "user": np.repeat(users, N_ITEMS).astype(np.int32),
        "item": np.tile(np.arange(N_ITEMS, dtype=np.int32), len(users)),
    }
    scores = PairScores(model).scores(users)
    assert scores.shape == (3, N_ITEMS) and scores.dtype == np.float32
    chances = np.asarray(model(grid)).reshape(3, N_ITEMS)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), chances, atol=1e-6)


def test_scores_refuse_a_user_without_a_vector():
    scorer = PairScores(ncf.gmf(N_USERS, N_ITEMS, 3))
    with pytest.raises(IndexError, match="7"):
        scorer.scores([N_USERS])


def test_regularization_is_half_the_squared_vectors_of_a_pair():
    model = ncf.gmf(N_USERS, N_ITEMS, 3, regularization=0.5)
    batch, w = pairs(10), weights_of(model)
    model(batch)
    rows = [w["user_gmf"][0][batch["user"]], w["item_gmf"][0][batch["item"]]]
    expected = sum(0.25 * (r**2).sum() / 10 for r in rows)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"factors": 0}, "factors=0"),
        ({"n_users": 0}, "n_users=0"),
        ({"activation": "tanh"}, "activation='tanh'"),
        ({"regularization": -1.0}, "regularization=-1.0"),
        ({"tower": ()}, "tower="),
        ({"tower": (8, 0)}, "tower="),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ncf.neumf(**{"n_users": N_USERS, "n_items": N_ITEMS, **settings})


# one-hot and embeddings


def both_ways(sizes, rows, spread=0.0):
    """The post's network, ours with its weights, and the inputs of both."""
    import keras

    posts = ncf.neumf(*sizes, 4, one_hot=True, dropout=0.25, seed=3)
    rng = np.random.default_rng(0)
    posts.set_weights([w + spread * rng.standard_normal(w.shape) for w in posts.get_weights()])
    ours = look_ups(posts, ncf.neumf(*sizes, 4, activation="relu", dropout=0.25))
    names = ("user", "item")
    wide = {n: keras.ops.one_hot(rows[n], size) for n, size in zip(names, sizes, strict=True)}
    return posts, ours, wide


def test_dense_on_one_hot_equals_an_embedding_with_copied_weights():
    batch = pairs(200)
    posts, ours, wide = both_ways((N_USERS, N_ITEMS), batch, spread=0.3)
    np.testing.assert_allclose(np.asarray(posts(wide)), np.asarray(ours(batch)), atol=1e-6)
    assert np.asarray(ours(batch)).std() > 0.01, "a constant would agree as well"


def test_the_two_learn_alike():
    """After the same batches, dropout included, one-hot and look-ups end in the same weights."""
    import keras

    clicks = two_tastes()
    examples = NegativeSampler(clicks).epoch(3, rng=np.random.default_rng(0))
    rows = {"user": examples.users, "item": examples.items}
    posts, ours, wide = both_ways((clicks.n_users, clicks.n_items), rows)
    before = [w.copy() for w in ours.get_weights()]
    ncf.epoch_runner(ours, 100)(examples, 0.001)
    posts.compile(keras.optimizers.Adam(0.001), "binary_crossentropy")
    posts.fit(wide, examples.labels, batch_size=100, shuffle=False, verbose=0)
    again = look_ups(posts, keras.models.clone_model(ours))
    after = list(zip(before, again.get_weights(), ours.get_weights(), strict=True))
    moved = max(np.abs(first - mine).max() for first, _, mine in after)
    apart = max(np.abs(theirs - mine).max() for _, theirs, mine in after)
    assert moved > 0.005 and apart < 0.05 * moved


# training


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_training_tells_two_tastes_apart(build):
    clicks = two_tastes()
    model = build(clicks.n_users, clicks.n_items, 8, seed=0)
    history = ncf.train(model, clicks, epochs=25, batch_size=256, learning_rate=0.02)
    assert len(history) == 25 and history[-1] < 0.5 * history[0]
    scores = PairScores(model).scores(np.arange(clicks.n_users))
    own = np.add.outer(np.arange(clicks.n_users), np.arange(clicks.n_items)) % 2 == 0
    assert scores[own].mean() > scores[~own].mean() + 2


def test_adam_in_one_operation_steps_as_keras_does():
    import keras
    import tensorflow as tf

    from helpers.models.tf_adam import FusedAdam

    start = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    one, other = (keras.Variable(start) for _ in range(2))
    adam, kerass = FusedAdam([one.value]), keras.optimizers.Adam(0.01)
    rng = np.random.default_rng(1)
    for _ in range(20):
        rows, slopes = (
            rng.integers(0, 4, 6),
            rng.standard_normal((6, 3)).astype(np.float32),
        )  # rows repeat
        whole = np.zeros((5, 3), np.float32)
        np.add.at(whole, rows, slopes)
        adam.apply([tf.IndexedSlices(slopes, rows, (5, 3))], 0.01)
        kerass.apply([tf.constant(whole)], [other])
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
    assert np.abs(one.numpy() - start)[:4].max() > 0.05
    np.testing.assert_array_equal(one.numpy()[4], start[4])


def test_training_repeats_with_its_seed():
    clicks = two_tastes()
    runs = []
    for seed in (0, 0, 1):
        model = ncf.gmf(clicks.n_users, clicks.n_items, 4, seed=0)
        runs.append(ncf.train(model, clicks, epochs=2, seed=seed))
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}])
def test_training_refuses_settings_that_train_nothing(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ncf.train(ncf.gmf(40, 30, 4), two_tastes(), **bad)


# deep matrix factorization


def test_deep_mf_tells_two_tastes_apart_and_stays_between_0_and_1():
    clicks = two_tastes()
    model = DeepMF(tower=(16, 8), epochs=40, batch_size=512, learning_rate=0.01).fit(clicks)
    scores = model.scores(np.arange(clicks.n_users))
    own = np.add.outer(np.arange(clicks.n_users), np.arange(clicks.n_items)) % 2 == 0
    assert scores[own].mean() > scores[~own].mean() + 0.4
    assert scores.min() >= -1e-6 and scores.max() <= 1 + 1e-6
    assert model.history[-1] < model.history[0]


def test_deep_mf_refuses():
    with pytest.raises(ValueError, match="learning_rate=0"):
        DeepMF(learning_rate=0)
    with pytest.raises(ValueError, match="tower="):
        DeepMF(tower=())
    with pytest.raises(NotFittedError, match="fit"):
        DeepMF().scores([0])


# the drawing


def test_layers_are_listed_with_what_feeds_them():
    text = drawing.layer_lines(ncf.gmf(N_USERS, N_ITEMS, 3))
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert lines["product"].endswith("from user_gmf, item_gmf")
    assert lines["user"].split()[1:] == ["InputLayer", "an", "index"]


@pytest.mark.parametrize("installed", [True, False])
def test_the_stored_text_is_the_same_without_graphviz(monkeypatch, installed):
    import IPython.display

    if installed and shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    if not installed:
        monkeypatch.setattr(drawing.shutil, "which", lambda name: None)
    seen = []
    monkeypatch.setattr(IPython.display, "display", lambda content, **_: seen.append(content))
    model = ncf.gmf(N_USERS, N_ITEMS, 3)
    drawing.show_model(model)
    assert seen[0]["text/plain"] == drawing.layer_lines(model)
    assert ("image/png" in seen[0]) is installed


# the program of the job, which knows nothing of the course


@pytest.fixture
def program():
    path = ROOT / "chapters" / "ncf_job" / "ncf.py"
    spec = importlib.util.spec_from_file_location("ncf_job_program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_program_needs_nothing_of_the_course():
    text = (ROOT / "chapters" / "ncf_job" / "ncf.py").read_text(encoding="utf-8")
    assert "helpers" not in text


def test_the_programs_network_is_the_courses(program):
    batch = pairs(50)
    theirs = program.build_model(N_USERS, N_ITEMS, 4, 0.1, 0.25, 3)
    ours = ncf.neumf(N_USERS, N_ITEMS, 4, regularization=0.1, dropout=0.25, seed=3)
    assert {layer.name for layer in theirs.layers} == {layer.name for layer in ours.layers}
    assert {n: [a.shape for a in w] for n, w in weights_of(theirs).items()} == {
        n: [a.shape for a in w] for n, w in weights_of(ours).items()
    }
    for name, weights in weights_of(ours).items():
        theirs.get_layer(name).set_weights(weights)
    np.testing.assert_allclose(np.asarray(theirs(batch)), np.asarray(ours(batch)), atol=1e-7)
    assert float(sum(theirs.losses)) == pytest.approx(float(sum(_after(ours, batch))), rel=1e-5)


def _after(model, batch):
    model(batch)
    return model.losses


def test_the_program_draws_no_click_as_a_negative(program):
    clicked = np.zeros((3, 5), dtype=bool)
    users, items = np.array([0, 0, 1, 2], np.int32), np.array([0, 1, 4, 2], np.int32)
    clicked[users, items] = True
    drawn_users, drawn_items, labels = program.draw_epoch(
        users, items, clicked, 50, np.random.default_rng(0)
    )
    assert len(labels) == 4 * 51 and labels.sum() == 4
    assert not clicked[drawn_users, drawn_items][labels == 0].any()
    assert clicked[drawn_users, drawn_items][labels == 1].all()


@pytest.mark.parametrize(
    "rows, sentence",
    [([[0, 0, 1], [3, 164979, 1]], "raw ids"), ([[0, 0, 1], [0, 1, 0]], "clicks only")],
)
def test_the_program_refuses_raw_ids_and_ready_made_negatives(program, tmp_path, rows, sentence):
    np.save(tmp_path / "train.npy", np.array(rows, np.int32))
    with pytest.raises(SystemExit, match=sentence):
        program.read_clicks(tmp_path, 671, 9066)


def test_the_program_trains_alone_and_saves_for_tensorflow_serving(
    program, tmp_path, monkeypatch, capsys
):
    import keras
    import tensorflow as tf

    for name in list(os.environ):
        if name.startswith("SM_") or name == "TF_CONFIG":
            monkeypatch.delenv(name)
    clicks = two_tastes()
    table = clicks.frame[["user", "item"]].assign(label=1).to_numpy(np.int32)
    np.save(tmp_path / "train.npy", table)
    words = [
        "--n_user", str(clicks.n_users), "--n_item", str(clicks.n_items), "--epochs", "3", "--factors", "4",
        "--learning_rate", "0.02", "--training", str(tmp_path), "--model_folder", str(tmp_path / "model"),
    ]  # fmt: skip
    program.main(words)
    losses = [
        float(line.split("=")[1])
        for line in capsys.readouterr().out.splitlines()
        if "loss=" in line
    ]
    assert len(losses) == 3 and losses[-1] < losses[0]
    kept = keras.models.load_model(tmp_path / "model" / "ncf.keras")
    served = tf.saved_model.load(str(tmp_path / "model" / "1")).signatures["serving_default"]
    answer = served(user=tf.constant([0, 1]), item=tf.constant([2, 3]))
    expected = np.asarray(kept({"user": np.array([0, 1]), "item": np.array([2, 3])}))
    np.testing.assert_allclose(next(iter(answer.values())).numpy(), expected, atol=1e-6)


def test_the_program_reads_its_hosts(program, monkeypatch):
    """Without TF_CONFIG the addresses come from SageMaker's own variables."""
    import tensorflow as tf

    monkeypatch.setenv("SM_HOSTS", json.dumps(["algo-1", "algo-2"]))
    monkeypatch.setenv("SM_CURRENT_HOST", "algo-2")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: "joined")
    assert program.join_workers() == (2, 1, "joined")
    config = json.loads(os.environ["TF_CONFIG"])
    assert config == {
        "cluster": {"worker": ["algo-1:2222", "algo-2:2222"]},
        "task": {"type": "worker", "index": 1},
    }
    monkeypatch.delenv("TF_CONFIG")
