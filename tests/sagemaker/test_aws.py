"""Real AWS, played by the service of this machine: names, clean-up, prices, and who owns what."""

import re
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from helpers import cloud, gates
from helpers.cloud import aws as real
from helpers.cloud import belongings, exchange, sdk
from tests.sagemaker.conftest import BUCKET, ROLE, TENSORFLOW, job_request
from tests.sagemaker.jobs import python


@pytest.fixture
def way(monkeypatch, aws):
    """The way to AWS, with this machine's service at its end."""
    cloud.disconnect()  # one that an earlier test left would take these settings along
    aws.client("sagemaker")  # made before: it asks for other learners, too
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.server.token)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("COURSE_CLOUD", "aws")
    monkeypatch.setenv("COURSE_AWS_ROLE", ROLE)
    monkeypatch.setattr(gates.aws, "_missing", None)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def learner(way, monkeypatch):
    """Connect to AWS as a user; every connection is closed at the end."""
    settled = SimpleNamespace(default_bucket=lambda: BUCKET)
    monkeypatch.setattr(sdk, "load", lambda local: SimpleNamespace(Session=lambda **_: settled))

    def connect(user: str) -> cloud.Connection:
        cloud.disconnect()
        monkeypatch.setenv("COURSE_AWS_USER", user)
        return cloud.connect(sdk=False)

    yield connect
    cloud.disconnect()


@pytest.fixture
def alice(learner):
    return learner("alice")


def make(made: cloud.Connection, aws, name: str, model: str) -> None:
    """Make a model, a configuration and an endpoint, and put an object."""
    own = made.client("sagemaker")
    container = {"Image": "sagemaker-scikit-learn:1.2-1-cpu-py3", "ModelDataUrl": model}
    own.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "all", "ModelName": name, "InitialInstanceCount": 1}
    variants = [variant | {"InstanceType": "ml.m5.large"}]
    own.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    own.create_endpoint(EndpointName=name, EndpointConfigName=name)
    key = f"{made.folder('course-05')}/data/train.npy"
    made.client("s3").put_object(Bucket=made.bucket, Key=key, Body=b"x" * 1_000_001)
    aws.deployed(name)


def names(aws) -> list[str]:
    """All models, configurations and endpoints of chapter 05."""
    sm = aws.sm
    found = [m["ModelName"] for m in sm.list_models(NameContains="course-05")["Models"]]
    configs = sm.list_endpoint_configs(NameContains="course-05")["EndpointConfigs"]
    found += [c["EndpointConfigName"] for c in configs]
    endpoints = sm.list_endpoints(NameContains="course-05")["Endpoints"]
    return found + [e["EndpointName"] for e in endpoints]


def test_learners_who_share_an_account_keep_apart(learner, aws, model, capsys):
    """Alice can make what Ben has made, sees her own only, and deletes nothing of his."""
    ben = learner("ben")
    make(ben, aws, ben.name("course-05-neumf"), model)
    request = aws.train_request(ben.name("course-05"), "import time; time.sleep(99)")
    ben.client("sagemaker").create_training_job(**request)
    alice = learner("alice")
    mine = alice.name("course-05-neumf")
    with cloud.cleanup(alice, prefix="course-05"):
        make(alice, aws, mine, model)
        left = cloud.leftovers(alice, prefix="course-05")
        capsys.readouterr()
    assert capsys.readouterr().out == "Cleaned up: 1 endpoint, 1 endpoint configuration, 1 model.\n"
    assert left.to_dict("list") == {
        "what": ["endpoint", "endpoint configuration", "model", "objects in S3"],
        "name": [mine] * 3 + [f"s3://{BUCKET}/course-05"],
        "status": ["InService", "-", "-", "1 objects, 2 MB"],
    }
    assert names(aws) == [ben.name("course-05-neumf")] * 3
    running = aws.sm.describe_training_job(TrainingJobName=ben.name("course-05"))
    assert running["TrainingJobStatus"] == "InProgress"
    ben = learner("ben")
    with cloud.cleanup(ben, prefix="course-05"):
        pass
    assert names(aws) == []
    assert aws.trained(ben.name("course-05"))["TrainingJobStatus"] == "Stopped"
    said = capsys.readouterr().out.splitlines()[-2:]
    earlier = "1 endpoint, 1 endpoint configuration, 1 model"
    assert said == [f"Deleted first, of an earlier run: {earlier}.", "Cleaned up: 1 training job."]


