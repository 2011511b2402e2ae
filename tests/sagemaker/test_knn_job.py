"""The built-in k-NN: its job, its answers in ascending distance, and what is refused."""

import json
import re

import numpy as np
import pytest
from scipy import sparse

from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.algorithms.container import Container
from local_sagemaker.algorithms.inference import answer_knn as answer
from local_sagemaker.algorithms.knn_model import KNNModel
from local_sagemaker.algorithms.knn_train import train
from local_sagemaker.serving.server import ClientError
from tests.sagemaker.jobs import RECORDIO, asked, prepare, records, run, serving

KNN = BUILTIN["knn"]
RNG = np.random.default_rng(1)
VECTORS = RNG.normal(size=(600, 6)).astype(np.float32)
LABELS = np.arange(600, dtype=np.float32)
NEEDED = {"feature_dim": 6, "k": 3, "predictor_type": "classifier", "sample_size": 600}
PQ, FLAT = {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": 4}, {"index_type": "faiss.IVFFlat"}
LINES = "application/jsonlines; verbose=true"


def trained(folder, train_on=(VECTORS, LABELS), **settings) -> KNNModel:
    files = {"train": {"data": records(*train_on)}}
    train(Container(prepare(folder, NEEDED | settings, files), KNN.name))
    return KNNModel.load(folder / "model")


def ask(model: KNNModel, queries: np.ndarray, accept: str = LINES) -> list[dict]:
    found = answer(model, asked(records(queries), RECORDIO["Content-Type"], accept))
    return [json.loads(line) for line in found.body.splitlines()]


def truth(metric: str, queries: np.ndarray) -> np.ndarray:
    """Smaller is nearer."""
    if metric == "L2":
        return ((queries[:, None] - VECTORS[None]) ** 2).sum(2)
    if metric == "COSINE":
        one, two = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (queries, VECTORS))
        return -one @ two.T
    return -queries @ VECTORS.T


@pytest.mark.parametrize("metric", ["L2", "INNER_PRODUCT", "COSINE"])
def test_distances_ascend_whatever_the_metric(tmp_path, metric):
    """With an inner product the best neighbor therefore comes last: seen in a real output."""
    model = trained(tmp_path, index_metric=metric)
    nearest = np.argsort(truth(metric, VECTORS[:20]), axis=1)[:, :3]
    for row, wanted in zip(ask(model, VECTORS[:20]), nearest, strict=True):
        assert set(row) == {"labels", "distances", "predicted_label"}
        assert row["distances"] == sorted(row["distances"])
        assert row["labels"] == (wanted if metric == "L2" else wanted[::-1]).tolist()


@pytest.mark.parametrize(
    "metric, settings",
    [
        ("L2", PQ | {"faiss_index_ivf_nlists": 4}),
        ("L2", FLAT | {"faiss_index_ivf_nlists": 5}),
        ("INNER_PRODUCT", FLAT),
        ("COSINE", FLAT),
    ],
)
def test_approximate_indexes_find_most(tmp_path, metric, settings):
    model = trained(tmp_path, index_metric=metric, k=20, **settings)
    nearest = np.argsort(truth(metric, VECTORS[:50]), axis=1)[:, :20]
    rows = ask(model, VECTORS[:50])
    found = [len(set(r["labels"]) & set(n)) / 20 for r, n in zip(rows, nearest, strict=True)]
    assert np.mean(found) > 0.4
    assert all(r["distances"] == sorted(r["distances"]) for r in rows)


@pytest.mark.parametrize(
    "kind, k, queries, wanted",
    [("classifier", 3, [[0.5], [9.0]], [7, 3]), ("regressor", 2, [[0.4], [10.6]], [7, 4])],
)
def test_votes_and_means(tmp_path, kind, k, queries, wanted):
    line = np.array([[0.0], [1], [2], [10], [11]]), np.array([7, 7, 3, 3, 5], np.float32)
    model = trained(tmp_path, line, feature_dim=1, sample_size=5, k=k, predictor_type=kind)
    assert [row["predicted_label"] for row in ask(model, np.array(queries))] == wanted


