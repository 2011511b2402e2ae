"""A Keras model as a picture where Graphviz is installed, and as a list of its layers everywhere."""

from __future__ import annotations

import base64
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def layer_lines(model: keras.Model) -> str:
    """List the layers of a model, one a line: name, kind, numbers an example, and where they come from.

    Parameters
    ----------
    model : keras.Model
        A functional model.

    Returns
    -------
    str
    """
    rows = []
    for layer in model.layers:
        shape = layer.output.shape[1:]
        size = " × ".join(map(str, shape)) if shape else "an index"
        feeds = _inputs_of(layer)
        rows.append(
            (layer.name, type(layer).__name__, size, f"from {', '.join(feeds)}" if feeds else "")
        )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows]
    return "\n".join(lines)


def _inputs_of(layer: Any) -> list[str]:
    """Names of the layers whose outputs a layer takes."""
    tensors = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]
    return [tensor._keras_history.operation.name for tensor in tensors]


def graphviz_picture(model: keras.Model) -> bytes | None:
    """Draw a model with ``keras.utils.plot_model``.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    bytes or None
        PNG; None where pydot or Graphviz' program ``dot`` is missing.
    """
    if shutil.which("dot") is None:
        return None
    try:
        import pydot  # noqa: F401  (plot_model would print advice instead of raising)
    except ImportError:
        return None
    import keras

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.png"
        keras.utils.plot_model(model, to_file=str(file), show_layer_names=True, dpi=70)
        return file.read_bytes()


def show_model(model: keras.Model) -> None:
    """Display a model: Graphviz' picture where it can be drawn, and the list of layers as its text.

    Both come as one output, so the text that a notebook stores and compares is the same with and without
    Graphviz; without it the text is what is seen.

    Parameters
    ----------
    model : keras.Model
        A functional model.
    """
    from IPython.display import display

    text = layer_lines(model)
    content: dict[str, str] = {"text/plain": text}
    picture = graphviz_picture(model)
    if picture is not None:
        content["image/png"] = base64.b64encode(picture).decode()
    display(content, metadata={"image/png": {"alt": text}}, raw=True)
