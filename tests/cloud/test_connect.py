"""A kernel's side: the SDK unchanged, one line printed, nothing left behind, no way to a real account."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from helpers.book import ROOT
from tests.cloud.conftest import gone

NOTEBOOK = r'''
import json, os, pathlib, sys, tempfile
from helpers import cloud

aws = cloud.connect()
assert cloud.connect() is aws and aws.local
assert aws.bucket == "sagemaker-us-west-2-123456789012" and aws.account == "123456789012"
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.transformer import Transformer
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode

assert get_execution_role(aws.session) == aws.role
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "train.py").write_text("""
import argparse, json, os
p = argparse.ArgumentParser(); p.add_argument("--epochs", type=int); p.add_argument("--fail", default="no")
a = p.parse_args()
for epoch in range(a.epochs): print(f"epoch {epoch}", flush=True)
if a.fail == "yes": raise ValueError("no such column")
json.dump({"w": 3}, open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w"))
""")
(folder / "inference.py").write_text("""
import json, os
def model_fn(d): return json.load(open(os.path.join(d, "model.json")))
def predict_fn(x, m): return [m["w"] * v for v in x]
""")
tf = image_uris.retrieve("tensorflow", aws.region, version="2.19", py_version="py312", instance_type="ml.m5.xlarge", image_scope="training")
sk = image_uris.retrieve("sklearn", aws.region, version="1.2-1", py_version="py3", instance_type="ml.m5.xlarge")
data = aws.session.upload_data(str(folder / "train.py"), aws.bucket, "course-05/in")

def trainer(**settings):
    return ModelTrainer(
        training_image=tf, source_code=SourceCode(source_dir=str(folder), entry_script="train.py"), role=aws.role,
        base_job_name="course-05", sagemaker_session=aws.session, compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
        hyperparameters=settings, output_data_config=OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/course-05/out"))

inputs = [InputData(channel_name="train", data_source=data)]
print("-- train")
job = trainer(epochs=2); job.train(inputs)
print("-- fail")
try:
    trainer(epochs=1, fail="yes").train(inputs)
except Exception as error:
    print(str(error).replace("\n", " | "))
print("-- quote")
try:
    trainer(epochs=1, fail="it's").train(inputs)
except Exception as error:
    print(str(error))
print("-- deploy")
with cloud.cleanup(aws, prefix="course-05"):
    builder = ModelBuilder(
        image_uri=sk, s3_model_data_url=job._latest_training_job.model_artifacts.s3_model_artifacts, role_arn=aws.role,
        sagemaker_session=aws.session, instance_type="ml.m5.xlarge",
        source_code=SourceCode(source_dir=str(folder), entry_script="inference.py"))
    builder.build(model_name="course-05-model")
    endpoint = builder.deploy(endpoint_name="course-05-endpoint", initial_instance_count=1, instance_type="ml.m5.xlarge")
    print(endpoint.invoke(body=json.dumps([1, 2]), content_type="application/json").body.read().decode())
    print(sorted(cloud.leftovers(aws)["what"]))
    batch = aws.session.upload_string_as_file_body("[1]", aws.bucket, "course-05/batch/one.json")
    transformer = Transformer(
        model_name="course-05-model", instance_count=1, instance_type="ml.m5.xlarge", sagemaker_session=aws.session,
        output_path=f"s3://{aws.bucket}/course-05/answers")
    transformer.transform(batch, content_type="application/json", logs=False)
    print(aws.session.read_s3_file(aws.bucket, "course-05/answers/one.json.out"))
print(len(cloud.leftovers(aws)))
print("-- away")
import boto3, socket
real = socket.getaddrinfo
def nowhere(host, *rest, **more):
    assert host in ("127.0.0.1", None), f"looked up {host}"
    return real(host, *rest, **more)
socket.getaddrinfo = nowhere
print(boto3.client("sts", endpoint_url="https://sts.us-west-2.amazonaws.com").get_caller_identity()["Account"])
print(boto3.Session().get_credentials().access_key.startswith("COURSE"), boto3.Session(region_name="eu-west-1").client("s3").meta.endpoint_url.startswith("http://127.0.0.1"))
cloud.disconnect()
print(os.environ.get("AWS_ACCESS_KEY_ID"), "AWS_ENDPOINT_URL" in os.environ)
'''


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """What a chapter's cells print, run where real-looking credentials lie about."""
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_PROFILE": "work",
        "COURSE_CLOUD_STATE": "",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }
    environment.pop("COURSE_CLOUD", None)
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, *parts = done.stdout.split("-- ")
    return (
        {"connect": first}
        | {p.split("\n", 1)[0]: p.split("\n", 1)[1] for p in parts}
        | {"errors": done.stderr}
    )


