"""Train and test splits: random, each user's latest, by time, cold items, and MovieLens' own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from .interactions import DataError, Interactions
from .pairs import user_order


@dataclass(frozen=True, eq=False)
class Split:
    """Two parts of one data set that share its users, items and indices.

    Every function of this file returns one. ``seed`` is a whole number of 0 or more, ``test_share``
    a number between 0 and 1, both excluded. All raise a `DataError` for an argument out of range,
    and for one that would leave train or test empty.

    Parameters
    ----------
    train, test : Interactions
        Disjoint rows of the data, each in file order; together all of them.
    name : str
        The rule with its numbers, such as ``"random 80/20, seed 0"``.
    note : str
        What the rule left aside or could not decide, with counts; may be empty.
    """

    train: Interactions
    test: Interactions
    name: str
    note: str = ""

    @classmethod
    def by_mask(cls, data: Interactions, in_test: np.ndarray, name: str, note: str = "") -> Split:
        """Return the split whose test holds the rows where ``in_test`` is true."""
        train, test = data.replace(data.frame[~in_test]), data.replace(data.frame[in_test])
        return cls(train, test, name, note)

    def __repr__(self) -> str:
        """Return one line: the rule, both sizes and the note."""
        tail = f" ({self.note})" if self.note else ""
        return f"{self.name}: {len(self.train):,} train, {len(self.test):,} test{tail}"


def random_split(data: Interactions, test_share: float = 0.2, seed: int = 0) -> Split:
    """Return a split that holds out a random share of the interactions; see `Split`.

    The first ``int(n * test_share)`` entries of ``default_rng(seed).permutation(n)`` are the test.
    """
    n_test = _test_size(test_share, len(data), "interactions")
    in_test = np.zeros(len(data), dtype=bool)
    order = np.arange(len(data), dtype=np.min_scalar_type(-len(data)))
    _rng(seed).shuffle(order)  # as `permutation` does, in half the memory
    in_test[order[:n_test]] = True
    return Split.by_mask(data, in_test, f"random {_shares(test_share)}, seed {seed}")


def leave_last_out(data: Interactions, k: int = 10, ties: str = "random", seed: int = 0) -> Split:
    """Return a split that holds out each user's ``k`` latest interactions; see `Split`.

    A user with ``k`` interactions or fewer stays in train with all of them and is counted in the
    note, so that no user is tested who was never trained. ``ties`` says what decides among equal
    timestamps at the cut: a seeded draw, or the item index (the larger counts as later). Indices
    follow item ids, and those follow the films' age in the catalog, so ``"item"`` favors some
    models over others; it is here to show that.
    """
    _check_whole("k", k, 1)
    if ties not in ("random", "item"):
        raise DataError(f"ties is {ties!r}, expected 'random' or 'item'")
    rng = _rng(seed)
    timestamp = data.frame["timestamp"].to_numpy()
    decide = rng.permutation(len(data)) if ties == "random" else data.frame["item"].to_numpy()
    order = user_order(data.frame["user"].to_numpy(), decide, timestamp)
    counts = data.user_counts()
    eligible = counts > k
    if not eligible.any():
        most = counts.max(initial=0)
        advice = "give a smaller k" if most > 1 else "use random_split or time_split"
        raise DataError(
            f"k is {k}, but no user of {data.name} has more than {most} interactions; {advice}"
        )
    cuts = np.cumsum(counts)[eligible] - k  # position in `order` of each user's first test row
    in_test = np.zeros(len(data), dtype=bool)
    in_test[order[(cuts[:, None] + np.arange(k)).ravel()]] = True
    tied = int((timestamp[order[cuts]] == timestamp[order[cuts - 1]]).sum())
    short = int(((counts > 0) & ~eligible).sum())
    note = f"{tied} of {len(cuts)} users have equal timestamps at the cut"
    if short:
        note += f"; {short} users with {k} interactions or fewer stay in train"
    rule = f"random ties, seed {seed}" if ties == "random" else "ties by item"
    what = "one" if k == 1 else str(k)
    return Split.by_mask(data, in_test, f"leave last {what} out, {rule}", note)


def leave_one_out(data: Interactions, seed: int = 0, ties: str = "random") -> Split:
    """Return `leave_last_out` with ``k=1``: it holds out each user's latest interaction."""
    return leave_last_out(data, k=1, ties=ties, seed=seed)


