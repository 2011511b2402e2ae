"""The serving half of the ``knn`` image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from local_sagemaker.algorithms.formats import decode, encode
from local_sagemaker.algorithms.knn_model import KNNModel
from local_sagemaker.serving.server import Request, Response, serve


class Neighborhood:
    """An index behind ``/invocations``."""

    def __init__(self, model: KNNModel) -> None:
        self._model = model

    def invoke(self, request: Request) -> Response:
        """Answer labels; with ``verbose=true`` in ``Accept`` also the neighbors'."""
        queries = decode(request, self._model.feature_dim, csv=True).toarray()
        verbose = "verbose=true" in request.accept.replace(" ", "").lower()
        body, kind = encode(self._model.answers(queries, verbose), request.accept)
        return Response(body, f"{kind}; verbose=true" if verbose else kind)


def main() -> NoReturn:
    """Load the model and serve it."""
    model = KNNModel.load(Path(os.environ["COURSE_MODEL_DIR"]))
    serve(Neighborhood(model).invoke, backend="the course's own knn container, over faiss")


if __name__ == "__main__":
    main()
