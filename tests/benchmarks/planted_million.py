"""A million planted ratings in the shape of MovieLens 1M: long tails of users and items, tastes, order, ties."""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.data import Interactions

USERS, ITEMS, RATINGS, FACTORS = 6_040, 3_706, 1_000_209, 8


def planted_million(seed: int = 0, users: int = USERS) -> Interactions:
    """Return planted ratings, as many a user as in MovieLens 1M.

    A user has 20 ratings and a lognormal number more. What is rated follows popularity, which falls like
    1 / (rank + 30), times the exponential of a product of tastes of rank 8. Stars are biases, another product of the
    same tastes and noise, in whole stars from 1 to 5. Each user goes through the items along a direction of their own
    in the space of tastes, with noise, so that one item says something of the next; three ratings in a row have the
    same second.
    """
    rng = np.random.default_rng(seed)
    ratings = RATINGS * users // USERS
    above = rng.lognormal(np.log(75), 1.2, users)
    counts = 20 + (above * (ratings - 20 * users) / above.sum()).astype(np.int64)
    counts = np.minimum(counts, ITEMS * 2 // 3)
    popular = -np.log(rng.permutation(ITEMS) + 30.0)
    p, q = rng.normal(0, 1, (users, FACTORS)), rng.normal(0, 0.35, (ITEMS, FACTORS))
    bias = rng.normal(0, 0.4, users), rng.normal(0, 0.4, ITEMS) + 0.15 * (popular - popular.mean())
    parts = []
    for user, count in enumerate(counts):
        wish = p[user] @ q.T
        keys = popular + 1.2 * wish + rng.gumbel(size=ITEMS)
        items = np.argpartition(-keys, count)[:count]
        stars = (
            3.4 + bias[0][user] + bias[1][items] + 0.5 * wish[items] + rng.normal(0, 0.85, count)
        )
        along = q[items] @ rng.normal(0, 1, FACTORS) + rng.normal(0, 0.5, count)
        items, stars = items[np.argsort(along)], stars[np.argsort(along)]
        seconds = 956_703_932 + 86_400 * (user % 300) + np.arange(count) // 3 * 20
        parts.append((np.full(count, user), items, np.clip(np.rint(stars), 1, 5), seconds))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    names = ("user_id", "item_id", "rating", "timestamp")
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)))
    return Interactions.from_frame(frame, name="planted-1M")
