"""User-level models: padding and its mask, four losses, the same function in three frameworks, bad input."""

from functools import cache

import numpy as np
import pytest
from scipy import sparse

from helpers import data, gates
from helpers.models import NotFittedError
from helpers.models.userlevel import (
    check_padded,
    event_sequences,
    first_weights,
    forward,
    hidden_layer,
    hide_items,
    masked_sum,
    multi_hot,
    pad_histories,
)
from helpers.models.userlevel_training import UserLevel
from helpers.models.vae import MultVAE, kl_to_standard_normal
from tests import worlds as planted

N, WIDTH = 7, 4
LISTS = [[3, 1, 5], [6], [], [0, 1, 2, 3, 4, 5, 6]]


@pytest.fixture
def weights():
    generator = np.random.default_rng(0)
    start = first_weights(N, WIDTH, np.arange(N), 10, seed=0)
    return {k: (v + generator.normal(0, 0.5, v.shape)).astype(np.float32) for k, v in start.items()}


@pytest.fixture(scope="module")
def world():
    """Two kinds of users and items: who takes one kind takes hardly anything of the other."""
    generator = np.random.default_rng(1)
    chance = np.kron(np.array([[0.5, 0.05], [0.05, 0.5]]), np.ones((30, 20)))
    users, items = np.nonzero(generator.random(chance.shape) < chance)
    return planted.interactions(users, items, np.full(len(users), 4.0))


# --- padding


def test_padding_keeps_the_latest_and_fills_the_end():
    np.testing.assert_array_equal(pad_histories([[3, 1, 5], [6]]), [[3, 1, 5], [6, -1, -1]])
    np.testing.assert_array_equal(pad_histories([[3, 1, 5], [6]], width=2), [[1, 5], [6, -1]])
    assert pad_histories([[2]], width=3).dtype == np.int32


def test_padding_of_nothing():
    np.testing.assert_array_equal(pad_histories([[], []]), [[-1], [-1]])
    assert pad_histories([]).shape == (0, 0)
    assert pad_histories([], width=5).shape == (0, 5)


def test_padding_refuses_what_is_no_history():
    with pytest.raises(ValueError, match="width=0"):
        pad_histories([[1]], width=0)
    with pytest.raises(TypeError, match="history 1 holds float64"):
        pad_histories([[1], [0.5]])
    with pytest.raises(IndexError, match="history 0 holds -1"):
        pad_histories([[2, -1]])
    with pytest.raises(IndexError, match=r"history 1 holds 7, expected an item index of 0\.\.6"):
        pad_histories([[1], [7]], n_items=7)


@pytest.mark.parametrize("wrong", [7, -2])
def test_an_index_outside_the_catalog_is_named(weights, wrong):
    table = [[0, 1], [2, wrong]]
    for function in (lambda: check_padded(table, N), lambda: masked_sum(weights["item_in"], table)):
        with pytest.raises(IndexError, match=f"history 1 holds {wrong}"):
            function()
    with pytest.raises(IndexError, match=f"holds {wrong}"):
        forward(weights, table)


def test_padded_lists_of_the_wrong_kind_are_named():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        check_padded([1, 2, 3], N)
    with pytest.raises(TypeError, match="float64"):
        check_padded([[0.5]], N)


def test_masked_sum_is_the_sparse_product(weights):
    generator = np.random.default_rng(2)
    padded = np.where(generator.random((50, 12)) < 0.4, -1, generator.integers(0, N, (50, 12)))
    padded[7] = -1
    expected = multi_hot(padded, N) @ weights["item_in"]
    found = masked_sum(weights["item_in"], padded)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not found[7].any(), "a row of only -1 sums to zero"
    unmasked = weights["item_in"][padded].sum(axis=1)
    extra = (padded == -1).sum(axis=1)[:, None] * weights["item_in"][-1]
    np.testing.assert_allclose(
        unmasked, expected + extra, atol=1e-4, err_msg="-1 reads the last row"
    )


def test_event_sequences_are_in_order_and_empty_for_a_user_without_a_row():
    all_of_it = planted.interactions([0, 0, 0, 1, 2], [2, 0, 1, 1, 0], [4.0] * 5)
    frame = all_of_it.frame.assign(timestamp=[30, 10, 20, 5, 7])
    found = event_sequences(all_of_it.replace(frame[frame["user"] != 1]))
    assert [list(s) for s in found] == [[0, 1, 2], [], [0]]


# --- the network


