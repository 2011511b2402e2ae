"""A simulated shop with a known truth: display bias, propensities, rounds of feedback.

Customers click under the position-based model: the chance of a click is the chance that the
slot is looked at times the chance that the item, once looked at, is liked. So the truth can be
asked for, and every estimate held against it.
"""

from .estimates import (
    Estimate,
    Looks,
    clicks_per_look,
    ips,
    ips_on_top,
    looks_from_random_lists,
    looks_from_swaps,
    naive_ctr,
    policy_value,
)
from .loop import Rounds, feedback, gini
from .policies import Policy, Shown, production_policy
from .traffic import Traffic, answer, swap_visit, visit
from .trials import compare, coverage, peeking, rush
from .world import Shop, examination, plant_shop

__all__ = [
    "Estimate",
    "Looks",
    "Policy",
    "Rounds",
    "Shop",
    "Shown",
    "Traffic",
    "answer",
    "clicks_per_look",
    "compare",
    "coverage",
    "examination",
    "feedback",
    "gini",
    "ips",
    "ips_on_top",
    "looks_from_random_lists",
    "looks_from_swaps",
    "naive_ctr",
    "peeking",
    "plant_shop",
    "policy_value",
    "production_policy",
    "rush",
    "swap_visit",
    "visit",
]
