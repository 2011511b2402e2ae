"""Batch transform and hyperparameter tuning."""

import json

import pytest
from botocore.exceptions import ClientError

from local_sagemaker.errors import ApiError
from local_sagemaker.service import tuning
from tests.sagemaker.conftest import BUCKET, INFERENCE, change, until, wait


@pytest.fixture(scope="module")
def batch(aws, model) -> str:
    aws.model("batch", model)
    for name in "ab":
        aws.put(f"batch/in/{name}.jsonl", "".join(f"{n}\n" for n in range(5)))
    return "batch"


def start(aws, name, source=f"s3://{BUCKET}/batch/in", model="batch", **more) -> None:
    """Start a batch transform of lines; ``more`` replaces members of its request."""
    lines = "application/jsonlines"
    data = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}}
    given = {"DataSource": data, "ContentType": lines, "SplitType": "Line"}
    out = {"S3OutputPath": f"s3://{BUCKET}/batch/{name}", "Accept": lines, "AssembleWith": "Line"}
    aws.sm.create_transform_job(
        TransformJobName=name,
        ModelName=model,
        TransformInput=given | more.pop("TransformInput", {}),
        TransformOutput=out | more.pop("TransformOutput", {}),
        **{"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}} | more,
    )


def ended(aws, name) -> dict:
    return wait(lambda: aws.sm.describe_transform_job(TransformJobName=name), "TransformJobStatus")


def transform(aws, name, *source, **more) -> dict:
    """Transform; return the description of a job that completed."""
    start(aws, name, *source, **more)
    found = ended(aws, name)
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    return found


@pytest.mark.parametrize(("strategy", "at_a_time"), [("MultiRecord", 1), ("SingleRecord", 4)])
def test_every_object_gets_its_answers(aws, batch, strategy, at_a_time):
    more = {"BatchStrategy": strategy, "MaxConcurrentTransforms": at_a_time}
    found = transform(aws, f"all-{strategy}", **more)
    assert found["TransformStartTime"] <= found["TransformEndTime"]
    for name in "ab":
        assert aws.get(f"batch/all-{strategy}/{name}.jsonl.out") == b"0\n3\n6\n9\n12\n"


def test_a_manifest_names_the_objects(aws, batch):
    names = [{"prefix": f"s3://{BUCKET}/batch/in/"}, "b.jsonl"]
    listed = aws.put("batch/manifest", json.dumps(names))
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": listed}}
    transform(aws, "manifest", TransformInput={"DataSource": source})
    keys = aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="batch/manifest/")["Contents"]
    assert [k["Key"] for k in keys] == ["batch/manifest/b.jsonl.out"]


WHOLE = {"TransformInput": {"ContentType": "application/json", "SplitType": "None"}}
FILTERED = {"TransformInput": {"ContentType": "text/csv"}}
FILTERED |= {"DataProcessing": {"InputFilter": "$[1:]"}}
HEADER = {"TransformInput": {"ContentType": "a\nb"}}
NOWHERE = {"TransformOutput": {"S3OutputPath": "s3://never-made/out"}}


@pytest.mark.parametrize(
    ("name", "data", "more", "sentences"),
    [
        ("bad", b'{"x"\n', WHOLE, ["the model answered 500", "batch/bad"]),
        ("dies", b'"die"', WHOLE, ["while it was asked", "batch/dies"]),
        ("nothing", None, {}, ["No S3 objects found"]),
        ("latin", b"\xe9,1\n", FILTERED, ["ClientError: ", "can't decode byte 0xe9"]),
        ("header", b"1\n", HEADER, ["ClientError: ", "header value"]),
        ("out-nowhere", b"1\n", NOWHERE, ["ClientError: ", "NoSuchBucket"]),
    ],
)
def test_a_transform_that_fails_says_why(aws, batch, name, data, more, sentences):
    if data is not None:
        aws.put(f"batch/{name}", data)
    start(aws, name, f"s3://{BUCKET}/batch/{name}", **more)
    found = ended(aws, name)
    assert found["TransformJobStatus"] == "Failed"
    assert all(sentence in found["FailureReason"] for sentence in sentences)


def test_a_transform_can_be_stopped(aws, batch):
    slow = INFERENCE + "\ndef predict_fn(x, m):\n    time.sleep(600)\n    return x\n"
    files = {"model.json": "{}", "code/inference.py": slow}
    aws.model("slow", aws.archive("models/slow.tar.gz", files))
    start(aws, "stopped", model="slow")
    describe = aws.sm.describe_transform_job
    until(lambda: "TransformStartTime" in describe(TransformJobName="stopped"))
    aws.sm.stop_transform_job(TransformJobName="stopped")
    assert ended(aws, "stopped")["TransformJobStatus"] == "Stopped"


