"""Batch transforms: create, describe, list, stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs.transform_run import TransformJob
from local_sagemaker.service.operations import Answer, operation, refuse
from local_sagemaker.service.plane import Plane
from local_sagemaker.service.store import MODEL, TRANSFORM
from local_sagemaker.service.usual import describes, lists, stops

_UNSUPPORTED = {
    "DataCaptureConfig": "nothing is captured",
    "ExperimentConfig": "there are no experiments",
}
_WHOLE = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
_MOST_MB = 100  # of one request, and of all that are sent at a time


@operation("CreateTransformJob")
def create_transform_job(plane: Plane, request: Mapping[str, Any]) -> Answer:
    """Refuse a transform that can't run here as asked; run any other."""
    refuse(request, _UNSUPPORTED)
    if _WHOLE | (request.get("DataProcessing") or {}) != _WHOLE:
        raise ApiError(
            "DataProcessing (filters, joining input and output) is not supported by the SageMaker"
            " that runs on this machine: join the objects after the job."
        )
    if request["TransformInput"].get("CompressionType", "None") != "None":
        raise ApiError("CompressionType must be None on this machine.")
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise ApiError("S3DataType must be S3Prefix or ManifestFile on this machine.")
    count = request["TransformResources"]["InstanceCount"]
    if count > 1:
        raise ApiError(
            f"InstanceCount is {count}; a transform on this machine has one model server: raise"
            " MaxConcurrentTransforms to send it several requests at a time."
        )
    size, at_a_time = request.get("MaxPayloadInMB", 6), request.get("MaxConcurrentTransforms") or 1
    if size > _MOST_MB or (request.get("MaxPayloadInMB") and size * at_a_time > _MOST_MB):
        raise ApiError(
            f"MaxPayloadInMB is {size} and MaxConcurrentTransforms is {at_a_time}: MaxPayloadInMB,"
            f" and the product of both, must be at most {_MOST_MB}."
        )
    plane.store.get(MODEL, request["ModelName"])
    record = plane.submit(TRANSFORM, request, TransformJob, TransformJobStatus="InProgress")
    return {"TransformJobArn": record["TransformJobArn"]}


describes(TRANSFORM)
lists(TRANSFORM, "TransformJobSummaries", status="TransformJobStatus")
stops(TRANSFORM)
