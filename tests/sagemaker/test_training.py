"""Training jobs run as SageMaker runs them, and say of themselves what is true."""

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError

from tests.sagemaker.conftest import BUCKET, DATA, ECR, ROLE, change

CONTRACT = """
import json, os, sys
out = {"arguments": sys.argv[1:], "files": sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"]))}
out |= {name: os.environ[name] for name in ("SM_HPS", "SM_HOSTS", "SM_CURRENT_HOST")}
out["config"] = sorted(os.listdir(os.environ["LOCAL_SAGEMAKER_OPT_ML"] + "/input/config"))
out["secrets"] = [n for n in os.environ if n.startswith(("COURSE_CLOUD", "MY_SECRET"))]
json.dump(out, open(os.environ["SM_MODEL_DIR"] + "/m.json", "w"))
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/report.txt", "w").write("done")
print("loss=0.5"); print("loss=0.25"); print("loss=nothing")
"""


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}


@pytest.fixture(scope="module")
def done(aws):
    def metrics(request):
        metric = {"Name": "loss", "Regex": r"loss=(\S+)"}
        request["AlgorithmSpecification"]["MetricDefinitions"] = [metric]
        request["Tags"] = [{"Key": "chapter", "Value": "05"}]

    return aws.train("contract", CONTRACT, change=metrics, epochs=3, title="plain")


def test_a_script_finds_the_container_it_expects(aws, done):
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    kept = f"s3://{BUCKET}/out/contract/output/model.tar.gz"
    assert done["ModelArtifacts"]["S3ModelArtifacts"] == kept
    found = json.loads(members(aws.get("out/contract/output/model.tar.gz"))["m.json"])
    assert found["arguments"] == ["--epochs", "3", "--title", "plain"]
    assert found["files"] == ["x.csv"]
    assert json.loads(found["SM_HPS"]) == {"epochs": 3, "title": "plain"}
    assert (found["SM_HOSTS"], found["SM_CURRENT_HOST"]) == ('["algo-1"]', "algo-1")
    names = ("hyperparameters", "inputdataconfig", "resourceconfig")
    assert found["config"] == [f"{name}.json" for name in names]
    assert found["secrets"] == []
    assert members(aws.get("out/contract/output/output.tar.gz")) == {"report.txt": b"done"}


