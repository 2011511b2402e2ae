"""Batch transform and hyperparameter tuning."""

from __future__ import annotations

import json
import time

import pytest

from tests.cloud.conftest import BUCKET, INFERENCE, wait


@pytest.fixture(scope="module")
def batch(aws, model) -> str:
    aws.model("batch", model)
    for name in "ab":
        aws.put(f"batch/in/{name}.jsonl", "".join(f"{n}\n" for n in range(5)))
    return "batch"


def transform(
    aws,
    name,
    source=f"s3://{BUCKET}/batch/in",
    model="batch",
    busy=("InProgress", "Stopping"),
    **more,
):
    given = {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
        "ContentType": "application/jsonlines",
        "SplitType": "Line",
    } | more.pop("TransformInput", {})
    out = {
        "S3OutputPath": f"s3://{BUCKET}/batch/{name}",
        "Accept": "application/jsonlines",
        "AssembleWith": "Line",
    }
    aws.sm.create_transform_job(
        TransformJobName=name,
        ModelName=model,
        TransformInput=given,
        TransformOutput=out | more.pop("TransformOutput", {}),
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **more,
    )
    return wait(
        lambda: aws.sm.describe_transform_job(TransformJobName=name), "TransformJobStatus", *busy
    )


@pytest.mark.parametrize("strategy", ["MultiRecord", "SingleRecord"])
def test_every_object_gets_its_answers(aws, batch, strategy):
    found = transform(aws, f"all-{strategy}", BatchStrategy=strategy)
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    assert found["TransformStartTime"] <= found["TransformEndTime"]
    for name in "ab":
        assert aws.get(f"batch/all-{strategy}/{name}.jsonl.out") == b"0\n3\n6\n9\n12\n"


def test_a_manifest_names_the_objects(aws, batch):
    listed = aws.put(
        "batch/manifest", json.dumps([{"prefix": f"s3://{BUCKET}/batch/in/"}, "b.jsonl"])
    )
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": listed}}
    found = transform(aws, "manifest", TransformInput={"DataSource": source})
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    keys = aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="batch/manifest/")["Contents"]
    assert [k["Key"] for k in keys] == ["batch/manifest/b.jsonl.out"]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [("bad", b'{"x"\n', "the model answered 500"), ("dies", b'"die"', "the model server died")],
)
def test_a_bad_object_fails_the_job_with_its_name(aws, batch, name, data, sentence):
    source = aws.put(f"batch/{name}.jsonl", data)
    kind = {"ContentType": "application/json", "SplitType": "None"}
    found = transform(aws, name, source, TransformInput=kind)
    assert found["TransformJobStatus"] == "Failed"
    assert sentence in found["FailureReason"] and f"batch/{name}.jsonl" in found["FailureReason"]


def test_csv_is_split_and_assembled(aws):
    code = "def model_fn(d): return 3\ndef predict_fn(x, m): return x * m\n"  # the container's own input and output
    aws.model("csv", aws.archive("models/csv.tar.gz", {"code/inference.py": code}))
    source = aws.put("batch/numbers.csv", "".join(f"{n},{n / 2}\n" for n in range(5)))
    found = transform(
        aws,
        "csv",
        source,
        model="csv",
        BatchStrategy="MultiRecord",
        TransformInput={"ContentType": "text/csv"},
        TransformOutput={"Accept": "text/csv"},
    )
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    rows = [
        [float(v) for v in line.split(",")]
        for line in aws.get("batch/csv/numbers.csv.out").decode().split()
    ]
    assert rows == [[3 * n, 3 * n / 2] for n in range(5)]


def test_answers_without_a_place_fail_the_job(aws, batch):
    found = transform(aws, "nowhere", TransformOutput={"S3OutputPath": "s3://never-made/out"})
    assert found["TransformJobStatus"] == "Failed"
    assert (
        found["FailureReason"].startswith("ClientError: ")
        and "NoSuchBucket" in found["FailureReason"]
    )


def test_nothing_to_do_is_a_failure(aws, batch):
    found = transform(aws, "nothing", f"s3://{BUCKET}/batch/nowhere")
    assert (
        found["TransformJobStatus"] == "Failed" and "No S3 objects found" in found["FailureReason"]
    )


def test_a_transform_can_be_stopped(aws, batch):
    slow = INFERENCE + "\ndef predict_fn(x, m):\n    time.sleep(50)\n    return x\n"
    aws.model(
        "slow", aws.archive("models/slow.tar.gz", {"model.json": "{}", "code/inference.py": slow})
    )
    begin = time.monotonic()
    assert transform(aws, "stopped", model="slow", busy=())["TransformJobStatus"] == "InProgress"
    while "TransformStartTime" not in aws.sm.describe_transform_job(TransformJobName="stopped"):
        assert time.monotonic() < begin + 40
        time.sleep(0.05)
    aws.sm.stop_transform_job(TransformJobName="stopped")
    found = wait(
        lambda: aws.sm.describe_transform_job(TransformJobName="stopped"),
        "TransformJobStatus",
        "InProgress",
        "Stopping",
    )
    assert found["TransformJobStatus"] == "Stopped" and time.monotonic() - begin < 50


def test_transforms_are_listed_and_missing_ones_are_missing(aws, batch):
    assert transform(aws, "found-by-name")["TransformJobStatus"] == "Completed"
    for status, names in (("Completed", ["found-by-name"]), ("Failed", [])):
        found = aws.sm.list_transform_jobs(StatusEquals=status, NameContains="by-name")
        assert [r["TransformJobName"] for r in found["TransformJobSummaries"]] == names
    with pytest.raises(aws.sm.exceptions.ResourceNotFound):
        aws.sm.describe_transform_job(TransformJobName="never")
    with pytest.raises(aws.sm.exceptions.ClientError, match="Could not find model"):
        transform(aws, "no-model", model="never")
    with pytest.raises(aws.sm.exceptions.ClientError, match="DataProcessing .* is not supported"):
        transform(aws, "joined", DataProcessing={"JoinSource": "Input"})
    with pytest.raises(aws.sm.exceptions.ResourceInUse):
        transform(aws, "found-by-name")


