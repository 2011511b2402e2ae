"""The control plane's form: every operation in both directions, its lists, its tags, its records."""

import json
import random
import re
import time
from pathlib import Path

import pytest
import urllib3
from botocore import serialize
from botocore.exceptions import ClientError
from botocore.utils import parse_timestamp

from local_sagemaker.service import contract, listing, models, operations, store
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import ENDPOINT, MODEL, TRAINING, TRANSFORM, TUNING, Store
from tests.sagemaker.conftest import ECR, ROLE

TREE = Path(operations.__file__).parents[1]


def raw(aws, operation: str, request: object) -> tuple[int, dict]:
    """Send what botocore would not, and return status and answer."""
    headers = {"X-Amz-Target": f"SageMaker.{operation}"}
    headers |= {"Authorization": f"AWS {aws.server.token}:-"}
    answer = urllib3.request("POST", aws.server.url, body=json.dumps(request), headers=headers)
    return answer.status, answer.json()


def test_the_readme_says_what_is_answered_and_refused():
    assert operations.table() in (TREE / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_every_operation_is_sagemakers_and_is_found_by_its_name(name):
    shape = contract.service().operation_model(name).input_shape
    for path in contract.DONE.get(name, ()):
        inner = shape
        for part in path.split("."):
            inner = getattr(inner, "member", inner).members[part]
    lines = (TREE / "service" / "operations.py").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f'    "{name}":')]
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    assert snake == getattr(operations.OPERATIONS[name], "__name__", snake)
    assert "partial(" in line or snake in line or line.endswith("(")


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_every_operation_checks_its_request_against_sagemakers_model(aws, name):
    shape = contract.service().operation_model(name).input_shape
    for member in shape.members:
        status, said = raw(aws, name, {member: {"no": ["such", "thing"]}, "Tags": 5})
        assert (status, said["__type"]) == (400, "ValidationException"), said
    status, said = raw(aws, name, dict.fromkeys(shape.members))
    assert status in (200, 400), said  # a member that is null is not there
    if shape.required_members:
        status, said = raw(aws, name, {})
        assert status == 400 and "Member must not be null" in said["message"]


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_every_operation_checks_its_answer_against_sagemakers_model(name):
    shape = contract.service().operation_model(name).output_shape
    if shape is None:
        assert contract.answer(name, {"Private": 1}) == {}
        return
    assert "Private" not in contract._cut(shape, {"Private": 1})
    for member, inner in shape.members.items():
        if inner.type_name not in ("structure", "list", "map"):  # whose parts are these
            wrong = object()
            with pytest.raises(RuntimeError, match=f"The answer of {name} is not SageMaker's"):
                contract.answer(name, {member: wrong})


def test_an_answer_that_breaks_sagemakers_model_does_not_leave():
    with pytest.raises(RuntimeError, match="ListModels is not SageMaker's.*models.1.member"):
        contract.answer("ListModels", {"Models": [{"ModelName": "m"}]})
    record = {"ModelName": "m", "ModelArn": "arn:aws:sagemaker:us-west-2:123456789012:model/m"}
    cut = contract.answer("DescribeModel", record | {"CreationTime": 1.5, "Private": "left out"})
    assert cut == record | {"CreationTime": 1.5}


@pytest.mark.parametrize(
    ("operation", "request_", "sentence"),
    [
        ("ListTrainingJobs", {"NextToken": "page-²"}, "NextToken"),
        ("ListTrainingJobs", {"NextToken": "[1, 2]"}, "NextToken"),
        ("ListTrainingJobs", {"NextToken": "{}"}, "NextToken"),
        ("ListTrainingJobs", {"CreationTimeAfter": "yesterday"}, "Member must be of type timest"),
        ("ListModels", {"CreationTimeBefore": float("nan")}, "Member must be a finite number"),
        ("ListModels", {"CreationTimeBefore": 10**400}, "Member must be a finite number"),
        ("ListEndpoints", {"MaxResults": True}, "Member must be of type integer"),
        ("ListTrainingJobs", {"WarmPoolStatusEquals": "InUse"}, "WarmPoolStatusEquals is not supp"),
        ("CreateModel", {}, "Value null at 'modelName'"),
        ("CreateModel", {"ModelName": 3}, "must be of type string"),
        ("ListModels", {"MaxResults": 0}, "greater than or equal to 1"),
        ("ListModels", {"SortBy": "Color"}, "enum value set"),
        ("CreateModel", {"ModelName": "m", "Tags": [{"Key": "a\0", "Value": "b"}]}, "NUL"),
        ("CreateTrainingJob", {"HyperParameters": {"a": json.dumps("b\0")}}, "NUL"),
        ("Conquer", {}, "has no operation"),
    ],
)
def test_what_a_client_would_not_send_is_the_callers_error(aws, operation, request_, sentence):
    status, said = raw(aws, operation, request_)
    unknown = (404, "UnknownOperationException")
    kind = unknown if operation == "Conquer" else (400, "ValidationException")
    assert (status, said["__type"]) == kind and sentence in said["message"]


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
def test_what_is_deleted_while_it_is_listed_hides_nothing(aws, model, order):
    names = [f"paged-{number}" for number in range(7)]
    for name in names:
        aws.model(name, model)
    asked = {"NameContains": "paged-", "SortBy": "Name", "SortOrder": order, "MaxResults": 3}
    found = []
    for page in aws.sm.get_paginator("list_models").paginate(**asked):
        for row in page["Models"]:
            found.append(row["ModelName"])
            aws.sm.delete_model(ModelName=row["ModelName"])
    assert found == sorted(names, reverse=order == "Descending")


