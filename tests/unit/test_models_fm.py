"""Factorization machines: the identity, the gradients, planted data, and the sampled machine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from helpers.data import load
from helpers.models.base import NotFittedError
from helpers.models.fm import (
    TUNED_HYPERPARAMETERS,
    FactorizationMachine,
    Part,
    fm_scores,
    quality,
    rating_rows,
    side_by_side,
)
from helpers.models.fm_gibbs import GibbsFM


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
    w1, v = rng.normal(size=12).astype(np.float32), rng.normal(size=(12, 4)).astype(np.float32)
    return x, 0.7, w1, v


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
    part = Part(1e-3, 0, sigma=0.5)
    machine = FactorizationMachine(
        3, kind == "binary_classifier", batch_size=30, bias=part, linear=part, pairs=part
    )
    random = np.random.default_rng(0)
    w0, w1, v = (
        random.normal(0, 0.5, shape).astype(np.float32).astype(np.float64)
        for shape in ((1,), (12,), (12, 3))
    )
    machine.fit(x, y)

    def loss(w0, w1, v):
        z = brute_force(x.toarray(), w0[0], w1, v)
        likely = np.logaddexp(0, z) - y * z
        return np.mean(likely if machine.classifies else (z - y) ** 2 / 2)

    for place, (weight, after) in enumerate(((w0, [machine.w0]), (w1, machine.w1), (v, machine.v))):
        for index in np.ndindex(weight.shape):
            up, down = ([w0.copy(), w1.copy(), v.copy()] for _ in range(2))
            up[place][index] += 1e-5
            down[place][index] -= 1e-5
            slope = (loss(*up) - loss(*down)) / 2e-5
            if abs(slope) > 1e-4:
                moved = np.asarray(after)[index] - weight[index]
                assert moved == pytest.approx(-1e-3 * np.sign(slope), rel=0.02)


def plain_adam(x: np.ndarray, y: np.ndarray, machine: FactorizationMachine) -> list[np.ndarray]:
    """Weights after training as the equations say it, in double precision."""
    random = np.random.default_rng(machine.seed)
    shapes = ((1, 1), (x.shape[1], 1), (x.shape[1], machine.factors))
    parts = (machine.bias, machine.linear, machine.pairs)
    weights = [random.normal(0, p.sigma, shape) for p, shape in zip(parts, shapes, strict=True)]
    means, squares = ([np.zeros(shape) for shape in shapes] for _ in range(2))
    clip, step = machine.clip_gradient or np.inf, 0
    for _ in range(machine.epochs):
        order = random.permutation(len(y))
        for begin in range(0, len(y), machine.batch_size):
            taken = order[begin : begin + machine.batch_size]
            rows, (w0, w1, v) = x[taken], weights
            total = rows @ v
            pairs = (total**2 - rows**2 @ v**2).sum(axis=1)
            error = (w0[0, 0] + rows @ w1[:, 0] + pairs / 2 - y[taken]) / len(rows)
            gradients = (
                error.sum().reshape(1, 1),
                (error @ rows)[:, None],
                rows.T @ (error[:, None] * total) - (error @ rows**2)[:, None] * v,
            )
            step += 1
            correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            occur = np.flatnonzero((rows != 0).any(axis=0) | (not machine.lazy))
            for place, at in enumerate((np.array([0]), occur, occur)):
                w, m, s, part = weights[place], means[place], squares[place], parts[place]
                g = (gradients[place][at] + part.regularization * w[at]).clip(-clip, clip)
                m[at] = 0.9 * m[at] + 0.1 * g
                s[at] = 0.999 * s[at] + 0.001 * g**2
                w[at] -= part.learning_rate * correction * m[at] / (np.sqrt(s[at]) + 1e-8)
    return weights


@pytest.mark.parametrize(("lazy", "clip"), [(True, None), (False, None), (True, 0.02)])
def test_the_compiled_loops_are_plain_adam(random_rows, lazy, clip):
    """Rows of any length, an empty one, and a last batch that is not full."""
    x, *_ = random_rows
    x = sparse.csr_matrix(x.multiply(np.arange(30)[:, None] != 4), dtype=np.float32)
    y = np.random.default_rng(2).normal(size=30).astype(np.float32)
    machine = FactorizationMachine(
        5,
        epochs=4,
        batch_size=7,
        bias=Part(0.01, 0.01),
        linear=Part(0.01, 0.001),
        pairs=Part(0.01, 0.1, sigma=0.3),
        lazy=lazy,
        clip_gradient=clip,
    ).fit(x, y)
    _, w1, v = plain_adam(x.toarray().astype(float), y, machine)
    np.testing.assert_allclose(machine.w1, w1[:, 0], atol=2e-5)
    np.testing.assert_allclose(machine.v, v, atol=2e-5)


def planted(n: int = 20_000) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(1)
    users, items = rng.integers(0, 60, n), rng.integers(0, 40, n)
    p, q = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    x = side_by_side((users, 60), (items, 40))
    return x, (3 + (p[users] * q[items]).sum(1) + rng.normal(0, 0.1, n)).astype(np.float32)


FAST = {
    "factors": 4,
    "batch_size": 100,
    "linear": Part(0.02, 0.001),
    "pairs": Part(0.02, 0.00001, sigma=0.1),
}


@pytest.mark.parametrize("lazy", [True, False])
def test_planted_interactions_are_learned(lazy):
    x, y = planted()
    machine = FactorizationMachine(epochs=15, lazy=lazy, **FAST).fit(x[:16_000], y[:16_000])
    error = quality(machine.scores(x[16_000:]), y[16_000:], False)["rmse"]
    assert error < 0.2 < 0.5 * y.std()
    assert machine.seconds > 0


def test_planted_preferences_are_classified():
    x, y = planted()
    machine = FactorizationMachine(classifies=True, epochs=15, **FAST)
    machine.fit(x[:16_000], (y[:16_000] > 3).astype(np.float32))
    found = quality(machine.scores(x[16_000:]), (y[16_000:] > 3).astype(np.float32), True)
    assert found["binary_classification_accuracy"] > 0.93 and found["binary_f_1.000"] > 0.93


def test_the_same_seed_gives_the_same_machine():
    x, y = planted(2000)
    one, two, other = (FactorizationMachine(epochs=2, seed=s, **FAST).fit(x, y) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.v, two.v)
    assert not np.array_equal(one.v, other.v)


def test_lazy_updates_leave_absent_features_alone():
    x, y = planted(500)
    wider = sparse.hstack([x, sparse.csr_matrix((500, 3))]).tocsr()
    lazy = FactorizationMachine(epochs=3, **FAST).fit(wider, y)
    pulled = {**FAST, "pairs": Part(0.02, 0.1, sigma=0.1)}
    dense = FactorizationMachine(epochs=3, lazy=False, **pulled).fit(wider, y)
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


def test_a_machine_is_set_as_sagemaker_sets_it():
    """Each hyperparameter reaches its setting, and the first weights are as asked."""
    given = {
        "num_factors": 2,
        "predictor_type": "binary_classifier",
        "epochs": 3,
        "mini_batch_size": 7,
        "bias_lr": 0.0,
        "bias_wd": 0.5,
        "linear_lr": 0.0,
        "factors_lr": 0.0,
        "bias_init_method": "constant",
        "bias_init_value": 3.5,
        "factors_init_method": "uniform",
        "factors_init_scale": 0.25,
        "clip_gradient": 0.1,
        "eps": 1e-6,
        "rescale_grad": 0.01,
    }
    machine = FactorizationMachine.from_sagemaker(given, shuffle=False)
    assert machine == FactorizationMachine(
        2,
        True,
        3,
        7,
        Part(0.0, 0.5, "constant", value=3.5),
        Part(0.0, 0.001),
        Part(0.0, 0.00001, "uniform", sigma=0.001, scale=0.25),
        0.1,
        1e-6,
        0.01,
        shuffle=False,
    )
    x, y = planted(100)
    machine.fit(x, y > 3)
    assert machine.w0 == 3.5 and 0.2 < np.abs(machine.v).max() <= 0.25
    assert FactorizationMachine.from_sagemaker({}) == FactorizationMachine()
    assert FactorizationMachine.from_sagemaker(TUNED_HYPERPARAMETERS).pairs == Part(
        0.002, 0.0005, sigma=0.02
    )


@pytest.mark.parametrize(
    "hyperparameters, message",
    [
        ({"num_factors": 0}, "factors=0, .*: expected whole numbers of at least 1"),
        ({"factors_lr": -1}, "learning_rate=-1.*expected 0 or more"),
        ({"predictor_type": "ranker"}, "predictor_type='ranker'"),
        ({"bias_init_method": "zeros"}, "init='zeros'.*expected init 'normal'"),
        ({"linear_init_method": "uniform"}, "'uniform' with a scale"),
        ({"factor_lr": 0.1}, "no hyperparameter factor_lr"),
    ],
)
def test_settings_that_cannot_train(hyperparameters, message):
    with pytest.raises(ValueError, match=message):
        FactorizationMachine.from_sagemaker(hyperparameters)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x, y[:-1]), "expected one label per row"),
        (lambda x, y: (x[:0], y[:0]), "at least one row"),
        (lambda x, y: (x, np.where(np.arange(100) == 7, np.nan, y)), "NaN or infinity"),
    ],
)
def test_rows_that_cannot_be_learned(change, message):
    with pytest.raises(ValueError, match=message):
        FactorizationMachine(2).fit(*change(*planted(100)))


def test_other_misuse():
    x, y = planted(100)
    with pytest.raises(ValueError, match=r"label [\d.]+ for a binary_classifier: expected 0 or 1"):
        FactorizationMachine(2, classifies=True).fit(x, y)
    with pytest.raises(NotFittedError):
        FactorizationMachine().scores(x)
    with pytest.raises(ValueError, match="rows of 50 features, but the machine has 100"):
        FactorizationMachine(2).fit(x, y).scores(x[:, :50])
    with pytest.raises(ValueError, match="features hold NaN"):
        FactorizationMachine(2).fit(x, y).scores(x * np.nan)
    wild = Part(1e15, 0.001)
    with pytest.raises(FloatingPointError, match=r"diverged in epoch \d+: .*lower the learning"):
        FactorizationMachine(2, epochs=300, linear=wild, pairs=wild).fit(x, y)


def test_blocks_stand_side_by_side():
    x = side_by_side((np.array([0, 2]), 3), (np.array([1, 0]), 2))
    np.testing.assert_array_equal(x.toarray(), [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]])
    with pytest.raises(ValueError, match=r"lengths \[\]: expected some"):
        side_by_side()
    with pytest.raises(ValueError, match=r"lengths \[1, 2\]"):
        side_by_side((np.array([0]), 3), (np.array([1, 0]), 2))
    with pytest.raises(IndexError, match="column 1: index 2"):
        side_by_side((np.array([0]), 3), (np.array([2]), 2))


def test_rating_rows_put_users_first():
    data = load()
    x, y = rating_rows(data)
    first = data.frame.iloc[0]
    assert x.shape == (len(data), data.n_users + data.n_items) and y.dtype == np.float32
    assert x[0].indices.tolist() == [first["user"], data.n_users + first["item"]]


def test_the_sampler_finds_planted_interactions():
    x, y = planted(6000)
    rows, sizes = x.indices.reshape(-1, 2) - [0, 60], (60, 40)
    model = GibbsFM(factors=4, samples=60, burn_in=30)
    found, again = (model.fit_predict(rows[:5000], y[:5000], rows[5000:], sizes) for _ in range(2))
    assert np.sqrt(np.mean((found - y[5000:]) ** 2)) < 0.2 < 0.3 * y.std()
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda r, y: GibbsFM(factors=0), ValueError, "factors=0"),
        (lambda r, y: GibbsFM(samples=5, burn_in=5), ValueError, "burn_in=5"),
        (lambda r, y: GibbsFM().fit_predict(r, y[:-1], r, (60, 40)), ValueError, "one rating per"),
        (lambda r, y: GibbsFM().fit_predict(r, y, r, (60,)), ValueError, "each of 1 blocks"),
        (lambda r, y: GibbsFM().fit_predict(r, y, r, (60, 9)), IndexError, r"block 1: .*0\.\.8"),
        (lambda r, y: GibbsFM().fit_predict(r, y * np.nan, r, (60, 40)), ValueError, "NaN"),
    ],
)
def test_the_sampler_refuses(call, error, message):
    x, y = planted(100)
    with pytest.raises(error, match=message):
        call(x.indices.reshape(-1, 2) - [0, 60], y)
