"""SageMaker's API: its form as botocore describes it, and what of it is done here."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError

_FAILED = "failed to satisfy constraint: Member must"
_NUMBERS = ("integer", "long", "float", "double", "timestamp")
_PYTHON: dict[str, Any] = dict.fromkeys(_NUMBERS, (int, float)) | {"integer": int, "long": int}
_PYTHON |= {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool}
HERE = "the SageMaker that runs on this machine"
Members = dict[str, list[str]]  # the only values that a member can have, or empty for any


def _members(text: str) -> Members:
    found: Members = {}
    for parent, inside, alone in re.findall(r"([\w.]+)\(([^)]*)\)|(\S+)", text):
        for word in (inside or alone).split():
            name, _, values = word.partition("=")
            found[f"{parent}.{name}" if parent else name] = values.split("|") if values else []
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
        TransformInput(ContentType SplitType=None|Line|RecordIO CompressionType=None
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
    "CreateModelPackageGroup": _members("ModelPackageGroupName ModelPackageGroupDescription Tags"),
    "ListModelPackageGroups": _members("NameContains NextToken MaxResults SortBy SortOrder"),
    "CreateModelPackage": _members("""
        ModelPackageGroupName ModelPackageDescription InferenceSpecification ModelApprovalStatus
        SkipModelValidation Tags ClientToken"""),
    "UpdateModelPackage": _members("ModelPackageArn ModelApprovalStatus ClientToken"),
    "DescribeModelPackage": _members("ModelPackageName"),
}
#: Why a member is refused, by its last name; others are refused without a reason.
_WHY = {
    "CheckpointConfig": "nothing copies checkpoints to S3; write them to the model's folder",
    "InstanceCount": "at most 2 instances train, each a process; one transforms",
    "JoinSource": "join the objects after the job",
}


@functools.cache
def service() -> Any:
    import botocore.session  # takes a while

    one = botocore.loaders.JSONFileLoader()  # all sessions share what they read, 10 MB for each
    botocore.loaders.JSONFileLoader.load_file = staticmethod(functools.cache(one.load_file))
    return botocore.session.Session().get_service_model("sagemaker")


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that SageMaker would refuse for its form, in AWS' words."""
    found = list(_faults(service().operation_model(operation).input_shape, request, ""))
    if "\\u0000" in json.dumps(request):  # also in a hyperparameter that is JSON itself
        found.append("A text holds the character NUL, which no argument of a program can hold")
    if found:
        many = "error" if len(found) == 1 else "errors"
        raise ApiError(f"{len(found)} validation {many} detected: {'; '.join(found)}")


def answer(operation: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a record down to the members of an operation's answer; raise where one is wrong."""
    shape = service().operation_model(operation).output_shape
    cut: dict[str, Any] = _cut(shape, record) if shape else {}
    found = list(_faults(shape, cut, "")) if shape else []
    if found:
        raise RuntimeError(f"The answer of {operation} is not SageMaker's: {'; '.join(found)}")
    return cut


def check_row(listing: str, record: Mapping[str, Any]) -> None:
    """Raise a ValueError where a member of a record would spoil the answer of a listing."""
    members = service().operation_model(listing).output_shape.members.values()
    (row,) = (shape.member for shape in members if shape.type_name == "list")
    for name in row.members.keys() & record.keys():
        shape, value = row.members[name], record[name]
        found = [] if value is None else list(_faults(shape, _cut(shape, value), name))
        if found:
            raise ValueError("; ".join(found))


def _cut(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        known = shape.members
        return {k: _cut(known[k], v) for k, v in value.items() if k in known and v is not None}
    if shape.type_name == "list":
        return [_cut(shape.member, v) for v in value]
    return value


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    fits = isinstance(value, _PYTHON[kind]) and (kind == "boolean" or not isinstance(value, bool))
    for words in _misfits(shape, value) if fits else [f"be of type {kind}"]:
        yield f"Value {value!r:.80} at '{path or 'request'}' {_FAILED} {words}"
    if not fits:
        return
    if kind == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"Value null at '{_join(path, name)}' {_FAILED} not be null"
        for name, inner in value.items():
            if name in shape.members and inner is not None:
                yield from _faults(shape.members[name], inner, _join(path, name))
    elif kind == "list":
        for place, inner in enumerate(value, 1):
            yield from _faults(shape.member, inner, f"{path}.{place}.member")
    elif kind == "map":
        for name, inner in value.items():
            yield from _faults(shape.key, name, f"{path}.key")
            yield from _faults(shape.value, inner, f"{path}.{name}")


def _misfits(shape: Any, value: Any) -> Iterator[str]:
    """Yield what a value of the right type, without what is in it, must be and is not."""
    kind = shape.type_name
    if kind in _NUMBERS and not abs(value) < 1e300:  # nan as well
        yield "be a finite number"
    if kind != "boolean":
        size, words = (value, "value") if kind in _NUMBERS else (len(value), "length")
        if size < shape.metadata.get("min", size):
            yield f"have {words} greater than or equal to {shape.metadata['min']}"
        if size > shape.metadata.get("max", size):
            yield f"have {words} less than or equal to {shape.metadata['max']}"
    if kind == "string":
        if shape.enum and value not in shape.enum:
            yield f"satisfy enum value set: [{', '.join(shape.enum)}]"
        pattern = re.sub(r"\$\{\d+,\d+\}", "$", shape.metadata.get("pattern", ""))
        # Java's classes, such as \p{L}, are not Python's
        if pattern and not re.fullmatch(re.sub(r"\\p\{\w+\}", r"\\w\\s", pattern), value, re.S):
            yield f"satisfy regular expression pattern: {pattern}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name[:1].lower()}{name[1:]}".lstrip(".")


def refuse(operation: str, request: Mapping[str, Any], path: str = "") -> None:
    """Refuse what would change the result and is not done here, instead of ignoring it."""
    done = DONE.get(operation, {})
    for member, value in request.items() if done else ():
        name = f"{path}{member}"
        if done.get(name) == [] or not _asks(value):
            continue
        why = f": {_WHY[member]}" if member in _WHY else ""
        if name in done:
            if str(value) not in done[name]:
                values = " or ".join(done[name])
                raise ApiError(f"{name} must be {values} in {HERE}, not {value}{why}.")
        elif not any(known.startswith(f"{name}.") for known in done):
            raise ApiError(f"{name} is not supported by {HERE}{why}.")
        else:
            for part in value if isinstance(value, list) else [value]:
                refuse(operation, part, f"{name}.")


def _asks(value: Any) -> bool:
    """Return whether a value asks for anything: SDKs send empty ones, and switches that are off."""
    if isinstance(value, dict | list):
        return any(_asks(inner) for inner in (value.values() if isinstance(value, dict) else value))
    return value is not False and value not in (None, "")


def refused(operation: str, shape: Any = None, path: str = "") -> Iterator[str]:
    """Yield what an operation refuses: members, or all but some values of one."""
    done = DONE.get(operation, {})
    shape = shape or service().operation_model(operation).input_shape
    for member, inner in shape.members.items() if done else ():
        name = f"{path}{member}"
        if any(known.startswith(f"{name}.") for known in done):
            yield from refused(operation, getattr(inner, "member", inner), f"{name}.")
        elif name not in done:
            yield name
        elif done[name]:
            yield f"{name} other than {' or '.join(done[name])}"
