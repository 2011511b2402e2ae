"""The ranking baselines: against their definitions written out, and on worlds with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.data import Interactions
from helpers.metrics import evaluate
from helpers.models import EASE, ImplicitALS, ItemKNN, LogisticMF, NotFittedError, Popularity
from helpers.sampling import NegativeSampler

MODELS = [ItemKNN, EASE, ImplicitALS, LogisticMF]


def from_cells(cells: np.ndarray, rng: np.random.Generator) -> Interactions:
    user, item = np.nonzero(cells)
    rating = rng.integers(1, 6, len(user)).astype(float)
    return Interactions.from_frame(
        pd.DataFrame(
            {"user_id": user, "item_id": item, "rating": rating, "timestamp": np.arange(len(user))}
        )
    )


def random_world(n_users: int = 50, n_items: int = 30, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    cells = rng.random((n_users, n_items)) < rng.random(n_items) * 0.5
    cells[np.arange(n_users), np.arange(n_users) % n_items] = True
    cells[np.arange(n_items) % n_users, np.arange(n_items)] = True
    return from_cells(cells, rng)


def two_tastes(n_users: int = 120, n_items: int = 60, seed: int = 0) -> tuple[Interactions, tuple]:
    """Users take items of their own half of the catalog; popularity says nothing about whose."""
    rng = np.random.default_rng(seed)
    own = (np.arange(n_users) % 2)[:, None] == (np.arange(n_items) % 2)[None, :]
    cells = own & (rng.random(own.shape) < 0.5)
    cells[np.arange(n_items) % n_users, np.arange(n_items)] = True
    free = own & ~cells
    held = np.array([rng.choice(np.flatnonzero(row)) for row in free])
    return from_cells(cells, rng), (np.arange(n_users), held)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_finds_two_tastes(model: type) -> None:
    data, held = two_tastes()
    found = evaluate(model().fit(data), held, seen=data)["hit_rate"]
    known = evaluate(Popularity().fit(data), held, seen=data)["hit_rate"]
    assert found.mean > 0.5  # 10 of the 15 or so open items of one's own half
    assert found.compare(known).low > 0


@pytest.mark.parametrize("model", MODELS)
def test_scores_have_one_row_a_user_in_float32(model: type) -> None:
    data = random_world()
    fitted = model().fit(data)
    table = fitted.scores(np.array([7, 3, 7]))
    assert table.shape == (3, data.n_items) and table.dtype == np.float32
    assert np.isfinite(table).all()
    np.testing.assert_allclose(table[0], table[2], rtol=1e-6)
    np.testing.assert_allclose(
        table[1], fitted.scores(np.arange(data.n_users))[3], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("model", MODELS)
def test_stars_do_not_matter(model: type) -> None:
    data = random_world()
    loved = data.replace(data.frame.assign(rating=np.float32(5.0)))
    assert (model().fit(data).scores([0, 1]) == model().fit(loved).scores([0, 1])).all()


@pytest.mark.parametrize("model", MODELS)
def test_misuse_is_named(model: type) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        model().scores([0])
    data = random_world()
    with pytest.raises(ValueError, match="no "):
        model().fit(data.replace(data.frame.iloc[:0]))
    with pytest.raises(IndexError, match="index 50 is not in 0..49"):
        model().fit(data).scores([50])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ItemKNN(0),
        lambda: ItemKNN(shrinkage=-1.0),
        lambda: EASE(0.0),
        lambda: EASE(form="fast"),
        lambda: ImplicitALS(empty_weight=0.0),
        lambda: LogisticMF(epochs=0),
        lambda: LogisticMF(decay=-0.1),
    ],
)
def test_settings_out_of_range_are_refused(make) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_item_knn_is_its_formula() -> None:
    data = random_world()
    taken = (data.matrix().toarray() > 0).astype(float)
    both = taken.T @ taken
    count = np.diag(both)
    cosine = both / (np.sqrt(np.outer(count, count)) + 3.0)
    np.fill_diagonal(cosine, 0.0)
    for row in cosine:
        row[np.argsort(-row, kind="stable")[5:]] = 0.0
    got = ItemKNN(neighbors=5, shrinkage=3.0).fit(data)
    # equal similarities at the fifth place may be kept either way: compare what is kept, not which
    np.testing.assert_allclose(
        np.sort(got.similarity.toarray(), axis=1), np.sort(cosine, axis=1), rtol=1e-5, atol=1e-7
    )
    everything = ItemKNN(neighbors=30, shrinkage=0.0).fit(data)
    cosine = both / np.sqrt(np.outer(count, count))
    np.fill_diagonal(cosine, 0.0)
    np.testing.assert_allclose(everything.scores(np.arange(50)), taken @ cosine, rtol=1e-4)


@pytest.mark.parametrize(("n_users", "n_items"), [(50, 30), (30, 50)])
def test_ease_is_its_closed_form_in_both_forms(n_users: int, n_items: int) -> None:
    data = random_world(n_users, n_items)
    taken = (data.matrix().toarray() > 0).astype(float)
    inverse = np.linalg.inv(taken.T @ taken + 3.0 * np.eye(n_items))
    weights = np.eye(n_items) - inverse / np.diag(inverse)
    expected = taken @ weights
    for form in ("primal", "dual", "auto"):
        got = EASE(decay=3.0, form=form).fit(data).scores(np.arange(n_users))
        np.testing.assert_allclose(got, expected, atol=1e-4, err_msg=form)


def test_ease_cannot_be_improved_by_any_other_weights() -> None:
    """The definition, not the formula: no step off the diagonal lowers the loss."""
    data = random_world()
    taken = (data.matrix().toarray() > 0).astype(float)
    weights = EASE(decay=3.0, form="primal").fit(data).weights.astype(float)
    assert np.diag(weights).tolist() == [0.0] * 30
    slope = -taken.T @ (taken - taken @ weights) + 3.0 * weights
    np.fill_diagonal(slope, 0.0)
    assert np.abs(slope).max() < 1e-3


def test_als_stands_where_its_loss_is_flat() -> None:
    data = random_world()
    taken = (data.matrix().toarray() > 0).astype(float)
    model = ImplicitALS(n_factors=4, empty_weight=0.2, decay=0.05, rounds=400).fit(data)
    users, items = model.user_factors.astype(float), model.item_factors.astype(float)
    error = taken * (users @ items.T - taken) + 0.2 * users @ items.T
    slope_users = error @ items + 0.05 * (taken.sum(axis=1) + 0.2 * 30)[:, None] * users
    slope_items = error.T @ users + 0.05 * (taken.sum(axis=0) + 0.2 * 50)[:, None] * items
    assert np.abs(slope_users).max() < 0.02 and np.abs(slope_items).max() < 0.02


def test_logistic_mf_learns_and_repeats() -> None:
    data, _ = two_tastes()
    first, second, other = (LogisticMF(epochs=4, seed=seed).fit(data) for seed in (1, 1, 2))
    assert first.history == second.history and first.history[-1] < first.history[0]
    assert (first.scores([0]) == second.scores([0])).all() and (
        first.scores([0]) != other.scores([0])
    ).any()
    assert LogisticMF(epochs=2, resample=False, seed=1).fit(data).history != first.history[:2]


def test_logistic_mf_predicts_probabilities_of_the_sample() -> None:
    data = random_world(200, 60)
    model = LogisticMF(n_factors=4, epochs=60, ratio=3, learning_rate=0.05).fit(data)
    users, items, labels = NegativeSampler(data).epoch(3, rng=np.random.default_rng(9))
    p = model.predict(users, items)
    assert p.mean() == pytest.approx(labels.mean(), abs=0.03)
    logit = model.scores(np.arange(200))[users, items]
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-logit)), rtol=1e-4)


def test_logistic_mf_takes_the_samplers_settings() -> None:
    data, _ = two_tastes()
    popular = LogisticMF(epochs=1, strategy="popularity", alpha=1.0).fit(data)
    assert popular.history != LogisticMF(epochs=1).fit(data).history
    with pytest.raises(ValueError, match="avoid is 'nothing'"):
        LogisticMF(avoid="nothing").fit(data)
