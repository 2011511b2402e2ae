"""What every recommender promises: fit before scores, indices in range, no data refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.models import content, fm, mf, text
from helpers.models.base import NotFittedError, above_zero, at_least
from helpers.models.baselines import EASE, BiasModel, GlobalMean, ImplicitALS, ItemKNN, Popularity
from helpers.models.implicit import LogisticMF, LossMF
from helpers.models.mf import MatrixFactorization, TalkModel
from helpers.models.nonlinear import FeatureTowers, NonlinearFactorization
from helpers.models.order import DecayedEASE, NextItemRidge, Transitions
from helpers.models.training import Adam, Momentum
from helpers.planted import taste_world
from local_sagemaker.algorithms import fm as algorithm
from tests import worlds as planted

RATING = [GlobalMean, BiasModel, MatrixFactorization, TalkModel, NonlinearFactorization]
IMPLICIT = [ItemKNN, EASE, ImplicitALS, LogisticMF, lambda: LossMF("listwise")]
IMPLICIT += [Transitions, NextItemRidge, DecayedEASE]
SCORING = [*RATING[2:], *IMPLICIT, Popularity]


@pytest.fixture(scope="module")
def data():
    return planted.low_rank_ratings(50, 30).data


@pytest.mark.parametrize("make", SCORING)
def test_scores_are_one_row_per_user(data, make):
    model = make()
    with pytest.raises(NotFittedError, match="call fit"):
        model.scores([0])
    assert model.fit(data) is model
    table = model.scores([7, 3, 7])
    assert table.shape == (3, 30) and table.dtype == np.float32 and np.isfinite(table).all()
    np.testing.assert_allclose(table[0], table[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(table[1], model.scores(np.arange(50))[3], rtol=1e-4, atol=1e-5)
    with pytest.raises(IndexError, match="users: index 50 is not in 0..49; models take contiguous"):
        model.scores([50])
    with pytest.raises(ValueError, match="no interactions to learn from"):
        make().fit(data.replace(data.frame.head(0)))


@pytest.mark.parametrize("make", RATING)
def test_predictions_are_one_number_per_pair(data, make):
    model = make()
    with pytest.raises(NotFittedError, match="call fit"):
        model.predict([0], [0])
    model.fit(data)
    found = model.predict([4, 7, 7], [2, 9, 2])
    assert found.dtype == np.float32 and len(model.predict([], [])) == 0
    if make in SCORING:
        table = model.scores([4, 7])
        np.testing.assert_allclose(found, table[[0, 1, 1], [2, 9, 2]], rtol=1e-5, atol=1e-5)
    with pytest.raises(IndexError, match="items: index -1"):
        model.predict([0], [-1])
    with pytest.raises(TypeError, match="whole numbers, got float64"):
        model.predict([0.5], [0])
    with pytest.raises(ValueError, match="2 users and 1 items"):
        model.predict([0, 1], [0])


@pytest.mark.parametrize("make", IMPLICIT)
def test_models_of_clicks_ignore_the_stars(data, make):
    loved = data.replace(data.frame.assign(rating=np.float32(5.0)))
    assert (make().fit(data).scores([0, 1]) == make().fit(loved).scores([0, 1])).all()


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (ImplicitALS, {}),
        (LogisticMF, {"epochs": 2}),
        (LossMF, {"loss": "pairwise"}),
        (MatrixFactorization, {"epochs": 2}),
        (NonlinearFactorization, {"epochs": 2, "dropout": 0.3}),
    ],
)
def test_a_seed_decides_the_result(data, make, settings):
    one, same, other = (make(seed=seed, **settings).fit(data).scores([0, 5]) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (EASE, {"regularization": 0.0}, "regularization=0.0"),
        (ImplicitALS, {"factors": 0}, "factors=0"),
        (LogisticMF, {"ratio": 0}, "ratio=0"),
        (LossMF, {"loss": "hinge"}, "loss='hinge': expected one of pointwise"),
        (Transitions, {"smoothing": 0.0}, "smoothing=0.0"),
        (NextItemRidge, {"window": 0}, "window=0"),
        (MatrixFactorization, {"validation_share": 1.0}, "validation_share=1.0"),
        (MatrixFactorization, {"optimizer": "adagrad"}, "optimizer='adagrad'"),
        (MatrixFactorization, {"init": "zeros"}, "init='zeros'"),
        (NonlinearFactorization, {"layers": "left"}, "layers='left'"),
        (NonlinearFactorization, {"order": "relu"}, "order='relu'"),
        (NonlinearFactorization, {"hidden": 0}, "hidden=0"),
        (NonlinearFactorization, {"layers": "user", "hidden": 8}, "hidden=8: .* factors=32"),
        (NonlinearFactorization, {"dropout": 1.0}, "dropout=1.0"),
        (FeatureTowers, {"layers": "shared"}, "layers='shared'"),
        (FeatureTowers, {"units": 0}, "units=0"),
        (FeatureTowers, {"hidden": 0}, "hidden=0"),
        (LossMF, {"loss": "pairwise", "epochs": 0}, "epochs=0"),
        (Adam, {"learning_rate": -1}, "learning_rate=-1"),
        (Momentum, {"learning_rate": 0}, "learning_rate=0"),
    ],
)
def test_settings_out_of_range_are_named(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


BAD = pytest.mark.parametrize("bad", [np.nan, np.inf])


@BAD
@pytest.mark.parametrize("check", [above_zero, lambda *args: at_least(0, *args)])
def test_a_setting_that_is_no_number_is_refused(check, bad):
    check(SimpleNamespace(x=1), "x")
    with pytest.raises(ValueError, match=f"x={bad}: expected"):
        check(SimpleNamespace(x=bad), "x")


ONES, ROWS = np.ones((2, 2), np.float32), sparse.csr_matrix(np.ones((2, 2), np.float32))
TABLES = {name: np.ones((2, 1), np.float32) for name in ("user_factors", "item_factors")}
TAKERS = {
    "year": lambda _: content.year_rows(pd.DataFrame({"year": [1990, -np.inf]})),
    "rows": text.unit_rows,
    "vectors": lambda x: text.TitleSearch(["a", "b"], x),
    "w0": lambda x: fm.fm_scores(ROWS, x.max(), ONES[0], ONES),
    "v:": lambda x: fm.fm_scores(ROWS, 0.0, ONES[0], x),
    "scores": lambda x: algorithm.quality(x[:, 0], ONES[0], True),
    "y:": lambda x: algorithm.quality(ONES[0], x[:, 0], False),
    "ratings": lambda x: mf.gradients(TABLES, np.arange(2), np.arange(2), x[:, 0]),
    "taste": lambda x: taste_world().stars(x[0], ONES[0]),
}


@BAD
@pytest.mark.parametrize("name", TAKERS)
def test_what_is_not_finite_is_refused_by_name(name, bad):
    with pytest.raises(ValueError, match=name):
        TAKERS[name](np.array([[bad, 1], [1, 1]], np.float32))
