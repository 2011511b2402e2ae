"""Operations on models, endpoint configurations and tags."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import channels
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import images
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.store import CONFIG, MODEL, Record, by_key
from local_sagemaker.serving.process import ModelServer

READY_SECONDS = 120.0  # TensorFlow's import can take twenty on a busy machine


def create_model(account: Account, request: Request) -> Record:
    """Keep a model of one container, once its role and its data are found."""
    primary = request.get("PrimaryContainer")
    given = [*(request.get("Containers") or []), *([primary] if primary else [])]
    if len(given) != 1:
        raise ApiError(f"The model has {len(given)} containers; exactly one is supported here.")
    if request.get("ExecutionRoleArn"):
        account.check_role(request["ExecutionRoleArn"])
    if source := _source(given[0]):
        bucket, key = channels.split_uri(source["S3Uri"])
        try:
            found = account.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
            keys = [row["Key"] for row in found.get("Contents", [])]
        except account.s3.exceptions.NoSuchBucket:
            keys = []
        if not keys or (source["CompressionType"] == "Gzip" and keys != [key]):
            raise ApiError(f"Could not find model data at {source['S3Uri']}.")
    return account.store.add(MODEL, request)


def create_endpoint_config(account: Account, request: Request) -> Record:
    """Keep a configuration of one production variant of an existing model."""
    variants = request["ProductionVariants"]
    if len(variants) != 1:
        raise ApiError(f"{len(variants)} production variants; an endpoint here serves exactly one.")
    variant = {"InitialVariantWeight": 1.0, **variants[0]}
    account.store.get(MODEL, variant.get("ModelName", ""))
    return account.store.add(CONFIG, {**request, "ProductionVariants": [variant]})


def add_tags(account: Account, request: Request) -> Record:
    account.store.change_tags(request["ResourceArn"], by_key(request["Tags"]), [])
    return list_tags(account, request)


def list_tags(account: Account, request: Request) -> Record:
    """List the tags of a resource: all 50 that it can have are one page."""
    tags = account.store.of_arn(request["ResourceArn"])[1]["Tags"]
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def delete_tags(account: Account, request: Request) -> Record:
    account.store.change_tags(request["ResourceArn"], {}, request["TagKeys"])
    return {}


def model_server(
    account: Account, model: Record, folder: Path, stream: Stream, more: Mapping[str, str]
) -> ModelServer:
    """Put a model into a folder; return its server, to start, with its variables and ``more``."""
    container = dict((model.get("Containers") or [model.get("PrimaryContainer") or {}])[0])
    source, environment = _source(container), {**(container.get("Environment") or {}), **more}
    folder.mkdir(parents=True, exist_ok=True)
    if source.get("CompressionType") == "Gzip":
        channels.unpack(account.s3, source["S3Uri"], folder)
    elif source:
        channels.fill(account.s3, source, folder)
    submitted = environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted.startswith("s3://"):
        channels.unpack(account.s3, submitted, folder / "code")
    kind = images.serving_kind(container.get("Image", ""), folder, environment)
    variables = account.environment() | environment
    return ModelServer(kind, folder, environment=variables, log=stream.served(folder))


def _source(container: Mapping[str, Any]) -> dict[str, str]:
    """Return where a container's model data is, or nothing, as the model's API puts it."""
    if container.get("ModelDataUrl"):
        return {"S3Uri": container["ModelDataUrl"], "CompressionType": "Gzip"}
    return (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