def test_a_tie_goes_to_the_smallest_label():
    model = KNNModel(None, LABELS, {"predictor_type": "classifier", "feature_dim": 1})
    labels = np.array([[3, 1, 2], [2, 2, 1], [5, 5, 5], [4, 1, 4]], dtype=np.float32)
    assert model.predict(labels).tolist() == [1, 2, 5, 4]


def test_plain_answers_and_other_formats(tmp_path):
    model = trained(tmp_path)
    plain = [{"predicted_label": 0.0}, {"predicted_label": 1.0}]
    assert ask(model, VECTORS[:2], "application/jsonlines") == plain

    def send(body: bytes, kind: str, accept: str = "*/*") -> bytes:
        return answer(model, asked(body, kind, accept)).body

    csv = ",".join(map(str, VECTORS[3])).encode()
    assert json.loads(send(csv, "text/csv")) == {"predictions": [{"predicted_label": 3.0}]}
    body = json.dumps({"instances": [{"features": VECTORS[4].tolist()}]}).encode()
    found = json.loads(send(body, "application/json", "application/json; verbose=true"))
    assert found["predictions"][0]["labels"][0] == 4
    verbose = RECORDIO["Content-Type"] + "; verbose=true"
    assert b"distances" in send(body, "application/json", verbose)
    for wrong, message in ((b"1,2", "2 columns, .* feature_dim: 6"), (b"1,2,3,4,5,nan", "NaN")):
        with pytest.raises(ClientError, match=message):
            send(wrong, "text/csv")


def test_a_sample_of_the_data_is_kept(tmp_path):
    model = trained(tmp_path, sample_size=100)
    assert len({row["labels"][0] for row in ask(model, VECTORS)}) == 100


def test_the_test_channel_is_scored(tmp_path, capsys):
    near, kind = VECTORS * 0.01 + (LABELS % 2)[:, None], LABELS % 2
    channels = {"train": {"a": records(near, kind)}, "test": {"a": records(near[:50], kind[:50])}}
    train(Container(prepare(tmp_path, NEEDED, channels), KNN.name))
    log = capsys.readouterr().out
    regex = next(d["Regex"] for d in KNN.metric_definitions if d["Name"] == "test:accuracy")
    assert float(re.search(regex, log)[1]) == 1.0
    assert "#test_score (algo-1) : ('accuracy', 1.0)" in log


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"k": 0}, "value '0' is not valid for the 'k' .* expects an integer of at least 1"),
        ({"k": 700}, r"'700' is not valid for the 'k' .* from 1 to sample_size \(600\)"),
        ({"sample_size": 5000, "k": 601}, "'601' is not valid .* 600, the number of records"),
        ({"index_type": "faiss.HNSW"}, "expects one of faiss.Flat, faiss.IVFFlat, faiss.IVFPQ"),
        ({"index_type": "faiss.IVFPQ"}, "Missing .*: 'faiss_index_pq_m' when 'index_type' is"),
        (PQ | {"faiss_index_pq_m": 5}, "'5' is not valid for the 'faiss_index_pq_m'"),
        (PQ | {"index_metric": "COSINE"}, "'COSINE' is not valid .*'index_metric' .* when"),
        (FLAT | {"faiss_index_ivf_nlists": 601}, "'601' .* 'faiss_index_ivf_nlists'"),
        ({"dimension_reduction_type": "sign"}, "'dimension_reduction_type' is not supported on"),
        ({"feature_dim": 7}, "record 0 has 6 values, but feature_dim is 7"),
    ],
)
def test_settings_that_can_not_be_used_are_named(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        trained(tmp_path, **settings)


@pytest.mark.parametrize(
    "files, kind, message",
    [
        ({"a": records(VECTORS)}, "", "the records have no labels"),
        ({"a": records(VECTORS, np.arange(600) + 16_777_000)}, "", "label 16777217 is lost in"),
        ({"a.csv": b"16777217,1,2,3,4,5,6"}, "", "label 16777217 is lost in float32"),
        ({"a.csv": b"label,a,b,c,d,e,f"}, "", "not CSV of numbers without a header"),
        ({"a.csv": b"1,2,3,4,5,6,7\n1,2,3"}, "", "number of columns changed"),
        ({"a.csv": b"1,2,3,4,5,6,1e39"}, "", "row 0 holds NaN or infinity"),
        ({"a.csv": b"1,2,3,4,5,6,7#8"}, "", "not CSV of numbers"),
        ({"a.csv": b" \n"}, "", "file a.csv: no rows"),
        ({"a.csv": b"\xff"}, "", "not CSV of numbers"),
        ({"a.csv": b"1,2,3"}, "", r"3 columns, expected the label and feature_dim \(6\) features"),
        ({"a": b"{}"}, "application/json", "content type application/json is not supported"),
    ],
)
def test_data_that_can_not_be_used_is_named(tmp_path, files, kind, message):
    with pytest.raises(ValueError, match=message):
        train(Container(prepare(tmp_path, NEEDED, {"train": files}, train=kind), KNN.name))


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4", b"\x93NUMPY", b"no model"])
def test_a_model_that_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / "model_algo-1").write_bytes(content)
    with pytest.raises(ValueError, match="not the model of a k-NN job"):
        KNNModel.load(tmp_path)


