"""The serving half of the ``factorization-machines`` image."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from local_sagemaker.algorithms.fm import fm_scores
from local_sagemaker.algorithms.inference import decode, encode
from local_sagemaker.formats.artifact import FMArtifact, read_model
from local_sagemaker.serving.server import Request, Response, serve


def answer(model: FMArtifact, request: Request) -> Response:
    """Return a score for each row of a request; a classifier adds the predicted label."""
    with np.errstate(over="ignore", invalid="ignore"):  # refused with the answer
        x = decode(request, len(model.v), csv=False)
        scores = fm_scores(x, model.w0, model.w1, model.v)
        rows: list[dict[str, Any]] = [{"score": score} for score in scores.tolist()]
        if model.hyperparameters.get("predictor_type") == "binary_classifier":
            chances = 1 / (1 + np.exp(-scores.astype(np.float64)))
            rows = [{"score": p, "predicted_label": float(p >= 0.5)} for p in chances.tolist()]
    return Response(*encode(rows, request.accept))


if __name__ == "__main__":
    fitted = read_model(Path(os.environ["LOCAL_SAGEMAKER_MODEL_DIR"]))
    serve(partial(answer, fitted), backend="factorization machines in NumPy, with AWS' formats")