@pytest.mark.parametrize(
    ("name", "user", "mine"),
    [
        ("course-05-neumf-alice", "alice", True),
        ("course-05-alice-20261129170042", "alice", True),
        ("course-05-alice-2026-11-29-17-00-42-123", "alice", True),
        ("course-alice", "alice", True),
        ("course-05-neumf-alice2", "alice", False),
        ("course-05-neumf-malice", "alice", False),
        ("course-06-fm-ben", "fm", False),
        ("course-05-neumf", "alice", False),
        ("mine-alice", "alice", False),
        ("course-05/alice/data/train.npy", "alice", True),
        ("course-05/ben/alice.npy", "alice", False),
    ],
)
def test_whose_a_name_is(monkeypatch, name, user, mine):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    facts = {"region": "us-west-2", "account": "1", "role": ROLE}
    assert cloud.Connection(local=False, user=user, **facts).owns(name) is mine
    assert cloud.Connection(local=True, **facts).owns(name)


def test_names_say_the_user_on_aws_only(alice):
    assert alice.name("course-05-neumf") == "course-05-neumf-alice"
    assert alice.folder("course-05") == "course-05/alice"
    here = cloud.Connection(local=True, region="us-west-2", account="1", role=ROLE)
    assert here.name("course-05-neumf") == "course-05-neumf"
    assert here.folder("course-05") == "course-05"


@pytest.mark.parametrize("caller", ["Ann.Lee@x.org", "7", "ann-lee", "a" * 40, "Ünal", "陈"])
def test_a_user_is_letters_and_digits_and_nobody_elses(monkeypatch, caller):
    monkeypatch.delenv("COURSE_AWS_USER", raising=False)
    user = real._user(caller)
    assert user.isalnum() and user.isascii() and user.islower() and len(user) <= 16
    assert user != real._user(caller + "x") and user[0].isalpha()
    assert real._user("alice") == "alice"


@pytest.mark.parametrize(("readable", "user"), [(True, "ben"), (False, "machine")])
def test_a_studio_space_says_role_region_and_user(monkeypatch, tmp_path, readable, user):
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE", "COURSE_AWS_ROLE", "COURSE_AWS_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr(real.getpass, "getuser", lambda: "machine")
    monkeypatch.setattr(real, "_STUDIO", tmp_path / "ben")
    (tmp_path / user).write_text('{"UserProfileName": "ben"}')
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws():
        own = boto3.Session(region_name="eu-west-1")
        iam, sts = own.client("iam"), own.client("sts")
        settings = {"Path": "/service-role/", "AssumeRolePolicyDocument": "{}"}
        role = iam.create_role(RoleName="Studio", **settings)["Role"]["Arn"]
        given = sts.assume_role(RoleArn=role, RoleSessionName="SageMaker")["Credentials"]
        for key in ("AccessKeyId", "SecretAccessKey", "SessionToken"):
            name = re.sub("(?<=[a-z])(?=[A-Z])", "_", f"Aws{key}").upper()
            monkeypatch.setenv(name, given[key])
        if not readable:  # the role may not read itself: then its path is not known
            iam.delete_role(RoleName="Studio")
            role = role.replace("service-role/", "")
        facts = {"region": "eu-west-1", "account": "123456789012", "role": role, "user": user}
        assert real.account() == facts


def test_a_model_of_an_older_run_is_not_deployed_in_place_of_the_new_one(alice, aws, model, capsys):
    """SDK 3 goes on with a model of that name that it finds; so its call raises."""
    from sagemaker.core.helper.session_helper import Session

    name = alice.name("course-05-old")
    container = {"Image": "sagemaker-scikit-learn:1.2-1-cpu-py3", "ModelDataUrl": model}
    own = alice.client("sagemaker")
    own.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    session = Session(boto_session=alice._boto)
    bucket, _, key = model.removeprefix("s3://").partition("/")
    source = {"Bucket": bucket, "Key": key}
    alice.client("s3").copy_object(Bucket=bucket, Key=f"{key}.new", CopySource=source)
    with pytest.raises(cloud.CloudError, match=f"model/{name}.*of an earlier run"):
        session.create_model(name, ROLE, container | {"ModelDataUrl": f"{model}.new"})
    with cloud.cleanup(alice, prefix="course-05"):
        assert session.create_model(name, ROLE, container) == name
    said = capsys.readouterr().out
    assert said == "Deleted first, of an earlier run: 1 model.\nCleaned up: 1 model.\n"


