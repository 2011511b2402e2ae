"""The baselines: against their definitions written out, and on worlds with a known answer."""

from __future__ import annotations

from threading import active_count
from time import sleep

import numpy as np
import pytest

from helpers.data import Interactions
from helpers.metrics import evaluate, rmse
from helpers.models.baselines import EASE, BiasModel, GlobalMean, ImplicitALS, ItemKNN, Popularity
from helpers.models.implicit import LogisticMF
from tests import worlds as planted


def from_cells(cells: np.ndarray) -> Interactions:
    n_users, n_items = cells.shape
    cells[np.arange(n_users), np.arange(n_users) % n_items] = True  # nobody and nothing is empty
    cells[np.arange(n_items) % n_users, np.arange(n_items)] = True
    users, items = np.nonzero(cells)
    return planted.interactions(users, items, np.ones(len(users)))


def random_world(n_users: int = 50, n_items: int = 30) -> Interactions:
    rng = np.random.default_rng(0)
    return from_cells(rng.random((n_users, n_items)) < rng.random(n_items) * 0.5)


def taken_of(data: Interactions) -> np.ndarray:
    return (data.matrix().toarray() > 0).astype(float)


def test_the_mean_and_biases_are_least_squares_solutions() -> None:
    data = planted.low_rank_ratings(300, 200, noise=0.3, bias=0.4).data
    train = data.replace(data.frame[data.frame["item"] != 7])
    model = BiasModel(epochs=200).fit(train)
    users, items, stars = (train.frame[name].to_numpy() for name in ("user", "item", "rating"))
    assert rmse(GlobalMean().fit(train).predict(users, items), stars) == pytest.approx(stars.std())
    assert model.item_bias[7] == 0, "never rated"
    error = stars - model.predict(users, items)
    of_user = np.bincount(users, error, train.n_users) - 5.0 * model.user_bias
    of_item = np.bincount(items, error, train.n_items) - 2.0 * model.item_bias
    assert np.abs(of_user).max() < 1e-3 and np.abs(of_item).max() < 1e-3


@pytest.mark.parametrize("model", [ItemKNN, EASE, ImplicitALS, LogisticMF])
def test_every_ranker_finds_two_tastes(model: type) -> None:
    """Users take items of their own half of the catalog; popularity does not know whose."""
    rng = np.random.default_rng(0)
    own = (np.arange(120) % 2)[:, None] == (np.arange(60) % 2)[None, :]
    cells = own & (rng.random(own.shape) < 0.5)
    data = from_cells(cells)
    held = np.arange(120), np.array([rng.choice(np.flatnonzero(row)) for row in own & ~cells])
    found = evaluate(model().fit(data), held, seen=data)["hit_rate"]
    known = evaluate(Popularity().fit(data), held, seen=data)["hit_rate"]
    assert found.mean > 0.5  # 10 of the 15 or so open items of one's own half
    assert found.compare(known).low > 0


def test_item_knn_is_its_formula() -> None:
    data = random_world()
    taken = taken_of(data)
    both = taken.T @ taken
    root = np.sqrt(np.outer(np.diag(both), np.diag(both)))
    cosine = both / (root + 3.0)
    np.fill_diagonal(cosine, 0.0)
    for row in cosine:
        row[np.argsort(-row, kind="stable")[5:]] = 0.0
    found = ItemKNN(neighbors=5, shrinkage=3.0).fit(data).similarity.toarray()
    # equal similarities at the fifth place may be kept either way: compare what is kept, not which
    np.testing.assert_allclose(np.sort(found), np.sort(cosine), rtol=1e-5, atol=1e-7)
    cosine = both / root
    np.fill_diagonal(cosine, 0.0)
    model = ItemKNN(neighbors=100, shrinkage=0.0)
    np.testing.assert_allclose(model.fit(data).scores(np.arange(50)), taken @ cosine, rtol=1e-4)


@pytest.mark.parametrize(("n_users", "n_items"), [(50, 30), (30, 50)])
def test_ease_is_its_closed_form(n_users: int, n_items: int) -> None:
    data = random_world(n_users, n_items)
    taken = taken_of(data)
    inverse = np.linalg.inv(taken.T @ taken + 3.0 * np.eye(n_items))
    expected = taken @ (np.eye(n_items) - inverse / np.diag(inverse))
    found = EASE(3.0).fit(data).scores(np.arange(n_users))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_als_ends_where_its_loss_is_flat() -> None:
    data = random_world()
    taken = taken_of(data)
    model = ImplicitALS(factors=4, epochs=400).fit(data)
    users, items = model.user_factors.astype(float), model.item_factors.astype(float)
    error = taken * (users @ items.T - taken) + 0.3 * users @ items.T
    of_users = error @ items + 0.01 * (taken.sum(axis=1) + 0.3 * 30)[:, None] * users
    of_items = error.T @ users + 0.01 * (taken.sum(axis=0) + 0.3 * 50)[:, None] * items
    assert np.abs(of_users).max() < 0.02 and np.abs(of_items).max() < 0.02


def test_compiled_als_changes_the_last_digits_and_keeps_to_its_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = random_world()
    data = world.replace(world.frame.query("user != 3 and item != 7"))  # two rows are empty
    model, counts = ImplicitALS(factors=4, epochs=3), list[int]()
    expected = model.fit(data).scores(range(50))
    monkeypatch.setattr("helpers.models.baselines._LARGE", 0)
    np.testing.assert_allclose(model.fit(data).scores(range(50)), expected, atol=1e-5)
    monkeypatch.setattr("helpers.models.ials_compiled.CORES", 1)
    busy = lambda *_: counts.append(active_count()) or sleep(0.01)  # noqa: E731
    monkeypatch.setattr("helpers.models.ials_compiled._improve", busy)
    before = active_count()
    model.fit(data)
    assert set(counts) == {before + 1}
