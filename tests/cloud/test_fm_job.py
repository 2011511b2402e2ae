"""The built-in factorization-machines: its job, its log, its answers, and everything that can be wrong with them."""

from __future__ import annotations

import json
import re
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse

from helpers.cloud.algorithms import BUILTIN
from helpers.cloud.algorithms.container import Container, CustomerError
from helpers.cloud.algorithms.fm_serve import Machine
from helpers.cloud.algorithms.fm_train import train
from helpers.cloud.artifact import FMArtifact, read_model
from helpers.cloud.recordio import MAGIC, read_records
from helpers.cloud.serving import ModelServer
from helpers.cloud.serving.server import ClientError, Invocation
from helpers.models.fm import FactorizationMachine, fm_scores, rating_rows, side_by_side
from tests.cloud.jobs import RECORDIO, records, run

FM = BUILTIN["factorization-machines"]
NEEDED = {"feature_dim": "30", "num_factors": "2", "predictor_type": "regressor"}


def data(n: int = 1000) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, n), rng.integers(0, 10, n)
    return side_by_side((users, 20), (items, 10)), (users % 5 + items % 3).astype(np.float32)


X, Y = data()
FAST = {**NEEDED, "epochs": 30, "mini_batch_size": 50, "linear_lr": 0.05}


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    channels = {
        "train": {"a": records(X[:500], Y[:500]), "b": records(X[500:900], Y[500:900])},
        "test": {"data": records(X[900:], Y[900:])},
    }
    return run(tmp_path_factory.mktemp("job"), FM.name, FAST, channels)


def test_a_job_trains_and_leaves_the_artifact(job):
    assert job.code == 0 and not job.failure, job.log
    model = read_model(job.model)
    assert model.v.shape == (30, 2) and model.w1.shape == (30,)
    assert (
        model.hyperparameters["factors_lr"] == "0.0001"
        and model.hyperparameters["predictor_type"] == "regressor"
    )


def values(log: str, name: str) -> list[float]:
    (regex,) = {d["Regex"] for d in FM.metric_definitions if d["Name"] == name}
    return [float(found) for found in re.findall(regex, log)]


def test_the_log_is_read_by_the_metric_definitions(job):
    errors = values(job.log, "train:rmse")
    assert len(errors) == 30 and errors[-1] < 0.3 < errors[0]
    (test,) = values(job.log, "test:rmse")
    assert test == pytest.approx(
        np.sqrt(np.mean((fm_scores(X[900:], *weights(job)) - Y[900:]) ** 2)), rel=1e-5
    )
    assert len(values(job.log, "train:throughput")) == 30
    assert not values(job.log, "test:binary_f_1")


def test_the_log_looks_like_the_talks(job):
    assert re.search(
        r"^\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] Epoch\[29\] Batch \[17\]#011Speed: [\d.]+ samples/sec#011rmse=0\.\d+",
        job.log,
        re.M,
    )
    assert re.search(r"#test_score \(algo-1\) : \('rmse', 0\.\d+\)", job.log)


def weights(job) -> tuple[float, np.ndarray, np.ndarray]:
    model = read_model(job.model)
    return model.w0, model.w1, model.v


def instance(row: int) -> dict:
    return {
        "data": {"features": {"keys": X[row].indices.tolist(), "shape": [30], "values": [1.0, 1.0]}}
    }


def test_an_endpoint_takes_all_its_formats(job):
    wanted = fm_scores(X[:3], *weights(job)).tolist()
    server = ModelServer(FM.name, job.model, environment={}, log=lambda line: None)
    try:
        server.start()
        server.wait_ready(60)
        body = json.dumps({"instances": [instance(row) for row in range(3)]}).encode()
        status, headers, answer = server.invoke(body, {"Content-Type": "application/json"})
        assert status == 200 and headers["content-type"] == "application/json"
        assert json.loads(answer) == {
            "predictions": [{"score": pytest.approx(s, rel=1e-6)} for s in wanted]
        }
        lines = "\n".join(json.dumps(instance(row)) for row in range(3)).encode()
        kinds = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
        answer = server.invoke(lines, kinds)[2]
        assert [json.loads(line)["score"] for line in answer.splitlines()] == pytest.approx(
            wanted, rel=1e-6
        )
        status, _, answer = server.invoke(records(X[:3]), RECORDIO)
        assert status == 200 and len(json.loads(answer)["predictions"]) == 3
        assert server.invoke(b"1,2", {"Content-Type": "text/csv"})[0] == 415
        assert server.invoke(b"{", {"Content-Type": "application/json"})[0] == 400
    finally:
        server.stop()


