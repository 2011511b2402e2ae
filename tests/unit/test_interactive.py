"""Figures with words, and sliders that redraw them."""

from __future__ import annotations

import base64

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest

from helpers import interactive


@pytest.fixture
def shown(monkeypatch):
    seen = []
    monkeypatch.setattr(interactive, "display", lambda data, **k: seen.append(data))
    return seen


def draw(k):
    if k == 3:
        raise ValueError("three <is> refused")
    fig, ax = plt.subplots(figsize=(1, 1))
    ax.plot([0, k])
    return fig


def alt(k):
    return f"a line up to {k}"


def test_show_needs_words(shown):
    interactive.show(draw(1), alt="a line")
    assert shown[0]["text/plain"] == "a line"
    assert base64.b64decode(shown[0]["image/png"]).startswith(b"\x89PNG")
    assert not plt.get_fignums(), "closed, so it is not shown twice"
    with pytest.raises(ValueError, match="alt is empty"):
        interactive.show(draw(1), alt=" ")
    plt.close("all")


def test_same_figure_same_bytes(shown):
    for _ in range(2):
        interactive.show(draw(2), alt="x")
    assert shown[0] == shown[1]


def test_moving_the_slider_changes_picture_and_words(shown):
    slider = widgets.IntSlider(value=1, min=0, max=4)
    boxes = []
    real = widgets.VBox
    interactive.widgets.VBox, saved = (
        (lambda children: boxes.append(real(children)) or boxes[-1]),
        real,
    )
    try:
        interactive.explore(draw, alt=alt, k=slider)
    finally:
        interactive.widgets.VBox = saved
    _, picture, problem = boxes[0].children
    assert slider.description == "k"
    assert shown[0]["text/plain"] == "a line up to 1"
    before = picture.value
    slider.value = 2
    assert picture.value != before
    assert 'alt="a line up to 2"' in picture.value
    slider.value = 3
    assert "three &lt;is&gt; refused" in problem.value, "the error stands under the last picture"
    slider.value = 4
    assert problem.value == ""


def test_a_number_is_not_a_control():
    with pytest.raises(TypeError, match="k is a int"):
        interactive.explore(draw, alt=alt, k=3)
