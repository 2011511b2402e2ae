"""Hyperparameter tuning: its operations, the settings it tries, and the run of one tuning job."""

import contextlib
import itertools
import math
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import training_run
from local_sagemaker.service import contract, training
from local_sagemaker.service.account import RUNNING, Account, Request
from local_sagemaker.service.listing import page
from local_sagemaker.service.store import TRAINING, TUNING, Record, now

_JOBS = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
_REACHED = "FinalObjectiveMetricValue"  # as a listing sorts by it
_COUNTED = {"Stopping": "InProgress", "Failed": "NonRetryableError"}


def create_hyper_parameter_tuning_job(account: Account, request: Request) -> Record:
    """Run training jobs with settings of a grid or drawn at random, in the background."""
    config = request["HyperParameterTuningJobConfig"]
    goal = config.get("HyperParameterTuningJobObjective")
    if not request.get("TrainingJobDefinition") or not goal:
        raise ApiError("Name a TrainingJobDefinition and a HyperParameterTuningJobObjective.")
    first = next(settings(request["HyperParameterTuningJobName"], config))
    made = _job_request(request["TrainingJobDefinition"], first)
    contract.refuse("CreateTrainingJob", made)
    training.check(account, made)
    metrics = [metric["Name"] for metric in training_run.metric_definitions(made)]
    if goal["MetricName"] not in metrics:
        said = f"The objective metric {goal['MetricName']!r} is none of the training job's metrics"
        raise ApiError(f"{said}: {', '.join(metrics) or '-'}.")
    if algorithm := training_run.built_in(made):
        try:
            algorithm.settings(made["HyperParameters"])
        except ValueError as error:
            raise ApiError(str(error)) from None
    return account.submit(TUNING, request, TuningJob)


def list_training_jobs_for_hyper_parameter_tuning_job(account: Account, request: Request) -> Record:
    """List the training jobs of a tuning job, as they were made or by what they reached."""
    tuning = account.store.get(TUNING, request["HyperParameterTuningJobName"])
    rows, more = page(_jobs_of(account, tuning), TRAINING, request)
    return {"TrainingJobSummaries": rows, **more}


def counted(account: Account, tuning: Record) -> Record:
    """Return a tuning job's record with its counts and its best training job so far."""
    config = tuning["HyperParameterTuningJobConfig"]
    found = _jobs_of(account, tuning)
    states = Counter(_COUNTED.get(s := job["TrainingJobStatus"], s) for job in found)
    objectives = Counter(job["ObjectiveStatus"] for job in found)
    sign = 1 if config["HyperParameterTuningJobObjective"]["Type"] == "Minimize" else -1
    reached = [job for job in found if _REACHED in job]
    return {
        **config,  # a summary has its strategy and its limits
        **tuning,
        "TrainingJobStatusCounters": {name: states[name] for name in _JOBS},
        "ObjectiveStatusCounters": {n: objectives[n] for n in ("Succeeded", "Pending", "Failed")},
        "BestTrainingJob": min(reached, key=lambda job: sign * job[_REACHED], default=None),
    }


class TuningJob:
    def __init__(self, account: Account, record: Record) -> None:
        self.account, self.record = account, record
        self._stopped = threading.Event()
        self._runs: dict[str, training_run.TrainingJob] = {}

    def stop(self, seconds: float = 0) -> None:
        """Have it end, once its training jobs have, each in its own time."""
        self._stopped.set()

    def run(self) -> None:
        name, config = self.record[TUNING.name], self.record["HyperParameterTuningJobConfig"]
        more = {"TuningJobArn": self.record[TUNING.arn]}
        suffix = f"{round(self.record['CreationTime'] * 1000):x}"  # jobs of a deleted one stay
        for number, chosen in enumerate(settings(name, config), 1):
            self._wait(config["ResourceLimits"]["MaxParallelTrainingJobs"] - 1)
            if self._stopped.is_set():
                break
            request = _job_request(self.record["TrainingJobDefinition"], chosen)
            request["TrainingJobName"] = f"{name}-{number:03d}-{suffix}"
            with self.account.lock:  # a job that ends at once is known, too
                training.start(self.account, request, TunedHyperParameters=chosen, **more)
                name_of = request["TrainingJobName"]
                self._runs[name_of] = self.account.running[f"training-job/{name_of}"]
        self._wait(0)
        status, why = "Stopped" if self._stopped.is_set() else "Completed", None
        if status == "Completed" and not counted(self.account, self.record)["BestTrainingJob"]:
            status, why = "Failed", "No training job succeeded and reported the objective metric."
        said = {TUNING.status: status, "FailureReason": why, TUNING.end: now()}
        self.account.store.update(TUNING, name, **said)

    def _wait(self, most: int) -> None:
        """Wait until at most that many training jobs run; have them stop once it was told to."""
        while counted(self.account, self.record)["ObjectiveStatusCounters"]["Pending"] > most:
            jobs = _jobs_of(self.account, self.record)
            for job in jobs if self._stopped.is_set() else self._worse(jobs):
                if job["TrainingJobStatus"] == "InProgress":
                    with contextlib.suppress(ApiError):  # it has ended meanwhile
                        self.account.stop(TRAINING, job["TrainingJobName"])
            time.sleep(0.1)

    def _worse(self, jobs: list[Record]) -> Iterator[Record]:
        """Yield the running jobs that report worse than the median of the ended ones so far."""
        config = self.record["HyperParameterTuningJobConfig"]
        if config.get("TrainingJobEarlyStoppingType") != "Auto":
            return
        goal = config["HyperParameterTuningJobObjective"]
        sign = 1 if goal["Type"] == "Minimize" else -1
        metric = goal["MetricName"]
        said = {n: [v for v, _ in r.reported.get(metric, [])] for n, r in self._runs.items()}
        ended = [job["TrainingJobName"] for job in jobs if job["TrainingJobStatus"] not in RUNNING]
        for job in jobs:
            values = list(said.get(job["TrainingJobName"], []))
            before = [said[name][: len(values)] for name in ended if said.get(name)]
            averages = [statistics.fmean(one) for one in before if one]
            goes_on = job["TrainingJobStatus"] in RUNNING
            if goes_on and averages and sign * values[-1] > sign * statistics.median(averages):
                yield job


