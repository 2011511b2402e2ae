"""Descriptions of everything that was created: jobs, models, endpoints, and their tags.

With a folder, every change is on disk before the caller hears of it, one JSON file a
description, replaced atomically, so that a lab's next server finds what the last one had.
"""

from __future__ import annotations

import base64
import copy
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.files import set_aside, write

_log = logging.getLogger("course.cloud")
#: The account that the local service plays; moto's own.
ACCOUNT = "123456789012"
Record = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of thing: what it is called, and what is said when there is none.

    Attributes
    ----------
    label : str
        As it stands in an ARN.
    prefix : str
        How its members begin: ``TrainingJob`` for ``TrainingJobName``, ``TrainingJobArn``.
    missing, exists : str
        What is answered; ``{arn}`` and ``{name}`` are filled in.
    missing_code, exists_code : str
        Error codes, as the operations of this kind declare them.
    """

    label: str
    prefix: str
    missing: str
    exists: str
    missing_code: str = "ValidationException"
    exists_code: str = "ValidationException"


TRAINING = Kind(
    "training-job",
    "TrainingJob",
    "Requested resource not found.",
    "Job name must be unique within an AWS account and region, and a job named {name} already exists"
    " ({arn}).",
    "ResourceNotFound",
    "ResourceInUse",
)
TRANSFORM = Kind(
    "transform-job",
    "TransformJob",
    'Could not find transform job "{arn}".',
    "Job name must be unique within an AWS account and region, and a job named {name} already exists"
    " ({arn}).",
    "ResourceNotFound",
    "ResourceInUse",
)
TUNING = Kind(
    "hyper-parameter-tuning-job",
    "HyperParameterTuningJob",
    "Requested resource not found.",
    "Job name must be unique within an AWS account and region, and a job named {name} already exists"
    " ({arn}).",
    "ResourceNotFound",
    "ResourceInUse",
)
MODEL = Kind(
    "model",
    "Model",
    'Could not find model "{arn}".',
    'Cannot create already existing model "{arn}".',
)
CONFIG = Kind(
    "endpoint-config",
    "EndpointConfig",
    'Could not find endpoint configuration "{arn}".',
    'Cannot create already existing endpoint configuration "{arn}".',
)
ENDPOINT = Kind(
    "endpoint",
    "Endpoint",
    'Could not find endpoint "{arn}".',
    'Cannot create already existing endpoint "{arn}".',
)
KINDS = (TRAINING, TRANSFORM, TUNING, MODEL, CONFIG, ENDPOINT)


def now() -> float:
    """Seconds since 1970, to the millisecond, as AWS has them: a caller's copy is the same number."""
    return time.time_ns() // 1_000_000 / 1000


