"""Simulated shop with a known truth: display bias, propensities, estimates, rounds of feedback.

Customers click under the position-based model: the chance of a click is the chance that the slot is
looked at times the chance that the item, once looked at, is liked. Every estimate can be compared
with the truth.
"""

from .estimates import (
    Estimate,
    clicks_per_look,
    compare,
    interval_coverage,
    ips_on_top,
    looks_from_random_lists,
    looks_from_swaps,
    naive_ctr,
    peeking,
    policy_value,
)
from .policies import Policy, feedback, production_policy, swap_visit, visit
from .world import examination, plant_shop

__all__ = [
    "Estimate",
    "Policy",
    "clicks_per_look",
    "compare",
    "examination",
    "feedback",
    "interval_coverage",
    "ips_on_top",
    "looks_from_random_lists",
    "looks_from_swaps",
    "naive_ctr",
    "peeking",
    "plant_shop",
    "policy_value",
    "production_policy",
    "swap_visit",
    "visit",
]
