"""Store of records: the descriptions of jobs, models and endpoints, and their tags."""

import base64
import copy
import json
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local_sagemaker.errors import LOG, ApiError
from local_sagemaker.files import set_aside, write
from local_sagemaker.jobs.environment import REGION
from local_sagemaker.service import contract

#: The account that the local service plays; moto's own.
ACCOUNT = "123456789012"
Record = dict[str, Any]


class Kind(NamedTuple):
    """One kind of thing: its name in an ARN, and its members for name, ARN, status and end."""

    label: str
    name: str
    arn: str
    status: str = ""
    end: str = ""  # only jobs have one

    @property
    def words(self) -> str:
        return self.label.replace("config", "configuration").replace("-", " ")

    def missing(self, arn: str) -> ApiError:
        code = "ResourceNotFound" if self.end else "ValidationException"
        if self in (TRAINING, TUNING):
            return ApiError("Requested resource not found.", code)
        return ApiError(f'Could not find {self.words} "{arn}".', code)

    def exists(self, name: str, arn: str) -> ApiError:
        if not self.end:
            return ApiError(f'Cannot create already existing {self.words} "{arn}".')
        said = "Job name must be unique within an AWS account and region, and a job named"
        return ApiError(f"{said} {name} already exists ({arn}).", "ResourceInUse")


def _job(label: str, member: str, end: str) -> Kind:
    return Kind(label, f"{member}Name", f"{member}Arn", f"{member}Status", end)


TRAINING = _job("training-job", "TrainingJob", "TrainingEndTime")
TRANSFORM = _job("transform-job", "TransformJob", "TransformEndTime")
_TUNING = "HyperParameterTuning"
TUNING = _job("hyper-parameter-tuning-job", f"{_TUNING}Job", f"{_TUNING}EndTime")
MODEL = Kind("model", "ModelName", "ModelArn")
CONFIG = Kind("endpoint-config", "EndpointConfigName", "EndpointConfigArn")
ENDPOINT = Kind("endpoint", "EndpointName", "EndpointArn", "EndpointStatus")
GROUP = Kind("model-package-group", "ModelPackageGroupName", "ModelPackageGroupArn")
PACKAGE = Kind("model-package", "Version", "ModelPackageArn")  # "group/1"
KINDS = (TRAINING, TRANSFORM, TUNING, MODEL, CONFIG, ENDPOINT, GROUP, PACKAGE)


def now() -> float:
    """Return the seconds since 1970 to the millisecond, as AWS keeps times."""
    return time.time_ns() // 1_000_000 / 1000


