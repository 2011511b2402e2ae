"""Figures with words, and sliders that redraw them."""

from __future__ import annotations

import base64

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest

from helpers import interactive

#: the head of a PNG, two pixels wide
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\2\0\0\0\1\0\0\0\0").decode()


@pytest.fixture
def shown(monkeypatch):
    seen = []
    monkeypatch.setattr(interactive, "display", lambda data, **k: seen.append((data, k)))
    return seen


@pytest.fixture
def boxes(monkeypatch):
    seen = []
    monkeypatch.setattr(interactive, "show_widget", lambda box, **k: seen.append((box, k)))
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
    for _ in range(2):
        interactive.show(draw(1), alt="a line")
    assert shown[0] == shown[1], "the same bytes"
    data, details = shown[0]
    assert data["text/plain"] == details["metadata"]["image/png"]["alt"] == "a line"
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert not plt.get_fignums(), "closed, so it is not shown twice"
    width = int.from_bytes(base64.b64decode(data["image/png"])[16:20], "big")
    assert details["metadata"]["image/png"]["width"] == width // 2 and "text/html" not in data
    with pytest.raises(ValueError, match="alt is empty"):
        interactive.show(draw(1), alt=" ")
    plt.close("all")


def test_a_person_sees_the_words_as_a_caption(shown, monkeypatch):
    monkeypatch.delenv("COURSE_BUILD")
    interactive.show(draw(1), alt="a < b")
    page = shown[0][0]["text/html"]
    assert 'alt="a &lt; b"' in page and "<figcaption>a &lt; b</figcaption>" in page


def test_a_widget_is_shown_with_what_stands_in_for_it(shown):
    box = widgets.Text()
    interactive.show_widget(box, text="words", png=PIXEL)
    data, details = shown[0]
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == box.model_id
    assert data["text/plain"] == details["metadata"]["image/png"]["alt"] == "words"
    assert data["image/png"] == PIXEL and "text/html" not in data
    assert details["metadata"]["image/png"]["width"] == 1


def test_moving_the_slider_changes_picture_and_words(boxes):
    slider = widgets.IntSlider(value=1, min=0, max=4)
    interactive.explore(draw, alt=alt, k=slider)
    (rows, words), (box, instead) = boxes
    number, same = rows.children[0].children
    picture, problem = box.children
    assert words["text"] == "Run this cell to get the slider: k."
    assert number.description == "k" and same is slider and not slider.readout
    assert instead["text"] == "a line up to 1"
    before = picture.value
    assert instead["png"] in before
    slider.value = 2
    assert picture.value != before
    assert 'alt="a line up to 2"' in picture.value
    slider.value = 3
    assert "three &lt;is&gt; refused" in problem.value, "the error stands under the last picture"
    number.value = 4
    assert slider.value == 4 and problem.value == ""


def test_a_slider_has_a_box_with_its_name_and_value(boxes):
    for slider, new in (
        (widgets.FloatSlider(value=1, min=0, max=2, step=0.25), 0.5),
        (widgets.FloatLogSlider(value=1, min=-3, max=2), 0.123456),
        (widgets.SelectionSlider(options=[("one", 1), ("two", 2)], value=1), 2),
    ):
        interactive.explore(draw, alt=alt, k=slider)
        box, same = boxes[-2][0].children[0].children
        assert box.description == "k" and same is slider
        slider.value = new
        assert box.value == pytest.approx(new, abs=0.0005) and slider.value == new
        box.value = 1
        assert slider.value == 1


def test_a_number_is_not_a_control():
    with pytest.raises(TypeError, match="k is a int"):
        interactive.explore(draw, alt=alt, k=3)


def test_an_answering_box_answers_and_survives_an_error(boxes):
    def reply(query):
        if query == "bad":
            raise ValueError("<no>")
        return f"<b>{query}</b>"

    typed = widgets.Text(value="one")
    interactive.answer(reply, alt=lambda query: f"asked {query}", box=typed)
    (box, instead), *_ = boxes
    assert instead["text"] == "asked one" and instead["html"].startswith("<b>one</b>")
    assert "Run this cell to get the search box" in instead["html"]
    _, answer = box.children
    typed.value = "bad"
    assert answer.value == "<p>ValueError: &lt;no&gt;</p>"
    typed.value = "two"
    assert answer.value == "<b>two</b>"
