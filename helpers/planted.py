"""Toy worlds with a known truth: tastes on one axis, and a week of a shop's log with incidents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.models.base import all_finite

#: milliseconds since 1970 at which the planted week begins: a Monday, 00:00 UTC
WEEK_BEGINS = 1_767_571_200_000
HOUR = 3_600_000
DAY = 24 * HOUR


@dataclass(frozen=True)
class TasteWorld:
    """Users and items on one axis of taste, where everyone likes what is near."""

    user_taste: np.ndarray  # (n_users,) in [-1, 1], sorted
    item_place: np.ndarray  # (n_items,) in [-1, 1], sorted
    ratings: np.ndarray  # (n_users, n_items) float64 in stars, with noise
    width: float  # how far taste reaches along the axis

    def stars(self, user_taste: np.ndarray, item_place: np.ndarray) -> np.ndarray:
        """Return the true ratings of users at some places and items at others, without noise.

        (len(user_taste), len(item_place)) float64: five stars at the user's own place, one far
        away from it, ``1 + 4 * exp(-(taste - place)**2 / (2 * width**2))``.
        """
        all_finite(user_taste=user_taste, item_place=item_place)
        return _stars(np.atleast_1d(user_taste), np.atleast_1d(item_place), self.width)


def taste_world(
    n_users: int = 60, n_items: int = 60, width: float = 0.4, noise: float = 0.0, seed: int = 0
) -> TasteWorld:
    """Return a world in which people like what is near them on one axis of taste.

    No score ``a + b·x + c·y + d·x·y`` of a user's place x and an item's place y can describe it.
    For a fixed user that is a straight line in y, whose largest value is at an end of the axis,
    while a user in the middle likes the middle best. Its rank grows as ``width`` falls.

    Places are drawn evenly from [-1, 1]. A ``width`` of 0.2 is narrow, one of 2 nearly flat.
    ``noise`` is the standard deviation of what is added to each rating, in stars; ratings are not
    cut to [1, 5].
    """
    if n_users < 1 or n_items < 1 or not 0 < width < np.inf or not 0 <= noise < np.inf:
        given = f"n_users={n_users}, n_items={n_items}, width={width}, noise={noise}"
        raise ValueError(f"{given}: expected at least 1, 1, above 0 and at least 0")
    generator = np.random.default_rng(seed)
    users = np.sort(generator.uniform(-1, 1, n_users))
    items = np.sort(generator.uniform(-1, 1, n_items))
    ratings = _stars(users, items, width) + generator.normal(0, noise, (n_users, n_items))
    return TasteWorld(users, items, ratings, width)


def _stars(x: np.ndarray, y: np.ndarray, width: float) -> np.ndarray:
    return 1 + 4 * np.exp(-((x[:, None] - y) ** 2) / (2 * width**2))


def planted_week(seed: int = 0) -> pd.DataFrame:
    """Return the events of a shop's week, one row each, sorted by time, with four incidents.

    - day 2, 09:00 to 11:59: one request in four fails (else one in a hundred);
    - from day 3 on: model ``mf-2`` answers half of the requests, and takes twice as long;
    - day 4: a filter is broken, and all of the day only eight of 60 items are shown;
    - from day 5 on: another kind of customer comes, and other items are shown than before.

    What is shown often is liked more, too: a look becomes a click with a chance of 0.1 to 0.4.
    """
    rng, n_items = np.random.default_rng(seed), 60
    popular = 1.0 / np.arange(4, n_items + 4)
    later = np.roll(popular, n_items // 3)
    rows: list[dict[str, Any]] = []
    for hour in range(7 * 24):
        day, of_day = divmod(hour, 24)
        for _ in range(rng.poisson(12 * (0.6 if of_day < 7 else 1.2))):  # nights are quieter
            time = int(WEEK_BEGINS + hour * HOUR + rng.integers(0, HOUR))
            model = "mf-2" if day >= 3 and rng.random() < 0.5 else "mf-1"
            latency = float(np.round(rng.lognormal(np.log(24 if model == "mf-1" else 48), 0.35), 1))
            failed = rng.random() < (0.25 if day == 2 and 9 <= of_day < 12 else 0.01)
            user, name = int(rng.integers(0, 500)), f"w{len(rows):07d}"
            head = dict.fromkeys(("item", "propensity", "latency_ms", "status"))
            head |= {"request_id": name, "time": time, "user": user, "model": model}
            answer = {"latency_ms": latency, "status": 500 if failed else 200}
            rows.append({**head, "kind": "response", "position": -1, **answer})
            if failed:
                continue
            weights = later if day >= 5 else popular
            if day == 4:
                weights = np.where(np.arange(n_items) < 8, popular, 0.0)
            shown = rng.choice(n_items, size=5, replace=False, p=weights / weights.sum())
            left = weights.sum()  # of what the slots above did not take
            for slot, item in enumerate(shown.tolist()):
                place = {**head, "position": slot, "item": item}
                chance = float(np.round(weights[item] / left, 4))
                left -= weights[item]
                rows.append({**place, "kind": "impression", "propensity": chance})
                if rng.random() < (0.1 + 1.2 * weights[item]) / (slot + 1):
                    rows.append({**place, "kind": "click", "time": time + 2000})
    frame = pd.DataFrame(rows, dtype=object)  # None stays None
    return frame.sort_values("time", kind="stable", ignore_index=True)
