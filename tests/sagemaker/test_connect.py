"""A kernel's side: the SDK unchanged, one line printed, nothing left, no way to a real account."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import cloud
from helpers.book import ROOT
from helpers.cloud import connection
from tests.sagemaker.conftest import gone
from tests.sagemaker.jobs import python

NOTEBOOK = r'''
import json, os, pathlib, sys, tempfile
from helpers import cloud

aws = cloud.connect()
assert cloud.connect() is aws and aws.local
assert aws.bucket == "sagemaker-us-west-2-123456789012" and aws.account == "123456789012"
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig, SourceCode
from sagemaker.core.transformer import Transformer
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer

assert get_execution_role(aws.session) == aws.role
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "train.py").write_text("""
import argparse, json, os
p = argparse.ArgumentParser()
p.add_argument("--epochs", type=int)
p.add_argument("--fail", default="no")
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
where = {"region": aws.region, "instance_type": "ml.m5.xlarge"}
python = {"py_version": "py312", "image_scope": "training"}
tf = image_uris.retrieve("tensorflow", version="2.19", **python, **where)
sk = image_uris.retrieve("sklearn", version="1.2-1", py_version="py3", **where)
data = aws.session.upload_data(str(folder / "train.py"), aws.bucket, "course-05/in")

code = SourceCode(source_dir=str(folder), entry_script="train.py")
compute = Compute(instance_type="ml.m5.xlarge", instance_count=1)
out = OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/course-05/out")
mine = {"base_job_name": "course-05", "role": aws.role, "sagemaker_session": aws.session}

def trainer(**settings):
    return ModelTrainer(
        training_image=tf, source_code=code, compute=compute, hyperparameters=settings,
        output_data_config=out, **mine)

inputs = [InputData(channel_name="train", data_source=data)]
print("-- train")
job = trainer(epochs=2); job.train(inputs)
print("-- fail")
mine["base_job_name"] = "course-05-fails"  # the SDK adds the second: a quick job leaves the same
try:
    trainer(epochs=1, fail="yes").train(inputs)
except Exception as error:
    print(str(error).replace("\n", " | "))
print("-- deploy")
with cloud.cleanup(aws, prefix="course-05"):
    artifacts = job._latest_training_job.model_artifacts.s3_model_artifacts
    builder = ModelBuilder(
        image_uri=sk, s3_model_data_url=artifacts, role_arn=aws.role,
        sagemaker_session=aws.session, instance_type="ml.m5.xlarge",
        source_code=SourceCode(source_dir=str(folder), entry_script="inference.py"))
    one = {"initial_instance_count": 1, "instance_type": "ml.m5.xlarge"}
    builder.build(model_name="course-05-model")
    endpoint = builder.deploy(endpoint_name="course-05-endpoint", **one)
    print(endpoint.invoke(body="[1, 2]", content_type="application/json").body.read().decode())
    print(sorted(set(cloud.leftovers(aws)["what"])))
    batch = aws.session.upload_string_as_file_body("[1]", aws.bucket, "course-05/batch/one.json")
    transformer = Transformer(
        model_name="course-05-model", instance_count=1, instance_type="ml.m5.xlarge",
        output_path=f"s3://{aws.bucket}/course-05/answers", sagemaker_session=aws.session)
    transformer.transform(batch, content_type="application/json", logs=False)
    print(aws.session.read_s3_file(aws.bucket, "course-05/answers/one.json.out"))
print(set(cloud.leftovers(aws, prefix="course-05")["what"]))
print("-- away")
import boto3, socket
real = socket.getaddrinfo
def nowhere(host, *rest, **more):
    assert host in ("127.0.0.1", None), f"looked up {host}"
    return real(host, *rest, **more)
socket.getaddrinfo = nowhere
sts = boto3.client("sts", endpoint_url="https://sts.us-west-2.amazonaws.com")
s3 = boto3.Session(region_name="eu-west-1").client("s3")
print(sts.get_caller_identity()["Account"])
print(boto3.Session().get_credentials().access_key.startswith("LOCAL"))
print(s3.meta.endpoint_url.startswith("http://127.0.0.1"))
held = aws.client("sagemaker")
from sagemaker.core.resources import TrainingJob
socket.getaddrinfo = lambda *_, **__: sys.exit("a way out")
cloud.disconnect()
print(os.environ.get("AWS_ACCESS_KEY_ID"), "AWS_ENDPOINT_URL" in os.environ)
print("-- closed")
name = job._latest_training_job.training_job_name

def clean_up():
    with cloud.cleanup(aws, prefix="course-05"):
        pass

for call in [
    held.list_models,
    lambda: aws.client("sagemaker"),
    lambda: aws.client("iam"),
    lambda: aws.session,
    lambda: aws.bucket,
    clean_up,
    lambda: cloud.leftovers(aws),
    lambda: trainer(epochs=1).train(inputs),
    lambda: TrainingJob.get(name),
    endpoint.delete,
    lambda: transformer.sagemaker_session.boto_session.client("ec2"),
    lambda: transformer.sagemaker_session.boto_session.resource("s3"),
]:
    try:
        call()
        print("it went through")
    except cloud.CloudError as error:
        print(error)