# --- in this process ---------------------------------------------------------------------------


def serving(kind: str = "regressor") -> Machine:
    rng = np.random.default_rng(0)
    return Machine(
        FMArtifact(
            0.1,
            rng.normal(size=4).astype("f4"),
            rng.normal(size=(4, 2)).astype("f4"),
            {"predictor_type": kind},
        )
    )


def ask(body, content_type="application/json", accept="*/*", kind="regressor"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return serving(kind).invoke(
        Invocation("POST", "/invocations", {"content-type": content_type, "accept": accept}, body)
    )


DENSE = {"features": [1, 0, 1, 0]}


def test_dense_and_sparse_instances_score_the_same():
    sparse_ = {"data": {"features": {"keys": [2, 0], "values": [1, 1]}}}
    found = json.loads(
        ask({"instances": [DENSE, sparse_, {"data": {"features": {"values": [1, 0, 1, 0]}}}]}).body
    )
    assert len({row["score"] for row in found["predictions"]}) == 1


def test_a_classifier_adds_the_label():
    (row,) = json.loads(ask({"instances": [DENSE]}, kind="binary_classifier").body)["predictions"]
    assert row["predicted_label"] == float(row["score"] >= 0.5) and 0 < row["score"] < 1


def test_answers_in_recordio():
    answer = ask(
        {"instances": [DENSE, DENSE]},
        accept="application/x-recordio-protobuf",
        kind="binary_classifier",
    )
    assert answer.content_type == "application/x-recordio-protobuf"
    assert struct.unpack_from("<I", answer.body)[0] == MAGIC
    assert answer.body.count(b"score") == 2 and answer.body.count(b"predicted_label") == 2


@pytest.mark.parametrize(
    "body, kind, status, message",
    [
        (b"{", "application/json", 400, "malformed application/json"),
        (b"\xff", "application/json", 400, "malformed application/json"),
        ([1, 2], "application/json", 400, 'expected {"instances": […]}'),
        ({"instances": [5]}, "application/json", 400, "instance 0 is int: expected an object"),
        ({"instances": [DENSE, {"data": 1}]}, "application/json", 400, 'instance 1 has no "features"'),
        ({"instances": [{"features": [1, 2]}]}, "application/json", 400, "2 values, but feature_dim is 4"),
        ({"instances": [{"features": {"keys": [4], "values": [1]}}]}, "application/json", 400, "key 4 is out of range: keys are 0 to 3"),
        ({"instances": [{"features": {"keys": [-1], "values": [1]}}]}, "application/json", 400, "key -1 is out of range"),
        ({"instances": [{"features": {"keys": [1, 1], "values": [1, 1]}}]}, "application/json", 400, "a key stands twice"),
        ({"instances": [{"features": {"keys": [1], "values": [1, 2]}}]}, "application/json", 400, "1 keys and 2 values"),
        ({"instances": [{"features": {"keys": [1], "values": [1], "shape": [9]}}]}, "application/json", 400, "has shape [9], but feature_dim is 4"),
        (b'{"instances": [{"features": [NaN, 0, 0, 0]}]}', "application/json", 400, "NaN"),
        ({"instances": [{"features": ["a", 0, 0, 0]}]}, "application/json", 400, "not numbers"),
        ({"instances": [{"features": [[1], 0, 0, 0]}]}, "application/json", 400, "unable to evaluate payload"),
        (b"no records", "application/x-recordio-protobuf", 400, "expected the magic number"),
        (records(np.ones((1, 3))), "application/x-recordio-protobuf", 400, "3 values, but feature_dim is 4"),
        (b"1,2,3,4", "text/csv", 415, "content type text/csv is not supported"),
        (b"x", "", 415, "content type missing is not supported"),
    ],
)  # fmt: skip
def test_requests_that_are_refused(body, kind, status, message):
    with pytest.raises(ClientError) as caught:
        ask(body, kind)
    assert caught.value.status == status and message in str(caught.value)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"feature_dim": None}, "Missing required hyperparameter: 'feature_dim'"),
        ({"epochs": "0"}, "The value '0' is not valid for the 'epochs' hyperparameter, which expects an integer of at least 1"),
        ({"epochs": "1.5"}, "The value '1.5' is not valid for the 'epochs'"),
        ({"mini_batch_size": "many"}, "'many' is not valid for the 'mini_batch_size'"),
        ({"num_factors": "-3"}, "'-3' is not valid for the 'num_factors'"),
        ({"factors_lr": "-0.1"}, "'-0.1' is not valid for the 'factors_lr' hyperparameter, which expects a float of at least 0"),
        ({"linear_wd": "nan"}, "'nan' is not valid for the 'linear_wd'"),
        ({"predictor_type": "ranker"}, "'ranker' is not valid for the 'predictor_type' hyperparameter, which expects one of binary_classifier, regressor"),
        ({"bias_init_method": "zero"}, "expects one of uniform, normal, constant"),
        ({"bias_init_method": "uniform"}, "Missing required hyperparameter: 'bias_init_scale' when 'bias_init_method' is 'uniform'"),
        ({"learning_rate": "0.1"}, "Additional hyperparameters are not allowed ('learning_rate' was unexpected)"),
    ],
)  # fmt: skip
def test_hyperparameters_out_of_range(change, message):
    given = {k: v for k, v in {**NEEDED, **change}.items() if v is not None}
    with pytest.raises(ValueError) as caught:
        FM.check(given)
    assert message in str(caught.value)


