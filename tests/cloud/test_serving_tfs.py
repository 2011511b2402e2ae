"""TensorFlow Serving's requests and errors, without TensorFlow, and once with a real SavedModel."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from helpers.cloud import archive
from helpers.cloud.serving import ModelServer, ServerDied, tfs_json, tfs_write
from helpers.cloud.serving.server import ClientError
from helpers.cloud.serving.tfs import find_model, to_serving
from helpers.cloud.serving.tfs_json import JsonError
from helpers.cloud.serving.wire import Pool
from tests.cloud.conftest import ECR

SERVING = f"{ECR}/tensorflow-inference:2.19-cpu"
INT, FLOAT, TEXT = np.dtype("int32"), np.dtype("float32"), np.dtype(object)
PAIR = {"user": INT, "item": INT}
JSON = {"Content-Type": "application/json"}


def read(request: dict, spec=PAIR):
    return tfs_json.tensors(tfs_json.parse(json.dumps(request).encode()), spec)


def test_rows_and_columns_give_the_same_tensors():
    rows, by_row = read({"instances": [{"user": 1, "item": 2}, {"user": 3, "item": 4}]})
    columns, also = read({"inputs": {"user": [1, 3], "item": [2, 4]}})
    assert by_row and not also
    for name in PAIR:
        np.testing.assert_array_equal(rows[name], columns[name])
        assert rows[name].dtype == np.int32


@pytest.mark.parametrize(
    "request_, spec, wanted",
    [
        ({"instances": [[1, 2.5], [3, 4]]}, {"x": FLOAT}, [[1, 2.5], [3, 4]]),
        ({"instances": [1, 2]}, {"x": FLOAT}, [1, 2]),
        ({"inputs": 3}, {"x": FLOAT}, 3),
        ({"inputs": {"x": [[True]]}}, {"x": np.dtype(bool)}, [[True]]),
        ({"instances": ["a", {"b64": "w6Q="}]}, {"x": TEXT}, [b"a", "ä".encode()]),
        ({"instances": [{"x": [[1]]}]}, {"x": INT}, [[[1]]]),
    ],
)
def test_values_of_every_kind(request_, spec, wanted):
    np.testing.assert_array_equal(read(request_, spec)[0]["x"], wanted)


def test_nan_and_infinity_are_floats_as_in_tensorflow_serving():
    document = tfs_json.parse(b'{"instances": [[NaN, Infinity, -Infinity]]}')
    found = tfs_json.tensors(document, {"x": FLOAT})[0]["x"][0]
    assert math.isnan(found[0]) and found[1] == np.inf and found[2] == -np.inf


@pytest.mark.parametrize(
    "body, message",
    [
        (b"", "JSON Parse error: The document is empty"),
        (b'{"instances": [1,}', "JSON Parse error: Invalid value. at offset: 17"),
        (b"{'a': 1}", "JSON Parse error: Missing a name for object member. at offset: 1"),
        (b"\xff\xfe{", "JSON Parse error: "),
        (b"[" * 200_000, "JSON Parse error: nested too deeply"),
        (b"[1, 2]", "JSON Value: [1, 2] Is not object"),
        (b'{"signature_name": 3}', "'signature_name' key must be a string value."),
    ],
)
def test_bodies_that_are_no_request(body, message):
    with pytest.raises(JsonError) as caught:
        tfs_json.parse(body)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "request_, spec, message",
    [
        ({}, PAIR, "Missing 'inputs' or 'instances' key"),
        (
            {"instances": [1], "inputs": [1]},
            PAIR,
            "expecting only one of 'inputs' or 'instances' keys",
        ),
        ({"instances": 5}, PAIR, "Excepting 'instances' to be an list/array"),
        ({"instances": []}, PAIR, "No values in 'instances' array"),
        ({"instances": [1]}, PAIR, "instances is a plain list, but expecting list of objects"),
        ({"inputs": [1]}, PAIR, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"user": [1]}}, PAIR, "Missing named input: item in 'inputs' object."),
        (
            {"instances": [{"user": 1}]},
            PAIR,
            'JSON object: {"user": 1} keys must be equal to: item,user',
        ),
        ({"instances": [{"user": 1, "film": 1}]}, PAIR, "does not have named input: film"),
        (
            {"instances": [{"user": 1, "item": 1}, 5]},
            PAIR,
            "Expecting object but got list at item 1",
        ),
        (
            {"instances": [[1], {"x": 1}]},
            {"x": INT},
            "Expecting value/list but got object at item 1",
        ),
        (
            {"instances": [{"user": 1, "item": "2"}]},
            PAIR,
            "Failed to process element: 0 key: item of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"2\" "
            "Type: String is not of expected type: int32",
        ),
        (
            {"instances": [{"user": 1, "item": 2.0}]},
            PAIR,
            "Type: Number is not of expected type: int32",
        ),
        ({"instances": [1, True]}, {"x": FLOAT}, "Type: True is not of expected type: float"),
        ({"instances": [None]}, {"x": FLOAT}, "Type: Null is not of expected type: float"),
        ({"instances": [5_000_000_000]}, {"x": INT}, "is not of expected type: int32"),
        ({"instances": [16_777_217]}, {"x": FLOAT}, "16777217 to float without loss of precision"),
        ({"instances": [1e39]}, {"x": FLOAT}, "to float without loss of precision"),
        ({"instances": [10**400]}, {"x": FLOAT}, "to float without loss of precision"),
        ({"instances": [[1, 2], [3]]}, {"x": FLOAT}, "Expecting tensor size: 2 but got: 1"),
        ({"instances": [[1, 2], [[3, 4]]]}, {"x": FLOAT}, "Expecting shape [2] but got: [1,2]"),
        (
            {"inputs": [[1, 2], [3]]},
            {"x": FLOAT},
            "unexpected size: 1 at level: 1 expected size: 2",
        ),
        ({"inputs": [[1], 2]}, {"x": FLOAT}, "found at incorrect level: 2"),
        (
            {"inputs": [1, [2]]},
            {"x": FLOAT},
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        ({"instances": [{"b64": "???"}]}, {"x": TEXT}, "Unable to base64 decode"),
    ],
)
def test_requests_that_do_not_fit(request_, spec, message):
    with pytest.raises(JsonError) as caught:
        read(request_, spec)
    assert message in str(caught.value)


def test_numbers_are_written_as_short_as_they_are_exact():
    values = np.array(
        [0.2, 1, 1 / 3, 1e-7, 123456789, np.nan, np.inf, -np.inf, 0], dtype=np.float32
    )
    wanted = [
        "0.2",
        "1.0",
        "0.333333343",
        "1e-07",
        "123456792.0",
        "NaN",
        "Infinity",
        "-Infinity",
        "0.0",
    ]
    assert tfs_write.decimals(values) == wanted
    random = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(np.array(tfs_write.decimals(random), dtype=np.float32), random)


def test_answers_by_row_and_by_column():
    one = {"y": np.array([[0.5], [0.25]], dtype=np.float32)}
    two = {"a": np.array([1, 2]), "b": np.array([b"x", b"\xff"], dtype=object)}
    assert json.loads(tfs_write.rows(one)) == {"predictions": [[0.5], [0.25]]}
    assert json.loads(tfs_write.columns(one)) == {"outputs": [[0.5], [0.25]]}
    assert json.loads(tfs_write.rows(two)) == {
        "predictions": [{"a": 1, "b": "x"}, {"a": 2, "b": {"b64": "/w=="}}]
    }
    assert json.loads(tfs_write.columns(two))["outputs"]["a"] == [1, 2]
    assert json.loads(tfs_write.rows({"y": np.zeros((2, 0), np.float32)})) == {
        "predictions": [[], []]
    }
    with pytest.raises(ValueError, match="inconsistent batch size"):
        tfs_write.rows({"a": np.zeros(2), "b": np.zeros(3)})


@pytest.mark.parametrize(
    "body, kind, wanted",
    [
        (b'{"instances": [1]}', "application/json", {"instances": [1]}),
        (b"[[1, 2], [3, 4]]", "application/json", {"instances": [[1, 2], [3, 4]]}),
        (b"[1, 2]", "application/json", {"instances": [[1, 2]]}),
        (
            b'{"user": 1}\n{"user": 2}\n',
            "application/jsonlines",
            {"instances": [{"user": 1}, {"user": 2}]},
        ),
        (b"1,2\n3,4\n", "text/csv", {"instances": [[1, 2], [3, 4]]}),
        (b"1\n2", "text/csv", {"instances": [1, 2]}),
        (b"abc,d", "text/csv", {"instances": [["abc", "d"]]}),
    ],
)
def test_the_front_turns_bodies_into_requests(body, kind, wanted):
    assert json.loads(to_serving(body, kind)) == wanted


def test_other_media_types_are_refused():
    with pytest.raises(ClientError, match="Unsupported Media Type: application/x-npy") as caught:
        to_serving(b"", "application/x-npy")
    assert caught.value.status == 415


def test_the_newest_version_is_served(tmp_path):
    for version in ("3", "12", "x"):
        (tmp_path / "export" / version).mkdir(parents=True)
        (tmp_path / "export" / version / "saved_model.pb").touch()
    assert find_model(tmp_path) == (tmp_path / "export", 12)
    with pytest.raises(
        FileNotFoundError, match="no SavedModel bundles found! Expected a numbered folder"
    ):
        find_model(tmp_path / "export" / "x")


# --- with TensorFlow ---------------------------------------------------------------------------

_HANDLERS = """
import json
def input_handler(data, context):
    if context.request_content_type != "text/plain":
        raise ValueError(f"no {context.request_content_type} here")
    user, item = data.read().decode().split()
    return json.dumps({"instances": [{"user": int(user), "item": int(item)}]})
