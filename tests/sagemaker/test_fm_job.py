"""The built-in factorization-machines: its job, log and answers, and what can go wrong."""

import json
import re
import struct
import zipfile

import numpy as np
import pytest
from scipy import sparse

from helpers.data import load_or_none, predefined_u1
from helpers.models.fm import FactorizationMachine, fm_scores, rating_rows, side_by_side
from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.algorithms.container import Container
from local_sagemaker.algorithms.fm_train import train
from local_sagemaker.algorithms.inference import answer_fm as answer
from local_sagemaker.formats.artifact import FMArtifact, load_params, read_model
from local_sagemaker.formats.payload import MAGIC
from local_sagemaker.serving.server import ClientError
from tests.sagemaker.jobs import RECORDIO, asked, prepare, records, run, serving

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
    kept = model.hyperparameters
    assert (kept["factors_lr"], kept["predictor_type"]) == ("0.0001", "regressor")


def values(log: str, name: str) -> list[float]:
    (regex,) = {d["Regex"] for d in FM.metric_definitions if d["Name"] == name}
    return [float(found) for found in re.findall(regex, log)]


def test_the_log_looks_like_the_talks_and_is_read_by_the_metric_definitions(job):
    errors = values(job.log, "train:rmse")
    assert len(errors) == 30 and errors[-1] < 0.3 < errors[0]
    (test,) = values(job.log, "test:rmse")
    wanted = np.sqrt(np.mean((fm_scores(X[900:], *read_model(job.model)[:3]) - Y[900:]) ** 2))
    assert test == pytest.approx(wanted, rel=1e-5)
    assert len(values(job.log, "train:throughput")) == 30
    assert not values(job.log, "test:binary_f_1")
    time = r"^\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] "
    speed = r"Epoch\[29\] Batch \[17\]#011Speed: [\d.]+ samples/sec#011rmse=0\.\d+"
    assert re.search(time + speed, job.log, re.M)
    assert re.search(r"#test_score \(algo-1\) : \('rmse', 0\.\d+\)", job.log)


def test_an_endpoint_takes_all_its_formats(job):
    wanted = [
        {"score": pytest.approx(s, rel=1e-6)} for s in fm_scores(X[:3], *read_model(job.model)[:3])
    ]
    rows = [{"keys": x.indices.tolist(), "shape": [30], "values": [1.0, 1.0]} for x in X[:3]]
    instances = [{"data": {"features": row}} for row in rows]
    with serving(FM.name, job.model) as server:
        body = json.dumps({"instances": instances}).encode()
        status, headers, found = server.invoke(body, {"Content-Type": "application/json"})
        assert status == 200 and headers["content-type"] == "application/json"
        assert json.loads(found) == {"predictions": wanted}
        lines = "\n".join(json.dumps(row) for row in instances).encode()
        kinds = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
        found = server.invoke(lines, kinds)[2]
        assert [json.loads(line) for line in found.splitlines()] == wanted
        status, _, found = server.invoke(records(X[:3]), RECORDIO)
        assert status == 200 and len(json.loads(found)["predictions"]) == 3


# --- in this process ---------------------------------------------------------------------------


def ask(body, content_type="application/json", accept="*/*", kind="regressor"):
    rng = np.random.default_rng(0)
    w1, v = rng.normal(size=4).astype("f4"), rng.normal(size=(4, 2)).astype("f4")
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    model = FMArtifact(0.1, w1, v, {"predictor_type": kind})
    return answer(model, asked(body, content_type, accept))


DENSE = {"features": [1, 0, 1, 0]}


