"""Hyperparameter tuning: its operations, the settings it tries, and the run of one tuning job."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import statistics
import threading
import time
import zlib
from collections.abc import Mapping
from typing import Any

from local_sagemaker.errors import ApiError, failure, reason
from local_sagemaker.jobs import training_run
from local_sagemaker.service import training
from local_sagemaker.service.account import RUNNING, Account, Request
from local_sagemaker.service.listing import page
from local_sagemaker.service.store import TRAINING, TUNING, Record, now

_MOST_JOBS = 100
_JOBS = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
_COUNTED = {"Stopping": "InProgress", "Failed": "NonRetryableError"}


def create_hyper_parameter_tuning_job(account: Account, request: Request) -> Record:
    """Run training jobs with settings of a grid or drawn at random, in the background."""
    config = request["HyperParameterTuningJobConfig"]
    definition = request.get("TrainingJobDefinition")
    goal = config.get("HyperParameterTuningJobObjective")
    if not definition or not goal:
        raise ApiError("Name a TrainingJobDefinition and a HyperParameterTuningJobObjective.")
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", 1)
    if most > _MOST_JOBS:
        raise ApiError(f"MaxNumberOfTrainingJobs is {most}; it can be {_MOST_JOBS}.")
    tuned = settings(request["HyperParameterTuningJobName"], config)[0]
    made = job_request(definition, tuned)
    training.check(account, made)
    metrics = [metric["Name"] for metric in training_run.metric_definitions(made)]
    if goal["MetricName"] not in metrics:
        raise ApiError(
            f"The objective metric {goal['MetricName']!r} is none of the training job's metrics:"
            f" {', '.join(metrics) or '-'}."
        )
    twice = sorted(set(tuned) & set(definition.get("StaticHyperParameters") or {}))
    if twice:
        raise ApiError(f"The hyperparameter {twice[0]!r} is tuned and static: give one of the two.")
    algorithm = training_run.built_in(made)
    if algorithm:
        try:
            algorithm.settings(made["HyperParameters"])
        except ValueError as error:
            raise ApiError(str(error)) from None
    return account.submit(TUNING, request, TuningJob, HyperParameterTuningJobStatus="InProgress")


def describe_hyper_parameter_tuning_job(account: Account, request: Request) -> Record:
    """Describe a tuning job: its counts, and the best training job so far."""
    return _counted(account, account.store.get(TUNING, request["HyperParameterTuningJobName"]))


def list_hyper_parameter_tuning_jobs(account: Account, request: Request) -> Record:
    """List tuning jobs, by name."""
    asked = {"SortBy": "Name", **request}
    found, more = page(account.store.all(TUNING), TUNING, asked, "Ascending")
    rows = [_counted(account, one) | one["HyperParameterTuningJobConfig"] for one in found]
    return {"HyperParameterTuningJobSummaries": rows, **more}


def list_training_jobs_for_hyper_parameter_tuning_job(account: Account, request: Request) -> Record:
    """List the training jobs of a tuning job, by name or by what they reached."""
    tuning = account.store.get(TUNING, request["HyperParameterTuningJobName"])
    found = _jobs_of(account, tuning)
    asked, key = {"SortBy": "Name", **request}, None
    if asked["SortBy"] == "FinalObjectiveMetricValue":
        found, key = [job for job in found if "_reached" in job], lambda job: job["_reached"]
    rows, more = page(found, TRAINING, asked, "Ascending", key)
    return {"TrainingJobSummaries": rows, **more}


def stop_hyper_parameter_tuning_job(account: Account, request: Request) -> Record:
    """Have a tuning job and its training jobs stop."""
    account.stop(TUNING, request["HyperParameterTuningJobName"])
    return {}


def delete_hyper_parameter_tuning_job(account: Account, request: Request) -> Record:
    """Delete the description of a tuning job that ended; its training jobs stay."""
    name = request["HyperParameterTuningJobName"]
    if account.store.get(TUNING, name)["HyperParameterTuningJobStatus"] in RUNNING:
        raise ApiError(f"The tuning job {name} still runs: stop it first.")
    return account.store.remove(TUNING, name)


class TuningJob:
    """Runs a tuning job that was created."""

    def __init__(self, account: Account, record: Record) -> None:
        self.account, self.record = account, record
        self._stopped = threading.Event()
        self._jobs: list[training_run.TrainingJob] = []

    def stop(self, seconds: float = 0) -> None:
        """End it, and the training jobs that still run, each in its own time."""
        self._stopped.set()
        for job in self._unfinished():
            try:
                self.account.stop(TRAINING, job["TrainingJobName"])
            except ApiError:
                continue  # it has ended meanwhile

    def run(self) -> None:
        """Run it to its end."""
        name, why = self.record["HyperParameterTuningJobName"], ""
        limits = self.record["HyperParameterTuningJobConfig"]["ResourceLimits"]
        tried = settings(name, self.record["HyperParameterTuningJobConfig"])
        try:
            for number, chosen in enumerate(tried[: limits.get("MaxNumberOfTrainingJobs")], 1):
                self._wait(limits["MaxParallelTrainingJobs"] - 1)
                if not self._stopped.is_set():
                    self._launch(f"{name[:50]}-{number:03d}", chosen)
        except Exception as error:
            why = failure(error)
            self.stop()
        self._wait(0)
        best = _counted(self.account, self.record)["BestTrainingJob"]
        if not why and not self._stopped.is_set() and best is None:
            why = "No training job succeeded and reported the objective metric."
        status = "Failed" if why else "Stopped" if self._stopped.is_set() else "Completed"
        said = {"HyperParameterTuningJobStatus": status, "FailureReason": reason(why) or None}
        self.account.store.update(TUNING, name, **said, HyperParameterTuningEndTime=now())

    def _launch(self, name: str, chosen: dict[str, str]) -> None:
        arn = self.record["HyperParameterTuningJobArn"]
        request = job_request(self.record["TrainingJobDefinition"], chosen)
        request["TrainingJobName"] = f"{name}-{zlib.crc32(arn.encode()):08x}"
        with self.account.lock:  # a job that ends at once is known, too
            training.start(self.account, request, TuningJobArn=arn, TunedHyperParameters=chosen)
            self._jobs.append(self.account.running[f"training-job/{request['TrainingJobName']}"])
        if self._stopped.is_set():  # told so while this one started
            self.stop()

    def _wait(self, most: int) -> None:
        """Wait until at most that many training jobs run."""
        config = self.record["HyperParameterTuningJobConfig"]
        early = config.get("TrainingJobEarlyStoppingType") == "Auto"
        while len(unfinished := self._unfinished()) > most:
            if early:
                self._stop_early({job["TrainingJobName"]: job for job in unfinished})
            time.sleep(0.1)

    def _stop_early(self, unfinished: dict[str, Record]) -> None:
        """Stop a job that reports worse than the median of the earlier jobs' averages so far."""
        goal = self.record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        sign = 1 if goal["Type"] == "Minimize" else -1
        ended = [job for job in self._jobs if job.name not in unfinished]
        for job in (job for job in self._jobs if job.name in unfinished):
            values = list(job.reported.get(goal["MetricName"], ()))
            before = [one.reported.get(goal["MetricName"], [])[: len(values)] for one in ended]
            averages = [statistics.fmean(one) for one in before if one]
            goes_on = unfinished[job.name]["TrainingJobStatus"] == "InProgress"
            if goes_on and averages and sign * values[-1] > sign * statistics.median(averages):
                with contextlib.suppress(ApiError):  # it has ended meanwhile
                    self.account.stop(TRAINING, job.name)

    def _unfinished(self) -> list[Record]:
        found = _jobs_of(self.account, self.record)
        return [job for job in found if job["TrainingJobStatus"] in RUNNING]