@pytest.mark.parametrize("name", ["a.csv", "a.pbr"])
def test_csv_with_the_label_first_and_sparse_records_are_vectors_too(tmp_path, name):
    table = np.column_stack([LABELS, VECTORS])
    body = "\n".join(",".join(map(repr, row)) for row in table.tolist()).encode()
    body = body if name == "a.csv" else records(sparse.csr_matrix(VECTORS), LABELS)
    train(Container(prepare(tmp_path, NEEDED, {"train": {name: body}}), KNN.name))
    assert ask(KNNModel.load(tmp_path / "model"), VECTORS[7:8])[0]["labels"][0] == 7


def test_every_answer_has_k_neighbors_whatever_the_cells_hold(tmp_path):
    settings = {"k": 300, "faiss_index_ivf_nlists": 100, **FLAT}
    rows = ask(trained(tmp_path, **settings), VECTORS[:20])
    assert {len(set(row["labels"])) for row in rows} == {300}


def test_queries_without_a_finite_answer_are_the_callers_fault(tmp_path):
    with pytest.raises(ClientError, match="too large: a distance is no finite number"):
        ask(trained(tmp_path), np.full((1, 6), 3e38))


def test_top_100_for_every_user_by_a_server_of_its_own(tmp_path):
    """ML-100K's numbers: 943 users, 1,682 items, 65 dimensions."""
    rng = np.random.default_rng(0)
    items, users = (rng.normal(size=(n, 65)).astype(np.float32) for n in (1682, 943))
    settings = {"feature_dim": 65, "k": 100, "sample_size": 1682, "index_metric": "INNER_PRODUCT"}
    files = {"train": {"items": records(items, np.arange(1682, dtype=np.float32))}}
    done = run(tmp_path, KNN.name, NEEDED | settings, files)
    assert done.code == 0, done.log
    with serving(KNN.name, done.model) as server:
        status, headers, answer = server.invoke(records(users), RECORDIO | {"Accept": LINES})
    assert status == 200 and headers["content-type"] == LINES
    rows = [json.loads(line) for line in answer.splitlines()]
    best = np.argsort(-(users @ items.T), axis=1)[:, :100][:, ::-1]
    same = np.mean(np.array([row["labels"] for row in rows]) == best)
    assert same > 0.99  # scores that differ in the last bit may change places