def test_answers_to_dense_and_sparse_instances_of_both_kinds():
    sparse_ = {"data": {"features": {"keys": [2, 0], "values": [1, 1]}}}
    other = {"data": {"features": {"values": [1, 0, 1, 0]}}}
    found = json.loads(ask({"instances": [DENSE, sparse_, other]}).body)
    assert len({row["score"] for row in found["predictions"]}) == 1
    assert json.loads(ask({"instances": []}).body) == {"predictions": []}
    (row,) = json.loads(ask({"instances": [DENSE]}, kind="binary_classifier").body)["predictions"]
    assert row["predicted_label"] == float(row["score"] >= 0.5) and 0 < row["score"] < 1
    kind = RECORDIO["Content-Type"]
    found = ask({"instances": [DENSE, DENSE]}, accept=kind, kind="binary_classifier")
    assert found.content_type == kind
    assert struct.unpack_from("<I", found.body)[0] == MAGIC
    assert found.body.count(b"score") == 2 and found.body.count(b"predicted_label") == 2


def features(of: object) -> dict:
    return {"instances": [{"features": of}]}


@pytest.mark.parametrize(
    "body, message",
    [
        (b"{", "malformed application/json"),
        ([1, 2], 'expected {"instances": […]}'),
        ({"instances": [5]}, "instance 0 is no object"),
        ({"instances": [DENSE, {"data": 1}]}, 'instance 1 has no "features"'),
        (features("1,0,1,0"), 'instance 0 has no "features"'),
        (features([1, 2]), "2 values, but feature_dim is 4"),
        (features({"keys": [0], "shape": 4, "values": [1]}), "has shape 4: expected [4]"),
        (features({"keys": [0], "shape": [10**30], "values": [1]}), "000]: expected [4]"),
        (features({"keys": [1.0, 2.7], "values": [1, 1]}), "the key 2.7: expected whole numbers"),
        (features({"keys": [4], "values": [1]}), "the key 4, out of range: keys are 0 to 3"),
        (features({"keys": [-1], "values": [1]}), "the key -1, out of range"),
        (features({"keys": [2**70], "values": [1]}), "the key 1180591620717411303424, out of"),
        (features({"keys": [10**400], "values": [1]}), "among its keys: expected numbers"),
        (features({"keys": [float("nan")], "values": [1]}), "the key nan: expected whole"),
        (features({"keys": [[0]], "values": [1]}), "has '[0]' among its keys"),
        (features({"keys": [1, 1], "values": [1, 1]}), "a key stands twice"),
        (features({"keys": [1], "values": [1, 2]}), "1 keys and 2 values"),
        (features([float("nan"), 0, 0, 0]), "instance 0 has the value nan"),
        (features([1e39, 0, 0, 0]), "the value inf: expected finite numbers of float32"),
        (features([3e38, 3e38, 3e38, 3e38]), "too large: a prediction is no finite number"),
        (features([[1, 2], [3, 4], [1, 2], [3, 4]]), "has '[1, 2]' among its values"),
        ({"instances": [DENSE, {"features": [0, 0, 0, "b"]}]}, "instance 1 has 'b' among"),
        (b"[" * 200_000, "malformed application/json"),
        (b'{"instances": [{"features": [' + b"9" * 5000 + b"]}]}", "malformed application/json"),
        (b"\xff\xfe\x00", "malformed application/json"),
        (b"", "the body is empty"),
    ],
)
def test_requests_that_are_refused(body, message):
    with pytest.raises(ClientError) as caught:
        ask(body)
    assert caught.value.status == 400 and message in str(caught.value)


@pytest.mark.parametrize(
    "kind, status, message",
    [
        (RECORDIO["Content-Type"], 400, "expected the magic number"),
        ("application/jsonlines", 400, "malformed application/jsonlines"),
        ("", 415, "missing is not"),
        ("text/csv", 415, "text/csv is not supported: expected one of application/json"),
    ],
)
def test_requests_of_another_kind(kind, status, message):
    with pytest.raises(ClientError, match=message) as caught:
        ask(b"no records", kind)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "change, message",
    [
        ({"feature_dim": None}, "Missing required hyperparameter: 'feature_dim'"),
        ({"epochs": "1.5"}, "The value '1.5' is not valid for the 'epochs'"),
        ({"num_factors": "-3"}, "'-3' is not valid for the 'num_factors'"),
        ({"linear_wd": "nan"}, "'nan' is not valid for the 'linear_wd'"),
        ({"predictor_type": "ranker"}, "expects one of binary_classifier, regressor"),
        ({"bias_init_method": "uniform"}, "'bias_init_scale' when 'bias_init_method' is 'uniform'"),
        ({"learning_rate": "0.1"}, "Additional hyperparameters are not allowed ('learning_rate'"),
    ],
)
def test_hyperparameters_out_of_range(change, message):
    given = {k: v for k, v in (NEEDED | change).items() if v is not None}
    with pytest.raises(ValueError) as caught:
        FM.settings(given)
    assert message in str(caught.value)


