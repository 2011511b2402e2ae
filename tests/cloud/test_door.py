"""The front door: who may enter, what it listens on, and what it makes of bad requests."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from helpers.cloud import CloudError, local
from tests.cloud.conftest import BUCKET


def ask(server, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        given = {"Authorization": f"AWS {server.token}:-"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        connection.request(method, path, body, {k: v for k, v in given.items() if v is not None})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_listens_on_this_machine_only(aws):
    lines = [line.split() for line in open("/proc/net/tcp", encoding="utf-8").readlines()[1:]]  # noqa: SIM115, PTH123
    here = [
        row[1]
        for row in lines
        if row[3] == "0A" and int(row[1].split(":")[1], 16) == aws.server.port
    ]
    assert here == [f"0100007F:{aws.server.port:04X}"]
    with open("/proc/net/tcp6", encoding="utf-8") as file:  # noqa: PTH123
        assert f":{aws.server.port:04X} " not in "".join(line for line in file if " 0A " in line)
    outside = [a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in set(outside) - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            socket.create_connection((address, aws.server.port), timeout=1)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"Authorization": None}, b"call cloud.connect"),
        ({"Authorization": "AWS COURSE123:-"}, b"call cloud.connect"),
        ({"Host": "evil.example.com"}, b"is not this service"),
        ({"Origin": "http://evil.example.com"}, b"browser"),
        ({"Sec_Fetch_Site": "cross-site"}, b"browser"),
    ],
)
def test_strangers_stay_outside(aws, headers, sentence):
    status, body = ask(aws.server, **headers)
    assert status == 403 and sentence in body


def test_moto_can_not_be_reset(aws):
    assert ask(aws.server, "POST", "/moto-api/reset")[0] == 404


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b"431"),
        (
            b"PUT / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS {token}:-\r\nContent-Length: x\r\n\r\n",
            b"413",
        ),
        (
            b"PUT / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS {token}:-\r\n"
            b"Content-Length: 99999999999\r\n\r\n",
            b"413",
        ),
        (
            b"PUT / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS {token}:-\r\n"
            b"Content-Length: \xb2\r\n\r\n",
            b"413",
        ),
        (
            b"PUT / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS {token}:-\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n-5\r\nbody",
            b"400",
        ),
    ],
)
def test_requests_that_are_none_get_an_answer(aws, text, status):
    server = aws.server
    text = text.replace(b"{port}", str(server.port).encode()).replace(
        b"{token}", server.token.encode()
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(text)
        assert connection.recv(100).split()[1] == status
    assert server.alive()


def test_a_caller_that_hangs_up_harms_no_one(aws):
    head = f"PUT /x HTTP/1.1\r\nHost: 127.0.0.1:{aws.server.port}\r\nAuthorization: AWS {aws.server.token}:-\r\n"
    with socket.create_connection(("127.0.0.1", aws.server.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"Content-Length: 100\r\n\r\nhalf")
    assert aws.server.alive()


def test_half_a_head_changes_nothing(aws):
    """A caller killed before its Content-Length was sent has not asked for an empty object."""
    aws.put("door/kept", b"whole")
    head = f"PUT /{BUCKET}/door/kept HTTP/1.1\r\nHost: 127.0.0.1:{aws.server.port}\r\n"
    with socket.create_connection(("127.0.0.1", aws.server.port), timeout=10) as connection:
        connection.sendall(f"{head}Authorization: AWS {aws.server.token}:-\r\nContent-Le".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert aws.get("door/kept") == b"whole"


def test_a_request_that_moto_chokes_on_gets_an_answer(aws):
    status, body = ask(aws.server, "POST", f"/{BUCKET}?delete", b"no XML")
    assert status == 500 and b"ExpatError" in body


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
def test_a_control_request_that_is_no_json_is_refused(aws, body):
    status, answer = ask(aws.server, "POST", "/", body, X_Amz_Target="SageMaker.ListModels")
    assert status == 400 and json.loads(answer)["__type"] == "SerializationException"


@pytest.mark.parametrize(
    ("operation", "request_", "sentence"),
    [
        ("CreateModel", {}, "Value null at 'modelName'"),
        ("CreateModel", {"ModelName": 3}, "must be of type string"),
        ("ListModels", {"MaxResults": 0}, "greater than or equal to 1"),
        ("ListModels", {"SortBy": "Color"}, "enum value set"),
        ("ListModels", {"MaxResults": True}, "must be of type integer"),
        ("Conquer", {}, "has no operation"),
    ],
)
def test_requests_are_checked_without_a_client_that_does(aws, operation, request_, sentence):
    status, answer = ask(
        aws.server, "POST", "/", json.dumps(request_), X_Amz_Target=f"SageMaker.{operation}"
    )
    assert status in (400, 404) and sentence in json.loads(answer)["message"]


def test_a_taken_port_is_said_to_be_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            CloudError, match=f"port {port} of 127.0.0.1 can't be used: Address already in use"
        ):
            local.start(port=port)


def test_other_services_are_here(aws):
    sts, iam, kinesis = (aws.client(name) for name in ("sts", "iam", "kinesis"))
    assert sts.get_caller_identity()["Arn"].endswith("assumed-role/SageMakerRole/notebook")
    role = iam.get_role(RoleName="SageMakerRole")["Role"]["Arn"]
    allowed = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["s3:PutObject", "sagemaker:CreateModel"]
    )
    assert [r["EvalDecision"] for r in allowed["EvaluationResults"]] == ["allowed", "allowed"]
    kinesis.create_stream(StreamName="events", ShardCount=1)
    kinesis.put_record(StreamName="events", Data=b"hi", PartitionKey="a")
    shard = kinesis.list_shards(StreamName="events")["Shards"][0]["ShardId"]
    start = kinesis.get_shard_iterator(
        StreamName="events", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )
    assert kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"][0]["Data"] == b"hi"
