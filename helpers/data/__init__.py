"""Ratings to learn from: MovieLens, ratings of your own, and splits into train and test."""

from .interactions import DataError, Interactions
from .movielens import load, load_or_none
from .ratings_file import read_ratings
from .splits import (
    Split,
    cold_item_split,
    leave_last_out,
    leave_one_out,
    predefined_u1,
    random_split,
    time_split,
)

__all__ = [
    "DataError",
    "Interactions",
    "Split",
    "cold_item_split",
    "leave_last_out",
    "leave_one_out",
    "load",
    "load_or_none",
    "predefined_u1",
    "random_split",
    "read_ratings",
    "time_split",
]
