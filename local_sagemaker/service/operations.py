"""SageMaker's operations, each with the function that answers it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service import (
    contract,
    endpoints,
    models,
    supported,
    training,
    transform_jobs,
    tuning,
)
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.listing import delete, describe, listing
from local_sagemaker.service.store import CONFIG, ENDPOINT, MODEL, TRAINING, TRANSFORM

Operation = Callable[[Account, Request], dict[str, Any]]
OPERATIONS: dict[str, Operation] = {
    "CreateTrainingJob": training.create_training_job,
    "DescribeTrainingJob": training.describe_training_job,
    "ListTrainingJobs": partial(listing, TRAINING, "TrainingJobSummaries", "Ascending"),
    "StopTrainingJob": training.stop_training_job,
    "DeleteTrainingJob": training.delete_training_job,
    "CreateTransformJob": transform_jobs.create_transform_job,
    "DescribeTransformJob": partial(describe, TRANSFORM),
    "ListTransformJobs": partial(listing, TRANSFORM, "TransformJobSummaries", "Descending"),
    "StopTransformJob": transform_jobs.stop_transform_job,
    "CreateHyperParameterTuningJob": tuning.create_hyper_parameter_tuning_job,
    "DescribeHyperParameterTuningJob": tuning.describe_hyper_parameter_tuning_job,
    "ListHyperParameterTuningJobs": tuning.list_hyper_parameter_tuning_jobs,
    "ListTrainingJobsForHyperParameterTuningJob": (
        tuning.list_training_jobs_for_hyper_parameter_tuning_job
    ),
    "StopHyperParameterTuningJob": tuning.stop_hyper_parameter_tuning_job,
    "DeleteHyperParameterTuningJob": tuning.delete_hyper_parameter_tuning_job,
    "CreateModel": models.create_model,
    "DescribeModel": partial(describe, MODEL),
    "ListModels": partial(listing, MODEL, "Models", "Descending"),
    "DeleteModel": partial(delete, MODEL),
    "CreateEndpointConfig": models.create_endpoint_config,
    "DescribeEndpointConfig": partial(describe, CONFIG),
    "ListEndpointConfigs": partial(listing, CONFIG, "EndpointConfigs", "Descending"),
    "DeleteEndpointConfig": partial(delete, CONFIG),
    "CreateEndpoint": endpoints.create_endpoint,
    "UpdateEndpoint": endpoints.update_endpoint,
    "DescribeEndpoint": partial(describe, ENDPOINT),
    "ListEndpoints": partial(listing, ENDPOINT, "Endpoints", "Descending"),
    "DeleteEndpoint": endpoints.delete_endpoint,
    "AddTags": models.add_tags,
    "ListTags": models.list_tags,
    "DeleteTags": models.delete_tags,
}


def handle(account: Account, name: str, request: Request) -> dict[str, Any]:
    """Answer one request of SageMaker's control plane, such as ``"CreateTrainingJob"``.

    Raises
    ------
    ApiError
        The request has the wrong form, asks for what is not here, or cannot be done.
    """
    if name not in contract.service().operation_names:
        raise ApiError(f"SageMaker has no operation {name!r}.", "UnknownOperationException", 404)
    if name not in OPERATIONS:
        raise ApiError(
            f"{name} is not part of {supported.HERE}; it has {', '.join(sorted(OPERATIONS))}."
        )
    contract.check(name, request)
    supported.refuse(name, request)
    return contract.answer(name, OPERATIONS[name](account, request))


def table() -> str:
    """Return what is answered and what is refused, as a table in Markdown."""
    rows = ["| what it answers | what it refuses of it |", "|---|---|"]
    for name in OPERATIONS:
        members = ", ".join(f"`{member}`" for member in supported.refused(name))
        rows.append(f"| `{name}` | {members or '–'} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
