"""What of a request is done here; everything else that a request asks for is refused."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service import contract

HERE = "the SageMaker that runs on this machine"
_TRAINING = """
TrainingJobName RoleArn HyperParameters Environment Tags
AlgorithmSpecification.TrainingImage AlgorithmSpecification.TrainingInputMode=File
AlgorithmSpecification.MetricDefinitions AlgorithmSpecification.ContainerEntrypoint
AlgorithmSpecification.ContainerArguments
AlgorithmSpecification.TrainingImageConfig.TrainingRepositoryAccessMode=Platform
InputDataConfig.ChannelName InputDataConfig.ContentType InputDataConfig.InputMode=File
InputDataConfig.CompressionType=None InputDataConfig.RecordWrapperType=None
InputDataConfig.DataSource.S3DataSource.S3DataType=S3Prefix|ManifestFile
InputDataConfig.DataSource.S3DataSource.S3Uri
InputDataConfig.DataSource.S3DataSource.S3DataDistributionType
OutputDataConfig.S3OutputPath OutputDataConfig.CompressionType=GZIP
ResourceConfig.InstanceType ResourceConfig.InstanceCount=1|2 ResourceConfig.VolumeSizeInGB
ResourceConfig.KeepAlivePeriodInSeconds StoppingCondition.MaxRuntimeInSeconds
DebugHookConfig.S3OutputPath ProfilerConfig.S3OutputPath ProfilerConfig.DisableProfiler
"""
_CONTAINER = (
    "{0}.ContainerHostname {0}.Image {0}.ImageConfig.RepositoryAccessMode=Platform"
    " {0}.Mode=SingleModel {0}.ModelDataUrl {0}.Environment"
    " {0}.ModelDataSource.S3DataSource.S3Uri {0}.ModelDataSource.S3DataSource.S3DataType"
    " {0}.ModelDataSource.S3DataSource.CompressionType "
)
#: By operation: the members that are done, ``=`` before the only values that are. What stands
#: below a member that is listed is done too; an operation without an entry does all it can be asked.
_DONE = {
    "CreateTrainingJob": _TRAINING,
    "ListTrainingJobs": """
CreationTimeAfter CreationTimeBefore LastModifiedTimeAfter LastModifiedTimeBefore NameContains
StatusEquals SortBy SortOrder NextToken MaxResults
""",
    "CreateTransformJob": """
TransformJobName ModelName Environment Tags MaxPayloadInMB MaxConcurrentTransforms BatchStrategy
ModelClientConfig.InvocationsTimeoutInSeconds TransformInput.ContentType
TransformInput.SplitType TransformInput.CompressionType=None
TransformInput.DataSource.S3DataSource.S3DataType=S3Prefix|ManifestFile
TransformInput.DataSource.S3DataSource.S3Uri TransformOutput.S3OutputPath TransformOutput.Accept
TransformOutput.AssembleWith TransformResources.InstanceType TransformResources.InstanceCount=1
DataProcessing.InputFilter=$ DataProcessing.OutputFilter=$ DataProcessing.JoinSource=None
""",
    "CreateHyperParameterTuningJob": """
HyperParameterTuningJobName Tags TrainingJobDefinition
HyperParameterTuningJobConfig.Strategy=Random|Grid
HyperParameterTuningJobConfig.HyperParameterTuningJobObjective
HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs
HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs
HyperParameterTuningJobConfig.ParameterRanges.IntegerParameterRanges
HyperParameterTuningJobConfig.ParameterRanges.ContinuousParameterRanges
HyperParameterTuningJobConfig.ParameterRanges.CategoricalParameterRanges
HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType=Off
HyperParameterTuningJobConfig.RandomSeed
""",
    "CreateModel": "ModelName ExecutionRoleArn Tags InferenceExecutionConfig.Mode=Serial "
    + _CONTAINER.format("PrimaryContainer")
    + _CONTAINER.format("Containers"),
    "CreateEndpointConfig": """
