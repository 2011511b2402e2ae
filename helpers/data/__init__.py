"""Ratings to learn from: MovieLens data sets, your own, and the ways to divide them.

``load("latest-small")`` works everywhere: the files are in this package. See
:class:`Interactions` for what comes back.
"""

from .errors import DataError, DataUnavailable, UnknownIdError
from .interactions import Interactions
from .ownfile import read_ratings
from .sources import cache_folder, load, load_or_none
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
    "DataUnavailable",
    "Interactions",
    "Split",
    "UnknownIdError",
    "cache_folder",
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
