"""Keras models as a list of layers, and as a picture where Graphviz is installed."""

from __future__ import annotations

import base64
import importlib.util
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def show_model(model: keras.Model) -> None:
    """Display a functional model: the list of its layers, and a picture where Graphviz is there.

    Both are one output, whose text is the same with and without Graphviz.
    """
    from IPython.display import display

    text = layer_lines(model)
    content: dict[str, str] = {"text/plain": text}
    if shutil.which("dot") and importlib.util.find_spec("pydot"):
        import keras

        picture = keras.utils.model_to_dot(model, show_layer_names=True, dpi=70).create_png()
        content["image/png"] = base64.b64encode(picture).decode()
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
