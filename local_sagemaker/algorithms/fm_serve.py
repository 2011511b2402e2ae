"""The serving half of the ``factorization-machines`` image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from local_sagemaker.algorithms.fm import fm_scores
from local_sagemaker.algorithms.formats import decode, encode
from local_sagemaker.formats.artifact import FMArtifact, read_model
from local_sagemaker.serving.server import Request, Response, serve


class Machine:
    """A fitted factorization machine behind ``/invocations``; no CSV, as AWS has it."""

    def __init__(self, model: FMArtifact) -> None:
        self._model = model
        self._classifies = model.hyperparameters.get("predictor_type") == "binary_classifier"

    def invoke(self, request: Request) -> Response:
        """Score the rows of a request: ``{"predictions": [{"score": …}]}``; a classifier adds the label."""
        model = self._model
        scores = fm_scores(decode(request, len(model.v), csv=False), model.w0, model.w1, model.v)
        rows: list[dict[str, Any]]
        if self._classifies:
            probabilities = 1 / (1 + np.exp(-scores.astype(np.float64)))
            rows = [
                {"score": p, "predicted_label": float(p >= 0.5)} for p in probabilities.tolist()
            ]
        else:
            rows = [{"score": score} for score in scores.tolist()]
        return Response(*encode(rows, request.accept))


def main() -> NoReturn:
    """Load the artifact and serve it."""
    machine = Machine(read_model(Path(os.environ["COURSE_MODEL_DIR"])))
    serve(machine.invoke, backend="the course's own factorization-machines container, in NumPy")


if __name__ == "__main__":
    main()
