"""Factorization machines: the identity, the gradients, and what they learn from planted data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from helpers.models.base import NotFittedError
from helpers.models.fm import TUNED, FactorizationMachine
from helpers.models.fm_features import item_vectors, one_hot, rating_rows, user_vectors
from helpers.models.fm_scoring import fm_scores, quality


def brute_force(x: np.ndarray, w0: float, w1: np.ndarray, v: np.ndarray) -> np.ndarray:
    found = []
    for row in x:
        score = w0 + row @ w1
        for i, j in itertools.combinations(range(len(row)), 2):
            score += v[i] @ v[j] * row[i] * row[j]
        found.append(score)
    return np.array(found)


@pytest.fixture
def random_rows():
    rng = np.random.default_rng(0)
    x = sparse.random(30, 12, density=0.3, format="csr", random_state=rng, dtype=np.float32)
    return (
        x,
        float(rng.normal()),
        rng.normal(size=12).astype(np.float32),
        rng.normal(size=(12, 4)).astype("f4"),
    )


def test_the_fast_formula_is_the_double_sum(random_rows):
    x, w0, w1, v = random_rows
    np.testing.assert_allclose(
        fm_scores(x, w0, w1, v), brute_force(x.toarray(), w0, w1, v), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["regressor", "binary_classifier"])
def test_one_step_of_adam_goes_down_the_numerical_gradient(random_rows, kind):
    """Adam's first step is the sign of the gradient times the rate, for every weight that has a gradient."""
    x, *_ = random_rows
    y = (np.arange(30) % 2).astype(np.float32)
    settings = dict.fromkeys(("bias_lr", "linear_lr", "factors_lr"), 1e-3)
    decays = dict.fromkeys(("bias_wd", "linear_wd", "factors_wd"), 0.0)
    sigmas = dict.fromkeys(("bias_init_sigma", "linear_init_sigma", "factors_init_sigma"), 0.5)
    machine = FactorizationMachine(3, kind, 1, 30, **settings, **decays, **sigmas)
    random = np.random.default_rng(0)
    w0, w1, v = (
        random.normal(0, 0.5, shape).astype(np.float32).astype(np.float64)
        for shape in ((1,), (12,), (12, 3))
    )
    machine.fit(x, y)

    def loss(w0, w1, v):
        z = brute_force(x.toarray(), w0[0], w1, v)
        return np.mean(
            np.logaddexp(0, z) - y * z if kind == "binary_classifier" else (z - y) ** 2 / 2
        )

    for place, (weight, after) in enumerate(((w0, [machine.w0]), (w1, machine.w1), (v, machine.v))):
        for index in np.ndindex(weight.shape):
            up, down = ([w0.copy(), w1.copy(), v.copy()] for _ in range(2))
            up[place][index] += 1e-5
            down[place][index] -= 1e-5
            slope = (loss(*up) - loss(*down)) / 2e-5
            if abs(slope) > 1e-4:
                moved = np.asarray(after)[index] - weight[index]
                assert moved == pytest.approx(-1e-3 * np.sign(slope), rel=0.02)


def plain_adam(
    x: np.ndarray, y: np.ndarray, machine: FactorizationMachine
) -> tuple[np.ndarray, np.ndarray]:
    """Linear weights and factors after training as the equations say it, in double precision."""
    random = np.random.default_rng(machine.seed)
    shapes = ((1, 1), (x.shape[1], 1), (x.shape[1], machine.num_factors))
    sigmas = (machine.bias_init_sigma, machine.linear_init_sigma, machine.factors_init_sigma)
    weights = [random.normal(0, s, shape) for s, shape in zip(sigmas, shapes, strict=True)]
    means, squares = ([np.zeros(shape) for shape in shapes] for _ in range(2))
    rates = (machine.bias_lr, machine.linear_lr, machine.factors_lr)
    decays = (machine.bias_wd, machine.linear_wd, machine.factors_wd)
    step = 0
    for _ in range(machine.epochs):
        order = random.permutation(len(y))
        for begin in range(0, len(y), machine.mini_batch_size):
            rows = x[order[begin : begin + machine.mini_batch_size]]
            w0, w1, v = weights
            total = rows @ v
            pairs = (total**2 - rows**2 @ v**2).sum(axis=1)
            error = (
                w0[0, 0]
                + rows @ w1[:, 0]
                + pairs / 2
                - y[order[begin : begin + machine.mini_batch_size]]
            )
            error /= len(rows)
            own = (error @ rows**2)[:, None] * v
            gradients = (
                error.sum().reshape(1, 1),
                (error @ rows)[:, None],
                rows.T @ (error[:, None] * total) - own,
            )
            step += 1
            correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            touched = (
                np.flatnonzero((rows != 0).any(axis=0)) if machine.lazy else np.arange(x.shape[1])
            )
            for part, at in enumerate((np.array([0]), touched, touched)):
                w, m, s = weights[part], means[part], squares[part]
                g = gradients[part][at] + decays[part] * w[at]
                if machine.clip_gradient:
                    g = g.clip(-machine.clip_gradient, machine.clip_gradient)
                m[at] = 0.9 * m[at] + 0.1 * g
                s[at] = 0.999 * s[at] + 0.001 * g**2
                w[at] -= rates[part] * correction * m[at] / (np.sqrt(s[at]) + 1e-8)
    return weights[1][:, 0], weights[2]


