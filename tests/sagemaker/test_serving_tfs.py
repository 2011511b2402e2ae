"""TensorFlow Serving's requests and answers, without TensorFlow, and with a real SavedModel."""

from __future__ import annotations

import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from local_sagemaker import archive
from local_sagemaker.serving import ModelServer, ServerDied, tfs_json, tfs_write
from local_sagemaker.serving.server import ClientError
from local_sagemaker.serving.tfs import find_model, to_serving
from local_sagemaker.serving.tfs_json import JsonError
from tests.sagemaker.conftest import ECR
from tests.sagemaker.jobs import serving

PAIR = {"user": np.dtype("int32"), "item": np.dtype("int32")}
INT, FLOAT = {"x": np.dtype("int32")}, {"x": np.dtype("float32")}
TEXT, TRUTH = {"x": np.dtype(object)}, {"x": np.dtype(bool)}


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
        ({"instances": [[1, 2.5], [3, 4]]}, FLOAT, [[1, 2.5], [3, 4]]),
        ({"instances": [1, 2]}, FLOAT, [1, 2]),
        ({"instances": [np.nan, np.inf, -np.inf]}, FLOAT, [np.nan, np.inf, -np.inf]),
        ({"inputs": 3}, FLOAT, 3),
        ({"inputs": {"x": [[True]]}}, TRUTH, [[True]]),
        ({"instances": ["a", {"b64": "w6Q="}]}, TEXT, [b"a", "ä".encode()]),
        ({"instances": [{"x": [[1]]}]}, INT, [[[1]]]),
    ],
)
def test_values_of_every_kind(request_, spec, wanted):
    np.testing.assert_array_equal(read(request_, spec)[0]["x"], wanted)


@pytest.mark.parametrize(
    "body",
    [b"", b'{"instances": [1,}', b"\xff\xfe{", b"[" * 200_000, b"[1]", b'{"signature_name": 3}'],
    ids=range(6),
)
def test_bodies_that_are_no_request(body):
    with pytest.raises(JsonError):
        tfs_json.parse(body)


@pytest.mark.parametrize(
    "request_, spec, named",
    [
        ({}, PAIR, "Missing 'inputs' or 'instances'"),
        ({"instances": [1], "inputs": [1]}, PAIR, "only one of"),
        ({"instances": 5}, PAIR, "list"),
        ({"instances": []}, PAIR, "No values"),
        ({"instances": [1]}, PAIR, "list of objects"),
        ({"inputs": [1]}, PAIR, "object"),
        ({"inputs": {"user": [1]}}, PAIR, "item"),
        ({"instances": [{"user": 1}]}, PAIR, "item"),
        ({"instances": [{"user": 1, "film": 1}]}, PAIR, "film"),
        ({"instances": [{"user": 1, "item": 1}, 5]}, PAIR, "item 1"),
        ({"instances": [{"user": 1, "item": "2"}]}, PAIR, "item .*int32"),
        ({"instances": [{"user": 1, "item": 2.0}]}, PAIR, "item .*int32"),
        ({"instances": [5_000_000_000]}, INT, "int32"),
        ({"instances": [1, True]}, FLOAT, "float"),
        ({"instances": [16_777_217]}, FLOAT, "precision"),
        ({"instances": [1e39]}, FLOAT, "precision"),
        ({"instances": [10**400]}, FLOAT, "precision"),
        ({"instances": [[1, 2], [3]]}, FLOAT, "size: 2"),
        ({"instances": [[1, 2], [[3, 4]]]}, FLOAT, "shape"),
        ({"inputs": [[1, 2], [3]]}, FLOAT, "size: 1"),
        ({"inputs": [[1], 2]}, FLOAT, "level"),
        ({"instances": [{"b64": "???"}]}, TEXT, "base64"),
    ],
    ids=range(22),
)
def test_requests_that_do_not_fit_name_what_is_wrong(request_, spec, named):
    with pytest.raises(JsonError, match=named):
        read(request_, spec)


def test_numbers_are_written_as_short_as_they_are_exact():
    values = [0.2, 1, 1 / 3, 1e-7, 123456789, np.nan, np.inf, -np.inf, 0]
    wanted = "0.2 1.0 0.333333343 1e-07 123456792.0 NaN Infinity -Infinity 0.0"
    assert tfs_write.decimals(np.array(values, np.float32)) == wanted.split()
    random = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(np.array(tfs_write.decimals(random), dtype=np.float32), random)


def test_answers_by_row_and_by_column():
    one = {"y": np.array([[0.5], [0.25]], dtype=np.float32)}
    two = {"a": np.array([1, 2]), "b": np.array([b"x", b"\xff"], dtype=object)}
    by_row = [{"a": 1, "b": "x"}, {"a": 2, "b": {"b64": "/w=="}}]
    assert json.loads(tfs_write.rows(one)) == {"predictions": [[0.5], [0.25]]}
    assert json.loads(tfs_write.columns(one)) == {"outputs": [[0.5], [0.25]]}
    assert json.loads(tfs_write.rows(two)) == {"predictions": by_row}
    assert json.loads(tfs_write.columns(two))["outputs"]["a"] == [1, 2]
    empty = {"y": np.zeros((2, 0), np.float32)}
    assert json.loads(tfs_write.rows(empty)) == {"predictions": [[], []]}
    with pytest.raises(ValueError, match="inconsistent batch size"):
        tfs_write.rows({"a": np.zeros(2), "b": np.zeros(3)})


