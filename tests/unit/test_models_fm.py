"""Factorization machines: the identity, the gradients, planted data, and the sampled machine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from helpers.metrics import rmse
from helpers.models.fm import TUNED_HYPERPARAMETERS, FactorizationMachine, fm_scores, side_by_side
from helpers.models.fm_gibbs import GibbsFM, _Block, _Chain, rated_together
from local_sagemaker.algorithms.fm import Part, quality
from tests.worlds import interactions


def test_the_fast_formula_is_the_double_sum():
    rng = np.random.default_rng(0)
    x = sparse.random(30, 12, density=0.3, format="csr", random_state=rng, dtype=np.float32)
    w1, v = rng.normal(size=12).astype(np.float32), rng.normal(size=(12, 4)).astype(np.float32)
    for row, score in zip(x.toarray(), fm_scores(x, 0.7, w1, v), strict=True):
        pairs = itertools.combinations(range(12), 2)
        slow = 0.7 + row @ w1 + sum(v[i] @ v[j] * row[i] * row[j] for i, j in pairs)
        assert score == pytest.approx(slow, rel=1e-4, abs=1e-5)


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
            score = w0[0, 0] + rows @ w1[:, 0] + pairs / 2
            said = 1 / (1 + np.exp(-score)) if machine.classifies else score
            error = (said - y[taken]) / len(rows)
            gradients = (
                error.sum().reshape(1, 1),
                (error @ rows)[:, None],
                rows.T @ (error[:, None] * total) - (error @ rows**2)[:, None] * v,
            )
            step += 1
            correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            occur = np.flatnonzero((rows != 0).any(axis=0))
            for place, at in enumerate((np.array([0]), occur, occur)):
                w, m, s, part = weights[place], means[place], squares[place], parts[place]
                g = (gradients[place][at] + part.regularization * w[at]).clip(-clip, clip)
                m[at] = 0.9 * m[at] + 0.1 * g
                s[at] = 0.999 * s[at] + 0.001 * g**2
                w[at] -= part.learning_rate * correction * m[at] / (np.sqrt(s[at]) + 1e-8)
    return weights


@pytest.mark.parametrize("settings", [{}, {"clip_gradient": 0.02}, {"classifies": True}], ids=str)
def test_the_compiled_loops_are_plain_adam(settings):
    """Rows of any length, an empty one, and a last batch that is not full."""
    rng = np.random.default_rng(0)
    x = sparse.random(30, 12, density=0.3, format="csr", random_state=rng, dtype=np.float32)
    x = sparse.csr_matrix(x.multiply(np.arange(30)[:, None] != 4), dtype=np.float32)
    y = rng.integers(0, 2, 30) if "classifies" in settings else rng.normal(size=30)
    parts = {"bias": Part(0.01, 0.01), "linear": Part(0.01, 0.001), "pairs": Part(0.01, 0.1)}
    machine = FactorizationMachine(5, epochs=4, batch_size=7, **parts, **settings).fit(x, y)
    w0, w1, v = plain_adam(x.toarray().astype(float), y, machine)
    assert machine.w0 == pytest.approx(w0[0, 0], abs=2e-5)
    np.testing.assert_allclose(machine.w1, w1[:, 0], atol=2e-5)
    np.testing.assert_allclose(machine.v, v, atol=2e-5)


def planted(n: int = 20_000) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(1)
    users, items = rng.integers(0, 60, n), rng.integers(0, 40, n)
    p, q = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    x = side_by_side((users, 60), (items, 40))
    return x, (3 + (p[users] * q[items]).sum(1) + rng.normal(0, 0.1, n)).astype(np.float32)


PARTS = {"linear": Part(0.02, 0.001), "pairs": Part(0.02, 0.00001, sigma=0.1)}
FAST = {"factors": 4, "batch_size": 100, **PARTS}


def test_planted_interactions_are_learned_and_reported():
    x, y = planted()
    seen = []
    machine = FactorizationMachine(epochs=15, **FAST)
    machine.fit(x[:16_000], y[:16_000], lambda epoch, found: seen.append((epoch, found["rmse"])))
    assert [epoch for epoch, _ in seen] == list(range(15)) and seen[-1][1] < seen[0][1]
    error = quality(machine.scores(x[16_000:]), y[16_000:], False)["rmse"]
    assert error < 0.2 < 0.5 * y.std() and machine.seconds > 0
    again, other = (FactorizationMachine(epochs=15, seed=seed, **FAST) for seed in (0, 1))
    np.testing.assert_array_equal(again.fit(x[:16_000], y[:16_000]).v, machine.v)
    assert not np.array_equal(other.fit(x[:16_000], y[:16_000]).v, machine.v)


def test_planted_preferences_are_classified():
    x, y = planted()
    machine = FactorizationMachine(classifies=True, epochs=15, **FAST)
    machine.fit(x[:16_000], y[:16_000] > 3)
    found = quality(machine.scores(x[16_000:]), y[16_000:] > 3, True)
    assert found["binary_classification_accuracy"] > 0.93 and found["binary_f_1.000"] > 0.93


def test_a_machine_is_set_as_sagemaker_sets_it():
    """Each hyperparameter reaches its setting, and the first weights are as asked."""
    given = {"num_factors": 2, "predictor_type": "binary_classifier", "epochs": 3}
    given |= {"mini_batch_size": 7, "bias_lr": 0.0, "bias_wd": 0.5, "linear_lr": 0.0}
    given |= {"factors_lr": 0.0, "bias_init_method": "constant", "bias_init_value": 3.5}
    given |= {"factors_init_method": "uniform", "factors_init_scale": 0.25}
    given |= {"clip_gradient": 0.1, "eps": 1e-6, "rescale_grad": 0.01}
    parts = {"bias": Part(0.0, 0.5, "constant", value=3.5), "linear": Part(0.0, 0.001)}
    parts["pairs"] = Part(0.0, 0.00001, "uniform", sigma=0.001, scale=0.25)
    bounds = {"clip_gradient": 0.1, "epsilon": 1e-6, "rescale_gradient": 0.01, "shuffle": False}
    machine = FactorizationMachine.from_sagemaker(given, shuffle=False)
    assert machine == FactorizationMachine(2, True, 3, 7, **parts, **bounds)
    x, y = planted(100)
    machine.fit(x, y > 3)
    assert machine.w0 == 3.5 and 0.2 < np.abs(machine.v).max() <= 0.25
    assert FactorizationMachine.from_sagemaker({}) == FactorizationMachine()
    tuned = FactorizationMachine.from_sagemaker(TUNED_HYPERPARAMETERS)
    assert (tuned.factors, tuned.pairs) == (32, Part(0.002, 0.0005, sigma=0.02))


WILD = FactorizationMachine(
    2, epochs=300, linear=Part(1e15, 0.001), pairs=Part(1e15, 0.001, sigma=0.001)
)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda m, x, y: m.from_sagemaker({"factor_lr": 1}), ValueError, "'factor_lr' was unex"),
        (lambda m, x, y: m.fit(x, y[:-1]), ValueError, "expected one label per row"),
        (lambda m, x, y: m.fit(x[:0], y[:0]), ValueError, "at least one row"),
        (lambda m, x, y: m.fit(x, np.append(y[1:], np.nan)), ValueError, "label nan"),
        (lambda m, x, y: m.scores(x), RuntimeError, "call fit"),
        (lambda m, x, y: m.fit(x, y).scores(x[:, :50]), ValueError, "50 features, .* has 100"),
        (lambda m, x, y: m.fit(x, y).scores(x * np.nan), ValueError, "features: found NaN"),
        (lambda m, x, y: type(m)(2, True).fit(x, y), ValueError, r"label [\d.]+: expected 0 or 1"),
        (lambda m, x, y: WILD.fit(x, y), FloatingPointError, "diverged in epoch .*lower the"),
    ],
)
def test_what_cannot_be_learned_or_asked(call, error, message):
    with pytest.raises(error, match=message):
        call(FactorizationMachine(2), *planted(100))


def test_blocks_stand_side_by_side():
    x = side_by_side((np.array([0, 2]), 3), (np.array([1, 0]), 2))
    np.testing.assert_array_equal(x.toarray(), [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]])
    with pytest.raises(ValueError, match="same shape"):
        side_by_side(([0], 3), ([1, 0], 2))
    with pytest.raises(IndexError, match="column 1: index 2"):
        side_by_side(([0], 3), ([2], 2))


def test_the_sampler_finds_planted_interactions():
    x, y = planted(6000)
    rows, sizes = x.indices.reshape(-1, 2) - [0, 60], (60, 40)
    model = GibbsFM(factors=4, samples=60, burn_in=30)
    found, again = (model.fit_predict(rows[:5000], y[:5000], rows[5000:], sizes) for _ in range(2))
    assert np.sqrt(np.mean((found - y[5000:]) ** 2)) < 0.2 < 0.3 * y.std()
    np.testing.assert_array_equal(found, again)


def sampled(rows, y, sizes=(60, 40), **settings):
    return GibbsFM(**settings).fit_predict(rows, y, rows, sizes)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda r, y: sampled(r, y, factors=0), ValueError, "factors=0"),
        (lambda r, y: sampled(r, y, samples=5, burn_in=5), ValueError, "burn_in=5"),
        (lambda r, y: sampled(r, y, chains=0), ValueError, "chains=0"),
        (lambda r, y: sampled(r, y[:-1]), ValueError, "100 rows, 99 ratings"),
        (lambda r, y: sampled(r[:0], y[:0]), ValueError, "at least one value"),
        (lambda r, y: sampled(r, y, (60,)), ValueError, "each of 1 blocks"),
        (lambda r, y: sampled(r, y, (60, [40, np.ones((9, 1))])), ValueError, "block 1 has groups"),
        (lambda r, y: sampled(r, y, (60, np.full((40, 2), np.nan))), ValueError, "block 1: found"),
        (lambda r, y: sampled(r, y, (60, 9)), IndexError, r"block 1: .*0\.\.8"),
        (lambda r, y: sampled(r, y * np.nan), ValueError, "got nan"),
    ],
)
def test_the_sampler_refuses(call, error, message):
    x, y = planted(100)
    with pytest.raises(error, match=message):
        call(x.indices.reshape(-1, 2) - [0, 60], y)


def friends(rng: np.random.Generator) -> list:
    """Two blocks: one-hot rows beside features that rows share, and features alone."""
    return [[7, sparse.random(7, 5, 0.5, random_state=rng)], [rng.normal(size=(4, 3))]]


def test_blocks_give_the_draws_of_rows_written_out():
    """A relation block saves work; it is the same sampler, draw by draw."""
    rng = np.random.default_rng(3)
    rows, (a, b) = np.stack([rng.integers(0, 7, 60), rng.integers(0, 4, 60)], 1), friends(rng)
    a[0] = np.eye(7)
    long = [[sparse.csr_matrix(g)[c] for g in of] for of, c in zip((a, b), rows.T, strict=True)]
    own, machine = np.stack([np.arange(60)] * 2, 1), GibbsFM(3, samples=15, chains=2)
    y = rng.normal(size=60)
    found = [machine.fit_predict(r, y, r, of) for r, of in ((rows, [a, b]), (own, long))]
    np.testing.assert_allclose(*found, rtol=1e-8)


def test_a_chain_scores_as_the_formula_says_and_keeps_its_residuals():
    rng = np.random.default_rng(3)
    columns, y = (rng.integers(0, 7, 60), rng.integers(0, 4, 60)), rng.normal(size=60)
    named = zip("ab", friends(rng), columns, strict=True)
    blocks = [_Block(*given, 3, rng) for given in named]
    chain = _Chain(blocks, y, rng)
    for _ in range(10):
        chain.draw()
    rows = sparse.hstack([b.rows[c] for b, c in zip(blocks, columns, strict=True)], format="csr")
    linear, v = (np.hstack([getattr(b, n) for b in blocks]) for n in ("linear", "factors"))
    score = fm_scores(rows.astype(np.float32), chain._constant, linear, v.T)
    np.testing.assert_allclose(chain.predict(columns), score, atol=1e-4)
    np.testing.assert_allclose(chain._residual, y - chain.predict(columns), atol=1e-9)


def test_what_users_rated_tells_their_taste():
    """Few ratings a user, but of films they like; one who rated nothing gets the mean."""
    rng = np.random.default_rng(0)
    taste, kind = rng.choice([-1, 1], 400), rng.choice([-1, 1], 50)
    chosen = rng.random((400, 50)) < np.where(np.outer(taste, kind) > 0, 0.15, 0.02)
    chosen[399] = False
    rows = rng.permutation(np.argwhere(chosen))
    y = 3 + taste[rows[:, 0]] * kind[rows[:, 1]] + rng.normal(0, 1, len(rows))
    train, pairs = interactions(*rows.T, 0 * y + 3, 400, 50), np.argwhere(~chosen)
    both = ((400, 50), rated_together(train))
    plain, more = (GibbsFM(2, samples=60).fit_predict(rows, y, pairs, blocks) for blocks in both)
    errors = [rmse(found, 3 + np.outer(taste, kind)[~chosen]) for found in (plain, more)]
    assert errors[1] < 0.7 * errors[0]
    assert more[pairs[:, 0] == 399].mean() == pytest.approx(y.mean(), abs=0.2)