def test_cleanup_deletes_when_a_cell_raises_and_lets_its_error_go_on(alice, aws, model, capsys):
    """What can't be listed or deleted is named, and keeps nothing else."""
    name = alice.name("course-05-a")

    def refuse(model, **_):
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, model.name)

    events = alice.client("sagemaker").meta.events
    with pytest.raises(ZeroDivisionError), cloud.cleanup(alice, prefix="course-05"):
        make(alice, aws, name, model)
        events.register("before-call.sagemaker.DeleteEndpointConfig", refuse)
        events.register("before-call.sagemaker.ListTransformJobs", refuse)
        capsys.readouterr()
        1 / 0  # noqa: B018
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Cleaned up: 1 endpoint, 1 model."
    assert said[1].startswith("Could not list transform jobs: An error occurred (Throttling")
    assert said[2].startswith(f"The endpoint configuration {name} is still there: An error")
    with pytest.raises(cloud.CloudError, match="is still there"), cloud.cleanup(alice, "course-05"):
        pytest.fail("nothing may be deployed beside what is left")
    for operation in ("DeleteEndpointConfig", "ListTransformJobs"):
        events.unregister(f"before-call.sagemaker.{operation}", refuse)
    with cloud.cleanup(alice, prefix="course-05"):
        pass
    assert names(aws) == []


def test_an_endpoint_still_being_created_is_waited_for():
    states = iter(["Creating", "Updating", "InService"])
    client = SimpleNamespace(
        describe_endpoint=lambda EndpointName: {"EndpointStatus": next(states)},
        meta=SimpleNamespace(endpoint_url="https://api.sagemaker.us-west-2.amazonaws.com"),
    )
    slept: list[float] = []
    belongings._wait(client, "course-05-a", slept.append)
    assert slept == [10, 10]


@pytest.mark.parametrize("prefix", ["", "c", "co"])
def test_a_short_prefix_is_refused_on_aws(alice, prefix):
    with pytest.raises(cloud.CloudError, match="too short"), cloud.cleanup(alice, prefix=prefix):
        pytest.fail("the block runs")


def test_a_finished_job_is_looked_for_among_the_latest_of_this_learner(alice, aws, monkeypatch):
    """An account with thousands of jobs is neither listed nor described whole."""
    uri, fingerprint = exchange.upload_matrix(alice, "course-07/alice/in/data.pbr", [[1.0]])
    for number, user in enumerate(("alice", "ben", "alice")):
        request = aws.train_request(f"course-07-fm-{user}-{number}", "print(1)", epochs=3)
        request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = uri
        aws.sm.create_training_job(**request)
        aws.trained(request["TrainingJobName"])
    aws.train("other-job", "print(1)")
    asked, described = [], []
    events = alice.client("sagemaker").meta.events
    for name, calls in (("ListTrainingJobs", asked), ("DescribeTrainingJob", described)):
        provided = f"provide-client-params.sagemaker.{name}"
        events.register(provided, lambda params, calls=calls, **_: calls.append(params))
    given = {k: v.strip('"') for k, v in request["HyperParameters"].items()}
    first = {k: v.replace("-2.tar", "-0.tar") for k, v in given.items()}
    found = exchange.finished_job(alice, given | {"epochs": 3}, fingerprint)
    assert found == f"s3://{BUCKET}/out/course-07-fm-alice-2/output/model.tar.gz"
    found = exchange.finished_job(alice, first, fingerprint)
    assert found == f"s3://{BUCKET}/out/course-07-fm-alice-0/output/model.tar.gz"
    assert exchange.finished_job(alice, first, "other bytes") is None
    fewer = {name: value for name, value in given.items() if name != "epochs"}
    for other in (given | {"epochs": 4}, fewer, given | {"more": 1}):
        assert exchange.finished_job(alice, other, fingerprint) is None
    assert {one["NameContains"] for one in asked} == {"course-"}
    assert {one["TrainingJobName"].split("-")[3] for one in described} == {"alice"}
    described.clear()
    monkeypatch.setattr(exchange, "_DESCRIBED", 1)
    assert exchange.finished_job(alice, first, fingerprint) is None and len(described) == 1
    aws.s3.delete_object(Bucket=BUCKET, Key="course-07/alice/in/data.pbr")
    assert exchange.finished_job(alice, given, fingerprint) is None


def job(name):
    made = job_request(name, TENSORFLOW, "s3://b/in", {})
    made["ResourceConfig"]["InstanceCount"] = 2
    made["StoppingCondition"]["MaxRuntimeInSeconds"] = 1800
    return made