def time_split(data: Interactions, test_share: float = 0.2) -> Split:
    """Return a split that holds out everything from one moment on, for all users; see `Split`.

    The moment is the timestamp that leaves ``int(n * test_share)`` interactions from there on.
    Others in that same second go to test too, so that test never overlaps train in time.
    """
    n_test = _test_size(test_share, len(data), "interactions")
    timestamp = data.frame["timestamp"].to_numpy()
    cutoff = int(np.partition(timestamp, len(data) - n_test)[len(data) - n_test])
    in_test = timestamp >= cutoff
    if in_test.all():
        advice = "a smaller test_share or " if timestamp.max() > cutoff else ""
        raise DataError(
            f"{data.name}: the time split at {_date(cutoff)} leaves nothing to train on, because "
            f"that is the earliest timestamp; use {advice}random_split"
        )
    users = data.frame["user"].to_numpy()
    trained, tested = (
        np.bincount(users[rows], minlength=data.n_users) > 0 for rows in (~in_test, in_test)
    )
    new = f"{(tested & ~trained).sum()} of its {tested.sum()} users are not in train"
    note = f"test from {_date(cutoff)} on; {new}"
    return Split.by_mask(data, in_test, f"by time {_shares(test_share)}", note)


def cold_item_split(data: Interactions, test_share: float = 0.1, seed: int = 0) -> Split:
    """Return a split that holds out a random share of the items with all their interactions.

    The share is that of the items that have interactions; see `Split`.
    """
    present = np.flatnonzero(data.item_counts())
    n_cold = _test_size(test_share, len(present), "items")
    is_cold = np.zeros(data.n_items, dtype=bool)
    is_cold[_rng(seed).permutation(present)[:n_cold]] = True
    in_test = is_cold[data.frame["item"].to_numpy()]
    name = f"cold items {_shares(test_share)}, seed {seed}"
    return Split.by_mask(data, in_test, name, f"{n_cold} items have no interaction in train")


def predefined_u1(data: Interactions) -> Split:
    """Return the split of ML-100K that GroupLens' own files ``u1.base`` and ``u1.test`` make.

    The test is the first 20,000 lines of ``u.data`` (see ``mku.sh`` in the archive). They hold only
    users with an id of 462 or less. Any data but all of ``load("100k")`` raises a `DataError`.
    """
    is_100k = len(data) == 100_000 and data.n_users == 943 and data.n_items == 1682
    # user_id 196 and item_id 242 are on the first line of u.data
    if not is_100k or tuple(data.frame[["user", "item"]].iloc[0]) != (195, 241):
        raise DataError(
            "the split u1 belongs to MovieLens 100k, all 100,000 lines in file order; "
            f"got {data!r}; give load('100k'), or use random_split"
        )
    in_test = np.arange(len(data)) < 20_000
    users = np.unique(data.frame["user"].to_numpy()[in_test]).size
    note = f"test holds {users} of {data.n_users} users, user_id 462 or less"
    return Split.by_mask(data, in_test, "predefined u1", note)


def _check_whole(name: str, value: int, least: int) -> None:
    """Refuse an argument that is not a whole number of ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise DataError(f"{name} is {value!r}, expected a whole number of {least} or more")


def _rng(seed: int) -> np.random.Generator:
    _check_whole("seed", seed, 0)
    return np.random.default_rng(seed)


def _test_size(test_share: float, n: int, what: str) -> int:
    """Return the number of things in test; both parts must hold at least one."""
    if not isinstance(test_share, (float, np.floating)) or not 0 < test_share < 1:
        raise DataError(f"test_share is {test_share!r}, expected a number between 0 and 1")
    if n < 2:
        raise DataError(f"there are {n} {what}, expected at least two to split")
    if n_test := int(n * test_share):
        return n_test
    raise DataError(
        f"test_share is {test_share}, which leaves the test empty: there are {n} {what}; "
        f"give a larger share, such as {1.5 / n:.2g}"
    )


def _shares(test_share: float) -> str:
    return f"{100 * (1 - test_share):.4g}/{100 * test_share:.4g}"


def _date(seconds: int) -> str:
    """Return a timestamp as people write it, in UTC."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
