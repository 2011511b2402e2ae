"""S3 on disk: moto keeps objects in memory; a change is written to disk before its answer.

One folder per bucket, one file per object, named by its key's hash: a line of JSON, then the bytes.
"""

import contextlib
import datetime
import hashlib
import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from local_sagemaker.errors import LOG
from local_sagemaker.files import replacing, set_aside, sync, write
from local_sagemaker.service import moto
from local_sagemaker.service.moto import is_s3, s3_error
from local_sagemaker.service.store import ACCOUNT
from local_sagemaker.serving.server import Request, Response

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # no such name leaves the folder
_OURS = re.compile(r"bucket\.json|[0-9a-f]{40}\.object|\..*-\w{32}\.part")
_CHANGES = ("PUT", "POST", "DELETE")
_PARTS = ("partNumber", "uploads")  # of an upload that is not completed
_KEPT: tuple[str, ...] = ("encryption", "kms_key_id", "bucket_key_enabled")
_KEPT += ("checksum_value", "checksum_type", "checksum_algorithm")


class StoredS3:
    """Answers every service but SageMaker, as `moto` does, and keeps the buckets in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.set_aside: list[str] = []  # a sentence per damaged file that was found at the start
        self._lock = threading.RLock()
        if folder.exists() and not folder.is_dir():
            self.set_aside.append(set_aside(folder, "it is no folder"))
        folder.mkdir(parents=True, exist_ok=True)
        moto.application()
        for place in sorted(path for path in folder.iterdir() if path.is_dir()):
            if _BUCKET.fullmatch(place.name) and any(map(_ours, place.iterdir())):
                self._restore_bucket(place)

    def __call__(self, request: Request) -> Response:
        """Answer one request; a change of S3 is on disk when this returns."""
        if request.method not in _CHANGES or not is_s3(request):
            return moto.answer(request)
        bucket, _, key = unquote(request.path.lstrip("/")).partition("/")
        query = parse_qs(request.query, keep_blank_values=True)
        if not bucket or any(name in query for name in _PARTS):
            return moto.answer(request)
        if not _BUCKET.fullmatch(bucket):
            return s3_error(400, "InvalidBucketName", "The specified bucket is not valid.")
        refused = _unkept(request, key, query)
        if refused:
            return s3_error(501, "NotImplemented", refused)
        with self._lock:
            reply = moto.answer(request)
            # a completed upload can fail in an answer of status 200
            if reply.status >= 300 or b"<Error>" in reply.body[:300]:
                return reply
            changed = [key] if key else _deleted(request.body) if "delete" in query else []
            try:
                self._keep(bucket, changed, bool(key) and request.method != "DELETE")
            except OSError as error:
                LOG.warning("%s/%s is not kept: %s", bucket, key, error)
                _forget(bucket)  # memory says again what the disk says
                if (self.folder / bucket / "bucket.json").exists():
                    self._restore_bucket(self.folder / bucket)
                said = f"This machine could not keep it: {error.strerror or error}."
                return s3_error(500, "InternalError", said)
            return reply

    def _keep(self, bucket: str, changed: list[str], put: bool) -> None:
        """Write what changed; ``put`` says that the keys must be there now."""
        place = self.folder / bucket
        found = _backend().buckets.get(bucket)
        if found is None:
            if place.exists():
                _remove(place)
                sync(self.folder)
            return
        if not (place / "bucket.json").exists():
            about = {"region": found.region_name, "created": found.creation_date.isoformat()}
            write(place / "bucket.json", json.dumps(about))
            sync(self.folder)
        for key in changed:
            held = found.keys.get(key)
            path = place / f"{_digest(key)}.object"
            if held is not None:
                head = json.dumps(_described(held)).encode()
                with replacing(path) as part, part.open("wb") as file:
                    file.writelines((head, b"\n", held.value))
            elif put:
                raise OSError(f"the key {key!r} is stored under another name")
            else:
                path.unlink(missing_ok=True)
                sync(place)

    def _restore_bucket(self, place: Path) -> None:
        """Give moto a bucket and its objects; what can't be read is set aside."""
        about, region = place / "bucket.json", "us-west-2"
        created = datetime.datetime.fromtimestamp(place.stat().st_mtime, datetime.timezone.utc)
        try:
            said = json.loads(about.read_text(encoding="utf-8"))
            created = datetime.datetime.fromisoformat(said["created"])
            region = str(said["region"])
        except FileNotFoundError:
            self.set_aside.append(f"{about} is gone: the bucket's region is taken to be {region}.")
        except Exception as error:  # whatever it is, the lab starts
            self.set_aside.append(set_aside(about, f"{type(error).__name__}: {error}"))
        _backend().create_bucket(place.name, region).creation_date = created
        for path in sorted(path for path in place.iterdir() if _OURS.fullmatch(path.name)):
            if path.suffix == ".object":
                try:
                    _restore_object(place.name, path)
                except Exception as error:
                    self.set_aside.append(set_aside(path, f"{type(error).__name__}: {error}"))
            elif path.suffix == ".part" and path.is_file():
                path.unlink()  # what a kill left of a change that nobody was told of
        with contextlib.suppress(OSError):  # a full disk: the next start tries again
            self._keep(place.name, [], False)  # bucket.json where it is gone


