"""Figures that chapters share, their common look, and a figure as PNG bytes."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from IPython import get_ipython
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

#: Okabe and Ito's palette: told apart with every common kind of color vision
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
    """Set the look of figures and tables: readable at half size, safe for color-blind readers."""
    pd.set_option("display.max_colwidth", 200)
    pd.set_option("display.width", 100)
    pd.set_option("display.colheader_justify", "left")
    shell = get_ipython()  # None outside of a notebook
    if shell is not None:
        shell.display_formatter.formatters["text/html"].for_type(pd.DataFrame, table)
    mpl.rcdefaults()  # not the reader's own settings
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
            "axes.axisbelow": True,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "lines.linewidth": 2,
            "axes.prop_cycle": cycler(color=list(PALETTE.values())[:6]),  # blue to sky
        }
    )


def table(frame: pd.DataFrame) -> str:
    """Return a frame as HTML as pandas does, text aligned to the left and no header empty."""
    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    text = [not pd.api.types.is_numeric_dtype(column) for column in columns]
    starts = ["<td>" if not is_text else '<td style="text-align: left">' for is_text in text]

    def row(match: re.Match[str]) -> str:
        head, *cells = match[0].split("<td>")
        pairs = itertools.zip_longest(starts[: len(cells)], cells, fillvalue="<td>")
        return head + "".join(start + cell for start, cell in pairs)

    page = str(frame._repr_html_())  # type: ignore[operator]
    return re.sub(r"<tr>.*?</tr>", row, page, flags=re.DOTALL).replace("<th></th>", "<td></td>")


def png(figure: Figure) -> bytes:
    """Close a figure and return it as PNG bytes, two pixels for each that it is shown with."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


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
    head: dict[str, Any] = {"color": PALETTE["blue"], "label": f"top {top:,} items"}
    tail: dict[str, Any] = {"color": PALETTE["sky"], "label": "the tail", "alpha": 0.6}
    ax.fill_between(rank[:top], ordered[:top], step="mid", **head)
    ax.fill_between(rank[top - 1 :], ordered[top - 1 :], step="mid", **tail)
    ax.set_xlabel("items, most rated first")
    ax.set_ylabel("ratings of the item")
    ax.set_title(f"{top / len(ordered):.1%} of the items collect {share:.0%} of the ratings")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
    ax.legend()
    return fig


def tables(values: Mapping[str, np.ndarray], title: str, *, top: float) -> Figure:
    """Draw small tables of users by films side by side, each number written into its cell.

    Parameters
    ----------
    values : mapping of str to numpy.ndarray
        Title of a table to its numbers, shape (users, films); nan becomes a question mark.
    title : str
        Title of the figure.
    top : float
        The number with the brightest color; 0 has the darkest.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, axes = plt.subplots(1, len(values), figsize=(2.55 * len(values), 2.9))
    for ax, (name, table) in zip(np.atleast_1d(axes), values.items(), strict=True):
        rows, columns = table.shape
        ax.imshow(table, cmap="cividis", vmin=0, vmax=top)
        for (u, i), value in np.ndenumerate(table):
            text = "?" if np.isnan(value) else f"{value:.1f}"
            color = "black" if np.isnan(value) or value > top / 2 else "white"
            ax.text(i, u, text, ha="center", va="center", color=color)
        ax.set_title(name)
        ax.set_xticks(range(columns), [f"film {i}" for i in range(columns)])
        first = ax.get_subplotspec().is_first_col()
        ax.set_yticks(range(rows), [f"user {u}" for u in range(rows)] if first else [""] * rows)
        ax.grid(False)
    fig.suptitle(title, fontsize=11)
    fig.tight_layout()
    return fig


def loss_curves(histories: Mapping[str, pd.DataFrame], *, level: float, level_name: str) -> Figure:
    """Draw training and test RMSE by epoch, one panel per model, on one logarithmic scale.

    Parameters
    ----------
    histories : mapping of str to pandas.DataFrame
        Title of a panel to a history with the columns ``epoch``, ``train`` and ``test``.
    level : float
        RMSE of the model to beat, drawn as a line.
    level_name : str
        Its name in the legend.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, axes = plt.subplots(1, len(histories), figsize=(3 * len(histories), 3.4), sharey=True)
    for ax, (title, history) in zip(np.atleast_1d(axes), histories.items(), strict=True):
        ax.plot(history["epoch"], history["train"], label="training")
        ax.plot(history["epoch"], history["test"], "--", label="test")
        ax.axhline(level, color=PALETTE["grey"], linewidth=1, label=level_name)
        ax.set(xlabel="epoch", yscale="log", ylim=(0.25, 4))
        ax.set_title(f"{title}\nbest test RMSE {history['test'].min():.3f}")
        ax.yaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_yticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    np.atleast_1d(axes)[0].set_ylabel("RMSE (stars, log scale)")
    np.atleast_1d(axes)[-1].legend(fontsize=9)
    fig.tight_layout()
    return fig


