"""Toy worlds whose right answers are known by construction.

Checks and unit tests use these, never a trained model: what is planted here can be asserted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.data import Interactions


@dataclass(frozen=True)
class LowRankWorld:
    """Ratings that are ``mean + b_u + b_i + p_u · q_i + noise``, and the truth behind them.

    Attributes
    ----------
    data : Interactions
        The observed cells, in random order; every user and item has at least one.
    user_factors, item_factors : numpy.ndarray
        (n_users, rank) and (n_items, rank) float64.
    user_bias, item_bias : numpy.ndarray
        (n_users,) and (n_items,) float64.
    mean : float
        The constant.
    noise : float
        Standard deviation of what cannot be predicted: the RMSE that no model can beat, except by luck.
    """

    data: Interactions
    user_factors: np.ndarray
    item_factors: np.ndarray
    user_bias: np.ndarray
    item_bias: np.ndarray
    mean: float
    noise: float

    def truth(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The ratings without noise, (n,) float64: the best prediction there is."""
        product = np.einsum("nk,nk->n", self.user_factors[users], self.item_factors[items])
        return self.mean + self.user_bias[users] + self.item_bias[items] + product


def low_rank_ratings(
    n_users: int = 120,
    n_items: int = 80,
    rank: int = 2,
    density: float = 0.3,
    noise: float = 0.2,
    seed: int = 0,
    *,
    bias: float = 0.0,
    mean: float = 3.5,
) -> LowRankWorld:
    """Plant a world in which a factorization of the given rank is right.

    Parameters
    ----------
    n_users, n_items, rank : int
        Sizes.
    density : float
        Share of the cells that are observed, above 0 and up to 1.
    noise : float
        Standard deviation of the noise on each rating, in stars.
    seed : int
        Same seed, same world.
    bias : float
        Standard deviation of the user and item biases, in stars.
    mean : float
        The constant, in stars. Ratings are not clipped to a scale: that would bend the truth.

    Returns
    -------
    LowRankWorld
        Inner products have a standard deviation of about one star.
    """
    if min(n_users, n_items, rank) < 1:
        raise ValueError(
            f"n_users={n_users}, n_items={n_items}, rank={rank}: expected whole numbers of at least 1"
        )
    if not 0 < density <= 1:
        raise ValueError(f"density={density}: expected a share above 0 and up to 1")
    if noise < 0 or bias < 0:
        raise ValueError(f"noise={noise}, bias={bias}: expected 0 or more")
    generator = np.random.default_rng(seed)
    scale = rank**-0.25  # the sum of `rank` products then has variance 1
    world = LowRankWorld(
        data=interactions([0], [0], [mean]),  # replaced below, once the truth can be asked
        user_factors=generator.normal(0, scale, (n_users, rank)),
        item_factors=generator.normal(0, scale, (n_items, rank)),
        user_bias=generator.normal(0, bias, n_users),
        item_bias=generator.normal(0, bias, n_items),
        mean=mean,
        noise=noise,
    )
    seen = generator.random((n_users, n_items)) < density
    # nobody and nothing without a rating: where a row or column is empty, one cell is opened
    seen[np.arange(n_users), generator.integers(0, n_items, n_users)] |= ~seen.any(axis=1)
    seen[generator.integers(0, n_users, n_items), np.arange(n_items)] |= ~seen.any(axis=0)
    users, items = _shuffled(seen, generator)
    ratings = world.truth(users, items) + generator.normal(0, noise, len(users))
    data = interactions(users, items, ratings, n_users, n_items, name=f"planted, rank {rank}")
    return LowRankWorld(**{**vars(world), "data": data})


def hand_world() -> Interactions:
    """Three users, three films, seven ratings: small enough to factor with a pencil.

    Ana and Ben like the first two films and not the third; Cy is the other way round. Ben's rating of
    film 1 and Cy's of film 0 are missing, and any reader can say what they would be.

    Returns
    -------
    Interactions
        Ratings 1 to 5, in the order of the users.
    """
    users = [0, 0, 0, 1, 1, 2, 2]
    items = [0, 1, 2, 0, 2, 1, 2]
    ratings = [5, 5, 1, 4, 1, 1, 5]
    titles = ["Space Race", "Star Duel", "Paris in May"]
    return interactions(users, items, ratings, titles=titles, name="three by three")


def popularity_world(counts: tuple[int, ...] = (8, 4, 2, 1, 1)) -> Interactions:
    """A catalog in which item ``i`` was rated by exactly ``counts[i]`` users, always with 4 stars.

    Parameters
    ----------
    counts : tuple of int
        Users 0 to ``counts[i] - 1`` rated item ``i``; the first must be the largest, so that every
        user has a rating.

    Returns
    -------
    Interactions
        ``counts[0]`` users, ``len(counts)`` items.
    """
    if not counts or min(counts) < 1 or max(counts) != counts[0]:
        raise ValueError(
            f"counts={counts}: expected whole numbers of at least 1, the first the largest"
        )
    items = np.repeat(np.arange(len(counts)), counts)
    users = np.concatenate([np.arange(count) for count in counts])
    return interactions(users, items, np.full(len(items), 4.0), name="planted popularity")


