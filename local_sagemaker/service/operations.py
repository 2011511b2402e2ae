"""Which function answers which operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service import contract

if TYPE_CHECKING:
    from local_sagemaker.service.plane import Plane

Answer = dict[str, Any]
Operation = Callable[["Plane", Mapping[str, Any]], Answer]
_OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Say that a function answers the operation of that name."""

    def register(function: Operation) -> Operation:
        _OPERATIONS[name] = function
        return function

    return register


def supported() -> list[str]:
    """Names of the operations that are answered here, sorted."""
    return sorted(_OPERATIONS)


def handle(plane: Plane, name: str, request: Mapping[str, Any]) -> Answer:
    """Answer one request of SageMaker's control plane.

    Parameters
    ----------
    plane : Plane
        What the operations share.
    name : str
        Operation, such as ``"CreateTrainingJob"``.
    request : mapping
        Its request, decoded.

    Returns
    -------
    dict
        As the operation's output shape says.

    Raises
    ------
    ApiError
        The request has the wrong form, asks for what is not here, or cannot be done.
    """
    if name not in contract.operations():
        raise ApiError(f"SageMaker has no operation {name!r}.", "UnknownOperationException", 404)
    if name not in _OPERATIONS:
        raise ApiError(
            f"{name} is not part of the SageMaker that runs on this machine; it has {', '.join(supported())}."
            " With COURSE_CLOUD=aws the same call goes to AWS."
        )
    contract.check(name, request)
    return contract.answer(name, _OPERATIONS[name](plane, request) or {})


def refuse(request: Mapping[str, Any], unsupported: Mapping[str, str]) -> None:
    """Refuse what would change the result and is not done here, instead of ignoring it.

    Parameters
    ----------
    request : mapping
        The request.
    unsupported : mapping
        Member to the reason, as a clause.

    Raises
    ------
    ApiError
        ``ValidationException`` with a sentence.
    """
    for member, reason in unsupported.items():
        if request.get(member):
            raise ApiError(
                f"{member} is not supported by the SageMaker that runs on this machine: {reason}."
            )