def test_describe_tells_the_truth(aws, done):
    tags = aws.sm.list_tags(ResourceArn=done["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "chapter", "Value": "05"}]
    steps = done["SecondaryStatusTransitions"]
    names = ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [s["Status"] for s in steps] == names
    assert all(a["EndTime"] == b["StartTime"] for a, b in zip(steps, steps[1:], strict=False))
    assert done["SecondaryStatus"] == "Completed"
    assert done["CreationTime"] <= done["TrainingStartTime"] < done["TrainingEndTime"]
    taken = (done["TrainingEndTime"] - done["TrainingStartTime"]).total_seconds()
    assert done["TrainingTimeInSeconds"] == done["BillableTimeInSeconds"] == max(1, round(taken))
    (metric,) = done["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("loss", 0.25)


def test_a_long_line_does_not_hold_up_the_service_for_a_metric(aws):
    said = change("AlgorithmSpecification.MetricDefinitions", [{"Name": "m", "Regex": ".*m=(.*)"}])
    done = aws.train("long-line", "print('x' * 190_000); print('m=5')", change=said)
    assert done["FinalMetricDataList"][0]["Value"] == 5 and done["TrainingTimeInSeconds"] < 20


def test_its_log_is_in_cloudwatch_and_nothing_is_left_of_it_on_this_machine(aws, done):
    assert aws.job_log("contract") == ["loss=0.5", "loss=0.25", "loss=nothing"]
    assert not (aws.server.work / "training" / done["TrainingJobName"]).exists()


def test_a_job_made_again_at_once_is_another_job(aws):
    """Its log stream is there already; the first job's end does not touch the second."""
    for code in ("raise SystemExit(1)", "print('again')"):
        found = aws.train("again", code)
        aws.sm.delete_training_job(TrainingJobName="again")
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    assert "again" in aws.job_log("again")


def test_an_error_of_the_script_is_the_reason(aws):
    code = "def load():\n    raise ValueError('no such column')\nprint('reading')\nload()\n"
    reason = aws.fails("raises", code)
    assert reason.startswith("AlgorithmError: Traceback (most recent call last)")
    assert "line 2, in load" in reason and "ValueError: no such column, exit code: 1" in reason
    assert "/opt/ml/code" not in reason or "local-sagemaker-" not in reason
    log = aws.job_log("raises")
    assert log[0] == "reading" and "ValueError: no such column" in log


NO_OUTPUT = change("OutputDataConfig.S3OutputPath", "s3://never-made/out")
NO_DATA = change(DATA, f"s3://{BUCKET}/nowhere")
NO_CODE = change("HyperParameters", {"sagemaker_program": "train.py"})
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
ONE_OF_TWO = """
import os, time
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    raise SystemExit("lost")
time.sleep(600)  # cut short, or the test takes too long
"""


@pytest.mark.parametrize(
    ("name", "code", "more", "sentences"),
    [
        ("killed", KILLED, {}, ["out of memory", "exit code: 137"]),
        ("one-of-two", ONE_OF_TWO, {"count": 2}, ["lost"]),
        ("output-nowhere", "pass", {"change": NO_OUTPUT}, ["ClientError: ", "NoSuchBucket"]),
        ("no-data", "pass", {"change": NO_DATA}, ["No S3 objects found under", "/nowhere'"]),
        ("no-code", "pass", {"change": NO_CODE}, ["ClientError: the hyperparameter 'sagem"]),
        ("surrogate", "pass", {"half": "\ud800"}, ["ClientError: ", "surrogates not allowed"]),
    ],
)
def test_a_job_that_fails_says_why(aws, name, code, more, sentences):
    reason = aws.fails(name, code, **more)
    assert all(sentence in reason for sentence in sentences), reason


SHARE = """
import json, os
task = json.loads(os.environ["TF_CONFIG"])["task"]
assert json.loads(os.environ["SM_HOSTS"]) == ["algo-1", "algo-2"]
files = sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"]))
print(os.environ["SM_CURRENT_HOST"], "is", task["type"], task["index"], files)
open(os.environ["SM_MODEL_DIR"] + "/files.json", "w").write(json.dumps(files))
"""


def test_two_instances_are_two_processes_with_shares_of_their_own(aws):
    for name in "abc":
        aws.put(f"in/shards/{name}.csv", "1")

    def sharded(request):
        source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
        source |= {"S3Uri": f"s3://{BUCKET}/in/shards", "S3DataDistributionType": "ShardedByS3Key"}

    found = aws.train("two", SHARE, count=2, change=sharded)
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    said = ["algo-1 is worker 0 ['a.csv', 'c.csv']", "algo-2 is worker 1 ['b.csv']"]
    assert sorted(aws.job_log("two")) == said
    model = members(aws.get("out/two/output/model.tar.gz"))
    assert json.loads(model["files.json"]) == ["a.csv", "c.csv"], "the first instance's"


def test_jobs_are_listed_filtered_sorted_and_paged(aws):
    for number in range(3):
        aws.train(f"listed-{number}", "raise SystemExit(0)" if number else "raise SystemExit(1)")

    def names(**asked) -> list[str]:
        found = aws.sm.list_training_jobs(NameContains="listed", **asked)
        return [row["TrainingJobName"] for row in found["TrainingJobSummaries"]]

    assert names() == ["listed-0", "listed-1", "listed-2"]
    assert names(SortBy="Name", SortOrder="Descending") == ["listed-2", "listed-1", "listed-0"]
    assert names(StatusEquals="Failed") == ["listed-0"]
    made = aws.sm.describe_training_job(TrainingJobName="listed-1")["CreationTime"]
    assert names(CreationTimeAfter=made) == ["listed-2"]
    pages = aws.sm.get_paginator("list_training_jobs").paginate(NameContains="listed", MaxResults=2)
    assert [len(p["TrainingJobSummaries"]) for p in pages] == [2, 1]
    aws.sm.delete_training_job(TrainingJobName="listed-1")
    assert names() == ["listed-0", "listed-2"]
    with pytest.raises(ClientError, match="NextToken"):
        aws.sm.list_training_jobs(NextToken="made up")


VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
ALGORITHM, XGBOOST = "AlgorithmSpecification", f"{ECR}/xgboost:1"
OUT, TWO = f"s3://{BUCKET}/out", "ResourceConfig.InstanceCount"
LOSSES, OFTEN = [{"CollectionName": "losses"}], {"ProfilingIntervalInMilliseconds": 500}
BROKEN = [{"Name": "m", "Regex": "("}]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ResourceConfig.InstanceCount": 3}, "InstanceCount must be 1 or 2"),
        ({"EnableManagedSpotTraining": True}, "EnableManagedSpotTraining is not supported"),
        ({"EnableNetworkIsolation": True}, "EnableNetworkIsolation is not supported"),
        ({"InputDataConfig.0.ShuffleConfig": {"Seed": 0}}, "ShuffleConfig is not supported"),
        ({"TensorBoardOutputConfig": {"S3OutputPath": OUT}}, "TensorBoardOutputConfig is not"),
        ({"DebugHookConfig": {"S3OutputPath": OUT, "HookParameters": {"a": "b"}}}, "HookParam"),
        ({"DebugHookConfig": {"S3OutputPath": OUT, "CollectionConfigurations": LOSSES}}, "Coll"),
        ({"ProfilerConfig": {"S3OutputPath": OUT, **OFTEN}}, "ProfilingIntervalInMilliseconds is"),
        ({"OutputDataConfig.KmsKeyId": "alias/x"}, "KmsKeyId is not supported"),
        ({"HyperParameters.sagemaker_mpi_enabled": "true"}, "nothing on this machine starts MPI"),
        ({"HyperParameters.sagemaker_distributed_dataparallel_enabled": "true"}, "'true', but"),
        ({"HyperParameters.sagemaker_parameter_server_enabled": "true", TWO: 2}, "'true', but"),
        ({"InputDataConfig.1": 0}, "channel name is given twice: train, train"),
        ({"InputDataConfig.0.DataSource": {}}, "DataSource needs an S3DataSource"),
        ({"VpcConfig": VPC}, "VpcConfig is not supported"),
        ({f"{ALGORITHM}.TrainingInputMode": "Pipe"}, "TrainingInputMode must be File"),
        ({"ResourceConfig.InstanceType": "ml.c99.huge"}, "Member must satisfy enum value set"),
        ({"TrainingJobName": "not a name"}, "regular expression pattern"),
        ({"HyperParameters": {}, f"{ALGORITHM}.TrainingImage": XGBOOST}, "No program of this"),
        ({f"{ALGORITHM}.MetricDefinitions": BROKEN}, "regular expression of the metric 'm'"),
    ],
)
def test_what_is_not_here_is_refused_in_a_sentence(aws, changes, sentence):
    request = aws.train_request("refused", "pass")
    for path, value in changes.items():
        if path == "InputDataConfig.1":
            request["InputDataConfig"] *= 2
        else:
            change(path, value)(request)
    with pytest.raises(ClientError, match=sentence) as refused:
        aws.sm.create_training_job(**request)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


DEFAULTS = {
    "EnableNetworkIsolation": False,
    "EnableManagedSpotTraining": False,
    "EnableInterContainerTrafficEncryption": False,
    "RemoteDebugConfig": {"EnableRemoteDebug": False},
    "DebugHookConfig": {"S3OutputPath": OUT, "CollectionConfigurations": []},
    "ProfilerConfig": {"S3OutputPath": OUT, "DisableProfiler": False},
    "Tags": [],
}


def test_what_sdks_send_by_themselves_is_no_wish(aws):
    """SDK version 2 sends a debugger's and a profiler's folder with every job."""
    one = {"sagemaker_parameter_server_enabled": True, "sagemaker_mpi_enabled": False}
    found = aws.train("defaults", "pass", change=lambda r: r.update(DEFAULTS), **one)
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    assert found["ProfilingStatus"] == "Disabled"


def test_a_metric_that_is_no_number_is_left_out(aws):
    metrics = [{"Name": name, "Regex": rf"{name}=(\S+)"} for name in ("good", "bad", "worse")]
    wanted = change("AlgorithmSpecification.MetricDefinitions", metrics)
    found = aws.train("nan", "print('good=1.5 bad=nan worse=-inf')", change=wanted)
    assert [(m["MetricName"], m["Value"]) for m in found["FinalMetricDataList"]] == [("good", 1.5)]


def test_other_operations_say_what_there_is(aws):
    asked = {"PipelineName": "p", "ClientRequestToken": "x" * 32, "RoleArn": ROLE}
    with pytest.raises(ClientError, match="CreatePipeline is not part of the SageMaker that runs"):
        aws.sm.create_pipeline(**asked, PipelineDefinition="{}")


def test_names_are_taken_once_and_missing_ones_are_missing(aws, done):
    with pytest.raises(aws.sm.exceptions.ResourceInUse):
        aws.sm.create_training_job(**aws.train_request("contract", "pass"))
    for call in ("describe_training_job", "stop_training_job", "delete_training_job"):
        with pytest.raises(aws.sm.exceptions.ResourceNotFound):
            getattr(aws.sm, call)(TrainingJobName="never")


@pytest.mark.parametrize("member", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", None])
def test_source_code_and_keys_can_not_leave_their_folder(aws, member):
    aws.put("in/sly/../../../../../tmp/sly.txt", "x")
    wanted = change(DATA, f"s3://{BUCKET}/in/sly/")
    if member:
        bad = json.dumps(aws.archive("code/bad.tar.gz", {"train.py": "", member: ""}))
        wanted = change("HyperParameters.sagemaker_submit_directory", bad)
    assert "outside of its folder" in aws.fails(f"sly-{len(member or '')}", change=wanted)
