"""What of a request is done here; everything else that a request asks for is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service import contract

HERE = "the SageMaker that runs on this machine"
Members = dict[str, list[str]]  # the only values that a member can have, or empty for any


def _members(text: str) -> Members:
    found: Members = {}
    for parent, inside, alone in re.findall(r"([\w.]+)\(([^)]*)\)|(\S+)", text):
        for word in (inside or alone).split():
            name, _, values = word.partition("=")
            path = f"{parent}.{name}" if parent else name
            found[path] = values.split("|") if values else []
    return found


_CONTAINER = """(ContainerHostname Image ImageConfig.RepositoryAccessMode=Platform Environment
    Mode=SingleModel ModelDataUrl ModelDataSource.S3DataSource.S3DataType
    ModelDataSource.S3DataSource.S3Uri ModelDataSource.S3DataSource.CompressionType)"""
#: By operation: the members that are done, and what is in them. Others do all they can be asked.
DONE = {
    "CreateTrainingJob": _members("""
        TrainingJobName RoleArn HyperParameters Environment Tags
        AlgorithmSpecification(TrainingImage TrainingInputMode=File MetricDefinitions
            ContainerEntrypoint ContainerArguments
            TrainingImageConfig.TrainingRepositoryAccessMode=Platform)
        InputDataConfig(ChannelName ContentType InputMode=File CompressionType=None
            RecordWrapperType=None DataSource.S3DataSource.S3DataType=S3Prefix|ManifestFile
            DataSource.S3DataSource.S3Uri DataSource.S3DataSource.S3DataDistributionType)
        OutputDataConfig(S3OutputPath CompressionType=GZIP) StoppingCondition(MaxRuntimeInSeconds)
        ResourceConfig(InstanceType InstanceCount=1|2 VolumeSizeInGB KeepAlivePeriodInSeconds)
        DebugHookConfig(S3OutputPath) ProfilerConfig(S3OutputPath DisableProfiler)"""),
    "ListTrainingJobs": _members("""
        CreationTimeAfter CreationTimeBefore LastModifiedTimeAfter LastModifiedTimeBefore
        NameContains StatusEquals SortBy SortOrder NextToken MaxResults"""),
    "CreateTransformJob": _members("""
        TransformJobName ModelName Environment Tags MaxPayloadInMB MaxConcurrentTransforms
        BatchStrategy ModelClientConfig(InvocationsTimeoutInSeconds)
        TransformInput(ContentType SplitType CompressionType=None
            DataSource.S3DataSource.S3DataType=S3Prefix|ManifestFile DataSource.S3DataSource.S3Uri)
        TransformOutput(S3OutputPath Accept AssembleWith)
        TransformResources(InstanceType InstanceCount=1)
        DataProcessing(InputFilter OutputFilter=$ JoinSource=None)"""),
    "CreateHyperParameterTuningJob": _members("""
        HyperParameterTuningJobName Tags TrainingJobDefinition
        HyperParameterTuningJobConfig(Strategy=Random|Grid HyperParameterTuningJobObjective
            ResourceLimits.MaxNumberOfTrainingJobs ResourceLimits.MaxParallelTrainingJobs
            ParameterRanges.IntegerParameterRanges ParameterRanges.ContinuousParameterRanges
            ParameterRanges.CategoricalParameterRanges TrainingJobEarlyStoppingType
            RandomSeed)"""),
    "CreateModel": _members(f"""
        ModelName ExecutionRoleArn Tags InferenceExecutionConfig(Mode=Serial)
        PrimaryContainer{_CONTAINER} Containers{_CONTAINER}"""),
    "CreateEndpointConfig": _members("""
        EndpointConfigName ExecutionRoleArn Tags
        ProductionVariants(VariantName ModelName InstanceType InitialInstanceCount=1
            InitialVariantWeight VolumeSizeInGB RoutingConfig ModelDataDownloadTimeoutInSeconds
            ContainerStartupHealthCheckTimeoutInSeconds)"""),
    "CreateEndpoint": _members("EndpointName EndpointConfigName Tags"),
    "UpdateEndpoint": _members("EndpointName EndpointConfigName"),
}
#: Why a member is refused, by its last name; others are refused without a reason.
_WHY = {
    "CheckpointConfig": "nothing copies checkpoints to S3; write them to the model's folder",
    "CollectionConfigurations": "there is no debugger",
    "DataCaptureConfig": "nothing is captured; log requests in the model's own code",
    "DeploymentConfig": "the new model server takes over at once",
    "EnableNetworkIsolation": "a program has the network that this machine has",
    "InitialInstanceCount": "an endpoint is one model server",
    "InstanceCount": "at most 2 instances train, each a process; one transforms",
    "JoinSource": "join the objects after the job",
    "KmsKeyId": "nothing is encrypted",
    "ShuffleConfig": "the File mode reads no channel twice; shuffle in the program",
    "TensorBoardOutputConfig": "write to the folder SM_OUTPUT_DATA_DIR, which is uploaded",
    "TuningJobCompletionCriteria": "name the number of training jobs",
    "VpcConfig": "there is no network to choose",
}


def refuse(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse what would change the result and is not done here, instead of ignoring it."""
    if operation in DONE:
        for name, inner in request.items():
            _refuse(DONE[operation], inner, name)


def _refuse(done: Members, value: Any, path: str) -> None:
    if done.get(path) == [] or not _asks(value):
        return
    last = path.rpartition(".")[2]
    why = f": {_WHY[last]}" if last in _WHY else ""
    if path in done:
        if str(value) not in done[path]:
            values = " or ".join(done[path])
            raise ApiError(f"{path} must be {values} in {HERE}, not {value}{why}.")
    elif not any(known.startswith(f"{path}.") for known in done):
        raise ApiError(f"{path} is not supported by {HERE}{why}.")
    else:
        for part in value if isinstance(value, list) else [value]:
            for name, inner in part.items():
                _refuse(done, inner, f"{path}.{name}")


def _asks(value: Any) -> bool:
    """Return whether a value asks for anything: SDKs send empty ones, and switches that are off."""
    if isinstance(value, dict | list):
        return any(_asks(inner) for inner in (value.values() if isinstance(value, dict) else value))
    return value is not False and value not in (None, "")


def refused(operation: str) -> list[str]:
    """Return what an operation refuses: members, or all but some values of one."""
    shape = contract.service().operation_model(operation).input_shape
    return list(_refused(DONE[operation], shape, "")) if operation in DONE else []


def _refused(done: Members, shape: Any, path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        inner = f"{path}{name}"
        if inner in done:
            if done[inner]:
                yield f"{inner} other than {' or '.join(done[inner])}"
        elif any(known.startswith(f"{inner}.") for known in done):
            yield from _refused(done, getattr(member, "member", member), f"{inner}.")
        else:
            yield inner