def test_transforms_are_listed_and_missing_ones_are_missing(aws, batch):
    transform(aws, "found-by-name")
    for status, names in (("Completed", ["found-by-name"]), ("Failed", [])):
        found = aws.sm.list_transform_jobs(StatusEquals=status, NameContains="by-name")
        assert [r["TransformJobName"] for r in found["TransformJobSummaries"]] == names
    with pytest.raises(aws.sm.exceptions.ResourceNotFound):
        aws.sm.describe_transform_job(TransformJobName="never")
    with pytest.raises(ClientError, match="Could not find model"):
        start(aws, "no-model", model="never")
    with pytest.raises(aws.sm.exceptions.ResourceInUse):
        start(aws, "found-by-name")


SCORE = """
import json, os
given = json.loads(os.environ["SM_HPS"])
assert given["fixed"] == "yes"
print("score=%f" % {"a": 1, "b": 11}[given["kind"]])
"""


def tuning_request(aws, name, code, *values: str) -> dict:
    """Return a tuning job that runs a script with each of at most three kinds."""
    definition = aws.train_request(name, code)
    del definition["TrainingJobName"]
    metrics = [{"Name": "score", "Regex": r"score=(\S+)"}]
    definition["AlgorithmSpecification"]["MetricDefinitions"] = metrics
    settings = definition.pop("HyperParameters") | {"fixed": '"yes"'}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "kind", "Values": values}]},
        },
        "TrainingJobDefinition": definition | {"StaticHyperParameters": settings},
    }


def tuned(aws, name) -> dict:
    describe = aws.sm.describe_hyper_parameter_tuning_job
    return wait(lambda: describe(HyperParameterTuningJobName=name), "HyperParameterTuningJobStatus")


def test_a_grid_is_tried_and_the_best_is_named(aws):
    request = tuning_request(aws, "grid", SCORE, "a", "b", "bad")
    given = request["TrainingJobDefinition"].pop("ResourceConfig")  # as SDK version 2 names it
    request["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"] = given
    aws.sm.create_hyper_parameter_tuning_job(**request)
    found = tuned(aws, "grid")
    assert found["HyperParameterTuningJobStatus"] == "Completed", found.get("FailureReason")
    best = found["BestTrainingJob"]
    assert best["TunedHyperParameters"] == {"kind": "b"} and best["ObjectiveStatus"] == "Succeeded"
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 11
    counts = found["TrainingJobStatusCounters"]
    assert (counts["Completed"], counts["NonRetryableError"], counts["InProgress"]) == (2, 1, 0)
    assert found["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}
    asked = {"HyperParameterTuningJobName": "grid", "SortBy": "FinalObjectiveMetricValue"}
    rows = aws.sm.list_training_jobs_for_hyper_parameter_tuning_job(**asked, SortOrder="Descending")
    rows = rows["TrainingJobSummaries"]
    assert [r["TunedHyperParameters"]["kind"] for r in rows] == ["b", "a"]
    one = aws.sm.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert one["TuningJobArn"].endswith("/grid") and one["ResourceConfig"] == given
    listed = aws.sm.list_hyper_parameter_tuning_jobs(NameContains="grid")
    (row,) = listed["HyperParameterTuningJobSummaries"]
    assert row["HyperParameterTuningJobStatus"] == "Completed" and row["Strategy"] == "Grid"
    aws.sm.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="grid")
    with pytest.raises(aws.sm.exceptions.ResourceNotFound):
        tuned(aws, "grid")
    aws.sm.create_hyper_parameter_tuning_job(**request)
    again = tuned(aws, "grid")
    assert again["BestTrainingJob"]["TrainingJobName"] != best["TrainingJobName"]
    assert again["ObjectiveStatusCounters"] == found["ObjectiveStatusCounters"]


def test_a_tuning_job_can_be_stopped(aws):
    request = tuning_request(aws, "halted", "import time; time.sleep(60)", "a", "b")
    aws.sm.create_hyper_parameter_tuning_job(**request)
    aws.sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
    assert tuned(aws, "halted")["HyperParameterTuningJobStatus"] == "Stopped"
    running = aws.sm.list_training_jobs(NameContains="halted", StatusEquals="InProgress")
    assert running["TrainingJobSummaries"] == []


