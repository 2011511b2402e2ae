"""Operations on models, endpoint configurations and tags."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import channels
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import images
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.listing import listing
from local_sagemaker.service.store import CONFIG, GROUP, MODEL, PACKAGE, Record, by_key
from local_sagemaker.serving.process import ModelServer, Pipeline

READY_SECONDS = 120.0  # TensorFlow's import can take twenty on a busy machine


def create_model(account: Account, request: Request) -> Record:
    """Keep a model of one container or several in a row, once its role and its data are found."""
    given = containers_of(request)
    if not given or (request.get("PrimaryContainer") and request.get("Containers")):
        raise ApiError("Give the model a PrimaryContainer, or Containers that follow each other.")
    if request.get("ExecutionRoleArn"):
        account.check_role(request["ExecutionRoleArn"])
    for source in filter(None, map(_source, given)):
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


def create_model_package_group(account: Account, request: Request) -> Record:
    return account.store.add(GROUP, request, ModelPackageGroupStatus="Completed")


list_model_package_groups = partial(listing, GROUP, "ModelPackageGroupSummaryList")


def create_model_package(account: Account, request: Request) -> Record:
    """Keep the next version of a group; what a client sends again is one version."""
    with account.store.lock:
        for one in account.store.all(PACKAGE):
            if one.get("ClientToken", "") == request.get("ClientToken"):
                return one
        name = request.get("ModelPackageGroupName", "").rpartition("/")[2]
        number = account.store.get(GROUP, name).get("Versions", 0) + 1
        account.store.update(GROUP, name, Versions=number)
        made: Record = {"ModelPackageStatusDetails": {"ValidationStatuses": []}}
        made |= {"ModelApprovalStatus": "PendingManualApproval", **request}
        made["ModelPackageStatus"] = "Completed"
        made |= {"ModelPackageGroupName": name, "ModelPackageName": name}
        made |= {"ModelPackageVersion": number, "Version": f"{name}/{number}".lower()}
        return account.store.add(PACKAGE, made)


def describe_model_package(account: Account, request: Request) -> Record:
    arn = request.get("ModelPackageName") or request["ModelPackageArn"]
    return account.store.get(PACKAGE, arn.partition(":model-package/")[2])


def update_model_package(account: Account, request: Request) -> Record:
    found = describe_model_package(account, request)
    changed = {"ModelApprovalStatus": request.get("ModelApprovalStatus")}
    account.store.update(PACKAGE, found["Version"], **changed)
    return found


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


def containers_of(model: Request) -> list[dict[str, Any]]:
    """Return the containers of a model, in the order in which they answer."""
    given = model.get("Containers") or [model.get("PrimaryContainer")]
    return [container for container in given if container]


def model_server(
    account: Account, model: Record, folder: Path, stream: Stream, more: Mapping[str, str]
) -> ModelServer | Pipeline:
    """Unpack a model into a folder; return what serves it, to start, with ``more`` variables."""
    made = []
    for number, container in enumerate(containers_of(model), 1):
        own = {**(container.get("Environment") or {}), **more}
        place = folder / (f"model-{number}" if number > 1 else "model")
        kind = _unpack(account, container, place, own)
        variables = account.environment() | own
        made.append(ModelServer(kind, place, environment=variables, log=stream.served(place)))
    return made[0] if len(made) == 1 else Pipeline(made)


def _unpack(
    account: Account, container: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> str:
    """Put a container's data and code into a folder; return the kind of model server for it."""
    source = _source(container)
    folder.mkdir(parents=True, exist_ok=True)
    if source.get("CompressionType") == "Gzip":
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


def _source(container: Mapping[str, Any]) -> dict[str, str]:
    """Return where a container's model data is, or nothing, as the model's API puts it."""
    if container.get("ModelDataUrl"):
        return {"S3Uri": container["ModelDataUrl"], "CompressionType": "Gzip"}
    return (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