SCORE = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("--rate", type=float, default=1.0); p.add_argument("--kind", default="a"); p.add_argument("--fixed")
a = p.parse_args()
assert a.fixed == "yes"
if a.kind == "bad": raise SystemExit("bad kind")
print("score=%f" % (a.rate + {"a": 0, "b": 10}[a.kind]))
"""


def tuning_request(aws, name, strategy, ranges, jobs=4, **more):
    request = aws.train_request(name, SCORE)
    definition = {
        k: v for k, v in request.items() if k not in ("TrainingJobName", "HyperParameters")
    }
    definition["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "score", "Regex": r"score=(\S+)"}
    ]
    definition["StaticHyperParameters"] = request["HyperParameters"] | {"fixed": '"yes"'}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges,
        }
        | more,
        "TrainingJobDefinition": definition,
    }


def tuned(aws, name):
    return wait(
        lambda: aws.sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name),
        "HyperParameterTuningJobStatus",
        "InProgress",
        "Stopping",
    )


def test_a_grid_is_tried_and_the_best_is_named(aws):
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "kind", "Values": ["a", "b", "bad"]},
        ]
    }
    aws.sm.create_hyper_parameter_tuning_job(**tuning_request(aws, "grid", "Grid", ranges, jobs=3))
    found = tuned(aws, "grid")
    assert found["HyperParameterTuningJobStatus"] == "Completed", found.get("FailureReason")
    best = found["BestTrainingJob"]
    assert best["TunedHyperParameters"] == {"kind": "b"} and best["ObjectiveStatus"] == "Succeeded"
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 11
    counts = found["TrainingJobStatusCounters"]
    assert (counts["Completed"], counts["NonRetryableError"], counts["InProgress"]) == (2, 1, 0)
    assert found["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}
    rows = aws.sm.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="grid",
        SortBy="FinalObjectiveMetricValue",
        SortOrder="Descending",
    )["TrainingJobSummaries"]
    assert [r["TunedHyperParameters"]["kind"] for r in rows] == ["b", "a"]
    assert aws.sm.describe_training_job(TrainingJobName=best["TrainingJobName"])[
        "TuningJobArn"
    ].endswith("/grid")
    listed = aws.sm.list_hyper_parameter_tuning_jobs(NameContains="grid")[
        "HyperParameterTuningJobSummaries"
    ]
    statuses = {
        r["HyperParameterTuningJobName"]: r["HyperParameterTuningJobStatus"] for r in listed
    }
    assert statuses["grid"] == "Completed"  # other tests' jobs have names that contain it too
    aws.sm.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="grid")
    with pytest.raises(aws.sm.exceptions.ResourceNotFound):
        tuned(aws, "grid")


def test_random_search_draws_from_its_ranges(aws):
    ranges = {
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "0.5", "MaxValue": "2", "ScalingType": "Linear"}
        ]
    }
    aws.sm.create_hyper_parameter_tuning_job(
        **tuning_request(aws, "random", "Random", ranges, jobs=2, RandomSeed=3)
    )
    found = tuned(aws, "random")
    assert found["HyperParameterTuningJobStatus"] == "Completed", found.get("FailureReason")
    rows = aws.sm.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="random"
    )
    rates = [float(r["TunedHyperParameters"]["rate"]) for r in rows["TrainingJobSummaries"]]
    assert len(set(rates)) == 2 and all(0.5 <= r <= 2 for r in rates)
    best = found["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert best == pytest.approx(max(rates), abs=1e-5)


def test_a_tuning_job_can_be_stopped(aws):
    ranges = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}]}
    request = tuning_request(aws, "halted", "Grid", ranges, jobs=2)
    submitted = aws.archive("code/sleeps.tar.gz", {"train.py": "import time; time.sleep(60)"})
    request["TrainingJobDefinition"]["StaticHyperParameters"]["sagemaker_submit_directory"] = (
        json.dumps(submitted)
    )
    aws.sm.create_hyper_parameter_tuning_job(**request)
    aws.sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
    assert tuned(aws, "halted")["HyperParameterTuningJobStatus"] == "Stopped"
    running = aws.sm.list_training_jobs(NameContains="halted", StatusEquals="InProgress")
    assert running["TrainingJobSummaries"] == []


@pytest.mark.parametrize(
    ("strategy", "ranges", "more", "sentence"),
    [
        (
            "Bayesian",
            {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a"]}]},
            {},
            "Bayesian is not supported",
        ),
        ("Random", {}, {}, "names no hyperparameter"),
        (
            "Random",
            {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "2", "MaxValue": "1"}]},
            {},
            "can't be used",
        ),
        (
            "Grid",
            {"IntegerParameterRanges": [{"Name": "rate", "MinValue": "1", "MaxValue": "2"}]},
            {},
            "categorical parameters only",
        ),
        (
            "Random",
            {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["a"]}]},
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "other"}},
            "none of the training job's metrics: score",
        ),
    ],
)
def test_a_tuning_job_that_can_not_run_is_refused(aws, strategy, ranges, more, sentence):
    with pytest.raises(aws.sm.exceptions.ClientError, match=sentence):
        aws.sm.create_hyper_parameter_tuning_job(
            **tuning_request(aws, "refused", strategy, ranges, **more)
        )
