"""Ways to divide interactions into train and test; each states its rule in the split's name and note."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

import numpy as np

from .errors import DataError
from .interactions import Interactions

Ties = Literal["random", "item"]


@dataclass(frozen=True, eq=False)
class Split:
    """Two parts of one data set that share its users, items and indices.

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

    def __repr__(self) -> str:
        """Return one line: the rule, both sizes and the note."""
        tail = f" ({self.note})" if self.note else ""
        return f"{self.name}: {len(self.train):,} train, {len(self.test):,} test{tail}"


def random_split(data: Interactions, test_share: float = 0.2, seed: int = 0) -> Split:
    """Hold out a random share of the interactions.

    The first ``int(n * test_share)`` entries of
    ``default_rng(seed).permutation(n)`` are the test rows.

    Parameters
    ----------
    data : Interactions
    test_share : float
        Between 0 and 1, both excluded.
    seed : int
        0 or larger.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        For a share or seed out of range, or a share that leaves a part empty.
    """
    n_test = _size(test_share, len(data), "interactions")
    rows = _rng(seed).permutation(len(data))[:n_test]
    in_test = np.zeros(len(data), dtype=bool)
    in_test[rows] = True
    return _split(
        data, in_test, f"random {_percent(1 - test_share)}/{_percent(test_share)}, seed {seed}"
    )


