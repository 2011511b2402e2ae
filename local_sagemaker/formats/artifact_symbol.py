"""The factorization machine as an MXNet graph: the ``symbol.json`` of the artifact."""

from __future__ import annotations

import json
from typing import Any


def symbol_json(predictor_type: str, feature_dim: int, num_factors: int) -> str:
    """Write the graph of a factorization machine with the label variable ``out_label``.

    It computes w0 + x·w1 + ½ (|x·v|² − x²·(v² summed over factors)).

    Parameters
    ----------
    predictor_type : {"regressor", "binary_classifier"}
        The classifier ends in a logistic function.
    feature_dim, num_factors : int
        Shape of ``v``.

    Returns
    -------
    str
        JSON that ``mx.mod.Module.load`` reads.
    """
    nodes: list[dict[str, Any]] = []

    def add(op: str, name: str, inputs: tuple[int, ...] = (), **attributes: object) -> int:
        node: dict[str, Any] = {
            "op": op,
            "name": name,
            "inputs": [[place, 0, 0] for place in inputs],
        }
        if attributes:
            node["attrs"] = {key: str(value) for key, value in attributes.items()}
        nodes.append(node)
        return len(nodes) - 1

    by_row = {"axis": 1, "keepdims": True}
    x = add("null", "data")
    w1 = add("null", "w1_weight", __shape__=(feature_dim, 1))
    w0 = add("null", "w0_weight", __shape__=(1,))
    v = add("null", "v", __shape__=(feature_dim, num_factors))
    linear = add("broadcast_add", "linear", (add("dot", "x_w1", (x, w1)), w0))
    square_of_sum = add(
        "sum", "xv_sq_sum", (add("square", "xv_sq", (add("dot", "x_v", (x, v)),)),), **by_row
    )
    v_squares = add("sum", "v_sq_sum", (add("square", "v_sq", (v,)),), **by_row)
    sum_of_squares = add("dot", "x2_v2", (add("square", "x_sq", (x,)), v_squares))
    difference = add("elemwise_sub", "diff", (square_of_sum, sum_of_squares))
    interactions = add("_mul_scalar", "interactions", (difference,), scalar=0.5)
    score = add("elemwise_add", "score", (linear, interactions))
    loss = (
        "LogisticRegressionOutput"
        if predictor_type == "binary_classifier"
        else "LinearRegressionOutput"
    )
    out = add(loss, "out", (score, add("null", "out_label")))
    graph = {
        "nodes": nodes,
        "arg_nodes": [place for place, node in enumerate(nodes) if node["op"] == "null"],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[out, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }
    return json.dumps(graph, indent=2)
