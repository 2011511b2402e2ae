"""Operations on training jobs."""

from __future__ import annotations

import math
import re
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs.training_run import TrainingJob
from local_sagemaker.service import images, supported
from local_sagemaker.service.account import RUNNING, Account, Request
from local_sagemaker.service.store import TRAINING, Record, now

#: Hyperparameters by which SDK version 2 asks for several processes that know each other.
_LAUNCHERS = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_torch_distributed_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
)


def create_training_job(account: Account, request: Request) -> Record:
    """Run a script or a built-in algorithm, in the background."""
    check(account, request)
    return start(account, request)


def describe_training_job(account: Account, request: Request) -> Record:
    """Describe a training job; a metric that is no finite number is left out, as JSON has none."""
    record = account.store.get(TRAINING, request["TrainingJobName"])
    metrics = record.get("FinalMetricDataList") or []
    return record | {"FinalMetricDataList": [m for m in metrics if math.isfinite(m["Value"])]}


def stop_training_job(account: Account, request: Request) -> Record:
    """Have a training job stop; what it saved so far is uploaded."""
    account.stop(TRAINING, request["TrainingJobName"])
    return {}


def delete_training_job(account: Account, request: Request) -> Record:
    """Delete the description of a training job that ended."""
    name = request["TrainingJobName"]
    status = account.store.get(TRAINING, name)["TrainingJobStatus"]
    if status in RUNNING:
        raise ApiError(
            f"The training job {name} is in status {status}; only one that ended can be deleted.",
            "ResourceInUse",
        )
    return account.store.remove(TRAINING, name)


def check(account: Account, request: Request) -> None:
    """Refuse a job that can't run here, before anything starts."""
    supported.refuse("CreateTrainingJob", request)
    for member in ("ResourceConfig", "AlgorithmSpecification"):
        if not request.get(member):
            raise ApiError(f"{member} is missing: every training job here needs one.")
    account.check_role(request["RoleArn"])
    channels = [channel["ChannelName"] for channel in request.get("InputDataConfig") or []]
    for name in channels:
        if channels.count(name) > 1:
            raise ApiError(f"The channel name {name!r} is given twice: give each name once.")
    for channel in request.get("InputDataConfig") or []:
        if not channel["DataSource"].get("S3DataSource"):
            raise ApiError(f"The channel {channel['ChannelName']!r} names no S3DataSource.")
    _check_settings(request)
    _check_algorithm(request)
    for metric in request["AlgorithmSpecification"].get("MetricDefinitions") or []:
        try:
            re.compile(metric["Regex"])
        except re.error as error:
            said = f"The regular expression of the metric {metric['Name']!r} can't be read"
            raise ApiError(f"{said}: {error}.") from None


def _check_settings(request: Request) -> None:
    settings = request.get("HyperParameters") or {}
    if request["AlgorithmSpecification"].get("ContainerEntrypoint"):
        for name, value in settings.items():
            if "'" in value:
                raise ApiError(
                    f"The hyperparameter {name!r} holds a single quote ({value!r}), which breaks"
                    " the script that the SageMaker SDK starts jobs with, on AWS too: pass it in a"
                    " file or without the quote."
                )
    single = request["ResourceConfig"].get("InstanceCount", 1) == 1
    for name in _LAUNCHERS:
        if settings.get(name, "").strip('"').lower() != "true":
            continue
        # AWS' toolkit, too, starts no parameter server for a single instance
        if name != "sagemaker_parameter_server_enabled" or not single:
            raise ApiError(
                f"The hyperparameter {name!r} is 'true', but nothing on this machine starts MPI,"
                " parameter servers or torchrun: use one instance, or TF_CONFIG, which two"
                " instances get."
            )


def _check_algorithm(request: Request) -> None:
    algorithm, settings = request["AlgorithmSpecification"], request.get("HyperParameters") or {}
    if not algorithm.get("TrainingImage"):
        raise ApiError("Name a TrainingImage: nothing else says what to train.")
    if algorithm.get("ContainerEntrypoint") or "sagemaker_program" in settings:
        return
    if images.algorithm(algorithm["TrainingImage"]) is None:
        raise images.no_training(algorithm["TrainingImage"])
    if algorithm.get("MetricDefinitions"):
        raise ApiError(
            "You can't override the metric definitions for Amazon SageMaker algorithms."
            " Please retry the request without specifying metric definitions."
        )


def start(account: Account, request: Request, **more: Any) -> Record:
    """Keep the record of a job that was checked, with ``more``, and run it; return the record."""
    message = "Preparing the instances for training"
    first = {"Status": "Starting", "StartTime": now(), "StatusMessage": message}
    output = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    artifact = f"{output}/{request['TrainingJobName']}/output/model.tar.gz"  # where it will be
    defaults = {"StoppingCondition": {"MaxRuntimeInSeconds": 86_400}}
    return account.submit(
        TRAINING,
        {**defaults, "EnableNetworkIsolation": False, **request},
        TrainingJob,
        TrainingJobStatus="InProgress",
        SecondaryStatus="Starting",
        SecondaryStatusTransitions=[first],
        ModelArtifacts={"S3ModelArtifacts": artifact},
        ProfilingStatus="Disabled",
        **more,
    )
