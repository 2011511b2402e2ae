"""Batch transform: every object below a prefix through a model, and the answers back to S3."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError, failure, reason
from local_sagemaker.service import models, objects
from local_sagemaker.service.operations import Answer, operation, refuse
from local_sagemaker.service.plane import Plane
from local_sagemaker.service.runtime import READY_SECONDS
from local_sagemaker.service.store import MODEL, TRANSFORM, Record, now
from local_sagemaker.service.streams import Stream
from local_sagemaker.service.usual import describes, lists, stops

_log = logging.getLogger("course.cloud")
_GROUP = "/aws/sagemaker/TransformJobs"
_PAYLOAD_MB = 6  # this and the next as AWS has them where the request does not say
_ANSWER_SECONDS = 600
_UNSUPPORTED = {
    "DataCaptureConfig": "nothing is captured",
    "ExperimentConfig": "there are no experiments",
}


class TransformJob:
    """Runs a transform that was created; its description is kept true."""

    def __init__(self, plane: Plane, record: Record) -> None:
        self.plane, self.record = plane, record
        self.name: str = record["TransformJobName"]
        self._server: Any = None
        self._stopped = False

    def stop(self) -> None:
        """End it early; objects already answered stay in S3."""
        self._stopped = True
        if self._server is not None:
            self._server.stop()

    def run(self) -> None:
        """Run it to its end."""
        stream = Stream(
            self.plane.logs, _GROUP, f"{self.name}/i-local{time.time_ns() // 1_000_000}"
        )
        try:
            self._start(stream)
            self.plane.store.update(TRANSFORM, self.name, TransformStartTime=now())
            self._objects(stream)
            status, why = "Completed", ""
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.exception("transform job %s", self.name)
            status, why = "Failed", failure(error)
        if self._stopped:  # what went wrong then is that the server was gone
            status, why = "Stopped", ""
        if self._server is not None:
            self._server.stop()
        if why:
            stream.write(why)
        stream.close()
        self.plane.discard("transform", self.name)
        more = {"FailureReason": reason(why)} if why else {}
        self.plane.store.update(
            TRANSFORM, self.name, TransformJobStatus=status, TransformEndTime=now(), **more
        )

    def _start(self, stream: Stream) -> None:
        from local_sagemaker.serving.process import ModelServer, ServerDied

        model = self.plane.store.get(MODEL, self.record["ModelName"])
        environment = (models.container_of(model).get("Environment") or {}) | (
            self.record.get("Environment") or {}
        )
        folder = self.plane.folder("transform", self.name) / "model"
        kind = models.unpack(self.plane, model, folder, environment)
        variables = self.plane.environment() | environment
        self._server = ModelServer(kind, folder, environment=variables, log=stream.served(folder))
        self._server.start()
        try:
            self._server.wait_ready(READY_SECONDS)
        except (ServerDied, TimeoutError) as error:
            raise ApiError(
                f"ClientError: the model's container did not pass the ping health check. {error}"
            ) from None

    def _objects(self, stream: Stream) -> None:
        source = self.record["TransformInput"]["DataSource"]["S3DataSource"]
        target = self.record["TransformOutput"]["S3OutputPath"].rstrip("/")
        bucket_out, prefix_out = objects.split_uri(target)
        done = 0
        for bucket, key, relative in self._inputs(source):
            if self._stopped:
                return
            data = objects.read(self.plane.s3, f"s3://{bucket}/{key}")
            out = self._one(data, f"{bucket}/{key}", stream)
            name = "/".join(part for part in (prefix_out, f"{relative}.out") if part)
            self.plane.s3.put_object(Bucket=bucket_out, Key=name, Body=out)
            done += 1
        if not done:
            raise ApiError(f"ClientError: No S3 objects found under S3 URL {source['S3Uri']!r}.")

    def _inputs(self, source: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Yield bucket, key, and the key's part that names the answer."""
        if source["S3DataType"] == "ManifestFile":
            for uri, name in objects.manifest(self.plane.s3, source["S3Uri"]):
                yield (*objects.split_uri(uri), name)
            return
        _, prefix = objects.split_uri(source["S3Uri"])
        for bucket, key in objects.keys(self.plane.s3, source["S3Uri"]):
            yield bucket, key, objects.relative_key(prefix, key)

    def _one(self, data: bytes, name: str, stream: Stream) -> bytes:
        """Send one object's records and join the answers."""
        from local_sagemaker.formats import payload
        from local_sagemaker.serving.process import ServerDied

        given, wanted = self.record["TransformInput"], self.record["TransformOutput"]
        headers = {"Content-Type": given.get("ContentType") or "application/json"}
        if wanted.get("Accept"):
            headers["Accept"] = wanted["Accept"]
        parts: list[bytes] = []
        try:
            limit = self.record.get("MaxPayloadInMB", _PAYLOAD_MB)
            strategy = self.record.get("BatchStrategy", "MultiRecord")
            client = self.record.get("ModelClientConfig") or {}
            seconds = client.get("InvocationsTimeoutInSeconds", _ANSWER_SECONDS)
            for body in payload.split(data, given.get("SplitType", "None"), strategy, limit):
                status, _, out = self._server.invoke(body, headers, seconds)
                if status != 200:
                    text = out.decode("utf-8", "replace")
                    stream.write(f"{name}: {status} {text}")
                    blame = "ClientError" if status < 500 else "AlgorithmError"
                    raise ApiError(f"{blame}: {name}: the model answered {status}: {text}")
                parts.append(out)
        except ServerDied as error:
            raise ApiError(f"AlgorithmError: the model server died at {name}. {error}") from None
        except TimeoutError as error:
            raise ApiError(f"AlgorithmError: {name}: {error}") from None
        except payload.PayloadError as error:
            raise ApiError(f"ClientError: {name}: {error}") from None
        return payload.assemble(parts, wanted.get("AssembleWith", "None"))


@operation("CreateTransformJob")
def _create(plane: Plane, request: Mapping[str, Any]) -> Answer:
    refuse(request, _UNSUPPORTED)
    processing = request.get("DataProcessing") or {}
    given = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"} | processing
    if given != {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}:
        raise ApiError(
            "DataProcessing (filters, joining input and output) is not supported by the SageMaker that"
            " runs on this"
            " machine: join the objects after the job."
        )
    if request["TransformInput"].get("CompressionType", "None") != "None":
        raise ApiError("CompressionType must be None on this machine.")
    if request["TransformInput"]["DataSource"]["S3DataSource"]["S3DataType"] not in (
        "S3Prefix",
        "ManifestFile",
    ):
        raise ApiError("S3DataType must be S3Prefix or ManifestFile on this machine.")
    plane.store.get(MODEL, request["ModelName"])
    record = plane.submit(TRANSFORM, request, TransformJob, TransformJobStatus="InProgress")
    return {"TransformJobArn": record["TransformJobArn"]}


describes(TRANSFORM)
lists(TRANSFORM, "TransformJobSummaries", status="TransformJobStatus")
stops(TRANSFORM)
