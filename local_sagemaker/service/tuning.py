"""Hyperparameter tuning: several training jobs, settings by chance or from a grid, the best one named."""

from __future__ import annotations

import logging
import math
import threading
import time
import zlib
from collections.abc import Mapping
from typing import Any

from local_sagemaker.errors import ApiError, failure, reason
from local_sagemaker.jobs.training_run import STOP_SECONDS, metric_definitions
from local_sagemaker.service import training
from local_sagemaker.service.candidates import MOST_JOBS, STRATEGIES, candidates
from local_sagemaker.service.operations import Answer, operation, refuse
from local_sagemaker.service.plane import Plane
from local_sagemaker.service.store import TRAINING, TUNING, Record, now
from local_sagemaker.service.usual import RUNNING, describes, listed, stops

_log = logging.getLogger("course.cloud")
_UNSUPPORTED = {
    "TrainingJobDefinitions": "one TrainingJobDefinition is tuned",
    "WarmStartConfig": "a tuning job starts from nothing",
    "Autotune": "name the ranges",
}


class TuningJob:
    """Runs a tuning job that was created."""

    def __init__(self, plane: Plane, record: Record) -> None:
        self.plane, self.record = plane, record
        self.name: str = record["HyperParameterTuningJobName"]
        self.config: dict[str, Any] = record["HyperParameterTuningJobConfig"]
        self.definition: dict[str, Any] = record["TrainingJobDefinition"]
        self._children: list[str] = []
        self._stopped = threading.Event()
        self._reported: dict[str, Any] = {}

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it, and the training jobs that still run."""
        self._stopped.set()
        self._end_children()

    def _end_children(self) -> None:
        for name in list(self._children):
            self._stop_child(name)

    def _stop_child(self, name: str) -> None:
        child = self.plane.running.get(f"{TRAINING.label}/{name}")
        if child is not None:
            child.stop()

    def run(self) -> None:
        """Run it to its end."""
        why = ""
        try:
            self._search()
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.exception("tuning job %s", self.name)
            why = failure(error)
            self._end_children()
            self._wait(0)
        self._report()
        best = best_of(self.plane, self.record)
        if not why and best is None and not self._stopped.is_set():
            why = "No training job succeeded and reported the objective metric."
        status = "Stopped" if self._stopped.is_set() else "Failed" if why else "Completed"
        more = {"FailureReason": reason(why)} if why else {}
        self._update(
            HyperParameterTuningJobStatus=status, HyperParameterTuningEndTime=now(), **more
        )

    def _search(self) -> None:
        limits = self.config["ResourceLimits"]
        settings = candidates(self.name, self.config)
        for number, chosen in enumerate(settings[: limits.get("MaxNumberOfTrainingJobs")], 1):
            self._wait(limits["MaxParallelTrainingJobs"] - 1)
            if self._stopped.is_set():
                break
            self._launch(number, chosen)
        self._wait(0)

    def _wait(self, most: int) -> None:
        """Wait until at most that many training jobs run, and report meanwhile."""
        while len(self._unfinished()) > most:
            self._report()
            time.sleep(0.1)

    def _launch(self, number: int, chosen: dict[str, str]) -> None:
        mark = zlib.crc32(self.record["HyperParameterTuningJobArn"].encode())
        name = f"{self.name[:50]}-{number:03d}-{mark:08x}"
        request = {k: v for k, v in self.definition.items() if k not in _NOT_A_JOBS}
        fixed = self.definition.get("StaticHyperParameters") or {}
        request |= {"TrainingJobName": name, "HyperParameters": {**fixed, **chosen}}
        record = training.start(self.plane, request)
        self.plane.store.update(
            TRAINING,
            record["TrainingJobName"],
            TuningJobArn=self.record["HyperParameterTuningJobArn"],
            TunedHyperParameters=chosen,
        )
        self._children.append(name)
        if self._stopped.is_set():  # told so while this one started
            self._stop_child(name)

    def _unfinished(self) -> list[str]:
        return [
            name
            for name in self._children
            if self.plane.store.has(TRAINING, name)
            and self.plane.store.get(TRAINING, name)["TrainingJobStatus"] in RUNNING
        ]

    def _update(self, **changes: Any) -> None:
        self.plane.store.update(TUNING, self.name, **changes)

    def _report(self) -> None:
        found = children(self.plane, self.record)
        states = [record["TrainingJobStatus"] for record in found]
        counts = {
            "Completed": states.count("Completed"),
            "InProgress": states.count("InProgress") + states.count("Stopping"),
            "RetryableError": 0,
            "NonRetryableError": states.count("Failed"),
            "Stopped": states.count("Stopped"),
        }
        values = [objective(record, self.record) for record in found]
        ended = [r["TrainingJobStatus"] not in RUNNING for r in found]
        objectives = {
            "Succeeded": sum(value is not None for value in values),
            "Pending": sum(not over for over in ended),
            "Failed": sum(
                over and value is None for over, value in zip(ended, values, strict=True)
            ),
        }
        best = best_of(self.plane, self.record)
        more = {"BestTrainingJob": _summary(best, self.record)} if best is not None else {}
        said = {"TrainingJobStatusCounters": counts, "ObjectiveStatusCounters": objectives, **more}
        if said != self._reported:  # each change is a file written and synced
            self._update(**said)
            self._reported = said


_NOT_A_JOBS = {
    "StaticHyperParameters",
    "DefinitionName",
    "TuningObjective",
    "HyperParameterRanges",
    "HyperParameterTuningResourceConfig",
}


def children(plane: Plane, record: Record) -> list[Record]:
    """Return the training jobs of a tuning job, oldest first."""
    return [
        r
        for r in plane.store.all(TRAINING)
        if r.get("TuningJobArn") == record["HyperParameterTuningJobArn"]
    ]


def objective(job: Record, tuning: Record) -> float | None:
    """Return what a training job reached, or None where it reported nothing or failed."""
    wanted = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"][
        "MetricName"
    ]
    if job["TrainingJobStatus"] in (*RUNNING, "Failed"):
        return None
    for metric in job.get("FinalMetricDataList") or []:
        if metric["MetricName"] == wanted and not math.isnan(metric["Value"]):
            return float(metric["Value"])
    return None


def best_of(plane: Plane, tuning: Record) -> Record | None:
    """Return the training job with the best objective so far."""
    sign = 1 if _objective_config(tuning)["Type"] == "Minimize" else -1
    reached = [(objective(job, tuning), job) for job in children(plane, tuning)]
    ranked = sorted(
        ((sign * v, job) for v, job in reached if v is not None), key=lambda pair: pair[0]
    )
    return ranked[0][1] if ranked else None


def _objective_config(tuning: Record) -> dict[str, str]:
    return dict(tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"])


def _summary(job: Record, tuning: Record) -> dict[str, Any]:
    value = objective(job, tuning)
    wanted = _objective_config(tuning)
    reached = {"Type": wanted["Type"], "MetricName": wanted["MetricName"], "Value": value}
    status = (
        "Succeeded"
        if value is not None
        else "Pending"
        if job["TrainingJobStatus"] in RUNNING
        else "Failed"
    )
    members = [
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingStartTime",
        "TrainingEndTime",
    ]
    members += ["TrainingJobStatus", "TunedHyperParameters", "FailureReason"]
    summary = {name: job[name] for name in members if name in job} | {"ObjectiveStatus": status}
    return summary | (
        {"FinalHyperParameterTuningJobObjectiveMetric": reached} if value is not None else {}
    )


@operation("CreateHyperParameterTuningJob")
def _create(plane: Plane, request: Mapping[str, Any]) -> Answer:
    refuse(request, _UNSUPPORTED)
    config, definition = (
        request["HyperParameterTuningJobConfig"],
        request.get("TrainingJobDefinition"),
    )
    if not definition:
        raise ApiError("Name a TrainingJobDefinition.")
    if config["Strategy"] not in STRATEGIES:
        raise ApiError(
            f"The strategy {config['Strategy']} is not supported by the SageMaker that runs on this"
            " machine; it has"
            f" {' and '.join(STRATEGIES)}."
        )
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        raise ApiError("TrainingJobEarlyStoppingType must be Off on this machine.")
    if config["ResourceLimits"].get("MaxNumberOfTrainingJobs", 1) > MOST_JOBS:
        raise ApiError(f"MaxNumberOfTrainingJobs is at most {MOST_JOBS} on this machine.")
    goal = config.get("HyperParameterTuningJobObjective")
    if not goal:
        raise ApiError("Name a HyperParameterTuningJobObjective.")
    known = [m["Name"] for m in metric_definitions(definition)]
    if goal["MetricName"] not in known:
        raise ApiError(
            f"The objective metric {goal['MetricName']!r} is none of the training job's metrics:"
            f" {', '.join(known) or '-'}."
        )
    training.check({"HyperParameters": definition.get("StaticHyperParameters") or {}, **definition})
    candidates(request["HyperParameterTuningJobName"], config)
    nothing = {
        "Completed": 0,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    record = plane.submit(
        TUNING,
        request,
        TuningJob,
        HyperParameterTuningJobStatus="InProgress",
        TrainingJobStatusCounters=nothing,
        ObjectiveStatusCounters={"Succeeded": 0, "Pending": 0, "Failed": 0},
    )
    return {"HyperParameterTuningJobArn": record["HyperParameterTuningJobArn"]}


@operation("DeleteHyperParameterTuningJob")
def _delete(plane: Plane, request: Mapping[str, Any]) -> Answer:
    name = request["HyperParameterTuningJobName"]
    if plane.store.get(TUNING, name)["HyperParameterTuningJobStatus"] in RUNNING:
        raise ApiError(f"The tuning job {name} still runs: stop it first.")
    plane.store.remove(TUNING, name)
    return {}


@operation("ListHyperParameterTuningJobs")
def _list(plane: Plane, request: Mapping[str, Any]) -> Answer:
    found, more = listed(
        plane,
        TUNING,
        request,
        descending=False,
        sort_by="Name",
        status="HyperParameterTuningJobStatus",
    )
    rows = [
        record
        | {
            "Strategy": record["HyperParameterTuningJobConfig"]["Strategy"],
            "ResourceLimits": record["HyperParameterTuningJobConfig"]["ResourceLimits"],
        }
        for record in found
    ]
    return {"HyperParameterTuningJobSummaries": rows, **more}


@operation("ListTrainingJobsForHyperParameterTuningJob")
def _list_children(plane: Plane, request: Mapping[str, Any]) -> Answer:
    tuning = plane.store.get(TUNING, request["HyperParameterTuningJobName"])
    found = children(plane, tuning)
    by_value = request.get("SortBy") == "FinalObjectiveMetricValue"
    if by_value:
        found = [job for job in found if objective(job, tuning) is not None]
    rows, more = listed(
        plane,
        TRAINING,
        request,
        descending=False,
        sort_by="Name",
        status="TrainingJobStatus",
        records=found,
        key=(lambda job: objective(job, tuning)) if by_value else None,
    )
    return {"TrainingJobSummaries": [_summary(job, tuning) for job in rows], **more}


describes(TUNING)
stops(TUNING)
