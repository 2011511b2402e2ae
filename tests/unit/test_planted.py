"""Planted worlds hold what they promise."""

import numpy as np
import pytest

from helpers import planted


def test_low_rank_truth_is_low_rank_and_noise_is_the_floor():
    world = planted.low_rank_ratings(300, 200, rank=3, density=0.4, noise=0.25, bias=0.3, seed=1)
    users, items = np.divmod(np.arange(300 * 200), 200)
    table = world.truth(users, items).reshape(300, 200)
    centered = table - world.mean - world.user_bias[:, None] - world.item_bias
    assert np.linalg.matrix_rank(centered) == 3
    frame = world.data.frame
    error = frame["rating"] - world.truth(frame["user"].to_numpy(), frame["item"].to_numpy())
    assert error.std() == pytest.approx(0.25, rel=0.02)
    assert world.data.density == pytest.approx(0.4, rel=0.03)
    assert 0.8 < centered.std() < 1.2
    assert not frame.duplicated(["user", "item"]).any()


def test_without_noise_the_truth_is_what_was_rated():
    world = planted.low_rank_ratings(noise=0.0)
    frame = world.data.frame
    np.testing.assert_allclose(
        world.truth(frame["user"].to_numpy(), frame["item"].to_numpy()), frame["rating"], atol=1e-5
    )


def test_nobody_and_nothing_is_left_without_a_rating():
    data = planted.low_rank_ratings(50, 40, density=0.01, seed=3).data
    assert data.frame["user"].nunique() == data.n_users == 50
    assert data.frame["item"].nunique() == data.n_items == 40


def test_same_seed_same_world():
    first, second, other = (planted.low_rank_ratings(seed=seed).data.frame for seed in (5, 5, 6))
    assert first.equals(second) and not first.equals(other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, "rank=0"),
        ({"density": 0}, "density=0"),
        ({"density": 1.5}, "density=1.5"),
        ({"noise": -1}, "noise=-1"),
    ],
)
def test_bad_sizes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        planted.low_rank_ratings(**arguments)


def test_the_hand_world_is_small_and_leaves_two_cells_to_guess():
    data = planted.hand_world()
    assert (data.n_users, data.n_items, len(data)) == (3, 3, 7)
    assert set(zip(*np.where(data.matrix().toarray() == 0), strict=True)) == {(1, 1), (2, 0)}
    assert data.user_of(1) == 0 and data.item_of(3) == 2  # raw ids are not indices, also here


def test_popularity_is_as_planted():
    data = planted.popularity_world((5, 3, 1))
    assert data.frame["item"].value_counts().sort_index().tolist() == [5, 3, 1]
    assert data.n_users == 5
    with pytest.raises(ValueError, match="the first the largest"):
        planted.popularity_world((1, 2))


def test_interactions_may_have_users_without_ratings():
    data = planted.interactions([0], [1], [3.0], n_users=4, n_items=5)
    assert (data.n_users, data.n_items, len(data)) == (4, 5, 1)
    assert list(data.items.columns) == ["item_id", "title", "year", "genres"]


def test_everyone_likes_what_is_near():
    world = planted.taste_world(n_users=5, n_items=7, width=0.3)
    assert world.ratings.shape == (5, 7)
    np.testing.assert_allclose(world.ratings, world.stars(world.user_taste, world.item_place))
    assert world.stars(0.2, 0.2).item() == 5.0
    assert world.stars(-1, 1).item() == pytest.approx(1.0, abs=1e-6)
    middle = world.stars(0.0, [-0.5, 0.0, 0.5])[0]
    assert middle[1] > middle[0] == pytest.approx(middle[2]), "no straight line does this"


def test_a_narrower_taste_has_a_higher_rank():
    def rank(width):
        return int(
            (np.linalg.svd(planted.taste_world(width=width).ratings, compute_uv=False) > 0.1).sum()
        )

    assert rank(2.0) < rank(0.5) < rank(0.2)


@pytest.mark.parametrize(
    "arguments, message",
    [({"n_users": 0}, "n_users=0"), ({"width": 0}, "width=0"), ({"noise": -1}, "noise=-1")],
)
def test_impossible_taste_worlds_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        planted.taste_world(**arguments)
