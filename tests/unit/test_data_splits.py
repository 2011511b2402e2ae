"""Every split is a partition, says its rule, and lets nothing leak."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import data
from helpers.data import DataError, Interactions
from helpers.data.pairs import user_order


@pytest.fixture(scope="module")
def small():
    return data.load()


@st.composite
def worlds(draw):
    """Interactions with raw ids from 1000 on, few timestamps (many ties), every user of any length."""
    seed = draw(st.integers(0, 10_000))
    n_users, n_items = draw(st.integers(2, 8)), draw(st.integers(3, 12))
    rng = np.random.default_rng(seed)
    filled = rng.random((n_users, n_items)) < draw(st.floats(0.2, 1.0))
    filled[0, :3] = True
    user, item = np.nonzero(filled)
    order = rng.permutation(len(user))
    frame = pd.DataFrame({"user_id": 1000 + 10 * user[order], "item_id": 5000 + 7 * item[order]})
    frame["rating"] = rng.choice([1.0, 3.5, 5.0], len(user))
    frame["timestamp"] = rng.integers(0, draw(st.integers(1, 20)), len(user))
    return Interactions.from_frame(frame)


SPLITS = {
    "random": lambda d, seed: data.random_split(d, 0.3, seed),
    "last 2": lambda d, seed: data.leave_last_out(d, 2, seed=seed),
    "last 2 by item": lambda d, seed: data.leave_last_out(d, 2, ties="item", seed=seed),
    "one": lambda d, seed: data.leave_one_out(d, seed),
    "time": lambda d, seed: data.time_split(d, 0.3),
    "cold": lambda d, seed: data.cold_item_split(d, 0.34, seed),
}


@pytest.mark.parametrize("name", SPLITS)
@given(world=worlds(), seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_partition_order_determinism_and_indices(name, world, seed):
    try:
        split = SPLITS[name](world, seed)
    except DataError:
        return
    key = ["user", "item"]
    both = pd.concat([split.train.frame, split.test.frame])
    pd.testing.assert_frame_equal(
        both.sort_values(key, ignore_index=True), world.frame.sort_values(key, ignore_index=True)
    )
    assert len(split.train) and len(split.test)
    position = world.frame.reset_index().set_index(key)["index"]
    for part in (split.train, split.test):
        assert (part.n_users, part.n_items) == (world.n_users, world.n_items)
        assert position.loc[list(map(tuple, part.frame[key].to_numpy()))].is_monotonic_increasing
        assert part.frame["user"].max() < world.n_users  # an index, never a raw id
        assert part.frame["item"].max() < world.n_items
        assert part.frame.dtypes.equals(world.frame.dtypes)
    pd.testing.assert_frame_equal(split.test.frame, SPLITS[name](world, seed).test.frame)
    if name == "time":
        assert split.train.frame["timestamp"].max() < split.test.frame["timestamp"].min()
        assert len(split.test) >= int(len(world) * 0.3)
    if name == "cold":
        assert not set(split.train.frame["item"]) & set(split.test.frame["item"])
        assert split.test.frame["item"].nunique() == int(world.n_items * 0.34)


def test_the_order_by_blocks_of_users_is_that_of_lexsort():
    users, times, ties = np.random.default_rng(0).integers(0, 40, (3, 500))
    for block in (1, 7, 10**6):
        expected = np.lexsort((ties, times, users))
        assert (user_order(users, ties, times, block=block) == expected).all()


@given(world=worlds(), k=st.integers(1, 4), ties=st.sampled_from(["random", "item"]))
@settings(max_examples=30, deadline=None)
def test_leave_last_out_never_trains_on_later_ratings(world, k, ties):
    try:
        split = data.leave_last_out(world, k, ties=ties)
    except DataError:
        assert world.user_counts().max() <= k
        return
    held, kept = split.test.user_counts(), split.train.user_counts()
    assert np.array_equal(held, np.where(world.user_counts() > k, k, 0))
    assert ((kept > 0) | (world.user_counts() == 0)).all()
    first = split.test.frame.groupby("user")["timestamp"].min()
    last = split.train.frame.groupby("user")["timestamp"].max()
    assert (last[first.index] <= first).all()
    tied = int((last[first.index] == first).sum())
    assert split.note.startswith(f"{tied} of {len(first)} users have equal timestamps at the cut")


def test_random_split_is_the_stated_permutation(small):
    split = data.random_split(small, 0.2, seed=3)
    rows = np.sort(np.random.default_rng(3).permutation(len(small))[:20_000])
    assert len(split.test) == 20_000
    pd.testing.assert_frame_equal(split.test.frame, small.frame.iloc[rows].reset_index(drop=True))
    assert split.name == "random 80/20, seed 3"
    assert data.random_split(small, 0.25).name == "random 75/25, seed 0"


def test_names_and_notes_on_the_default_set(small):
    last = data.leave_last_out(small)
    assert last.note == "165 of 671 users have equal timestamps at the cut"
    assert data.leave_one_out(small, seed=1).name == "leave last one out, random ties, seed 1"
    assert data.leave_one_out(small, ties="item").name == "leave last one out, ties by item"
    assert "125 users with 30 interactions or fewer stay" in data.leave_last_out(small, 30).note
    time = data.time_split(small)
    assert time.name == "by time 80/20"
    assert time.note == "test from 2012-06-09 07:32 UTC on; 124 of its 147 users are not in train"
    cold = data.cold_item_split(small)
    assert cold.name == "cold items 90/10, seed 0"
    assert cold.note == "906 items have no interaction in train"
    name = "leave last 10 out, random ties, seed 0"
    assert repr(last) == f"{name}: 93,294 train, 6,710 test ({last.note})"


def test_seed_decides_ties_and_only_ties():
    columns = {"user_id": 1, "item_id": range(6), "rating": 3.0, "timestamp": [1, 5, 5, 5, 5, 2]}
    world = Interactions.from_frame(pd.DataFrame(columns))
    held = {int(data.leave_one_out(world, seed).test.frame["item"].iloc[0]) for seed in range(60)}
    assert held == {1, 2, 3, 4}
    assert data.leave_one_out(world, ties="item").test.frame["item"].tolist() == [4]
    assert "1 of 1 users" in data.leave_one_out(world).note


@pytest.mark.parametrize(
    ("rule", "arguments", "message"),
    [
        (data.random_split, {"test_share": 0}, "test_share is 0, expected a number between 0 and"),
        (data.time_split, {"test_share": float("nan")}, "test_share is nan"),
        (data.time_split, {"test_share": "20%"}, "test_share is '20%'"),
        (data.cold_item_split, {"test_share": True}, "test_share is True"),
        (data.random_split, {"test_share": 1e-9}, "test empty: there are 100004 interactions"),
        (data.cold_item_split, {"test_share": 1e-9}, "test empty: there are 9066 items"),
        (data.random_split, {"seed": -1}, "seed is -1, expected a whole number of 0 or more"),
        (data.leave_one_out, {"seed": 1.5}, "seed is 1.5"),
        (data.cold_item_split, {"seed": None}, "seed is None"),
        (data.leave_last_out, {"k": 0}, "k is 0, expected a whole number of 1 or more"),
        (data.leave_last_out, {"k": True}, "k is True"),
        (data.leave_last_out, {"k": 5000}, "k is 5000, but no user of latest-small has more than"),
        (data.predefined_u1, {}, r"u1 belongs to MovieLens 100k.*got latest-small.*load"),
        (data.leave_last_out, {"ties": "file"}, "ties is 'file', expected 'random' or 'item'"),
    ],
)
def test_bad_arguments(small, rule, arguments, message):
    with pytest.raises(DataError, match=message):
        rule(small, **arguments)


def flat(timestamps):
    """One rating per user."""
    n = len(timestamps)
    frame = {"user_id": range(n), "item_id": range(n), "rating": [3.0] * n, "timestamp": timestamps}
    return Interactions.from_frame(pd.DataFrame(frame))


def test_advice_works(small):
    with pytest.raises(DataError, match="there are 0 interactions, expected at least two"):
        data.random_split(small.replace(small.frame.iloc[:0]))
    with pytest.raises(DataError, match="than 1 interactions; use random_split or time_split$"):
        data.leave_one_out(flat([1, 2, 3, 4]))
    assert len(data.random_split(flat([1, 2, 3, 4]), 0.5).test) == 2
    assert len(data.time_split(flat([1, 2, 3, 4]), 0.5).test) == 2
    with pytest.raises(DataError, match="to train on, because that is the .*; use random_split$"):
        data.time_split(flat([9, 9]), 0.5)
    with pytest.raises(DataError, match="use a smaller test_share or random_split$"):
        data.time_split(flat([9, 9, 10]), 0.8)
    assert len(data.time_split(flat([9, 9, 10]), 0.34).test) == 1
    for n in (2, 3, 7, 1000):
        with pytest.raises(DataError, match="give a larger share, such as ") as error:
            data.random_split(flat([1] * n), 0.5 / n)
        assert data.random_split(flat([1] * n), float(str(error.value).split()[-1]))