_BOX = {"boxstyle": "round,pad=0.4", "edgecolor": PALETTE["grey"]}


def network(symbol_json: str) -> Figure:
    """Draw an MXNet symbol from left to right; the same symbol always gives the same picture.

    As in ``mx.viz.plot_network``, which needs Graphviz, parameters have no box of their own: they
    belong to the layer that uses them.

    Parameters
    ----------
    symbol_json : str
        The symbol, from ``symbol.tojson()``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    nodes = json.loads(symbol_json)["nodes"]
    ends = ("weight", "bias", "gamma", "beta")  # of the names of parameters
    inner = [i for i, n in enumerate(nodes) if n["op"] != "null" or not n["name"].endswith(ends)]
    feeds = {i: [j for j, *_ in nodes[i]["inputs"] if j in inner] for i in inner}
    return _flow({i: _label(nodes[i]) for i in inner}, feeds)


def layers(model: Any) -> Figure:
    """Draw a functional Keras model from left to right, in the look of `network`.

    A layer shows the shape of its weights, or where it has none that of its output for an example.
    An input is drawn before every layer that takes it, so that no lines cross.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    matplotlib.figure.Figure
    """
    labels: dict[str, str] = {}
    feeds: dict[str, list[str]] = {}
    for layer in model.operations:
        tensors = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]
        sources = [tensor._keras_history.operation for tensor in tensors]
        feeders = []
        for source in sources:
            name = source.name
            if not source._inbound_nodes[0].input_tensors:  # an input
                name = f"{source.name}, {layer.name}"
                labels[name], feeds[name] = source.name, []
            feeders.append(name)
        if sources:
            weights = getattr(layer, "weights", None)  # an operation such as keras.ops.add has none
            shape = weights[0].shape if weights else layer.output.shape[1:]
            size = " × ".join(f"{length:,}" for length in shape)
            labels[layer.name] = f"{layer.name}\n{type(layer).__name__}\n{size}"
            feeds[layer.name] = feeders
    return _flow(labels, feeds, width=1.3)


def _flow(
    labels: Mapping[Any, str], feeds: Mapping[Any, Sequence[Any]], width: float = 1.5
) -> Figure:
    """Draw boxes with labels, each to the right of those that feed it and come before it."""
    column: dict[Any, int] = {}
    row: dict[Any, float] = {}
    for i in labels:
        column[i] = 1 + max((column[j] for j in feeds[i]), default=-1)
        feeders = [row[j] for j in feeds[i]]
        row[i] = float(np.mean(feeders)) if feeders else sum(not feeds[j] for j in row)
    for i in labels:  # an input is drawn right before its first use
        used = [column[j] for j in labels if i in feeds[j]]
        if not feeds[i] and used:
            column[i] = min(used) - 1
    last, low = max(column.values()), max(row.values())
    fig, ax = plt.subplots(figsize=(width * (last + 1), 1.1 * (low + 1.2)))
    for i, label in labels.items():
        place = column[i], -row[i]
        box = {**_BOX, "fc": "#D6EAF5" if feeds[i] else "#FFFFFF"}
        text = ax.text(*place, label, ha="center", va="center", fontsize=9, bbox=box)
        text.set_zorder(3)
        for j in feeds[i]:
            ends = [column[j], place[0]], [-row[j], place[1]]
            ax.plot(*ends, color=PALETTE["grey"], linewidth=1.5, zorder=1)
    ax.set_xlim(-0.5, last + 0.7)
    ax.set_ylim(-low - 0.6, 0.6)
    ax.set_axis_off()
    return fig


def _label(node: dict[str, Any]) -> str:
    if node["op"] == "null":
        return str(node["name"])
    attributes = node.get("attrs", {}).items()
    settings = {k: f"{int(v):,}" if str(v).isdigit() else v for k, v in attributes}
    shown = {
        "Embedding": "{input_dim} × {output_dim}",
        "FullyConnected": "{num_hidden} wide",
        "Activation": "{act_type}",
        "Dropout": "p = {p}",
        "sum": "axis {axis}",
    }.get(node["op"], "")
    names = {"elemwise_mul": "product", "LinearRegressionOutput": "Linear-\nRegression-\nOutput"}
    name = names.get(node["op"], node["op"])
    return f"{name}\n{shown.format(**settings)}" if shown else name


def labeled_map(places: np.ndarray, names: np.ndarray, *, title: str) -> Figure:
    """Scatter named points and write as many names as touch nothing else, in the order given.

    Parameters
    ----------
    places : numpy.ndarray, shape (n, 2)
    names : numpy.ndarray of str, shape (n,)
        A name stands above, below or beside its point; it is left out if it would touch another
        point or a name before it everywhere.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, ax = plt.subplots(figsize=(8, 6))
    ax.scatter(places[:, 0], places[:, 1], s=14, color=PALETTE["blue"], alpha=0.7)
    ax.set(title=title, xlabel="first component", ylabel="second component")
    ax.margins(x=0.12)
    fig.canvas.draw()
    area = ax.get_window_extent()
    taken: list[Bbox] = []
    dots = ax.transData.transform(places)
    sides = [(0, 5, "center", "bottom"), (0, -5, "center", "top")]
    sides += [(6, 0, "left", "center"), (-6, 0, "right", "center")]
    for number, (place, dot, name) in enumerate(zip(places, dots, names, strict=True)):
        own, others = Bbox([dot - 3, dot + 3]), np.delete(dots, number, axis=0)
        for x, y, ha, va in sides:
            where: dict[str, Any] = {"textcoords": "offset points", "xytext": (x, y)}
            note = ax.annotate(short(name, 32), place, fontsize=8, ha=ha, va=va, **where)
            box = note.get_window_extent()
            inside = area.contains(*box.min) and area.contains(*box.max)
            room = box.padded(2)
            free = not any(box.padded(8, 2).contains(*other) for other in others)
            if inside and free and not Bbox.union([room, own]).count_overlaps(taken):
                taken.append(Bbox.union([room, own]))
                break
            note.remove()
    return fig