def test_forward_by_hand(weights):
    padded = pad_histories(LISTS)
    got = forward(weights, padded)
    rows = weights["item_in"][[3, 1, 5]].sum(axis=0) / np.sqrt(3)
    by_hand = weights["item_out"] @ np.tanh(rows + weights["hidden_bias"]) + weights["item_bias"]
    np.testing.assert_allclose(got[0], by_hand, atol=1e-5)
    np.testing.assert_allclose(got, forward(weights, multi_hot(padded, N)), atol=1e-6)
    order = forward(weights, [[5, 3, 1, -1]])
    np.testing.assert_allclose(order[0], got[0], atol=1e-5, err_msg="a set, not a sequence")


def test_no_history_and_an_empty_batch_have_a_defined_answer(weights):
    nobody = forward(weights, [[-1, -1, -1]])
    only_bias = weights["item_out"] @ np.tanh(weights["hidden_bias"]) + weights["item_bias"]
    np.testing.assert_allclose(nobody[0], only_bias, atol=1e-6)
    assert forward(weights, np.empty((0, 3), int)).shape == (0, N)
    assert forward(weights, pad_histories([])).shape == (0, N)
    assert forward(weights, np.full((2, 0), -1)).shape == (2, N)
    assert hidden_layer(weights, sparse.csr_matrix((0, N))).shape == (0, WIDTH)


def test_a_matrix_of_another_catalog_is_refused(weights):
    with pytest.raises(ValueError, match="have 5 items, the model has 7"):
        forward(weights, sparse.csr_matrix((2, 5)))


def test_keras_is_the_same_function(weights):
    from helpers.models.userlevel_keras import copy_from_keras, keras_user_level

    padded = pad_histories(LISTS)
    expected = forward(weights, padded)
    model = keras_user_level(weights)
    np.testing.assert_allclose(model(padded), expected, atol=1e-5)
    twin = keras_user_level(weights, form="multi-hot")
    np.testing.assert_allclose(twin(multi_hot(padded, N).toarray()), expected, atol=1e-5)
    assert model(np.empty((0, 3), np.int32)).shape == (0, N)
    for name, array in copy_from_keras(model).items():
        np.testing.assert_array_equal(array, weights[name])
    with pytest.raises(ValueError, match="form='rows'"):
        keras_user_level(weights, form="rows")


def test_hiding_keeps_the_size_of_sums_and_the_original():
    taken = multi_hot(np.tile(np.arange(N), (4000, 1)), N)
    shown = hide_items(taken, 0.75, np.random.default_rng(0))
    assert set(np.unique(shown.data)) == {0.0, 4.0}
    assert shown.sum() == pytest.approx(taken.sum(), rel=0.03)
    assert taken.data.min() == 1
    np.testing.assert_array_equal(hide_items(taken, 0.0, np.random.default_rng(0)).data, taken.data)
    with pytest.raises(ValueError, match="share=1"):
        hide_items(taken, 1, np.random.default_rng(0))


def test_mxnet_is_the_same_function_and_takes_the_same_step(weights):
    if not gates.mxnet:
        pytest.skip(gates.mxnet.reason)
    import tensorflow as tf

    from helpers.models import userlevel_mxnet as umx
    from helpers.models.userlevel_keras import copy_from_keras, keras_user_level
    from helpers.models.userlevel_losses import binary_cross_entropy

    padded, taken = pad_histories(LISTS), multi_hot(pad_histories(LISTS), N).toarray()
    chances = 1 / (1 + np.exp(-forward(weights, padded)))
    np.testing.assert_allclose(
        umx.symbol_chances(umx.user_level_net(N, WIDTH), weights, padded), chances, atol=1e-5
    )
    block = umx.user_level_block(N, WIDTH)
    umx.copy_to_block(weights, block)
    scores, stepped = umx.block_step(block, padded, taken, learning_rate=0.1)
    np.testing.assert_allclose(scores, forward(weights, padded), atol=1e-5)
    model = keras_user_level(weights)
    with tf.GradientTape() as tape:
        loss = binary_cross_entropy(model(padded), tf.constant(taken))
    slopes = tape.gradient(loss, model.trainable_variables)
    for variable, slope in zip(model.trainable_variables, slopes, strict=True):
        variable.assign(variable - 0.1 * tf.convert_to_tensor(slope))
    for name, array in copy_from_keras(model).items():
        np.testing.assert_allclose(stepped[name], array, atol=1e-5, err_msg=name)
        assert not np.allclose(array, weights[name], atol=1e-4), name
    with pytest.raises(IndexError, match="holds 7"):
        umx.symbol_chances(umx.user_level_net(N, WIDTH), weights, [[7]])
    with pytest.raises(ValueError, match="empty batch"):
        umx.symbol_chances(umx.user_level_net(N, WIDTH), weights, np.empty((0, 2), int))


