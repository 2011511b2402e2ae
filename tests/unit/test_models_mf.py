"""Matrix factorization: arithmetic, learning, and early stopping."""

import numpy as np
import pytest

from helpers import book
from helpers.data import random_split
from helpers.metrics import rmse
from helpers.models import mf
from helpers.models.baselines import BiasModel
from helpers.models.mf import Lookup, MatrixFactorization, TalkModel, forward, gradients
from tests import worlds as planted
from tests.unit import numeric


def score(model, data):
    frame = data.frame
    return rmse(model.predict(frame["user"].to_numpy(), frame["item"].to_numpy()), frame["rating"])


@pytest.fixture(scope="module")
def split():
    return random_split(planted.low_rank_ratings(300, 200, noise=0.3, bias=0.4).data)


@pytest.mark.parametrize(("biases", "size"), [(False, 300), (True, 300), (True, 10**11)])
def test_compiled_epochs_and_blocks_change_only_the_last_digits(split, biases, size, monkeypatch):
    settings = dict(factors=5, biases=biases, epochs=2, batch_size=size, bias_regularization=0.1)
    expected = MatrixFactorization(**settings).fit(split.train)
    monkeypatch.setattr(mf, "_LARGE", 0)
    monkeypatch.setattr(mf, "_BLOCK", 1000)
    found = MatrixFactorization(**settings).fit(split.train)
    for name, table in expected.weights.items():
        np.testing.assert_allclose(found.weights[name], table, atol=2e-5)
    np.testing.assert_allclose(found.history, expected.history, atol=1e-5)


@pytest.mark.parametrize("n", [10, 500])  # below and above the size of a sparse matrix
def test_a_lookup_is_a_one_hot_product(n):
    generator = np.random.default_rng(n)
    index, table = generator.integers(0, 30, n), generator.normal(size=(30, 4)).astype(np.float32)
    lookup = Lookup(index)
    np.testing.assert_array_equal(lookup.one_hot.T @ table[lookup.rows], table[index])
    values = generator.normal(size=(n, 4)).astype(np.float32)
    summed = np.zeros((30, 4), np.float32)
    np.add.at(summed, index, values)
    np.testing.assert_allclose(lookup.one_hot @ values, summed[lookup.rows], atol=1e-5)
    assert lookup.counts.sum() == n


@pytest.mark.parametrize("biases", [False, True])
def test_gradients_are_those_of_the_loss(biases):
    generator = np.random.default_rng(0)
    shapes = {"user_factors": (7, 4), "item_factors": (9, 4)}
    shapes |= {"user_bias": (7,), "item_bias": (9,)} if biases else {}
    weights = {name: generator.normal(0, 0.5, shape) for name, shape in shapes.items()}
    users, items = generator.integers(0, 7, 40), generator.integers(0, 9, 40)
    batch = users, items, generator.integers(1, 6, 40).astype(np.float32)

    def plain():
        return ((forward(weights, users, items, 3.0) - batch[2]) ** 2).mean() / 2

    def regularized():
        of_factors = weights["user_factors"][users] ** 2 + weights["item_factors"][items] ** 2
        total = 0.1 * of_factors.sum(axis=1)
        if biases:
            total += 0.05 * (weights["user_bias"][users] ** 2 + weights["item_bias"][items] ** 2)
        return plain() + total.mean() / 2

    model = MatrixFactorization(regularization=0.1, bias_regularization=0.05)
    model.mean = 3.0
    lookups = {"user": Lookup(users), "item": Lookup(items)}
    of_rows = model._gradients(weights, batch, lookups)
    model._regularize(of_rows, weights, lookups)
    centered = *batch[:2], batch[2] - 3
    for name, found in gradients(weights, *centered).items():
        np.testing.assert_allclose(found, numeric.gradient(plain, weights[name]), atol=1e-4)
        expected = numeric.gradient(regularized, weights[name])[lookups[name[:4]].rows]
        np.testing.assert_allclose(of_rows[name], expected, atol=1e-4)


def test_chapter_02_writes_out_the_same_gradient():
    cells = book.solved(book.read(book.sources(["02"])[0])).cells
    (code,) = (cell.source for cell in cells if "def batch_gradient(" in cell.source)
    space = {"np": np}
    exec(code, space)
    rng = np.random.default_rng(0)
    shapes = {"user_factors": (6, 3), "item_factors": (5, 3)}
    weights = {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    batch = np.array([0, 0, 3]), np.array([1, 2, 1]), np.array([4, 3, 5], "float32")
    found = space["batch_gradient"](*weights.values(), *batch)
    for one, expected in zip(found, gradients(weights, *batch).values(), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-5)


def test_the_talks_first_weights():
    weights = TalkModel()._draw_weights(943, 1682, np.random.default_rng(0))
    for name, rows in (("user_factors", 943), ("item_factors", 1682)):  # MXNet's Xavier
        limit = np.sqrt(2.24 * 2 / (rows + 64))
        assert np.abs(weights[name]).max() == pytest.approx(limit, rel=0.01)


@pytest.mark.parametrize(
    "optimizer", [{"learning_rate": 0.02}, {"optimizer": "sgd", "learning_rate": 0.5}]
)
def test_it_finds_what_is_planted(split, optimizer):
    settings = {"factors": 2, "init_scale": 0.3, "regularization": 0.01, "batch_size": 500}
    model = MatrixFactorization(**settings, **optimizer).fit(split.train)
    reached, biases = score(model, split.test), score(BiasModel().fit(split.train), split.test)
    assert 0.3 * 0.95 < reached < 0.3 * 1.25, "the noise is 0.3"
    assert biases > 3 * 0.3


def test_early_stopping_keeps_the_best_epoch(split):
    settings = {"factors": 16, "regularization": 0.0, "init_scale": 0.3, "refit": False}
    model = MatrixFactorization(**settings, epochs=60).fit(split.train)
    history = model.history
    assert len(history) == model.best_epoch + model.patience < 60
    assert history["validation"].idxmin() == model.best_epoch - 1
    assert history["train"].iloc[-1] < history["train"].iloc[0]
    same = MatrixFactorization(**settings, epochs=model.best_epoch).fit(split.train)
    np.testing.assert_array_equal(model.weights["user_factors"], same.weights["user_factors"])


def test_refit_uses_every_row_and_helps(split):
    stopped = MatrixFactorization(refit=False).fit(split.train)
    refit = MatrixFactorization().fit(split.train)
    assert refit.best_epoch == stopped.best_epoch and refit.history.equals(stopped.history)
    assert refit.mean == pytest.approx(split.train.frame["rating"].mean())
    assert refit.samples > stopped.samples
    assert score(refit, split.test) < score(stopped, split.test)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_watching_the_test_rows_changes_nothing(split, share):
    settings = {"epochs": 3, "validation_share": share}
    alone = MatrixFactorization(**settings).fit(split.train)
    watched = MatrixFactorization(**settings).fit(split.train, watch={"test": split.test})
    np.testing.assert_array_equal(alone.weights["item_factors"], watched.weights["item_factors"])
    assert list(watched.history) == ["epoch", "train", *(["validation"] if share else []), "test"]
    assert alone.history.empty == (not share) and alone.best_epoch == watched.best_epoch
