"""The TensorFlow container: its requests and answers, alone and around a real SavedModel."""

import io
import json
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import urllib3

from local_sagemaker import archive
from local_sagemaker.serving.process import ModelServer, ServerDied
from local_sagemaker.serving.savedmodel import SavedModel, by_column, by_row, to_tensors
from local_sagemaker.serving.server import ClientError, ModelHTTPServer
from local_sagemaker.serving.tensorflow import TensorFlowContainer, find_model, to_document
from tests.sagemaker.conftest import ECR
from tests.sagemaker.jobs import running

PAIR = {"user": np.dtype("int32"), "item": np.dtype("int32")}
INT, FLOAT = {"x": np.dtype("int32")}, {"x": np.dtype("float32")}
TEXT, TRUTH = {"x": np.dtype(object)}, {"x": np.dtype(bool)}


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
    np.testing.assert_array_equal(to_tensors(request_, spec)["x"], wanted)
    rows = to_tensors({"instances": [{"user": 1, "item": 2}, {"user": 3, "item": 4}]}, PAIR)
    columns = to_tensors({"inputs": {"user": [1, 3], "item": [2, 4]}}, PAIR)
    for name in PAIR:
        np.testing.assert_array_equal(rows[name], columns[name], strict=True)


def test_bodies_that_are_no_json_or_of_another_type():
    for body in (b"", b'{"instances": [1,}', b"\xff\xfe{", b"[" * 200_000, b"[1]\n[1,"):
        with pytest.raises(ClientError, match="JSON parse error"):
            to_document(body, "application/json")
    with pytest.raises(ClientError, match="application/x-npy") as caught:
        to_document(b"", "application/x-npy")
    assert caught.value.status == 415


@pytest.mark.parametrize(
    "request_, spec, named",
    [
        ({}, PAIR, "one of 'instances'"),
        ({"instances": [1], "inputs": [1]}, PAIR, "one of 'instances'"),
        ({"instances": 5}, PAIR, "no list"),
        ({"inputs": {"user": [1]}}, PAIR, "by name: user; expected item, user"),
        ({"instances": [{"user": 1, "film": 1}]}, PAIR, "instance 0 .* expected item, user"),
        ({"instances": [{"user": 1, "item": 1}, 5]}, PAIR, "instance 1 is 5"),
        ({"instances": [{"user": 1, "item": "2"}]}, PAIR, "item has str; expected int32"),
        ({"instances": [{"user": 1, "item": 2.0}]}, PAIR, "item has float; expected int32"),
        ({"instances": [5_000_000_000]}, INT, "no int32 can hold 5000000000"),
        ({"instances": [1, True]}, FLOAT, "bool; expected float32"),
        ({"instances": [1e39]}, FLOAT, "no float32 can hold"),
        ({"instances": [10**400]}, FLOAT, "no float32 can hold"),
        ({"instances": [[1, 2], [3]]}, FLOAT, "different lengths"),
        ({"inputs": [[[1], [2]], [3, 4]]}, FLOAT, "different"),
        ({"instances": [{"b64": "???"}]}, TEXT, "base64"),
        ({"instances": [1]}, TEXT, "int; expected string"),
    ],
    ids=range(16),
)
def test_requests_that_do_not_fit_name_what_is_wrong(request_, spec, named):
    with pytest.raises(ClientError, match=named):
        to_tensors(request_, spec)


def test_answers_by_row_and_by_column():
    one = {"y": np.array([[0.2], [1 / 3]], dtype=np.float32)}
    two = {"a": np.array([1, 2]), "b": np.array([b"x", b"\xff"], dtype=object)}
    assert json.dumps(by_row(one)) == '{"predictions": [[0.2], [0.33333334]]}'
    assert by_column(one) == {"outputs": [[0.2], [0.33333334]]}
    assert by_row(two)["predictions"] == [{"a": 1, "b": "x"}, {"a": 2, "b": {"b64": "/w=="}}]
    assert by_column(two)["outputs"] == {"a": [1, 2], "b": ["x", {"b64": "/w=="}]}
    odd = np.array([np.nan, np.inf, -np.inf, 1e-7, 123456789], np.float32)
    said = "[NaN, Infinity, -Infinity, 1e-07, 123456790.0]"
    assert json.dumps(by_row({"y": odd})["predictions"]) == said
    assert by_row({"y": np.zeros((2, 0), np.float32)}) == {"predictions": [[], []]}
    with pytest.raises(ClientError, match="different numbers of rows"):
        by_row({"a": np.zeros(2), "b": np.zeros(3)})
    random = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    back = json.loads(json.dumps(by_row({"y": random})))["predictions"]
    np.testing.assert_array_equal(np.array(back, np.float32), random)


@pytest.mark.parametrize(
    "body, kind, wanted",
    [
        (b'{"instances": [1]}', "json", [1]),
        (b"[[1, 2], [3, 4]]", "json", [[1, 2], [3, 4]]),
        (b"[1, 2]", "json", [[1, 2]]),
        (b'{"user": 1}\n{"user": 2}\n', "jsonlines", [{"user": 1}, {"user": 2}]),
        (b"1,2\n3,4\n", "csv", [[1, 2], [3, 4]]),
        (b"abc,d", "csv", [["abc", "d"]]),
    ],
)
def test_bodies_become_requests(body, kind, wanted):
    place = "text" if kind == "csv" else "application"
    assert to_document(body, f"{place}/{kind}") == {"instances": wanted}


