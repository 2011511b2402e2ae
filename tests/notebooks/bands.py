"""What every recorded number is expected to be, and how far it may be off.

A band is narrow enough to notice a bug: at most 5 % of the value, or the spread
over seeds that was measured where that is larger, with the reason said.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """A value, how far off it may be, why a wide band is wide, and whether the data may be missing."""

    value: float
    off: float
    reason: str = ""
    optional: bool = False


SMALL, RANDOM = "latest-small", "random 80/20, seed 0"
Key = tuple[str, str, str, str, int | None]

BANDS: dict[str, dict[Key, Band]] = {
    "00": {
        ("global mean", "RMSE", SMALL, RANDOM, None): Band(1.0567, 0.001),
        ("user mean", "RMSE", SMALL, RANDOM, None): Band(0.9635, 0.001),
    },
    "01": {
        ("global mean", "RMSE", SMALL, RANDOM, None): Band(1.0567, 0.001),
        ("item mean", "RMSE", SMALL, RANDOM, None): Band(0.9992, 0.001),
        ("item mean, pulled", "RMSE", SMALL, RANDOM, None): Band(0.9767, 0.001),
    },
}
