"""Operations on batch transform jobs."""

from __future__ import annotations

from local_sagemaker.errors import ApiError
from local_sagemaker.formats import payload
from local_sagemaker.jobs.transform_run import TransformJob
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.store import MODEL, TRANSFORM, Record

_MOST_MB = 100  # of all requests that are sent at once


def create_transform_job(account: Account, request: Request) -> Record:
    """Send every object below a prefix through a model, in the background."""
    size, many = request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms") or 1
    if size and size * many > _MOST_MB:
        raise ApiError(
            f"MaxPayloadInMB ({size}) times MaxConcurrentTransforms ({many}) is {size * many};"
            f" it can be {_MOST_MB}."
        )
    path = (request.get("DataProcessing") or {}).get("InputFilter") or "$"
    if path != "$":
        try:
            payload.columns(path)
        except payload.PayloadError as error:
            raise ApiError(f"DataProcessing.InputFilter: {error}.") from None
        kind = request["TransformInput"].get("ContentType")
        if kind != "text/csv":
            raise ApiError(f"An InputFilter takes text/csv here; ContentType is {kind!r}.")
    account.store.get(MODEL, request["ModelName"])
    return account.submit(TRANSFORM, request, TransformJob, TransformJobStatus="InProgress")


def stop_transform_job(account: Account, request: Request) -> Record:
    """Have a transform job stop; what it answered so far stays in S3."""
    account.stop(TRANSFORM, request["TransformJobName"])
    return {}