@pytest.mark.parametrize(("lazy", "clip"), [(True, None), (False, None), (True, 0.02)])
def test_the_compiled_loops_are_plain_adam(random_rows, lazy, clip):
    """Rows of any length, an empty one, and a last batch that is not full."""
    x, *_ = random_rows
    x = sparse.csr_matrix(x.multiply(np.arange(30)[:, None] != 4), dtype=np.float32)
    y = np.random.default_rng(2).normal(size=30).astype(np.float32)
    rates = dict.fromkeys(("bias_lr", "linear_lr", "factors_lr"), 0.01)
    machine = FactorizationMachine(
        5,
        epochs=4,
        mini_batch_size=7,
        factors_init_sigma=0.3,
        factors_wd=0.1,
        lazy=lazy,
        clip_gradient=clip,
        **rates,
    ).fit(x, y)
    w1, v = plain_adam(x.toarray().astype(float), y, machine)
    np.testing.assert_allclose(machine.w1, w1, atol=2e-5)
    np.testing.assert_allclose(machine.v, v, atol=2e-5)


def planted(n: int = 20_000) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(1)
    users, items = rng.integers(0, 60, n), rng.integers(0, 40, n)
    p, q = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    x = one_hot((users, 60), (items, 40))
    return x, (3 + (p[users] * q[items]).sum(1) + rng.normal(0, 0.1, n)).astype(np.float32)


FAST = {
    "num_factors": 4,
    "mini_batch_size": 100,
    "linear_lr": 0.02,
    "factors_lr": 0.02,
    "factors_init_sigma": 0.1,
}


@pytest.mark.parametrize("lazy", [True, False])
def test_planted_interactions_are_learned(lazy):
    x, y = planted()
    machine = FactorizationMachine(epochs=15, lazy=lazy, **FAST).fit(x[:16_000], y[:16_000])
    error = quality(machine.scores(x[16_000:]), y[16_000:], False)["rmse"]
    assert error < 0.2 < 0.5 * y.std()
    assert machine.samples == 15 * 16_000 and machine.seconds > 0


def test_planted_preferences_are_classified():
    x, y = planted()
    machine = FactorizationMachine(predictor_type="binary_classifier", epochs=15, **FAST)
    machine.fit(x[:16_000], (y[:16_000] > 3).astype(np.float32))
    found = quality(machine.scores(x[16_000:]), (y[16_000:] > 3).astype(np.float32), True)
    assert found["binary_classification_accuracy"] > 0.93 and found["binary_f_1.000"] > 0.93
    probabilities = machine.predict(x[:5])
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_the_same_seed_gives_the_same_machine():
    x, y = planted(2000)
    one, two, other = (FactorizationMachine(epochs=2, seed=s, **FAST).fit(x, y) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.v, two.v)
    assert not np.array_equal(one.v, other.v)


def test_lazy_updates_leave_absent_features_alone():
    x, y = planted(500)
    wider = sparse.hstack([x, sparse.csr_matrix((500, 3))]).tocsr()
    lazy = FactorizationMachine(epochs=3, **FAST).fit(wider, y)
    dense = FactorizationMachine(epochs=3, lazy=False, factors_wd=0.1, **FAST).fit(wider, y)
    start = np.random.default_rng(0)
    start.normal(0, 0.01, (1, 1)), start.normal(0, 0.01, (103, 1))
    begun = start.normal(0, 0.1, (103, 4)).astype(np.float32)
    np.testing.assert_array_equal(lazy.v[100:], begun[100:])
    assert np.abs(dense.v[100:]).max() < np.abs(begun[100:]).max()


def test_each_epoch_is_reported():
    x, y = planted(1000)
    seen = []
    FactorizationMachine(epochs=4, **FAST).fit(
        x, y, lambda epoch, found: seen.append((epoch, found["rmse"]))
    )
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3] and seen[-1][1] < seen[0][1]