class Store:
    """All records, each a JSON file where there is a folder, written at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.set_aside: list[str] = []  # sentences on damaged files
        self._records: dict[Kind, dict[str, Record]] = {kind: {} for kind in KINDS}  # by ARN
        if folder is not None:
            if folder.exists() and not folder.is_dir():
                self.set_aside.append(set_aside(folder, "it is no folder"))
            for kind in KINDS:
                self._read(kind, folder / kind.label)

    def arn(self, kind: Kind, name: str) -> str:
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind.label}/{name.lower()}"

    def add(self, kind: Kind, request: Mapping[str, Any], **more: Any) -> Record:
        """Keep the record of a new thing and return it: the request, ARN, times and ``more``."""
        arn, moment = self.arn(kind, request[kind.name]), now()
        record = copy.deepcopy(dict(request)) | {"Tags": by_key(request.get("Tags") or [])}
        record |= {kind.arn: arn, "CreationTime": moment, "LastModifiedTime": moment, **more}
        with self.lock:
            if arn in self._records[kind]:
                raise kind.exists(request[kind.name], arn)
            self._write(kind, record)
        return record

    def has(self, kind: Kind, name: str) -> bool:
        return self._records[kind].get(self.arn(kind, name), {}).get(kind.name) == name

    def get(self, kind: Kind, name: str) -> Record:
        """Return a copy of one record; raise what AWS says where there is none."""
        with self.lock:
            if not self.has(kind, name):
                raise kind.missing(self.arn(kind, name))
            return copy.deepcopy(self._records[kind][self.arn(kind, name)])

    def named(self, kind: Kind, name: str) -> Record:
        """Return what has a name or an ARN, in whatever case; read it only."""
        arn = name.lower() if name.startswith("arn:") else self.arn(kind, name)
        if arn not in self._records[kind]:
            raise kind.missing(arn)
        return self._records[kind][arn]

    def variant(self, config: str) -> Record:
        """Return the variant of an endpoint's configuration, with its model's record."""
        (found,) = self.get(CONFIG, config)["ProductionVariants"]
        return {**found, "Model": self.get(MODEL, found["ModelName"])}

    def all(self, kind: Kind) -> list[Record]:
        """Return all records of a kind as they are kept, oldest first: read them only."""
        with self.lock:
            return list(self._records[kind].values())

    def update(self, kind: Kind, name: str, **changes: Any) -> None:
        """Change members of a record and its time; a record deleted meanwhile stays deleted."""
        with self.lock:
            if not self.has(kind, name):
                return
            arn = self.arn(kind, name)
            # replaced, never changed in place: listings read records without a copy
            changed = self._records[kind][arn] | copy.deepcopy(changes)
            changed["LastModifiedTime"] = now()
            try:
                self._write(kind, changed)
            except OSError as error:  # a full disk ends no job that runs
                self._records[kind][arn] = changed
                LOG.warning("%s %s is not written down: %s", kind.label, name, error)

    def remove(self, kind: Kind, name: str) -> Record:
        with self.lock:
            record = self.get(kind, name)
            if self.folder is not None:
                (self.folder / kind.label / self._file(name)).unlink(missing_ok=True)
            return self._records[kind].pop(record[kind.arn])

    def change_tags(self, arn: str, added: dict[str, str], removed: list[str]) -> None:
        with self.lock:
            kind, record = self.of_arn(arn)
            tags = {k: v for k, v in record["Tags"].items() if k not in removed} | added
            if len(tags) > 50:
                raise ApiError(f"The resource would have {len(tags)} tags; it can have 50.")
            self._write(kind, record | {"Tags": tags})

    def of_arn(self, arn: str) -> tuple[Kind, Record]:
        """Return the kind and the record of what has that ARN; read it only."""
        for kind, records in self._records.items():
            if arn.lower() in records:
                return kind, records[arn.lower()]
        raise ApiError(f'Could not find resource with ARN "{arn}".')

    def _file(self, name: str) -> str:
        """Return the name of a record's file; no name leads out of the folder."""
        return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=") + ".json"

    def _write(self, kind: Kind, record: Record) -> None:
        """Keep a record; where it can't be written down, it is as it was."""
        if self.folder is not None:
            place = self.folder / kind.label / self._file(record[kind.name])
            write(place, json.dumps({"record": record}))
        self._records[kind][record[kind.arn]] = record

    def _read(self, kind: Kind, place: Path) -> None:
        """Read what the last service kept; a file that holds no record is set aside."""
        if place.exists() and not place.is_dir():
            self.set_aside.append(set_aside(place, "it is no folder"))
        for path in place.glob("*.part"):
            if path.is_file():
                path.unlink()  # what a kill left of a change that nobody was told of
        found: list[tuple[float, str, Record]] = []
        for path in place.glob("*.json"):
            try:
                record = self._checked(kind, path)
                found.append((record["CreationTime"], record[kind.name], record))
            except Exception as error:  # whatever it is, the lab starts
                self.set_aside.append(set_aside(path, f"{type(error).__name__}: {error}"))
        found.sort(key=lambda row: row[:2])
        self._records[kind] = {record[kind.arn]: record for *_, record in found}

    def _checked(self, kind: Kind, path: Path) -> Record:
        """Read one record; raise unless all is there that operations count on."""
        record: Record = dict(json.loads(path.read_text(encoding="utf-8"))["record"])
        times = record["CreationTime"], record["LastModifiedTime"]
        name, tags = record[kind.name], dict(record["Tags"])
        words = [name, record[kind.status or kind.name], *tags, *tags.values()]
        if not all(isinstance(word, str) for word in words):
            raise TypeError("a name, a status or a tag is no text")
        if record[kind.arn] != self.arn(kind, name) or path.name != self._file(name):
            raise ValueError(f"it is the record of {name!r}")
        if not all(map(math.isfinite, times)):
            raise ValueError("a time is no number")
        contract.check_row(f"List{kind.arn.removesuffix('Arn')}s", record)
        return record


def by_key(tags: list[dict[str, str]]) -> dict[str, str]:
    """Return tags by their keys; raise where one is given twice."""
    found = {tag["Key"]: tag["Value"] for tag in tags}
    if len(found) < len(tags):
        raise ApiError(f"A tag key is given twice: {', '.join(tag['Key'] for tag in tags)}.")
    return found
