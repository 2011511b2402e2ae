"""Endpoints: what is created, updated and deleted by name, and which model server answers a request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from local_sagemaker.errors import ApiError, reason
from local_sagemaker.service.operations import Answer, operation, refuse
from local_sagemaker.service.plane import Plane
from local_sagemaker.service.runtime import Deployment
from local_sagemaker.service.store import CONFIG, ENDPOINT
from local_sagemaker.service.usual import describes, lists

_NO_UPDATE = {
    "RetainAllVariantProperties": "an endpoint has one variant",
    "DeploymentConfig": "the new model server takes over at once",
}


def _deploy(plane: Plane, name: str, config: Mapping[str, Any], otherwise: str) -> None:
    """Bring an endpoint into service, in a thread of its own; where that fails it is ``otherwise``."""
    variant = config["ProductionVariants"][0]
    live: Deployment | None = None
    try:
        live = Deployment(plane, name, variant)
        live.start()
    except Exception as error:
        why = str(error) if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"
        if live is not None:
            live.stop()
        plane.store.update(ENDPOINT, name, EndpointStatus=otherwise, FailureReason=reason(why))
        return
    with plane.lock:
        replaced = plane.running.get(f"endpoint/{name}")
        plane.running[f"endpoint/{name}"] = live
        count = variant.get("InitialInstanceCount", 1)
        weight = variant["InitialVariantWeight"]
        served = {
            "VariantName": variant["VariantName"],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "CurrentInstanceCount": count,
            "DesiredInstanceCount": count,
        }
        plane.store.update(
            ENDPOINT,
            name,
            EndpointStatus="InService",
            FailureReason=None,
            EndpointConfigName=config["EndpointConfigName"],
            ProductionVariants=[served],
        )
    if replaced is not None:
        replaced.stop()


@operation("CreateEndpoint")
def _create(plane: Plane, request: Mapping[str, Any]) -> Answer:
    refuse(request, {"DeploymentConfig": "the model server takes over at once"})
    config = plane.store.get(CONFIG, request["EndpointConfigName"])
    record = plane.store.add(ENDPOINT, request, EndpointStatus="Creating")
    threading.Thread(
        target=_deploy, args=(plane, request["EndpointName"], config, "Failed"), daemon=True
    ).start()
    return {"EndpointArn": record["EndpointArn"]}


@operation("UpdateEndpoint")
def _update(plane: Plane, request: Mapping[str, Any]) -> Answer:
    refuse(request, _NO_UPDATE)
    name = request["EndpointName"]
    record = plane.store.get(ENDPOINT, name)
    config = plane.store.get(CONFIG, request["EndpointConfigName"])
    if record["EndpointStatus"] in ("Creating", "Updating"):
        raise ApiError(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
    plane.store.update(ENDPOINT, name, EndpointStatus="Updating")
    before = record["EndpointStatus"]  # what served before still does where the new model can't
    threading.Thread(target=_deploy, args=(plane, name, config, before), daemon=True).start()
    return {"EndpointArn": record["EndpointArn"]}


@operation("DeleteEndpoint")
def _delete(plane: Plane, request: Mapping[str, Any]) -> Answer:
    with plane.lock:
        record = plane.store.get(ENDPOINT, request["EndpointName"])
        if record["EndpointStatus"] in ("Creating", "Updating"):
            raise ApiError(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
        plane.store.remove(ENDPOINT, request["EndpointName"])
        live = plane.running.pop(f"endpoint/{request['EndpointName']}", None)
    if live is not None:
        live.stop()
    return {}


describes(ENDPOINT)
lists(ENDPOINT, "Endpoints", status="EndpointStatus")