def output_handler(response, context):
    if response.status_code != 200:
        raise ValueError(response.text)
    return str(response.json()["predictions"][0]), "text/plain"
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    import tensorflow as tf

    spec = {"user": tf.TensorSpec([None], tf.int32), "item": tf.TensorSpec([None], tf.int32)}

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.table = tf.Variable(tf.range(10.0))

        @tf.function(input_signature=[spec["user"], spec["item"]])
        def score(self, user, item):
            return {"score": tf.gather(self.table, user) + tf.gather(self.table, item) / 10}

    folder = tmp_path_factory.mktemp("model")
    model = Model()
    tf.saved_model.save(model, str(folder / "1"), signatures={"serving_default": model.score})
    (folder / "code").mkdir()
    return folder


class Endpoint:
    """An endpoint of the service, asked as its model server would be."""

    def __init__(self, aws, name: str) -> None:
        self.aws, self.name = aws, name

    def invoke(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Send a request; a model's error is given back as the model server said it."""
        runtime = self.aws.runtime
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=self.name, Body=body, ContentType=headers["Content-Type"]
            )
        except runtime.exceptions.ModelError as refused:
            said = refused.response
            return said["OriginalStatusCode"], {}, said["OriginalMessage"].encode()
        return 200, {"content-type": answer["ContentType"]}, answer["Body"].read()

    def log(self) -> list[str]:
        """Return its log, once it says what answers."""
        return self.aws.log_with(
            "serving on", f"/aws/sagemaker/Endpoints/{self.name}", "AllTraffic/"
        )


