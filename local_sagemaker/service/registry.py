"""Operations on the model registry: groups of model packages, each package a version."""

from local_sagemaker.errors import ApiError
from local_sagemaker.service.account import Account, Request
from local_sagemaker.service.store import GROUP, PACKAGE, Record


def create_model_package_group(account: Account, request: Request) -> Record:
    return account.store.add(GROUP, request, ModelPackageGroupStatus="Completed", CreatedBy={})


def create_model_package(account: Account, request: Request) -> Record:
    """Keep the next version of a group; a request that a client sends again is one version."""
    if "ModelPackageGroupName" not in request or "InferenceSpecification" not in request:
        raise ApiError("Give the model package a ModelPackageGroupName and containers.")
    with account.store.lock:
        group = account.store.get(GROUP, request["ModelPackageGroupName"].rpartition("/")[2])
        for one in account.store.all(PACKAGE):
            if request.get("ClientToken") and one.get("ClientToken") == request["ClientToken"]:
                return one
        name, version = group["ModelPackageGroupName"], group.get("Versions", 0) + 1
        account.store.update(GROUP, name, Versions=version)
        given = {"ModelApprovalStatus": "PendingManualApproval", **request}
        given |= {"ModelPackageGroupName": name, "ModelPackageName": name}
        more = {"ModelPackageVersion": version, "ModelPackageStatus": "Completed"}
        more["ModelPackageStatusDetails"] = {"ValidationStatuses": []}
        return account.store.add(PACKAGE, {**given, PACKAGE.name: f"{name}/{version}"}, **more)


def describe_model_package(account: Account, request: Request) -> Record:
    """Return a package by its ARN, or the first version of a group's name."""
    _, _, version = request["ModelPackageName"].partition(":model-package/")
    return account.store.get(PACKAGE, version or f"{request['ModelPackageName']}/1")


def update_model_package(account: Account, request: Request) -> Record:
    found = describe_model_package(account, {"ModelPackageName": request["ModelPackageArn"]})
    account.store.update(
        PACKAGE, found[PACKAGE.name], **{**request, "ClientToken": found.get("ClientToken")}
    )
    return found


def delete_model_package(account: Account, request: Request) -> Record:
    return account.store.remove(PACKAGE, describe_model_package(account, request)[PACKAGE.name])


def delete_model_package_group(account: Account, request: Request) -> Record:
    """Forget a group that has no packages any more."""
    name = request["ModelPackageGroupName"].rpartition("/")[2]
    if any(one["ModelPackageGroupName"] == name for one in account.store.all(PACKAGE)):
        raise ApiError(f"The model package group {name} has packages: delete them first.")
    return account.store.remove(GROUP, name)