EndpointConfigName ExecutionRoleArn Tags
ProductionVariants.VariantName ProductionVariants.ModelName ProductionVariants.InstanceType
ProductionVariants.InitialInstanceCount=1 ProductionVariants.InitialVariantWeight
ProductionVariants.VolumeSizeInGB ProductionVariants.ModelDataDownloadTimeoutInSeconds
ProductionVariants.ContainerStartupHealthCheckTimeoutInSeconds ProductionVariants.RoutingConfig
""",
    "CreateEndpoint": "EndpointName EndpointConfigName Tags",
    "UpdateEndpoint": "EndpointName EndpointConfigName",
}
#: Why a member is refused, by its last name; others are refused without a reason.
_WHY = {
    "AsyncInferenceConfig": "an endpoint answers each request at once",
    "CheckpointConfig": "nothing copies checkpoints to S3; write them to the model's folder",
    "DataCaptureConfig": "nothing is captured; log requests in the model's own code",
    "CollectionConfigurations": "there is no debugger",
    "DebugRuleConfigurations": "there is no debugger",
    "DeploymentConfig": "the new model server takes over at once",
    "EnableManagedSpotTraining": "there are no spot instances",
    "EnableNetworkIsolation": "a program has the network that this machine has",
    "ExperimentConfig": "there are no experiments",
    "InitialInstanceCount": "an endpoint is one model server",
    "InputFilter": "select from the objects before or after the job",
    "InstanceCount": "a training job has at most 2 instances, each a process; others have 1",
    "JoinSource": "join the objects after the job",
    "KmsKeyId": "nothing is encrypted",
    "OutputFilter": "select from the objects before or after the job",
    "ProfilerRuleConfigurations": "there is no profiler",
    "ProfilingIntervalInMilliseconds": "there is no profiler",
    "ProfilingParameters": "there is no profiler",
    "RetryStrategy": "a failed job is not run again",
    "S3DataType": "augmented manifests need the Pipe mode",
    "ServerlessConfig": "an endpoint is a model server that always runs",
    "ShuffleConfig": "the File mode reads no channel twice; shuffle in the program",
    "TensorBoardOutputConfig": "write to the output folder SM_OUTPUT_DATA_DIR, which is uploaded",
    "VolumeKmsKeyId": "nothing is encrypted",
    "VpcConfig": "there is no network to choose",
}
Done = dict[str, tuple[str, ...]]


@functools.cache
def _done(operation: str) -> Done | None:
    """Return the members that an operation does, and the values each may have where not all."""
    if operation not in _DONE:
        return None
    pairs = (word.partition("=") for word in _DONE[operation].split())
    return {path: tuple(values.split("|")) if values else () for path, _, values in pairs}


def refuse(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse what would change the result and is not done here, instead of ignoring it.

    Switches that are off, and what is empty, ask for nothing: SDKs send them by themselves.

    Raises
    ------
    ApiError
        ``ValidationException`` with a sentence for the first such member.
    """
    done = _done(operation)
    if done is not None:
        _refuse(done, request, "")


def _refuse(done: Done, value: Any, path: str) -> None:
    values = done.get(path)
    if values == () or not _asks(value):
        return
    name = path.rpartition(".")[2]
    why = f": {_WHY[name]}" if name in _WHY else ""
    if values is not None:
        if str(value) not in values:
            asked = f"must be {' or '.join(values)} in {HERE}, not {value}"
            raise ApiError(f"{path} {asked}{why}.")
    elif path and not any(known.startswith(f"{path}.") for known in done):
        raise ApiError(f"{path} is not supported by {HERE}{why}.")
    elif isinstance(value, list):
        for inner in value:
            _refuse_members(done, inner, path)
    else:
        _refuse_members(done, value, path)


def _asks(value: Any) -> bool:
    """Return whether a value asks for anything: it is not empty, and no switch that is off."""
    if isinstance(value, dict):
        return any(_asks(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_asks(inner) for inner in value)
    return value is not False and value not in (None, "")


def _refuse_members(done: Done, value: Mapping[str, Any], path: str) -> None:
    for name, inner in value.items():
        _refuse(done, inner, f"{path}.{name}" if path else name)


def refused(operation: str) -> list[str]:
    """Return what an operation refuses: members, or the only values that it takes."""
    done = _done(operation)
    shape = contract.service().operation_model(operation).input_shape
    return [] if done is None else list(_refused(done, shape, ""))


def _refused(done: Done, shape: Any, path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        inner = f"{path}.{name}" if path else name
        if inner in done:
            if done[inner]:
                yield f"{inner} other than {' or '.join(done[inner])}"
        elif any(known.startswith(f"{inner}.") for known in done):
            yield from _refused(done, getattr(member, "member", member), inner)
        else:
            yield inner
