"""Ratings to learn from: MovieLens data sets, ratings of your own, and splits into train and test.

`load("latest-small")` works everywhere, because its files are in this package. `read_ratings` reads
a file of your own. Both return `Interactions`, which every split and every model takes.
"""

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
