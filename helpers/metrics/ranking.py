"""Ranking metrics on the full catalog, one number per user, exact under ties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import Pairs, PairSource, as_matrix, as_pairs
from helpers.metrics.bootstrap import Interval, bootstrap_interval, paired_bootstrap
from helpers.metrics.lists import score_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Ranks(NamedTuple):
    """Positions of the held-out items of each user among all candidates.

    Candidates with the same score are in random order: an item has each of the positions
    ``above + 1`` to ``above + tied`` with the same chance. A metric is its mean over the orders.
    """

    users: npt.NDArray[np.int32]  # (n_evaluated,) who has held-out items
    n_held_out: npt.NDArray[np.int32]  # (n_evaluated,) how many
    n_candidates: IntArray  # (n_evaluated,) length of the user's ranking
    above: IntArray  # (n_pairs,) candidates with a higher score; user by user, best item first
    tied: IntArray  # (n_pairs,) candidates with the item's own score, itself included
    candidates: str  # what was ranked, for the ledger

    def per_user(self, values: npt.NDArray[Any]) -> FloatArray:
        """Return the sum of one value per held-out item over each user, (n_evaluated,)."""
        row = np.repeat(np.arange(len(self.users)), self.n_held_out)
        return np.bincount(row, weights=values).astype(np.float64)


def rank_held_out(
    model: Any, held_out: PairSource, *, seen: PairSource | None = None, block: int = 2048
) -> Ranks:
    """Return the positions of each user's held-out items in the whole catalog.

    Parameters
    ----------
    model : object with ``scores(users)``, or array of float, (n_users, n_items)
        Higher is better. ``scores(users)`` returns (len(users), n_items); it is called for
        ``block`` users at a time and only for those with held-out items.
    held_out : Interactions or (users, items)
        The test positives, one or many per user.
    seen : Interactions or (users, items), optional
        Pairs to leave out of the ranking, usually the training set.
    block : int
        Users per call.

    Returns
    -------
    Ranks

    Raises
    ------
    ValueError
        NaN or infinite scores, unknown ids, no held-out item, or one that is also seen.
    """
    test = as_pairs(held_out, "held_out")
    known = as_pairs(([], []) if seen is None else seen, "seen")
    users, shape = np.unique(test.users), np.maximum(test[2:], known[2:])
    if not len(users):
        raise ValueError("held_out holds no pairs; expected at least one (user, item)")
    relevant, taken = (as_matrix(Pairs(*pairs[:2], *shape)) for pairs in (test, known))
    both = np.argwhere(relevant.multiply(taken))
    if len(both):
        raise ValueError(
            f"{len(both)} held-out items are also in seen, the first of user {both[0][0]}, "
            f"item {both[0][1]}; expected a test set that shares no pair with train"
        )
    wanted, hidden = (np.split(m.indices, m.indptr[1:-1]) for m in (relevant, taken))  # by user
    n_candidates, above, tied = [], [], []
    for user, row in zip(users.tolist(), score_rows(model, users, shape[1], block), strict=True):
        candidates = row.copy()
        candidates[hidden[user]] = -np.inf
        n_candidates.append(len(row) - len(hidden[user]))
        own = np.sort(row[wanted[user]])[::-1]
        above += [np.count_nonzero(candidates > score) for score in own]
        tied += [np.count_nonzero(candidates == score) for score in own]
    lengths, higher, equal = (np.array(column) for column in (n_candidates, above, tied))
    name = "full catalog" if seen is None else "full catalog, seen removed"
    return Ranks(users, np.diff(relevant.indptr)[users], lengths, higher, equal, name)


def hit_rate(ranks: Ranks, k: int = 10) -> FloatArray:
    """Return 1 for a user with a held-out item in the top k, else 0; its chance where tied.

    Parameters
    ----------
    ranks : Ranks
        From `rank_held_out`.
    k : int
        Length of the list, at least 1.

    Returns
    -------
    ndarray of float64, (n_evaluated,)
        The mean over users is the hit rate HR@k.
    """
    return _first_hit(ranks, np.ones_like, k)


def mrr(ranks: Ranks, k: int = 10) -> FloatArray:
    """Return 1 / position of each user's best held-out item, 0 beyond k; else as `hit_rate`."""
    return _first_hit(ranks, np.reciprocal, k)


def recall(ranks: Ranks, k: int = 10) -> FloatArray:
    """Return the share of each user's held-out items in the top k; else as `hit_rate`."""
    return _gained(ranks, np.ones(_checked(k))) / ranks.n_held_out


def precision(ranks: Ranks, k: int = 10) -> FloatArray:
    """Return the share of the top k that is held out; else as `hit_rate`."""
    return _gained(ranks, np.ones(_checked(k))) / k


def ndcg(ranks: Ranks, k: int = 10) -> FloatArray:
    """Return each user's normalized discounted cumulative gain of the top k; else as `hit_rate`.

    A held-out item at position p <= k gains ``1 / log2(p + 1)``, and the best possible list gains
    1 in all (Järvelin and Kekäläinen 2002). Ties as in scikit-learn's ``ndcg_score``.
    """
    gains = 1.0 / np.log2(np.arange(2, _checked(k) + 2))
    return _gained(ranks, gains) / np.cumsum(gains)[np.minimum(ranks.n_held_out, k) - 1]


def _gained(ranks: Ranks, gains: FloatArray) -> FloatArray:
    """Return each user's sum of gains, where a hit at position j gains ``gains[j - 1]``."""
    total, k = np.concatenate([[0.0], np.cumsum(gains)]), len(gains)
    start, end = np.minimum(ranks.above, k), np.minimum(ranks.above + ranks.tied, k)
    return ranks.per_user((total[end] - total[start]) / ranks.tied)


