"""Rating errors, ranking metrics that are exact under ties, recommended lists, and intervals."""

from helpers.metrics.bootstrap import paired_bootstrap, rmse_gap
from helpers.metrics.lists import contradictions, coverage, top_k
from helpers.metrics.ranking import (
    RankingResult,
    evaluate,
    expected_sampled,
    hit_rate,
    mrr,
    ndcg,
    rank_held_out,
)
from helpers.metrics.rating import mae, rmse

__all__ = [
    "RankingResult",
    "contradictions",
    "coverage",
    "evaluate",
    "expected_sampled",
    "hit_rate",
    "mae",
    "mrr",
    "ndcg",
    "paired_bootstrap",
    "rank_held_out",
    "rmse",
    "rmse_gap",
    "top_k",
]
