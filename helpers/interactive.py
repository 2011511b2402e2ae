"""Sliders that redraw the figure of a plain function, and figures with a text.

There is no output widget and no JavaScript: the kernel sends the bytes of an image. So it has a
text for screen readers, nbval can compare it, and a reader without a kernel sees its first state.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets
from IPython.display import display
from matplotlib.figure import Figure
from traitlets import link

from helpers.plots import png

#: in place of JupyterLab's red signs at the widgets of a notebook that is opened again
_ASLEEP = """<style>.jupyter-widgets-disconnected::before {display: none !important}
.course-asleep {display: none} .jupyter-widgets-disconnected .course-asleep {display: block}
</style><em class="course-asleep">As you left it; run this cell to use it again.</em>"""


def show(figure: Figure, *, alt: str) -> None:
    """Display a finished figure with a text that says what it shows.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        It is closed afterwards, so that it is not shown twice.
    alt : str
        The finding, in one sentence: the caption, and the text for those who cannot see the
        picture. It is stored as the figure's plain text, which nbval compares.

    Raises
    ------
    ValueError
        ``alt`` is empty.
    """
    if not alt.strip():
        raise ValueError("show: alt is empty, expected a sentence that says what the figure shows")
    data, details = outputs(png(figure), alt)
    display(data, metadata=details, raw=True)


def outputs(picture: bytes, alt: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what a notebook shows for a PNG and its words, and the metadata of it."""
    data = {"image/png": base64.b64encode(picture).decode(), "text/plain": alt}
    if not os.environ.get("COURSE_BUILD"):  # a build and nbval want plain outputs
        data["text/html"] = _with_caption(picture, alt)
    return data, {"image/png": {"alt": alt, "width": _width(picture)}}


def _width(picture: bytes) -> int:
    """Return the width in CSS pixels at which a PNG is shown: it has two for each."""
    return int.from_bytes(picture[16:20], "big") // 2


def _with_caption(picture: bytes, alt: str) -> str:
    """Return a figure as HTML, its caption below: JupyterLab gives a plain picture no text."""
    text = html.escape(alt)
    source = f'src="data:image/png;base64,{base64.b64encode(picture).decode()}"'
    image = f'<img alt="{text}" width="{_width(picture)}" style="max-width:100%" {source}>'
    return f'<figure style="margin:0">{image}<figcaption>{text}</figcaption></figure>'


