"""One training job from start to end, as its description tells it."""

import contextlib
import math
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local_sagemaker.algorithms import Algorithm
from local_sagemaker.errors import ApiError, failure, reason
from local_sagemaker.jobs import channels, host, turns
from local_sagemaker.jobs.host import Host
from local_sagemaker.jobs.log_stream import Stream
from local_sagemaker.jobs.program import Program
from local_sagemaker.service import models
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import TRAINING, Record, now

GROUP = "/aws/sagemaker/TrainingJobs"
STOP_SECONDS = 120.0  # that AWS gives a script to save what it has
_TAIL = 400  # lines of a host remembered for the reason of a failure
_SHOWN = 15  # of them, where no traceback says more
_MATCHED = 1_000  # characters of a line: a pattern's ".*" takes their square, and all else waits
_FATAL = [signal.Signals[f"SIG{name}"] for name in ("KILL", "SEGV", "ABRT", "BUS", "FPE", "ILL")]
_SIGNALS = {code: s for s in _FATAL for code in (-s, 128 + s, 256 - s)}  # a shell's, Python's
_OUT_OF_MEMORY = (
    "AlgorithmError: the program was killed (signal 9), as a system does to one that is out of"
    " memory. Use a smaller batch or a larger instance, exit code: 137"
)
_NOT_THERE = re.compile(r"Error\b|No such file|nonexistent|[Pp]ermission denied|Read-only")
_HARD_CODED = (
    ". There is no /opt/ml here: a script that has the path written into it reads the variables"
    " instead, SM_MODEL_DIR for /opt/ml/model, SM_CHANNEL_TRAIN for /opt/ml/input/data/train"
)


