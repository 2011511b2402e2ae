"""The sampler: what it may draw, how it says no, and the pipelines over it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest

from helpers.data import Interactions, leave_last_out
from helpers.data.pairs import as_matrix, as_pairs
from helpers.sampling import (
    NegativeSampler,
    NegativeSamplingDataIter,
    SamplingError,
    false_negative_rate,
    negative_sampling_dataset,
)
from helpers.sampling.proposals import BitSet, Weighted

TRAIN = (np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 2, 0, 1, 3]))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def toy(n_users: int = 60, n_items: int = 40, share: float = 0.2, seed: int = 0) -> Interactions:
    """Random interactions with raw ids that are not indices; every user and item occurs."""
    cells = rng(seed).random((n_users, n_items)) < share
    cells[np.arange(n_users), np.arange(n_users) % n_items] = True
    user, item = np.nonzero(cells)
    columns = {"user_id": 100 + 7 * user, "item_id": 1000 + 3 * item, "rating": 4.0}
    return Interactions.from_frame(
        pd.DataFrame(columns | {"timestamp": np.arange(len(user))}), name="toy"
    )


def pair_set(data: object) -> set[tuple[int, int]]:
    return set(zip(data.frame["user"], data.frame["item"], strict=True))


def negatives(users: np.ndarray, items: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    drawn = labels == 0
    return sorted(
        zip(users[drawn].astype(int).tolist(), items[drawn].astype(int).tolist(), strict=True)
    )


# --- membership and weights --------------------------------------------------------------------


@pytest.mark.parametrize("n_items", [1, 7, 8, 9, 64, 100])
def test_membership_equals_a_matrix(n_items: int) -> None:
    truth = rng(n_items).random((13, n_items)) < 0.4
    users, items = (np.concatenate([ids, ids]) for ids in np.nonzero(truth))  # repeats count once
    pairs = as_pairs((users, items), "known", n_users=13, n_items=n_items)
    grid = np.indices(truth.shape)
    known, matrix = BitSet(13, n_items, pairs), as_matrix(pairs)
    assert (known.has(grid[0], grid[1]) == truth).all()
    assert (known.has(np.arange(13)[:, None], np.arange(n_items)[None, :]) == truth).all()
    assert all((known.items_of(u) == np.flatnonzero(truth[u])).all() for u in range(13))
    assert (matrix.toarray() == truth).all() and matrix.nnz == truth.sum()
    assert matrix.has_canonical_format and as_matrix(as_pairs(([], []), "nothing")).nnz == 0


@pytest.mark.parametrize(
    "weights", [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0], [5.0], [1e-9, 1.0, 0.0, 7.5]]
)
def test_the_alias_table_keeps_the_weights(weights: list[float]) -> None:
    table = Weighted(np.array(weights))
    chance = np.zeros(len(weights))
    np.add.at(chance, np.arange(len(weights)), table._keep)
    np.add.at(chance, table._alias, 1.0 - table._keep)
    np.testing.assert_allclose(chance / len(weights), np.array(weights) / sum(weights), atol=1e-12)


# --- policies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["uniform", "popularity", "in-batch", "hard"])
@pytest.mark.parametrize("avoid", ["all", "train", "none"])
def test_the_policy_says_what_is_refused(strategy: str, avoid: str) -> None:
    data = toy()
    split = leave_last_out(data, 2)
    options = {"known": data} if avoid == "all" else {}
    if strategy == "hard":
        options["score"] = lambda users, items: np.cos(users * 3.0 + items)
    sampler = NegativeSampler(split.train, strategy=strategy, avoid=avoid, **options)
    users, items, labels = sampler.epoch(30, rng=rng())
    assert len(labels) == 31 * len(split.train) and labels.sum() == len(split.train)
    drawn = set(negatives(users, items, labels))
    assert bool(drawn & pair_set(split.train)) == (avoid == "none")
    assert bool(drawn & pair_set(split.test)) == (avoid != "all")
    assert set(negatives(users, items, 1 - labels)) == pair_set(split.train)


def test_hard_negatives_score_higher_than_uniform_ones() -> None:
    data = toy(n_items=200)
    hard = NegativeSampler(data, strategy="hard", score=lambda users, items: items)
    hard.hard_draws = 4
    # the largest of m uniform numbers is m / (m + 1) on average, the smallest sample's mean one half
    easy = NegativeSampler(data).draw(np.arange(60), 50, rng=rng())
    assert easy.mean() / 200 == pytest.approx(0.5, abs=0.02)
    assert hard.draw(np.arange(60), 50, rng=rng()).mean() / 200 == pytest.approx(0.8, abs=0.02)
    hard.hard_draws = 1
    assert (hard.draw(np.arange(60), 50, rng=rng()) == easy).all()


def test_in_batch_negatives_are_of_the_batch_and_rows_left_over_join_the_last() -> None:
    users, items = np.arange(33), np.arange(33)
    sampler = NegativeSampler((users, items), strategy="in-batch")
    sampler.batch_size = 16
    drawn = sampler.draw(users, 200, rng=rng(), positives=items)
    assert set(np.unique(drawn[32])) == set(range(16, 32))
    assert set(np.unique(drawn[16])) == set(range(17, 33))
    assert set(np.unique(drawn[0])) == set(range(1, 16))
    assert len(sampler.epoch(3, rng=rng()).labels) == 4 * 33


def test_what_is_added_to_logits_in_a_batch_by_hand() -> None:
    sampler = NegativeSampler((np.array([0, 1, 2, 2]), np.array([0, 0, 0, 1])), shape=(3, 3))
    batch = sampler.in_batch([0, 2, 1], [0, 1, 0])
    assert batch.usable.astype(int).tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(np.exp(batch.log_q), [0.75, 0.25, 0.75], rtol=1e-6)
    added = batch.added()
    np.testing.assert_allclose(added[0], [-np.log(0.75), -np.log(0.25), -np.inf], rtol=1e-6)
    assert np.isfinite(np.diag(added)).all()
    assert batch.added(correct=False)[0].tolist() == [0.0, 0.0, -np.inf]


def test_users_with_almost_everything_are_drawn_exactly() -> None:
    """Refusal alone would need hundreds of rounds for the last free items."""
    n_items = 5_000
    users = np.repeat([0, 1], [n_items - 2, 10])
    items = np.concatenate([np.arange(n_items - 2), np.arange(10)])
    sampler = NegativeSampler((users, items), shape=(2, n_items))
    drawn = sampler.draw(np.repeat([0, 1], 500), 4, rng=rng())
    assert set(np.unique(drawn[:500])) == {n_items - 2, n_items - 1}
    assert abs((drawn[:500] == n_items - 1).mean() - 0.5) < 0.06
    assert drawn[500:].min() >= 10


# --- errors ------------------------------------------------------------------------------------


def test_users_without_a_negative_are_named() -> None:
    frame = pd.DataFrame({"user_id": [17, 17, 17, 23, 23, 23, 40], "item_id": [5, 6, 7] * 2 + [5]})
    sampler = NegativeSampler(Interactions.from_frame(frame.assign(rating=3.0, timestamp=1)))
    who = r"no negative exists for user 0 \(user_id 17\), user 1 \(user_id 23\): every item of the 3 is"
    with pytest.raises(SamplingError, match=who):
        sampler.draw([0, 1, 2], 2, rng=rng())
    with pytest.raises(SamplingError, match="user_id 17"):
        sampler.epoch(1, rng=rng())
    assert set(sampler.draw([2], 20, rng=rng()).ravel()) == {1, 2}


def test_users_without_a_negative_that_can_be_drawn_are_named() -> None:
    pairs = (np.array([0, 0, 1]), np.array([0, 1, 1]))
    assert NegativeSampler(pairs, shape=(2, 3)).draw([0], 1, rng=rng())[0, 0] == 2
    popular = NegativeSampler(pairs, shape=(2, 3), strategy="popularity")
    with pytest.raises(SamplingError, match="every item of the 2 is a known"):
        popular.draw([0], 1, rng=rng())
    sampler = NegativeSampler(([3, 3, 4], [0, 1, 2]), strategy="in-batch")
    with pytest.raises(SamplingError, match="user 3: every item of the 2"):
        sampler.draw([3, 3], 1, rng=rng(), positives=[0, 1])


@pytest.mark.parametrize("ratio", [0, -5, 2.5, True, "5"])
def test_ratio_is_a_positive_whole_number(ratio: object) -> None:
    with pytest.raises(SamplingError, match="ratio is"):
        NegativeSampler(TRAIN).draw([0], ratio, rng=rng())
    with pytest.raises(SamplingError, match="ratio is"):
        NegativeSampler(TRAIN).epoch(ratio, rng=rng())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0, "strategy": "popularity"}, "alpha is -1.0; expected 0"),
        ({"alpha": float("nan"), "strategy": "popularity"}, "alpha is nan"),
        ({"alpha": 0.5}, 'alpha is 0.5; expected 0 or more, for strategy "popularity"'),
        ({"strategy": "random"}, "strategy is 'random'"),
        ({"avoid": "test"}, "avoid is 'test'"),
        ({"avoid": "all"}, "belong together"),
        ({"known": TRAIN}, "belong together"),
        ({"strategy": "hard"}, "needs score"),
        ({"train": ([], [])}, "train holds no positives"),
        ({"shape": (3, 3)}, "unknown item 3 at position 5"),
        ({"avoid": "all", "known": ([0], [4])}, "unknown item 4"),
        ({"train": ([0, -1], [0, 1])}, "unknown user -1"),
        ({"train": (["a"], ["b"])}, "user ids have dtype <U1; expected whole numbers"),
    ],
)
def test_bad_settings_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NegativeSampler(**({"train": TRAIN} | options))


@pytest.mark.parametrize(
    ("options", "users", "generator", "message"),
    [
        ({}, [0, 3], rng(), "unknown user 3 at position 1: expected a contiguous id from 0 to 2"),
        ({}, [0], 7, "rng is a int"),
        ({"strategy": "in-batch"}, [0], rng(), "pass positives"),
        ({"strategy": "hard", "score": lambda u, i: 1.0}, [0], rng(), "expected 8 finite"),
        ({"strategy": "hard", "score": lambda u, i: i * np.nan}, [0], rng(), "expected 8 finite"),
    ],
)
def test_bad_requests_are_named(options: dict, users: list, generator, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NegativeSampler(TRAIN, **options).draw(users, 1, rng=generator)


# --- rates, determinism and pipelines ----------------------------------------------------------


def test_the_expected_rate_of_false_negatives_is_what_is_observed() -> None:
    split = leave_last_out(toy(n_users=200, n_items=150), 5)
    sampler = NegativeSampler(split.train)
    drawn = sampler.draw(sampler.users, 60, rng=rng())
    held_out = split.test.matrix().toarray() > 0
    observed = held_out[sampler.users[:, None], drawn].mean()
    assert false_negative_rate(split.train, split.test) == pytest.approx(observed, rel=0.03)
    assert false_negative_rate(([0, 0, 1], [0, 1, 3]), ([0], [2])) == pytest.approx(2 / 3 / 2)


@pytest.mark.parametrize("strategy", ["uniform", "popularity", "in-batch"])
def test_same_seed_same_epoch(strategy: str) -> None:
    sampler = NegativeSampler(toy(), strategy=strategy)
    first, second, other = (sampler.epoch(3, rng=rng(seed)) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (first.items != other.items).any()


def mxnet_epoch(iterator: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns: list[list[np.ndarray]] = [[], [], []]
    for batch in iterator:
        for column, array in zip(columns, [*batch.data, *batch.label], strict=True):
            assert array.shape == (iterator.batch_size,)
            column.append(array.asnumpy()[: iterator.batch_size - batch.pad])
    iterator.reset()
    users, items, labels = (np.concatenate(column) for column in columns)
    return users, items, labels


def tensorflow_epoch(dataset: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = [(u.numpy(), i.numpy(), y.numpy()) for (u, i), y in dataset]
    users, items, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return users, items, labels


@pytest.mark.parametrize(
    ("framework", "make", "epoch"),
    [
        ("mxnet", NegativeSamplingDataIter, mxnet_epoch),
        ("tensorflow", negative_sampling_dataset, tensorflow_epoch),
    ],
)
def test_a_pipeline_brings_fresh_negatives_each_epoch(framework: str, make, epoch) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not here")
    data = toy()
    source, drawn = make(data, sample_ratio=5, batch_size=64), []
    for _ in range(2):
        users, items, labels = epoch(source)
        assert len(labels) == 6 * len(data) and labels.sum() == len(data)
        drawn.append(negatives(users, items, labels))
        assert not set(drawn[-1]) & pair_set(data)
    assert drawn[0] != drawn[1]
    again = epoch(make(data, sample_ratio=5, batch_size=64))
    assert negatives(*again) == drawn[0]
    with pytest.raises(SamplingError, match="ratio is 0"):
        make(TRAIN, 0)
    with pytest.raises(SamplingError, match="batch_size is 0"):
        make(TRAIN, 5, 0)


@pytest.mark.skipif(importlib.util.find_spec("mxnet") is None, reason="MXNet is not here")
def test_an_mxnet_module_trains_on_the_iterator() -> None:
    from helpers.gates import import_mxnet

    mx = import_mxnet()
    data = toy()
    iterator = NegativeSamplingDataIter(data, sample_ratio=2, batch_size=64)
    user = mx.sym.Embedding(mx.sym.Variable("user"), input_dim=data.n_users, output_dim=4)
    item = mx.sym.Embedding(mx.sym.Variable("item"), input_dim=data.n_items, output_dim=4)
    logit = mx.sym.sum_axis(user * item, axis=1)
    network = mx.sym.LogisticRegressionOutput(logit, mx.sym.Variable("score"))
    module = mx.mod.Module(network, data_names=("user", "item"), label_names=("score",))
    module.fit(iterator, num_epoch=2, optimizer="adam", eval_metric="mse")
    values, _ = module.get_params()
    assert all(np.isfinite(value.asnumpy()).all() for value in values.values())


def test_keras_fits_on_the_pipeline() -> None:
    keras = pytest.importorskip("keras")
    data = toy()
    user, item = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    tables = [keras.layers.Embedding(n, 4) for n in (data.n_users, data.n_items)]
    dot = keras.layers.Dot(1)([tables[0](user), tables[1](item)])
    model = keras.Model([user, item], keras.layers.Activation("sigmoid")(dot))
    model.compile("adam", "binary_crossentropy")
    dataset = negative_sampling_dataset(data, 2, 64)
    assert len(dataset) == -(-3 * len(data) // 64)
    history = model.fit(dataset, epochs=3, verbose=0, shuffle=False)
    assert history.history["loss"][-1] < history.history["loss"][0]
