"""One service for all tests of this folder, and clients whose every answer is judged."""

import contextlib
import io
import json
import os
import tarfile
import time

import psutil
import pytest

from local_sagemaker import launch
from tests.sagemaker.contract import judge

full = pytest.mark.skipif(not os.environ.get("COURSE_FULL"), reason="COURSE_FULL=1 runs it, too")
TELEMETRY = "{PythonSDK: {Modules: {TelemetryOptOut: true}}}"  # an SDK would report to AWS
TELEMETRY = f"SchemaVersion: '1.0'\nSageMaker: {TELEMETRY}\n"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
BUCKET = "sagemaker-us-west-2-123456789012"
ECR = "763104351884.dkr.ecr.us-west-2.amazonaws.com"
TENSORFLOW = f"{ECR}/tensorflow-training:2.19-cpu-py312"
SKLEARN = f"{ECR}/sagemaker-scikit-learn:1.2-1-cpu-py3"
INFERENCE = """
import json, os, time
def model_fn(d): return json.load(open(os.path.join(d, "model.json")))
def predict_fn(x, m):
    if x == "die": os._exit(7)
    return [m["w"] * v for v in x]
def input_fn(body, kind):
    if kind == "application/jsonlines":
        return [json.loads(line) for line in body.splitlines() if line.strip()]
    return json.loads(body)
def output_fn(p, accept):
    if accept == "application/jsonlines":
        return "".join(json.dumps(v) + "\\n" for v in p), accept
    return json.dumps(p), "application/json"
"""


def job_request(name: str, image: str, data: str, settings: dict[str, str]) -> dict:
    """Return a training job of one instance and one channel."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}}
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "HyperParameters": settings,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": source}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


class Aws:
    """Clients of one service, and the calls that most tests make."""

    def __init__(self, server: launch.Server) -> None:
        self.server = server
        self._clients: dict[str, object] = {}

    def client(self, service: str):
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            made = boto3.session.Session().client(
                service,
                region_name="us-west-2",
                endpoint_url=self.server.url,
                aws_access_key_id=self.server.token,
                aws_secret_access_key="local",
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )
            self._clients[service] = judge(made) if service.startswith("sagemaker") else made
        return self._clients[service]

    sm = property(lambda self: self.client("sagemaker"))
    s3 = property(lambda self: self.client("s3"))
    runtime = property(lambda self: self.client("sagemaker-runtime"))

    def put(self, key: str, data: bytes | str) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def archive(self, key: str, files: dict[str, str]) -> str:
        return self.put(key, tar(files))

    def train_request(self, name: str, code: str, *, count: int = 1, **settings) -> dict:
        """Return a script-mode job: a script and its hyperparameters."""
        self.put("in/train/x.csv", "1,2\n")
        submitted = self.archive(f"code/{name}.tar.gz", {"train.py": code})
        own = {"sagemaker_program": "train.py", "sagemaker_submit_directory": submitted}
        written = {k: json.dumps(v) for k, v in (own | settings).items()}
        made = job_request(name, TENSORFLOW, f"s3://{BUCKET}/in/train", written)
        made["ResourceConfig"]["InstanceCount"] = count
        return made

    def train(self, name: str, code: str, *, count: int = 1, change=None, **settings) -> dict:
        request = self.train_request(name, code, count=count, **settings)
        if change:
            change(request)
        self.sm.create_training_job(**request)
        return self.trained(name)

    def fails(self, name: str, code: str = "pass", **more) -> str:
        """Train a job that fails; return the reason."""
        found = self.train(name, code, **more)
        assert found["TrainingJobStatus"] == found["SecondaryStatus"] == "Failed"
        return found["FailureReason"]

    def trained(self, name: str) -> dict:
        return wait(
            lambda: self.sm.describe_training_job(TrainingJobName=name), "TrainingJobStatus"
        )

    def model(self, name: str, data: str, image: str = SKLEARN, **environment: str) -> None:
        self.sm.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": image, "ModelDataUrl": data, "Environment": environment},
        )

    def config(self, name: str, model: str) -> None:
        variant = {"VariantName": "AllTraffic", "ModelName": model}
        variant |= {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        self.sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def deploy(self, name: str, data: str, image: str = SKLEARN) -> dict:
        self.model(name, data, image)
        return self.endpoint(name)

    def endpoint(self, name: str) -> dict:
        """Bring a model of that name into service."""
        self.config(name, name)
        self.sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
        return self.deployed(name)

    def deployed(self, name: str) -> dict:
        return wait(lambda: self.sm.describe_endpoint(EndpointName=name), "EndpointStatus")

    def ask(self, name: str, value: object, **more):
        more = {"ContentType": "application/json"} | more
        body = value if isinstance(value, bytes) else json.dumps(value)
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **more)
        return json.loads(answer["Body"].read())

    def log_with(self, line: str, group: str, prefix: str, seconds: float = 30) -> list[str]:
        """Read a log until a line in it begins so: it gets there a moment after it is written."""

        def said() -> list[str]:
            with contextlib.suppress(self.client("logs").exceptions.ResourceNotFoundException):
                lines = self.log(group, prefix)
                return lines if any(one.startswith(line) for one in lines) else []
            return []

        return until(said, seconds)

    def log(self, group: str, prefix: str) -> list[str]:
        logs = self.client("logs")
        found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)
        lines = []
        for name in (stream["logStreamName"] for stream in found["logStreams"]):
            said = logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)
            lines += [event["message"] for event in said["events"]]
        return lines

    def job_log(self, name: str) -> list[str]:
        return self.log("/aws/sagemaker/TrainingJobs", f"{name}/")


def tar(files: dict[str, str]) -> bytes:
    """Return a tar.gz with those files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def change(path: str, value: object):
    """Return what changes one member of a request, named as in ``ResourceConfig.InstanceCount``."""

    def apply(request: dict) -> None:
        *places, last = path.split(".")
        for place in places:
            request = request[int(place) if place.isdigit() else place]
        request[last] = value

    return apply


DATA = "InputDataConfig.0.DataSource.S3DataSource.S3Uri"


BUSY = ("InProgress", "Stopping", "Creating", "Updating")


def until(check, seconds: float = 60, pause: float = 0.05):
    """Return what a check returns, as soon as that is true."""
    limit = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < limit, f"not so within {seconds:g} s: {check}"
        time.sleep(pause)
    return found


def wait(describe, member: str, seconds: float = 180) -> dict:
    """Describe until a status is final."""
    return until(lambda: (said := describe())[member] not in BUSY and said, seconds)


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def gone(pid: int) -> bool:
    """Whether a process is gone within some seconds."""
    return until(lambda: ended(pid), 5)


@pytest.fixture(scope="session")
def aws():
    server = launch.launch().listening()
    launch.wait_until_ready(server)
    yield Aws(server)
    server.stop()


@pytest.fixture(scope="session")
def model(aws) -> str:
    """A model that multiplies by three, with its own inference code."""
    files = {"model.json": '{"w": 3}', "code/inference.py": INFERENCE}
    return aws.archive("models/three.tar.gz", files)