def test_initial_values_and_clipping():
    x, y = planted(100)
    still = dict.fromkeys(("bias_lr", "linear_lr", "factors_lr"), 0.0)
    machine = FactorizationMachine(
        2,
        bias_init_method="constant",
        bias_init_value=3.5,
        factors_init_method="uniform",
        factors_init_scale=0.25,
        clip_gradient=0.1,
        eps=1e-6,
        rescale_grad=0.01,
        **still,
    ).fit(x, y)
    assert machine.w0 == 3.5 and 0.2 < np.abs(machine.v).max() <= 0.25


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_factors": 0}, "num_factors=0: expected a whole number of at least 1"),
        ({"factors_lr": -1}, "factors_lr=-1: expected 0 or more"),
        ({"predictor_type": "ranker"}, "predictor_type='ranker'"),
        ({"bias_init_method": "zeros"}, "bias_init_method='zeros': expected one of"),
        ({"linear_init_method": "uniform"}, "needs linear_init_scale"),
    ],
)
def test_settings_that_cannot_train(settings, message):
    with pytest.raises(ValueError, match=message):
        FactorizationMachine(**settings)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x, y[:-1]), "expected one label a row"),
        (lambda x, y: (x[:0], y[:0]), "no rows"),
        (lambda x, y: (x, np.where(np.arange(100) == 7, np.nan, y)), "NaN or infinity"),
    ],
)
def test_rows_that_cannot_be_learned(change, message):
    with pytest.raises(ValueError, match=message):
        FactorizationMachine(2).fit(*change(*planted(100)))


def test_other_misuse():
    x, y = planted(100)
    with pytest.raises(ValueError, match=r"label [\d.]+ for a binary_classifier: expected 0 or 1"):
        FactorizationMachine(2, "binary_classifier").fit(x, y)
    with pytest.raises(NotFittedError):
        FactorizationMachine().scores(x)
    with pytest.raises(ValueError, match="rows of 50 features, but the machine has 100"):
        FactorizationMachine(2).fit(x, y).scores(x[:, :50])
    with pytest.raises(
        FloatingPointError, match=r"diverged in epoch \d+: .*lower the learning rates"
    ):
        FactorizationMachine(2, epochs=300, factors_lr=1e15, linear_lr=1e15).fit(x, y)


def test_tuned_settings_are_hyperparameters():
    assert FactorizationMachine(**TUNED).mini_batch_size == 256


# --- features ----------------------------------------------------------------------------------


def test_one_hot_blocks():
    x = one_hot((np.array([0, 2]), 3), (np.array([1, 0]), 2))
    np.testing.assert_array_equal(x.toarray(), [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]])
    with pytest.raises(ValueError, match="no columns"):
        one_hot()
    with pytest.raises(ValueError, match="lengths"):
        one_hot((np.array([0]), 3), (np.array([1, 0]), 2))
    with pytest.raises(IndexError, match="column 1: index 2"):
        one_hot((np.array([0]), 3), (np.array([2]), 2))


def test_rating_rows_put_users_first():
    from helpers.data import load

    data = load()
    x, y = rating_rows(data)
    first = data.frame.iloc[0]
    assert x.shape == (len(data), data.n_users + data.n_items) and y.dtype == np.float32
    assert x[0].indices.tolist() == [first["user"], data.n_users + first["item"]]


def test_inner_products_rank_as_the_machine_does_side_features_included():
    rng = np.random.default_rng(2)
    users, items, tags, ages = 15, 25, 4, 3
    w0, w1 = 0.5, rng.normal(size=users + ages + items + tags).astype(np.float32)
    v = rng.normal(size=(len(w1), 5)).astype(np.float32)
    of_user = sparse.hstack(
        [
            one_hot((np.arange(users), users), (rng.integers(0, ages, users), ages)),
            sparse.csr_matrix((users, items + tags)),
        ]
    ).tocsr()
    tagged = sparse.csr_matrix((rng.random((items, tags)) < 0.5).astype(np.float32))
    of_item = sparse.hstack(
        [sparse.csr_matrix((items, users + ages)), sparse.identity(items), tagged]
    ).tocsr()
    products = user_vectors(of_user, v) @ item_vectors(of_item, w1, v).T
    for user in range(users):
        rows = sparse.csr_matrix(of_item + sparse.csr_matrix(np.ones((items, 1))) @ of_user[user])
        scores = fm_scores(rows, w0, w1, v)
        np.testing.assert_allclose(scores - products[user], (scores - products[user])[0], atol=2e-4)
