"""Figures that are used twice or more, and the look they share."""

from __future__ import annotations

import matplotlib as mpl
from cycler import cycler

#: Okabe and Ito's palette: apart for every common kind of color vision
PALETTE = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
    "grey": "#767676",
}


def style() -> None:
    """Set the look of the course's figures: readable at half size, safe for color-blind readers."""
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": 80,
            "savefig.dpi": 80,
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "lines.linewidth": 2,
            "axes.prop_cycle": cycler(
                color=[PALETTE[c] for c in ("blue", "orange", "green", "red", "purple", "sky")]
            ),
        }
    )