# --- losses


def test_losses_by_hand():
    from helpers.models import userlevel_losses as losses

    scores, taken = (
        np.log([[1.0, 2.0, 5.0]]).astype(np.float32),
        np.array([[1.0, 1.0, 0.0]], np.float32),
    )
    assert float(losses.multinomial(scores, taken)) == pytest.approx(
        -np.log(1 / 8) - np.log(2 / 8), abs=1e-5
    )
    by_item = np.log(2) + np.log(3 / 2) + np.log(6)  # chances 1/2, 2/3, 5/6
    assert float(losses.binary_cross_entropy(scores, taken)) == pytest.approx(by_item, abs=1e-5)
    import tensorflow as tf

    logits = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.binary_cross_entropy(logits, tf.constant(taken))
    chances = np.array([[1 / 2, 2 / 3, 5 / 6]])
    np.testing.assert_allclose(tape.gradient(loss, logits), chances - taken, atol=1e-6)
    pairs = losses.pairwise(scores, [0, 0], [0, 1], [2, 2])
    assert float(pairs) == pytest.approx(np.log(6) + np.log(7 / 2), abs=1e-5)


@cache
def compiled_sampled_loss():
    import tensorflow as tf

    from helpers.models.userlevel_losses import sampled_multinomial

    return tf.function(sampled_multinomial, reduce_retracing=True)


def sampled(drawn, n_expected, corrected=True):
    """The sampled loss of one user who took item 0, for chances ``q`` and a fixed sample."""
    hidden, out = np.ones((1, 1), np.float32), np.log([[1.0], [2.0], [5.0]]).astype(np.float32)
    log_expected = np.log(n_expected[drawn]) if corrected else np.zeros(len(drawn))
    return float(
        compiled_sampled_loss()(
            hidden, out, np.zeros(3, np.float32), np.array([0]), np.array([0]), drawn,
            log_expected.astype(np.float32), (drawn[None] == 0).astype(np.float32),
        )
    )  # fmt: skip


def test_a_large_sample_gives_the_full_softmax_loss_only_with_the_correction():
    q = np.array([0.2, 0.7, 0.1])
    drawn = np.random.default_rng(0).choice(3, 200_000, p=q)
    assert sampled(drawn, len(drawn) * q) == pytest.approx(np.log(8), abs=0.01)
    assert sampled(drawn[:30], 30 * q, corrected=False) > 3


def test_the_sampled_loss_is_unbiased_in_its_sum():
    q = np.array([0.2, 0.7, 0.1])
    generator = np.random.default_rng(1)
    sums = [np.exp(sampled(generator.choice(3, 5, p=q), 5 * q)) for _ in range(400)]
    assert np.mean(sums) == pytest.approx(8, rel=0.15)


def test_divergence_by_hand():
    found = kl_to_standard_normal(
        np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 0.0], [0.0, np.log(2)]])
    )
    np.testing.assert_allclose(found, [0, 2 + (2 - 1 - np.log(2)) / 2], atol=1e-6)


# --- training


@pytest.mark.parametrize("loss", ["binary", "multinomial", "pairwise", "sampled"])
def test_each_loss_learns_two_kinds(world, loss):
    model = UserLevel(loss, hidden=8, epochs=15, learning_rate=0.05, batch_size=16, n_drawn=20).fit(
        world
    )
    scores = model.score_histories([[0, 1, 2], [39, 38, 37]])
    assert scores[0, 3:20].mean() > scores[0, 20:37].mean() + 0.5
    assert scores[1, 20:37].mean() > scores[1, 3:20].mean() + 0.5
    assert model.history[-1] < model.history[0]


def test_the_vae_learns_two_kinds(world):
    model = MultVAE(hidden=8, latent=4, epochs=15, learning_rate=0.05, batch_size=16).fit(world)
    scores = model.score_histories([[0, 1, 2], [-1, -1, -1]])
    assert scores[0, 3:20].mean() > scores[0, 20:].mean() + 0.5
    assert np.isfinite(scores).all()