def show_widget(box: widgets.Widget, **instead: str) -> None:
    """Display a widget.

    Parameters
    ----------
    box : ipywidgets widget
        Shown where there is a kernel.
    **instead
        Shown elsewhere: ``text``, which nbval compares, and ``html`` or ``png`` (in base 64).
    """
    if isinstance(box, widgets.Box) and "png" not in instead:  # a picture needs no words
        box.children = [*box.children, widgets.HTML(_ASLEEP)]
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    data: dict[str, Any] = {"application/vnd.jupyter.widget-view+json": view}
    for name, kind in {"text": "text/plain", "html": "text/html", "png": "image/png"}.items():
        if name in instead:
            data[kind] = instead[name]
    details = {}
    if "png" in instead:
        width = _width(base64.b64decode(instead["png"][:32]))
        details = {"image/png": {"alt": instead["text"], "width": width}}
    display(data, metadata=details, raw=True)


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
        Redraw while a slider is dragged; for figures that take less than 100 ms.
    **controls : ipywidgets widget
        One for each argument of ``draw``; a control without a description gets its name. A slider
        gets a box with the same value, which says its name.

    Raises
    ------
    TypeError
        A control is not a widget with a value.

    Notes
    -----
    If ``draw`` raises for a value, the last picture stays and the error's sentence is shown under
    it until the control moves again.
    """
    for name, control in controls.items():
        if not hasattr(control, "value") or not hasattr(control, "observe"):
            given = f"{name} is a {type(control).__name__}"
            raise TypeError(f"explore: {given}, expected a widget such as IntSlider")
        if not control.description:
            control.description = name
        if hasattr(control, "continuous_update"):
            control.continuous_update = live
        if "description_width" in control.style.keys:
            control.style.description_width = "initial"
    called = " · ".join(control.description for control in controls.values())
    rows = widgets.VBox([_named(control) for control in controls.values()])
    picture, problem = widgets.HTML(), widgets.HTML()

    def redraw() -> tuple[str, str]:
        now = {name: control.value for name, control in controls.items()}
        data, text = png(draw(**now)), alt(**now)
        picture.value = _with_caption(data, text)
        problem.value = ""
        return base64.b64encode(data).decode(), text

    def on_change(change: dict[str, Any]) -> None:
        try:
            redraw()
        except Exception as error:  # shown to the learner, who can move on
            problem.value = _sentence(error)

    first, text = redraw()
    for control in controls.values():
        control.observe(on_change, "value")
    kind = "slider" if len(controls) == 1 else "controls"
    words = f"Run this cell to get the {kind}: {called}."
    show_widget(rows, html=f"<p>{html.escape(words)}</p>", text=words)
    show_widget(widgets.VBox([picture, problem]), png=first, text=text)
    if os.environ.get("COURSE_STATES"):  # for the site, where nothing moves
        values = {name: control.value for name, control in controls.items()}
        for label, now in _ends(called, values, controls):
            data, details = outputs(png(draw(**now)), alt(**now))
            display(data, metadata={**details, "state": label}, raw=True)


def _ends(
    called: str, values: dict[str, Any], controls: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the first control's lowest and highest value, in words and among the other values."""
    name, control = next(iter(controls.items()))
    ends = [getattr(control, end, None) for end in ("min", "max")]
    if isinstance(control, widgets.FloatLogSlider):
        ends = [control.base**end for end in ends]
    words = [str(end) if isinstance(end, int) else f"{end:.3g}" for end in ends if end is not None]
    if hasattr(control, "options"):
        pairs = [o if isinstance(o, tuple) else (str(o), o) for o in control.options]
        words, ends = [list(part) for part in zip(pairs[0], pairs[-1], strict=True)]
    for word, end in zip(words, ends, strict=False):
        if end != control.value:
            yield f"{called.split(' · ')[0]}: {word}", {**values, name: end}


def _named(control: Any) -> widgets.Widget:
    """Return a slider behind a box with its value: ipywidgets gives a slider's handle no name."""
    log = isinstance(control, widgets.FloatLogSlider)
    if isinstance(control, widgets.SelectionSlider):
        box: Any = widgets.Dropdown(options=control.options)
    elif isinstance(control, widgets.IntSlider | widgets.FloatSlider) or log:
        whole = isinstance(control, widgets.IntSlider)
        kind = widgets.BoundedIntText if whole else widgets.BoundedFloatText
        low, high = (control.base**end if log else end for end in (control.min, control.max))
        box = kind(min=low, max=high, step=None if log else control.step)
    else:
        return control
    box.description, control.description, control.readout = control.description, "", False
    box.style.description_width, box.layout.width = "initial", "15em"
    control.layout.width, control.layout.margin = "min(20em, 95%)", "2px 2px 2px 1em"
    short = (lambda value: float(f"{value:.3g}") if log else value, lambda value: value)
    link((control, "value"), (box, "value"), transform=short)
    return widgets.HBox([box, control], layout={"flex_flow": "row wrap"})


def answer(reply: Callable[[str], str], *, alt: Callable[[str], str], box: widgets.Text) -> None:
    """Answer below a text box at every key, with HTML: fast enough for somebody who types.

    Parameters
    ----------
    reply : callable
        Takes the text typed so far and returns HTML, in which foreign text must be escaped.
    alt : callable
        Takes the same text and returns the answer as plain text, which nbval compares.
    box : ipywidgets.Text
        The text box; its value gives the first answer.

    Notes
    -----
    If ``reply`` raises for a text, the error's sentence is shown until the text changes.
    """
    shown = widgets.HTML(reply(box.value))

    def on_change(change: dict[str, Any]) -> None:
        try:
            shown.value = reply(change["new"])
        except Exception as error:  # shown to the learner, who can type on
            shown.value = _sentence(error)

    box.continuous_update, box.style.description_width = True, "initial"
    box.observe(on_change, "value")
    words = f"{shown.value}<p>Run this cell to get the search box.</p>"
    show_widget(widgets.VBox([box, shown]), html=words, text=alt(box.value))


def _sentence(error: Exception) -> str:
    return f"<p>{html.escape(f'{type(error).__name__}: {error}')}</p>"
