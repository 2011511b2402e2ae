"""S3 on disk: what it answered for is written and synced before the answer leaves.

moto keeps objects in memory. In front of it, this looks at what a request changed, writes that, and only
then lets the answer go; a server that starts on the same folder gives moto everything back. Where the
disk refuses (full, read-only), the change is taken back in memory as well and the caller gets an error,
so that memory and disk always say the same.

One folder a bucket, one pair of files an object, named by the hash of the key: no key can name a place.
An upload in parts is kept once it is completed; parts of one that is not are lost with the server, as
its ``UploadId`` is.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import re
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from local_sagemaker.files import sync_folder, write_atomically
from local_sagemaker.service.moto import Moto
from local_sagemaker.service.store import ACCOUNT
from local_sagemaker.serving.server import Request, Response

_log = logging.getLogger("course.cloud")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # no such name leaves the folder
_CHANGES = ("PUT", "POST", "DELETE")
_PARTS = ("partNumber", "uploads")  # of an upload that is not completed
_KEPT = (
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "checksum_value",
    "checksum_type",
    "checksum_algorithm",
)


class Journal:
    """Answers every service but SageMaker, like :class:`Moto`, and keeps S3.

    Parameters
    ----------
    folder : pathlib.Path
        Where buckets are kept.
    moto : Moto
        What answers.
    """

    def __init__(self, folder: Path, moto: Moto) -> None:
        self.folder = folder
        self._moto = moto
        self._lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        moto.load()
        self._restore()

    def __call__(self, request: Request) -> Response:
        """Answer one request; a change of S3 is on disk when this returns."""
        if request.method not in _CHANGES or not _is_s3(request):
            return self._moto(request)
        bucket, _, key = unquote(request.path.lstrip("/")).partition("/")
        query = parse_qs(request.query, keep_blank_values=True)
        if not bucket or any(name in query for name in _PARTS):
            return self._moto(request)
        if not _BUCKET.fullmatch(bucket):
            return _error(400, "InvalidBucketName", "The specified bucket is not valid.")
        refused = _unkept(request, key, query)
        if refused:
            return _error(501, "NotImplemented", refused)
        with self._lock:
            reply = self._moto(request)
            # a completed upload can fail in an answer of status 200
            if reply.status >= 300 or b"<Error>" in reply.body[:300]:
                return reply
            changed = [key] if key else _deleted(request.body) if "delete" in query else []
            put = bool(key) and request.method != "DELETE"
            try:
                self._keep(bucket, changed, put)
            except OSError as error:
                _log.warning("%s/%s is not kept: %s", bucket, key, error)
                self._take_back(bucket, changed)
                return _error(
                    500,
                    "InternalError",
                    f"This machine could not keep it: {error.strerror or error}.",
                )
            return reply

    def _keep(self, bucket: str, changed: list[str], put: bool) -> None:
        place = self.folder / bucket
        found = _backend().buckets.get(bucket)
        if found is None:
            if place.exists():
                gone = self.folder / f".gone-{uuid.uuid4().hex}"
                place.rename(
                    gone
                )  # at once, where removing file by file could be cut in the middle
                sync_folder(self.folder)
                shutil.rmtree(gone, ignore_errors=True)
            return
        if not (place / "bucket.json").exists():
            write_atomically(
                place / "bucket.json", json.dumps({"region": found.region_name}).encode()
            )
            sync_folder(self.folder)
        for key in changed:
            held = found.keys.get(key)
            if held is not None:
                self._write(place, held)
            elif put:
                raise OSError(f"the key {key!r} is stored under another name")
            else:
                self._forget(place, key)

    def _write(self, place: Path, held: Any) -> None:
        head = place / f"{_hash(held.name)}.json"
        before = _data_of(head)
        data = f"{_hash(held.name)}-{uuid.uuid4().hex[:12]}.data"
        try:
            write_atomically(place / data, held.value)
            write_atomically(head, json.dumps(_described(held) | {"data": data}).encode())
        except OSError:
            (place / data).unlink(missing_ok=True)
            raise
        if before:
            (place / before).unlink(missing_ok=True)

    def _forget(self, place: Path, key: str) -> None:
        head = place / f"{_hash(key)}.json"
        data = _data_of(head)
        head.unlink(missing_ok=True)
        sync_folder(place)
        if data:
            (place / data).unlink(missing_ok=True)

    def _take_back(self, bucket: str, changed: list[str]) -> None:
        """Make memory say again what the disk says."""
        backend = _backend()
        place = self.folder / bucket
        if not (place / "bucket.json").exists():
            if bucket in backend.buckets:
                backend.delete_bucket(bucket)
            return
        if bucket not in backend.buckets:
            self._restore_bucket(place)
            return
        for key in changed:
            if key in backend.buckets[bucket].keys:
                backend.buckets[bucket].keys.pop(key)
            head = place / f"{_hash(key)}.json"
            if head.exists():
                self._restore_object(bucket, place, head)

    def _restore(self) -> None:
        for place in sorted(self.folder.iterdir()):
            if place.name.startswith("."):
                shutil.rmtree(place, ignore_errors=True)
            elif (place / "bucket.json").exists():
                self._restore_bucket(place)

    def _restore_bucket(self, place: Path) -> None:
        region = json.loads((place / "bucket.json").read_text(encoding="utf-8"))["region"]
        _backend().create_bucket(place.name, region)
        used = {"bucket.json"}
        for head in sorted(place.glob("*.json")):
            if head.name != "bucket.json":
                used |= {head.name, self._restore_object(place.name, place, head)}
        for path in place.iterdir():
            if path.name not in used:  # what a kill left between two steps
                path.unlink()

    def _restore_object(self, bucket: str, place: Path, head: Path) -> str:
        said = json.loads(head.read_text(encoding="utf-8"))
        backend = _backend()
        kept = backend.put_object(
            bucket,
            said["key"],
            (place / said["data"]).read_bytes(),
            storage=said["storage"],
            etag=said["etag"],
            disable_notification=True,
        )
        kept.last_modified = datetime.datetime.fromisoformat(said["modified"])
        kept._metadata.update(said["metadata"])
        for name in _KEPT:
            setattr(kept, name, said.get(name))
        if said["tags"]:
            backend.put_object_tagging(kept, said["tags"])
        return str(said["data"])


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT]["aws"]


def _described(held: Any) -> dict[str, Any]:
    tags = _backend().tagger.get_tag_dict_for_resource(held.arn)
    return {
        "key": held.name,
        "etag": held.etag.strip('"'),
        "modified": held.last_modified.isoformat(),
        "storage": held.storage_class,
        "metadata": dict(held._metadata),
        "tags": tags,
    } | {name: getattr(held, name, None) for name in _KEPT}


def _data_of(head: Path) -> str:
    try:
        return str(json.loads(head.read_text(encoding="utf-8"))["data"])
    except FileNotFoundError:
        return ""


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _is_s3(request: Request) -> bool:
    scope = re.search(
        r"Credential=[^/]+/\d+/[\w-]+/(\w[\w-]*)/",
        request.headers.get("authorization", "") + unquote(request.query),
    )
    if scope is not None:
        return scope[1] == "s3"
    return "AWSAccessKeyId=" in request.query or request.headers.get(
        "authorization", ""
    ).startswith("AWS ")


def _unkept(request: Request, key: str, query: dict[str, list[str]]) -> str:
    """Say why a change can't be kept here, rather than answer for what a restart would lose."""
    known = {"x-id", "uploadId", "delete", "tagging"} if key else {"x-id", "delete"}
    settings = [
        name
        for name in query
        if name not in known and not name.lower().startswith(("x-amz", "aws", "sign", "expires"))
    ]
    if settings:
        return f"A lab's server does not keep the setting {settings[0]!r} of buckets and objects."
    if request.method == "POST" and not key and "delete" not in query:
        return "Objects are put one by one or in parts; a form's upload is not supported."
    return ""


def _deleted(body: bytes) -> list[str]:
    root = ElementTree.fromstring(body)
    return [node.text or "" for node in root.iter() if node.tag.rpartition("}")[2] == "Key"]


def _error(status: int, code: str, message: str) -> Response:
    said = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    text = f'<?xml version="1.0" encoding="UTF-8"?>{said}'
    return Response(text.encode(), "application/xml", status)