class TrainingJob:
    """Runs a job that was created; its record is kept true at every step."""

    def __init__(self, account: Account, record: Record) -> None:
        self.account, self.record = account, record
        self.name: str = record["TrainingJobName"]
        self._count: int = record["ResourceConfig"].get("InstanceCount", 1)
        self._programs: list[Program] = []
        self._streams: list[Stream] = []
        self._tails = [deque[str](maxlen=_TAIL) for _ in range(self._count)]
        self._transitions: list[dict[str, Any]] = record["SecondaryStatusTransitions"]
        self._begin = now()
        self._ended = ""  # "Stopped" or "MaxRuntimeExceeded" once it was told to end
        self._hard_coded = False  # a line complains of a path in /opt/ml
        self._lock = threading.Lock()
        self._algorithm = built_in(record)
        self._patterns = [(m["Name"], re.compile(m["Regex"])) for m in metric_definitions(record)]
        self.reported: dict[str, list[tuple[float, float]]] = {}  # by metric: values and times

    def stop(self, seconds: float = STOP_SECONDS, ended: str = "Stopped") -> None:
        """Tell it to end within some seconds, and return; what it saves until then is uploaded."""
        with self._lock:
            self._ended = self._ended or ended
            programs = list(self._programs)
        for program in programs:
            program.stop(seconds)
        turns.TURNS.notice()

    def run(self) -> None:
        """Wait for a turn, and run it to its end; it is Starting until then."""
        try:
            with turns.TURNS.take(self._count, lambda: self._ended) as mine:
                if mine:
                    self._run()
            self._finish("Stopped" if self._ended else "Completed", self._ended or "Completed")
        except Exception as error:
            why = failure(error)
            for program in self._programs:
                program.kill()  # the second instance could not be started
            for stream in self._streams[:1]:
                stream.write(why)
            self._finish("Failed", "Failed", reason(why))
            if not isinstance(error, ApiError):
                raise

    def _run(self) -> None:
        self._begin = now()
        for rank in range(self._count):
            self._streams.append(Stream(GROUP, f"{self.name}/algo-{rank + 1}-{int(self._begin)}"))
        self._phase("Downloading", "Downloading input data", TrainingStartTime=self._begin)
        hosts = host.make_hosts(self.account, self.record, self._count)
        self._phase("Training", "Training image download completed. Training in progress.")
        code = self._train(hosts)
        if code and not self._ended:
            raise ApiError(self._reason(code, hosts))
        if not self._programs:
            return  # stopped before it trained
        self._phase("Uploading", "Uploading generated training model")
        self._upload(hosts[0].ml)

    def _phase(self, status: str, message: str, **more: Any) -> None:
        moment = now()
        self._transitions[-1]["EndTime"] = moment
        self._transitions.append({"Status": status, "StartTime": moment, "StatusMessage": message})
        more |= {"SecondaryStatus": status, "SecondaryStatusTransitions": self._transitions}
        self.account.store.update(TRAINING, self.name, **more)

    def _train(self, hosts: list[Host]) -> int:
        """Run the programs of all hosts; the exit code of one that failed, else 0."""
        for one in hosts:
            command = host.command(self.account, self.record, one, self._algorithm)
            with self._lock:
                if self._ended:
                    break
                self._programs.append(Program(*command, self._on_line(one)))
        limit = (self.record.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 86_400)
        timer = threading.Timer(limit, self.stop, kwargs={"ended": "MaxRuntimeExceeded"})
        timer.daemon = True
        timer.start()
        failed: list[int] = []

        def wait(program: Program) -> None:
            if code := program.wait():
                failed.append(code)
                for other in self._programs:  # they would wait for it forever
                    other.stop(1)

        with ThreadPoolExecutor() as pool:
            list(pool.map(wait, self._programs))
        timer.cancel()
        return failed[0] if failed else 0

    def _on_line(self, one: Host) -> Callable[[str], None]:
        stream, tail, folder = self._streams[one.rank], self._tails[one.rank], str(one.ml)

        def on_line(line: str) -> None:
            if _NOT_THERE.search(line) and "/opt/ml" in line.replace(folder, ""):
                self._hard_coded = True
            line = line.replace(folder, "/opt/ml")
            tail.append(line)
            stream.write(line)
            for name, pattern in self._patterns:
                if found := pattern.search(line[:_MATCHED]):
                    with contextlib.suppress(ValueError, TypeError):  # it is no number
                        value = float(found[1] if pattern.groups else found[0])
                        self.reported.setdefault(name, []).append((value, now()))

        return on_line

    def _reason(self, code: int, hosts: list[Host]) -> str:
        """Say why a program failed, with the script's own traceback where it printed one."""
        number = _SIGNALS.get(code)
        if number == signal.SIGKILL:
            return _OUT_OF_MEMORY
        lines = [line for tail in self._tails for line in tail]
        last = "\n".join(lines[-_SHOWN:]).strip()
        if number is not None:
            killed = f"the program was killed by {number.name}, a fault in compiled code"
            said = f"; its last lines:\n{last}" if last else "; it wrote nothing"
            return reason(f"AlgorithmError: {killed}{said}", f", exit code: {128 + number}")
        written = _failure_file(hosts)
        blame = "AlgorithmError"
        if self._algorithm:  # it says itself what is wrong, and by its exit code whose fault
            blame = "ClientError" if code == 2 else blame
            text = written or _traceback(lines)
        else:  # the SDK's driver writes down its own traceback only
            text = _pip_errors(lines) or _traceback(lines) or written
        text = text or last or "the program wrote nothing"
        hint = _HARD_CODED if self._hard_coded else ""
        return reason(f"{blame}: {text}", f", exit code: {code}{hint}")

    def _upload(self, ml: Path) -> None:
        base = f"{self.record['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"
        try:
            (ml / "model").mkdir(parents=True, exist_ok=True)  # a script may remove it
        except OSError as error:
            said = f"the program left no folder at /opt/ml/model: {error.strerror}"
            raise ApiError(f"AlgorithmError: {said}.") from None
        for name, folder in (("output", ml / "output" / "data"), ("model", ml / "model")):
            if name == "output" and not (folder.is_dir() and any(folder.iterdir())):
                continue
            uri = f"{base}/{name}.tar.gz"
            for member in channels.pack(self.account.s3, folder, uri):
                what = "a device, or a link that leads nowhere, in a circle, or outside"
                self._streams[0].write(f"{member!r} is not in {uri}: it is {what}.")

    def _finish(self, status: str, secondary: str, why: str = "") -> None:
        """Say how it ended, as the last thing of all: its name and its folder are free then."""
        self.account.discard("training", self.name)
        messages = {"Completed": "Training job completed", "Failed": "Training job failed"}
        more: dict[str, Any] = {"FailureReason": why} if why else {}
        more["FinalMetricDataList"] = [
            {"MetricName": name, "Value": value, "Timestamp": moment}
            for name, (*_, (value, moment)) in self.reported.items()
            if math.isfinite(value)  # JSON has no other
        ]
        more |= {"TrainingEndTime": now(), "TrainingJobStatus": status}
        if self._streams:  # it had its turn
            taken = max(1, round(more["TrainingEndTime"] - self._begin))
            more |= {"TrainingTimeInSeconds": taken, "BillableTimeInSeconds": taken}
        self._phase(secondary, messages.get(secondary, "Training job stopped"), **more)


def metric_definitions(record: Record) -> list[dict[str, str]]:
    """Return a job's metric definitions: its own, and those of a built-in algorithm."""
    algorithm = built_in(record)
    own = record["AlgorithmSpecification"].get("MetricDefinitions") or []
    return [*(algorithm.metric_definitions if algorithm is not None else []), *own]


def built_in(record: Mapping[str, Any]) -> Algorithm | None:
    """Return the built-in algorithm that a job runs, or None where it runs a script."""
    algorithm, settings = record["AlgorithmSpecification"], record.get("HyperParameters") or {}
    if algorithm.get("ContainerEntrypoint") or "sagemaker_program" in settings:
        return None
    return models.trained(algorithm["TrainingImage"])


def _failure_file(hosts: list[Host]) -> str:
    for one in hosts:
        path = one.ml / "output" / "failure"
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            return text.strip().replace(str(one.ml), "/opt/ml")
    return ""


def _pip_errors(lines: list[str]) -> str:
    """Return what pip says, where the packages of the job could not be installed."""
    errors = [line for line in lines if line.startswith("ERROR: ")]
    around = _traceback(lines)  # of the SDK's driver, which calls pip
    return "" if around and "'pip', 'install'" not in around else "\n".join(errors)


def _traceback(lines: list[str]) -> str:
    """Return the last traceback of a script, without that of the SDK's driver around it."""
    text = "\n".join(["", *lines]).partition("\nCommand failed with exit code")[0]
    _, start, rest = text.rpartition("\nTraceback (most recent call last)")
    return f"{start}{rest}".strip() if start else ""
