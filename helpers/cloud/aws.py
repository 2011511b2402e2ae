"""Real AWS, only where ``COURSE_CLOUD=aws`` asks for it: what starts there is priced and named."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from helpers.cloud import sdk
from helpers.cloud.prices import PRICE_LIST, PRICES, estimate
from local_sagemaker.errors import CloudError

#: How the name of everything that costs money begins, so that it can be found and deleted.
PREFIX = "course-"
_STUDIO = Path("/opt/ml/metadata/resource-metadata.json")  # who works in a space of SageMaker
_USER = 16  # letters and digits of a user in names, of which AWS takes 63
_NAMED = {
    "CreateTrainingJob": "TrainingJobName",
    "CreateTransformJob": "TransformJobName",
    "CreateHyperParameterTuningJob": "HyperParameterTuningJobName",
    "CreateEndpointConfig": "EndpointConfigName",
    "CreateEndpoint": "EndpointName",
    "CreateModel": "ModelName",
}


def account() -> dict[str, str]:
    """Return ``region``, ``account``, ``role`` and ``user`` of this machine's AWS settings.

    ``COURSE_AWS_ROLE`` and ``COURSE_AWS_USER`` come first, then what the credentials say. Where
    something is missing, a CloudError says what to do.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    if named := os.environ.get("AWS_REGION"):  # in a space of SageMaker; boto3 reads the other
        os.environ.setdefault("AWS_DEFAULT_REGION", named)
    region = boto3.session.Session().region_name
    if not region:
        raise CloudError("COURSE_CLOUD=aws needs a region: set AWS_DEFAULT_REGION to one.")
    try:
        caller = boto3.client("sts", region_name=region).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise CloudError(
            f"COURSE_CLOUD=aws, but the AWS account can't be used ({error}): configure credentials,"
            " or unset COURSE_CLOUD to use the SageMaker of this machine."
        ) from None
    user = _user(caller["Arn"].rpartition("/")[2])
    return {"region": region, "account": caller["Account"], "role": _role(), "user": user}


def _role() -> str:
    named = os.environ.get("COURSE_AWS_ROLE")
    if named:
        return named
    try:
        helper = sdk.load(local=False)
        return str(helper.get_execution_role(helper.Session()))
    except Exception as error:
        raise CloudError(
            f"No role for SageMaker's jobs ({error}): set COURSE_AWS_ROLE to the ARN of one that"
            " may use SageMaker and the bucket."
        ) from None


def _user(caller: str) -> str:
    """Return the learner as part of a name: letters, digits, a hash where these lose some."""
    name = os.environ.get("COURSE_AWS_USER", "") or caller
    if name in ("SageMaker", "notebook", "root"):  # a session that says nothing of who it is
        name = getpass.getuser()
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(_STUDIO.read_text(encoding="utf-8"))
            name = said.get("UserProfileName") or said.get("ResourceName") or name
    plain = re.sub("[^a-z0-9]", "", name.lower())
    if plain == name and plain[0].isalpha() and len(plain) <= _USER:
        return plain
    return f"u{plain[: _USER - 5]}{hashlib.sha256(name.encode()).hexdigest()[:4]}"


def owned(name: str, user: str) -> bool:
    """Whether a name is ``course-…-<user>``, also with the time that the SDK adds to it."""
    return bool(re.fullmatch(rf"{PREFIX}(.+-)?{user}(-\d[\w-]*)?", name))


def watch(service: str, client: Any, user: str) -> None:
    """Price and check what a client of SageMaker is about to start; leave other clients alone."""
    for operation in _NAMED if service == "sagemaker" else ():
        client.meta.events.register(
            f"provide-client-params.sagemaker.{operation}",
            lambda params, model, **_: before(model.name, params, user),
            unique_id=f"course-{operation}",
        )


def before(operation: str, request: dict[str, Any], user: str) -> None:
    """Print what a request is going to cost; refuse a name that clean-up would not find."""
    name = request.get(_NAMED[operation], "")
    if not owned(name, user):
        raise CloudError(
            f"On AWS everything the course makes is named {PREFIX}…-{user}, so that it is found and"
            f" deleted, and nobody else's: {operation} was asked for {name!r}. Such a name comes"
            f' from aws.name("{PREFIX}05-model").'
        )
    sentences = costs(operation, request)
    for sentence in sentences:
        print(sentence)
    if sentences:
        print(f"These prices are approximate: check the price list, {PRICE_LIST}.")


def costs(operation: str, request: dict[str, Any]) -> list[str]:
    """Say what a request costs at most, one sentence per group of instances."""
    if operation == "CreateEndpointConfig":
        variants = request.get("ProductionVariants") or []
        groups = [(v.get("InstanceType", ""), v.get("InitialInstanceCount", 1)) for v in variants]
        return [f"Each hour it serves: {_priced(kind, 1, count)}" for kind, count in groups]
    if operation == "CreateTransformJob":
        group = request["TransformResources"]
        return [f"Each hour: {_priced(group['InstanceType'], 1, group['InstanceCount'])}"]
    if operation == "CreateTrainingJob":
        return [f"At most: {_job(request, 1)}"]
    if operation == "CreateHyperParameterTuningJob":
        jobs = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
        definition = request.get("TrainingJobDefinition") or {}
        return [f"At most: {_job(definition, jobs.get('MaxNumberOfTrainingJobs', 1))}"]
    return []


def _job(request: dict[str, Any], jobs: int) -> str:
    group = request.get("ResourceConfig") or {}
    seconds = (request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86_400)
    count = group.get("InstanceCount", 1) * jobs
    return _priced(group.get("InstanceType", ""), seconds / 3600, count)


def _priced(instance: str, hours: float, count: int) -> str:
    if instance not in PRICES:
        what = f"{count} × {instance or 'an instance'} for {hours:g} h"
        return f"{what}, whose price is not in the course's table."
    return str(estimate(instance, hours, count))
