"""Container images, and the local program that stands in for each."""

import re
from collections.abc import Mapping
from pathlib import Path

from local_sagemaker.algorithms import BUILTIN, Algorithm
from local_sagemaker.errors import ApiError
from local_sagemaker.service.store import ACCOUNT

_AWS = re.compile(
    rf"(?!{ACCOUNT})\d{{12}}\.dkr\.ecr(-fips)?\.[\w-]+\.amazonaws\.com(\.cn)?/(?P<name>[\w-]+)"
    r"(:[\w.-]+)?(@sha256:[0-9a-f]+)?"
)


def algorithm(image: str) -> Algorithm | None:
    """Return the built-in algorithm of an image of AWS', or None: ``my-org/knn`` is not ``knn``."""
    found = _AWS.fullmatch(image)
    return BUILTIN.get(found["name"]) if found else None


def trained(image: str) -> Algorithm:
    """Return the algorithm that a training image trains; an `ApiError` where it is none."""
    if found := algorithm(image):
        return found
    raise ApiError(
        f"No program of this machine stands in for the training image {image!r}: give source code"
        f" (script mode), or use AWS' image of a built-in algorithm ({', '.join(sorted(BUILTIN))})."
    )


def serving_kind(image: str, model: Path, environment: Mapping[str, str]) -> str:
    """Return which model server serves a model: an algorithm's, a SavedModel's or a script's."""
    if built_in := algorithm(image):
        return built_in.name
    name = re.split("[:@]", image.rpartition("/")[2])[0]
    saved = any(model.rglob("saved_model.pb"))
    if name.startswith("tensorflow") and (saved or name == "tensorflow-inference"):
        return "tensorflow"
    program = Path(environment.get("SAGEMAKER_PROGRAM") or "inference.py").name
    if (model / "code" / program).exists() or (model / program).exists():
        return "script"
    raise ApiError(
        f"No program of this machine can serve the image {image!r} with this model: it holds"
        f" neither a TensorFlow SavedModel nor code/{program}, and the image is none of AWS'"
        f" built-in algorithms ({', '.join(sorted(BUILTIN))})."
    )