def test_tags_are_added_listed_removed_and_given_once(aws, model):
    twice = [{"Key": "k", "Value": v} for v in "ab"]
    container = {"Image": f"{ECR}/knn:1", "ModelDataUrl": model}
    with pytest.raises(ClientError, match="A tag key is given twice"):
        aws.sm.create_model(ModelName="tagged", PrimaryContainer=container, Tags=twice)
    aws.model("tagged", model)
    arn = aws.sm.describe_model(ModelName="tagged")["ModelArn"]
    with pytest.raises(ClientError, match="A tag key is given twice"):
        aws.sm.add_tags(ResourceArn=arn, Tags=twice)
    aws.sm.add_tags(ResourceArn=arn, Tags=[{"Key": k, "Value": "ü"} for k in "abc"])
    aws.sm.delete_tags(ResourceArn=arn, TagKeys=["b"])
    assert [t["Key"] for t in aws.sm.list_tags(ResourceArn=arn)["Tags"]] == ["a", "c"]
    with pytest.raises(ClientError, match="would have 51 tags"):
        tags = [{"Key": f"t{n}", "Value": ""} for n in range(49)]
        aws.sm.add_tags(ResourceArn=arn, Tags=tags)
    with pytest.raises(ClientError, match="Could not find resource with ARN"):
        aws.sm.list_tags(ResourceArn=f"{arn}-never")


def test_a_model_package_has_the_arn_that_was_told_and_no_other(aws):
    group = aws.sm.create_model_package_group(ModelPackageGroupName="Ab")["ModelPackageGroupArn"]
    arn = aws.sm.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    aws.sm.update_model_package(ModelPackageArn=arn)  # nothing
    found = aws.sm.describe_model_package(ModelPackageName="Ab/1")
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    with pytest.raises(ClientError, match="Could not find model package"):
        aws.sm.describe_model_package(ModelPackageName=arn.replace("west", "east"))


def test_only_aws_own_images_are_built_in():
    china = "835164637446.dkr.ecr.cn-north-1.amazonaws.com.cn/knn@sha256:0a"
    for image in (f"{ECR}/knn:1", china):
        found = models.algorithm(image)
        assert found and found.name == "knn"
    own = "123456789012.dkr.ecr.us-west-2.amazonaws.com/knn:1"
    for image in (f"{ECR}/my-org/knn:1", own, "my-org/knn", "docker.io/library/knn", "knn"):
        assert models.algorithm(image) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path, held: path.write_text("[" * 100_000),
        lambda path, held: path.write_text("[]"),
        lambda path, held: held["record"].pop("CreationTime"),
        lambda path, held: held["record"].update(TrainingJobName=5),
        lambda path, held: held["record"].update(TrainingJobName="other"),
        lambda path, held: held["record"].update(TrainingJobArn=["arn"]),
        lambda path, held: held["record"].update(TrainingJobStatus="Weird"),
        lambda path, held: held["record"].update(CreationTime="12"),
        lambda path, held: held["record"].update(CreationTime=float("nan")),
        lambda path, held: held["record"].update(TrainingEndTime="x"),
        lambda path, held: held["record"]["Tags"].update(key=1),
    ],
)
def test_a_record_that_would_spoil_a_listing_is_set_aside(tmp_path, spoil):
    """Also where it is JSON: the lab starts, and all other jobs are listed."""
    store, paths = Store(tmp_path), {}
    for name in ("kept", "spoiled"):
        job = {"TrainingJobName": name, "Tags": [{"Key": "k", "Value": "v"}]}
        store.add(TRAINING, job, TrainingJobStatus="Completed")
        (path,) = set(tmp_path.rglob("*.json")) - set(paths.values())
        paths[name], held = path, json.loads(path.read_text())
    spoil(path, held)
    if path.read_text()[0] == "{":
        path.write_text(json.dumps(held))
    account = Account("http://127.0.0.1:1", "t", tmp_path / "work", None)
    account.store = Store(tmp_path)
    (said,) = account.store.set_aside
    assert said.startswith(f"{path} is damaged (") and "set aside" in said
    assert account.store.get(TRAINING, "kept")["Tags"] == {"k": "v"}
    for order in ("Name", "CreationTime", "Status"):
        found = operations.handle(account, "ListTrainingJobs", {"SortBy": order})
        assert [row["TrainingJobName"] for row in found["TrainingJobSummaries"]] == ["kept"]


