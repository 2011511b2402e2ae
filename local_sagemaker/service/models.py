"""Models and endpoint configurations: descriptions that endpoints and transforms start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import channels
from local_sagemaker.service import images
from local_sagemaker.service.operations import Answer, operation, refuse
from local_sagemaker.service.plane import Plane
from local_sagemaker.service.store import CONFIG, MODEL, Record
from local_sagemaker.service.usual import deletes, describes, lists

_NO_ENDPOINT = {
    "DataCaptureConfig": "nothing is captured; log requests in the model's own code",
    "AsyncInferenceConfig": "there are no asynchronous endpoints",
    "ShadowProductionVariants": "there are no shadow variants",
    "ExplainerConfig": "there is no explainer",
    "VpcConfig": "there is no network to choose",
}


def container_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one container of a model."""
    containers = model.get("Containers") or [model.get("PrimaryContainer") or {}]
    return dict(containers[0])


def unpack(plane: Plane, model: Record, folder: Path, environment: Mapping[str, str]) -> str:
    """Put a model's data and code into a folder.

    Returns
    -------
    str
        The kind of model server that can serve it.

    Raises
    ------
    ApiError
        Data is missing or no archive, or nothing here can serve it.
    """
    container = container_of(model)
    folder.mkdir(parents=True, exist_ok=True)
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if container.get("ModelDataUrl"):
        channels.unpack(plane.s3, container["ModelDataUrl"], folder)
    elif source and source.get("CompressionType") == "Gzip":
        channels.unpack(plane.s3, source["S3Uri"], folder)
    elif source:
        channels.fill(plane.s3, source, folder)
    submitted = environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted.startswith("s3://"):
        channels.unpack(plane.s3, submitted, folder / "code")
    return images.serving_kind(container.get("Image", ""), folder, environment)


@operation("CreateModel")
def _create_model(plane: Plane, request: Mapping[str, Any]) -> Answer:
    refuse(request, {"VpcConfig": "there is no network to choose"})
    containers = request.get("Containers") or []
    if request.get("PrimaryContainer"):
        containers = [*containers, request["PrimaryContainer"]]
    if len(containers) != 1:
        raise ApiError(
            f"A model has {len(containers)} containers here; exactly one is supported, as"
            " PrimaryContainer or as"
            " the only one of Containers."
        )
    if not containers[0].get("Image"):
        raise ApiError("Name the container's Image; model packages are not on this machine.")
    if containers[0].get("Mode", "SingleModel") != "SingleModel":
        raise ApiError(
            "Multi-model containers are not supported by the SageMaker that runs on this machine."
        )
    return {"ModelArn": plane.store.add(MODEL, request)["ModelArn"]}


@operation("CreateEndpointConfig")
def _create_config(plane: Plane, request: Mapping[str, Any]) -> Answer:
    refuse(request, _NO_ENDPOINT)
    variants = request["ProductionVariants"]
    if len(variants) != 1:
        raise ApiError(
            f"{len(variants)} production variants; the SageMaker that runs on this machine serves exactly"
            " one."
        )
    variant = dict(variants[0])
    refuse(variant, {"ServerlessConfig": "there are no serverless endpoints"})
    refuse(variant, {"ManagedInstanceScaling": "an endpoint is one process"})
    if not variant.get("ModelName"):
        raise ApiError(
            "Name the ModelName of the production variant; inference components are not here."
        )
    plane.store.get(MODEL, variant["ModelName"])
    variant.setdefault("InitialVariantWeight", 1.0)
    record = plane.store.add(CONFIG, {**request, "ProductionVariants": [variant]})
    return {"EndpointConfigArn": record["EndpointConfigArn"]}


for _kind, _rows in ((MODEL, "Models"), (CONFIG, "EndpointConfigs")):
    describes(_kind)
    lists(_kind, _rows)
    deletes(_kind)