def _first_hit(ranks: Ranks, gain: Callable[..., FloatArray], k: int) -> FloatArray:
    """Return the mean of ``gain(position)`` of each user's best held-out item, 0 beyond k."""
    first = np.cumsum(ranks.n_held_out) - ranks.n_held_out
    above, size = ranks.above[first], ranks.tied[first]  # of the user's best group of equals
    relevant = ranks.per_user(ranks.above == np.repeat(above, ranks.n_held_out))
    total, missed = np.zeros(len(first)), np.ones(len(first))
    for place in range(min(_checked(k), int((size - relevant).max()) + 1)):
        here = missed * np.clip(relevant / np.maximum(size - place, 1), 0, 1)
        position = above + place + 1.0
        total += np.where(position <= k, here * gain(position), 0.0)
        missed -= here
    return total


def _checked(k: int, name: str = "k") -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"{name} is {k!r}; expected a whole number, 1 or more")
    return int(k)


def expected_sampled(ranks: Ranks, n_negatives: int, k: int = 10) -> FloatArray:
    """Return the mean hit rate over all samples of negatives as candidates, without sampling.

    Parameters
    ----------
    ranks : Ranks
        Full ranking, one held-out item per user.
    n_negatives : int
        Drawn without replacement; users with fewer get their full ranking.
    k : int
        Length of the list.

    Returns
    -------
    ndarray of float64, (n_evaluated,)

    References
    ----------
    Krichene and Rendle 2020, "On sampled metrics for item recommendation".
    """
    if (ranks.n_held_out != 1).any():
        raise ValueError("some users have several held-out items; expected one per user")
    size, turn = ranks.n_candidates, np.arange(_checked(k))[:, None]
    drawn = np.minimum(_checked(n_negatives, "n_negatives") + 1, size)  # the item is one of them
    # exact to 1e-9, as scipy's hypergeom.logpmf is not; its pmf takes 200 times as long
    logs = np.log(np.arange(1, size.max() + 1, dtype=np.longdouble))
    factorial = np.concatenate([[0], np.cumsum(logs)])  # logarithms

    def choose(n: IntArray, r: IntArray) -> npt.NDArray[np.longdouble]:
        """Return the logarithm of the binomial coefficient."""
        some = np.clip(r, 0, n)
        return np.where(r == some, factorial[n] - factorial[some] - factorial[n - some], -np.inf)

    def listed(places: IntArray) -> FloatArray:
        """Return how many of the best ``places`` are in a sample's top k, on average."""
        chance = choose(places, turn) + choose(size - places, drawn - turn) - choose(size, drawn)
        return np.asarray(k - ((k - turn) * np.exp(chance)).sum(axis=0), dtype=np.float64)

    share = (listed(ranks.above + ranks.tied) - listed(ranks.above)) / ranks.tied
    return share * size / drawn  # given that the item itself is in the sample


@dataclass(frozen=True)
class RankingResult:
    """One metric of one model, user by user, with the protocol it was measured by."""

    metric: str  # "HR", "NDCG", "recall", "precision" or "MRR"
    k: int  # length of the list
    users: npt.NDArray[np.int32]  # (n_evaluated,)
    values: FloatArray  # (n_evaluated,)
    candidates: str  # what was ranked

    @property
    def mean(self) -> float:
        """Mean over users."""
        return float(self.values.mean())

    @property
    def interval(self) -> Interval:
        """95 % interval of the mean, by bootstrap over users (1,000 resamples, seed 0)."""
        return bootstrap_interval(self.values)

    def compare(self, other: RankingResult) -> Interval:
        """Return the interval of the mean difference to ``other``, by paired bootstrap over users.

        Raise ``ValueError`` where metric, k, candidates or users differ: two protocols.
        """
        mine, theirs = ((r.metric, r.k, r.candidates) for r in (self, other))
        if mine != theirs:
            raise ValueError(f"{mine} here and {theirs} there; compare results of one protocol")
        if not np.array_equal(self.users, other.users):
            raise ValueError(
                f"{len(self.users)} users here and {len(other.users)} there are not the same; "
                "evaluate both models on the same test set"
            )
        return paired_bootstrap(self.values, other.values)

    def __str__(self) -> str:
        """Return for example ``HR@10 0.081 [0.064, 0.099]``."""
        return f"{self.metric}@{self.k} {self.interval}"


_METRICS: dict[str, tuple[str, Callable[[Ranks, int], FloatArray]]] = {
    "hit_rate": ("HR", hit_rate),
    "ndcg": ("NDCG", ndcg),
    "recall": ("recall", recall),
    "precision": ("precision", precision),
    "mrr": ("MRR", mrr),
}


def evaluate(
    model: Any,
    held_out: PairSource,
    *,
    seen: PairSource | None = None,
    k: int = 10,
    metrics: Sequence[str] = ("hit_rate", "ndcg"),
    block: int = 2048,
) -> dict[str, RankingResult]:
    """Return a model's metrics on the full catalog, by name, in the order of ``metrics``.

    Parameters
    ----------
    model, held_out, seen, block
        As in `rank_held_out`, as are the errors.
    k : int
        Length of the list.
    metrics : sequence of str
        Of "hit_rate", "ndcg", "recall", "precision", "mrr".
    """
    unknown = [name for name in metrics if name not in _METRICS]
    if unknown:
        raise ValueError(f"unknown metrics {unknown}; expected some of {', '.join(_METRICS)}")
    ranks = rank_held_out(model, held_out, seen=seen, block=block)
    results = {}
    for name in metrics:
        short, metric = _METRICS[name]
        results[name] = RankingResult(short, k, ranks.users, metric(ranks, k), ranks.candidates)
    return results