def test_a_file_in_place_of_all_records_is_set_aside(tmp_path):
    (tmp_path / "all").write_text("no folder")
    store = Store(tmp_path / "all")
    assert "all is damaged (it is no folder)" in store.set_aside[0]
    store.add(MODEL, {"ModelName": "new"})


def test_what_was_under_way_when_the_service_was_killed_has_ended(tmp_path):
    before = Account("http://127.0.0.1:1", "t", tmp_path / "work", tmp_path).store
    for kind in (TRAINING, TRANSFORM, TUNING):
        before.add(kind, {kind.name: "cut"}, **{kind.status: "InProgress"})
    for name, status in (("new", "Creating"), ("old", "Updating")):
        before.add(ENDPOINT, {"EndpointName": name}, EndpointStatus=status, Serves={"Model": {}})
    after = Account("http://127.0.0.1:1", "t", tmp_path / "work", tmp_path).store
    for kind in (TRAINING, TRANSFORM, TUNING):
        record = after.get(kind, "cut")
        assert record[kind.status] == "Failed" and record[kind.end] >= record["CreationTime"]
        assert "ended while the job ran" in record["FailureReason"]
    assert after.get(ENDPOINT, "new")["EndpointStatus"] == "Failed"
    assert after.get(ENDPOINT, "old")["EndpointStatus"] == "InService", "the old model still serves"


def test_a_role_and_data_that_are_not_there_are_refused_at_once(aws, model):
    container = {"Image": ECR + "/sagemaker-scikit-learn:1", "ModelDataUrl": model}
    given = {"ModelName": "r", "PrimaryContainer": container}
    for role in (ROLE + "2", ROLE.replace("1234", "9999")):
        with pytest.raises(ClientError, match="Could not assume role .*ensure that the role exis"):
            aws.sm.create_model(ExecutionRoleArn=role, **given)
        with pytest.raises(ClientError, match="Could not assume role"):
            aws.sm.create_training_job(**aws.train_request("r", "pass") | {"RoleArn": role})
    iam = aws.client("iam")
    own = iam.create_role(RoleName="own", Path="/service-role/", AssumeRolePolicyDocument="{}")
    aws.sm.create_model(ExecutionRoleArn=own["Role"]["Arn"], **given)
    aws.sm.delete_model(ModelName="r")
    prefix = {"S3Uri": model + "/never", "S3DataType": "S3Prefix", "CompressionType": "None"}
    absent = [{"ModelDataUrl": uri} for uri in (model[:-1], "s3://never-made/model.tar.gz")]
    for data in [*absent, {"ModelDataSource": {"S3DataSource": prefix}}]:
        with pytest.raises(ClientError, match="model data at s3://|bucket of 's3://never"):
            aws.sm.create_model(ModelName="r", PrimaryContainer={"Image": "i", **data})


DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("on", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
"""


def test_a_stop_is_answered_while_the_job_goes_on_saving(aws, tmp_path):
    aws.sm.create_training_job(**aws.train_request("deaf", DEAF, go=str(tmp_path / "go")))
    aws.log_with("on", "/aws/sagemaker/TrainingJobs", "deaf/")
    aws.sm.stop_training_job(TrainingJobName="deaf")
    found = aws.sm.describe_training_job(TrainingJobName="deaf")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopping", "Stopping")
    (tmp_path / "go").touch()
    assert aws.trained("deaf")["TrainingJobStatus"] == "Stopped"


def test_who_lists_reads_what_was_there_when_he_asked():
    store = Store()
    store.add(MODEL, {"ModelName": "m"})
    seen = store.all(MODEL)[0]
    time.sleep(0.002)
    store.update(MODEL, "m", Changed=[1])
    assert "Changed" not in seen
    assert store.get(MODEL, "m")["LastModifiedTime"] > seen["LastModifiedTime"]


@pytest.mark.parametrize("precision", ["default", "millisecond"])
def test_after_and_before_a_things_own_time_leave_it_out(monkeypatch, precision):
    """What a client sends back is what it was told, also of awkward nanoseconds."""
    sent = serialize.JSONSerializer(timestamp_precision=precision)._timestamp_unixtimestamp
    records, draw = Store(), random.Random(0)

    def found(**request):
        return listing.page(records.all(MODEL), MODEL, request)[0]

    awkward = [0, 1, 499, 500, 501, 999_499, 999_500, 999_999, 1_000_000, 999_999_999]
    for number in awkward + [draw.randrange(10**17) for _ in range(500)]:
        moment = 1_763_802_831_000_000_000 + number
        monkeypatch.setattr(store.time, "time_ns", lambda moment=moment: moment)
        told = records.add(MODEL, {"ModelName": "m"})["CreationTime"]
        asked = sent(parse_timestamp(told))
        for member in ("CreationTimeAfter", "CreationTimeBefore", "LastModifiedTimeAfter"):
            assert found(**{member: asked}) == [], (member, moment)
        assert found(CreationTimeAfter=asked - 0.001, CreationTimeBefore=asked + 0.001), moment
        records.remove(MODEL, "m")