@pytest.mark.parametrize(
    "body, kind, wanted",
    [
        (b'{"instances": [1]}', "json", [1]),
        (b"[[1, 2], [3, 4]]", "json", [[1, 2], [3, 4]]),
        (b"[1, 2]", "json", [[1, 2]]),
        (b'{"user": 1}\n{"user": 2}\n', "jsonlines", [{"user": 1}, {"user": 2}]),
        (b"1,2\n3,4\n", "csv", [[1, 2], [3, 4]]),
        (b"1\n2", "csv", [1, 2]),
        (b"abc,d", "csv", [["abc", "d"]]),
    ],
)
def test_the_front_turns_bodies_into_requests(body, kind, wanted):
    place = "text" if kind == "csv" else "application"
    assert json.loads(to_serving(body, f"{place}/{kind}")) == {"instances": wanted}


def test_other_media_types_are_refused():
    with pytest.raises(ClientError, match="application/x-npy") as caught:
        to_serving(b"", "application/x-npy")
    assert caught.value.status == 415


def test_the_newest_version_is_served(tmp_path):
    for version in ("3", "12", "x"):
        (tmp_path / "export" / version).mkdir(parents=True)
        (tmp_path / "export" / version / "saved_model.pb").touch()
    assert find_model(tmp_path) == (tmp_path / "export", 12)


def test_a_model_that_is_none_says_so(tmp_path):
    made = ModelServer("tensorflow", tmp_path, environment={}, log=lambda line: None)
    made.start()
    with pytest.raises(ServerDied, match="no SavedModel bundles found"):
        made.wait_ready(30)
    made.stop()


# --- as a process ------------------------------------------------------------------------------

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

    numbers = tf.TensorSpec([None], tf.int32)

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.table = tf.Variable(tf.range(10.0))

        @tf.function(input_signature=[numbers, numbers])
        def score(self, user, item):
            return {"score": tf.gather(self.table, user) + tf.gather(self.table, item) / 10}

    folder = tmp_path_factory.mktemp("model")
    model = Model()
    tf.saved_model.save(model, str(folder / "1"), signatures={"serving_default": model.score})
    (folder / "code").mkdir()
    return folder


def post(server: ModelServer, body: object, kind: str = "application/json") -> tuple[int, str]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, answer = server.invoke(sent, {"Content-Type": kind})
    return status, answer.decode()


@pytest.fixture(scope="module")
def server(exported):
    with serving("tensorflow", exported, COURSE_TFS="python") as made:
        yield made


def test_a_saved_model_answers(server):
    which = "the course's own TensorFlow Serving REST interface in Python, version 1 of the model"
    assert server.backend == which
    rows = {"instances": [{"user": 1, "item": 2}, {"user": 3, "item": 0}]}
    status, body = post(server, rows)
    assert (status, json.loads(body)) == (200, {"predictions": [1.2, 3.0]})
    _, body = post(server, {"inputs": {"user": [1], "item": [2]}})
    assert json.loads(body) == {"outputs": [1.2]}


def test_a_saved_model_is_deployed(aws, exported):
    file = io.BytesIO()
    archive.pack(exported, file)
    data = aws.put("models/tf.tar.gz", file.getvalue())
    found = aws.deploy("tf", data, f"{ECR}/tensorflow-inference:2.19-cpu")
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    assert aws.ask("tf", {"instances": [{"user": 1, "item": 2}]}) == {"predictions": [1.2]}
    aws.sm.delete_endpoint(EndpointName="tf")


@pytest.mark.parametrize(
    "request_, named",
    [
        (b"{not json", "JSON"),
        ({"instances": [{"user": 1, "item": 99}]}, "99"),
        ({"inputs": {"user": [1, 2, 3], "item": [1, 2]}}, "ncompatible shapes"),
        ({"instances": [{"user": 1, "item": 2}], "signature_name": "other"}, "other"),
    ],
)
def test_wrong_requests_are_told_why(server, request_, named):
    status, answer = post(server, request_)
    text = json.loads(answer)["error"]
    assert status == 400 and named in text
    assert "Traceback" not in text and "stack traces" not in text


def test_many_callers_get_their_own_answers(server):
    def ask(user: int) -> float:
        _, body = post(server, {"inputs": {"user": [user], "item": [0]}})
        return json.loads(body)["outputs"][0]

    users = [number % 10 for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
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
            rows = sent.get("instances", [])
            found = [row["user"] + row["item"] / 10 for row in rows]
            said = {"path": self.path, "sent": sent, "predictions": found}
        body = json.dumps({"error": "as it words it"} if "bad" in sent else said).encode()
        self.send_response(400 if "bad" in sent else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
print("loaded", flags["model_base_path"].endswith("/export"), flush=True)
address = ("127.0.0.1", int(flags["rest_api_port"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
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


def test_the_real_program_is_used_where_it_is(binary, tmp_path):
    program = tmp_path / "bin" / "tensorflow_model_server"
    with serving("tensorflow", tmp_path / "model", PATH=binary) as server:
        which = f"TensorFlow Serving itself ({program}), version 1 of the model"
        assert server.backend == which and "loaded True" in server.lines
        columns = {"inputs": {"user": [1], "item": [2]}}
        for sent in ({"instances": [{"user": 1, "item": 2}]}, columns):
            status, body = post(server, sent)
            said = json.loads(body)
            assert (status, said["path"], said["sent"]) == (200, "/v1/models/model:predict", sent)
        refused = (400, '{"error": "as it words it"}')
        assert post(server, {"inputs": [1], "bad": 1}) == refused


def test_the_users_handlers_stand_around_it(binary, tmp_path):
    (tmp_path / "model" / "code").mkdir()
    (tmp_path / "model" / "code" / "inference.py").write_text(_HANDLERS)
    with serving("tensorflow", tmp_path / "model", PATH=binary) as server:
        assert post(server, b"3 4", "text/plain") == (200, "3.4")
        status, body = post(server, b"{}")
    assert status == 500 and "ValueError: no application/json here" in json.loads(body)["error"]
