"""S3 objects to a job's folders and back; no key and no archive reaches outside its folder."""

import io
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from local_sagemaker import archive
from local_sagemaker.errors import ApiError

Found = tuple[str, str, str]  # bucket, key, and the path below the prefix
_S3 = re.compile(r"s3://(?P<bucket>[^/]+)(/(?P<key>.*))?", re.S)
_HTTPS = re.compile(r"https://(?P<bucket>[^/]+)\.s3[.-][\w-]+\.amazonaws\.com(/(?P<key>.*))?", re.S)
_FAILED = "ClientError: Data download failed"


def split_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key``, or AWS' address of an object, in bucket and key."""
    found = _S3.fullmatch(uri) or _HTTPS.fullmatch(uri)
    if found is None:
        raise ApiError(f"The S3 URI {uri!r} is not of the form s3://bucket/key.")
    return found["bucket"], found["key"] or ""


def listed(s3: Any, source: dict[str, str]) -> Iterable[Found]:
    """Return the objects that an ``S3DataSource`` names, in the order of keys or its manifest."""
    uri = source["S3Uri"]
    if source["S3DataType"] != "ManifestFile":
        return keys(s3, uri)
    try:
        head, *names = json.loads(read(s3, uri))
        return [(*split_uri(head["prefix"] + name), name) for name in names]
    except (ValueError, TypeError, KeyError):
        form = '[{"prefix": "s3://bucket/folder/"}, "name", …]'
        raise ApiError(f"ClientError: the manifest {uri!r} is not of the form {form}.") from None


def keys(s3: Any, uri: str) -> Iterator[Found]:
    """Yield what has a prefix, in the order of keys."""
    bucket, prefix = split_uri(uri)
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    part = len(prefix.rpartition("/")[0])  # where the prefix is a key, or a part of a name
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for key in (found["Key"] for found in page.get("Contents", [])):
                if not key.endswith("/"):  # else it marks a folder
                    below = key[len(folder) if key.startswith(folder) else part :]
                    yield bucket, key, below.lstrip("/")
    except s3.exceptions.NoSuchBucket:
        raise ApiError(f"ClientError: the bucket of {uri!r} does not exist.") from None


def _opened(s3: Any, uri: str) -> Any:
    bucket, key = split_uri(uri)
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"]
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        said = f"there is no S3 object at {uri!r}; look at the job that should have written it."
        raise ApiError(f"{_FAILED}: {said}") from None


def read(s3: Any, uri: str) -> bytes:
    return bytes(_opened(s3, uri).read())


def fill(s3: Any, source: dict[str, str], folder: Path, share: tuple[int, int] = (0, 1)) -> None:
    """Copy what an ``S3DataSource`` names; ``share`` is a host's rank, and the number of hosts."""
    rank, count = share if source.get("S3DataDistributionType") == "ShardedByS3Key" else (0, 1)
    folder.mkdir(parents=True, exist_ok=True)
    place = -1
    for place, (bucket, key, below) in enumerate(listed(s3, source)):
        if place % count != rank:
            continue
        path, content = archive.inside(folder, below), _opened(s3, f"s3://{bucket}/{key}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:  # never over another key's
                shutil.copyfileobj(content, file, 1 << 20)
        except OSError as error:
            if error.errno not in archive.NAMES_FAULT:
                raise
            said = f"the object {key!r} can't be a file of its folder: {error.strerror}."
            raise ApiError(f"{_FAILED}: {said}") from None
    if place < 0:
        raise ApiError(f"{_FAILED}: No S3 objects found under S3 URL {source['S3Uri']!r}.")


def unpack(s3: Any, uri: str, folder: Path) -> None:
    archive.unpack(read(s3, uri), repr(uri), folder)


def pack(s3: Any, folder: Path, uri: str) -> list[str]:
    """Put a folder's content into S3 as ``tar.gz``; returns what `archive.pack` left out."""
    bucket, key = split_uri(uri)
    buffer = io.BytesIO()
    left_out = archive.pack(folder, buffer)
    s3.put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())
    return left_out
