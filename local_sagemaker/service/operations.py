"""SageMaker's operations, each with the function that answers it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service import contract, endpoints, models, store, training, tuning
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.listing import delete, describe, listing, stop

OPERATIONS: dict[str, Callable[[Account, Request], dict[str, Any]]] = {
    "CreateTrainingJob": training.create_training_job,
    "DescribeTrainingJob": partial(describe, store.TRAINING),
    "ListTrainingJobs": partial(listing, store.TRAINING, "TrainingJobSummaries"),
    "StopTrainingJob": partial(stop, store.TRAINING),
    "DeleteTrainingJob": partial(delete, store.TRAINING),
    "CreateTransformJob": training.create_transform_job,
    "DescribeTransformJob": partial(describe, store.TRANSFORM),
    "ListTransformJobs": partial(listing, store.TRANSFORM, "TransformJobSummaries"),
    "StopTransformJob": partial(stop, store.TRANSFORM),
    "CreateHyperParameterTuningJob": tuning.create_hyper_parameter_tuning_job,
    "DescribeHyperParameterTuningJob": partial(describe, store.TUNING, more=tuning.counted),
    "ListHyperParameterTuningJobs": partial(
        listing, store.TUNING, "HyperParameterTuningJobSummaries", more=tuning.counted
    ),
    "ListTrainingJobsForHyperParameterTuningJob": (
        tuning.list_training_jobs_for_hyper_parameter_tuning_job
    ),
    "StopHyperParameterTuningJob": partial(stop, store.TUNING),
    "DeleteHyperParameterTuningJob": partial(delete, store.TUNING),
    "CreateModel": models.create_model,
    "DescribeModel": partial(describe, store.MODEL),
    "ListModels": partial(listing, store.MODEL, "Models"),
    "DeleteModel": partial(delete, store.MODEL),
    "CreateEndpointConfig": models.create_endpoint_config,
    "DescribeEndpointConfig": partial(describe, store.CONFIG),
    "ListEndpointConfigs": partial(listing, store.CONFIG, "EndpointConfigs"),
    "DeleteEndpointConfig": partial(delete, store.CONFIG),
    "CreateEndpoint": endpoints.create_endpoint,
    "UpdateEndpoint": endpoints.update_endpoint,
    "DescribeEndpoint": partial(describe, store.ENDPOINT),
    "ListEndpoints": partial(listing, store.ENDPOINT, "Endpoints"),
    "DeleteEndpoint": endpoints.delete_endpoint,
    "CreateModelPackageGroup": models.create_model_package_group,
    "DescribeModelPackageGroup": partial(describe, store.GROUP),
    "ListModelPackageGroups": partial(listing, store.GROUP, "ModelPackageGroupSummaryList"),
    "CreateModelPackage": models.create_model_package,
    "UpdateModelPackage": models.update_model_package,
    "DescribeModelPackage": models.describe_model_package,
    "AddTags": models.add_tags,
    "ListTags": models.list_tags,
    "DeleteTags": models.delete_tags,
}


def handle(account: Account, name: str, request: Request) -> dict[str, Any]:
    """Answer one request of SageMaker's control plane, such as ``"CreateTrainingJob"``."""
    if name not in contract.service().operation_names:
        raise ApiError(f"SageMaker has no operation {name!r}.", "UnknownOperationException", 404)
    if name not in OPERATIONS:
        raise ApiError(f"{name} is not part of {contract.HERE}; it has {', '.join(OPERATIONS)}.")
    contract.check(name, request)
    contract.refuse(name, request)
    return contract.answer(name, OPERATIONS[name](account, request))


def table() -> str:
    """Return what is answered and what is refused, as a table in Markdown."""
    rows = ["| what it answers | what it refuses of it |", "|---|---|"]
    for name in OPERATIONS:
        members = ", ".join(f"`{member}`" for member in contract.refused(name))
        rows.append(f"| `{name}` | {members or '–'} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
