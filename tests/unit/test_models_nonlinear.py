"""Hidden layers under an inner product: slopes, parity with factorization, and bad settings."""

import numpy as np
import pytest

from helpers.data import random_split
from helpers.metrics import rmse
from helpers.models import MatrixFactorization, NotFittedError
from helpers.models.mf_arithmetic import Lookup
from helpers.models.nonlinear import NonlinearFactorization
from helpers.models.towers import FeatureTowers, dense_name, parameter_count, tower, tower_slopes
from helpers.planted import taste_world
from tests import worlds as planted

SHAPES = [
    (layers, order)
    for layers in ("none", "user", "both", "shared")
    for order in ("relu-dense", "dense-relu")
]


@pytest.fixture(scope="module")
def split():
    return random_split(
        planted.low_rank_ratings(200, 120, rank=2, density=0.3, noise=0.3, bias=0.4).data
    )


def network(layers, order, **settings):
    hidden = 5 if layers in ("both", "shared") else None
    return NonlinearFactorization(k=3, layers=layers, order=order, hidden=hidden, **settings)


def numeric_slope(loss, array, place, step=1e-4):
    keep = array[place]
    array[place] = keep + step
    up = loss()
    array[place] = keep - step
    down = loss()
    array[place] = keep
    return (up - down) / (2 * step)


# --- towers


def test_towers_by_hand():
    rows, weight, bias = (
        np.array([[2.0, -3.0]]),
        np.array([[1.0, 0.5], [-1.0, 2.0]]),
        np.array([0.0, 1.0]),
    )
    np.testing.assert_allclose(tower(rows, weight, bias, "relu-dense"), [[2, 2]])
    np.testing.assert_allclose(tower(rows, weight, bias, "dense-relu"), [[5, 0]])
    with pytest.raises(ValueError, match="order='relu'"):
        tower(rows, weight, bias, "relu")


@pytest.mark.parametrize("order", ["relu-dense", "dense-relu"])
def test_tower_slopes_are_the_numeric_ones(order):
    generator = np.random.default_rng(0)
    rows, weight, bias = (
        generator.normal(size=(6, 3)),
        generator.normal(size=(3, 4)),
        generator.normal(size=4),
    )
    slope = generator.normal(size=(6, 4))

    def loss():
        return float((tower(rows, weight, bias, order) * slope).sum())

    found = tower_slopes(rows, tower(rows, weight, bias, order), weight, order, slope)
    for array, of_array in zip((rows, weight, bias), found, strict=True):
        assert array.shape == of_array.shape
        for place in np.ndindex(array.shape):
            assert of_array[place] == pytest.approx(numeric_slope(loss, array, place), abs=1e-6)


@pytest.mark.parametrize(
    "layers, wanted", [("none", 90), ("user", 90 + 16), ("both", 90 + 32), ("shared", 90 + 16)]
)
def test_parameters_are_counted(layers, wanted):
    assert parameter_count(10, 20, 3, 4, layers) == wanted


def test_an_unknown_place_of_the_layer_is_named():
    with pytest.raises(ValueError, match="layers='twice'"):
        dense_name("twice", "user")


# --- factorization with a hidden layer


@pytest.mark.parametrize("layers, order", SHAPES)
def test_slopes_are_the_numeric_ones(layers, order, split):
    small = split.train.replace(split.train.frame.iloc[:60])
    users, items, ratings = (small.frame[c].to_numpy() for c in ("user", "item", "rating"))
    model = network(
        layers,
        order,
        weight_decay=0.1,
        bias_decay=0.05,
        dense_decay=0.02,
        output_decay=0.03,
        init_scale=0.5,
    )
    model.mean = 0.0  # so that the reference below needs no constant
    generator = np.random.default_rng(1)
    weights = {
        name: array + generator.normal(0, 0.3, array.shape)
        for name, array in model.first_weights(small).items()
    }

    def vectors(side, index):
        rows, name = weights[f"{side}_factors"][index], dense_name(layers, side)
        return rows if name is None else tower(rows, weights[name], weights[f"{name}_bias"], order)

    def loss():
        p, q = weights["user_factors"][users], weights["item_factors"][items]
        b, c = weights["user_bias"][users], weights["item_bias"][items]
        f, g = vectors("user", users), vectors("item", items)
        error = (f * g).sum(axis=1) + b + c - ratings
        own = 0.03 * ((f**2).sum(axis=1) + (g**2).sum(axis=1))
        own += error**2 + 0.1 * ((p**2).sum(axis=1) + (q**2).sum(axis=1)) + 0.05 * (b**2 + c**2)
        dense = sum((array**2).sum() for name, array in weights.items() if name.endswith("dense"))
        return own.mean() / 2 + 0.01 * dense

    lookups = {"user": Lookup(users), "item": Lookup(items)}
    slopes = model._slopes(weights, (users, items, ratings), lookups)
    assert slopes.keys() == weights.keys()
    for name, array in weights.items():
        rows = np.arange(len(array)) if "dense" in name else lookups[name[:4]].rows
        for place in list(np.ndindex(slopes[name].shape))[:12]:
            where = (rows[place[0]], *place[1:])
            assert slopes[name][place] == pytest.approx(
                numeric_slope(loss, array, where), abs=2e-6
            ), name


