"""A signature as a prepared run of a session, as TensorFlow Serving runs it: a third of a Python call's cost.

Calling a signature in Python binds its arguments anew each time, under the interpreter's lock. A session's
callable is bound once. It says less about a request that does not fit, so a caller who gets an error asks the
signature itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def prepared(folder: Path, tensorflow: Any) -> dict[str, Run]:
    """Prepare every signature of a SavedModel.

    Parameters
    ----------
    folder : pathlib.Path
        Holds ``saved_model.pb``.
    tensorflow : module
        TensorFlow, which the caller has imported.

    Returns
    -------
    dict of str to callable
        Per signature, a function from input arrays, all of them, of the dtypes the signature asks for, to
        output arrays; safe to call from several threads.
    """
    v1 = tensorflow.compat.v1
    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)  # it advises a loader whose calls cost three times as much
    try:
        graph = tensorflow.Graph()
        with graph.as_default():
            one = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
            session = v1.Session(graph=graph, config=one)
            loaded = v1.saved_model.load(session, ["serve"], str(folder))
    finally:
        log.setLevel(level)
    return {
        key: _prepare(session, graph, signature)
        for key, signature in loaded.signature_def.items()
        if key != "__saved_model_init_op"
    }


def _prepare(session: Any, graph: Any, signature: Any) -> Run:
    inputs, outputs = sorted(signature.inputs), sorted(signature.outputs)
    call = session.make_callable(
        [graph.get_tensor_by_name(signature.outputs[name].name) for name in outputs],
        feed_list=[graph.get_tensor_by_name(signature.inputs[name].name) for name in inputs],
    )

    def run(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(outputs, call(*[arrays[name] for name in inputs]), strict=True))

    return run
