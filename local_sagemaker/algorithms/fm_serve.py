"""The serving half of the ``factorization-machines`` image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from local_sagemaker.algorithms.fm import fm_scores
from local_sagemaker.algorithms.inference import decode, encode
from local_sagemaker.formats.artifact import FMArtifact, read_model
from local_sagemaker.serving.server import Invocation, Response, serve


class Machine:
    """A fitted factorization machine behind ``/invocations``; no CSV, as on AWS."""

    def __init__(self, model: FMArtifact) -> None:
        self._model = model
        self._classifies = model.hyperparameters.get("predictor_type") == "binary_classifier"

    def invoke(self, request: Invocation) -> Response:
        """Return a score for each row of a request; a classifier adds the predicted label."""
        model = self._model
        scores = fm_scores(decode(request, len(model.v), csv=False), model.w0, model.w1, model.v)
        rows: list[dict[str, Any]] = [{"score": score} for score in scores.tolist()]
        if self._classifies:
            with np.errstate(over="ignore"):  # a probability of 0
                odds = np.exp(-scores.astype(np.float64))
            rows = [
                {"score": p, "predicted_label": float(p >= 0.5)} for p in (1 / (1 + odds)).tolist()
            ]
        return Response(*encode(rows, request.accept))


def main() -> NoReturn:
    """Load the artifact and serve it."""
    machine = Machine(read_model(Path(os.environ["COURSE_MODEL_DIR"])))
    serve(machine.invoke, backend="factorization machines in NumPy, with AWS' formats")


if __name__ == "__main__":
    main()
