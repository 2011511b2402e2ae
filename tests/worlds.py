"""Toy worlds for tests, whose right answers are known by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.data import Interactions


@dataclass(frozen=True)
class LowRankWorld:
    """Ratings that are ``mean + b_u + b_i + p_u · q_i + noise``, and the truth behind them."""

    data: Interactions
    table: np.ndarray  # (n_users, n_items): the ratings without noise
    mean: float
    noise: float  # standard deviation: the RMSE that no model can beat, except by luck

    def truth(self, users, items):
        """The best prediction there is, (n,)."""
        return self.table[users, items]


def low_rank_ratings(
    n_users=120, n_items=80, rank=2, density=0.3, noise=0.2, seed=0, *, bias=0.0, mean=3.5
):
    """A world in which a factorization of the given rank is right; products vary by about a star."""
    generator = np.random.default_rng(seed)
    scale = rank**-0.25  # the sum of `rank` products then has variance 1
    of_users = generator.normal(0, scale, (n_users, rank))
    of_items = generator.normal(0, scale, (n_items, rank))
    user_bias, item_bias = generator.normal(0, bias, n_users), generator.normal(0, bias, n_items)
    table = mean + user_bias[:, None] + item_bias + of_users @ of_items.T
    seen = generator.random((n_users, n_items)) < density
    # nobody and nothing without a rating: where a row or column is empty, one cell is opened
    seen[np.arange(n_users), generator.integers(0, n_items, n_users)] |= ~seen.any(axis=1)
    seen[generator.integers(0, n_users, n_items), np.arange(n_items)] |= ~seen.any(axis=0)
    cells = np.argwhere(seen)
    users, items = cells[generator.permutation(len(cells))].T
    ratings = table[users, items] + generator.normal(0, noise, len(users))
    data = interactions(users, items, ratings, n_users, n_items, name=f"planted, rank {rank}")
    return LowRankWorld(data, table, mean, noise)


def interactions(users, items, ratings, n_users=None, n_items=None, name="planted"):
    """Triples of contiguous indices; raw ids are index + 1, timestamps the row number."""
    users, items = np.asarray(users, np.int32), np.asarray(items, np.int32)
    n_users = int(users.max()) + 1 if n_users is None else n_users
    n_items = int(items.max()) + 1 if n_items is None else n_items
    columns = {"user": users, "item": items, "rating": np.asarray(ratings, np.float32)}
    frame = pd.DataFrame({**columns, "timestamp": np.arange(len(users), dtype=np.int64)})
    table = pd.DataFrame(
        {
            "item_id": np.arange(1, n_items + 1),
            "title": [f"item {item}" for item in range(n_items)],
            "year": pd.array([pd.NA] * n_items, dtype="Int16"),
            "genres": [()] * n_items,
        },
        index=pd.RangeIndex(n_items, name="item"),
    )
    return Interactions(name, frame, table, np.arange(1, n_users + 1), np.arange(1, n_items + 1))