def test_defaults_are_awss():
    found = FM.settings({**NEEDED, "_tuning_objective_metric": "test:rmse", "epochs": '"5"'})
    wanted = {
        "epochs": 5,
        "mini_batch_size": 1000,
        "bias_lr": 0.1,
        "linear_lr": 0.001,
        "factors_lr": 0.0001,
    }
    wanted |= {
        "bias_wd": 0.01,
        "linear_wd": 0.001,
        "factors_wd": 0.00001,
        "bias_init_method": "normal",
    }
    wanted |= {"bias_init_sigma": 0.01, "linear_init_sigma": 0.01, "factors_init_sigma": 0.001}
    assert {name: found[name] for name in wanted} == wanted and "clip_gradient" not in found


def container(tmp_path, files: dict[str, bytes] | None, **settings) -> Container:
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    given = {**NEEDED, **settings}
    (config / "hyperparameters.json").write_text(json.dumps({k: str(v) for k, v in given.items()}))
    if files is not None:
        (tmp_path / "input" / "data" / "train").mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / "input" / "data" / "train" / name).write_bytes(content)
    return Container(tmp_path)


def row(keys, values=(1.0, 1.0), width=30):
    return sparse.csr_matrix(
        (np.array(values, "f4"), np.array(keys), np.array([0, 2])), shape=(1, width)
    )


ONE = np.ones(1, np.float32)
GOOD = records(X[:3], Y[:3])


@pytest.mark.parametrize(
    "files, settings, message",
    [
        (None, {}, "Missing required channel: 'train'"),
        ({}, {}, "No data found in the channel 'train': 0 files"),
        ({"a": b""}, {}, "No data found in the channel 'train': 1 files, all of them empty"),
        (
            {"a": GOOD},
            {"feature_dim": 31},
            "file a: record 0 has 30 features, but feature_dim is 31",
        ),
        ({"a": records(row([3, 40], width=30), ONE)}, {}, "key 40, out of range: keys are 0 to 29"),
        ({"a": records(row([9, 3]), ONE)}, {}, "key 3 after 9, unsorted"),
        ({"a": records(row([3, 3]), ONE)}, {}, "key 3 twice"),
        ({"a": records(row([3, 4], [1, np.nan]), ONE)}, {}, "the value nan"),
        ({"a": records(row([3, 4]), ONE * np.nan)}, {}, "the label nan"),
        ({"a": GOOD, "b": GOOD[:-7]}, {}, "file b: truncated: record 2"),
        ({"a": b"user,item,rating\n1,2,3"}, {}, "expected the magic number"),
        ({"a": records(X[:3])}, {}, "the records have no labels"),
        ({"a": GOOD, "b": records(X[:3])}, {}, "some files have labels and some have none"),
        (
            {"a": GOOD},
            {"predictor_type": "binary_classifier"},
            "for a binary_classifier: expected 0 or 1",
        ),
        ({"a": GOOD}, {"epochs": 0}, "'epochs'"),
        ({"a": GOOD}, {"factors_lr": 1e30, "linear_lr": 1e30, "epochs": 50}, "diverged in epoch"),
    ],
)
def test_a_job_that_cannot_train_says_why(tmp_path, files, settings, message):
    with pytest.raises((CustomerError, ValueError, FloatingPointError)) as caught:
        train(container(tmp_path, files, **settings))
    assert message in str(caught.value)


def test_the_reason_is_left_for_the_platform(tmp_path):
    bad = run(tmp_path, FM.name, {**FAST, "epochs": -2}, {"train": {"a": GOOD}})
    assert bad.code == 2 and "Traceback" not in bad.log
    assert bad.failure.startswith(
        "Customer Error: The value '-2' is not valid for the 'epochs' hyperparameter"
    )


