"""Figures that are used twice or more, and the look they share."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure

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
    """Set the look of figures and tables: readable at half size, safe for color-blind readers, uncut."""
    pd.set_option("display.max_colwidth", 120, "display.width", 110)
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


def short(title: str, width: int = 24) -> str:
    """Return a title cut to ``width`` characters, at a word where possible, with an ellipsis."""
    if len(title) <= width:
        return title
    cut = title[: width - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[width // 2 :] else cut).rstrip(" ,.:") + "…"


def long_tail(counts: np.ndarray, *, top: int, share: float) -> Figure:
    """Draw how often each item was rated, most rated first, with the head in color.

    Parameters
    ----------
    counts : numpy.ndarray, shape (n_items,)
        Ratings of each item, in any order.
    top : int
        How many items make up the head.
    share : float
        Share of all ratings that the head collects, between 0 and 1; stated in the title.

    Returns
    -------
    matplotlib.figure.Figure
    """
    ordered = np.sort(np.asarray(counts))[::-1]
    rank = np.arange(1, len(ordered) + 1)
    fig, ax = plt.subplots()
    ax.fill_between(rank[:top], ordered[:top], step="mid", color=PALETTE["blue"], label=f"top {top:,} items")
    ax.fill_between(
        rank[top - 1 :], ordered[top - 1 :], step="mid", color=PALETTE["sky"], alpha=0.6, label="the tail"
    )
    ax.set_xlabel("items, most rated first")
    ax.set_ylabel("ratings of the item")
    ax.set_title(f"{top / len(ordered):.1%} of the items collect {share:.0%} of the ratings")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
    ax.legend()
    return fig
