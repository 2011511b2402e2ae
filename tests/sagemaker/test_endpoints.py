"""Endpoints and their requests: what is answered, refused, updated, and what a death changes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import MagicMock

import pytest
from botocore.exceptions import ClientError

from local_sagemaker.errors import ApiError
from local_sagemaker.service import endpoints
from tests.sagemaker.conftest import BUCKET, INFERENCE, ROLE, SKLEARN


@pytest.fixture(scope="module")
def endpoint(aws, model) -> str:
    found = aws.deploy("three", model)
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    return "three"


def test_an_endpoint_answers_and_describes_itself(aws, endpoint, model):
    assert aws.ask(endpoint, [1, 2]) == [3, 6]
    assert str(aws.ask(endpoint, b"[NaN, 1]")) == "[nan, 3]", "as the model writes it"
    found = aws.sm.describe_endpoint(EndpointName=endpoint)
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert found["LastModifiedTime"] > found["CreationTime"]
    (variant,) = aws.sm.describe_endpoint_config(EndpointConfigName="three")["ProductionVariants"]
    assert variant["ModelName"] == "three"
    assert aws.sm.describe_model(ModelName="three")["PrimaryContainer"]["ModelDataUrl"] == model
    for status, names in (("Failed", []), ("InService", ["three"])):
        listed = aws.sm.list_endpoints(StatusEquals=status, NameContains="three")["Endpoints"]
        assert [row["EndpointName"] for row in listed] == names
    lines = "application/jsonlines"
    how = {"EndpointName": endpoint, "ContentType": lines, "Accept": lines}
    answer = aws.runtime.invoke_endpoint(Body=b"1\n2\n", **how)
    assert (answer["Body"].read(), answer["ContentType"]) == (b"3\n6\n", lines)
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    log = aws.log_with("serving", "/aws/sagemaker/Endpoints/three", "AllTraffic/")
    assert log[0].startswith("serving on 127.0.0.1:8080: ")  # and by which program


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [(b"{not", "application/json", 500), (b"1,2", "a/b", None), (b"null", "application/json", 500)],
)
def test_what_a_model_refuses_is_a_model_error(aws, endpoint, body, kind, status):
    with pytest.raises(aws.runtime.exceptions.ModelError) as refused:
        aws.ask(endpoint, body, ContentType=kind)
    said = refused.value.response
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert status is None or said["OriginalStatusCode"] == status
    sentence = f"error ({said['OriginalStatusCode']}) from AllTraffic with message"
    assert sentence in said["Error"]["Message"]
    assert aws.ask(endpoint, [1]) == [3]


def test_a_body_of_fifty_megabytes_is_refused_and_the_connection_lives(aws, endpoint):
    error = aws.runtime.exceptions.ValidationError
    with pytest.raises(error, match="less than or equal to 6291456"):
        aws.ask(endpoint, b" " * 50_000_000)
    assert aws.ask(endpoint, [1]) == [3]


def test_a_dead_model_server_is_said_once_and_started_again(aws, endpoint):
    error = aws.runtime.exceptions.ModelError
    with pytest.raises(error, match="The model server died and is being started again"):
        aws.ask(endpoint, "die")
    assert aws.ask(endpoint, [2]) == [6]
    assert aws.sm.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"TargetVariant": "AllTraffic", "InferenceId": "one"}, None),
        ({"TargetVariant": "nope"}, "Variant nope of endpoint three not found"),
        ({"TargetModel": "m.tar.gz"}, "an endpoint has one model"),
        ({"TargetContainerHostname": "second"}, "it has one container"),
        ({"InferenceComponentName": "part"}, "InferenceComponentName is not supported"),
        ({"SessionId": "NEW_SESSION"}, "no stateful sessions"),
        ({"EnableExplanations": "`true`"}, "no explainer"),
    ],
)
def test_what_a_request_asks_for_is_done_or_refused(aws, endpoint, given, sentence):
    if sentence is None:
        assert aws.ask(endpoint, [1], **given)
        return
    with pytest.raises(aws.runtime.exceptions.ValidationError, match=sentence):
        aws.ask(endpoint, [1], **given)


def test_a_variant_says_how_long_its_container_may_take_to_start(monkeypatch):
    server = MagicMock()
    server.start.side_effect = TimeoutError("too slow")
    monkeypatch.setattr(endpoints, "Stream", MagicMock())
    monkeypatch.setattr(endpoints.models, "model_server", lambda *_: server)
    for more in ({}, {"ContainerStartupHealthCheckTimeoutInSeconds": 600}):
        variant = {"VariantName": "v", "Model": {"PrimaryContainer": {}}} | more
        with pytest.raises(ApiError, match="did not pass the ping health check. too slow"):
            endpoints.Deployment(MagicMock(), "late", variant).start()
    waited = [call.args for call in server.start.call_args_list]
    assert waited == [(endpoints.models.READY_SECONDS,), (600,)]


def test_many_at_once(aws, endpoint):
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda n: aws.ask(endpoint, [n]), range(40)))
    assert answers == [[3 * n] for n in range(40)]


def ready(aws, name: str, weights: str, code: str = INFERENCE) -> None:
    """Make a model and its configuration, for an endpoint to take."""
    files = {"model.json": weights, "code/inference.py": code}
    aws.model(name, aws.archive(f"models/{name}.tar.gz", files))
    aws.config(name, name)


def test_an_update_takes_over_without_a_gap(aws, endpoint):
    ready(aws, "four", '{"w": 4}')
    aws.sm.update_endpoint(EndpointName=endpoint, EndpointConfigName="four")
    seen = {aws.ask(endpoint, [1])[0]}
    while aws.sm.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating":
        seen.add(aws.ask(endpoint, [1])[0])
    assert aws.ask(endpoint, [1]) == [4] and seen <= {3, 4}
    assert aws.sm.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"] == "four"


def test_a_request_that_an_update_or_a_deletion_overtakes(aws):
    pause = "    time.sleep(m.get('pause', 0))\n    if x =="
    slow = INFERENCE.replace("    if x ==", pause)
    ready(aws, "overtaken-slow", '{"w": 5, "pause": 8}', slow)
    ready(aws, "overtaken-quick", '{"w": 6}', slow)

    def update(model: str) -> None:
        aws.sm.update_endpoint(EndpointName="overtaken", EndpointConfigName=f"overtaken-{model}")
        aws.deployed("overtaken")

    def asked_while(step) -> object:
        """Return what a request is told that was on its way before a step."""
        said: list[object] = []

        def ask() -> None:
            try:
                said.append(aws.ask("overtaken", [1]))
            except aws.runtime.exceptions.ValidationError as error:
                said.append(str(error))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.5)
        step()
        asking.join(30)
        return said[0]

    aws.sm.create_endpoint(EndpointName="overtaken", EndpointConfigName="overtaken-slow")
    aws.deployed("overtaken")
    assert asked_while(lambda: update("quick")) == [6], "the model that took over answers"
    update("slow")
    told = asked_while(lambda: aws.sm.delete_endpoint(EndpointName="overtaken"))
    assert "not found" in str(told)


def test_a_connection_that_breaks_is_the_models_error():
    """The server may live on: only one that died is started again."""
    variant = {"VariantName": "v", "Model": {"PrimaryContainer": {}}}
    deployment = endpoints.Deployment(MagicMock(), "broken", variant)
    deployment._server = server = MagicMock()
    server.invoke.side_effect = ConnectionError("it closed the connection")
    answer = deployment.invoke(b"1", {})
    assert answer.status == 424 and b"it closed the connection" in answer.body
    assert deployment._server is server and not server.stop.called


def test_what_served_goes_on_where_an_update_fails(aws, endpoint):
    before = aws.ask(endpoint, [1])
    ready(aws, "worse", "{}", "import nowhere_to_be_found")
    config = aws.sm.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    aws.sm.update_endpoint(EndpointName=endpoint, EndpointConfigName="worse")
    found = aws.deployed(endpoint)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", config)
    assert "nowhere_to_be_found" in found["FailureReason"]
    assert aws.ask(endpoint, [1]) == before


@pytest.mark.parametrize(
    ("name", "files", "sentence"),
    [
        ("empty", {"readme.txt": "-"}, "neither a SavedModel nor code/inference.py"),
        ("broken", {"code/inference.py": "import nowhere_to_be_found"}, "nowhere_to_be_found"),
        ("no-model", {"code/inference.py": INFERENCE}, "model.json"),
        ("below", {"code": "-", "code/inference.py": "-"}, "not a tar.gz archive that can be"),
        ("long", {"x" * 300: "-"}, "unpacked: File name too long"),
        ("outside", {"../code/inference.py": INFERENCE}, "outside of its folder"),
    ],
)
def test_a_model_that_can_not_serve_fails_with_the_reason(aws, name, files, sentence):
    found = aws.deploy(f"bad-{name}", aws.archive(f"models/{name}.tar.gz", files))
    assert found["EndpointStatus"] == "Failed" and sentence in found["FailureReason"]
    with pytest.raises(aws.runtime.exceptions.ValidationError, match="is Failed, not InService"):
        aws.ask(f"bad-{name}", [1])
    aws.sm.delete_endpoint(EndpointName=f"bad-{name}")


def test_missing_things_are_missing(aws, endpoint):
    data = aws.archive("models/nowhere.tar.gz", {"readme.txt": "-"})
    aws.model("no-data", data)
    aws.s3.delete_object(Bucket=BUCKET, Key="models/nowhere.tar.gz")
    found = aws.endpoint("no-data")
    assert found["EndpointStatus"] == "Failed" and "there is no S3 object" in found["FailureReason"]
    error = aws.runtime.exceptions.ValidationError
    with pytest.raises(error, match="Endpoint never of account 123456789012 not found"):
        aws.ask("never", [1])
    for call, name in (("describe_endpoint", "EndpointName"), ("delete_model", "ModelName")):
        with pytest.raises(ClientError, match="Could not find"):
            getattr(aws.sm, call)(**{name: "never"})
    with pytest.raises(ClientError, match="Could not find model"):
        aws.config("config-of-none", "none")
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        aws.sm.create_endpoint(EndpointName=endpoint, EndpointConfigName="three")


def test_what_is_not_here_is_refused_in_a_sentence(aws, model):
    one = {"ModelName": "three", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    two = [{"VariantName": name, **one} for name in "ab"]
    with pytest.raises(ClientError, match="serves exactly one"):
        aws.sm.create_endpoint_config(EndpointConfigName="two", ProductionVariants=two)
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    variant = {"VariantName": "a", "ModelName": "three", "ServerlessConfig": serverless}
    with pytest.raises(ClientError, match="ServerlessConfig is not supported"):
        aws.sm.create_endpoint_config(EndpointConfigName="less", ProductionVariants=[variant])
    many = [{"VariantName": "a", **one, "InitialInstanceCount": 2}]
    with pytest.raises(ClientError, match="InitialInstanceCount must be 1 in"):
        aws.sm.create_endpoint_config(EndpointConfigName="many", ProductionVariants=many)
    both = {"Containers": [{"Image": "a"}], "PrimaryContainer": {"Image": "a"}}
    with pytest.raises(ClientError, match="a PrimaryContainer, or Containers that follow"):
        aws.sm.create_model(ModelName="both", ExecutionRoleArn=ROLE, **both)


def test_containers_answer_in_a_row_and_the_first_error_is_the_answer(aws, model):
    containers = [{"Image": SKLEARN, "ModelDataUrl": model}] * 3
    aws.sm.create_model(ModelName="row", ExecutionRoleArn=ROLE, Containers=containers)
    assert aws.endpoint("row")["EndpointStatus"] == "InService"
    assert aws.ask("row", [1, 2]) == [27, 54]
    with pytest.raises(aws.runtime.exceptions.ModelError, match="server error"):
        aws.ask("row", 5)
    aws.sm.delete_endpoint(EndpointName="row")
