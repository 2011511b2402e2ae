"""S3 objects to a job's folders and back; no key and no archive reaches outside its folder."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from local_sagemaker import archive
from local_sagemaker.errors import ApiError

_FAILED = "ClientError: Data download failed"
# what a key can be at fault for; anything else (a full disk) is this machine's
_KEYS_FAULT = (errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)


def split_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` in two.

    Raises
    ------
    ApiError
        It is no S3 URI.
    """
    parsed = urlparse(uri)
    if parsed.scheme != "s3" or not parsed.netloc:
        raise ApiError(f"The S3 URI {uri!r} is not of the form s3://bucket/key.")
    return parsed.netloc, uri.split("/", 3)[3] if uri.count("/") > 2 else ""


def inside(folder: Path, relative: str) -> Path:
    """Return the path of a key below a folder.

    Raises
    ------
    ApiError
        It would be outside.
    """
    try:
        return archive.inside(folder, relative)
    except archive.ArchiveError as error:
        raise ApiError(f"ClientError: {error}") from None


def keys(s3: Any, uri: str) -> Iterator[tuple[str, str, str]]:
    """Yield the objects below a prefix, without folders' markers.

    Parameters
    ----------
    s3 : boto3 client
        Of the service ``s3``.
    uri : str
        ``s3://bucket/prefix``.

    Yields
    ------
    bucket, key, relative : str
        In the order of keys; ``relative`` is the key without the prefix's folders.

    Raises
    ------
    ApiError
        The bucket does not exist.
    """
    bucket, prefix = split_uri(uri)
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                if not found["Key"].endswith("/"):
                    yield bucket, found["Key"], _relative(prefix, found["Key"])
    except s3.exceptions.NoSuchBucket:
        raise ApiError(f"ClientError: the bucket of {uri!r} does not exist.") from None


def _relative(prefix: str, key: str) -> str:
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if not key.startswith(folder):  # the prefix is a key, or a part of a name
        folder = prefix[: prefix.rfind("/") + 1]
    return key[len(folder) :].lstrip("/")


def manifest(s3: Any, uri: str) -> list[tuple[str, str, str]]:
    """Read what a manifest lists: ``[{"prefix": "s3://bucket/"}, "name", …]``; as `keys`.

    Raises
    ------
    ApiError
        The manifest is missing or not of that form.
    """
    try:
        head, *names = json.loads(read(s3, uri))
        return [(*split_uri(head["prefix"] + name), name) for name in names]
    except (ValueError, TypeError, KeyError):
        raise ApiError(
            f"ClientError: the manifest {uri!r} is not of the form"
            ' [{"prefix": "s3://bucket/folder/"}, "name", …].'
        ) from None


def read(s3: Any, uri: str) -> bytes:
    """Return one object.

    Raises
    ------
    ApiError
        It does not exist.
    """
    bucket, key = split_uri(uri)
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        raise ApiError(
            f"{_FAILED}: there is no S3 object at {uri!r}; look at what the bucket holds and at the"
            " job that should have written it."
        ) from None


def fill_channel(s3: Any, source: dict[str, str], folder: Path, rank: int, count: int) -> None:
    """Copy what an ``S3DataSource`` names to a folder: all of it, or one host's share.

    Raises
    ------
    ApiError
        There is nothing, an object is missing, or a key can't be a file of the folder.
    """
    uri = source["S3Uri"]
    found = manifest(s3, uri) if source["S3DataType"] == "ManifestFile" else keys(s3, uri)
    sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
    _copy(s3, uri, found, folder, (rank, count) if sharded else (0, 1))


def download(s3: Any, uri: str, folder: Path) -> None:
    """Copy every object below a prefix to a folder; raises as `fill_channel`."""
    _copy(s3, uri, keys(s3, uri), folder, (0, 1))


def _copy(
    s3: Any, uri: str, found: Iterable[tuple[str, str, str]], folder: Path, share: tuple[int, int]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    place = -1
    for place, (bucket, key, relative) in enumerate(found):
        if place % share[1] == share[0]:
            _save(s3, bucket, key, inside(folder, relative))
    if place < 0:
        raise ApiError(
            f"{_FAILED}: No S3 objects found under S3 URL {uri!r}; look at what the bucket holds."
        )


def _save(s3: Any, bucket: str, key: str, path: Path) -> None:
    from botocore.exceptions import ClientError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise FileExistsError(errno.EEXIST, "another key's file or folder has that name")
        s3.download_file(bucket, key, str(path))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        raise ApiError(f"{_FAILED}: there is no S3 object at 's3://{bucket}/{key}'.") from None
    except OSError as error:
        if error.errno not in _KEYS_FAULT:
            raise
        raise ApiError(
            f"{_FAILED}: the object {key!r} can't be a file of its folder: {error.strerror}."
        ) from None


def unpack(s3: Any, uri: str, folder: Path) -> None:
    """Unpack a ``tar.gz`` object into a folder.

    Raises
    ------
    ApiError
        The object is missing or no archive, or a member would leave the folder; then nothing is
        written.
    """
    try:
        archive.unpack(read(s3, uri), repr(uri), folder)
    except archive.ArchiveError as error:
        raise ApiError(f"ClientError: {error}") from None


def pack(s3: Any, folder: Path, uri: str) -> list[str]:
    """Put a folder's content into S3 as ``tar.gz``; returns what `archive.pack` left out."""
    bucket, key = split_uri(uri)
    buffer = io.BytesIO()
    left_out = archive.pack(folder, buffer)
    s3.put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())
    return left_out
