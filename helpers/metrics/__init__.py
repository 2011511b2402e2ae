"""How good predictions are: rating errors and the uncertainty of any mean."""

from helpers.metrics.bootstrap import bootstrap_interval, paired_bootstrap, rmse_gap
from helpers.metrics.rating import mae, rmse

__all__ = ["bootstrap_interval", "mae", "paired_bootstrap", "rmse", "rmse_gap"]

# --- ranking -----------------------------------------------------------------------------------
from helpers.metrics.calibration import Calibration, calibration
from helpers.metrics.candidates import expected_sampled, rank_candidates
from helpers.metrics.evaluation import RankingResult, evaluate, summarize
from helpers.metrics.lists import coverage, genre_calibration, genre_matrix, novelty, top_k
from helpers.metrics.ranking import hit_rate, mrr, ndcg, precision, recall
from helpers.metrics.ranks import Ranks, rank_held_out

__all__ += [
    "Calibration",
    "RankingResult",
    "Ranks",
    "calibration",
    "coverage",
    "evaluate",
    "expected_sampled",
    "genre_calibration",
    "genre_matrix",
    "hit_rate",
    "mrr",
    "ndcg",
    "novelty",
    "precision",
    "rank_candidates",
    "rank_held_out",
    "recall",
    "summarize",
    "top_k",
]
# --- end of ranking ----------------------------------------------------------------------------
