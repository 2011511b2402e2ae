"""Baselines and matrix factorization: arithmetic, learning, and the same function in three frameworks."""

import subprocess
import sys

import numpy as np
import pytest

from helpers import gates
from helpers.data import random_split
from helpers.metrics import rmse
from helpers.models import (
    BiasModel,
    GlobalMean,
    MatrixFactorization,
    NotFittedError,
    Popularity,
    TalkModel,
)
from helpers.models.mf_arithmetic import Lookup, forward, gradients, initial_weights
from helpers.models.optimizers import Adam, Momentum
from tests import worlds as planted

TOLERANCE = 1e-5


def score(model, data):
    frame = data.frame
    return rmse(model.predict(frame["user"].to_numpy(), frame["item"].to_numpy()), frame["rating"])


@pytest.fixture(scope="module")
def world():
    return planted.low_rank_ratings(300, 200, rank=2, density=0.3, noise=0.3, bias=0.4, seed=0)


@pytest.fixture(scope="module")
def split(world):
    return random_split(world.data)


def batch(biases, n=40, seed=0):
    generator = np.random.default_rng(seed)
    weights = initial_weights(7, 9, 4, generator, biases=biases, scale=0.5)
    if biases:
        weights["user_bias"] += generator.normal(size=7).astype(np.float32)
        weights["item_bias"] += generator.normal(size=9).astype(np.float32)
    users, items = generator.integers(0, 7, n), generator.integers(0, 9, n)
    return weights, users, items, generator.integers(1, 6, n).astype(np.float32)


# --- baselines


def test_the_mean_scores_the_standard_deviation(split):
    model = GlobalMean().fit(split.train)
    assert score(model, split.train) == pytest.approx(
        split.train.frame["rating"].std(ddof=0), rel=1e-5
    )


def test_biases_by_hand():
    data = planted.interactions([0, 0, 1, 1], [0, 1, 0, 1], [5, 3, 3, 1])
    model = BiasModel(0, 0).fit(data)
    np.testing.assert_allclose(model.user_bias, [1, -1], atol=1e-9)
    np.testing.assert_allclose(model.item_bias, [1, -1], atol=1e-9)
    assert model.predict([0], [0]).tolist() == [5.0]
    np.testing.assert_allclose(model.scores([1]), [[3, 1]], atol=1e-6)


def test_biases_are_the_least_squares_solution(split):
    data, decay = split.train, (5.0, 2.0)
    model = BiasModel(*decay, rounds=200).fit(data)
    users, items = data.frame["user"].to_numpy(), data.frame["item"].to_numpy()
    error = data.frame["rating"].to_numpy() - (
        model.mean + model.user_bias[users] + model.item_bias[items]
    )
    of_user = np.bincount(users, error, data.n_users) - decay[0] * model.user_bias
    of_item = np.bincount(items, error, data.n_items) - decay[1] * model.item_bias
    assert np.abs(of_user).max() < 1e-3 and np.abs(of_item).max() < 1e-3


def test_decay_shrinks_those_with_few_ratings_most():
    data = planted.interactions(
        [0, 1, 1, 1, 1, 2], [0, 0, 1, 2, 3, 1], [5, 5, 5, 5, 5, 1], n_items=5
    )
    free, shrunk = BiasModel(0, 0).fit(data), BiasModel(5, 2).fit(data)
    assert abs(shrunk.user_bias[2]) < abs(free.user_bias[2])
    assert free.item_bias[4] == shrunk.item_bias[4] == 0  # never rated


def test_popularity_counts():
    data = planted.popularity_world((5, 3, 1))
    assert Popularity().fit(data).scores([0, 4]).tolist() == [[5, 3, 1], [5, 3, 1]]


# --- bad input