'''


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """What a chapter's cells print, run where real-looking credentials lie about."""
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    keys = {"aws_access_key_id": "AKIAREAL", "aws_secret_access_key": "real"}
    lines = ["[default]", *(f"{name} = {key}" for name, key in keys.items()), ""]
    (home / ".aws" / "credentials").write_text("\n".join(lines))
    environment = {name.upper(): key for name, key in keys.items()}
    environment |= {"AWS_SESSION_TOKEN": "real", "AWS_PROFILE": "work", "HOME": str(home)}
    environment |= {"COURSE_CLOUD_STATE": "", "PYTHONWARNINGS": "ignore"}
    done = python("-c", NOTEBOOK, without=("AWS_", "COURSE_CLOUD"), **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    parts = (part.partition("\n") for part in ("connect\n" + done.stdout).split("-- "))
    return {title: text for title, _, text in parts} | {"errors": done.stderr}


def test_one_line_says_where_and_a_job_shows_its_own_lines_only(notebook):
    """And a failure the script's traceback; cleaning up says what it did; no way leads out."""
    where = "(region us-west-2, no account needed)"
    assert notebook["connect"] == f"Connected to the SageMaker of this machine {where}.\n"
    assert notebook["train"] == "epoch 0\nepoch 1\n" and notebook["errors"] == ""
    lines = notebook["fail"].splitlines()
    assert lines[0] == "epoch 0" and lines[1] == "Traceback (most recent call last):"
    assert 'File "/opt/ml/input/data/code/train.py", line 8, in <module>' in lines[2]
    assert lines[-2] == "ValueError: no such column"
    assert "Failure Reason: AlgorithmError: Traceback" in lines[-1]
    assert "ValueError: no such column, exit code: 1" in lines[-1]
    assert notebook["deploy"].splitlines() == [
        "[3, 6]",
        "['endpoint', 'endpoint configuration', 'model', 'objects in S3']",
        "[3]",
        "Cleaned up: 1 endpoint, 1 endpoint configuration, 1 model.",
        "{'objects in S3'}",
    ]
    assert notebook["away"].splitlines() == ["123456789012", "True", "True", "AKIAREAL False"]


def test_a_closed_connection_refuses_every_call_with_a_sentence(notebook):
    """Whatever holds it: real credentials are in the environment again, and nothing leaves."""
    closed = "This connection is closed: run cloud.connect() and the cells after it again."
    assert notebook["closed"].splitlines() == [closed] * 12


KERNEL = """
import json, sys, time
from helpers import cloud
from helpers.cloud import connection
from tests.sagemaker.conftest import Aws, INFERENCE
cloud.connect(sdk=False)
aws = Aws(connection._server)
inference = INFERENCE + "print('pid', os.getpid(), flush=True)\\n"
files = {"model.json": '{"w": 3}', "code/inference.py": inference}
aws.deploy("kept", aws.archive("m.tar.gz", files))
code = '''
import os, subprocess, time
child = subprocess.Popen(["sleep", "99"])
print("pid", os.getpid(), child.pid, flush=True)
time.sleep(99)
'''
aws.sm.create_training_job(**aws.train_request("kept", code))
lines = aws.log_with("pid", "/aws/sagemaker/TrainingJobs", "kept/")
lines += aws.log_with("pid", "/aws/sagemaker/Endpoints/kept", "AllTraffic/")
pids = [int(w) for line in lines if line.startswith("pid") for w in line.split()[1:]]
server = connection._server
print(json.dumps({"pids": [server.process.pid, *pids], "work": str(server.work)}), flush=True)
%s
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_nothing_is_left_of_a_kernel_that_is_gone(how):
    ending = "time.sleep(99)" if how == "killed" else "sys.exit(0)"
    environment = os.environ | {"COURSE_CLOUD_STATE": ""}
    here = {"env": environment, "cwd": ROOT, "stdout": subprocess.PIPE, "text": True}
    kernel = subprocess.Popen([sys.executable, "-c", KERNEL % ending], **here)
    assert kernel.stdout is not None
    kernel.stdout.readline()
    said = json.loads(kernel.stdout.readline())
    assert len(said["pids"]) == 4
    if how == "killed":
        kernel.send_signal(signal.SIGKILL)
    kernel.wait(15)
    assert [pid for pid in said["pids"] if not gone(pid)] == []
    assert not Path(said["work"]).exists()


def test_a_connection_whose_service_died_is_made_anew(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CLOUD_STATE", "")
    monkeypatch.delenv("COURSE_CLOUD", raising=False)
    before = dict(os.environ)
    try:
        first = cloud.connect(sdk=False)
        assert cloud.connect(sdk=False) is first
        settings = Path(os.environ["SAGEMAKER_USER_CONFIG_OVERRIDE"]).read_text(encoding="utf-8")
        assert "TelemetryOptOut: true" in settings, "version 2 reads it, too"
        assert connection._server is not None
        connection._server.process.kill()
        connection._server.process.wait()
        second = cloud.connect(sdk=False)
        assert second is not first
        assert second.client("s3").list_buckets()["Buckets"][0]["Name"] == second.bucket
    finally:
        cloud.disconnect()
    assert capsys.readouterr().out.count("Connected to the SageMaker of this machine") == 2
    assert dict(os.environ) == before


def test_where_only_version_2_of_the_sdk_is_connect_says_what_to_do(monkeypatch):
    monkeypatch.setenv("COURSE_CLOUD_STATE", "")
    monkeypatch.delenv("COURSE_CLOUD", raising=False)
    monkeypatch.setitem(sys.modules, "sagemaker.core.helper.session_helper", None)
    before = dict(os.environ)
    with pytest.raises(cloud.CloudError, match=r"need version 3 of .* cloud.connect\(sdk=False\)"):
        cloud.connect()
    assert dict(os.environ) == before and connection._server is None
