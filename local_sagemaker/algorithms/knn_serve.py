"""The serving half of the ``knn`` image."""

import os
from functools import partial
from pathlib import Path

from local_sagemaker.algorithms.inference import decode, encode
from local_sagemaker.algorithms.knn_model import KNNModel
from local_sagemaker.serving.server import ClientError, Request, Response, serve


def answer(model: KNNModel, request: Request) -> Response:
    """Return labels; with ``verbose=true`` in ``Accept`` also those of the neighbors."""
    queries = decode(request, model.feature_dim, csv=True).toarray()
    verbose = "verbose=true" in request.accept.replace(" ", "").lower()
    try:
        found = model.answers(queries, verbose)
    except ValueError as wrong:
        raise ClientError(str(wrong)) from None
    body, kind = encode(found, request.accept)
    return Response(body, f"{kind}; verbose=true" if verbose else kind)


if __name__ == "__main__":
    fitted = KNNModel.load(Path(os.environ["LOCAL_SAGEMAKER_MODEL_DIR"]))
    serve(partial(answer, fitted), backend="k nearest neighbors over faiss, with AWS' formats")
