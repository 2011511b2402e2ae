"""SDK version 2 in an environment of its own: what trains, deploys and transforms with it today."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sagemaker.conftest import TELEMETRY, full
from tests.sagemaker.test_readme import ROOT, blocks

pytestmark = full  # installs version 2 of the SDK
LEAD = """
import os, time
from local_sagemaker import clients, launch
os.environ.update(AWS_CONFIG_FILE=os.devnull)
clients.use(launch.Server(int(os.environ["PORT"]), os.environ["TOKEN"]))
clients.lead_here = lambda: None
real = time.sleep
time.sleep = lambda seconds: real(min(seconds, 0.2))
"""
HEAD = """
import io, json
import boto3
import numpy as np
import sagemaker
import sagemaker.amazon.common as smac
from sagemaker.estimator import Estimator
session, role = sagemaker.Session(), sagemaker.get_execution_role()
bucket, s3, sm = session.default_bucket(), boto3.client("s3"), boto3.client("sagemaker")
def upload(key, write, *arrays):
    buffer = io.BytesIO()
    write(buffer, *arrays)
    buffer.seek(0)
    s3.upload_fileobj(buffer, bucket, key)
    return f"s3://{bucket}/{key}"
def estimator(name, **settings):
    made = Estimator(
        sagemaker.image_uris.retrieve(name, session.boto_region_name),
        role,
        instance_count=1,
        instance_type="ml.c4.xlarge",
        output_path=f"s3://{bucket}/v2/{name}/out",
        sagemaker_session=session,
    )
    made.set_hyperparameters(**settings)
    return made
"""
FM = """
import scipy.sparse as sparse
from sagemaker.deserializers import JSONDeserializer
from sagemaker.serializers import JSONSerializer
class FMSerializer(JSONSerializer):
    def serialize(self, data):
        return json.dumps({"instances": [{"features": row.tolist()} for row in data]})
rows = np.eye(30, dtype="float32")[np.arange(200) % 10] + np.eye(30, dtype="float32")[10 + np.arange(200) % 20]
labels = (np.arange(200) % 2).astype("float32")
data = upload("v2/fm", smac.write_spmatrix_to_sparse_tensor, sparse.csr_matrix(rows), labels)
fm = estimator("factorization-machines", feature_dim=30, predictor_type="binary_classifier",
               mini_batch_size=50, num_factors=4, epochs=3)
fm.fit({"train": data})
predictor = fm.deploy(initial_instance_count=1, instance_type="ml.c4.xlarge",
                      serializer=FMSerializer(), deserializer=JSONDeserializer())
assert {"score", "predicted_label"} == set(predictor.predict(rows[:2])["predictions"][1])
predictor.delete_endpoint()
s3.download_file(bucket, fm.model_data.split("/", 3)[3], "model.tar.gz")
import tarfile
assert tarfile.open("model.tar.gz").getnames() == ["model_algo-1"]
"""
KNN = """
items = np.random.default_rng(0).random((20, 5)).astype("float32")
data = upload("v2/knn", smac.write_numpy_to_dense_tensor, items, np.arange(1, 21).astype("float32"))
knn = estimator("knn", feature_dim=5, k=3, index_metric="INNER_PRODUCT",
                predictor_type="classifier", sample_size=20)
knn.fit({"train": data})
name = knn.latest_training_job.job_name
container = {"Image": knn.training_image_uri(), "ModelDataUrl": knn.model_data}
sm.create_model(ModelName=name, ExecutionRoleArn=knn.role, PrimaryContainer=container)
users = upload("v2/users", smac.write_numpy_to_dense_tensor, items[:4])
transformer = sagemaker.transformer.Transformer(
    base_transform_job_name="knn", model_name=name, instance_count=1,
    instance_type="ml.c4.xlarge", output_path=f"s3://{bucket}/v2/knn/answers",
    accept="application/jsonlines; verbose=true")
transformer.transform(users, content_type="application/x-recordio-protobuf")
transformer.wait()
s3.download_file(bucket, "v2/knn/answers/users.out", "answers")
answers = [json.loads(line) for line in open("answers")]
assert len(answers) == 4 and all(len(one["labels"]) == len(one["distances"]) == 3 for one in answers)
"""
SCRIPT = """
from sagemaker.sklearn import SKLearn
open("train.py", "w").write('''
import argparse, os, joblib
def model_fn(folder): return joblib.load(folder + "/m.joblib")
def predict_fn(x, factor): return factor * x
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--factor", type=float)
    parser.add_argument("--flag", type=lambda value: value == "True")
    given = parser.parse_args()
    assert given.flag
    joblib.dump(given.factor, os.environ["SM_MODEL_DIR"] + "/m.joblib")
''')
def fitted(factor):
    made = SKLearn(entry_point="train.py", role=role, framework_version="1.2-1", instance_count=1,
                   instance_type="ml.m5.large", hyperparameters={"factor": factor, "flag": True})
    made.fit()
    return made
first = fitted(3.0)
predictor = first.deploy(initial_instance_count=1, instance_type="ml.m5.large")
assert predictor.predict(np.array([1.0, 2.0])).tolist() == [3, 6]
other = fitted(4.0).create_model()
other.create("ml.m5.large")
predictor.update_endpoint(initial_instance_count=1, instance_type="ml.m5.large", model_name=other.name)
assert predictor.predict(np.array([1.0, 2.0])).tolist() == [4, 8]
predictor.delete_endpoint()
transformer = first.transformer(1, "ml.m5.large", output_path=f"s3://{bucket}/v2/script/out",
                                accept="application/json")
s3.put_object(Bucket=bucket, Key="v2/in.json", Body=b"[1.0, 2.0]")
transformer.transform(f"s3://{bucket}/v2/in.json", content_type="application/json")
transformer.wait()
assert s3.get_object(Bucket=bucket, Key="v2/script/out/in.json.out")["Body"].read() == b"[3.0, 6.0]"
"""
PATHS = {
    "factorization machines, the talk's cells": HEAD + FM,
    "k-NN and a batch transform, the blog's cells": HEAD + KNN,
    "script mode, an update and a batch transform": HEAD + SCRIPT,
    "the README's example": "".join(blocks()["SDK version 2"]),
}


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A Python with version 2 of the SDK, from the package registry."""
    folder = tmp_path_factory.mktemp("v2") / "venv"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    made = folder / "bin" / "python"
    command = [*uv, "pip", "install", "-q", "--python", str(made), "sagemaker>=2.257,<3", "scipy"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"version 2 of the SDK can't be installed here: {done.stderr[-300:]}")
    return made


@pytest.mark.parametrize("path", PATHS)
def test_version_2_of_the_sdk(aws, python, tmp_path, path):
    telemetry = tmp_path / "config.yaml"
    telemetry.write_text(TELEMETRY)
    (tmp_path / "example.py").write_text(LEAD + PATHS[path])
    own = {"PORT": str(aws.server.port), "TOKEN": aws.server.token, "PYTHONPATH": str(ROOT)}
    own |= {"SAGEMAKER_USER_CONFIG_OVERRIDE": str(telemetry), "HOME": str(tmp_path)}
    how = {"env": os.environ | own, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run([python, "example.py"], cwd=tmp_path, **how)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
