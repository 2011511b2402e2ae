"""Operations on training jobs and batch transform jobs."""

import re
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.formats import payload
from local_sagemaker.jobs.training_run import TrainingJob, built_in
from local_sagemaker.jobs.transform_run import TransformJob
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.store import MODEL, TRAINING, TRANSFORM, Record, now

#: Hyperparameters by which SDK version 2 switches on what only its containers have.
_SWITCH = re.compile(r"sagemaker_(?!multi_worker_mirrored)\w+_enabled")


def create_training_job(account: Account, request: Request) -> Record:
    """Run a script or a built-in algorithm, in the background."""
    check(account, request)
    return start(account, request)


def create_transform_job(account: Account, request: Request) -> Record:
    """Send every object below a prefix through a model, in the background."""
    size = request.get("MaxPayloadInMB", 0) * request.get("MaxConcurrentTransforms", 1)
    if size > 100:
        raise ApiError(f"MaxPayloadInMB times MaxConcurrentTransforms is {size}; it can be 100.")
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
    return account.submit(TRANSFORM, request, TransformJob)


def check(account: Account, request: Request) -> None:
    """Refuse a job that can't run here, before anything starts."""
    algorithm = request.get("AlgorithmSpecification") or {}
    if not request.get("ResourceConfig") or not algorithm.get("TrainingImage"):
        raise ApiError("Name a ResourceConfig and a TrainingImage: every job here needs both.")
    account.check_role(request["RoleArn"])
    channels = request.get("InputDataConfig") or []
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise ApiError(f"A channel name is given twice: {', '.join(names)}.")
    if not all(channel["DataSource"].get("S3DataSource") for channel in channels):
        raise ApiError("Every channel's DataSource needs an S3DataSource.")
    for metric in algorithm.get("MetricDefinitions") or []:
        try:
            re.compile(metric["Regex"])
        except re.error as error:
            said = f"The regular expression of the metric {metric['Name']!r} is none"
            raise ApiError(f"{said}: {error}.") from None
    settings = request.get("HyperParameters") or {}
    for name in filter(_SWITCH.fullmatch, settings):
        # AWS' toolkit, too, starts no parameter server for a single instance
        one = request["ResourceConfig"].get("InstanceCount", 1) == 1
        idle = one and name == "sagemaker_parameter_server_enabled"
        if settings[name].strip('"').lower() == "true" and not idle:
            said = f"The hyperparameter {name!r} is 'true', but nothing on this machine starts MPI,"
            raise ApiError(f"{said} parameter servers, torchrun or a compiler.")
    if built_in(request) and algorithm.get("MetricDefinitions"):
        raise ApiError("You can't override the metric definitions for Amazon SageMaker algorithms.")


def start(account: Account, request: Request, **more: Any) -> Record:
    """Keep the record of a job that was checked, with ``more``, and run it; return the record."""
    first = {"Status": "Starting", "StatusMessage": "Preparing the instances for training"}
    output = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    artifact = f"{output}/{request['TrainingJobName']}/output/model.tar.gz"  # where it will be
    defaults = {"StoppingCondition": {"MaxRuntimeInSeconds": 86_400}}
    given = {**defaults, "EnableNetworkIsolation": False, **request}
    more |= {"SecondaryStatus": "Starting", "ProfilingStatus": "Disabled"}
    more |= {"SecondaryStatusTransitions": [first | {"StartTime": now()}]}
    more |= {"ModelArtifacts": {"S3ModelArtifacts": artifact}}
    return account.submit(TRAINING, given, TrainingJob, **more)
