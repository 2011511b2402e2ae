"""Operations on models, endpoint configurations and tags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import channels
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import images
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.store import CONFIG, MODEL, Record
from local_sagemaker.serving.process import ModelServer, Pipeline


def create_model(account: Account, request: Request) -> Record:
    """Keep a model of one container or several in a row, once its role and its data are found."""
    given = containers_of(request)
    if not given or (request.get("PrimaryContainer") and request.get("Containers")):
        raise ApiError("Give the model a PrimaryContainer, or Containers that follow each other.")
    if not all(container.get("Image") for container in given):
        raise ApiError("Name the container's Image; model packages are not on this machine.")
    if request.get("ExecutionRoleArn"):
        account.check_role(request["ExecutionRoleArn"])
    for container in given:
        _check_data(account, container)
    return account.store.add(MODEL, request)


def create_endpoint_config(account: Account, request: Request) -> Record:
    """Keep a configuration of one production variant of an existing model."""
    variants = request["ProductionVariants"]
    if len(variants) != 1:
        raise ApiError(
            f"{len(variants)} production variants; the SageMaker that runs on this machine serves"
            " exactly one."
        )
    variant = {"InitialVariantWeight": 1.0, **variants[0]}
    if not variant.get("ModelName"):
        raise ApiError("Name the variant's ModelName; there are no inference components here.")
    account.store.get(MODEL, variant["ModelName"])
    return account.store.add(CONFIG, {**request, "ProductionVariants": [variant]})


def add_tags(account: Account, request: Request) -> Record:
    """Add tags to a job, model, endpoint or configuration."""
    account.store.change_tags(request["ResourceArn"], request["Tags"], [])
    return list_tags(account, request)


def list_tags(account: Account, request: Request) -> Record:
    """List the tags of a resource: all 50 that it can have are one page."""
    if request.get("NextToken"):
        raise ApiError("The tags of a resource are one page here: there is no NextToken.")
    tags = account.store.tags(request["ResourceArn"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def delete_tags(account: Account, request: Request) -> Record:
    """Remove tags from a resource."""
    account.store.change_tags(request["ResourceArn"], [], request["TagKeys"])
    return {}


def containers_of(model: Request) -> list[dict[str, Any]]:
    """Return the containers of a model, in the order in which they answer."""
    given = model.get("Containers") or [model.get("PrimaryContainer")]
    return [container for container in given if container]


def server(
    account: Account, model: Record, folder: Path, more: Mapping[str, str], log: Stream
) -> ModelServer | Pipeline:
    """Unpack a model into a folder; return what serves it, not yet started.

    Raises
    ------
    ApiError
        Data is missing or no archive, or nothing here can serve it.
    """
    made = []
    for number, container in enumerate(containers_of(model), 1):
        own = {**(container.get("Environment") or {}), **more}
        place = folder / (f"model-{number}" if number > 1 else "model")
        kind = _unpack(account, container, place, own)
        variables = account.environment() | own
        made.append(ModelServer(kind, place, environment=variables, log=log.served(place)))
    return made[0] if len(made) == 1 else Pipeline(made)


def _unpack(
    account: Account, container: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> str:
    """Put a container's data and code into a folder; return the kind of model server for it."""
    folder.mkdir(parents=True, exist_ok=True)
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if container.get("ModelDataUrl"):
        channels.unpack(account.s3, container["ModelDataUrl"], folder)
    elif source and source.get("CompressionType") == "Gzip":
        channels.unpack(account.s3, source["S3Uri"], folder)
    elif source:
        channels.fill(account.s3, source, folder)
    submitted = environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted.startswith("s3://"):
        channels.unpack(account.s3, submitted, folder / "code")
    code = folder / "code" / "inference.py"
    if code.is_file() and code.with_name("serve.pkl").is_file():  # the SDK's own, with its path
        text = code.read_text(encoding="utf-8").replace("/opt/ml/model", str(folder))
        code.write_text(text, encoding="utf-8")
    return images.serving_kind(container.get("Image", ""), folder, environment)


def _check_data(account: Account, container: Mapping[str, Any]) -> None:
    """Refuse a container whose model data is not in S3, as SageMaker does at once."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    uri = container.get("ModelDataUrl") or source.get("S3Uri")
    if not uri:
        return
    bucket, key = channels.split_uri(uri)
    try:
        rows = account.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", [])
    except account.s3.exceptions.NoSuchBucket:
        rows = []
    if not rows or (container.get("ModelDataUrl") and rows[0]["Key"] != key):
        raise ApiError(f"Could not find model data at {uri}.")
