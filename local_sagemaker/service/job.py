"""One training job from start to end, as its description tells it."""

from __future__ import annotations

import re
import signal
import threading
from typing import Any

from local_sagemaker.algorithms import Algorithm
from local_sagemaker.errors import ApiError, failure, reason
from local_sagemaker.service import container, images, objects
from local_sagemaker.service.account import Account
from local_sagemaker.service.programs import Program
from local_sagemaker.service.store import TRAINING, Record, now
from local_sagemaker.service.streams import Stream

GROUP = "/aws/sagemaker/TrainingJobs"
_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL, 256 - signal.SIGKILL}


class TrainingJob:
    """Runs a job that was created; its description is kept true at every step.

    Parameters
    ----------
    plane : Account
        What the operations share.
    record : dict
        The description, as the store has it.
    """

    def __init__(self, plane: Account, record: Record) -> None:
        self.plane = plane
        self.record = record
        self.name: str = record["TrainingJobName"]
        self._programs: list[Program] = []
        self._streams: list[Stream] = []
        self._transitions: list[dict[str, Any]] = record["SecondaryStatusTransitions"]
        self._ended = ""  # "Stopped" or "MaxRuntimeExceeded" once it was told to end
        self._lock = threading.Lock()
        self._patterns = [(m["Name"], re.compile(m["Regex"])) for m in definitions(record)]
        self._metrics: dict[str, tuple[float, float]] = {}

    def stop(self, seconds: float = 5, ended: str = "Stopped") -> None:
        """End it early; its artifacts so far are still uploaded, as AWS does."""
        with self._lock:
            self._ended = self._ended or ended
            programs = list(self._programs)
        for program in programs:
            program.stop(seconds)

    def run(self) -> None:
        """Run it to its end."""
        begin = now()
        try:
            stamp = int(begin)
            count = self.record["ResourceConfig"].get("InstanceCount", 1)
            self._streams = [
                Stream(self.plane.logs, GROUP, f"{self.name}/algo-{number}-{stamp}")
                for number in range(1, count + 1)
            ]
            self._phase("Downloading", "Downloading input data", TrainingStartTime=begin)
            hosts = container.hosts(self.plane, self.name, count)
            for host in hosts:
                container.fill(self.plane, self.record, host)
            self._phase("Training", "Training image download completed. Training in progress.")
            code = self._train(hosts)
            if code and not self._ended:
                raise ApiError(self._reason(code, hosts))
            self._phase("Uploading", "Uploading generated training model")
            self._upload(hosts[0])
            self._finish(
                begin, "Stopped" if self._ended else "Completed", self._ended or "Completed", ""
            )
        except Exception as error:
            self._fail(begin, failure(error))
            if not isinstance(error, ApiError):
                raise

    def _phase(self, status: str, message: str, **more: Any) -> None:
        moment = now()
        if self._transitions:
            self._transitions[-1]["EndTime"] = moment
        self._transitions.append({"Status": status, "StartTime": moment, "StatusMessage": message})
        self._update(SecondaryStatus=status, SecondaryStatusTransitions=self._transitions, **more)

    def _update(self, **changes: Any) -> None:
        self.plane.store.update(TRAINING, self.name, **changes)

    def _train(self, hosts: list[container.Host]) -> int:
        """Run the programs of all hosts; the first exit code that is not 0, else 0."""
        for host, stream in zip(hosts, self._streams, strict=True):
            words, folder, more = container.command(self.plane, self.record, host)
            variables = container.variables(self.plane, self.record, host) | more
            with self._lock:
                if self._ended:
                    return 0
                self._programs.append(
                    Program(
                        words, variables, folder, self._on_line(stream), {str(host.ml): "/opt/ml"}
                    )
                )
        limit = (self.record.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86_400)
        timer = threading.Timer(limit, self.stop, kwargs={"ended": "MaxRuntimeExceeded"})
        timer.daemon = True
        timer.start()
        codes: list[int] = [0] * len(hosts)

        def wait(place: int, program: Program) -> None:
            codes[place] = program.wait()
            if codes[place]:  # a host that fails ends the job, as it would wait for it forever
                for other in self._programs:
                    if other is not program:
                        other.stop(1)

        waiting = [
            threading.Thread(target=wait, args=pair, daemon=True)
            for pair in enumerate(self._programs)
        ]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()
        timer.cancel()
        killed_by_us = -signal.SIGTERM
        return next(
            (c for c in codes if c not in (0, killed_by_us)), next((c for c in codes if c), 0)
        )

    def _on_line(self, stream: Stream) -> Any:
        def on_line(line: str) -> None:
            stream.write(line)
            for name, pattern in self._patterns:
                found = pattern.search(line)
                if found:
                    try:
                        self._metrics[name] = (
                            float(found[1] if pattern.groups else found[0]),
                            now(),
                        )
                    except ValueError:
                        continue  # what the expression found is no number

        return on_line

    def _reason(self, code: int, hosts: list[container.Host]) -> str:
        """Say why a program failed, with the script's own traceback where it printed one."""
        if code in _KILLED:
            return (
                "AlgorithmError: the program was killed (signal 9), as a system does to one that needs"
                " more memory"
                " than there is: out of memory. Use a smaller batch or a larger instance, exit code: 137"
            )
        lines = [line for program in self._programs for line in program.tail]
        written = _failure(hosts)
        if built_in(
            self.record
        ):  # it says itself what is wrong, and by its exit code whose fault it is
            blame = "ClientError" if code == 2 else "AlgorithmError"
            text = written or _traceback(lines)
        else:
            blame = "AlgorithmError"
            text = (
                _traceback(lines) or written
            )  # the SDK's driver writes down its own traceback only
        if not text:
            text = "\n".join(lines[-15:]).strip() or "the program wrote nothing"
        return reason(f"{blame}: {text}", f", exit code: {code}")

    def _upload(self, host: container.Host) -> None:
        base = self.record["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        if any((host.ml / "output" / "data").iterdir()):
            objects.pack(
                self.plane.s3,
                host.ml / "output" / "data",
                f"{base}/{self.name}/output/output.tar.gz",
            )
        artifact = f"{base}/{self.name}/output/model.tar.gz"
        objects.pack(self.plane.s3, host.ml / "model", artifact)
        self._update(ModelArtifacts={"S3ModelArtifacts": artifact})

    def _fail(self, begin: float, why: str) -> None:
        for program in self._programs:
            if program.alive:  # the second instance could not be started
                program.stop(1)
        for stream in self._streams[:1]:
            stream.write(why)
        self._finish(begin, "Failed", "Failed", reason(why))

    def _finish(self, begin: float, status: str, secondary: str, why: str) -> None:
        """Say how it ended, as the last thing of all: its name and its folder are free from then on."""
        self.plane.discard("training", self.name)
        messages = {"Completed": "Training job completed", "Failed": "Training job failed"}
        for stream in self._streams:
            stream.close()
        end = now()
        taken = max(1, round(end - begin))
        metrics = [
            {"MetricName": name, "Value": value, "Timestamp": moment}
            for name, (value, moment) in self._metrics.items()
        ]
        self._phase(
            secondary,
            messages.get(secondary, "Training job stopped"),
            TrainingStartTime=begin,
            TrainingEndTime=end,
            TrainingTimeInSeconds=taken,
            BillableTimeInSeconds=taken,
            FinalMetricDataList=metrics,
            TrainingJobStatus=status,
            **({"FailureReason": why} if why else {}),
        )


def definitions(record: Record) -> list[dict[str, str]]:
    """Return a job's metric definitions: its own, and the algorithm's where the image is built in."""
    algorithm = built_in(record)
    own = record["AlgorithmSpecification"].get("MetricDefinitions") or []
    return [*(algorithm.metric_definitions if algorithm is not None else []), *own]


def built_in(record: Record) -> Algorithm | None:
    """Return the built-in algorithm that a job runs, or None where it runs a script."""
    algorithm = record["AlgorithmSpecification"]
    if algorithm.get("ContainerEntrypoint") or "sagemaker_program" in (
        record.get("HyperParameters") or {}
    ):
        return None
    return images.algorithm(algorithm.get("TrainingImage") or "")


def _failure(hosts: list[container.Host]) -> str:
    """Return what a program wrote into ``/opt/ml/output/failure``."""
    for host in hosts:
        path = host.ml / "output" / "failure"
        if path.exists():
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            return text.replace(str(host.ml), "/opt/ml")
    return ""


def _traceback(lines: list[str]) -> str:
    """Return the last traceback of a script, without that of the SDK's driver around it."""
    end = next(
        (i for i, line in enumerate(lines) if line.startswith("Command failed with exit code")),
        len(lines),
    )
    starts = [
        i
        for i, line in enumerate(lines[:end])
        if line.startswith("Traceback (most recent call last)")
    ]
    return "\n".join(lines[starts[-1] : end]).strip() if starts else ""
