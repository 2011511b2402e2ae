"""A week of a shop's log with four incidents planted in it, for those who watch over it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .schema import COLUMNS

#: milliseconds since 1970 at which the week begins: a Monday, 00:00 UTC
WEEK_BEGINS = 1_767_571_200_000
HOUR = 3_600_000
DAY = 24 * HOUR


def planted_week(
    requests_per_hour: int = 12, n_items: int = 60, n_slots: int = 5, *, seed: int = 0
) -> pd.DataFrame:
    """Return the events of seven days, one row each, with :data:`~helpers.events.schema.COLUMNS`.

    Parameters
    ----------
    requests_per_hour : int
        On average; nights are quieter.
    n_items, n_slots : int
        Catalog, and items on a screen.
    seed : int
        Same seed, same week.

    Returns
    -------
    pandas.DataFrame
        Sorted by time, with these incidents:

        - day 2, 09:00 to 11:59: one request in four fails (else one in a hundred);
        - from day 3 on: model ``mf-2`` answers half of the requests, and takes twice as long;
        - day 4: a filter is broken, and all of the day only eight items are shown;
        - from day 5 on: another kind of customer comes, and other items are shown than before.
    """
    if requests_per_hour < 1 or n_slots < 1 or n_items < max(16, 2 * n_slots):
        raise ValueError(
            f"a week of {requests_per_hour} requests an hour, {n_slots} of {n_items} items: expected at "
            "least 1 request and 16 items, twice as many as slots"
        )
    rng = np.random.default_rng(seed)
    popular = 1.0 / np.arange(4, n_items + 4)
    later = np.roll(popular, n_items // 3)
    rows: list[tuple[Any, ...]] = []
    for hour in range(7 * 24):
        day, of_day = divmod(hour, 24)
        busy = 0.6 if of_day < 7 else 1.2
        for _ in range(rng.poisson(requests_per_hour * busy)):
            time = int(WEEK_BEGINS + hour * HOUR + rng.integers(0, HOUR))
            model = "mf-2" if day >= 3 and rng.random() < 0.5 else "mf-1"
            latency = float(np.round(rng.lognormal(np.log(24 if model == "mf-1" else 48), 0.35), 1))
            failed = rng.random() < (0.25 if day == 2 and 9 <= of_day < 12 else 0.01)
            user, name = int(rng.integers(0, 500)), f"w{len(rows):07d}"
            status = 500 if failed else 200
            rows.append((name, "response", -1, time, user, None, None, model, latency, status))
            if failed:
                continue
            weights = later if day >= 5 else popular
            if day == 4:
                weights = np.where(np.arange(n_items) < 8, popular, 0.0)
            shown = rng.choice(n_items, size=n_slots, replace=False, p=weights / weights.sum())
            for slot, item in enumerate(shown.tolist()):
                chance = float(np.round(weights[item] / weights.sum(), 4))
                rows.append((name, "impression", slot, time, user, item, chance, model, None, None))
                if rng.random() < 0.2 / (slot + 1):
                    rows.append(
                        (name, "click", slot, time + 2000, user, item, None, model, None, None)
                    )
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)  # None stays None
    return frame.sort_values("time", kind="stable", ignore_index=True)


def psi(before: Any, after: Any) -> float:
    """Return the population stability index of two tables of counts: how far a distribution moved.

    Parameters
    ----------
    before, after : array_like
        (n,): counts of the same groups in two periods. Half a count is added to each, so that an
        empty group is no infinity.

    Returns
    -------
    float
        ``sum((q - p) * log(q / p))`` over the shares ``p`` and ``q``. By custom below 0.1 is
        quiet, above 0.25 an alarm; few counts alone can bring it there.

    Raises
    ------
    ValueError
        If the counts are not of the same groups, negative, or none.
    """
    p, q = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if p.shape != q.shape or p.ndim != 1 or not len(p) or (p < 0).any() or (q < 0).any():
        raise ValueError(
            f"psi: counts of {p.shape} and {q.shape} groups, expected the same, 0 or more"
        )
    p, q = (p + 0.5) / (p + 0.5).sum(), (q + 0.5) / (q + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())
