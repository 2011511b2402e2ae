"""Real AWS, only where ``COURSE_CLOUD=aws`` asks for it: what starts there is priced first, and named."""

from __future__ import annotations

import os
from typing import Any

from helpers.cloud import sdk
from helpers.cloud.connection import Connection
from helpers.cloud.prices import PRICE_LIST, PRICES, CostEstimate, estimate
from local_sagemaker.errors import CloudError

#: How the name of everything that costs money begins, so that it can be found and deleted.
PREFIX = "course-"
_NAMED = {
    "CreateTrainingJob": "TrainingJobName",
    "CreateTransformJob": "TransformJobName",
    "CreateHyperParameterTuningJob": "HyperParameterTuningJobName",
    "CreateEndpointConfig": "EndpointConfigName",
    "CreateEndpoint": "EndpointName",
    "CreateModel": "ModelName",
}


def connection() -> Connection:
    """Connect to the account that the machine's AWS settings name.

    ``COURSE_AWS_ROLE`` names the role jobs run as; without it, it is the notebook's own role.

    Raises
    ------
    CloudError
        There are no usable credentials, no region, or no role; says which and what to do.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    region = boto3.session.Session().region_name
    if not region:
        raise CloudError(
            "COURSE_CLOUD=aws needs a region: set AWS_DEFAULT_REGION, such as us-west-2."
        )
    try:
        account = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise CloudError(
            f"COURSE_CLOUD=aws, but the AWS account can't be used ({error}): configure credentials, or unset"
            " COURSE_CLOUD to use the SageMaker of this machine."
        ) from None
    helper = sdk.load(local=False)
    watch_clients()
    session = helper.Session()
    return Connection(
        local=False, region=region, account=account, role=_role(helper, session), session=session
    )


def _role(helper: Any, session: Any) -> str:
    named = os.environ.get("COURSE_AWS_ROLE")
    if named:
        return named
    try:
        return str(helper.get_execution_role(session))
    except Exception as error:
        raise CloudError(
            f"No role for SageMaker's jobs ({error}): set COURSE_AWS_ROLE to the ARN of one that may use"
            " SageMaker"
            " and the bucket."
        ) from None


def watch_clients() -> None:
    """See to it that every SageMaker client of this process prices and checks what it is about to start."""
    import boto3.session

    original = boto3.session.Session.client
    if hasattr(original, "course_watched"):
        return

    def client(self: Any, service_name: str, *arguments: Any, **named: Any) -> Any:
        made = original(self, service_name, *arguments, **named)
        if service_name == "sagemaker":
            watch(made)
        return made

    client.course_watched = original  # type: ignore[attr-defined]
    boto3.session.Session.client = client


def watch(client: Any) -> None:
    """Price and check what one SageMaker client is about to start."""
    for operation in _NAMED:
        client.meta.events.register(
            f"provide-client-params.sagemaker.{operation}",
            lambda params, model, **_: before(model.name, params),
            unique_id=f"course-{operation}",
        )


def before(operation: str, request: dict[str, Any]) -> None:
    """Print what a request is going to cost; refuse a name that clean-up would not find.

    Raises
    ------
    CloudError
        The name does not begin with ``course-``.
    """
    name = request.get(_NAMED[operation], "")
    if not name.startswith(PREFIX):
        raise CloudError(
            f"On AWS everything the course makes is named {PREFIX}…, so that it can be found and deleted;"
            f" {operation} was asked for {name!r}."
        )
    sentences = costs(operation, request)
    for sentence in sentences:
        print(sentence)
    if sentences:
        print(f"These prices are approximate: check the price list, {PRICE_LIST}.")


def costs(operation: str, request: dict[str, Any]) -> list[str]:
    """Say what a request costs at most, a sentence a group of instances."""
    if operation == "CreateEndpointConfig":
        return [
            f"Each hour it serves: {_priced(v.get('InstanceType', ''), 1, v.get('InitialInstanceCount', 1))}"
            for v in request.get("ProductionVariants") or []
        ]
    if operation == "CreateTransformJob":
        group = request["TransformResources"]
        return [f"Each hour: {_priced(group['InstanceType'], 1, group['InstanceCount'])}"]
    if operation == "CreateTrainingJob":
        return [f"At most: {_job(request, 1)}"]
    if operation == "CreateHyperParameterTuningJob":
        limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
        return [
            "At most:"
            f" {_job(request.get('TrainingJobDefinition') or {}, limits.get('MaxNumberOfTrainingJobs', 1))}"
        ]
    return []


def _job(request: dict[str, Any], jobs: int) -> str:
    group = request.get("ResourceConfig") or {}
    seconds = (request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86_400)
    return _priced(
        group.get("InstanceType", ""), seconds / 3600, group.get("InstanceCount", 1) * jobs
    )


def _priced(instance: str, hours: float, count: int) -> str:
    if instance not in PRICES:
        what = f"{count} × {instance or 'an instance'} for {hours:g} h"
        return f"{what}, whose price is not in the course's table."
    return str(estimate(instance, hours, count))


__all__ = ["CostEstimate", "before", "connection", "costs", "watch", "watch_clients"]
