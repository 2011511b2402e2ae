"""One batch transform: every object below a prefix through a model, and the answers back to S3."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local_sagemaker.errors import LOG, ApiError, failure, reason
from local_sagemaker.formats import payload
from local_sagemaker.jobs import channels, turns
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.service import models
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import MODEL, TRANSFORM, Record, now
from local_sagemaker.serving.process import Pipeline, ServerDied

_GROUP = "/aws/sagemaker/TransformJobs"


class TransformJob:
    """Runs a transform that was created; its record is kept true."""

    def __init__(self, account: Account, record: Record) -> None:
        self.account, self.record = account, record
        self.name: str = record["TransformJobName"]
        self._server: Pipeline | None = None
        self._stopped = False

    def stop(self, seconds: float = 0.0) -> None:
        """End it now, in less than ``seconds``; answers to whole objects stay in S3."""
        self._stopped = True
        if self._server is not None:
            self._server.stop()
        turns.TURNS.notice()

    def run(self) -> None:
        stream = Stream(_GROUP, f"{self.name}/i-local{time.time_ns() // 1_000_000}")
        more: dict[str, Any] = {"TransformJobStatus": "Completed"}
        try:
            with turns.TURNS.take(1, lambda: self._stopped) as mine:
                if mine:
                    self._answer_all(stream)
        except Exception as error:
            if not isinstance(error, ApiError):
                LOG.exception("transform job %s", self.name)
            more = {"TransformJobStatus": "Failed", "FailureReason": reason(failure(error))}
        if self._server is not None:
            self._server.stop()
        if self._stopped:  # what went wrong then is that the server was gone
            more = {"TransformJobStatus": "Stopped"}
        if "FailureReason" in more:
            stream.write(more["FailureReason"])
        self.account.discard("transform", self.name)
        self.account.store.update(TRANSFORM, self.name, TransformEndTime=now(), **more)

    def _answer_all(self, stream: Stream) -> None:
        """Start the model, and send it every object."""
        model = self.account.store.get(MODEL, self.record["ModelName"])
        folder, own = self.account.folder("transform", self.name), self.record.get("Environment")
        self._server = server = models.model_server(self.account, model, folder, stream, own or {})
        try:
            server.start(models.READY_SECONDS)
        except (ServerDied, TimeoutError) as error:
            said = "the model's container did not pass the ping health check"
            raise ApiError(f"ClientError: {said}. {error}") from None
        self.account.store.update(TRANSFORM, self.name, TransformStartTime=now())
        source = self.record["TransformInput"]["DataSource"]["S3DataSource"]
        target = self.record["TransformOutput"]["S3OutputPath"].rstrip("/")
        bucket_out, prefix = channels.split_uri(target)
        key = ""
        for bucket, key, below in channels.listed(self.account.s3, source):
            if self._stopped:
                return
            out = self._answer(f"{bucket}/{key}", server, stream)
            name = f"{prefix}/{below}.out" if prefix else f"{below}.out"
            self.account.s3.put_object(Bucket=bucket_out, Key=name, Body=out)
        if not key:
            raise ApiError(f"ClientError: No S3 objects found under S3 URL {source['S3Uri']!r}.")

    def _answer(self, name: str, server: Pipeline, stream: Stream) -> bytes:
        """Send one object's records, several requests at a time if asked; join the answers."""
        given, wanted = self.record["TransformInput"], self.record["TransformOutput"]
        headers = {"Content-Type": given.get("ContentType") or "application/json"}
        headers |= {"Accept": wanted["Accept"]} if wanted.get("Accept") else {}
        client = self.record.get("ModelClientConfig") or {}
        seconds = client.get("InvocationsTimeoutInSeconds", 600)  # AWS' defaults, here and below
        path = (self.record.get("DataProcessing") or {}).get("InputFilter") or "$"
        kept = payload.columns(path) if path != "$" else None

        def ask(body: bytes) -> bytes:
            body = payload.keep(body, kept) if kept else body
            status, _, out = server.invoke(body, headers, seconds)
            if status != 200:
                text = out.decode("utf-8", "replace")
                stream.write(f"{name}: {status} {text}")
                blame = "ClientError" if status < 500 else "AlgorithmError"
                raise ApiError(f"{blame}: {name}: the model answered {status}: {text}")
            return bytes(out)

        strategy = self.record.get("BatchStrategy", "MultiRecord")
        limit = self.record.get("MaxPayloadInMB", 6)
        pool = ThreadPoolExecutor(self.record.get("MaxConcurrentTransforms") or 1)
        try:
            data = channels.read(self.account.s3, f"s3://{name}")
            bodies = payload.split(data, given.get("SplitType", "None"), strategy, limit)
            return payload.assemble(pool.map(ask, bodies), wanted.get("AssembleWith", "None"))
        except (ServerDied, TimeoutError) as error:
            raise ApiError(f"AlgorithmError: {name}: {error}") from None
        except ValueError as error:  # of a record, or of a header that none can be
            raise ApiError(f"ClientError: {name}: {error}") from None
        finally:
            pool.shutdown(cancel_futures=True)
