"""Store of records: the descriptions of jobs, models and endpoints, and their tags."""

from __future__ import annotations

import base64
import copy
import json
import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.files import set_aside, write
from local_sagemaker.service import contract

_log = logging.getLogger("course.cloud")
#: The account that the local service plays; moto's own.
ACCOUNT = "123456789012"
Record = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of thing: its name in an ARN, and its members for name, ARN, status and end."""

    label: str
    name: str
    arn: str
    status: str = ""
    end: str = ""  # only jobs have one

    def missing(self, arn: str) -> ApiError:
        """Return what AWS says where there is none."""
        words = {"endpoint-config": "endpoint configuration", "transform-job": "transform job"}
        code = "ResourceNotFound" if self.end else "ValidationException"
        if self in (TRAINING, TUNING):
            return ApiError("Requested resource not found.", code)
        return ApiError(f'Could not find {words.get(self.label, self.label)} "{arn}".', code)

    def exists(self, name: str, arn: str) -> ApiError:
        """Return what AWS says where the name is taken."""
        unique = "Job name must be unique within an AWS account and region"
        if self.end:
            said = f"{unique}, and a job named {name} already exists ({arn})."
            return ApiError(said, "ResourceInUse")
        words = self.label.replace("config", "configuration").replace("-", " ")
        return ApiError(f'Cannot create already existing {words} "{arn}".')


TRAINING = Kind(
    "training-job", "TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "TrainingEndTime"
)
TRANSFORM = Kind(
    "transform-job", "TransformJobName", "TransformJobArn", "TransformJobStatus", "TransformEndTime"
)
TUNING = Kind(
    "hyper-parameter-tuning-job",
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobArn",
    "HyperParameterTuningJobStatus",
    "HyperParameterTuningEndTime",
)
MODEL = Kind("model", "ModelName", "ModelArn")
CONFIG = Kind("endpoint-config", "EndpointConfigName", "EndpointConfigArn")
ENDPOINT = Kind("endpoint", "EndpointName", "EndpointArn", "EndpointStatus")
KINDS = (TRAINING, TRANSFORM, TUNING, MODEL, CONFIG, ENDPOINT)


def now() -> float:
    """Return the seconds since 1970 to the millisecond, as AWS keeps times."""
    return time.time_ns() // 1_000_000 / 1000


class Store:
    """All records of one service in one region, each a JSON file where there is a folder.

    A change is on disk before its caller hears of it, so that the next service finds it.
    """

    def __init__(self, region: str, folder: Path | None = None) -> None:
        self.region = region
        self.folder = folder
        self.lock = threading.RLock()
        self.set_aside: list[str] = []  # sentences on damaged files
        self._records: dict[Kind, dict[str, Record]] = {kind: {} for kind in KINDS}
        self._tags: dict[str, tuple[Kind, str, dict[str, str]]] = {}  # of kind and name, by ARN
        if folder is not None:
            self._read(folder)

    def arn(self, kind: Kind, name: str) -> str:
        """Return the Amazon resource name, in lower case, as AWS makes it."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:{kind.label}/{name.lower()}"

    def add(self, kind: Kind, request: Mapping[str, Any], **more: Any) -> Record:
        """Keep the record of a new thing and return it: the request, ARN, times and ``more``."""
        name = request[kind.name]
        arn = self.arn(kind, name)
        tags = _by_key(request.get("Tags") or [])
        with self.lock:
            if arn in self._tags:
                raise kind.exists(name, arn)
            record = {k: copy.deepcopy(v) for k, v in request.items() if k != "Tags"}
            moment = now()
            record |= {kind.arn: arn, "CreationTime": moment, "LastModifiedTime": moment, **more}
            self._write(kind, name, record, tags)
            self._keep(kind, record, tags)
            return record

    def get(self, kind: Kind, name: str) -> Record:
        """Return a copy of one record; raise what AWS says where there is none."""
        with self.lock:
            if name not in self._records[kind]:
                raise kind.missing(self.arn(kind, name))
            return copy.deepcopy(self._records[kind][name])

    def variant(self, config: str) -> Record:
        """Return the variant of an endpoint's configuration, with its model's record."""
        found = self.get(CONFIG, config)["ProductionVariants"][0]
        return {**found, "Model": self.get(MODEL, found["ModelName"])}

    def has(self, kind: Kind, name: str) -> bool:
        """Return whether there is one of that name."""
        return name in self._records[kind]

    def all(self, kind: Kind) -> list[Record]:
        """Return all records of a kind as they are kept, oldest first: read them only."""
        with self.lock:
            return list(self._records[kind].values())

    def update(self, kind: Kind, name: str, **changes: Any) -> None:
        """Change members of a record and its time; a record deleted meanwhile stays deleted."""
        with self.lock:
            found = self._records[kind].get(name)
            if found is None:
                return
            # replaced, never changed in place: listings read records without a copy
            changed = {**found, **copy.deepcopy(changes), "LastModifiedTime": now()}
            self._records[kind][name] = changed
            try:
                self._write(kind, name, changed, self._tags[changed[kind.arn]][2])
            except OSError as error:  # a full disk ends no job that runs
                _log.warning("%s %s is not written down: %s", kind.label, name, error)

    def remove(self, kind: Kind, name: str) -> Record:
        """Forget one record and its tags; return it."""
        with self.lock:
            record = self.get(kind, name)
            if self.folder is not None:
                self._path(self.folder, kind, name).unlink(missing_ok=True)
            del self._records[kind][name], self._tags[record[kind.arn]]
            return record

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of the resource with that ARN."""
        with self.lock:
            if arn.lower() not in self._tags:
                raise ApiError(f'Could not find resource with ARN "{arn}".')
            return self._tags[arn.lower()][2]

    def change_tags(self, arn: str, added: list[dict[str, str]], removed: list[str]) -> None:
        """Remove tags of a resource and add others."""
        with self.lock:
            tags = {k: v for k, v in self.tags(arn).items() if k not in removed} | _by_key(added)
            if len(tags) > 50:
                raise ApiError(f"The resource would have {len(tags)} tags; it can have 50.")
            kind, name, _ = self._tags[arn.lower()]
            self._write(kind, name, self._records[kind][name], tags)
            self._tags[arn.lower()] = kind, name, tags

    def _keep(self, kind: Kind, record: Record, tags: dict[str, str]) -> None:
        self._records[kind][record[kind.name]] = record
        self._tags[record[kind.arn]] = kind, record[kind.name], tags

    def _path(self, folder: Path, kind: Kind, name: str) -> Path:
        encoded = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
        return folder / kind.label / f"{encoded}.json"  # no name leads out of the folder

    def _write(self, kind: Kind, name: str, record: Record, tags: dict[str, str]) -> None:
        if self.folder is not None:
            text = json.dumps({"record": record, "tags": tags})
            write(self._path(self.folder, kind, name), text)

    def _read(self, folder: Path) -> None:
        """Read what the last service kept; a file that holds no record is set aside."""
        if folder.exists() and not folder.is_dir():
            self.set_aside.append(set_aside(folder, "it is no folder"))
        for kind in KINDS:
            found: list[tuple[float, str, Record, dict[str, str]]] = []
            place = folder / kind.label
            if place.exists() and not place.is_dir():
                self.set_aside.append(set_aside(place, "it is no folder"))
            for path in [*place.glob("*.tmp"), *place.glob("*.part")]:
                if path.is_file():
                    path.unlink()  # what a kill left of a change that nobody was told of
            for path in place.glob("*.json"):
                try:
                    record, tags = self._checked(folder, kind, path)
                    found.append((record["CreationTime"], record[kind.name], record, tags))
                except Exception as error:  # whatever it is, the lab starts
                    self.set_aside.append(set_aside(path, f"{type(error).__name__}: {error}"))
            for *_, record, tags in sorted(found, key=lambda row: row[:2]):
                self._keep(kind, record, tags)

    def _checked(self, folder: Path, kind: Kind, path: Path) -> tuple[Record, dict[str, str]]:
        """Read one record and its tags; raise unless all is there that operations count on."""
        if not path.is_file():
            raise ValueError("it is no file")
        held = json.loads(path.read_text(encoding="utf-8"))
        record, tags = dict(held["record"]), dict(held["tags"])
        times = record["CreationTime"], record["LastModifiedTime"]
        words = [record[kind.name], record[kind.arn], record[kind.status or kind.name]]
        if not all(isinstance(word, str) for word in (*words, *tags, *tags.values())):
            raise TypeError("a name, an ARN, a status or a tag is no text")
        if words[1] != self.arn(kind, words[0]) or path != self._path(folder, kind, words[0]):
            raise ValueError(f"it is the record of {words[0]!r}")
        if not all(map(math.isfinite, times)):
            raise ValueError("a time is no number")
        contract.check_row(f"List{kind.arn.removesuffix('Arn')}s", record)
        return record, tags


def _by_key(tags: list[dict[str, str]]) -> dict[str, str]:
    """Return tags by their keys; raise where one is given twice."""
    found = {tag["Key"]: tag["Value"] for tag in tags}
    if len(found) < len(tags):
        raise ApiError(f"A tag key is given twice: {', '.join(tag['Key'] for tag in tags)}.")
    return found