def test_without_a_layer_it_is_matrix_factorization(split):
    settings = {"k": 4, "epochs": 3, "seed": 2, "refit": False}
    plain = MatrixFactorization(**settings).fit(split.train)
    same = NonlinearFactorization(layers="none", **settings).fit(split.train)
    for name, array in plain.weights.items():
        np.testing.assert_allclose(same.weights[name], array, atol=1e-5)


@pytest.mark.parametrize("layers, order", SHAPES[2:])
def test_it_learns_more_than_biases(layers, order, split):
    model = network(layers, order, batch_size=200, weight_decay=0.02, init_scale=0.3).fit(
        split.train
    )
    frame = split.test.frame
    users, items, stars = (frame[c].to_numpy() for c in ("user", "item", "rating"))
    assert rmse(model.predict(users, items), stars) < 0.9 * stars.std()
    scores = model.scores(np.arange(3))
    np.testing.assert_allclose(
        scores[1, :4], model.predict(np.ones(4, int), np.arange(4)), rtol=1e-4, atol=1e-4
    )


def test_an_untracked_training_is_the_same(split):
    settings = {"epochs": 3, "validation_share": 0, "dropout": 0.2}
    loud = network("both", "dense-relu", **settings).fit(split.train)
    quiet = network("both", "dense-relu", track=False, **settings).fit(split.train)
    assert all(np.array_equal(loud.weights[name], quiet.weights[name]) for name in loud.weights)
    assert len(loud.history) == 3 and quiet.history.empty and quiet.best_epoch == 3


def test_same_seed_same_weights_with_dropout(split):
    first, second = (
        network("both", "relu-dense", dropout=0.3, epochs=2).fit(split.train) for _ in range(2)
    )
    assert all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_relu_on_an_embedding_freezes_what_is_below_zero(split):
    model = network("both", "relu-dense", weight_decay=0, epochs=3, validation_share=0)
    before = model.first_weights(split.train)["user_factors"]
    after = model.fit(split.train).weights["user_factors"]
    assert np.array_equal(after[before <= 0], before[before <= 0])
    assert not np.array_equal(after[before > 0], before[before > 0])


def test_towers_can_be_written_into_plain_embeddings(split):
    model = network("both", "dense-relu", epochs=2).fit(split.train)
    users, items = model.vectors()
    assert users.shape == (200, 5) and items.shape == (120, 5) and users.min() >= 0
    twin = MatrixFactorization(k=5)
    twin.mean = model.mean
    twin.weights = {"user_factors": users, "item_factors": items}
    twin.weights |= {name: model.weights[name] for name in ("user_bias", "item_bias")}
    np.testing.assert_allclose(twin.scores(np.arange(9)), model.scores(np.arange(9)), atol=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"layers": "left"}, "layers='left'"),
        ({"order": "relu"}, "order='relu'"),
        ({"hidden": 0}, "hidden=0"),
        ({"layers": "user", "k": 4, "hidden": 8}, "hidden=8 with k=4"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dense_decay": -1.0}, "dense_decay=-1.0"),
        ({"output_decay": -1.0}, "output_decay=-1.0"),
        ({"k": 0}, "k=0"),
        ({"track": False}, "track=False with validation_share=0.1"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        NonlinearFactorization(**settings)


def test_a_model_that_has_not_learned_says_so():
    with pytest.raises(NotFittedError, match="NonlinearFactorization"):
        NonlinearFactorization().vectors()


# --- given features


def test_the_taste_world_needs_a_layer_on_both_sides():
    world = taste_world(width=0.4, noise=0.25)
    axis = np.linspace(-1, 1, 41)
    truth = world.stars(axis, axis)
    off = {}
    for layers in ("none", "user", "both"):
        model = FeatureTowers(k=32, layers=layers).fit(
            world.user_taste, world.item_place, world.ratings
        )
        off[layers] = rmse(model.predict(axis, axis).ravel(), truth.ravel())
    assert off["both"] < 0.3 < 0.8 < off["user"] < off["none"] < truth.std()


def test_without_a_layer_it_finds_the_best_bilinear_score():
    world = taste_world(n_users=20, n_items=30)
    x, y = np.meshgrid(world.user_taste, world.item_place, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y], axis=-1).reshape(-1, 4)
    best = terms @ np.linalg.lstsq(terms, world.ratings.ravel(), rcond=None)[0]
    model = FeatureTowers(layers="none", k=3).fit(world.user_taste, world.item_place, world.ratings)
    np.testing.assert_allclose(
        model.predict(world.user_taste, world.item_place).ravel(), best, atol=1e-3
    )


@pytest.mark.parametrize(
    "settings, message", [({"layers": "shared"}, "layers='shared'"), ({"steps": 0}, "steps=0")]
)
def test_bad_settings_of_towers_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        FeatureTowers(**settings)


def test_towers_refuse_tables_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 2\), expected \(2, 3\)"):
        FeatureTowers(steps=1).fit(np.zeros(2), np.zeros(3), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="finite"):
        FeatureTowers(steps=1).fit(np.array([np.nan]), np.zeros(3), np.zeros((1, 3)))
    with pytest.raises(NotFittedError, match="FeatureTowers"):
        FeatureTowers().predict(np.zeros(2), np.zeros(3))
