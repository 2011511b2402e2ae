"""Keras models as a list of layers, and as a picture where Graphviz is installed."""

from __future__ import annotations

import base64
import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def show_model(model: keras.Model) -> None:
    """Display a functional model: Graphviz' picture, with the list of its layers as text.

    Both are one output, so the text that a notebook stores and compares is the same with and
    without Graphviz; without it, the text is shown.
    """
    from IPython.display import display

    text = layer_lines(model)
    content: dict[str, str] = {"text/plain": text}
    # without pydot or Graphviz' program dot, plot_model would print advice instead of raising
    if shutil.which("dot") and importlib.util.find_spec("pydot"):
        content["image/png"] = base64.b64encode(_picture(model)).decode()
    display(content, metadata={"image/png": {"alt": text}}, raw=True)


def layer_lines(model: keras.Model) -> str:
    """Return a line per layer: name, kind, shape of an example's output, layers that feed it."""
    rows = []
    for layer in model.layers:
        shape = layer.output.shape[1:]
        size = " × ".join(map(str, shape)) if shape else "an index"
        tensors = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]
        feeds = [tensor._keras_history.operation.name for tensor in tensors]
        source = f"from {', '.join(feeds)}" if feeds else ""
        rows.append((layer.name, type(layer).__name__, size, source))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows]
    return "\n".join(lines)


def _picture(model: keras.Model) -> bytes:
    """Return the model as a PNG."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.png"
        keras.utils.plot_model(model, to_file=str(file), show_layer_names=True, dpi=70)
        return file.read_bytes()
