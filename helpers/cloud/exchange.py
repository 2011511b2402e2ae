"""Matrices into S3, files out of it, and jobs that have been done already."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from helpers.cloud.connection import Connection
from local_sagemaker.formats import recordio

_LISTED = 500  # jobs that `finished_job` lists, and looks into: an account may have thousands
_DESCRIBED = 30


def _place(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise ValueError(f"{uri!r}: expected an address of the form s3://bucket/key")
    return bucket, key


def upload_matrix(
    aws: Connection, key: str, matrix: Any, labels: np.ndarray | None = None
) -> tuple[str, str]:
    """Put the rows of a matrix into the default bucket, as RecordIO-protobuf.

    Parameters
    ----------
    aws : Connection
        From ``cloud.connect()``.
    key : str
        Where to, such as ``"course-07/items/data.pbr"``.
    matrix : numpy.ndarray or scipy sparse matrix
        (n, width), stored as float32.
    labels : numpy.ndarray, optional
        (n,), stored as float32.

    Returns
    -------
    uri, fingerprint : str
        The ``s3://`` address, and S3's checksum of the bytes (its ETag).
    """
    body = io.BytesIO()
    values = None if labels is None else recordio.as_float32(labels, key)
    if sparse.issparse(matrix):
        recordio.write_spmatrix_to_sparse_tensor(body, matrix.astype(np.float32), values)
    else:
        recordio.write_numpy_to_dense_tensor(body, np.asarray(matrix, dtype=np.float32), values)
    stored = aws.client("s3").put_object(Bucket=aws.bucket, Key=key, Body=body.getvalue())
    return f"s3://{aws.bucket}/{key}", str(stored["ETag"])


def download(aws: Connection, uri: str, path: Path) -> Path:
    """Copy one object, ``s3://bucket/key``, to a file, which is overwritten; return its path."""
    bucket, key = _place(uri)
    aws.client("s3").download_file(bucket, key, str(path))
    return Path(path)


def finished_job(
    aws: Connection, hyperparameters: Mapping[str, Any], fingerprint: str
) -> str | None:
    """Find a completed training job of the course with these settings on these bytes.

    A name proves nothing; the same settings on the same data end in the same model. Only the latest
    jobs are looked at, on AWS only this learner's.

    Parameters
    ----------
    aws : Connection
        From ``cloud.connect()``.
    hyperparameters : mapping of str to object
        All that the job was given; compared as text, as jobs keep them.
    fingerprint : str
        ETag of the only object of the job's first channel, as `upload_matrix` returns it.

    Returns
    -------
    str or None
        Address of the artifact of the latest such job; None where there is none.
    """
    wanted = {name: str(value) for name, value in hyperparameters.items()}
    client, s3 = aws.client("sagemaker"), aws.client("s3")
    pages = client.get_paginator("list_training_jobs").paginate(
        StatusEquals="Completed",
        NameContains="course-",
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"MaxItems": _LISTED, "PageSize": 100},
    )
    names = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
    for name in [name for name in names if aws.owns(name)][:_DESCRIBED]:
        job = client.describe_training_job(TrainingJobName=name)
        given = {name: text.strip('"') for name, text in job.get("HyperParameters", {}).items()}
        if given != wanted or not job.get("InputDataConfig"):
            continue
        bucket, key = _place(job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"])
        objects = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
        if [one["ETag"] for one in objects] == [fingerprint]:
            return str(job["ModelArtifacts"]["S3ModelArtifacts"])
    return None
