"""Operations on endpoints."""

from __future__ import annotations

import logging
import threading
from typing import Any

from local_sagemaker.errors import ApiError, reason
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.runtime import Deployment
from local_sagemaker.service.store import CONFIG, ENDPOINT, Record

_log = logging.getLogger("course.cloud")


def create_endpoint(account: Account, request: Request) -> Record:
    """Start a model server for a configuration, in the background."""
    config, variant = _chosen(account, request)
    record = account.store.add(ENDPOINT, request, EndpointStatus="Creating")
    arguments = (account, record["EndpointName"], config, variant, "Failed")
    threading.Thread(target=_deploy, args=arguments, daemon=True).start()
    return record


def update_endpoint(account: Account, request: Request) -> Record:
    """Start another model server in the background; it takes over once it answers."""
    name = request["EndpointName"]
    with account.lock:
        record = account.store.get(ENDPOINT, name)
        config, variant = _chosen(account, request)
        _refuse_in_progress(record)
        account.store.update(ENDPOINT, name, EndpointStatus="Updating")
    # what served before still does where the new model can't
    arguments = (account, name, config, variant, record["EndpointStatus"])
    threading.Thread(target=_deploy, args=arguments, daemon=True).start()
    return record


def delete_endpoint(account: Account, request: Request) -> Record:
    """End an endpoint's model server; its model and its configuration stay."""
    name = request["EndpointName"]
    with account.lock:
        _refuse_in_progress(account.store.get(ENDPOINT, name))
        account.store.remove(ENDPOINT, name)
        live = account.running.pop(f"endpoint/{name}", None)
    if live is not None:
        live.stop()
    return {}


def _chosen(account: Account, request: Request) -> tuple[Record, dict[str, Any]]:
    """Return the configuration that a request names, and its variant with its model's record.

    The endpoint keeps both: it goes on where its configuration or its model is deleted.
    """
    config = account.store.get(CONFIG, request["EndpointConfigName"])
    return config, account.store.variant(config["EndpointConfigName"])


def _refuse_in_progress(record: Record) -> None:
    if record["EndpointStatus"] in ("Creating", "Updating"):
        raise ApiError(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')


def _deploy(
    account: Account, name: str, config: Record, variant: dict[str, Any], otherwise: str
) -> None:
    """Bring an endpoint into service; where that fails its status is ``otherwise``."""
    live: Deployment | None = None
    try:
        live = Deployment(account, name, variant)
        live.start()
    except Exception as error:
        why = str(error) if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, ApiError):
            _log.exception("endpoint %s", name)
        if live is not None:
            live.stop()
        account.store.update(ENDPOINT, name, EndpointStatus=otherwise, FailureReason=reason(why))
        return
    weight = variant["InitialVariantWeight"]
    served = {"VariantName": variant["VariantName"], "CurrentInstanceCount": 1}
    served |= {"DesiredInstanceCount": 1, "CurrentWeight": weight, "DesiredWeight": weight}
    with account.lock:
        replaced = account.running.get(f"endpoint/{name}")
        account.running[f"endpoint/{name}"] = live
        account.store.update(
            ENDPOINT,
            name,
            EndpointStatus="InService",
            FailureReason=None,
            EndpointConfigName=config["EndpointConfigName"],
            ProductionVariants=[served],
            Serves=variant,
        )
    if replaced is not None:
        replaced.stop()