def lines(series: Mapping[str, tuple[Any, Any]], **labels: Any) -> Figure:
    """Draw named curves, each with its own dash, so that they are told apart without color.

    Parameters
    ----------
    series : mapping of str to tuple
        Name of a curve to its places on both axes.
    **labels
        Arguments of ``Axes.set``, such as ``title``, ``xlabel``, ``ylim`` and ``xscale``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    for number, (name, (x, y)) in enumerate(series.items()):
        ax.plot(x, y, ("-", "--", ":", "-.")[number % 4], label=name)
    ax.set(**labels)
    ax.legend(fontsize=9)
    return fig


def intervals(results: Mapping[str, Any], *, title: str) -> Figure:
    """Draw one metric of several models as dots, each with its 95 % interval as a bar.

    ``results`` maps the name of each model to its `RankingResult`, drawn in this order.
    """
    fig, ax = plt.subplots(figsize=(6.8, 0.45 * len(results) + 1))
    for row, result in enumerate(results.values()):
        ax.plot([result.interval.low, result.interval.high], [row, row], color=PALETTE["sky"], lw=6)
        ax.plot(result.mean, row, "o", color=PALETTE["blue"], markersize=9)
    ax.set_yticks(range(len(results)), list(results))
    ax.set_ylim(len(results) - 0.5, -0.5)
    first = next(iter(results.values()))
    ax.set(title=title, xlabel=f"{first.metric}@{first.k}, mean over {len(first.users)} users")
    ax.set_xlim(left=0)
    return fig
