"""Hidden layers under an inner product: gradients, parity with factorization, and features."""

import numpy as np
import pytest

from helpers import planted
from helpers.data import random_split
from helpers.metrics import rmse
from helpers.models.base import NotFittedError
from helpers.models.mf import Lookup, MatrixFactorization, forward
from helpers.models.nonlinear import (
    LAYERS,
    ORDERS,
    FeatureTowers,
    NonlinearFactorization,
    tower,
)
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
def test_gradients_are_the_numeric_ones(layers, order, split):
    small = split.train.replace(split.train.frame.iloc[:60])
    users, items, ratings = (small.frame[c].to_numpy() for c in ("user", "item", "rating"))
    users, items = (
        np.unique(users, return_inverse=True)[1],
        np.unique(items, return_inverse=True)[1],
    )
    model = network(
        layers,
        order,
        regularization=0.1,
        bias_regularization=0.05,
        dense_regularization=0.02,
        output_regularization=0.03,
        init_scale=0.5,
    )
    model.mean = 0.0  # offsets are float32: a mean would round the reference below
    generator = np.random.default_rng(1)
    drawn = model._draw_weights(users.max() + 1, items.max() + 1, generator)
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


def test_relu_on_an_embedding_freezes_what_is_below_zero(split):
    model = network("both", "relu-dense", regularization=0, epochs=3, validation_share=0)
    before = model.first_weights(split.train)["user_factors"]
    after = model.fit(split.train).weights["user_factors"]
    assert np.array_equal(after[before <= 0], before[before <= 0])
    assert not np.array_equal(after[before > 0], before[before > 0])


def test_towers_can_be_written_into_plain_embeddings(split):
    model = network("both", "dense-relu", epochs=2)
    with pytest.raises(NotFittedError, match="NonlinearFactorization"):
        model.vectors()
    users, items = model.fit(split.train).vectors()
    assert users.shape == (200, 5) and items.shape == (120, 5) and users.min() >= 0
    plain = {"user_factors": users, "item_factors": items}
    plain |= {name: model.weights[name] for name in ("user_bias", "item_bias")}
    pairs = np.arange(100), np.arange(100)
    np.testing.assert_allclose(forward(plain, *pairs, model.mean), model.predict(*pairs), atol=1e-5)


# --- given features


def test_the_taste_world_needs_a_layer_on_both_sides():
    world = planted.taste_world(width=0.4, noise=0.25)
    axis = np.linspace(-1, 1, 41)
    truth = world.stars(axis, axis)
    off = {}
    for layers in ("none", "user", "both"):
        model = FeatureTowers(units=32, layers=layers)
        model.fit(world.user_taste, world.item_place, world.ratings)
        off[layers] = rmse(model.predict(axis, axis).ravel(), truth.ravel())
    assert off["both"] < 0.3 < 0.8 < off["user"] < off["none"] < truth.std()


def test_without_a_layer_it_finds_the_best_bilinear_score():
    world = planted.taste_world(n_users=20, n_items=30)
    x, y = np.meshgrid(world.user_taste, world.item_place, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y], axis=-1).reshape(-1, 4)
    best = terms @ np.linalg.lstsq(terms, world.ratings.ravel(), rcond=None)[0]
    model = FeatureTowers(layers="none", units=3)
    model.fit(world.user_taste, world.item_place, world.ratings)
    found = model.predict(world.user_taste, world.item_place)
    np.testing.assert_allclose(found.ravel(), best, atol=1e-3)


def test_towers_refuse_what_does_not_fit():
    for settings in ({"layers": "shared"}, {"epochs": 0}):
        with pytest.raises(ValueError, match="layers='shared'|epochs=0"):
            FeatureTowers(**settings)
    with pytest.raises(ValueError, match=r"\(2, 2\), expected \(2, 3\)"):
        FeatureTowers(epochs=1).fit(np.zeros(2), np.zeros(3), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="finite"):
        FeatureTowers(epochs=1).fit(np.array([np.nan]), np.zeros(3), np.zeros((1, 3)))
    with pytest.raises(NotFittedError, match="FeatureTowers"):
        FeatureTowers().predict(np.zeros(2), np.zeros(3))
