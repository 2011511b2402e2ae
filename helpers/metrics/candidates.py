"""Metrics on sampled candidates, and what they would be without the sampling noise."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import as_pairs, check_ids, user_name
from helpers.metrics.ranks import Ranks, Ties, check_scores, check_ties, settle

_EXACT, _PARTS = (
    256,
    256,
)  # places of a tied item that are listed one by one, and parts of the others
PADDING = -1  # fills candidate rows that are shorter than the longest


def rank_candidates(
    scores: npt.ArrayLike,
    candidates: npt.ArrayLike,
    held_out: Any,
    *,
    users: npt.ArrayLike | None = None,
    ties: Ties = "expected",
    gathered: bool = False,
) -> Ranks:
    """Rank each user's held-out items among a small set of candidates.

    Where the held-out item stands in its row does not matter: a rule for ties
    that reads the column would give a constant model a perfect score.

    Parameters
    ----------
    scores : array of float, (n_rows, n_items)
        Score of every item; or, with `gathered`, of the candidates only, shaped like them.
    candidates : array of int, (n_rows, n_candidates)
        Item indices of each row, the held-out ones among them, none twice;
        short rows are filled with -1.
    held_out : Interactions, (users, items) or sparse matrix
        The test positives; every row has at least one.
    users : array of int, (n_rows,), optional
        The user of each row; row r is user r without it.
    ties : {"expected", "worst", "best", "item-order"}
        The rule for equal scores, see `helpers.metrics.ranks.Ties`.
    gathered : bool
        Whether `scores` are those of the candidates.

    Returns
    -------
    Ranks

    Raises
    ------
    ValueError
        Naming the user, for a candidate that stands twice and for a held-out
        item that is missing; for unknown items, NaN scores and shapes that do not fit.
    """
    check_ties(ties)
    matrix = check_scores(scores)
    names = np.arange(len(matrix)) if users is None else np.asarray(users)
    items = np.asarray(candidates)
    if items.ndim != 2 or len(items) != len(matrix) or len(names) != len(items):
        raise ValueError(
            f"scores have shape {matrix.shape}, candidates {items.shape} and users {names.shape}; "
            "expected one row a user in each"
        )
    if gathered and items.shape != matrix.shape:
        raise ValueError(f"scores have shape {matrix.shape}; with gathered, expected {items.shape}")
    n_items = int(items.max(initial=0)) + 1 if gathered else matrix.shape[1]
    real = items != PADDING
    check_ids(items[real], n_items, "item")
    _refuse_duplicates(items, names)
    test = as_pairs(held_out, "held_out", n_items=None if gathered else n_items)
    relevant = _relevant(items, names, test.users, test.items)
    row, column = np.nonzero(relevant)
    value = matrix if gathered else np.take_along_axis(matrix, np.where(real, items, 0), axis=1)
    value = np.where(real, value, -np.inf)
    own = value[row, column][:, None]
    if not np.isfinite(own).all():
        bad = int(np.flatnonzero(~np.isfinite(own[:, 0]))[0])
        raise ValueError(
            f"a held-out item of {user_name(int(names[row[bad]]), held_out)} has an infinite score"
        )
    same = value[row] == own
    lower = np.count_nonzero(same & (items[row] < items[row, column][:, None]), axis=1)
    return settle(
        names.astype(np.int32),
        row,
        items[row, column].astype(np.int32),
        np.count_nonzero(value[row] > own, axis=1),
        np.count_nonzero(same, axis=1),
        lower,
        real.sum(axis=1),
        ties,
        f"sampled, {int(np.median(real.sum(axis=1) - relevant.sum(axis=1)))} negatives",
    )


def expected_sampled(
    ranks: Ranks, n_negatives: int, k: int = 10, metric: Literal["hit_rate", "ndcg"] = "hit_rate"
) -> npt.NDArray[np.float64]:
    """Return what a sampled metric is on average over all samples of candidates.

    With an item at position p of N candidates, the number of m sampled
    negatives that stand above it is hypergeometric (N - 1 others, p - 1 of them
    above, m drawn). No sampling is needed to see where sampled metrics lead.

    Parameters
    ----------
    ranks : Ranks
        Full ranking, one held-out item a user.
    n_negatives : int
        Negatives drawn without replacement; users with fewer get their full ranking.
    k : int
        Length of the list.
    metric : {"hit_rate", "ndcg"}
        Which metric.

    Returns
    -------
    ndarray of float64, (n_evaluated,)

    References
    ----------
    Krichene and Rendle 2020, "On sampled metrics for item recommendation".
    """
    if len(ranks.row) != len(ranks.users):
        raise ValueError(
            f"{len(ranks.row)} held-out items of {len(ranks.users)} users; expected one a user"
        )
    if n_negatives < 1 or k < 1 or metric not in ("hit_rate", "ndcg"):
        raise ValueError(
            f"n_negatives={n_negatives}, k={k}, metric={metric!r}; "
            "expected 1 or more, 1 or more, hit_rate or ndcg"
        )
    owner, position, weight = _positions(ranks)
    above = position.astype(np.float64)
    others = (ranks.n_candidates - 1)[owner].astype(np.float64)
    drawn = np.minimum(n_negatives, others)
    value = np.zeros(len(owner))
    for j in range(k):  # j sampled negatives stand above the item
        gain = 1.0 if metric == "hit_rate" else 1.0 / np.log2(j + 2)
        log_p = (
            _log_choose(above, j)
            + _log_choose(others - above, drawn - j)
            - _log_choose(others, drawn)
        )
        value += gain * np.exp(log_p)
    return np.bincount(owner, weights=value * weight, minlength=len(ranks.users)) / ranks.tied


def _positions(
    ranks: Ranks,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """List every place a held-out item may take: its user, the items above it, how many places it stands for.

    Of a large group of equals, the first places are listed one by one and the
    rest by the middle of equal parts: sampled metrics change slowly there, and
    the error stays below 1e-4.
    """
    single = np.minimum(ranks.tied, _EXACT)
    rest = ranks.tied - single
    parts = np.minimum(rest, _PARTS)
    owner = np.repeat(np.arange(len(ranks.users)), single + parts)
    turn = np.arange(len(owner)) - np.repeat(
        np.cumsum(single + parts) - single - parts, single + parts
    )
    width = (rest / np.maximum(parts, 1))[owner]
    late = turn >= single[owner]
    place = np.where(late, single[owner] + (turn - single[owner] + 0.5) * width - 0.5, turn)
    return owner, ranks.above[owner] + place, np.where(late, width, 1.0)


def _log_choose(n: npt.NDArray[np.float64], r: Any) -> npt.NDArray[np.float64]:
    """Logarithm of the binomial coefficient; minus infinity where it is zero."""
    from scipy.special import gammaln

    r = np.broadcast_to(np.asarray(r, dtype=np.float64), n.shape)
    possible = (r >= 0) & (r <= n)
    n, r = np.where(possible, n, 0.0), np.where(possible, r, 0.0)
    return np.where(possible, gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1), -np.inf)


def _refuse_duplicates(items: npt.NDArray[Any], names: npt.NDArray[Any]) -> None:
    ordered = np.sort(items, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PADDING)
    if twice.any():
        row, column = np.argwhere(twice)[0]
        raise ValueError(
            f"candidates of user {names[row]} hold item {ordered[row, column]} twice; "
            "expected every candidate once"
        )


def _relevant(
    items: npt.NDArray[Any],
    names: npt.NDArray[Any],
    users: npt.NDArray[Any],
    held: npt.NDArray[Any],
) -> npt.NDArray[np.bool_]:
    """Mark the held-out candidates, after checking that every row has all of its own."""
    width = int(max(items.max(initial=0), held.max(initial=0))) + 1
    pairs = np.unique(users.astype(np.int64) * width + held)
    pairs = pairs[np.isin(pairs // width, names)]
    keys = np.where(items == PADDING, -1, names[:, None].astype(np.int64) * width + items)
    missing = pairs[~np.isin(pairs, keys)]
    if len(missing):
        raise ValueError(
            f"candidates of user {missing[0] // width} lack the held-out item {missing[0] % width}; "
            "expected every held-out item among its user's candidates"
        )
    relevant = np.isin(keys, pairs)
    empty = np.flatnonzero(~relevant.any(axis=1))
    if len(empty):
        raise ValueError(
            f"user {names[empty[0]]} has candidates but no held-out item; expected at least one"
        )
    return relevant