def _job_request(definition: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return the training job that a definition makes with chosen hyperparameters."""
    request = {k: v for k, v in definition.items() if k != "DefinitionName"}
    fixed = request.pop("StaticHyperParameters", None) or {}
    for name in fixed.keys() & chosen.keys():
        raise ApiError(f"The hyperparameter {name!r} is tuned and static: give one of the two.")
    request["HyperParameters"] = {**fixed, **chosen}
    if resources := request.pop("HyperParameterTuningResourceConfig", None):  # SDK version 2's way
        if request.get("ResourceConfig"):
            raise ApiError("Give ResourceConfig or HyperParameterTuningResourceConfig, not both.")
        request["ResourceConfig"] = resources
    return request


def _jobs_of(account: Account, tuning: Record) -> list[Record]:
    """Return the training jobs of a tuning job, oldest first, with what each reached."""
    goal = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    found = []
    for job in account.store.all(TRAINING):
        deleted = job["CreationTime"] < tuning["CreationTime"]  # of one of the same name
        if deleted or job.get("TuningJobArn") != tuning[TUNING.arn]:
            continue
        metrics = {m["MetricName"]: m["Value"] for m in job.get("FinalMetricDataList") or []}
        value, more = metrics.get(goal["MetricName"], math.nan), Record(ObjectiveStatus="Failed")
        if job["TrainingJobStatus"] in RUNNING:
            more["ObjectiveStatus"] = "Pending"
        elif math.isfinite(value) and job["TrainingJobStatus"] != "Failed":
            final = {"FinalHyperParameterTuningJobObjectiveMetric": {**goal, "Value": value}}
            more = {"ObjectiveStatus": "Succeeded", _REACHED: value, **final}
        found.append({**job, **more})
    return found


def settings(name: str, config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the hyperparameters to try: a grid's points, or points drawn at random."""
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    ranges = config.get("ParameterRanges") or {}
    categories = ranges.get("CategoricalParameterRanges") or []
    integers = ranges.get("IntegerParameterRanges") or []
    floats = ranges.get("ContinuousParameterRanges") or []
    names = [one["Name"] for one in [*categories, *integers, *floats]]
    if not names or len(set(names)) < len(names):
        raise ApiError(f"ParameterRanges names each hyperparameter to tune once; given: {names}.")
    if config["Strategy"] == "Grid":
        if integers or floats:
            raise ApiError("The Grid strategy takes categorical parameters: list their values.")
        for point in itertools.islice(itertools.product(*(c["Values"] for c in categories)), most):
            yield dict(zip(names, point, strict=True))
        return
    chance = random.Random(config.get("RandomSeed", name))  # a rerun tries the same
    for _ in range(most or 1):
        drawn = {one["Name"]: chance.choice(one["Values"]) for one in categories}
        drawn |= {one["Name"]: str(round(_drawn(chance, one))) for one in integers}
        yield drawn | {one["Name"]: repr(_drawn(chance, one)) for one in floats}


def _drawn(chance: random.Random, one: Mapping[str, Any]) -> float:
    scale = one.get("ScalingType", "Auto")
    with contextlib.suppress(ValueError):  # it is no number
        low, high = float(one["MinValue"]), float(one["MaxValue"])
        if scale == "Auto":  # AWS chooses; here, by the range's width
            scale = "Logarithmic" if low > 0 and high / low >= 100 else "Linear"
        if scale == "Logarithmic" and 0 < low <= high < math.inf:
            return math.exp(chance.uniform(math.log(low), math.log(high)))
        if scale == "Linear" and low <= high and math.isfinite(high - low):
            return chance.uniform(low, high)
    limits = f"{one['MinValue']} to {one['MaxValue']}"
    raise ApiError(f"The range of {one['Name']!r}, {limits}, can't be used on a {scale} scale.")