def test_the_same_seed_gives_the_same_model_and_another_does_not(world):
    few = {"hidden": 4, "epochs": 2, "batch_size": 16}
    one, same, other = (UserLevel(seed=seed, **few).fit(world).scores([0, 1]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_users_without_history_are_not_trained_on_but_scored():
    rows = planted.interactions([0, 0, 1, 2, 2], [0, 1, 1, 0, 2], [4.0] * 5)
    without = rows.replace(rows.frame[rows.frame["user"] != 1])
    model = UserLevel(hidden=2, epochs=1).fit(without)
    np.testing.assert_allclose(model.scores([1])[0], model.score_histories([[-1]])[0], atol=1e-6)


def test_settings_and_calls_that_cannot_work_are_named(world):
    for settings, text in (
        ({"loss": "hinge"}, "loss='hinge'"),
        ({"hidden": 0}, "hidden=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"decay": -1}, "decay=-1"),
    ):
        with pytest.raises(ValueError, match=text):
            UserLevel(**settings)
    with pytest.raises(ValueError, match="latent=0"):
        MultVAE(latent=0)
    with pytest.raises(ValueError, match="strength=-1"):
        MultVAE(strength=-1)
    with pytest.raises(NotFittedError, match="UserLevel"):
        UserLevel().scores([0])
    with pytest.raises(NotFittedError, match="MultVAE"):
        MultVAE().score_histories([[0]])
    model = UserLevel(hidden=2, epochs=1).fit(world)
    with pytest.raises(IndexError, match="users: index 60"):
        model.scores([60])
    with pytest.raises(ValueError, match="no interactions"):
        UserLevel().fit(world.replace(world.frame.iloc[:0]))


def test_a_split_by_events_matches_the_sequences():
    """The last events of a sequence are what leave-last-out holds out, where no times tie."""
    ratings = data.load()
    frame = ratings.frame.sort_values("timestamp", kind="stable")
    unique = ratings.replace(
        frame[~frame.duplicated(["user", "timestamp"], keep=False)].sort_index()
    )
    split = data.leave_last_out(unique, k=3, seed=0)
    sequences = event_sequences(unique)
    for user in np.unique(split.test.frame["user"])[:50]:
        assert set(sequences[user][-3:]) == set(split.test.frame.query("user == @user")["item"])


# --- the optimizer


def test_adam_takes_the_steps_of_the_paper_also_for_rows_that_a_batch_repeats():
    import tensorflow as tf

    from helpers.models.optimizers import Adam
    from helpers.models.tf_adam import adam_step

    start = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    table = tf.Variable(start)
    step = adam_step(lambda rows: (tf.reduce_sum(tf.gather(table, rows) ** 3), 0.0), [table])
    by_hand, adam, everywhere = {"t": start.copy()}, Adam(0.1, epsilon=1e-7), {"t": np.arange(5)}
    for rows in ([0, 1, 1, 1], [4, 4, 0], [2, 1]):
        value = step(np.float32(0.1), np.array(rows))
        assert float(value) == pytest.approx((by_hand["t"][rows] ** 3).sum(), rel=1e-4)
        times = np.bincount(rows, minlength=5)[:, None]
        adam.step(by_hand, everywhere, {"t": times * 3 * by_hand["t"] ** 2})
    np.testing.assert_allclose(table.numpy(), by_hand["t"], atol=1e-4)


def test_batches_of_any_length_are_compiled_once():
    import tensorflow as tf

    from helpers.models.tf_adam import adam_step

    table, compiled = tf.Variable(np.ones((5, 3), np.float32)), []

    def loss(rows, extra):
        compiled.append(rows.shape)
        return tf.reduce_sum(tf.gather(table, rows)) + tf.reduce_sum(extra["weight"]), 0.0

    step = adam_step(loss, [table])
    for n in (4, 3, 1, 0):
        assert np.isfinite(
            step(np.float32(0.1), np.arange(n), {"weight": np.ones((n, 2), np.float32)})
        )
    assert [tuple(shape) for shape in compiled] == [(None,)]


def test_what_is_added_to_a_loss_is_descended_and_not_reported():
    import tensorflow as tf

    from helpers.models.tf_adam import adam_step

    weight = tf.Variable([2.0])
    step = adam_step(lambda: (tf.constant(7.0), tf.reduce_sum(weight**2)), [weight])
    assert float(step(np.float32(0.5))) == 7
    assert weight.numpy() == pytest.approx([1.5], abs=1e-4), (
        "Adam's first step is as long as the rate"
    )


def test_a_training_leaves_no_variables_behind(world):
    import gc

    import tensorflow as tf

    UserLevel(hidden=3, epochs=1).fit(world)
    shapes = [v.shape for v in gc.get_objects() if isinstance(v, tf.Variable)]
    assert tf.TensorShape([world.n_items, 3]) not in shapes
    assert gc.get_freeze_count() == 0