def test_the_price_is_printed_before_a_job_starts(alice, aws, capsys):
    capsys.readouterr()
    request = aws.train_request("any", "pass", count=2)
    request["StoppingCondition"]["MaxRuntimeInSeconds"] = 1800
    for client in (alice.client("sagemaker"), boto3.client("sagemaker")):
        with pytest.raises(cloud.CloudError, match=r"is named course-…-alice.*'course-05-x'"):
            client.create_training_job(**request | {"TrainingJobName": "course-05-x"})
        assert capsys.readouterr().out == ""
        name = alice.name("course-05-x" if client is alice.client("sagemaker") else "course-05-y")
        client.create_training_job(**request | {"TrainingJobName": name})
        said = capsys.readouterr().out
        assert said.startswith("At most: About $0.20: 2 × ml.c5.xlarge for 0.5 h at $0.204 an hour")
        assert "from memory" in said and "check the price list, https://aws" in said
        aws.trained(name)


def test_a_closed_connection_and_its_clients_reach_nothing(alice):
    held = alice.client("sagemaker")
    cloud.disconnect()
    for call in (held.list_models, lambda: alice.client("s3"), lambda: alice.bucket):
        with pytest.raises(cloud.CloudError, match="is closed: run cloud.connect"):
            call()


def test_every_costly_operation_has_a_price():
    variants = [{"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}]
    assert "$0.115" in real.costs("CreateEndpointConfig", {"ProductionVariants": variants})[0]
    group = {"TransformResources": {"InstanceType": "ml.made.up", "InstanceCount": 1}}
    assert "not in the course's table" in real.costs("CreateTransformJob", group)[0]
    five = {"ResourceLimits": {"MaxNumberOfTrainingJobs": 5}}
    tuning = {"HyperParameterTuningJobConfig": five, "TrainingJobDefinition": job("x")}
    assert "10 × ml.c5.xlarge" in real.costs("CreateHyperParameterTuningJob", tuning)[0]
    assert real.costs("CreateModel", {}) == []


def test_an_estimate_is_a_sentence_and_a_number():
    found = cloud.estimate("ml.m5.xlarge", 2, count=3)
    assert found.dollars == pytest.approx(1.38)
    assert str(found).startswith("About $1.38: 3 × ml.m5.xlarge for 2 h at $0.23 an hour")
    both = found + cloud.estimate("ml.c5.xlarge", 0.5)
    assert both.dollars == pytest.approx(1.482)
    assert "and\n  ml.c5.xlarge for 0.5 h at $0.204 an hour.\n  Approximate, from" in str(both)
    with pytest.raises(cloud.CloudError, match="price of 'ml.huge' is not in"):
        cloud.estimate("ml.huge", 1)
    for hours, count in ((-1, 1), (float("nan"), 1), (1, 0)):
        with pytest.raises(cloud.CloudError, match="can't be priced"):
            cloud.estimate("ml.m5.xlarge", hours, count)


def test_aws_is_used_only_where_it_is_asked_for(monkeypatch):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(cloud.CloudError, match="needs a region"):
        real.account()


def test_credentials_that_do_not_work_are_said_not_to(monkeypatch, way):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOTONE")
    with pytest.raises(cloud.CloudError, match="the AWS account can't be used"):
        cloud.connect(sdk=False)


def test_a_connection_says_account_and_region(learner, capsys):
    made = learner("alice")
    assert not made.local
    where = (made.account, made.region, made.role)
    assert where == ("123456789012", "us-west-2", ROLE)
    place = "account 123456789012, region us-west-2"
    said = capsys.readouterr().out
    assert said == f"Connected to AWS ({place}): what you start costs money.\n"


SENDS = """
import socket
def refuse(*a, **k): raise AssertionError(f"looked up {a}")
socket.getaddrinfo = refuse
from helpers.cloud import sdk
sdk.load(local=False)
from sagemaker.core.telemetry import telemetry_logging as telemetry
from sagemaker.core.config.config import load_sagemaker_config as config
print(config()["SageMaker"]["PythonSDK"]["Modules"]["TelemetryOptOut"])
print(telemetry._send_telemetry_request(1, 2))
"""


def test_the_sdk_sends_nothing_home():
    """In a process of its own, with every connection but to this machine refused."""
    done = python("-c", SENDS, without=("AWS_", "SAGEMAKER_"))
    assert done.stdout == "True\nNone\n", done.stderr[-2000:]
