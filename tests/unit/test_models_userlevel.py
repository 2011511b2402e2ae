"""User-level models: padding and its mask, the network, four losses, bad input."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

from helpers.models import userlevel
from helpers.models.base import NotFittedError
from helpers.models.training import Adam, adam_step
from helpers.models.userlevel import MultVAE, UserLevel, forward, multi_hot, pad_histories
from tests import worlds as planted
from tests.unit import numeric

N, WIDTH = 7, 4
LISTS = [[3, 1, 5], [6], [], [0, 1, 2, 3, 4, 5, 6]]


@pytest.fixture
def weights():
    generator = np.random.default_rng(0)
    start = userlevel.first_weights(N, WIDTH, np.arange(N), 10, seed=0)
    return {k: (v + generator.normal(0, 0.5, v.shape)).astype(np.float32) for k, v in start.items()}


@pytest.fixture(scope="module")
def world():
    """Two kinds of users and items: who takes one kind takes hardly anything of the other."""
    generator = np.random.default_rng(1)
    chance = np.kron(np.array([[0.5, 0.05], [0.05, 0.5]]), np.ones((30, 20)))
    users, items = np.nonzero(generator.random(chance.shape) < chance)
    return planted.interactions(users, items, np.full(len(users), 4.0))


def test_sequences_are_in_order_and_padding_keeps_the_latest_and_fills_the_end():
    data = planted.interactions([0, 0, 0, 2], [2, 0, 1, 0], [4.0] * 4)  # user 1 has no row
    found = userlevel.event_sequences(data.replace(data.frame.assign(timestamp=[30, 10, 20, 7])))
    assert [list(s) for s in found] == [[0, 1, 2], [], [0]]
    assert pad_histories([[3, 1, 5], [6]]).tolist() == [[3, 1, 5], [6, -1, -1]]
    assert pad_histories([[3, 1, 5], [6]], width=2).tolist() == [[1, 5], [6, -1]]
    assert pad_histories([[], []]).tolist() == [[-1], [-1]]
    assert pad_histories([]).shape == (0, 0) and pad_histories([], width=5).shape == (0, 5)


def test_what_is_no_history_is_named(weights):
    for wrong in ([0.5], [2, -1]):
        with pytest.raises(ValueError, match="history 1 holds"):
            pad_histories([[1], wrong])
    for histories, error, said in (
        ([1, 2, 3], ValueError, r"shape \(3,\)"),
        ([[0.5]], TypeError, "float64"),
        ([[0, 1], [2, 7]], IndexError, r"history 1 holds 7.*0\.\.6"),
        ([[0, 1], [2, -2]], IndexError, r"history 1 holds -2.*0\.\.6"),
        (sparse.csr_matrix((2, 5)), ValueError, "have 5 items, the model has 7"),
        (sparse.csr_matrix(np.full((1, N), np.nan)), ValueError, "histories: found NaN"),
    ):
        with pytest.raises(error, match=said):
            forward(weights, histories)


def test_hiding_keeps_the_size_of_sums_and_the_original():
    taken = multi_hot(np.tile(np.arange(N), (4000, 1)), N)
    shown = userlevel._hide_items(taken, 0.75, np.random.default_rng(0))
    assert set(np.unique(shown.data)) == {0.0, 4.0}
    assert shown.sum() == pytest.approx(taken.sum(), rel=0.03)


def test_forward_by_hand_also_without_history_and_for_an_empty_batch(weights):
    padded = pad_histories(LISTS)
    got = forward(weights, padded)
    rows = weights["item_in"][[3, 1, 5]].sum(axis=0) / np.sqrt(3)
    by_hand = weights["item_out"] @ np.tanh(rows + weights["hidden_bias"]) + weights["item_bias"]
    np.testing.assert_allclose(got[0], by_hand, atol=1e-5)
    np.testing.assert_allclose(got, forward(weights, multi_hot(padded, N)), atol=1e-6)
    order = forward(weights, [[5, 3, 1, -1]])
    np.testing.assert_allclose(order[0], got[0], atol=1e-5, err_msg="a set, not a sequence")
    only_bias = weights["item_out"] @ np.tanh(weights["hidden_bias"]) + weights["item_bias"]
    np.testing.assert_allclose(got[2], only_bias, atol=1e-6)
    for empty in (np.empty((0, 3), int), pad_histories([]), sparse.csr_matrix((0, N))):
        assert forward(weights, empty).shape == (0, N)


def test_losses_and_the_divergence_by_hand():
    logits = np.log([[1.0, 2.0, 5.0]]).astype(np.float32)
    taken, chances = np.array([0, 1]), np.array([[1 / 2, 2 / 3, 5 / 6]])
    loss, _ = userlevel._softmax(logits, np.zeros(2, int), taken)
    assert loss == pytest.approx(-np.log(1 / 8) - np.log(2 / 8), abs=1e-5)
    loss, slope = userlevel._multi_label(logits, np.zeros(2, int), taken)
    assert loss == pytest.approx(np.log(2) + np.log(3 / 2) + np.log(6), abs=1e-5)
    np.testing.assert_allclose(slope, chances - [[1, 1, 0]], atol=1e-6)
    pairs, _ = userlevel._pairwise(logits, np.zeros(2, int), taken, np.array([2, 2]))
    assert pairs == pytest.approx(np.log(6) + np.log(7 / 2), abs=1e-5)
    apart, *_ = userlevel._divergence(
        np.array([[0.0, 0], [2, 0]]), np.array([[0, 0], [0, np.log(2)]])
    )
    np.testing.assert_allclose(apart, [0, 2 + (2 - 1 - np.log(2)) / 2], atol=1e-6)


@pytest.mark.parametrize("loss", ["_multi_label", "_softmax", "_pairwise", "_sampled"])
def test_each_gradient_is_the_slope_of_its_loss(loss):
    rng, row = np.random.default_rng(5), np.array([0, 0, 1, 1, 1, 2])
    positive, drawn = np.array([1, 5, 0, 5, 8, 3]), np.array([5, 2, 2, 7])
    weights, vectors = (
        {"item_out": rng.normal(size=(9, 4)), "item_bias": rng.normal(size=9)},
        rng.normal(size=(3, 4)),
    )
    batch = {"row": row, "positive": positive, "drawn": drawn, "log_expected": rng.normal(size=4)}
    batch["drawn_is_taken"] = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    negative = [np.array([2, 3, 1, 2, 4, 7])] * (loss == "_pairwise")

    def asked():
        if loss == "_sampled":
            return userlevel._sampled(vectors, weights, batch)
        scores = userlevel._item_scores(weights, vectors)
        return getattr(userlevel, loss)(scores, row, positive, *negative)

    found, above = userlevel._through_items(weights, vectors, asked()[1])
    for name, table in (weights | {"vectors": vectors}).items():
        expected = numeric.gradient(lambda: asked()[0], table)
        np.testing.assert_allclose((found | {"vectors": above})[name], expected, atol=1e-6)


def test_the_gradients_of_mult_vae_are_the_slopes_of_its_loss(world, monkeypatch):
    rng, caught = np.random.default_rng(6), {}
    off, vectors = rng.normal(size=(3, 2)), rng.normal(size=(3, 4))
    fixed = SimpleNamespace(normal=rng.normal, standard_normal=lambda shape, dtype: off)
    monkeypatch.setattr(userlevel.np.random, "default_rng", lambda seed: fixed)
    catch = lambda self, loss, start, *_: caught.update(loss=loss, start=start)  # noqa: E731
    monkeypatch.setattr(MultVAE, "_minimize", catch)
    MultVAE(hidden=4, latent=2).fit(world)
    tables = caught["start"]
    tables.update({name: table.astype(float) for name, table in tables.items()})
    pairs = np.array([0, 0, 1, 2]), np.array([1, 5, 0, 3])
    _, found, above = caught["loss"](vectors, pairs, 0.3)
    behind = {name: tables[name] for name in ("to_mean", "to_log_variance", "item_out")}
    for name, table in (behind | {"vectors": vectors}).items():
        expected = numeric.gradient(lambda: caught["loss"](vectors, pairs, 0.3)[0], table)
        np.testing.assert_allclose((found | {"vectors": above})[name], expected, atol=1e-6)


CHANCE = np.array([0.2, 0.7, 0.1])


def sampled(drawn, correct=True):
    """The sampled loss of one user who took item 0, for a fixed sample; the full sum is log 8."""
    expected = len(drawn) * CHANCE[drawn] if correct else np.ones(len(drawn))
    batch = {"row": np.array([0]), "positive": np.array([0]), "drawn": drawn}
    batch["log_expected"] = np.log(expected).astype(np.float32)
    batch["drawn_is_taken"] = np.float32(drawn[None] == 0)
    weights = {"item_out": np.log([[1], [2], [5]], dtype=np.float32), "item_bias": np.zeros(3, "f")}
    return userlevel._sampled(np.ones((1, 1), np.float32), weights, batch)[0]


def test_a_sample_gives_the_full_softmax_loss_only_with_the_correction():
    drawn = np.random.default_rng(0).choice(3, 200_000, p=CHANCE)
    assert sampled(drawn) == pytest.approx(np.log(8), abs=0.01)
    assert sampled(drawn[:30], correct=False) > 3
    sums = [np.exp(sampled(part)) for part in drawn[:2000].reshape(400, 5)]
    assert np.mean(sums) == pytest.approx(8, rel=0.15), "the sum is unbiased for small samples, too"


@pytest.mark.parametrize("loss", ["multi-label", "softmax", "pairwise", "sampled", "vae"])
def test_each_loss_learns_two_kinds(world, loss):
    few = {"hidden": 8, "epochs": 15, "learning_rate": 0.05, "batch_size": 16}
    model = MultVAE(latent=4, **few) if loss == "vae" else UserLevel(loss, **few)
    scores = model.fit(world).score_histories([[0, 1, 2], [39, 38, 37]])
    assert scores[0, 3:20].mean() > scores[0, 20:37].mean() + 0.5
    assert scores[1, 20:37].mean() > scores[1, 3:20].mean() + 0.5
    assert loss == "vae" or model.history[-1] < model.history[0]
    assert np.isfinite(model.score_histories([[-1, -1]])).all()


def test_the_same_seed_gives_the_same_model(world):
    few = {"hidden": 4, "epochs": 2, "batch_size": 16}
    one, same, other = (UserLevel(seed=seed, **few).fit(world).scores([0, 1]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    small = UserLevel(regularization=10.0, **few).fit(world).weights["item_in"]
    assert np.abs(small).mean() < np.abs(UserLevel(**few).fit(world).weights["item_in"]).mean()


def test_users_without_history_are_not_trained_on_but_scored():
    rows = planted.interactions([0, 0, 2, 2], [0, 1, 0, 2], [4.0] * 4)
    model = UserLevel(hidden=2, epochs=1).fit(rows)
    np.testing.assert_allclose(model.scores([1])[0], model.score_histories([[-1]])[0], atol=1e-6)


@pytest.mark.parametrize("name", ["hidden", "dropout", "regularization", "sample", "loss"])
def test_settings_that_cannot_work_are_named(name):
    with pytest.raises(ValueError, match=f"{name}='?-1"):
        UserLevel(**{name: "-1" if name == "loss" else -1})
    with pytest.raises(ValueError, match="learning_rate=0"):
        MultVAE(learning_rate=0)


def test_calls_that_cannot_work_are_named(world):
    for ask in (UserLevel().scores, UserLevel().score_histories, MultVAE().score_histories):
        with pytest.raises(NotFittedError, match=type(ask.__self__).__name__):
            ask([[0]])
    with pytest.raises(IndexError, match="users: index 60"):
        UserLevel(hidden=2, epochs=1).fit(world).scores([60])
    with pytest.raises(ValueError, match="no interactions"):
        UserLevel().fit(world.replace(world.frame.iloc[:0]))


def test_adam_takes_the_steps_of_the_paper_also_for_rows_that_a_batch_repeats():
    start = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    table = tf.Variable(start)
    step = adam_step(lambda rows: (tf.reduce_sum(tf.gather(table, rows) ** 3), 0.0), [table])
    by_hand, adam, everywhere = {"t": start.copy()}, Adam(0.1), {"t": np.arange(5)}
    adam.epsilon = 1e-7  # as TensorFlow's
    for rows in ([0, 1, 1, 1], [4, 4, 0], [2, 1]):
        value = step(np.float32(0.1), np.array(rows))
        assert float(value) == pytest.approx((by_hand["t"][rows] ** 3).sum(), rel=1e-4)
        times = np.bincount(rows, minlength=5)[:, None]
        adam.step(by_hand, everywhere, {"t": times * 3 * by_hand["t"] ** 2})
    np.testing.assert_allclose(table.numpy(), by_hand["t"], atol=1e-4)


def test_a_step_is_compiled_twice_and_reports_the_loss_without_what_is_added():
    weight, compiled = tf.Variable([2.0]), []

    def loss(rows):
        compiled.append(tuple(rows.shape))
        return tf.constant(7.0), tf.reduce_sum(weight**2)

    step = adam_step(loss, [weight])
    assert float(step(np.float32(0.5), np.arange(4))) == 7
    assert weight.numpy() == pytest.approx([1.5], abs=1e-4), "a first step is as long as the rate"
    assert [float(step(np.float32(0.5), np.arange(n))) for n in (3, 1, 0)] == [7, 7, 7]
    assert compiled == [(4,), (None,)]