class Store:
    """All descriptions of one server.

    Parameters
    ----------
    region : str
        AWS region that is played.
    folder : pathlib.Path, optional
        Where descriptions are kept; None keeps them in memory only.
    """

    def __init__(self, region: str, folder: Path | None = None) -> None:
        self.region = region
        self.folder = folder
        self.lock = threading.RLock()
        self._records: dict[str, dict[str, Record]] = {kind.label: {} for kind in KINDS}
        self._tags: dict[str, dict[str, str]] = {}
        self.set_aside: list[str] = []  # sentences on damaged files
        if folder is not None:
            self._read(folder)

    def arn(self, kind: Kind, name: str) -> str:
        """Return the Amazon resource name; it is lower case, as AWS makes it."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:{kind.label}/{name.lower()}"

    def add(self, kind: Kind, request: Mapping[str, Any], **more: Any) -> Record:
        """Keep a new description; its tags are kept apart.

        Returns
        -------
        dict
            The description: the request, its ARN, its times and ``more``.

        Raises
        ------
        ApiError
            There is one of that name already.
        """
        name = request[f"{kind.prefix}Name"]
        arn = self.arn(kind, name)
        with self.lock:
            if any(known.lower() == name.lower() for known in self._records[kind.label]):
                raise ApiError(kind.exists.format(arn=arn, name=name), kind.exists_code)
            moment = now()
            record = {k: copy.deepcopy(v) for k, v in request.items() if k != "Tags"}
            record |= {
                f"{kind.prefix}Arn": arn,
                "CreationTime": moment,
                "LastModifiedTime": moment,
                **more,
            }
            tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or []}
            self._write(kind, name, record, tags)
            self._records[kind.label][name] = record
            self._tags[arn] = tags
            return record

    def get(self, kind: Kind, name: str) -> Record:
        """Return a copy of one description.

        Raises
        ------
        ApiError
            There is none, in the words that AWS uses for this kind.
        """
        with self.lock:
            found = self._records[kind.label].get(name)
            if found is None:
                raise ApiError(
                    kind.missing.format(arn=self.arn(kind, name), name=name), kind.missing_code
                )
            return copy.deepcopy(found)

    def has(self, kind: Kind, name: str) -> bool:
        """Whether there is one of that name."""
        return name in self._records[kind.label]

    def update(self, kind: Kind, name: str, **changes: Any) -> None:
        """Change members of a description, and its time; a description deleted meanwhile stays deleted.

        A disk that is full keeps a running job from being written down, not from telling the truth.
        """
        with self.lock:
            found = self._records[kind.label].get(name)
            if found is None:
                return
            changed = {**found, **copy.deepcopy(changes), "LastModifiedTime": now()}
            self._records[kind.label][name] = changed
            try:
                self._write(kind, name, changed, self._tags[changed[f"{kind.prefix}Arn"]])
            except OSError as error:
                _log.warning("%s %s is not written down: %s", kind.label, name, error)

    def remove(self, kind: Kind, name: str) -> Record:
        """Forget one description and its tags; returns it.

        Raises
        ------
        ApiError
            There is none.
        """
        with self.lock:
            record = self.get(kind, name)
            if self.folder is not None:
                self._path(self.folder, kind, name).unlink(missing_ok=True)
            del self._records[kind.label][name]
            self._tags.pop(record[f"{kind.prefix}Arn"], None)
            return record

    def all(self, kind: Kind) -> list[Record]:
        """Copies of all descriptions of a kind, oldest first."""
        with self.lock:
            return sorted(
                copy.deepcopy(list(self._records[kind.label].values())),
                key=lambda r: r["CreationTime"],
            )

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of a resource.

        Raises
        ------
        ApiError
            Nothing has that ARN.
        """
        with self.lock:
            if arn.lower() not in self._tags:
                raise ApiError(f'Could not find resource with ARN "{arn}".')
            return dict(self._tags[arn.lower()])

    def set_tags(self, arn: str, tags: dict[str, str]) -> None:
        """Replace the tags of a resource that exists."""
        with self.lock:
            for kind in KINDS:
                for name, record in self._records[kind.label].items():
                    if record[f"{kind.prefix}Arn"] == arn.lower():
                        self._write(kind, name, record, tags)
            self._tags[arn.lower()] = dict(tags)

    # ---- on disk

    def _path(self, folder: Path, kind: Kind, name: str) -> Path:
        encoded = (
            base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
        )  # names cannot name a folder
        return folder / kind.label / f"{encoded}.json"

    def _write(self, kind: Kind, name: str, record: Record, tags: dict[str, str]) -> None:
        if self.folder is None:
            return
        write(
            self._path(self.folder, kind, name),
            json.dumps({"record": record, "tags": tags}).encode(),
        )

    def _read(self, folder: Path) -> None:
        """Read what the last server kept; a file that holds no description is set aside."""
        for kind in KINDS:
            place = folder / kind.label
            if place.exists() and not place.is_dir():
                self.set_aside.append(set_aside(place, "it is no folder"))
            for path in place.glob("*.part"):
                path.unlink()  # what a kill left of a change that nobody was told of
            for path in sorted(place.glob("*.json")):
                try:
                    held = json.loads(path.read_text(encoding="utf-8"))
                    self._take(kind, held["record"], dict(held["tags"]))
                except (OSError, ValueError, KeyError, TypeError) as error:
                    self.set_aside.append(set_aside(path, f"{type(error).__name__}: {error}"))

    def _take(self, kind: Kind, record: Record, tags: dict[str, str]) -> None:
        """Take a description from disk, if it has what every operation counts on."""
        name, arn = record[f"{kind.prefix}Name"], record[f"{kind.prefix}Arn"]
        float(record["CreationTime"]), float(record["LastModifiedTime"])
        if kind not in (MODEL, CONFIG):
            _ = record[f"{kind.prefix}Status"]
        self._records[kind.label][name], self._tags[arn] = record, tags