def _restore_object(bucket: str, path: Path) -> None:
    with path.open("rb") as file:
        said, body = json.loads(file.readline()), file.read()
    if len(body) != said["size"]:
        raise ValueError(f"it holds {len(body)} of the {said['size']} bytes of {said['key']!r}")
    modified = datetime.datetime.fromisoformat(said["modified"])
    metadata, tags = dict(said["metadata"]), dict(said["tags"])
    if _digest(said["key"]) != path.stem:
        raise ValueError(f"it is the object {said['key']!r}")
    words = [said["etag"], *metadata.values(), *(said.get(n) for n in _KEPT if "checksum" in n)]
    if not all(isinstance(word, str | None) for word in words):
        raise TypeError("a checksum or a word of its metadata is no text")
    about = {"storage": said["storage"], "etag": said["etag"], "disable_notification": True}
    kept = _backend().put_object(bucket, said["key"], body, **about)
    kept.last_modified = modified
    kept._metadata.update(metadata)
    for name in _KEPT:
        setattr(kept, name, said.get(name))
    if tags:
        _backend().put_object_tagging(kept, tags)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT]["aws"]


def _forget(bucket: str) -> None:
    held = _backend().buckets.get(bucket)
    if held is not None:
        for key in list(held.keys):
            held.keys.pop(key)
        _backend().delete_bucket(bucket)


def _described(held: Any) -> dict[str, Any]:
    return {
        "key": held.name,
        "size": held.size,
        "etag": held.etag.strip('"'),
        "modified": held.last_modified.isoformat(),
        "storage": held.storage_class,
        "metadata": dict(held._metadata),
        "tags": _backend().tagger.get_tag_dict_for_resource(held.arn),
    } | {name: getattr(held, name, None) for name in _KEPT}


def _ours(path: Path) -> bool:
    """Whether this wrote a file; all else in its folders is the user's, and left alone."""
    return bool(_OURS.fullmatch(path.name)) and path.is_file()


def _remove(place: Path) -> None:
    """Remove the folder of a bucket that was deleted; what is not ours in it stays."""
    for path in sorted(filter(_ours, place.iterdir()), key=lambda p: p.name == "bucket.json"):
        path.unlink()  # bucket.json last: until then the bucket is there
    if not any(place.iterdir()):
        place.rmdir()


def _unkept(request: Request, key: str, query: dict[str, list[str]]) -> str:
    """Say why a change can't be kept here, rather than answer for what a restart would lose."""
    known = {"x-id", "uploadId", "delete", "tagging"} if key else {"x-id", "delete"}
    signature = ("x-amz", "aws", "sign", "expires")
    for name in query:
        if name not in known and not name.lower().startswith(signature):
            return f"A lab's server does not keep the setting {name!r} of buckets and objects."
    if request.method == "POST" and not key and "delete" not in query:
        return "Objects are put one by one or in parts; a form's upload is not supported."
    return ""


def _deleted(body: bytes) -> list[str]:
    root = ElementTree.fromstring(body)
    return [node.text or "" for node in root.iter() if node.tag.rpartition("}")[2] == "Key"]