def job_request(definition: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return the training job that a definition makes with chosen hyperparameters."""
    request = {k: v for k, v in definition.items() if k != "DefinitionName"}
    fixed = request.pop("StaticHyperParameters", None) or {}
    request["HyperParameters"] = {**fixed, **chosen}
    resources = request.pop("HyperParameterTuningResourceConfig", None)  # SDK version 2's way
    if resources:
        if request.get("ResourceConfig"):
            raise ApiError("Give ResourceConfig or HyperParameterTuningResourceConfig, not both.")
        types = resources.get("InstanceConfigs") or [{}]
        if len(types) > 1:
            raise ApiError(
                f"HyperParameterTuningResourceConfig.InstanceConfigs has {len(types)} instance"
                " types to choose from; give one: jobs here are processes of this machine."
            )
        left_out = ("InstanceConfigs", "AllocationStrategy")
        named = {k: v for k, v in resources.items() if k not in left_out}
        request["ResourceConfig"] = named | types[0]
    return request


def _jobs_of(account: Account, tuning: Record) -> list[Record]:
    """Return the training jobs of a tuning job, oldest first, with what it says of each."""
    arn = tuning["HyperParameterTuningJobArn"]
    goal = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    found = [job for job in account.store.all(TRAINING) if job.get("TuningJobArn") == arn]
    return [job | _objective(job, goal) for job in found]


def _objective(job: Record, goal: Mapping[str, str]) -> Record:
    """Return what a training job reached."""
    status = job["TrainingJobStatus"]
    if status in RUNNING:
        return {"ObjectiveStatus": "Pending"}
    for metric in job.get("FinalMetricDataList") or []:
        value, wanted = metric["Value"], metric["MetricName"] == goal["MetricName"]
        if wanted and math.isfinite(value) and status != "Failed":
            member = {"FinalHyperParameterTuningJobObjectiveMetric": {**goal, "Value": value}}
            return member | {"ObjectiveStatus": "Succeeded", "_reached": value}
    return {"ObjectiveStatus": "Failed"}


def _counted(account: Account, tuning: Record) -> Record:
    """Return a tuning job's record with its counts and its best training job."""
    counts = dict.fromkeys(_JOBS, 0)
    objectives = {"Succeeded": 0, "Pending": 0, "Failed": 0}
    found = _jobs_of(account, tuning)
    for job in found:
        status = str(job["TrainingJobStatus"])
        counts[_COUNTED.get(status, status)] += 1
        objectives[job["ObjectiveStatus"]] += 1
    goal = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    sign = 1 if goal["Type"] == "Minimize" else -1
    reached = [job for job in found if "_reached" in job]
    best = min(reached, key=lambda job: sign * job["_reached"], default=None)
    said = {"TrainingJobStatusCounters": counts, "ObjectiveStatusCounters": objectives}
    return tuning | said | {"BestTrainingJob": best}


def settings(name: str, config: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the hyperparameters to try: a grid's points, or points drawn at random.

    Without a ``RandomSeed`` the tuning job's ``name`` is the seed, so that a rerun tries the same.
    """
    ranges = config.get("ParameterRanges") or {}
    categories = ranges.get("CategoricalParameterRanges") or []
    integers = ranges.get("IntegerParameterRanges") or []
    floats = ranges.get("ContinuousParameterRanges") or []
    names = [one["Name"] for one in [*categories, *integers, *floats]]
    if not names or len(set(names)) < len(names):
        given = ", ".join(names) or "none"
        raise ApiError(f"ParameterRanges names each hyperparameter to tune once; given: {given}.")
    if config["Strategy"] == "Grid":
        if integers or floats:
            raise ApiError("The Grid strategy takes categorical parameters: list their values.")
        points = list(itertools.product(*(one["Values"] for one in categories)))
        if len(points) > _MOST_JOBS:
            raise ApiError(f"The grid has {len(points)} points; it can have {_MOST_JOBS}.")
        return [dict(zip(names, point, strict=True)) for point in points]
    chance = random.Random(config.get("RandomSeed", zlib.crc32(name.encode())))
    found = []
    for _ in range(config["ResourceLimits"].get("MaxNumberOfTrainingJobs", _MOST_JOBS)):
        point = {one["Name"]: chance.choice(one["Values"]) for one in categories}
        point |= {one["Name"]: str(round(_drawn(chance, one))) for one in integers}
        found.append(point | {one["Name"]: repr(_drawn(chance, one)) for one in floats})
    return found


def _drawn(chance: random.Random, one: Mapping[str, Any]) -> float:
    """Return a number of a range, drawn on its scale."""
    scale = one.get("ScalingType", "Auto")
    try:
        low, high = float(one["MinValue"]), float(one["MaxValue"])
        usable = low <= high and math.isfinite(high - low)
    except ValueError:
        usable = False
    if usable and scale == "Auto":  # AWS chooses; here, by the range's width
        scale = "Logarithmic" if low > 0 and high / low >= 100 else "Linear"
    usable = usable and (scale != "Logarithmic" or low > 0)
    if not usable or (scale == "ReverseLogarithmic" and not 0 <= low <= high < 1):
        limits = f"{one['MinValue']} to {one['MaxValue']}"
        raise ApiError(f"The range of {one['Name']!r}, {limits}, can't be used on a {scale} scale.")
    share = chance.random()
    if scale == "Logarithmic":
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    if scale == "ReverseLogarithmic":
        return 1 - math.exp(math.log(1 - high) + share * (math.log(1 - low) - math.log(1 - high)))
    return low + share * (high - low)
