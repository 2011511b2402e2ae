"""The factorization machine's artifact: MXNet's bytes without MXNet, and files that are none."""

import contextlib
import io
import zipfile

import numpy as np
import pytest

from helpers import gates
from local_sagemaker import archive
from local_sagemaker.formats import artifact
from local_sagemaker.formats.artifact import ArtifactError, FMArtifact
from tests.sagemaker.conftest import tar

needs_mxnet = pytest.mark.skipif(not gates.mxnet, reason="MXNet has no wheel for this machine")


SETTINGS = {"predictor_type": "regressor", "feature_dim": "6", "num_factors": "3"}


@pytest.fixture
def model() -> FMArtifact:
    rng = np.random.default_rng(0)
    w1, v = (rng.normal(size=shape).astype(np.float32) for shape in (6, (6, 3)))
    return FMArtifact(0.75, w1, v, SETTINGS)


def zipped(members: dict[str, bytes | str]) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def scores(model: FMArtifact, x: np.ndarray) -> np.ndarray:
    pairs = ((x @ model.v) ** 2).sum(1) - (x**2 @ model.v**2).sum(1)
    return model.w0 + x @ model.w1 + 0.5 * pairs


@pytest.mark.parametrize("dense", [False, True])
def test_round_trip_through_the_archive(model, tmp_path, dense):
    model = model._replace(dense=dense)
    (tmp_path / "model").mkdir()
    artifact.write_model(tmp_path / "model", model)
    packed = tmp_path / "model.tar.gz"
    with packed.open("wb") as file:
        archive.pack(tmp_path / "model", file)
    archive.unpack(packed.read_bytes(), "it", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model_algo-1"]
    for path in (packed, tmp_path / "out", tmp_path / "out" / "model_algo-1"):
        found = artifact.read_model(path)
        assert (found.w0, found.hyperparameters, found.dense) == (0.75, SETTINGS, dense)
        np.testing.assert_array_equal(found.w1, model.w1)
        np.testing.assert_array_equal(found.v, model.v)


@needs_mxnet
def test_params_are_byte_for_byte_mxnets(model, tmp_path):
    mx = gates.import_mxnet()
    path = str(tmp_path / "x.params")
    w0, w1 = np.array([model.w0], np.float32), model.w1[:, None]
    arrays = {"v": model.v, "w1_weight": w1, "w0_weight": w0}
    mx.nd.save(path, {f"arg:{name}": mx.nd.array(array) for name, array in arrays.items()})
    data = (tmp_path / "x.params").read_bytes()
    assert artifact.dump_params(arrays) == data
    for name, array in artifact.load_params(data).items():
        np.testing.assert_array_equal(array, arrays[name])


@needs_mxnet
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("kind", ["regressor", "binary_classifier"])
def test_mxnet_loads_and_scores_it(model, tmp_path, kind, dense):
    mx = gates.import_mxnet()
    made = FMArtifact(model.w0, model.w1, model.v, {"predictor_type": kind}, dense)
    path = artifact.write_model(tmp_path, made)
    with zipfile.ZipFile(path) as archive:
        (tmp_path / "model-symbol.json").write_bytes(archive.read("symbol.json"))
        (tmp_path / "model-0000.params").write_bytes(archive.read("params"))
    module = mx.mod.Module.load(str(tmp_path / "model"), 0, False, label_names=["out_label"])
    v = module._arg_params["v"].asnumpy()
    np.testing.assert_array_equal(v.T if dense else v, model.v)
    x = (np.random.default_rng(1).random((5, 6)) < 0.4).astype(np.float32)
    module.bind(for_training=False, data_shapes=[("data", x.shape)])
    module.set_params(module._arg_params, module._aux_params)
    module.forward(mx.io.DataBatch([mx.nd.array(x)]), is_train=False)
    wanted = scores(model, x)
    if kind == "binary_classifier":
        wanted = 1 / (1 + np.exp(-wanted))
    found = module.get_outputs()[0].asnumpy()[:, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no artifact"):
        artifact.read_model(tmp_path)
    (tmp_path / "other.tar.gz").write_bytes(tar({"saved_model.pb": "x"}))
    with pytest.raises(ArtifactError, match=r"holds saved_model.pb; expected model_algo-1"):
        artifact.read_model(tmp_path / "other.tar.gz")
    params = artifact.dump_params({"w0_weight": np.ones(1), "w1_weight": np.ones((4, 1))})
    missing = r"no array v; it holds w0_weight \(1,\), w1_weight \(4, 1\)"
    for members, message in (
        ({}, "not a zip file"),
        ({"meta.json": "{}"}, "no item named 'params'"),
        ({"params": params, "meta.json": "{"}, "not the zip file that .* leaves"),
        ({"params": params, "meta.json": "{}"}, missing),
    ):
        (tmp_path / "model_algo-1").write_bytes(zipped(members) if members else b"not a zip")
        with pytest.raises(ArtifactError, match=message):
            artifact.read_model(tmp_path)


def test_params_that_are_cut_off_or_damaged():
    data = artifact.dump_params({"v": np.ones((4, 2)), "w0_weight": np.ones(1)})
    for cut in range(len(data)):
        with pytest.raises(ArtifactError, match="params: "):
            artifact.load_params(data[:cut])
    for place in range(len(data)):
        with contextlib.suppress(ArtifactError):  # or a number of the weights is another
            artifact.load_params(data[:place] + b"\xff" + data[place + 1 :])
    with pytest.raises(ArtifactError, match="not MXNet's list"):
        artifact.load_params(b"\0" * 40)
