"""Hidden layers under an inner product: gradients, parity with factorization, and features."""

import numpy as np
import pytest

from helpers.data import random_split
from helpers.metrics import rmse
from helpers.models.base import NotFittedError
from helpers.models.mf import Lookup, MatrixFactorization
from helpers.models.nonlinear import LAYERS, ORDERS, FeatureTowers, NonlinearFactorization, tower
from helpers.planted import taste_world
from tests import worlds as planted
from tests.unit import numeric

SHAPES = [(layers, order) for layers in LAYERS for order in ORDERS]


@pytest.fixture(scope="module")
def split():
    world = planted.low_rank_ratings(200, 120, rank=2, density=0.3, noise=0.3, bias=0.4)
    return random_split(world.data)


def network(layers, order, **settings):
    hidden = 5 if layers in ("both", "shared") else None
    return NonlinearFactorization(factors=3, layers=layers, order=order, hidden=hidden, **settings)


def test_towers_by_hand():
    rows, weight, bias = np.array([[2.0, -3.0]]), np.array([[1.0, 0.5], [-1.0, 2.0]]), [0.0, 1.0]
    np.testing.assert_allclose(tower(rows, weight, bias, "relu-dense"), [[2, 2]])
    np.testing.assert_allclose(tower(rows, weight, bias, "dense-relu"), [[5, 0]])
    with pytest.raises(ValueError, match="order='relu'"):
        tower(rows, weight, bias, "relu")


# --- factorization with a hidden layer


@pytest.mark.parametrize("layers, order", SHAPES)
def test_gradients_are_the_numeric_ones(layers, order):
    generator = np.random.default_rng(1)
    users, items = generator.permutation(np.arange(60) % 20), np.arange(60) % 13
    ratings = generator.integers(1, 6, 60).astype(np.float32)
    model = network(layers, order, regularization=0.1, bias_regularization=0.05, init_scale=0.5)
    model.dense_regularization, model.output_regularization = 0.02, 0.03
    model.mean = 0.0  # offsets are float32: a mean would round the reference below
    drawn = model._draw_weights(20, 13, generator)
    weights = {n: table + generator.normal(0, 0.3, table.shape) for n, table in drawn.items()}

    def loss():
        f, g = model._vectors(weights, "user", users), model._vectors(weights, "item", items)
        biases = weights["user_bias"][users] + weights["item_bias"][items]
        error = (f * g).sum(axis=1) + biases - ratings
        own = error**2
        for side, index in (("user", users), ("item", items)):
            own += 0.03 * (model._vectors(weights, side, index) ** 2).sum(axis=1)
            own += 0.1 * (weights[f"{side}_factors"][index] ** 2).sum(axis=1)
            own += 0.05 * weights[f"{side}_bias"][index] ** 2
        dense = sum((table**2).sum() for name, table in weights.items() if name.endswith("dense"))
        return own.mean() / 2 + 0.01 * dense

    lookups = {"user": Lookup(users), "item": Lookup(items)}  # every row is read
    found = model._gradients(weights, (users, items, ratings), lookups)
    model._regularize(found, weights, lookups)
    assert found.keys() == weights.keys()
    for name, table in weights.items():
        np.testing.assert_allclose(found[name], numeric.gradient(loss, table, 1e-4), atol=2e-6)


@pytest.mark.parametrize("layers, order", SHAPES[2:])
def test_it_learns_to_predict_the_product_of_the_towers(layers, order, split):
    model = network(layers, order, batch_size=200, regularization=0.02, init_scale=0.3)
    weights = model.fit(split.train).weights
    users, items, stars = (split.test.frame[c].to_numpy() for c in ("user", "item", "rating"))
    f, g = weights["user_factors"][users], weights["item_factors"][items]
    names = {"shared": ("dense", "dense"), "user": ("user_dense", None)}
    of_user, of_item = names.get(layers, ("user_dense", "item_dense"))
    f = tower(f, weights[of_user], weights[f"{of_user}_bias"], order)
    g = tower(g, weights[of_item], weights[f"{of_item}_bias"], order) if of_item else g
    biases = weights["user_bias"][users] + weights["item_bias"][items]
    predicted = model.predict(users, items)
    np.testing.assert_allclose(predicted, model.mean + biases + (f * g).sum(axis=1), atol=1e-5)
    assert rmse(predicted, stars) < 0.9 * stars.std()


def test_without_a_layer_it_is_matrix_factorization(split):
    settings = {"factors": 4, "epochs": 3, "seed": 2, "refit": False}
    plain = MatrixFactorization(**settings).fit(split.train)
    same = NonlinearFactorization(layers="none", **settings).fit(split.train)
    for name, table in plain.weights.items():
        np.testing.assert_allclose(same.weights[name], table, atol=1e-5)


# --- given features


def test_without_a_layer_it_finds_the_best_bilinear_score():
    world = taste_world(n_users=20, n_items=30)
    x, y = np.meshgrid(world.user_taste, world.item_place, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y], axis=-1).reshape(-1, 4)
    best = terms @ np.linalg.lstsq(terms, world.ratings.ravel(), rcond=None)[0]
    model = FeatureTowers(layers="none", units=3)
    model.fit(world.user_taste, world.item_place, world.ratings)
    found = model.predict(world.user_taste, world.item_place)
    np.testing.assert_allclose(found.ravel(), best, atol=1e-3)


def test_towers_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 2\), expected \(2, 3\)"):
        FeatureTowers().fit(np.zeros(2), np.zeros(3), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="ratings: expected finite"):
        FeatureTowers().fit(np.zeros(1), np.zeros(1), np.array([[np.inf]]))
    with pytest.raises(ValueError, match="users: expected finite"):
        FeatureTowers().fit(np.array([np.nan]), np.zeros(3), np.zeros((1, 3)))
    with pytest.raises(NotFittedError, match="FeatureTowers"):
        FeatureTowers().predict(np.zeros(2), np.zeros(3))
