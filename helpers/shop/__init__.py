"""Simulated shop with a known truth: display bias, propensities, estimates, rounds of feedback.

Customers click under the position-based model: the chance of a click is the chance that the slot is
looked at times the chance that the item, once looked at, is liked. Every estimate can be compared
with the truth.
"""

from .estimates import (
    Estimate,
    compare,
    interval_coverage,
    looks_from_random_lists,
    looks_from_swaps,
    peeking,
    policy_value,
)
from .policies import Policy, feedback, production_policy, swap_visit, visit
from .world import examination, plant_shop

__all__ = [
    "Estimate",
    "Policy",
    "compare",
    "examination",
    "feedback",
    "interval_coverage",
    "looks_from_random_lists",
    "looks_from_swaps",
    "peeking",
    "plant_shop",
    "policy_value",
    "production_policy",
    "swap_visit",
    "visit",
]
