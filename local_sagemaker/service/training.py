"""Training jobs: create, describe, stop, list, delete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs.training_run import TrainingJob
from local_sagemaker.service import images
from local_sagemaker.service.operations import Answer, operation, refuse
from local_sagemaker.service.plane import Plane
from local_sagemaker.service.store import TRAINING, Record, now
from local_sagemaker.service.usual import RUNNING, describes, listed, stops

MOST_INSTANCES = 2
_UNSUPPORTED = {
    "VpcConfig": "there is no network to choose",
    "EnableManagedSpotTraining": "there are no spot instances",
    "CheckpointConfig": "nothing copies checkpoints to S3; write them to the model folder",
    "DebugRuleConfigurations": "there is no debugger",
    "ProfilerRuleConfigurations": "there is no profiler",
    "ExperimentConfig": "there are no experiments",
    "RetryStrategy": "a failed job is not run again",
    "ServerlessJobConfig": "there are no serverless jobs",
    "ModelPackageConfig": "there is no model registry",
    "MlflowConfig": "there is no MLflow server",
}


def check(request: Mapping[str, Any]) -> None:
    """Refuse a job that can't run here, before anything starts.

    Raises
    ------
    ApiError
        Says what is not supported, or what is wrong with a setting.
    """
    refuse(request, _UNSUPPORTED)
    for member in ("OutputDataConfig", "ResourceConfig", "AlgorithmSpecification"):
        if not request.get(member):
            raise ApiError(
                f"1 validation error detected: Value null at '{member[0].lower()}{member[1:]}' failed to"
                " satisfy"
                " constraint: Member must not be null"
            )
    if request["OutputDataConfig"].get("CompressionType", "GZIP") != "GZIP":
        raise ApiError("OutputDataConfig.CompressionType must be GZIP on this machine.")
    _check_resources(request["ResourceConfig"])
    _check_settings(request)
    modes = [request["AlgorithmSpecification"]["TrainingInputMode"]]
    for channel in request.get("InputDataConfig") or []:
        modes.append(channel.get("InputMode", "File"))
        if "S3DataSource" not in channel["DataSource"]:
            raise ApiError(
                f"Channel {channel['ChannelName']}: only S3 is a data source on this machine."
            )
        if channel["DataSource"]["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise ApiError(
                f"Channel {channel['ChannelName']}: S3DataType must be S3Prefix or ManifestFile on this"
                " machine."
            )
        if channel.get("CompressionType", "None") != "None":
            raise ApiError(
                f"Channel {channel['ChannelName']}: CompressionType must be None on this machine."
            )
    if set(modes) != {"File"}:
        raise ApiError(
            "The SageMaker that runs on this machine has the input mode File, not Pipe or FastFile."
        )
    _check_algorithm(request)


def _check_resources(resources: Mapping[str, Any]) -> None:
    if resources.get("InstanceGroups"):
        raise ApiError(
            "InstanceGroups are not supported by the SageMaker that runs on this machine."
        )
    count = resources.get("InstanceCount", 1)
    if count > MOST_INSTANCES:
        raise ApiError(
            f"InstanceCount is {count}; the SageMaker that runs on this machine starts at most"
            f" {MOST_INSTANCES}"
            " instances, each a process."
        )


def _check_settings(request: Mapping[str, Any]) -> None:
    for name, value in (request.get("HyperParameters") or {}).items():
        if "'" in value and request["AlgorithmSpecification"].get("ContainerEntrypoint"):
            raise ApiError(
                f"The hyperparameter {name!r} holds a single quote ({value!r}), which breaks the script"
                " that the"
                " SageMaker SDK starts jobs with, on AWS too: pass it in a file or without the quote."
            )
    for metric in request["AlgorithmSpecification"].get("MetricDefinitions") or []:
        try:
            re.compile(metric["Regex"])
        except re.error as error:
            raise ApiError(
                f"The regular expression of the metric {metric['Name']!r} can't be read: {error}."
            ) from None


def _check_algorithm(request: Mapping[str, Any]) -> None:
    algorithm, settings = request["AlgorithmSpecification"], request.get("HyperParameters") or {}
    if algorithm.get("AlgorithmName") or not algorithm.get("TrainingImage"):
        raise ApiError(
            "Name a TrainingImage; algorithms of the marketplace are not on this machine."
        )
    if algorithm.get("ContainerEntrypoint") or "sagemaker_program" in settings:
        return
    built_in = images.algorithm(algorithm["TrainingImage"])
    if built_in is None:
        raise images.no_training(algorithm["TrainingImage"])
    if algorithm.get("MetricDefinitions"):
        raise ApiError(
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please retry the"
            " request"
            " without specifying metric definitions."
        )


def start(plane: Plane, request: Mapping[str, Any]) -> Record:
    """Create a job that was checked, and run it; returns its description."""
    first = {
        "Status": "Starting",
        "StartTime": now(),
        "StatusMessage": "Preparing the instances for training",
    }
    defaults = {
        "StoppingCondition": {"MaxRuntimeInSeconds": 86_400},
        "EnableNetworkIsolation": False,
    }
    return plane.submit(
        TRAINING,
        {**defaults, **request},
        TrainingJob,
        TrainingJobStatus="InProgress",
        SecondaryStatus="Starting",
        SecondaryStatusTransitions=[first],
        ModelArtifacts={"S3ModelArtifacts": ""},
    )


@operation("CreateTrainingJob")
def _create(plane: Plane, request: Mapping[str, Any]) -> Answer:
    check(request)
    return {"TrainingJobArn": start(plane, request)["TrainingJobArn"]}


@operation("ListTrainingJobs")
def _list(plane: Plane, request: Mapping[str, Any]) -> Answer:
    refuse(
        request,
        {
            m: "there is no such thing here"
            for m in ("WarmPoolStatusEquals", "TrainingPlanArnEquals")
        },
    )
    found, more = listed(plane, TRAINING, request, descending=False, status="TrainingJobStatus")
    return {"TrainingJobSummaries": found, **more}


@operation("DeleteTrainingJob")
def _delete(plane: Plane, request: Mapping[str, Any]) -> Answer:
    name = request["TrainingJobName"]
    status = plane.store.get(TRAINING, name)["TrainingJobStatus"]
    if status in RUNNING:
        raise ApiError(
            f"The training job {name} is in status {status}; only a job that ended can be deleted.",
            "ResourceInUse",
        )
    plane.store.remove(TRAINING, name)
    return {}


describes(TRAINING)
stops(TRAINING, SecondaryStatus="Stopping")
