"""A ranking number that carries its protocol and its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import as_pairs
from helpers.metrics.bootstrap import Interval, bootstrap_interval, paired_bootstrap
from helpers.metrics.ranking import hit_rate, mrr, ndcg, precision, recall
from helpers.metrics.ranks import Ranks, Ties, rank_held_out

_METRICS: dict[str, tuple[str, Callable[[Ranks, int], npt.NDArray[np.float64]]]] = {
    "hit_rate": ("HR", hit_rate),
    "ndcg": ("NDCG", ndcg),
    "recall": ("recall", recall),
    "precision": ("precision", precision),
    "mrr": ("MRR", mrr),
}


@dataclass(frozen=True)
class RankingResult:
    """One metric of one model, user by user.

    Attributes
    ----------
    metric : str
        Short name without k: "HR", "NDCG", "recall", "precision", "MRR".
    k : int
        Length of the list.
    users : ndarray of int32, (n_evaluated,)
        Who was evaluated.
    values : ndarray of float64, (n_evaluated,)
        Their metric.
    candidates : str
        What was ranked.
    ties : str
        The rule for equal scores.
    """

    metric: str
    k: int
    users: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    candidates: str
    ties: str

    @property
    def mean(self) -> float:
        """Mean over users."""
        return float(self.values.mean())

    @property
    def interval(self) -> Interval:
        """95 % interval of the mean, by bootstrap over users (1,000 resamples, seed 0)."""
        return bootstrap_interval(self.values)

    def compare(self, other: RankingResult, *, seed: int = 0) -> Interval:
        """Return the interval of the mean difference to `other`, by paired bootstrap over users.

        Raises
        ------
        ValueError
            If the two were not measured alike: another metric, k, candidate set, rule or users.
        """
        for name in ("metric", "k", "candidates", "ties"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise ValueError(
                    f"{name} is {mine!r} here and {theirs!r} there; compare results of one protocol"
                )
        if not np.array_equal(self.users, other.users):
            raise ValueError(
                f"{len(self.users)} users here and {len(other.users)} there are not the same; "
                "evaluate both models on the same test set"
            )
        return paired_bootstrap(self.values, other.values, seed=seed)

    def __str__(self) -> str:
        """Show the metric with its interval, as "HR@10 0.081 [0.064, 0.099]"."""
        return f"{self.metric}@{self.k} {self.interval}"


def summarize(
    ranks: Ranks, k: int = 10, metrics: Sequence[str] = ("hit_rate", "ndcg")
) -> dict[str, RankingResult]:
    """Compute several metrics of one ranking.

    Parameters
    ----------
    ranks : Ranks
        From `rank_held_out` or `rank_candidates`.
    k : int
        Length of the list.
    metrics : sequence of str
        Of "hit_rate", "ndcg", "recall", "precision", "mrr".

    Returns
    -------
    dict of str to RankingResult
        In the order of `metrics`.
    """
    unknown = [name for name in metrics if name not in _METRICS]
    if unknown:
        raise ValueError(f"unknown metrics {unknown}; expected some of {', '.join(_METRICS)}")
    results = {}
    for name in metrics:
        short, function = _METRICS[name]
        values = function(ranks, k)
        results[name] = RankingResult(short, k, ranks.users, values, ranks.candidates, ranks.ties)
    return results


def evaluate(
    model: Any,
    held_out: Any,
    *,
    seen: Any = None,
    k: int = 10,
    metrics: Sequence[str] = ("hit_rate", "ndcg"),
    ties: Ties = "expected",
    block: int = 2048,
) -> dict[str, RankingResult]:
    """Evaluate a model on the full catalog.

    Parameters
    ----------
    model : object with ``scores(users)``, or array of float, (n_users, n_items)
        ``scores(users)`` returns (len(users), n_items); it is called for
        `block` users at a time and only for those with held-out items.
    held_out, seen, ties
        As in `rank_held_out`.
    k, metrics
        As in `summarize`.
    block : int
        Users a call.

    Returns
    -------
    dict of str to RankingResult
    """
    if not hasattr(model, "scores"):
        return summarize(rank_held_out(model, held_out, seen=seen, ties=ties), k, metrics)
    users = np.unique(as_pairs(held_out, "held_out").users)
    parts = [
        rank_held_out(model.scores(some), held_out, seen=seen, users=some, ties=ties)
        for some in np.split(users, range(block, len(users), block))
    ]
    return summarize(_join(parts), k, metrics)


def _join(parts: Sequence[Ranks]) -> Ranks:
    """Put the rankings of disjoint users one after the other."""
    if len(parts) == 1:
        return parts[0]
    shift = np.cumsum([0] + [len(part.users) for part in parts[:-1]])
    return Ranks(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.row + s for part, s in zip(parts, shift, strict=True)]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.above for part in parts]),
        np.concatenate([part.tied for part in parts]),
        np.concatenate([part.n_candidates for part in parts]),
        parts[0].ties,
        parts[0].candidates,
    )
