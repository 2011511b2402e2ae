"""The front door: who may enter, what it listens on, and what it makes of bad requests."""

import http.client
import json
import socket
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from helpers.cloud import CloudError
from local_sagemaker import launch
from tests.sagemaker import jobs
from tests.sagemaker.conftest import BUCKET

HOST, HERE = "Host: 127.0.0.1:{port}\r\n", "Authorization: AWS {token}:-\r\n"


def send(server, text: str, whole: bool = True) -> bytes:
    filled = text.format(port=server.port, token=server.token)
    return jobs.send(server.port, filled.encode("latin-1"), whole)


def ask(server, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    given = {"Authorization": f"AWS {server.token}:-"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, {k: v for k, v in given.items() if v is not None})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_listens_on_this_machine_only(aws):
    def listening(table: str) -> list[str]:
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        addresses = [row[1] for row in rows if row[3] == "0A"]
        return [a for a in addresses if a.endswith(f":{aws.server.port:04X}")]

    assert listening("tcp") == [f"0100007F:{aws.server.port:04X}"] and listening("tcp6") == []
    outside = [a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in set(outside) - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            socket.create_connection((address, aws.server.port), timeout=1)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"Authorization": None}, b"The access key is not"),
        ({"Authorization": "AWS LOCAL123:-"}, b"The access key is not"),
        ({"Host": "evil.example.com"}, b"is not this service"),
        ({"Origin": "http://evil.example.com"}, b"browser"),
        ({"Sec_Fetch_Site": "cross-site"}, b"use curl or boto3"),
    ],
)
def test_strangers_stay_outside(aws, headers, sentence):
    status, body = ask(aws.server, **headers)
    assert status == 403 and sentence in body


def test_a_body_with_another_sha256_is_refused(aws):
    status, body = ask(aws.server, "PUT", f"/{BUCKET}/door/x", b"x", x_amz_content_sha256="0" * 64)
    assert status == 400 and b"XAmzContentSHA256Mismatch" in body


@pytest.mark.parametrize(
    "place", ["", "%6d", "%256d", "%25256d", "/m", "x/../m", "x/%2e%2e/m", ".%5c%6d", "\\m"]
)
def test_moto_can_not_be_reset(aws, place):
    aws.put("door/stays", b"whole")
    status, body = ask(aws.server, "POST", f"/{place or 'm'}oto-api/reset")
    assert (status, json.loads(body)["message"]) == (404, "There is nothing here.")
    status, body = ask(aws.server, "BREW", "/")
    assert status == 405 and json.loads(body)["message"].startswith("BREW / is not part of")
    assert aws.get("door/stays") == b"whole"


@pytest.mark.parametrize("place", ["endpoints", "%65ndpoints", "%2565ndpoints", "./endpoints"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "call", ["invocations", "async-invocations", "invocations-response-stream", "x/y", ""]
)
def test_everything_below_endpoints_is_answered_here(aws, place, method, call):
    status, body = ask(aws.server, method, f"/{place}/never/{call}", b"{}")
    said = json.loads(body)
    assert status in (400, 405) and said["__type"] == "ValidationError" and said["message"]


@pytest.mark.parametrize(
    ("call", "request_", "sentence"),
    [
        ("runtime.invoke_endpoint_async", "EndpointName=e InputLocation=s3://b/k", "no asynchr"),
        ("runtime.invoke_endpoint_with_response_stream", "EndpointName=e Body=1", "in one piece"),
        ("geospatial.list_tags_for_resource", "ResourceArn=a", "endpoints only"),
        ("translate.list_languages", "", "is not part of the services"),
    ],
)
def test_what_is_not_here_is_refused_in_a_sentence(aws, call, request_, sentence):
    service, _, method = call.partition(".")
    client = aws.client(service if service == "translate" else f"sagemaker-{service}")
    with pytest.raises(ClientError, match=sentence):
        getattr(client, method)(**dict(pair.split("=") for pair in request_.split()))


def test_a_bucket_may_be_called_endpoints(aws):
    where = {"Bucket": "endpoints", "Key": "never/invocations"}
    place = {"LocationConstraint": "us-west-2"}
    aws.s3.create_bucket(Bucket="endpoints", CreateBucketConfiguration=place)
    aws.s3.put_object(**where, Body=b"an object")
    assert aws.s3.get_object(**where)["Body"].read() == b"an object"
    with pytest.raises(ClientError, match="does not exist"):
        aws.s3.get_object(Bucket="endpoints", Key="none")


def test_half_a_request_and_one_too_large_change_nothing(aws):
    """A caller killed before its Content-Length was sent has not asked for an empty object."""
    aws.put("door/kept", b"whole")
    head = f"PUT /{BUCKET}/door/kept HTTP/1.1\r\n{HOST}{HERE}Content-Le"
    for half in (head, f"{head}ngth: 100\r\n\r\nhalf"):
        assert send(aws.server, half, whole=False) == b""
    assert send(aws.server, f"{head}ngth: 99999999999\r\n\r\n").split()[1] == b"413"
    assert aws.get("door/kept") == b"whole"


def test_a_query_over_an_object_and_what_moto_chokes_on_get_an_answer(aws):
    status, body = ask(aws.server, "POST", f"/{BUCKET}/a.json?select&select-type=2", b"<x/>")
    assert status == 501 and b"SelectObjectContent is not part of the S3" in body
    status, body = ask(aws.server, "POST", f"/{BUCKET}?delete", b"no XML")
    assert status == 400 and b"<Code>InvalidRequest</Code>" in body and b"ExpatError" in body


@pytest.mark.parametrize(
    ("method", "place", "status", "sentence"),
    [
        ("POST", "no-bucket/x", 400, b"<Code>InvalidRequest</Code>"),
        ("PATCH", f"{BUCKET}/x", 400, b"<Code>InvalidRequest</Code>"),
        ("GET", f"{BUCKET}?list-type=2&max-keys=abc", 400, b"<Code>InvalidRequest</Code>"),
        ("POST", f"{BUCKET}/x?uploadId=gone", 404, b"<Code>NoSuchUpload</Code>"),
        ("PUT", f"{BUCKET}/x?partNumber=1&uploadId=gone", 404, b"<Code>NoSuchUpload</Code>"),
    ],
)
def test_what_moto_can_not_read_is_the_callers_error(aws, method, place, status, sentence):
    """In S3's own form: a client tries a 500 again, and shows no JSON."""
    found = ask(aws.server, method, f"/{place}", b"x")
    assert found[0] == status and sentence in found[1]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 200_000])
def test_a_control_request_that_is_no_json_is_refused(aws, body):
    status, answer = ask(aws.server, "POST", "/", body, X_Amz_Target="SageMaker.ListModels")
    assert status == 400 and json.loads(answer)["__type"] == "SerializationException"


def test_a_taken_port_is_said_to_be_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = f"port {port} of 127.0.0.1 can't be used: Address already in use"
        with pytest.raises(CloudError, match=message):
            launch.launch(port=port).listening()


def test_other_services_are_here(aws):
    sts, iam = aws.client("sts"), aws.client("iam")
    assert sts.get_caller_identity()["Arn"].endswith("assumed-role/SageMakerRole/notebook")
    role = iam.get_role(RoleName="SageMakerRole")["Role"]["Arn"]
    asked = {"PolicySourceArn": role, "ActionNames": ["s3:PutObject", "sagemaker:CreateModel"]}
    allowed = iam.simulate_principal_policy(**asked)["EvaluationResults"]
    assert [r["EvalDecision"] for r in allowed] == ["allowed", "allowed"]