def test_two_instances_are_refused(tmp_path):
    box = container(tmp_path, {"a": GOOD})
    box.hosts = ["algo-1", "algo-2"]
    with pytest.raises(CustomerError, match="instance_count 2"):
        train(box)


def test_the_rows_are_taken_in_the_order_of_the_file(tmp_path):
    """What AWS' talk of 2018 printed for ML-100K, u1, rows by user: 1.0006, and these seven losses of epoch 41."""
    from helpers.data import load_or_none, predefined_u1

    ratings = load_or_none("100k")
    if ratings is None:
        pytest.skip("ML-100K is not available here")
    split = predefined_u1(ratings)
    by_user = split.train.replace(split.train.frame.sort_values(["user", "item"]))
    so_far: list[float] = []

    def after(epoch: int, found: dict[str, float]) -> None:
        if epoch == 40:
            scores, labels = machine.progress
            so_far.extend(
                np.sqrt(np.mean((scores[:n] - labels[:n]) ** 2))
                for n in range(11_000, 72_000, 10_000)
            )

    machine = FactorizationMachine(factors=64, epochs=50, shuffle=False)
    machine.fit(*rating_rows(by_user), after)
    x, y = rating_rows(split.test)
    assert np.sqrt(np.mean((machine.scores(x) - y) ** 2)) == pytest.approx(1.00061402047, rel=0.002)
    assert so_far == pytest.approx(
        [0.999548, 0.974219, 0.982746, 0.973204, 0.971157, 0.964169, 0.963353], rel=0.005
    )


def test_a_job_keeps_the_order_and_reports_as_often_as_asked(tmp_path):
    settings = {**FAST, "epochs": 2, "mini_batch_size": 100, "_speedometer_period": 2}

    def trained(name: str, settings: dict, rows: slice = slice(None)):
        return run(tmp_path / name, FM.name, settings, {"train": {"a": records(X[rows], Y[rows])}})

    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(trained, "p", settings),
            pool.submit(trained, "f", {**FAST, "epochs": 1}),
            pool.submit(trained, "b", {**FAST, "epochs": 1}, slice(None, None, -1)),
        ]
    done, forward, backward = (job.result() for job in jobs)
    batches = [int(n) for n in re.findall(r"Epoch\[1\] Batch \[(\d+)\]", done.log)]
    assert batches[-1] == -(-X.shape[0] // 100) - 1
    assert batches == [*range(2, batches[-1], 2), batches[-1]]
    assert forward.log.split("train rmse")[1][:20] != backward.log.split("train rmse")[1][:20]


def test_the_curve_is_that_of_the_real_container(tmp_path):
    """Published for ML-100K, ratings of 4 and 5 as ones, k = 64: cross-entropy .5116 after 100 epochs."""
    from helpers.data import load_or_none

    ratings = load_or_none("100k")
    if ratings is None:
        pytest.skip("ML-100K is not available here")
    x, y = rating_rows(ratings)
    chosen = np.random.default_rng(1).permutation(len(y))[
        :90_570
    ]  # as many rows as the published job had
    seen: list[float] = []
    settings = FM.settings(
        {**NEEDED, "num_factors": "64", "predictor_type": "binary_classifier", "epochs": "100"}
    )
    settings.pop("feature_dim")
    machine = FactorizationMachine.from_sagemaker(settings)
    machine.fit(
        x[chosen],
        (y[chosen] >= 4).astype(np.float32),
        lambda e, found: seen.append(found["binary_classification_cross_entropy"]),
    )
    assert seen[-1] == pytest.approx(0.5116, rel=0.01)


def test_a_model_without_factors_does_not_serve(tmp_path):
    import zipfile

    from helpers.cloud.artifact import dump_params
    from helpers.cloud.serving import ServerDied

    with zipfile.ZipFile(tmp_path / "model_algo-1", "w") as archive:
        archive.writestr(
            "params", dump_params({"w0_weight": np.ones(1), "w1_weight": np.ones((4, 1))})
        )
    server = ModelServer(FM.name, tmp_path, environment={}, log=lambda line: None)
    server.start()
    with pytest.raises(ServerDied, match="no array v"):
        server.wait_ready(60)
    server.stop()


def test_recordio_rows_come_back_in_order():
    found = read_records(records(X[:50], Y[:50]), 30)
    np.testing.assert_array_equal(found.labels, Y[:50])