def leave_last_out(data: Interactions, k: int = 10, ties: Ties = "random", seed: int = 0) -> Split:
    """Hold out each user's ``k`` latest interactions.

    A user with ``k`` interactions or fewer stays in train with all of them and
    is counted in the note, so that no user is tested who was never trained.

    Parameters
    ----------
    data : Interactions
    k : int
        1 or larger.
    ties : {"random", "item"}
        What decides among equal timestamps at the cut: a seeded draw, or the
        item index (the larger counts as later). Indices follow item ids, and
        those follow the films' age in the catalog, so ``"item"`` favors some
        models over others; it is here to show that.
    seed : int
        For ``ties="random"``; 0 or larger.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        For a bad argument, or when no user has more than ``k`` interactions.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise DataError(f"k is {k!r}, expected a whole number of 1 or more")
    if ties not in ("random", "item"):
        raise DataError(f"ties is {ties!r}, expected 'random' or 'item'")
    rng = _rng(seed)
    user = data.frame["user"].to_numpy()
    timestamp = data.frame["timestamp"].to_numpy()
    decide = rng.permutation(len(data)) if ties == "random" else data.frame["item"].to_numpy()
    order = np.lexsort((decide, timestamp, user))
    counts = data.user_counts()
    ends = np.cumsum(counts)
    eligible = counts > k
    if not eligible.any():
        raise DataError(
            f"k is {k}, but no user of {data.name} has more than {counts.max(initial=0)} interactions; "
            "give a smaller k"
        )
    cuts = ends[eligible] - k  # position, in `order`, of each user's first test row
    in_test = np.zeros(len(data), dtype=bool)
    in_test[order[(cuts[:, None] + np.arange(k)).ravel()]] = True
    tied = int((timestamp[order[cuts]] == timestamp[order[cuts - 1]]).sum())
    short = int(((counts > 0) & ~eligible).sum())
    note = f"{tied} of {len(cuts)} users have equal timestamps at the cut"
    if short:
        note += f"; {short} users with {k} interactions or fewer stay in train"
    rule = f"random ties, seed {seed}" if ties == "random" else "ties by item"
    what = "one" if k == 1 else str(k)
    return _split(data, in_test, f"leave last {what} out, {rule}", note)


def leave_one_out(data: Interactions, seed: int = 0, ties: Ties = "random") -> Split:
    """Hold out each user's latest interaction: :func:`leave_last_out` with ``k=1``.

    Parameters
    ----------
    data : Interactions
    seed : int
        Decides among equal timestamps; 0 or larger.
    ties : {"random", "item"}
        As in :func:`leave_last_out`.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        As :func:`leave_last_out`.
    """
    return leave_last_out(data, k=1, ties=ties, seed=seed)


def time_split(data: Interactions, test_share: float = 0.2) -> Split:
    """Hold out everything from one moment on, the same for all users.

    The moment is the timestamp that leaves ``int(n * test_share)`` interactions
    from there on; others in that same second go to test with it, so test may
    be slightly larger and never overlaps train in time.

    Parameters
    ----------
    data : Interactions
    test_share : float
        Between 0 and 1, both excluded.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        For a share out of range, or when no moment divides the data.
    """
    n_test = _size(test_share, len(data), "interactions")
    timestamp = data.frame["timestamp"].to_numpy()
    cutoff = int(np.partition(timestamp, len(data) - n_test)[len(data) - n_test])
    in_test = timestamp >= cutoff
    if in_test.all():
        raise DataError(
            f"{data.name}: the time split at {_date(cutoff)} leaves nothing to train on, because that is the "
            "earliest timestamp; give a smaller test_share or split at random"
        )
    users = data.frame["user"].to_numpy()
    new_users = np.setdiff1d(users[in_test], users[~in_test]).size
    n_test_users = np.unique(users[in_test]).size
    note = f"test from {_date(cutoff)} on; {new_users} of its {n_test_users} users are not in train"
    return _split(data, in_test, f"by time {_percent(1 - test_share)}/{_percent(test_share)}", note)


def cold_item_split(data: Interactions, test_share: float = 0.1, seed: int = 0) -> Split:
    """Hold out a random share of the items with all their interactions.

    Parameters
    ----------
    data : Interactions
    test_share : float
        Share of the items that have interactions, between 0 and 1, both excluded.
    seed : int
        0 or larger.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        For a share or seed out of range, or a share that leaves a part empty.
    """
    present = np.flatnonzero(data.item_counts())
    n_cold = _size(test_share, len(present), "items")
    is_cold = np.zeros(data.n_items, dtype=bool)
    is_cold[_rng(seed).permutation(present)[:n_cold]] = True
    in_test = is_cold[data.frame["item"].to_numpy()]
    name = f"cold items {_percent(1 - test_share)}/{_percent(test_share)}, seed {seed}"
    return _split(data, in_test, name, f"{n_cold} items have no interaction in train")


def predefined_u1(data: Interactions) -> Split:
    """Divide ML-100K as GroupLens' own files ``u1.base`` and ``u1.test`` do.

    The test is the first 20,000 lines of ``u.data`` (the script ``mku.sh`` in
    the archive makes it with ``head``). That file is not shuffled evenly: the
    lines hold only users with an id of 462 or less.

    Parameters
    ----------
    data : Interactions
        All of ``load("100k")``, in file order.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        For any other data.
    """
    is_100k = len(data) == 100_000 and data.n_users == 943 and data.n_items == 1682
    # user_id 196 and item_id 242 stand on the first line of u.data
    if not is_100k or tuple(data.frame[["user", "item"]].iloc[0]) != (195, 241):
        raise DataError(
            f"the split u1 belongs to MovieLens 100k, all 100,000 lines in file order; got {data!r}; "
            "give load('100k'), or use random_split"
        )
    in_test = np.arange(len(data)) < 20_000
    users = np.unique(data.frame["user"].to_numpy()[in_test]).size
    return _split(
        data,
        in_test,
        "predefined u1",
        f"test holds {users} of {data.n_users} users, user_id 462 or less",
    )


def _split(data: Interactions, in_test: np.ndarray, name: str, note: str = "") -> Split:
    return Split(data.replace(data.frame[~in_test]), data.replace(data.frame[in_test]), name, note)


def _rng(seed: int) -> np.random.Generator:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise DataError(f"seed is {seed!r}, expected a whole number of 0 or more")
    return np.random.default_rng(seed)


def _size(test_share: float, n: int, what: str) -> int:
    """Number of things in test; both parts must hold at least one."""
    if (
        isinstance(test_share, bool)
        or not isinstance(test_share, (int, float, np.number))
        or not 0 < test_share < 1
    ):
        raise DataError(
            f"test_share is {test_share!r}, expected a number between 0 and 1, such as 0.2"
        )
    size = int(n * test_share)
    if size < 1:
        raise DataError(
            f"test_share is {test_share}, which leaves the test empty: there are {n} {what}; "
            "give a larger share"
        )
    return size


def _percent(share: float) -> str:
    return f"{100 * share:.4g}"


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
