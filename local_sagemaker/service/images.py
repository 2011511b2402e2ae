"""Which program of this machine stands in for which container image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from local_sagemaker.algorithms import BUILTIN, Algorithm
from local_sagemaker.errors import ApiError

_NAME = re.compile(r"(?:[\w.:-]+/)*(?P<name>[\w.-]+?)(?::[\w.-]+)?(?:@sha256:[0-9a-f]+)?")


def repository(image: str) -> str:
    """Return the repository's name of an image: ``knn`` of ``1234.dkr.ecr.us-west-2.amazonaws.com/knn:1``."""
    found = _NAME.fullmatch(image)
    return found["name"] if found else image


def algorithm(image: str) -> Algorithm | None:
    """Return the built-in algorithm behind an image, or None where the image is none of them."""
    return BUILTIN.get(repository(image))


def _have() -> str:
    return ", ".join(sorted(BUILTIN))


def no_training(image: str) -> ApiError:
    """Return the error for a training image that nothing stands in for."""
    return ApiError(
        f"No program of this machine stands in for the training image {image!r}: give source code (script"
        " mode),"
        f" or use a built-in algorithm ({_have()}). With COURSE_CLOUD=aws the same job runs on AWS."
    )


def serving_kind(image: str, model: Path, environment: Mapping[str, str]) -> str:
    """Choose the kind of model server for an image and an unpacked model.

    Parameters
    ----------
    image : str
        Of the inference container.
    model : pathlib.Path
        Folder with the content of ``model.tar.gz``.
    environment : mapping
        The container's variables; ``SAGEMAKER_PROGRAM`` names the script.

    Returns
    -------
    str
        A built-in algorithm's name, ``"tensorflow"`` or ``"script"``.

    Raises
    ------
    ApiError
        Nothing here can serve it.
    """
    name = repository(image)
    if algorithm(image) is not None:
        return name
    saved = any(model.rglob("saved_model.pb"))
    if name.startswith("tensorflow") and (saved or name == "tensorflow-inference"):
        return "tensorflow"
    program = Path(environment.get("SAGEMAKER_PROGRAM") or "inference.py").name
    if (model / "code" / program).exists() or (model / program).exists():
        return "script"
    raise ApiError(
        f"No program of this machine can serve the image {image!r} with this model: it holds neither a"
        f" TensorFlow SavedModel nor code/{program}, and the image is no built-in algorithm ({_have()})."
    )