def test_one_line_says_where(notebook):
    assert (
        notebook["connect"]
        == "Connected to the SageMaker of this machine (region us-west-2, no account needed).\n"
    )
    assert notebook["errors"] == ""


def test_a_jobs_own_lines_are_shown_and_nothing_else(notebook):
    assert notebook["train"] == "epoch 0\nepoch 1\n"


def test_a_failure_shows_the_scripts_traceback(notebook):
    lines = notebook["fail"].splitlines()
    assert lines[0] == "epoch 0" and lines[1] == "Traceback (most recent call last):"
    assert 'File "/opt/ml/input/data/code/train.py", line 6, in <module>' in lines[2]
    assert lines[-2] == "ValueError: no such column"
    assert "Failure Reason: AlgorithmError: Traceback" in lines[-1]
    assert "ValueError: no such column, exit code: 1" in lines[-1]


def test_a_quote_in_a_setting_is_refused_with_the_reason(notebook):
    assert "The hyperparameter 'fail' holds a single quote" in notebook["quote"]


def test_deploy_invoke_transform_and_clean_up(notebook):
    assert notebook["deploy"].splitlines() == [
        "[3, 6]",
        "['endpoint', 'endpoint configuration', 'model']",
        "[3]",
        "Cleaned up: 1 endpoint, 1 endpoint configuration, 1 model.",
        "0",
    ]


def test_no_way_leads_to_a_real_account(notebook):
    assert notebook["away"].splitlines() == ["123456789012", "True True", "AKIAREAL False"]


KERNEL = """
import json, sys, time
from helpers import cloud
from helpers.cloud import connection
from tests.cloud.conftest import Aws, INFERENCE
cloud.connect(sdk=False)
aws = Aws(connection._server)
aws.deploy("kept", aws.archive("m.tar.gz", {"model.json": '{"w": 3}', "code/inference.py": INFERENCE + "print('pid', os.getpid(), flush=True)\\n"}))
code = "import os, subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']); print('pid', os.getpid(), c.pid, flush=True); time.sleep(99)"
aws.sm.create_training_job(**aws.train_request("kept", code))
lines = []
while sum(line.startswith("pid") for line in lines) < 2:
    time.sleep(.05)
    try: lines = aws.log("/aws/sagemaker/TrainingJobs", "kept/") + aws.log("/aws/sagemaker/Endpoints/kept", "AllTraffic/")
    except Exception: pass
pids = [int(w) for line in lines if line.startswith("pid") for w in line.split()[1:]]
print(json.dumps({"pids": [connection._server.process.pid, *pids], "work": str(connection._server.work)}), flush=True)
%s
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_nothing_is_left_of_a_kernel_that_is_gone(how):
    ending = "time.sleep(99)" if how == "killed" else "sys.exit(0)"
    environment = os.environ | {"COURSE_CLOUD_STATE": "", "PYTHONPATH": str(ROOT)}
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL % ending],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdout is not None
    kernel.stdout.readline()
    said = json.loads(kernel.stdout.readline())
    assert len(said["pids"]) == 4
    if how == "killed":
        kernel.send_signal(signal.SIGKILL)
    kernel.wait(15)
    assert [pid for pid in said["pids"] if not gone(pid)] == []
    assert not os.path.exists(said["work"])  # noqa: PTH110


def test_a_connection_whose_service_died_is_made_anew(monkeypatch, capsys):
    from helpers import cloud
    from helpers.cloud import connection

    monkeypatch.setenv("COURSE_CLOUD_STATE", "")
    monkeypatch.delenv("COURSE_CLOUD", raising=False)
    before = dict(os.environ)
    try:
        first = cloud.connect(sdk=False)
        assert cloud.connect(sdk=False) is first
        assert connection._server is not None and connection._server.process is not None
        connection._server.process.kill()
        connection._server.process.wait()
        second = cloud.connect(sdk=False)
        assert second is not first
        assert second.client("s3").list_buckets()["Buckets"][0]["Name"] == second.bucket
    finally:
        cloud.disconnect()
    assert capsys.readouterr().out.count("Connected to the SageMaker of this machine") == 2
    assert dict(os.environ) == before


def test_an_early_question_has_a_clear_answer():
    from helpers.cloud import CloudError
    from helpers.cloud.connection import current

    with pytest.raises(CloudError, match=r"call cloud\.connect\(\) first"):
        current()