def test_defaults_are_awss():
    found = FM.settings(NEEDED | {"_tuning_objective_metric": "test:rmse", "epochs": '"5"'})
    wanted = {"epochs": 5, "mini_batch_size": 1000, "bias_init_method": "normal"}
    wanted |= {"bias_lr": 0.1, "linear_lr": 0.001, "factors_lr": 0.0001}
    wanted |= {"bias_wd": 0.01, "linear_wd": 0.001, "factors_wd": 0.00001}
    wanted |= {"bias_init_sigma": 0.01, "linear_init_sigma": 0.01, "factors_init_sigma": 0.001}
    assert {name: found[name] for name in wanted} == wanted and "clip_gradient" not in found


GOOD, BARE = records(X[:3], Y[:3]), records(X[:3])


@pytest.mark.parametrize(
    "files, settings, message",
    [
        (None, {}, "Missing required channel: 'train'"),
        ({"a": b""}, {}, "No data found in the channel 'train': 1 files, all of them empty"),
        ({"a": GOOD}, {"feature_dim": 31}, "file a: record 0 has 30 features, but feature_dim"),
        ({"a": GOOD, "b": GOOD[:-7]}, {}, "file b: truncated: record 2"),
        ({"a": GOOD, "b": BARE}, {}, "file b: the records have no labels"),
        ({"a": GOOD}, {"predictor_type": "binary_classifier"}, "expected 0 or 1"),
        ({"a": records(X[:3], Y[:3] * np.nan)}, {}, "file a: record 0 has the label nan"),
        ({"a": records(X[:3] * np.inf, Y[:3])}, {}, "file a: record 0 has the value inf"),
        ({"a": records(X[:3], np.array([1, 16_777_217, 3]))}, {}, "label 16777217 is lost"),
        ({"a": GOOD}, {"num_factors": 10**15}, "Unable to allocate"),
        ({"a": GOOD}, {"factors_lr": 1e30, "linear_lr": 1e30, "epochs": 50}, "diverged in epoch"),
    ],
)
def test_a_job_that_cannot_train_says_why(tmp_path, files, settings, message):
    channels = {} if files is None else {"train": files}
    with pytest.raises((ValueError, FloatingPointError, MemoryError)) as caught:
        train(Container(prepare(tmp_path, NEEDED | settings, channels), FM.name))
    assert message in str(caught.value)


def test_labels_of_the_test_channel_are_judged_before_the_training(tmp_path):
    channels = {"train": {"a": records(X, (Y > 3).astype("f4"))}, "test": {"a": GOOD}}
    settings = NEEDED | {"predictor_type": "binary_classifier"}
    with pytest.raises(ValueError, match="expected 0 or 1"):
        train(Container(prepare(tmp_path, settings, channels), FM.name))
    assert not list((tmp_path / "model").iterdir())


def test_dense_records_leave_the_arrays_that_aws_leaves(tmp_path):
    """Their names and shapes are those that published code reads after the MNIST notebook."""
    channels = {"train": {"a": records(X.toarray(), Y)}}
    train(Container(prepare(tmp_path, NEEDED, channels), FM.name))
    with zipfile.ZipFile(tmp_path / "model" / "model_algo-1") as archive:
        arrays = load_params(archive.read("params"))
    shapes = {name: array.shape for name, array in arrays.items()}
    wanted = {"Linear_Plus_Bias_weight": (1, 30), "Linear_Plus_Bias_bias": (1,)}
    assert shapes == {"v": (2, 30), **wanted}
    assert read_model(tmp_path / "model").v.shape == (30, 2)