def deployed(aws, name: str, folder, **environment: str) -> Endpoint:
    """Bring a folder into service in the TensorFlow container."""
    file = io.BytesIO()
    archive.pack(folder, file)
    aws.model(name, aws.put(f"models/{name}.tar.gz", file.getvalue()), SERVING, **environment)
    aws.config(name, name)
    aws.sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    found = aws.deployed(name)
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    return Endpoint(aws, name)


@pytest.fixture(scope="module")
def server(aws, exported):
    yield deployed(aws, "tf-python", exported, COURSE_TFS="python")
    aws.sm.delete_endpoint(EndpointName="tf-python")


def test_a_saved_model_answers(server):
    sentence = (
        "the course's own TensorFlow Serving REST interface in Python, version 1 of the model"
    )
    assert f"serving on 127.0.0.1:8080: {sentence}" in server.log()
    status, headers, body = server.invoke(
        b'{"instances": [{"user": 1, "item": 2}, {"user": 3, "item": 0}]}', JSON
    )
    assert status == 200 and headers["content-type"] == "application/json"
    assert json.loads(body) == {"predictions": [1.2, 3.0]}
    status, _, body = server.invoke(b'{"inputs": {"user": [1], "item": [2]}}', JSON)
    assert json.loads(body) == {"outputs": [1.2]}


@pytest.mark.parametrize(
    "body, status, message",
    [
        (b"{not json", 400, "JSON Parse error"),
        (b'{"instances": [{"user": 1, "item": 99}]}', 400, "indices[0] = 99 is not in [0, 10)"),
        (
            b'{"instances": [{"user": NaN, "item": 2}]}',
            400,
            "NaN Type: Number is not of expected type: int32",
        ),
        (b'{"inputs": {"user": [1,2,3], "item": [1,2]}}', 400, "ncompatible shapes: [3] vs. [2]"),
        (
            b'{"instances": [{"user": 1, "item": 2}], "signature_name": "other"}',
            400,
            'Serving signature name: "other" not found in signature def',
        ),
    ],
)
def test_wrong_requests_are_told_why(server, body, status, message):
    found, _, answer = server.invoke(body, JSON)
    text = json.loads(answer)["error"]
    assert found == status and message in text
    assert "Traceback" not in text and "stack traces" not in text


