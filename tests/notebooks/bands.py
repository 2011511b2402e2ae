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
HUNDRED, U1 = "100k", "predefined u1"
TALK = "talk's MF, 10 epochs"
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
    "02": {
        ("global mean", "RMSE", SMALL, RANDOM, None): Band(1.0566, 0.001),
        ("user + item bias", "RMSE", SMALL, RANDOM, None): Band(0.8844, 0.001),
        (TALK, "RMSE", SMALL, RANDOM, 0): Band(1.342, 0.02),
        (TALK, "MAE", SMALL, RANDOM, 0): Band(0.983, 0.02),
        ("biased MF, no decay", "RMSE", SMALL, RANDOM, 0): Band(0.895, 0.01),
        ("biased MF, no decay", "MAE", SMALL, RANDOM, 0): Band(0.687, 0.01),
        ("biased MF", "RMSE", SMALL, RANDOM, 0): Band(0.8757, 0.005),
        ("biased MF", "MAE", SMALL, RANDOM, 0): Band(0.672, 0.005),
        ("user + item bias", "RMSE", HUNDRED, RANDOM, None): Band(0.9369, 0.001, optional=True),
        ("biased MF", "RMSE", HUNDRED, RANDOM, 0): Band(0.910, 0.008, optional=True),
        (TALK, "RMSE", HUNDRED, U1, 0): Band(1.048, 0.01, optional=True),
        (TALK, "MAE", HUNDRED, U1, 0): Band(0.811, 0.01, optional=True),
    },
    "03": {
        ("user + item bias", "RMSE", SMALL, RANDOM, None): Band(0.8844, 0.001),
        ("biased MF, no layer, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8761, 0.003),
        ("biased MF, user's side, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8784, 0.003),
        ("biased MF, both sides, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8851, 0.004),
        ("biased MF, shared, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8916, 0.006),
        ("no biases, layer: none", "RMSE", SMALL, RANDOM, 0): Band(1.132, 0.03),
        ("no biases, layer: both", "RMSE", SMALL, RANDOM, 0): Band(0.922, 0.02),
        ("no biases, layer: shared", "RMSE", SMALL, RANDOM, 0): Band(0.956, 0.03),
    },
}