@pytest.mark.parametrize(
    ("versions", "newest"), [("3 12 x", "12"), ("000000001", "000000001"), ("1 0002", "0002")]
)
def test_the_newest_version_is_served(tmp_path, versions, newest):
    for version in versions.split():
        (tmp_path / "export" / version).mkdir(parents=True)
        (tmp_path / "export" / version / "saved_model.pb").touch()
    assert find_model(tmp_path) == tmp_path / "export" / newest


def test_a_model_that_is_none_says_so(tmp_path):
    made = ModelServer("tensorflow", tmp_path, environment={}, log=lambda line: None)
    made.start()
    with pytest.raises(ServerDied, match="no SavedModel bundles found"):
        made.wait_ready(30)
    made.stop()


# --- around a model ------------------------------------------------------------------------------


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
    both = {"serving_default": model.score, "same": model.score}
    tf.saved_model.save(model, str(folder / "000000001"), signatures=both)
    return folder


TOKEN = "0123456789abcdef"


def post(server, body: object, kind: str = "application/json", **more: str) -> tuple[int, str]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"AWS {TOKEN}:-", "Content-Type": kind} | more
    url = f"http://127.0.0.1:{server.port}/invocations"
    answer = urllib3.request("POST", url, body=sent, headers=headers)
    return answer.status, answer.data.decode()


def around(exported, code: str = ""):
    """Serve the model in this process, which has TensorFlow, with a user's own functions or none."""
    user = types.ModuleType("inference") if code else None
    exec(code, vars(user) if user else {})
    folder = find_model(exported)
    container = TensorFlowContainer(SavedModel(folder), "model", folder.name, user)
    made = ModelHTTPServer(container.invoke, TOKEN, container.rest, in_turn=not code)
    return running(made)


@pytest.fixture(scope="module")
def server(exported):
    with around(exported) as made:
        yield made


def test_a_saved_model_answers(server):
    rows = {"instances": [{"user": 1, "item": 2}, {"user": 3, "item": 0}]}
    for more in ({}, {"signature_name": "same"}):
        status, body = post(server, rows | more)
        assert (status, json.loads(body)) == (200, {"predictions": [1.2, 3.0]})
    _, body = post(server, {"inputs": {"user": [1], "item": [2]}})
    assert json.loads(body) == {"outputs": [1.2]}


@pytest.mark.parametrize(
    ("attributes", "status", "said"),
    [
        ("tfs-model-version=1", 200, "predictions"),
        ("tfs-model-name=model,tfs-method=predict", 200, "predictions"),
        ("tfs-model-version=2", 404, "Servable not found"),
        ("tfs-model-name=other", 404, "Servable not found"),
        ("tfs-method=classify", 501, "classify has no local implementation"),
    ],
)
def test_attributes_choose_the_model_and_the_method(server, attributes, status, said):
    more = {"X-Amzn-SageMaker-Custom-Attributes": attributes}
    found, body = post(server, b'{"instances": [{"user": 1, "item": 2}]}', **more)
    assert found == status and said in body


def test_a_saved_model_is_deployed(aws, exported):
    file = io.BytesIO()
    archive.pack(exported, file)
    data = aws.put("models/tf.tar.gz", file.getvalue())
    found = aws.deploy("tf", data, f"{ECR}/tensorflow-inference:2.19-cpu")
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    assert aws.ask("tf", {"instances": [{"user": 1, "item": 2}]}) == {"predictions": [1.2]}
    log = aws.log_with("serving", "/aws/sagemaker/Endpoints/tf", "AllTraffic/")
    which = "TensorFlow's REST interface in Python, version 000000001 of the model"
    assert f"serving on 127.0.0.1:8080: {which}" in log
    aws.sm.delete_endpoint(EndpointName="tf")


@pytest.mark.parametrize(
    "request_, named",
    [
        (b"{not json", "JSON"),
        (b'{"instances": [{"user": 1, "item": 2}], "signature_name": [1]}', "signature_name"),
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
_HANDLER = """
import requests
def handler(data, context):
    answer = requests.post(context.rest_uri, data=data.read())
    return answer.content, context.accept_header
"""


def test_the_users_handlers_stand_around_it(exported):
    with around(exported, _HANDLERS) as server:
        assert post(server, b"3 4", "text/plain") == (200, "3.4")
        status, body = post(server, b"{}")
    assert status == 500 and "ValueError: no application/json here" in json.loads(body)["error"]


def test_the_users_handler_asks_the_models_own_address(exported, monkeypatch):
    monkeypatch.setenv("LOCAL_SAGEMAKER_TOKEN", TOKEN)
    with around(exported, _HANDLER) as server:
        status, body = post(server, {"instances": [{"user": 1, "item": 2}]})
    assert (status, json.loads(body)) == (200, {"predictions": [1.2]})