C, T = "HyperParameterTuningJobConfig", "TrainingJobDefinition"
LIMITS, OWN = f"{C}.ResourceLimits", f"{T}.HyperParameterTuningResourceConfig"
RANGES, GOAL = f"{C}.ParameterRanges", f"{C}.HyperParameterTuningJobObjective.MetricName"
KIND, TARGET = {"Name": "kind", "Values": ["a"]}, {"TargetObjectiveMetricValue": 1.0}
TYPE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
IMAGE = "174872318107.dkr.ecr.us-west-2.amazonaws.com/factorization-machines:1"
FM = {f"{T}.AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"}}
FM |= {f"{T}.StaticHyperParameters": {}, GOAL: "test:rmse"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({f"{C}.Strategy": "Bayesian"}, "must be Random or Grid in the .* not Bayesian"),
        ({f"{C}.TuningJobCompletionCriteria": TARGET}, "Criteria is not supported by"),
        ({f"{LIMITS}.MaxRuntimeInSeconds": 120}, "MaxRuntimeInSeconds is not supported"),
        ({GOAL: "other"}, "none of the training job's metrics: score"),
        ({f"{T}.StaticHyperParameters.kind": "a"}, "'kind' is tuned and static"),
        ({f"{RANGES}.CategoricalParameterRanges": [KIND, KIND]}, "once; given: .*'kind', 'kind'"),
        ({f"{RANGES}.CategoricalParameterRanges": []}, r"once; given: \[\]"),
        ({OWN: {"InstanceCount": 1}}, "ResourceConfig or HyperParameterTuningResourceConfig, not"),
        ({OWN: {"InstanceConfigs": [TYPE]}, f"{T}.ResourceConfig": {}}, "InstanceConfigs is not"),
        (FM, "'kind'"),
    ],
)
def test_a_tuning_job_that_can_not_run_is_refused(aws, changes, sentence):
    request = tuning_request(aws, "refused", SCORE, "a")
    for path, value in changes.items():
        change(path, value)(request)
    with pytest.raises(ClientError, match=sentence):
        aws.sm.create_hyper_parameter_tuning_job(**request)


SLOW = """
import argparse, time
p = argparse.ArgumentParser()
p.add_argument("--kind")
p.add_argument("--fixed")
a = p.parse_args()
for epoch in range(3):
    print("score=%f" % {"a": 2, "b": 1, "c": 3}[a.kind], flush=True)
time.sleep(60 if a.kind == "b" else 0)
"""


def test_a_job_that_is_worse_than_the_median_of_earlier_ones_is_stopped_early(aws):
    request = tuning_request(aws, "early", SLOW, "a", "b", "c")
    config = request["HyperParameterTuningJobConfig"]
    config["TrainingJobEarlyStoppingType"] = "Auto"
    config["ResourceLimits"]["MaxParallelTrainingJobs"] = 1
    aws.sm.create_hyper_parameter_tuning_job(**request)
    found = tuned(aws, "early")
    assert found["HyperParameterTuningJobStatus"] == "Completed"
    counts = found["TrainingJobStatusCounters"]
    assert (counts["Completed"], counts["Stopped"]) == (2, 1)
    assert found["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "c"}


def drawn(name: str, low: str, high: str, scale: str) -> list[dict[str, str]]:
    one = {"Name": "rate", "MinValue": low, "MaxValue": high, "ScalingType": scale}
    n = {"Name": "n", "MinValue": "1", "MaxValue": "3"}
    ranges = {"ContinuousParameterRanges": [one], "IntegerParameterRanges": [n]}
    config = {"Strategy": "Random", "ParameterRanges": ranges}
    return list(tuning.settings(name, config | {"ResourceLimits": {"MaxNumberOfTrainingJobs": 50}}))


def test_numbers_are_drawn_from_their_range_and_again_the_same():
    for scale in ("Auto", "Linear", "Logarithmic"):
        given = ("0.001", "0.9", scale)
        points = drawn("name", *given)
        assert points == drawn("name", *given) != drawn("other", *given)
        assert all(0.001 <= float(point["rate"]) <= 0.9 for point in points)
        assert {point["n"] for point in points} == {"1", "2", "3"}
    wrong = [("2", "1", "Linear"), ("0", "1", "Logarithmic"), ("0.1", "0.9", "ReverseLogarithmic")]
    for given in [*wrong, ("x", "1", "Auto"), ("nan", "1", "Auto"), ("0", "inf", "Auto")]:
        with pytest.raises(ApiError, match="The range of 'rate', .* can't be used on a"):
            drawn("name", *given)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"MaxPayloadInMB": 101}, "101; it can be 100"),
        ({"MaxPayloadInMB": 50, "MaxConcurrentTransforms": 3}, "is 150; it can be 100"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "must be 1"),
        ({"ModelClientConfig": {"InvocationsMaxRetries": 2}}, "InvocationsMaxRetries is not supp"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "must be None .* join the objects after"),
    ],
)
def test_what_a_transform_does_not_do_is_refused(aws, batch, more, sentence):
    with pytest.raises(ClientError, match=sentence):
        start(aws, "refused", **more)