def test_the_reason_is_left_for_the_platform(tmp_path):
    bad = run(tmp_path, FM.name, FAST | {"epochs": -2}, {"train": {"a": GOOD}})
    assert bad.code == 2 and "Traceback" not in bad.log
    assert bad.failure.startswith("Customer Error: The value '-2' is not valid for the 'epochs'")


def test_two_instances_are_refused(tmp_path):
    config = prepare(tmp_path, NEEDED, {"train": {"a": GOOD}}) / "input" / "config"
    (config / "resourceconfig.json").write_text('{"hosts": ["algo-1", "algo-2"]}')
    with pytest.raises(ValueError, match="instance_count 2"):
        Container(tmp_path, FM.name)


def test_a_job_keeps_the_order_and_reports_as_often_as_asked(tmp_path, capsys):
    def log(name: str, settings: dict, step: int = 1) -> str:
        files = {"train": {"a": records(X[::step], Y[::step])}}
        train(Container(prepare(tmp_path / name, FAST | settings, files), FM.name))
        return capsys.readouterr().out

    often = {"epochs": 2, "mini_batch_size": 100, "_speedometer_period": 2}
    batches = re.findall(r"Epoch\[1\] Batch \[(\d+)\]", log("p", often))
    last = -(-X.shape[0] // 100) - 1
    assert [int(n) for n in batches] == [*range(2, last, 2), last]
    first, second = (log(str(step), {"epochs": 1}, step) for step in (1, -1))
    assert first.split("train rmse")[1][:20] != second.split("train rmse")[1][:20]


@pytest.fixture(scope="module")
def ratings():
    found = load_or_none("100k")
    if found is None:
        pytest.skip("ML-100K is not on this machine")
    return found


def test_the_rows_are_taken_in_the_order_of_the_file(ratings):
    """What AWS' talk of 2018 printed for ML-100K, u1, rows by user: seven losses of epoch 41."""
    split = predefined_u1(ratings)
    by_user = split.train.replace(split.train.frame.sort_values(["user", "item"]))
    so_far: list[float] = []

    def after(epoch: int, found: dict[str, float]) -> None:
        if epoch == 40:
            scores, labels = machine.progress
            for n in range(11_000, 72_000, 10_000):
                so_far.append(np.sqrt(np.mean((scores[:n] - labels[:n]) ** 2)))

    machine = FactorizationMachine(factors=64, epochs=50, shuffle=False)
    machine.fit(*rating_rows(by_user), after)
    x, y = rating_rows(split.test)
    assert np.sqrt(np.mean((machine.scores(x) - y) ** 2)) == pytest.approx(1.00061402047, rel=0.002)
    talk = [0.999548, 0.974219, 0.982746, 0.973204, 0.971157, 0.964169, 0.963353]
    assert so_far == pytest.approx(talk, rel=0.005)


def test_the_curve_is_that_of_the_real_container(ratings):
    """Published for ML-100K, 4 and 5 as ones, 64 factors: cross-entropy .5116 after 100 epochs."""
    x, y = rating_rows(ratings)
    rows = np.random.default_rng(1).permutation(len(y))[:90_570]  # as many as the published job
    seen: list[float] = []
    given = {"num_factors": "64", "predictor_type": "binary_classifier", "epochs": "100"}
    settings = FM.settings(NEEDED | given)
    settings.pop("feature_dim")

    def after(epoch: int, found: dict[str, float]) -> None:
        seen.append(found["binary_classification_cross_entropy"])

    machine = FactorizationMachine.from_sagemaker(settings)
    machine.fit(x[rows], (y[rows] >= 4).astype(np.float32), after)
    assert seen[-1] == pytest.approx(0.5116, rel=0.01)