@pytest.mark.parametrize(
    "model", [GlobalMean(), BiasModel(), MatrixFactorization(epochs=1), TalkModel(epochs=1)]
)
def test_indices_are_checked(model):
    with pytest.raises(NotFittedError, match="call fit"):
        model.predict([0], [0])
    data = planted.hand_world()
    model.fit(data)
    assert model.predict([0, 2], [1, 2]).dtype == np.float32
    assert len(model.predict(np.array([], int), np.array([], int))) == 0
    with pytest.raises(IndexError, match="users: index 3 is not in 0..2; models take contiguous"):
        model.predict([3], [0])
    with pytest.raises(IndexError, match="items: index -1"):
        model.predict([0], [-1])
    with pytest.raises(TypeError, match="whole numbers, got float64"):
        model.predict([0.5], [0])
    with pytest.raises(ValueError, match="2 users and 1 items"):
        model.predict([0, 1], [0])
    with pytest.raises(ValueError, match="no ratings to learn from"):
        model.fit(data.replace(data.frame.head(0)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"validation_share": 1.0}, "validation_share=1.0"),
        ({"optimizer": "adagrad"}, "optimizer='adagrad'"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        MatrixFactorization(**settings)


def test_settings_of_the_parts_are_checked():
    data = planted.hand_world()
    with pytest.raises(ValueError, match="learning_rate=-1"):
        MatrixFactorization(learning_rate=-1).fit(data)
    with pytest.raises(ValueError, match="init='zeros'"):
        MatrixFactorization(init="zeros").fit(data)
    with pytest.raises(ValueError, match="momentum=1.0"):
        Momentum(0.1, 1.0)


# --- arithmetic


def test_a_lookup_is_a_one_hot_product():
    for n in (10, 500):  # below and above the size at which the matrix becomes sparse
        generator = np.random.default_rng(n)
        index, table = (
            generator.integers(0, 30, n),
            generator.normal(size=(30, 4)).astype(np.float32),
        )
        lookup = Lookup(index)
        np.testing.assert_array_equal(lookup.one_hot.T @ table[lookup.rows], table[index])
        values = generator.normal(size=(n, 4)).astype(np.float32)
        summed = np.zeros((30, 4), np.float32)
        np.add.at(summed, index, values)
        np.testing.assert_allclose(lookup.one_hot @ values, summed[lookup.rows], atol=1e-5)
        assert lookup.counts.sum() == n


@pytest.mark.parametrize("biases", [False, True])
def test_gradients_are_the_slopes_of_the_loss(biases):
    weights, users, items, ratings = batch(biases)
    exact = {name: table.astype(np.float64) for name, table in weights.items()}
    settings = {"mean": 3.0, "weight_decay": 0.1, "bias_decay": 0.05}

    def loss():
        error = forward(exact, users, items, settings["mean"]) - ratings
        squares = (exact["user_factors"][users] ** 2 + exact["item_factors"][items] ** 2).sum(
            axis=1
        )
        total = error**2 + settings["weight_decay"] * squares
        if biases:
            total += settings["bias_decay"] * (
                exact["user_bias"][users] ** 2 + exact["item_bias"][items] ** 2
            )
        return total.mean() / 2

    found = gradients(weights, users, items, ratings, **settings)
    for name, table in exact.items():
        for place in np.ndindex(table.shape):
            kept, step = table[place], 1e-5
            table[place] = kept + step
            above = loss()
            table[place] = kept - step
            below = loss()
            table[place] = kept
            assert found[name][place] == pytest.approx((above - below) / (2 * step), abs=1e-4), (
                name,
                place,
            )


def test_momentum_by_rows_is_dense_momentum():
    generator = np.random.default_rng(0)
    sparse = {
        "table": generator.normal(size=(20, 3)).astype(np.float32),
        "bias": np.zeros(20, np.float32),
    }
    dense = {name: table.astype(np.float64) for name, table in sparse.items()}
    velocity = {name: np.zeros_like(table) for name, table in dense.items()}
    optimizer = Momentum(0.1, 0.9)
    for _ in range(60):
        rows = {name: np.unique(generator.integers(0, 20, 3)) for name in sparse}
        optimizer.refresh(sparse, rows)
        slopes = {}
        for name, index in rows.items():
            np.testing.assert_allclose(sparse[name][index], dense[name][index], atol=1e-4)
            slopes[name] = generator.normal(size=sparse[name][index].shape).astype(np.float32)
            full = np.zeros_like(dense[name])
            full[index] = slopes[name]
            velocity[name] = 0.9 * velocity[name] - 0.1 * full
            dense[name] += velocity[name]
        optimizer.step(sparse, rows, slopes)
    optimizer.refresh(sparse, {name: np.arange(20) for name in sparse})
    for name in sparse:
        np.testing.assert_allclose(sparse[name], dense[name], atol=1e-4)


def test_adam_takes_first_steps_of_the_learning_rate():
    weights = {"table": np.zeros((3, 2), np.float32)}
    slopes = np.array([[5.0, -0.001]], np.float32)
    Adam(0.1).step(weights, {"table": np.array([1])}, {"table": slopes})
    np.testing.assert_allclose(weights["table"], [[0, 0], [-0.1, 0.1], [0, 0]], atol=1e-5)


def test_xavier_is_mxnets():
    weights = initial_weights(943, 1682, 64, np.random.default_rng(0), init="xavier", scale=2.24)
    for name, rows in (("user_factors", 943), ("item_factors", 1682)):
        assert np.abs(weights[name]).max() == pytest.approx(
            np.sqrt(2.24 * 2 / (rows + 64)), rel=0.01
        )


# --- learning


@pytest.mark.parametrize(
    "optimizer", [{"learning_rate": 0.02}, {"optimizer": "sgd", "learning_rate": 0.5}]
)
def test_it_finds_what_is_planted(world, split, optimizer):
    model = MatrixFactorization(
        k=2, init_scale=0.3, weight_decay=0.01, epochs=40, batch_size=500, **optimizer
    )
    model.fit(split.train)
    reached, biases = score(model, split.test), score(BiasModel().fit(split.train), split.test)
    assert world.noise * 0.95 < reached < world.noise * 1.25
    assert biases > 3 * world.noise


def test_predict_and_scores_agree(split):
    model = MatrixFactorization(k=3, epochs=2).fit(split.train)
    table = model.scores(np.array([4, 7]))
    assert table.shape == (2, split.train.n_items) and table.dtype == np.float32
    items = np.arange(split.train.n_items)
    np.testing.assert_allclose(table[1], model.predict(np.full(len(items), 7), items), atol=1e-5)


def test_same_seed_same_result_and_another_seed_another(split):
    first, second, other = (
        MatrixFactorization(epochs=3, seed=seed).fit(split.train) for seed in (1, 1, 2)
    )
    for name in first.weights:
        np.testing.assert_array_equal(first.weights[name], second.weights[name])
    assert first.history.equals(second.history)
    assert not np.array_equal(first.weights["user_factors"], other.weights["user_factors"])


def test_early_stopping_keeps_the_best_epoch(split):
    settings = {"k": 16, "weight_decay": 0.0, "init_scale": 0.3, "epochs": 60, "refit": False}
    model = MatrixFactorization(**settings).fit(split.train)
    history = model.history
    assert len(history) == model.best_epoch + model.patience < 60
    assert history["validation"].idxmin() == model.best_epoch - 1
    assert history["train"].iloc[-1] < history["train"].iloc[0]
    same = MatrixFactorization(**{**settings, "epochs": model.best_epoch}).fit(split.train)
    np.testing.assert_array_equal(model.weights["user_factors"], same.weights["user_factors"])


def test_refit_uses_every_row_and_helps(split):
    stopped = MatrixFactorization(refit=False).fit(split.train)
    refit = MatrixFactorization().fit(split.train)
    assert refit.best_epoch == stopped.best_epoch and refit.history.equals(stopped.history)
    assert refit.mean == pytest.approx(split.train.frame["rating"].mean())
    assert refit.samples > stopped.samples
    assert score(refit, split.test) < score(stopped, split.test)


def test_watching_the_test_rows_changes_nothing(split):
    alone = MatrixFactorization(epochs=3).fit(split.train)
    watched = MatrixFactorization(epochs=3).fit(split.train, watch={"test": split.test})
    np.testing.assert_array_equal(alone.weights["item_factors"], watched.weights["item_factors"])
    assert list(watched.history) == ["epoch", "train", "validation", "test"]


def test_the_talks_settings():
    model = TalkModel(seed=3)
    assert (model.k, model.batch_size, model.learning_rate, model.momentum) == (64, 50, 0.02, 0.9)
    assert not model.biases and model.validation_share == 0 and model.epochs == 10


# --- the same function in the frameworks

needs_mxnet = pytest.mark.skipif(not gates.mxnet, reason="MXNet has no wheel for this platform")


def same(expected, found):
    for name, table in expected.items():
        assert found[name].shape == table.shape, name
        np.testing.assert_allclose(found[name], table, atol=TOLERANCE, err_msg=name)


@needs_mxnet
@pytest.mark.parametrize("biases", [False, True])
def test_the_symbolic_network_is_the_same_function(biases):
    from helpers.models.mf_mxnet import plain_net, symbol_gradients

    weights, users, items, ratings = batch(biases)
    predicted, found = symbol_gradients(plain_net(4, 7, 9, biases), weights, users, items, ratings)
    np.testing.assert_allclose(predicted, forward(weights, users, items), atol=TOLERANCE)
    same(gradients(weights, users, items, ratings), found)


@needs_mxnet
@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("biases", [False, True])
def test_the_gluon_block_is_the_same_function(biases, hybrid):
    from helpers.models.mf_mxnet import block_gradients, copy_to_block, mf_block

    weights, users, items, ratings = batch(biases)
    net = mf_block(7, 9, 4, biases)
    copy_to_block(weights, net)
    if hybrid:
        net.hybridize()
    predicted, found = block_gradients(net, users, items, ratings)
    np.testing.assert_allclose(predicted, forward(weights, users, items), atol=TOLERANCE)
    same(gradients(weights, users, items, ratings), found)


@needs_mxnet
def test_one_step_of_gluons_sgd_is_ours():
    from helpers.models.mf_mxnet import copy_to_block, mf_block, train_block

    mx = gates.import_mxnet()
    weights, users, items, ratings = batch(biases=False)
    net = mf_block(7, 9, 4)
    copy_to_block(weights, net)
    batches = [tuple(mx.nd.array(column) for column in (users, items, ratings))]
    train_block(net, lambda: batches, epochs=3, learning_rate=0.1, momentum=0.9)
    optimizer, rows = (
        Momentum(0.1, 0.9),
        {"user_factors": np.arange(7), "item_factors": np.arange(9)},
    )
    for _ in range(3):
        optimizer.refresh(weights, rows)
        optimizer.step(weights, rows, gradients(weights, users, items, ratings))
    for name, table in weights.items():
        np.testing.assert_allclose(
            getattr(net, name).weight.data().asnumpy(), table, atol=TOLERANCE, err_msg=name
        )


@needs_mxnet
def test_both_loaders_hand_out_every_rating_once():
    from helpers.models.mf_mxnet import batch_loader, row_loader

    data = planted.low_rank_ratings(20, 15).data
    names = ["user", "item", "rating"]
    wanted = data.frame.sort_values(["user", "item"])[names].to_numpy(np.float32)
    for loader in (row_loader(data, 8), batch_loader(data, 8, np.random.default_rng(0))):
        rows = np.concatenate(
            [np.stack([c.asnumpy().ravel() for c in batch], axis=1) for batch in loader]
        )
        found = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        np.testing.assert_allclose(found, wanted)


@needs_mxnet
def test_the_block_learns():
    from helpers.models.mf_mxnet import batch_loader, block_gradients, mf_block, train_block

    mx = gates.import_mxnet()
    mx.random.seed(0)
    data = planted.low_rank_ratings(noise=0.1).data
    net = mf_block(data.n_users, data.n_items, 4)
    net.initialize(mx.init.Xavier(magnitude=2.24))
    net.hybridize()
    generator = np.random.default_rng(0)
    train_block(net, lambda: batch_loader(data, 50, generator), epochs=40, learning_rate=0.1)
    users, items, ratings = (data.frame[name].to_numpy() for name in ("user", "item", "rating"))
    assert rmse(block_gradients(net, users, items, ratings)[0], ratings) < 0.5


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("settings", [{}, {"mean": 3.0, "weight_decay": 0.1}])
def test_the_keras_model_is_the_same_function(biases, settings):
    from helpers.models.mf_keras import copy_to_keras, keras_forward, keras_gradients, keras_mf

    weights, users, items, ratings = batch(biases)
    model = keras_mf(7, 9, 4, biases, **settings)
    copy_to_keras(weights, model)
    np.testing.assert_allclose(
        keras_forward(model, users, items),
        forward(weights, users, items, settings.get("mean", 0.0)),
        atol=TOLERANCE,
    )
    same(
        gradients(weights, users, items, ratings, **settings),
        keras_gradients(model, users, items, ratings),
    )


def test_the_keras_model_trains_by_its_own_fit():
    import keras

    from helpers.models.mf_keras import half_squared_error, keras_forward, keras_mf

    keras.utils.set_random_seed(0)
    data = planted.low_rank_ratings(noise=0.1).data
    users, items, ratings = (data.frame[name].to_numpy() for name in ("user", "item", "rating"))
    model = keras_mf(data.n_users, data.n_items, 2, biases=True, mean=float(ratings.mean()))
    model.compile(keras.optimizers.Adam(0.05), half_squared_error)
    model.fit({"user": users, "item": items}, ratings, batch_size=256, epochs=15, verbose=0)
    assert rmse(keras_forward(model, users, items), ratings) < 0.3


def test_importing_the_room_loads_no_framework():
    code = (
        "import sys, helpers.models, helpers.models.mf_keras, helpers.models.mf_mxnet;"
        "print(*sorted({'mxnet', 'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