def test_the_other_paths_of_tensorflow_serving(server):
    (process,) = (
        child
        for child in psutil.Process(server.aws.server.process.pid).children()
        if "helpers.cloud.serving.tfs" in child.cmdline()
    )
    (port,) = {c.laddr.port for c in process.net_connections() if c.status == "LISTEN"}
    pool = Pool(port)

    def get(path):
        status, _, body = pool.request("GET", path, {})
        return status, json.loads(body)

    assert get("/v1/models/model")[1]["model_version_status"][0]["state"] == "AVAILABLE"
    inputs = get("/v1/models/model/metadata")[1]["metadata"]["signature_def"]["signature_def"][
        "serving_default"
    ]
    assert inputs["inputs"]["user"]["dtype"] == "DT_INT32"
    assert get("/v1/models/other") == (
        404,
        {"error": "Servable not found for request: Latest(other)"},
    )
    assert get("/v1/models/model/versions/7")[1]["error"].endswith("Specific(model, 7)")
    assert get("/v1/nothing") == (404, {"error": "Malformed request: GET /v1/nothing"})
    assert get("/nowhere")[0] == 404


def test_many_callers_get_their_own_answers(server):
    def ask(user: int) -> float:
        status, _, body = server.invoke(
            json.dumps({"inputs": {"user": [user], "item": [0]}}).encode(), JSON
        )
        return json.loads(body)["outputs"][0] if status == 200 else -1

    with ThreadPoolExecutor(8) as pool:
        users = [number % 10 for number in range(400)]
        assert list(pool.map(ask, users)) == users


_STAND_IN = """
import http.server, json, sys
flags = dict(a[2:].split("=") for a in sys.argv[1:])
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        said = {"state": "AVAILABLE"}
        if self.path.endswith(":predict"):
            said = {"path": self.path, "sent": sent}
            said |= {"predictions": [row["user"] + row["item"] / 10 for row in sent.get("instances", [])]}
        body = json.dumps({"error": "as it words it"} if "bad" in sent else said).encode()
        self.send_response(400 if "bad" in sent else 200)
        self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_GET = do_POST = answer
print("loaded", flags["model_base_path"].endswith("/export"), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(flags["rest_api_port"])), Handler).serve_forever()
"""


@pytest.fixture
def binary(tmp_path) -> str:
    """A stand-in that answers as tensorflow_model_server does; its folder is for the PATH."""
    program = tmp_path / "bin" / "tensorflow_model_server"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{_STAND_IN}")
    program.chmod(0o755)
    (tmp_path / "model" / "export" / "1").mkdir(parents=True)
    (tmp_path / "model" / "export" / "1" / "saved_model.pb").touch()
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def test_the_real_program_is_used_where_it_is(aws, binary, tmp_path):
    endpoint = deployed(aws, "tf-binary", tmp_path / "model", PATH=binary)
    program = tmp_path / "bin" / "tensorflow_model_server"
    log = endpoint.log()
    assert "loaded True" in log
    assert (
        f"serving on 127.0.0.1:8080: TensorFlow Serving itself ({program}), version 1 of the model"
        in log
    )
    for sent in ({"instances": [{"user": 1, "item": 2}]}, {"inputs": {"user": [1], "item": [2]}}):
        status, _, body = endpoint.invoke(json.dumps(sent).encode(), JSON)
        said = json.loads(body)
        assert (status, said["path"], said["sent"]) == (200, "/v1/models/model:predict", sent)
    assert endpoint.invoke(b'{"inputs": [1], "bad": 1}', JSON)[::2] == (
        400,
        b'{"error": "as it words it"}',
    )
    aws.sm.delete_endpoint(EndpointName="tf-binary")


def test_the_users_handlers_stand_around_it(aws, binary, tmp_path):
    (tmp_path / "model" / "code").mkdir()
    (tmp_path / "model" / "code" / "inference.py").write_text(_HANDLERS)
    endpoint = deployed(aws, "tf-handlers", tmp_path / "model", PATH=binary)
    assert endpoint.invoke(b"3 4", {"Content-Type": "text/plain"})[2] == b"3.4"
    status, _, body = endpoint.invoke(b"{}", JSON)
    assert status == 500 and "ValueError: no application/json here" in json.loads(body)["error"]
    aws.sm.delete_endpoint(EndpointName="tf-handlers")


def test_a_model_that_is_none_says_so(tmp_path):
    made = ModelServer("tensorflow", tmp_path, environment={}, log=lambda line: None)
    made.start()
    with pytest.raises(ServerDied, match="no SavedModel bundles found"):
        made.wait_ready(30)
    made.stop()
