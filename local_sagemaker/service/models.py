"""Operations on models, endpoint configurations and tags; what serves a model."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_sagemaker.algorithms import BUILTIN, Algorithm
from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import channels
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.store import ACCOUNT, CONFIG, GROUP, MODEL, PACKAGE, Record, by_key
from local_sagemaker.serving.process import ModelServer, Pipeline

_AWS = re.compile(
    rf"(?!{ACCOUNT})\d{{12}}\.dkr\.ecr(-fips)?\.[\w-]+\.amazonaws\.com(\.cn)?/(?P<name>[\w-]+)"
    r"(:[\w.-]+)?(@sha256:[0-9a-f]+)?"
)
_NOT_VALIDATED: Record = {"ValidationStatuses": []}
READY_SECONDS = 120.0  # TensorFlow's import can take twenty on a busy machine


def create_model(account: Account, request: Request) -> Record:
    """Keep a model of one container or several in a row, once its role and its data are found."""
    given = containers_of(request)
    if not given or (request.get("PrimaryContainer") and request.get("Containers")):
        raise ApiError("Give the model a PrimaryContainer, or Containers that follow each other.")
    if request.get("ExecutionRoleArn"):
        account.check_role(request["ExecutionRoleArn"])
    for source in filter(None, map(_source, given)):
        found = next(channels.keys(account.s3, uri := source["S3Uri"]), None)
        whole = source["CompressionType"] != "Gzip"
        if found is None or not (whole or found[:2] == channels.split_uri(uri)):
            raise ApiError(f"Could not find model data at {uri}.")
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
    return account.store.add(GROUP, request, ModelPackageGroupStatus="Completed", CreatedBy={})


def create_model_package(account: Account, request: Request) -> Record:
    """Keep the next version of a group; what a client sends again is one version."""
    with account.store.lock:
        group = account.store.named(GROUP, request.get("ModelPackageGroupName", ""))
        name, number = group["ModelPackageGroupName"], group.get("Versions", 0) + 1
        for one in account.store.all(PACKAGE):
            again = one.get("ClientToken", "") == request.get("ClientToken")
            if again and one["ModelPackageGroupName"] == name:
                return one
        account.store.update(GROUP, name, Versions=number)
        made = {"ModelApprovalStatus": "PendingManualApproval", **request}
        made |= {"ModelPackageGroupName": name, "ModelPackageName": name}
        made |= {"ModelPackageVersion": number, "Version": f"{name}/{number}".lower()}
        made |= {"ModelPackageStatus": "Completed", "ModelPackageStatusDetails": _NOT_VALIDATED}
        return account.store.add(PACKAGE, made)


def describe_model_package(account: Account, request: Request) -> Record:
    name = request.get("ModelPackageName") or request["ModelPackageArn"]
    return account.store.named(PACKAGE, name)


def update_model_package(account: Account, request: Request) -> Record:
    found = describe_model_package(account, request)
    if changed := request.get("ModelApprovalStatus"):
        account.store.update(PACKAGE, found["Version"], ModelApprovalStatus=changed)
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
    given = model.get("Containers") or [model.get("PrimaryContainer")]
    return [container for container in given if container]


def model_server(
    account: Account, model: Record, folder: Path, stream: Stream, more: Mapping[str, str]
) -> Pipeline:
    """Unpack a model into a folder; return what serves it, to start, with ``more`` variables."""
    made = []
    for number, container in enumerate(containers_of(model), 1):
        own = {**(container.get("Environment") or {}), **more}
        place = folder / (f"model-{number}" if number > 1 else "model")
        kind = _unpack(account, container, place, own)
        variables = account.environment() | own
        made.append(ModelServer(kind, place, environment=variables, log=stream.served(place)))
    return Pipeline(made)


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
    return _serving_kind(container.get("Image", ""), folder, environment)


def _source(container: Mapping[str, Any]) -> dict[str, str]:
    """Return where a container's model data is, or nothing, as the model's API puts it."""
    if container.get("ModelDataUrl"):
        return {"S3Uri": container["ModelDataUrl"], "CompressionType": "Gzip"}
    return (container.get("ModelDataSource") or {}).get("S3DataSource") or {}


def algorithm(image: str) -> Algorithm | None:
    """Return the built-in algorithm of an image of AWS', or None: ``my-org/knn`` is not ``knn``."""
    found = _AWS.fullmatch(image)
    return BUILTIN.get(found["name"]) if found else None


def trained(image: str) -> Algorithm:
    """Return the algorithm that a training image trains; an `ApiError` where it is none."""
    if found := algorithm(image):
        return found
    said = (
        f"No program of this machine stands in for the training image {image!r}: give source code"
    )
    raise ApiError(f"{said} (script mode), or use AWS' image of {' or '.join(sorted(BUILTIN))}.")


def _serving_kind(image: str, model: Path, environment: Mapping[str, str]) -> str:
    """Return which model server serves a model: an algorithm's, a SavedModel's or a script's."""
    if built_in := algorithm(image):
        return built_in.name
    name = re.split("[:@]", image.rpartition("/")[2])[0]
    saved = any(model.rglob("saved_model.pb"))
    if name.startswith("tensorflow") and (saved or name == "tensorflow-inference"):
        return "tensorflow"
    program = Path(environment.get("SAGEMAKER_PROGRAM") or "inference.py").name
    if (model / "code" / program).exists() or (model / program).exists():
        return "script"
    said = (
        f"No program of this machine can serve the image {image!r}, no built-in algorithm's, with"
    )
    raise ApiError(f"{said} this model: it holds neither a SavedModel nor code/{program}.")
