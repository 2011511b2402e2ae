"""Operations on endpoints."""

import logging
import threading

from local_sagemaker.errors import ApiError, failure, reason
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.runtime import Deployment
from local_sagemaker.service.store import ENDPOINT, Record

_log = logging.getLogger("local_sagemaker")


def create_endpoint(account: Account, request: Request) -> Record:
    """Start a model server for a configuration, in the background."""
    variant = account.store.variant(request["EndpointConfigName"])
    record = account.store.add(ENDPOINT, request, EndpointStatus="Creating")
    given = (account, request, variant, "Failed")
    threading.Thread(target=_deploy, args=given, daemon=True).start()
    return record


def update_endpoint(account: Account, request: Request) -> Record:
    """Start another model server in the background; it takes over once it answers."""
    with account.lock:
        record = account.store.get(ENDPOINT, request["EndpointName"])
        variant = account.store.variant(request["EndpointConfigName"])
        _refuse_in_progress(record)
        account.store.update(ENDPOINT, request["EndpointName"], EndpointStatus="Updating")
    # what served before still does where the new model can't
    given = (account, request, variant, record["EndpointStatus"])
    threading.Thread(target=_deploy, args=given, daemon=True).start()
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


def _refuse_in_progress(record: Record) -> None:
    if record["EndpointStatus"] in ("Creating", "Updating"):
        raise ApiError(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')


def _deploy(account: Account, request: Request, variant: Record, otherwise: str) -> None:
    """Bring an endpoint into service; where that fails its status is ``otherwise``."""
    name, weight = request["EndpointName"], variant["InitialVariantWeight"]
    live = Deployment(account, name, variant)
    try:
        live.start()
    except Exception as error:
        if not isinstance(error, ApiError):
            _log.exception("endpoint %s", name)
        live.stop()
        why = reason(failure(error))
        account.store.update(ENDPOINT, name, EndpointStatus=otherwise, FailureReason=why)
        return
    served = {"VariantName": variant["VariantName"], "CurrentInstanceCount": 1}
    served |= {"DesiredInstanceCount": 1, "CurrentWeight": weight, "DesiredWeight": weight}
    said: Record = {"EndpointStatus": "InService", "FailureReason": None, "Serves": variant}
    said |= {"EndpointConfigName": request["EndpointConfigName"], "ProductionVariants": [served]}
    with account.lock:
        replaced = account.running.get(f"endpoint/{name}")
        account.running[f"endpoint/{name}"] = live
        account.store.update(ENDPOINT, name, **said)
    if replaced is not None:
        replaced.stop()
