"""Candidate sets for sampled metrics: the held-out items and some negatives each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import as_pairs, name_some
from helpers.sampling.checks import SamplingError, check_ratio

_CELLS = 1 << 22  # random keys at a time


class Candidates(NamedTuple):
    """What `helpers.metrics.rank_candidates` ranks."""

    users: npt.NDArray[np.int32]  # (n_users,)
    items: npt.NDArray[
        np.int32
    ]  # (n_users, n_held_out + n_negatives), held-out items first, -1 fills


def evaluation_candidates(
    held_out: Any, known: Any, n_negatives: int = 100, *, rng: np.random.Generator
) -> Candidates:
    """Draw different negatives for every user with held-out items, uniformly and without replacement.

    No candidate is a known positive, in train or in test (the policy
    ``avoid="all"``): a negative that the user took would be no negative.

    Parameters
    ----------
    held_out : Interactions or (users, items)
        The test positives.
    known : Interactions or (users, items)
        All positives, train and test; it sets the size of the catalog.
    n_negatives : int
        Negatives a user.
    rng : numpy.random.Generator
        The same state gives the same draw; fewer negatives of the same state
        are a part of more, so a sweep over `n_negatives` is smooth.

    Returns
    -------
    Candidates
        `items` has the held-out ones first, then the negatives, then -1 where a
        user has fewer held-out items than another.

    Raises
    ------
    SamplingError
        For users with fewer than `n_negatives` items left: they are named.
    """
    check_ratio(n_negatives, rng)
    everything = as_pairs(known, "known")
    n_items = everything.n_items
    test = as_pairs(held_out, "held_out", n_users=everything.n_users, n_items=n_items)
    if not len(test.users):
        raise SamplingError("held_out holds no positives; expected at least one (user, item) pair")
    keys = np.unique(test.users.astype(np.int64) * n_items + test.items)
    users, row, size = np.unique(keys // n_items, return_inverse=True, return_counts=True)
    first = np.cumsum(size) - size
    items = np.full((len(users), int(size.max()) + n_negatives), -1, dtype=np.int32)
    items[row, np.arange(len(keys)) - first[row]] = keys % n_items
    row_of = np.full(everything.n_users, -1, dtype=np.int64)
    row_of[users] = np.arange(len(users))
    taken_row = np.concatenate([row_of[everything.users], row])
    taken_item = np.concatenate([everything.items, keys % n_items])
    step = max(1, _CELLS // n_items)
    for start in range(0, len(users), step):
        here = np.arange(start, min(start + step, len(users)))
        key = rng.random((len(here), n_items))
        mine = (taken_row >= start) & (taken_row < start + len(here))
        key[taken_row[mine] - start, taken_item[mine]] = np.inf
        left = np.isfinite(key).sum(axis=1)
        if (left < n_negatives).any():
            short = users[here[left < n_negatives]]
            raise SamplingError(
                f"fewer than {n_negatives} negatives are left for {name_some(short, known)}; "
                f"the catalog has {n_items} items, ask for {left.min()} or fewer"
            )
        part = np.argpartition(key, n_negatives - 1, axis=1)[:, :n_negatives]
        order = np.argsort(np.take_along_axis(key, part, axis=1), axis=1)
        column = size[here][:, None] + np.arange(n_negatives)
        np.put_along_axis(
            items[start : start + len(here)],
            column,
            np.take_along_axis(part, order, axis=1),
            axis=1,
        )
    return Candidates(users.astype(np.int32), items)
