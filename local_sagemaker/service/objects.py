"""S3 objects to a job's folders and back; no key and no archive reaches outside its folder."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from local_sagemaker import archive
from local_sagemaker.errors import ApiError


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


def keys(s3: Any, uri: str) -> Iterator[tuple[str, str]]:
    """Yield bucket and key of every object below a prefix, in the order of keys, without folders' markers.

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
                    yield bucket, found["Key"]
    except s3.exceptions.NoSuchBucket:
        raise ApiError(f"ClientError: the bucket of {uri!r} does not exist.") from None


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
            f"ClientError: Data download failed: there is no S3 object at {uri!r}; look at what the bucket"
            " holds and at the job that should have written it."
        ) from None


def relative_key(prefix: str, key: str) -> str:
    """Return where below a channel's folder an object goes: its key without the prefix's folders."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key[len(folder) :]
    return key[len(prefix.rpartition("/")[0]) :].lstrip(
        "/"
    )  # the prefix is a key, or a part of a name


def download(s3: Any, uri: str, folder: Path, share: tuple[int, int] = (0, 1)) -> int:
    """Copy every object below a prefix to a folder.

    Parameters
    ----------
    s3 : boto3 client
        Of the service ``s3``.
    uri : str
        ``s3://bucket/prefix``.
    folder : pathlib.Path
        Made if need be.
    share : (int, int)
        ``(i, n)``: only every n-th object from the i-th on, as ``ShardedByS3Key`` gives a host its part.

    Returns
    -------
    int
        How many objects there are in all.

    Raises
    ------
    ApiError
        There is none, or a key would leave the folder.
    """
    _, prefix = split_uri(uri)
    count = 0
    folder.mkdir(parents=True, exist_ok=True)
    for place, (bucket, key) in enumerate(keys(s3, uri)):
        count += 1
        if place % share[1] != share[0]:
            continue
        path = inside(folder, relative_key(prefix, key))
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(path))
    if not count:
        raise ApiError(
            f"ClientError: Data download failed: No S3 objects found under S3 URL {uri!r}; look at what the"
            " bucket holds."
        )
    return count


def manifest(s3: Any, uri: str) -> list[tuple[str, str]]:
    """Read what a manifest lists: ``[{"prefix": "s3://bucket/"}, "name", …]``.

    Returns
    -------
    list of (str, str)
        URI and name of each object.

    Raises
    ------
    ApiError
        The manifest is missing or not of that form.
    """
    try:
        head, *names = json.loads(read(s3, uri))
        return [(head["prefix"] + name, name) for name in names]
    except (ValueError, TypeError, KeyError):
        raise ApiError(
            f'ClientError: the manifest {uri!r} is not of the form [{{"prefix": "s3://bucket/folder/"}},'
            ' "name", …].'
        ) from None


def download_manifest(s3: Any, uri: str, folder: Path) -> None:
    """Copy what a manifest lists to a folder.

    Raises
    ------
    ApiError
        The manifest is not one, or one of its objects is missing.
    """
    for source, name in manifest(s3, uri):
        path = inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read(s3, source))


def unpack(s3: Any, uri: str, folder: Path) -> None:
    """Unpack a ``tar.gz`` object into a folder.

    Raises
    ------
    ApiError
        The object is missing or is no archive, or a member would leave the folder; then nothing is written.
    """
    try:
        archive.unpack(read(s3, uri), repr(uri), folder)
    except archive.ArchiveError as error:
        raise ApiError(f"ClientError: {error}") from None


def pack(s3: Any, folder: Path, uri: str) -> None:
    """Put a folder's content into S3 as ``tar.gz``."""
    bucket, key = split_uri(uri)
    buffer = io.BytesIO()
    archive.pack(folder, buffer)
    s3.put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())
