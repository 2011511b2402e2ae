"""The sampler: what it may draw, how it says no, and the shells over it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest

from helpers.data import Interactions, leave_last_out, load
from helpers.metrics import rank_candidates
from helpers.sampling import (
    NegativeSampler,
    NegativeSamplingDataIter,
    SamplingError,
    any_of,
    collision_rate,
    evaluation_candidates,
    false_negative_rate,
    keep_rate,
    negative_sampling_dataset,
    undo_sampling,
)
from helpers.sampling.known import BitSet, SortedKeys, known_pairs
from helpers.sampling.proposals import Weighted

TRAIN = (np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 2, 0, 1, 3]))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def toy(n_users: int = 60, n_items: int = 40, share: float = 0.2, seed: int = 0) -> Interactions:
    """Random interactions with raw ids that are not indices; every user and item occurs."""
    cells = rng(seed).random((n_users, n_items)) < share
    cells[np.arange(n_users), np.arange(n_users) % n_items] = True
    user, item = np.nonzero(cells)
    frame = pd.DataFrame(
        {
            "user_id": 100 + 7 * user,
            "item_id": 1000 + 3 * item,
            "rating": 4.0,
            "timestamp": np.arange(len(user)),
        }
    )
    return Interactions.from_frame(frame, name="toy")


def pair_set(data: object) -> set[tuple[int, int]]:
    return set(zip(data.frame["user"], data.frame["item"], strict=True))


# --- membership --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_items", [1, 7, 8, 9, 64, 100])
@pytest.mark.parametrize("kind", [BitSet, SortedKeys])
def test_membership_equals_a_matrix(kind: type, n_items: int) -> None:
    truth = rng(n_items).random((13, n_items)) < 0.4
    users, items = np.nonzero(truth)
    twice = (
        np.concatenate([users, users]),
        np.concatenate([items, items]),
    )  # repeated pairs count once
    known = kind(*twice, 13, n_items)
    grid = np.indices(truth.shape)
    assert (known.hits(grid[0], grid[1]) == truth).all()
    assert (known.hits(np.arange(13)[:, None], np.arange(n_items)[None, :]) == truth).all()
    assert (known.counts == truth.sum(axis=1)).all()
    assert all((known.row(user) == truth[user]).all() for user in range(13))


def test_large_catalogs_fall_back_to_sorted_keys() -> None:
    users, items = np.array([0, 99_999]), np.array([5, 9_999_999])
    known = known_pairs(users, items, 100_000, 10_000_000)
    assert isinstance(known, SortedKeys)
    assert known.hits(users, items).all() and not known.hits(users, items - 1).any()
    assert isinstance(known_pairs(users, items % 1000, 100_000, 1000), BitSet)


def test_both_memberships_give_the_same_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy()
    bits = NegativeSampler(data).draw(np.arange(60), 5, rng=rng())
    monkeypatch.setattr("helpers.sampling.sampler.known_pairs", SortedKeys)
    keys = NegativeSampler(data).draw(np.arange(60), 5, rng=rng())
    assert (bits == keys).all()


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
    drawn = set(zip(users[labels == 0].tolist(), items[labels == 0].tolist(), strict=True))
    assert bool(drawn & pair_set(split.train)) == (avoid == "none")
    assert bool(drawn & pair_set(split.test)) == (avoid != "all")
    positives = set(zip(users[labels == 1].tolist(), items[labels == 1].tolist(), strict=True))
    assert positives == pair_set(split.train)


def test_known_may_be_larger_than_train_where_no_size_is_stated() -> None:
    known = ([0, 4], [1, 9])
    assert NegativeSampler(([0], [0]), avoid="all", known=known).n_items == 10
    assert NegativeSampler(([0], [0]), avoid="all", known=known, n_items=12).n_users == 5
    with pytest.raises(ValueError, match="unknown item 9"):
        NegativeSampler(([0], [0]), avoid="all", known=known, n_items=9)


def test_popularity_never_draws_what_nobody_took() -> None:
    sampler = NegativeSampler(TRAIN, strategy="popularity", n_items=50, avoid="none")
    assert sampler.draw(np.zeros(1000, dtype=int), 5, rng=rng()).max() <= 3


def test_hard_negatives_score_higher_than_uniform_ones() -> None:
    data = toy(n_items=200)

    def score(users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return items.astype(float)

    easy = NegativeSampler(data).draw(np.arange(60), 50, rng=rng())
    hard = NegativeSampler(data, strategy="hard", hard_draws=4, score=score).draw(
        np.arange(60), 50, rng=rng()
    )
    # the largest of m uniform numbers is m / (m + 1) on average, the smallest sample's mean one half
    assert easy.mean() / 200 == pytest.approx(0.5, abs=0.02)
    assert hard.mean() / 200 == pytest.approx(0.8, abs=0.02)


def test_one_hard_draw_is_the_base_distribution() -> None:
    def score(users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return items

    once = NegativeSampler(TRAIN, strategy="hard", hard_draws=1, score=score)
    assert (
        once.draw([0, 1], 4, rng=rng()) == NegativeSampler(TRAIN).draw([0, 1], 4, rng=rng())
    ).all()


def test_in_batch_negatives_come_from_the_same_batch() -> None:
    users, items = np.arange(64), np.arange(64)
    sampler = NegativeSampler((users, items), strategy="in-batch", batch_size=16)
    drawn = sampler.draw(users, 9, rng=rng(), positives=items)
    assert (drawn // 16 == (users // 16)[:, None]).all()
    assert (drawn != items[:, None]).all()


def test_rows_left_over_join_the_last_whole_batch() -> None:
    users, items = np.arange(33), np.arange(33)
    sampler = NegativeSampler((users, items), strategy="in-batch", batch_size=16)
    drawn = sampler.draw(users, 200, rng=rng(), positives=items)
    assert set(np.unique(drawn[32])) == set(range(16, 32))
    assert set(np.unique(drawn[16])) == set(range(17, 33))
    assert set(np.unique(drawn[0])) == set(range(1, 16))
    assert len(sampler.epoch(3, rng=rng()).labels) == 4 * 33


def test_in_batch_logits_by_hand() -> None:
    sampler = NegativeSampler((np.array([0, 1, 2, 2]), np.array([0, 0, 0, 1])), n_items=3)
    batch = sampler.in_batch([0, 2, 1], [0, 1, 0])
    assert batch.usable.tolist() == [
        [False, True, False],
        [False, False, False],
        [False, True, False],
    ]
    np.testing.assert_allclose(np.exp(batch.log_q), [0.75, 0.25, 0.75], rtol=1e-6)
    logits = batch.logits(np.zeros((3, 3)))
    np.testing.assert_allclose(logits[0], [-np.log(0.75), -np.log(0.25), -np.inf], rtol=1e-6)
    assert np.isfinite(np.diag(logits)).all()
    assert batch.logits(np.zeros((3, 3)), correct=False)[0].tolist() == [0.0, 0.0, -np.inf]
    with pytest.raises(ValueError, match=r"shape \(2, 2\); expected \(3, 3\)"):
        batch.logits(np.zeros((2, 2)))


def test_users_with_almost_everything_are_drawn_exactly() -> None:
    """Refusal alone would need hundreds of rounds for the last free items."""
    n_items = 5_000
    users = np.repeat([0, 1], [n_items - 2, 10])
    items = np.concatenate([np.arange(n_items - 2), np.arange(10)])
    drawn = NegativeSampler((users, items), n_items=n_items).draw(
        np.array([0] * 500 + [1] * 500), 4, rng=rng()
    )
    assert set(np.unique(drawn[:500])) == {n_items - 2, n_items - 1}
    assert abs((drawn[:500] == n_items - 1).mean() - 0.5) < 0.06
    assert drawn[500:].min() >= 10


# --- errors ------------------------------------------------------------------------------------


def test_a_user_who_rated_everything_is_named() -> None:
    frame = pd.DataFrame(
        {
            "user_id": [17, 17, 17, 23],
            "item_id": [5, 6, 7, 5],
            "rating": 3.0,
            "timestamp": [1, 2, 3, 4],
        }
    )
    sampler = NegativeSampler(Interactions.from_frame(frame))
    with pytest.raises(
        SamplingError, match=r"no negative exists for user 0 \(user_id 17\).*3 is a known"
    ):
        sampler.draw([0, 1], 2, rng=rng())
    with pytest.raises(SamplingError, match="user_id 17"):
        sampler.epoch(1, rng=rng())
    assert set(sampler.draw([1], 20, rng=rng()).ravel()) == {1, 2}


def test_a_user_who_rated_everything_that_can_be_drawn_is_named() -> None:
    pairs = (np.array([0, 0, 1]), np.array([0, 1, 1]))
    assert NegativeSampler(pairs, n_items=3).draw([0], 1, rng=rng())[0, 0] == 2
    with pytest.raises(
        SamplingError, match="user 0: every item of the 3 that has a training interaction"
    ):
        NegativeSampler(pairs, n_items=3, strategy="popularity").draw([0], 1, rng=rng())


def test_a_batch_of_one_user_has_no_in_batch_negative() -> None:
    sampler = NegativeSampler(([3, 3, 4], [0, 1, 2]), strategy="in-batch", batch_size=2)
    with pytest.raises(SamplingError, match="user 3 has taken every item of the batch of row 0"):
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
        ({"alpha": 0.5}, 'strategy "uniform" has none'),
        ({"strategy": "random"}, "strategy is 'random'"),
        ({"avoid": "test"}, "avoid is 'test'"),
        ({"avoid": "all"}, "needs every positive"),
        ({"known": TRAIN}, "does not use it"),
        ({"strategy": "hard"}, "needs score"),
        ({"strategy": "hard", "score": lambda u, i: i, "hard_draws": 0}, "hard_draws is 0"),
        ({"strategy": "in-batch", "batch_size": 1}, "batch_size 1"),
    ],
)
def test_bad_settings_are_named(options: dict, message: str) -> None:
    with pytest.raises(SamplingError, match=message):
        NegativeSampler(TRAIN, **options)


def test_bad_ids_and_empty_positives_are_named() -> None:
    with pytest.raises(SamplingError, match="train holds no positives"):
        NegativeSampler((np.array([], dtype=int), np.array([], dtype=int)))
    with pytest.raises(ValueError, match="unknown item 3 at position 5"):
        NegativeSampler(TRAIN, n_items=3)
    with pytest.raises(ValueError, match="unknown user -1"):
        NegativeSampler(([0, -1], [0, 1]))
    with pytest.raises(
        ValueError, match="unknown user 3 at position 1: expected a contiguous id from 0 to 2"
    ):
        NegativeSampler(TRAIN).draw([0, 3], 1, rng=rng())
    with pytest.raises(SamplingError, match="rng is a int"):
        NegativeSampler(TRAIN).draw([0], 1, rng=7)
    with pytest.raises(SamplingError, match="pass positives"):
        NegativeSampler(TRAIN, strategy="in-batch").draw([0], 1, rng=rng())
    with pytest.raises(SamplingError, match="expected one number a pair"):
        NegativeSampler(TRAIN, strategy="hard", score=lambda u, i: 1.0).draw([0], 1, rng=rng())


# --- odds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["uniform", "popularity"])
def test_expected_rates_are_what_is_observed(strategy: str) -> None:
    data = toy(n_users=200, n_items=150)
    split = leave_last_out(data, 5)
    free = NegativeSampler(split.train, strategy=strategy, avoid="none")
    drawn = free.draw(free.users, 60, rng=rng())
    known = known_pairs(free.users, free.items, 200, 150)
    observed = known.hits(free.users[:, None], drawn).mean()
    assert collision_rate(split.train, probabilities=free.probabilities) == pytest.approx(
        observed, rel=0.02
    )
    careful = NegativeSampler(split.train, strategy=strategy)
    drawn = careful.draw(free.users, 60, rng=rng())
    held = known_pairs(
        split.test.frame["user"].to_numpy(), split.test.frame["item"].to_numpy(), 200, 150
    )
    observed = held.hits(free.users[:, None], drawn).mean()
    expected = false_negative_rate(split.train, split.test, free.probabilities)
    assert expected == pytest.approx(observed, rel=0.03)


def test_odds_by_hand() -> None:
    assert collision_rate(([0, 0, 1], [0, 1, 3])) == pytest.approx(5 / 12)
    assert any_of(0.1, 2) == pytest.approx(0.19)
    assert keep_rate(10, 3, 110) == pytest.approx(0.3)
    np.testing.assert_allclose(undo_sampling([0.5, 0.0, 1.0], 0.1), [1 / 11, 0.0, 1.0])
    with pytest.raises(ValueError, match="positives below cells"):
        keep_rate(10, 3, 5)
    with pytest.raises(ValueError, match="keep rates above 0"):
        undo_sampling([0.5], 0.0)


def test_undo_sampling_restores_the_base_rate() -> None:
    truth = rng().random(200_000) < 0.02
    keep = 0.1
    kept = truth | (rng(1).random(len(truth)) < keep)
    learned = truth[kept].mean()  # what a model without features learns from the sample
    assert undo_sampling([learned], keep)[0] == pytest.approx(truth.mean(), rel=0.03)


# --- evaluation candidates ---------------------------------------------------------------------


def test_candidates_are_different_unknown_and_nested() -> None:
    data = toy()
    split = leave_last_out(data, 2)
    few = evaluation_candidates(split.test, data, 5, rng=rng())
    many = evaluation_candidates(split.test, data, 15, rng=rng())
    assert few.items.shape == (len(few.users), 7) and (few.items >= 0).all()
    taken = pair_set(data)
    for user, row in zip(many.users, many.items, strict=True):
        assert len(set(row)) == len(row)
        assert all((user, item) in pair_set(split.test) for item in row[:2])
        assert not any((user, item) in taken for item in row[2:])
    assert (many.items[:, :7] == few.items).all()
    scores = rng().random((data.n_users, data.n_items))
    assert (
        len(rank_candidates(scores[many.users], many.items, split.test, users=many.users).users)
        == 60
    )


def test_candidates_with_unequal_held_out_counts_are_filled() -> None:
    known = ([0, 0, 1], [0, 1, 2])
    drawn = evaluation_candidates(([0, 0, 1], [0, 1, 2]), known, 1, rng=rng())
    assert drawn.items[0].tolist() == [0, 1, 2]
    assert drawn.items[1, 0] == 2 and drawn.items[1, 2] == -1
    with pytest.raises(SamplingError, match="fewer than 2 negatives are left for user 0"):
        evaluation_candidates(([0, 0, 1], [0, 1, 2]), known, 2, rng=rng())


# --- determinism and shells --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["uniform", "popularity", "in-batch"])
def test_same_seed_same_epoch(strategy: str) -> None:
    first, second, other = (
        NegativeSampler(toy(), strategy=strategy).epoch(3, rng=rng(seed)) for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (first.items != other.items).any()


def negatives(users: np.ndarray, items: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    drawn = labels == 0
    return sorted(
        zip(users[drawn].astype(int).tolist(), items[drawn].astype(int).tolist(), strict=True)
    )


needs_mxnet = pytest.mark.skipif(
    importlib.util.find_spec("mxnet") is None, reason="MXNet is not here"
)


def collect(iterator: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns: list[list[np.ndarray]] = [[], [], []]
    for batch in iterator:
        size = iterator.batch_size - batch.pad
        for column, array in zip(columns, [*batch.data, *batch.label], strict=True):
            assert array.shape == (iterator.batch_size,)
            column.append(array.asnumpy()[:size])
    users, items, labels = (np.concatenate(column) for column in columns)
    return users, items, labels


@needs_mxnet
def test_the_mxnet_iterator_brings_fresh_negatives_each_epoch() -> None:
    from helpers.gates import import_mxnet

    mx = import_mxnet()
    data = toy()
    iterator = NegativeSamplingDataIter(data, sample_ratio=5, batch_size=64)
    assert isinstance(iterator, mx.io.DataIter)
    assert [d.name for d in iterator.provide_data] == ["user", "item"]
    assert iterator.provide_label[0].name == "score"
    epochs = []
    for _ in range(2):
        users, items, labels = collect(iterator)
        assert len(labels) == 6 * len(data) and labels.sum() == len(data)
        assert not set(negatives(users, items, labels)) & pair_set(data)
        epochs.append(negatives(users, items, labels))
        iterator.reset()
    assert epochs[0] != epochs[1]
    again = NegativeSamplingDataIter(data, sample_ratio=5, batch_size=64)
    assert negatives(*collect(again)) == epochs[0]
    once = NegativeSamplingDataIter(data, sample_ratio=5, batch_size=64, resample=False)
    first = negatives(*collect(once))
    once.reset()
    assert negatives(*collect(once)) == first


@needs_mxnet
def test_the_mxnet_iterator_wraps_an_iterator_as_in_the_talk() -> None:
    from helpers.gates import import_mxnet

    mx = import_mxnet()
    data = toy()
    columns = {"user": data.frame["user"].to_numpy(), "item": data.frame["item"].to_numpy()}
    train_data = mx.io.NDArrayIter(columns, {"score": np.ones(len(data))}, batch_size=50)
    wrapped = NegativeSamplingDataIter(train_data, sample_ratio=5, batch_size=64)
    direct = negatives(*collect(NegativeSamplingDataIter(data, sample_ratio=5, batch_size=64)))
    assert negatives(*collect(wrapped)) == direct
    reversed_names = mx.io.NDArrayIter(
        {"item": columns["item"], "user": columns["user"]}, batch_size=50
    )
    swapped = NegativeSamplingDataIter(reversed_names, sample_ratio=5, batch_size=64)
    assert negatives(*collect(swapped)) == direct
    with pytest.raises(SamplingError, match=r"provides \['user'\]; expected"):
        NegativeSamplingDataIter(mx.io.NDArrayIter({"user": columns["user"]}, batch_size=50))


@needs_mxnet
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
    assert iterator.epoch == 2


def test_the_tf_pipeline_brings_fresh_negatives_each_pass() -> None:
    pytest.importorskip("tensorflow")
    data = toy()
    dataset = negative_sampling_dataset(data, sample_ratio=5, batch_size=64)
    assert len(dataset) == -(-6 * len(data) // 64)
    passes = []
    for _ in range(2):
        parts = [(u.numpy(), i.numpy(), y.numpy()) for (u, i), y in dataset]
        users, items, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        assert len(labels) == 6 * len(data) and labels.sum() == len(data)
        assert not set(negatives(users, items, labels)) & pair_set(data)
        passes.append(negatives(users, items, labels))
    assert passes[0] != passes[1]
    fixed = negative_sampling_dataset(data, sample_ratio=5, batch_size=64, resample=False)
    drawn = [sorted(np.concatenate([i.numpy() for (_, i), _ in fixed]).tolist()) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_keras_fits_on_the_pipeline() -> None:
    keras = pytest.importorskip("keras")
    data = toy()
    user, item = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    dot = keras.layers.Dot(1)(
        [
            keras.layers.Embedding(data.n_users, 4)(user),
            keras.layers.Embedding(data.n_items, 4)(item),
        ]
    )
    model = keras.Model([user, item], keras.layers.Activation("sigmoid")(dot))
    model.compile("adam", "binary_crossentropy")
    pipeline = negative_sampling_dataset(data, 2, 64)
    history = model.fit(pipeline, epochs=3, shuffle=False, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_shells_refuse_what_makes_no_sense() -> None:
    pytest.importorskip("tensorflow")
    with pytest.raises(SamplingError, match="ratio is 0"):
        negative_sampling_dataset(TRAIN, 0)
    with pytest.raises(SamplingError, match="batch_size is 0"):
        negative_sampling_dataset(TRAIN, 5, 0)
    with pytest.raises(SamplingError, match="is a sampler already; strategy would"):
        negative_sampling_dataset(NegativeSampler(TRAIN), strategy="popularity")


def test_the_default_set_end_to_end() -> None:
    data = load("latest-small")
    split = leave_last_out(data, 10)
    users, items, labels = NegativeSampler(split.train).epoch(5, rng=rng())
    assert len(labels) == 6 * len(split.train)
    known = known_pairs(
        split.train.frame["user"].to_numpy(),
        split.train.frame["item"].to_numpy(),
        data.n_users,
        data.n_items,
    )
    assert (known.hits(users, items) == (labels == 1)).all()
