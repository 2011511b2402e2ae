"""One batch transform: every object below a prefix through a model, and the answers back to S3."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local_sagemaker.errors import ApiError, failure, reason
from local_sagemaker.jobs import channels
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import models
from local_sagemaker.service.plane import Plane as Account
from local_sagemaker.service.store import MODEL, TRANSFORM, Record, now

_log = logging.getLogger("course.cloud")
_GROUP = "/aws/sagemaker/TransformJobs"
_READY_SECONDS = 120.0  # TensorFlow's import can take twenty on a busy machine
_PAYLOAD_MB = 6  # this and the next as AWS has them where the request does not say
_ANSWER_SECONDS = 600


class TransformJob:
    """Runs a transform that was created; its description is kept true."""

    def __init__(self, account: Account, record: Record) -> None:
        self.account, self.record = account, record
        self.name: str = record["TransformJobName"]
        self._server: Any = None
        self._stopped = False

    def stop(self, seconds: float = 0.0) -> None:
        """End it early, now; answers to whole objects stay in S3."""
        self._stopped = True
        if self._server is not None:
            self._server.stop()

    def run(self) -> None:
        """Run it to its end."""
        stream = Stream(
            self.account.logs, _GROUP, f"{self.name}/i-local{time.time_ns() // 1_000_000}"
        )
        status, why = "Completed", ""
        try:
            self._run(stream)
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.exception("transform job %s", self.name)
            status, why = "Failed", failure(error)
        finally:
            if self._server is not None:
                self._server.stop()
        if self._stopped:  # what went wrong then is that the server was gone
            status, why = "Stopped", ""
        if why:
            stream.write(why)
        stream.close()
        self.account.discard("transform", self.name)
        more = {"FailureReason": reason(why)} if why else {}
        self._update(TransformJobStatus=status, TransformEndTime=now(), **more)

    def _update(self, **changes: Any) -> None:
        self.account.store.update(TRANSFORM, self.name, **changes)

    def _run(self, stream: Stream) -> None:
        self._start(stream)
        self._update(TransformStartTime=now())
        source = self.record["TransformInput"]["DataSource"]["S3DataSource"]
        target = self.record["TransformOutput"]["S3OutputPath"].rstrip("/")
        bucket_out, prefix_out = channels.split_uri(target)
        done = 0
        for bucket, key, below in channels.listed(self.account.s3, source):
            if self._stopped:
                return
            data = channels.read(self.account.s3, f"s3://{bucket}/{key}")
            out = self._object(data, f"{bucket}/{key}", stream)
            name = "/".join(part for part in (prefix_out, f"{below}.out") if part)
            self.account.s3.put_object(Bucket=bucket_out, Key=name, Body=out)
            done += 1
        if not done:
            raise ApiError(f"ClientError: No S3 objects found under S3 URL {source['S3Uri']!r}.")

    def _start(self, stream: Stream) -> None:
        from local_sagemaker.serving.process import ModelServer, ServerDied

        model = self.account.store.get(MODEL, self.record["ModelName"])
        own = models.container_of(model).get("Environment") or {}
        environment = own | (self.record.get("Environment") or {})
        folder = self.account.folder("transform", self.name) / "model"
        kind = models.unpack(self.account, model, folder, environment)
        variables = self.account.environment() | environment
        self._server = ModelServer(kind, folder, environment=variables, log=stream.served(folder))
        self._server.start()
        try:
            self._server.wait_ready(_READY_SECONDS)
        except (ServerDied, TimeoutError) as error:
            raise ApiError(
                f"ClientError: the model's container did not pass the ping health check. {error}"
            ) from None

    def _object(self, data: bytes, name: str, stream: Stream) -> bytes:
        """Send one object's records, several requests at a time if asked; join the answers."""
        from local_sagemaker.formats import payload

        split = self.record["TransformInput"].get("SplitType", "None")
        strategy = self.record.get("BatchStrategy", "MultiRecord")
        limit = self.record.get("MaxPayloadInMB", _PAYLOAD_MB)
        pool = ThreadPoolExecutor(self.record.get("MaxConcurrentTransforms") or 1)
        try:
            bodies = payload.split(data, split, strategy, limit)
            parts = list(pool.map(lambda body: self._ask(body, name, stream), bodies))
        except payload.PayloadError as error:
            raise ApiError(f"ClientError: {name}: {error}") from None
        finally:
            pool.shutdown(cancel_futures=True)
        wanted = self.record["TransformOutput"].get("AssembleWith", "None")
        return payload.assemble(parts, wanted)

    def _ask(self, body: bytes, name: str, stream: Stream) -> bytes:
        """Return the model's answer to one request, asked again as often as the job allows."""
        from local_sagemaker.serving.process import ServerDied

        headers = {
            "Content-Type": self.record["TransformInput"].get("ContentType") or "application/json"
        }
        if accept := self.record["TransformOutput"].get("Accept"):
            headers["Accept"] = accept
        client = self.record.get("ModelClientConfig") or {}
        seconds = client.get("InvocationsTimeoutInSeconds", _ANSWER_SECONDS)
        for _ in range(1 + client.get("InvocationsMaxRetries", 0)):
            try:
                status, _headers, out = self._server.invoke(body, headers, seconds)
            except ServerDied as error:
                why = f"AlgorithmError: the model server died at {name}. {error}"
                raise ApiError(why) from None
            except TimeoutError as error:
                why = f"AlgorithmError: {name}: {error}"
                continue
            if status == 200:
                return bytes(out)
            text = out.decode("utf-8", "replace")
            stream.write(f"{name}: {status} {text}")
            blame = "ClientError" if status < 500 else "AlgorithmError"
            why = f"{blame}: {name}: the model answered {status}: {text}"
            if status < 500:
                break
        raise ApiError(why)
