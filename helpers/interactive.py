"""Sliders that redraw the figure of a plain function.

No output widget and no JavaScript of ours: the picture is an image whose bytes
the kernel sends, so it has a text for screen readers, survives nbval, and a
reader without a kernel sees its first state.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

_DPI = 80


def _png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes that do not name the library that wrote them."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def _img(data: bytes, text: str) -> str:
    source = base64.b64encode(data).decode()
    alt = html.escape(text)
    return f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{source}">'


def show(figure: Figure, *, alt: str) -> None:
    """Display a finished figure with a text that says what it shows.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        It is closed afterwards, so it is not shown twice.
    alt : str
        What a reader who cannot see the picture should know: the finding, not the decoration.
        It is stored as the figure's plain text, where nbval compares it.

    Raises
    ------
    ValueError
        If ``alt`` is empty.
    """
    if not alt.strip():
        raise ValueError(
            "show: alt is empty, expected one sentence that says what the figure shows"
        )
    data = base64.b64encode(_png(figure)).decode()
    display({"image/png": data, "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True)


def explore(
    draw: Callable[..., Figure],
    *,
    alt: Callable[..., str],
    live: bool = False,
    **controls: widgets.Widget,
) -> None:
    """Redraw a figure whenever one of the controls moves.

    Parameters
    ----------
    draw : callable
        Takes the controls' values by name and returns a new figure.
    alt : callable
        Takes the same values and returns the text for a screen reader.
    live : bool
        Redraw while a slider is dragged; for figures that take well under 100 ms.
    **controls : ipywidgets widget
        One for each argument of ``draw``; a control without a description gets its name.

    Raises
    ------
    TypeError
        If a control is not a widget with a value.

    Notes
    -----
    A value for which ``draw`` raises leaves the last picture and shows the
    error's sentence in its place under it: moving on mends it.
    """
    for name, control in controls.items():
        if not hasattr(control, "value") or not hasattr(control, "observe"):
            raise TypeError(
                f"explore: {name} is a {type(control).__name__}, expected a widget such as IntSlider"
            )
        if not control.description:
            control.description = name
        if hasattr(control, "continuous_update"):
            control.continuous_update = live
        if "description_width" in control.style.keys:
            control.style.description_width = "initial"
        if isinstance(control, widgets.IntSlider | widgets.FloatSlider | widgets.SelectionSlider):
            control.layout.width = "min(32em, 95%)"
    picture, problem = widgets.HTML(), widgets.HTML()

    def values() -> dict[str, Any]:
        return {name: control.value for name, control in controls.items()}

    def redraw() -> bytes:
        now = values()
        data = _png(draw(**now))
        picture.value = _img(data, alt(**now))
        problem.value = ""
        return data

    def on_change(change: dict[str, Any]) -> None:
        try:
            redraw()
        except Exception as error:  # shown to the learner, who can move on
            problem.value = f"<p>{html.escape(f'{type(error).__name__}: {error}')}</p>"

    first, text = redraw(), alt(**values())
    for control in controls.values():
        control.observe(on_change, "value")
    box = widgets.VBox([*controls.values(), picture, problem])
    display(
        {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": box.model_id,
            },
            "image/png": base64.b64encode(first).decode(),
            "text/plain": text,
        },
        metadata={"image/png": {"alt": text}},
        raw=True,
    )


def answer(reply: Callable[[str], str], *, alt: Callable[[str], str], box: widgets.Text) -> None:
    """Answer below a text box at every key, with a piece of HTML.

    For answers that must come as fast as somebody types: no figure is drawn.

    Parameters
    ----------
    reply : callable
        Takes the text typed so far and returns HTML; what came from outside must be escaped in it.
    alt : callable
        Takes the same text and returns the answer as plain text, which nbval compares.
    box : ipywidgets.Text
        What is typed into; its value gives the first answer.

    Notes
    -----
    A text for which ``reply`` raises shows the error's sentence; typing on mends it.
    """
    shown = widgets.HTML(reply(box.value))

    def on_change(change: dict[str, Any]) -> None:
        try:
            shown.value = reply(change["new"])
        except Exception as error:  # shown to the learner, who can type on
            shown.value = f"<p>{html.escape(f'{type(error).__name__}: {error}')}</p>"

    box.continuous_update = True
    box.observe(on_change, "value")
    view = widgets.VBox([box, shown])
    display(
        {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": view.model_id,
            },
            "text/html": shown.value,
            "text/plain": alt(box.value),
        },
        raw=True,
    )