def interactions(
    users: ArrayLike,
    items: ArrayLike,
    ratings: ArrayLike,
    n_users: int | None = None,
    n_items: int | None = None,
    titles: list[str] | None = None,
    name: str = "planted",
) -> Interactions:
    """Wrap triples of contiguous indices, raw ids being index + 1 and timestamps the row number.

    Parameters
    ----------
    users, items : array-like
        (n,) contiguous indices.
    ratings : array-like
        (n,) in stars.
    n_users, n_items : int, optional
        Sizes; the largest index plus one where not given. Users and items without a rating are fine.
    titles : list of str, optional
        One an item; ``"item 0"`` and so on where not given.
    name : str
        What the set calls itself.

    Returns
    -------
    Interactions
    """
    users, items = np.asarray(users, np.int32), np.asarray(items, np.int32)
    n_users = int(users.max()) + 1 if n_users is None else n_users
    n_items = int(items.max()) + 1 if n_items is None else n_items
    frame = pd.DataFrame(
        {
            "user": users,
            "item": items,
            "rating": np.asarray(ratings, np.float32),
            "timestamp": np.arange(len(users), dtype=np.int64),
        }
    )
    table = pd.DataFrame(
        {
            "item_id": np.arange(1, n_items + 1),
            "title": titles or [f"item {item}" for item in range(n_items)],
            "year": pd.array([pd.NA] * n_items, dtype="Int16"),
            "genres": [()] * n_items,
        },
        index=pd.RangeIndex(n_items, name="item"),
    )
    return Interactions(name, frame, table, np.arange(1, n_users + 1), np.arange(1, n_items + 1))


def _shuffled(seen: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Row and column numbers of the true cells, in random order."""
    cells = np.argwhere(seen)
    users, items = cells[generator.permutation(len(cells))].T
    return users, items


@dataclass(frozen=True)
class TasteWorld:
    """Users and items on one axis of taste; everyone likes what is near.

    Attributes
    ----------
    user_taste, item_place : numpy.ndarray
        (n_users,) and (n_items,) float64 in [-1, 1], sorted.
    ratings : numpy.ndarray
        (n_users, n_items) float64 in stars, with noise where it was asked for.
    width : float
        How far taste reaches along the axis.
    """

    user_taste: np.ndarray
    item_place: np.ndarray
    ratings: np.ndarray
    width: float

    def stars(self, user_taste: np.ndarray, item_place: np.ndarray) -> np.ndarray:
        """The true rating, without noise.

        ``1 + 4 · exp(-(taste - place)² / (2 · width²))``: five stars at the user's own place, one far
        away from it.

        Parameters
        ----------
        user_taste, item_place : array-like
            Places on the axis, of any users and items.

        Returns
        -------
        numpy.ndarray
            (len(user_taste), len(item_place)) float64, between 1 and 5 stars.
        """
        return _stars(np.atleast_1d(user_taste), np.atleast_1d(item_place), self.width)


def taste_world(
    n_users: int = 60, n_items: int = 60, width: float = 0.4, noise: float = 0.0, seed: int = 0
) -> TasteWorld:
    """Plant a world in which people like what is near them on one axis of taste.

    No score ``a + b·x + c·y + d·x·y`` of a user's place x and an item's place y can describe it: for
    a fixed user that is a straight line in y, whose largest value is at an end of the axis, while a
    user in the middle likes the middle best. As a table it has a rank that grows as ``width`` falls.

    Parameters
    ----------
    n_users, n_items : int
        How many of each; their places are drawn evenly from [-1, 1].
    width : float
        How far taste reaches; 0.2 is narrow, 2 nearly flat.
    noise : float
        Standard deviation added to each rating, in stars; ratings are then not cut to [1, 5].
    seed : int
        Places and noise.

    Returns
    -------
    TasteWorld

    Raises
    ------
    ValueError
        Fewer than one user or item, a width that is not above 0, noise below 0.
    """
    if n_users < 1 or n_items < 1:
        raise ValueError(f"n_users={n_users}, n_items={n_items}: expected at least 1 of each")
    if not width > 0:
        raise ValueError(f"width={width}: expected a number above 0")
    if not noise >= 0:
        raise ValueError(f"noise={noise}: expected 0 or more stars")
    generator = np.random.default_rng(seed)
    users = np.sort(generator.uniform(-1, 1, n_users))
    items = np.sort(generator.uniform(-1, 1, n_items))
    ratings = _stars(users, items, width) + generator.normal(0, noise, (n_users, n_items))
    return TasteWorld(users, items, ratings, width)


def _stars(x: np.ndarray, y: np.ndarray, width: float) -> np.ndarray:
    return 1 + 4 * np.exp(-((x[:, None] - y) ** 2) / (2 * width**2))
