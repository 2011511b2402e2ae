"""Real AWS, without one: botocore's stubs check every request against its model."""

from __future__ import annotations

from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import ANY, Stubber

from helpers import cloud, gates
from helpers.cloud import aws as real
from helpers.cloud import belongings, connection, sdk
from tests.sagemaker.conftest import ROLE, TENSORFLOW, job_request
from tests.sagemaker.jobs import python

EMPTY = {
    "list_hyper_parameter_tuning_jobs": "HyperParameterTuningJobSummaries",
    "list_training_jobs": "TrainingJobSummaries",
    "list_transform_jobs": "TransformJobSummaries",
    "list_endpoints": "Endpoints",
    "list_endpoint_configs": "EndpointConfigs",
    "list_models": "Models",
}


@pytest.fixture
def account():
    """A connection to an account that is not there."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    client = boto3.client("sagemaker", region_name="us-west-2", endpoint_url=None, **keys)
    made = connection.Connection(
        local=False, region="us-west-2", account="111122223333", role=ROLE, session=None
    )
    made._clients["sagemaker"] = client
    with Stubber(client) as stub:
        yield made, stub


def expect(stub, found=None, then=None, refused=()):
    """Expect the six listings in order, what each finds, and the calls that come `then`."""
    for call, rows in EMPTY.items():
        if call in refused:
            stub.add_client_error(call, "AccessDeniedException", "no")
            continue
        asked = {"MaxResults": 100, "NameContains": "course-05"}
        if "jobs" in call:
            asked["StatusEquals"] = "InProgress"
        stub.add_response(call, {rows: (found or {}).get(call, [])}, asked)
        (then or {}).get(call, lambda: None)()


def endpoint(name, status="InService"):
    arn = f"arn:aws:sagemaker:us-west-2:111122223333:endpoint/{name}"
    times = {"CreationTime": 1, "LastModifiedTime": 1}
    return {"EndpointName": name, "EndpointArn": arn, "EndpointStatus": status} | times


MINE = {"EndpointName": "course-05-a"}


def test_cleanup_deletes_when_a_cell_raises_and_the_cells_error_comes_through(account, capsys):
    made, stub = account
    arn = "arn:aws:sagemaker:us-west-2:1:model/x"
    model = {"ModelName": "course-05-m", "ModelArn": arn, "CreationTime": 1}
    found = {
        "list_endpoints": [endpoint("course-05-a"), endpoint("not-course-05")],
        "list_models": [model],
    }
    mine = {"ModelName": "course-05-m"}
    then = {
        "list_endpoints": lambda: stub.add_response("delete_endpoint", {}, MINE),
        "list_models": lambda: stub.add_response("delete_model", {}, mine),
    }
    expect(stub, found, then, refused=["list_endpoint_configs"])
    with pytest.raises(ZeroDivisionError), cloud.cleanup(made, prefix="course-05"):
        1 / 0  # noqa: B018
    stub.assert_no_pending_responses()
    said = capsys.readouterr().out
    assert "Cleaned up: 1 endpoint, 1 model." in said
    assert "Could not list endpoint configurations" in said


def test_what_could_not_be_deleted_is_an_error_where_the_cell_had_none(account, capsys):
    made, stub = account

    def fail():
        stub.add_client_error("delete_endpoint", "ThrottlingException", "slow down")

    expect(stub, {"list_endpoints": [endpoint("course-05-a")]}, {"list_endpoints": fail})
    still = "The endpoint course-05-a is still there: .*slow down"
    with pytest.raises(cloud.CloudError, match=still), cloud.cleanup(made, prefix="course-05"):
        pass
    assert "Cleaned up: nothing was left." in capsys.readouterr().out


def test_an_endpoint_still_being_created_is_waited_for(account, monkeypatch):
    made, stub = account

    def looks():
        for status in ("Creating", "InService"):
            stub.add_response("describe_endpoint", endpoint("course-05-a", status), MINE)
        stub.add_response("delete_endpoint", {}, MINE)

    creating = [endpoint("course-05-a", "Creating")]
    expect(stub, {"list_endpoints": creating}, {"list_endpoints": looks})
    slept: list[float] = []
    wait = belongings._wait
    monkeypatch.setattr(belongings, "_wait", lambda client, name: wait(client, name, slept.append))
    with cloud.cleanup(made, prefix="course-05"):
        pass
    stub.assert_no_pending_responses()
    assert slept == [10]


def test_leftovers_lists_what_is_still_there(account):
    made, stub = account
    rows = [endpoint("course-05-a", "Failed"), endpoint("other-course-05")]
    expect(stub, {"list_endpoints": rows})
    (found,) = cloud.leftovers(made, "course-05").to_dict("records")
    assert found == {"what": "endpoint", "name": "course-05-a", "status": "Failed"}


@pytest.mark.parametrize("prefix", ["", "c", "co"])
def test_a_short_prefix_is_refused_on_aws(account, prefix):
    made, stub = account
    with pytest.raises(cloud.CloudError, match="too short"), cloud.cleanup(made, prefix=prefix):
        pass
    stub.assert_no_pending_responses()


def job(name):
    made = job_request(name, TENSORFLOW, "s3://b/in", {})
    made["ResourceConfig"]["InstanceCount"] = 2
    made["StoppingCondition"]["MaxRuntimeInSeconds"] = 1800
    return made


def test_the_price_is_printed_before_a_job_starts(account, capsys):
    made, stub = account
    client = made.client("sagemaker")
    real.watch(client)
    arn = "arn:aws:sagemaker:us-west-2:1:training-job/x"
    stub.add_response("create_training_job", {"TrainingJobArn": arn}, dict.fromkeys(job("x"), ANY))
    client.create_training_job(**job("course-05-x"))
    said = capsys.readouterr().out
    assert said.startswith("At most: About $0.20: 2 × ml.c5.xlarge for 0.5 h at $0.204 an hour")
    assert "approximate" in said and said.endswith("https://aws.amazon.com/sagemaker/pricing/.\n")
    with pytest.raises(cloud.CloudError, match="everything the course makes is named course-…"):
        client.create_training_job(**job("x"))
    stub.assert_no_pending_responses()


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
        real.connection()


@pytest.fixture
def way(monkeypatch, aws):
    """The way to AWS, with this machine's service at its end."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.server.token)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def test_credentials_that_do_not_work_are_said_not_to(monkeypatch, way):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOTONE")
    with pytest.raises(cloud.CloudError, match="the AWS account can't be used"):
        real.connection()


def test_a_connection_says_account_and_region(monkeypatch, way, capsys):
    monkeypatch.setenv("COURSE_CLOUD", "aws")
    monkeypatch.setenv("COURSE_AWS_ROLE", ROLE)
    monkeypatch.setattr(sdk, "load", lambda local: SimpleNamespace(Session=lambda: "session"))
    monkeypatch.setattr(boto3.session.Session, "client", boto3.session.Session.client)
    monkeypatch.setattr(gates.aws, "_missing", None)
    try:
        made = cloud.connect()
        assert not made.local
        where = (made.account, made.region, made.role)
        assert where == ("123456789012", "us-west-2", ROLE)
        place = "account 123456789012, region us-west-2"
        said = capsys.readouterr().out
        assert said == f"Connected to AWS ({place}): what you start costs money.\n"
        with pytest.raises(cloud.CloudError, match="is named course-…"):
            made.client("sagemaker").create_model(ModelName="mine", ExecutionRoleArn=ROLE)
    finally:
        cloud.disconnect()


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
