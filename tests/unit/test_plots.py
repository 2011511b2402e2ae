"""Figures: the same input gives the same bytes, and what they label is there."""

from __future__ import annotations

import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import plots

NODES = [
    {"op": "null", "name": "user", "inputs": []},
    {"op": "null", "name": "table_weight", "inputs": []},
    {
        "op": "Embedding",
        "name": "table",
        "attrs": {"input_dim": "671", "output_dim": "64"},
        "inputs": [[0, 0, 0], [1, 0, 0]],
    },
    {"op": "null", "name": "score", "inputs": []},
    {"op": "LinearRegressionOutput", "name": "loss", "inputs": [[2, 0, 0], [3, 0, 0]]},
]


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def words(figure):
    return [t.get_text() for t in figure.axes[0].texts]


def test_network_shows_layers_and_inputs_and_folds_parameters_in():
    figure = plots.network(json.dumps({"nodes": NODES}))
    assert words(figure) == ["user", "Embedding\n671 × 64", "score", "Linear-\nRegression-\nOutput"]
    x = {t.get_text(): t.get_position()[0] for t in figure.axes[0].texts}
    assert x["user"] < x["Embedding\n671 × 64"] < x["Linear-\nRegression-\nOutput"]
    assert x["score"] == x["Embedding\n671 × 64"], "an input stands right before its first use"
    assert len(figure.axes[0].lines) == 3
    assert png(figure) == png(plots.network(json.dumps({"nodes": NODES})))


def test_labeled_map_writes_the_first_of_two_names_in_one_place():
    places = np.array([[0.0, 0.0], [0.0, 0.001], [1.0, 1.0]])
    names = np.array(["first", "hidden behind it", "far away"])
    figure = plots.labeled_map(places, names, title="three points")
    assert words(figure) == ["first", "far away"]
    assert len(figure.axes[0].collections[0].get_offsets()) == 3
    plt.close(figure)


@pytest.mark.parametrize("width", [10, 24])
def test_short_never_exceeds_its_width(width):
    for title in ("Heat", "Lord of the Rings: The Fellowship of the Ring, The"):
        assert len(plots.short(title, width)) <= width


def test_lines_are_told_apart_without_color():
    fig = plots.lines(
        {"a": ([1, 2], [3, 4]), "b": ([1, 2], [5, 6])}, title="two", xlabel="x", ylim=(0, 9)
    )
    (ax,) = fig.axes
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]
    assert ax.get_title(loc="left") == "two" or ax.get_title() == "two"
    assert ax.get_ylim() == (0, 9)
    plt.close(fig)


def test_text_in_a_table_is_aligned_to_the_left():
    page = plots.table(pd.DataFrame({"film": ["A <b>", "B"], "stars": [4.0, 3.5]}))
    assert page.count('<td style="text-align: left">') == 2 and page.count("<td>") == 3
    assert "A &lt;b&gt;" in page and "<th></th>" not in page
    long = plots.table(pd.DataFrame({"film": ["A"] * 200, "stars": 1.0}))
    assert long.count("<tr") < 100, "a long table is cut as always"
