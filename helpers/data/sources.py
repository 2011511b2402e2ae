"""Where each data set may be found, and the order in which the places are tried."""

from __future__ import annotations

from .embedded import load_embedded
from .errors import DataError, DataUnavailable
from .interactions import Interactions

NAMES = ("latest-small", "100k", "1m", "20m")


def load(name: str = "latest-small") -> Interactions:
    """Load a MovieLens data set by name."""
    if name == "latest-small":
        return load_embedded()
    if name not in NAMES:
        raise DataError(f"data set {name!r} is not known, expected one of {', '.join(NAMES)}")
    raise DataUnavailable(f"{name} cannot be loaded yet")


def load_or_none(name: str) -> Interactions | None:
    """Load a data set, or print one sentence why it is not to be had here."""
    try:
        return load(name)
    except DataUnavailable as error:
        print(error)
        return None
