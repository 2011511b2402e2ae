"""A lab's server: what it acknowledged is there after it was killed, and kernels find it."""

import io
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from moto.s3.models import s3_backends

from helpers import cloud
from helpers.book import ROOT
from helpers.cloud import connection
from helpers.files import cloud_folder
from local_sagemaker import files, launch
from local_sagemaker.__main__ import main as lab_main
from local_sagemaker.errors import CloudError
from local_sagemaker.service.s3 import StoredS3
from local_sagemaker.serving.server import Request
from tests.sagemaker.conftest import BUCKET, DATA, INFERENCE, Aws, change, gone, until


def kill(server: launch.Server) -> None:
    """End a service the hard way."""
    assert server.process is not None
    server.process.kill()
    server.process.wait()


def opened(state) -> Aws:
    server = launch.launch(state=state).listening()
    launch.wait_until_ready(server)
    return Aws(server)


class Writers:
    """Kernels that write one object after the other, and remember what was acknowledged."""

    def __init__(self, lab: Aws) -> None:
        self.lab = lab
        self.told: dict[str, bytes] = {}
        self.tried: dict[str, bytes] = {}
        own = {"target": self.write, "daemon": True}
        self.threads = [threading.Thread(args=(n,), **own) for n in range(4)]
        for thread in self.threads:
            thread.start()

    def write(self, number: int) -> None:
        for turn in itertools.count():
            key = f"writers/{number}-{turn % 3}"  # each is written again and again
            self.tried[key] = f"{turn} ".encode() * 3000
            try:
                self.lab.put(key, self.tried[key])
            except BotoCoreError:
                return  # the service is gone
            self.told[key] = self.tried[key]

    def wait(self, least: int) -> None:
        told = self.told
        until(lambda: sum(int(b.split()[0]) for b in dict(told).values()) >= least, 300, 0.01)

    def check(self, lab: Aws) -> None:
        """What is there is what was acknowledged last, or what was on its way."""
        for thread in self.threads:
            thread.join(10)
        assert len(self.told) == 12
        for key, body in self.told.items():
            assert lab.get(key) in (body, self.tried[key]), key


def put_every_way(s3, blob: bytes) -> None:
    """Create, replace, copy, tag, upload in parts and delete, in a bucket of its own."""
    for bucket in ("own", "brief"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=PLACE)
    s3.delete_bucket(Bucket="brief")
    about = {"ContentType": "text/x", "Metadata": {"who": "me"}, "Tagging": "t=1"}
    s3.put_object(Bucket="own", Key="a/ü +%.txt", Body="one", **about)
    for key, body in (("../../escape", "in"), ("twice", "first"), ("twice", "second")):
        s3.put_object(Bucket="own", Key=key, Body=body)
    s3.upload_fileobj(io.BytesIO(blob), "own", "big")  # in parts
    s3.copy_object(Bucket="own", Key="copy", CopySource={"Bucket": "own", "Key": "twice"})
    for number in range(4):
        s3.put_object(Bucket="own", Key=f"gone-{number}", Body="x")
    s3.delete_object(Bucket="own", Key="gone-0")
    s3.delete_objects(Bucket="own", Delete={"Objects": [{"Key": "gone-1"}, {"Key": "gone-2"}]})
    with pytest.raises(ClientError, match="does not keep the setting 'versioning'"):
        s3.put_bucket_versioning(Bucket="own", VersioningConfiguration={"Status": "Enabled"})


def test_what_was_acknowledged_survives_a_kill(tmp_path, model, aws):
    lab = opened(tmp_path)
    blob = os.urandom(1 << 20) * 9
    put_every_way(lab.s3, blob)
    before = lab.s3.head_object(Bucket="own", Key="big")
    made = {b["Name"]: b["CreationDate"] for b in lab.s3.list_buckets()["Buckets"]}
    data = lab.put("three.tar.gz", aws.get("models/three.tar.gz"))
    assert lab.deploy("kept", data)["EndpointStatus"] == "InService"
    lab.sm.delete_endpoint_config(EndpointConfigName="kept")
    lab.sm.delete_model(ModelName="kept")
    assert lab.ask("kept", [1]) == [3]  # it outlives its configuration and its model
    lab.model("tagged", data)
    arn = lab.sm.describe_model(ModelName="tagged")["ModelArn"]
    lab.sm.add_tags(ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    code = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
    lab.sm.create_training_job(**lab.train_request("cut", code))
    lines = lab.log_with("pid", "/aws/sagemaker/TrainingJobs", "cut/")
    writers = Writers(lab)
    writers.wait(40)
    kill(lab.server)
    assert gone(int(lines[0].split()[1])), "a lab that is killed takes its programs with it"

    lab = opened(tmp_path)
    writers.check(lab)
    s3 = lab.s3
    found = s3.get_object(Bucket="own", Key="a/ü +%.txt")
    kept = (found["Body"].read(), found["ContentType"], found["Metadata"])
    assert kept == (b"one", "text/x", {"who": "me"})
    tags = s3.get_object_tagging(Bucket="own", Key="a/ü +%.txt")["TagSet"]
    assert tags == [{"Key": "t", "Value": "1"}]
    for key in ("twice", "copy"):
        assert s3.get_object(Bucket="own", Key=key)["Body"].read() == b"second"
    after = s3.get_object(Bucket="own", Key="big")
    assert after["Body"].read() == blob
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket="own")["Contents"]]
    assert keys == ["../../escape", "a/ü +%.txt", "big", "copy", "gone-3", "twice"]
    assert {b["Name"]: b["CreationDate"] for b in s3.list_buckets()["Buckets"]} == made
    assert set(made) == {"own", BUCKET}
    assert not (tmp_path.parent / "escape").exists()
    assert lab.sm.describe_endpoint(EndpointName="kept")["EndpointStatus"] == "InService"
    assert lab.ask("kept", [2]) == [6]  # its model server starts with its first request
    assert lab.sm.list_endpoint_configs()["EndpointConfigs"] == []
    assert lab.sm.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    cut = lab.sm.describe_training_job(TrainingJobName="cut")
    assert cut["TrainingJobStatus"] == "Failed"
    assert "ended while the job ran" in cut["FailureReason"]
    lab.server.stop()


THREE_FILES = """
import os
for name in "abc":
    open(f"{os.environ['SM_MODEL_DIR']}/{name}", "wb").write(os.urandom(900_000))
"""


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux' limits of a process")
def test_a_disk_that_is_full_under_the_service(tmp_path):
    """No file may grow beyond a megabyte, wherever the service and its jobs write."""
    lab = opened(tmp_path)
    assert lab.server.process is not None

    def limit(size: int) -> None:
        sizes = (size, resource.RLIM_INFINITY)
        resource.prlimit(lab.server.process.pid, resource.RLIMIT_FSIZE, sizes)

    big = os.urandom(2 << 20)
    large = lab.put("full/large", big)
    lab.put("full/kept", b"first")
    files = {"model.json": "3" + " " * len(big), "code/inference.py": INFERENCE}
    padded = lab.archive("full/padded.tar.gz", files)
    limit(1 << 20)
    for key in ("full/kept", "full/new"):
        with pytest.raises(ClientError, match="could not keep it: File too large"):
            lab.put(key, big)
    assert lab.get("full/kept") == b"first"
    failed = [lab.fails("input", change=change(DATA, large)), lab.fails("output", THREE_FILES)]
    for reason in failed:
        assert reason.startswith("InternalServerError") and "File too large" in reason
    found = lab.deploy("padded", padded)
    assert found["EndpointStatus"] == "Failed" and "File too large" in found["FailureReason"]
    limit(resource.RLIM_INFINITY)
    assert lab.train("after", "pass")["TrainingJobStatus"] == "Completed"
    kill(lab.server)

    lab = opened(tmp_path)
    assert lab.get("full/kept") == b"first" and lab.get("full/large") == big
    assert lab.s3.list_objects_v2(Bucket=BUCKET, Prefix="full/new")["KeyCount"] == 0
    for name, status in (("input", "Failed"), ("output", "Failed"), ("after", "Completed")):
        assert lab.sm.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == status
    lab.server.stop()


class Disk:
    """S3 on a disk that can be full, without a server around it."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.open()

    def open(self) -> None:
        s3_backends.reset()
        self.s3 = StoredS3(self.folder)

    def call(self, method: str, path: str, body: bytes = b"", query: str = ""):
        scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-west-2/s3/aws4_request"
        headers = {"authorization": scope, "host": "127.0.0.1:1"}
        return self.s3(Request(method, path, query, headers, body))


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path, monkeypatch):
    disk = Disk(tmp_path)
    assert disk.call("PUT", "/own", LOCATION).status == 200
    assert disk.call("PUT", "/own/kept", b"first").status == 200
    with monkeypatch.context() as full:
        full.setattr(files.os, "fsync", no_space)
        for path in ("/own/kept", "/own/new"):
            refused = disk.call("PUT", path, b"second")
            assert refused.status == 500 and b"No space left on device" in refused.body
        assert disk.call("PUT", "/other", LOCATION).status == 500
        assert disk.call("GET", "/own/kept").body == b"first"
        assert disk.call("GET", "/own/new").status == disk.call("GET", "/other").status == 404
    disk.open()
    assert disk.call("GET", "/own/kept").body == b"first"
    assert disk.call("PUT", "/own/kept", b"fourth").status == 200
    assert sorted(p.suffix for p in (tmp_path / "own").iterdir()) == [".json", ".object"]


def no_space(handle):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("bucket", ["..", "%2e%2e", "a..b/../../x", "Upper"])
def test_a_bucket_can_not_name_another_folder(tmp_path, bucket):
    disk = Disk(tmp_path / "s3")
    assert disk.call("PUT", f"/{bucket}").status >= 400
    assert list((tmp_path / "s3").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["s3"]


def swap_for_a_folder(path):
    path.unlink()
    path.mkdir()


def one(folder, text: str):
    """The one file of a folder that holds a text."""
    (found,) = (p for p in folder.rglob("*.*") if p.is_file() and text in p.read_text("latin-1"))
    return found


DAMAGE = (
    lambda path: os.truncate(path, 20),
    lambda path: os.truncate(path, 0),
    lambda path: path.write_bytes(os.urandom(999)),
    lambda path: path.write_text("[1]"),
    swap_for_a_folder,
)
PLACE = {"LocationConstraint": "us-west-2"}
LOCATION = (
    b"<CreateBucketConfiguration><LocationConstraint>us-west-2</LocationConstraint>"
    b"</CreateBucketConfiguration>"
)


def test_a_damaged_file_is_set_aside_and_named_and_the_lab_starts(tmp_path):
    """Whatever lies in the state folder: the rest is there, and nothing is deleted in silence."""
    lab = opened(tmp_path)
    s3, hurt = tmp_path / "s3", {}
    for number in range(len(DAMAGE) + 1):  # the last stays whole
        lab.put(f"in/{number}", f"the object {number}")
        lab.model(f"model-{number}", f"s3://{BUCKET}/in/{number}")
        own = f"own-{number}"
        lab.s3.create_bucket(Bucket=own, CreateBucketConfiguration=PLACE)
        lab.s3.put_object(Bucket=own, Key="kept", Body=f"in {own}")
    kill(lab.server)
    for number, harm in enumerate(DAMAGE):
        hurt[one(s3, f"the object {number}")] = harm
        hurt[one(tmp_path / "sagemaker", f"model-{number}")] = harm
        hurt[s3 / f"own-{number}" / "bucket.json"] = harm
    for path, harm in hurt.items():
        harm(path)
    own = s3 / "own-0"
    stray = [own / "notes" / "mine.txt", own / "mine.txt", own / "mine.json", s3 / "my" / "x.txt"]
    for path in stray:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")

    lab = opened(tmp_path)
    said = lab.server.set_aside
    assert len(said) == len(hurt)
    for path in hurt:
        (sentence,) = (s for s in said if s.startswith(f"{path} is damaged ("))
        aside = path.with_name(sentence.rpartition(" ")[2].rstrip("."))
        assert aside.exists() and aside.name.startswith(f"{path.name}.damaged-")
    last = len(DAMAGE)
    assert [m["ModelName"] for m in lab.sm.list_models()["Models"]] == [f"model-{last}"]
    for number in range(last + 1):
        kept = lab.s3.get_object(Bucket=f"own-{number}", Key="kept")["Body"].read()
        assert kept == f"in own-{number}".encode()
    keys = [row["Key"] for row in lab.s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys == [f"in/{last}"] and lab.get(keys[0]) == f"the object {last}".encode()
    lab.model("model-0", lab.put("in/0", "again"))
    lab.s3.delete_object(Bucket="own-0", Key="kept")
    lab.s3.delete_bucket(Bucket="own-0")
    kill(lab.server)

    lab = opened(tmp_path)
    assert lab.server.set_aside == []
    assert lab.get("in/0") == b"again"
    assert "own-0" not in {b["Name"] for b in lab.s3.list_buckets()["Buckets"]}
    lab.server.stop()
    assert len(list(s3.rglob("*mine*"))) == 3 and (s3 / "my" / "x.txt").exists()


def test_a_file_in_place_of_the_folder_is_set_aside(tmp_path):
    (tmp_path / "s3").write_text("no folder")
    disk = Disk(tmp_path / "s3")
    assert "s3 is damaged (it is no folder)" in disk.s3.set_aside[0]
    assert disk.call("PUT", "/own", LOCATION).status == 200


@pytest.mark.parametrize(
    "spoil",
    [
        lambda head: head.update(key="another"),
        lambda head: head.update(key=7),
        lambda head: head.update(etag=5),
        lambda head: head.update(modified="yesterday"),
        lambda head: head.update(metadata={"a": 1}),
        lambda head: head.update(checksum_value=5),
    ],
)
def test_an_object_whose_head_is_damaged_is_set_aside(tmp_path, spoil):
    disk = Disk(tmp_path)
    disk.call("PUT", "/own", LOCATION)
    for key in ("kept", "spoiled"):
        disk.call("PUT", f"/own/{key}", b"bytes")
    path = one(tmp_path, '"spoiled"')
    head, _, body = path.read_bytes().partition(b"\n")
    said = json.loads(head)
    spoil(said)
    path.write_bytes(json.dumps(said).encode() + b"\n" + body)
    disk.open()
    assert len(disk.s3.set_aside) == 1 and f"{path} is damaged (" in disk.s3.set_aside[0]
    listed = disk.call("GET", "/own").body
    assert listed.count(b"<Key>") == 1 and b"<Key>kept</Key>" in listed


CONNECT = """
import os
from helpers import cloud
aws = cloud.connect(sdk=False)
s3 = aws.client("s3")
s3.put_object(Bucket=aws.bucket, Key=f"from-{os.getpid()}", Body=b"x")
print(len(s3.list_objects_v2(Bucket=aws.bucket)["Contents"]))
"""


def test_a_lab_says_what_it_set_aside_and_kernels_find_it_and_share_it(tmp_path):
    damaged = tmp_path / "sagemaker" / "model" / "x.json"
    files.write(damaged, "{")
    for name in ("server.json", "service.log"):
        (tmp_path / name / "mine").mkdir(parents=True)
    names = ("COURSE_CLOUD_STATE", "LOCAL_SAGEMAKER_STATE")  # where kernels look, and labs serve
    environment = os.environ | dict.fromkeys(names, str(tmp_path)) | {"PYTHONPATH": str(ROOT)}
    here = {"env": environment, "cwd": ROOT, "text": True, "stdout": subprocess.PIPE}
    command = [sys.executable, "-m", "local_sagemaker"]
    lab = subprocess.Popen(command, **here)
    try:
        lines = [lab.stdout.readline() for _ in range(5)]
        for name, line in zip(("server.json", "service.log"), lines, strict=False):
            assert line.startswith(f"{tmp_path / name} is damaged (it is a folder)")
        assert f"{damaged} is damaged (JSONDecodeError" in lines[2]
        assert "SageMaker runs on this machine" in lines[3]
        assert lines[4] == f"Its log is {tmp_path / 'service.log'}.\n"
        assert (tmp_path / "service.log").exists()
        assert oct((tmp_path / "server.json").stat().st_mode)[-3:] == "600"
        second = subprocess.run(command, **here, stderr=subprocess.PIPE, timeout=120)
        assert second.returncode == 2 and "already uses" in second.stderr
        shown = subprocess.run([*command, "--env"], **here, timeout=120)
        values = dict(line[7:].split("=", 1) for line in shown.stdout.splitlines())  # export …
        assert values["AWS_ENDPOINT_URL"] in lines[3]
        kernels = [subprocess.Popen([sys.executable, "-c", CONNECT], **here) for _ in range(2)]
        counts = [int(kernel.communicate(timeout=150)[0].splitlines()[-1]) for kernel in kernels]
        assert max(counts) == 2
    finally:
        lab.send_signal(signal.SIGINT)
        assert lab.wait(15) == 0
    assert lab.stdout.read().splitlines()[-1] == f"Ended. What is stored stays in {tmp_path}."
    assert not (tmp_path / "server.json").exists()
    none = subprocess.run([*command, "--env"], **here, stderr=subprocess.PIPE, timeout=120)
    assert none.returncode == 2 and "No server uses" in none.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "abc"], "'abc' is no port: expected a number from 0 to 65535"),
        (["--port", "70000"], "'70000' is no port"),
        (["--stat", "x", "y"], "unrecognized arguments: y"),
        (["--state", "{file}/x"], "can't be used: Not a directory. Name another folder"),
        (["--port", "{taken}"], "Address already in use. Name another --port, or none"),
    ],
)
def test_a_lab_that_can_not_start_says_why(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.setenv("LOCAL_SAGEMAKER_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        filled = {"file": tmp_path / "file", "taken": taken.getsockname()[1]}
        try:
            code = lab_main([argument.format(**filled) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
    assert code == 2 and sentence.format(**filled) in capsys.readouterr().err


def test_native_windows_is_sent_to_wsl(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(CloudError, match="needs Linux or macOS: on Windows, use WSL"):
        launch.launch()


def test_a_note_that_names_no_running_server_is_not_believed(tmp_path, monkeypatch, aws):
    assert launch.find(tmp_path) is None
    for text in ("{", "[]", json.dumps({"port": 9, "token": "x", "region": "us-west-2"})):
        (tmp_path / "server.json").write_text(text, encoding="utf-8")
        assert launch.find(tmp_path) is None
    launch.announce(launch.Server(aws.server.port, "LOCAL0"), tmp_path)
    assert launch.find(tmp_path) is None, "another token"
    launch.announce(aws.server, tmp_path)
    assert launch.find(tmp_path) == launch.Server(aws.server.port, aws.server.token)
    monkeypatch.setenv("COURSE_CLOUD_STATE", "")
    assert cloud_folder() is None


def test_a_busy_lab_is_waited_for_and_never_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CLOUD_STATE", str(tmp_path))
    monkeypatch.delenv("COURSE_CLOUD", raising=False)
    monkeypatch.setattr(launch.Server.alive, "__defaults__", (0.3,))
    held = files.hold(tmp_path / "lock")
    lab = opened(tmp_path)
    launch.announce(lab.server, tmp_path)
    lab.put("mine", "x")
    pid = lab.server.process.pid
    try:
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(CloudError, match=rf"{tmp_path}, but does not answer for 0 s.*Ctrl-C"):
            launch.find(tmp_path, patience=0)
        threading.Timer(1, os.kill, (pid, signal.SIGCONT)).start()
        made = cloud.connect(sdk=False)
        assert made.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1
        where = "the lab on this machine (region us-west-2, no account needed)"
        assert capsys.readouterr().out == f"Connected to the SageMaker of {where}.\n"
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(1, os.kill, (pid, signal.SIGCONT)).start()
        assert cloud.connect(sdk=False) is made, "a kernel that is connected waits, too"
        held.close()
        kill(lab.server)
        again = cloud.connect(sdk=False)
        assert again is not made and made.closed
        assert "connected to has ended; this is another" in capsys.readouterr().out
    finally:
        cloud.disconnect()
        held.close()
        kill(lab.server)


def test_a_kernels_own_service_that_is_busy_is_not_replaced(monkeypatch):
    monkeypatch.setenv("COURSE_CLOUD_STATE", "")
    monkeypatch.delenv("COURSE_CLOUD", raising=False)
    monkeypatch.setattr(launch.Server.alive, "__defaults__", (0.3,))
    try:
        made = cloud.connect(sdk=False)
        pid = connection._server.process.pid
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr(connection, "_PATIENCE", 0.1)
        with pytest.raises(CloudError, match="does not answer for 0 s"):
            cloud.connect(sdk=False)
        os.kill(pid, signal.SIGCONT)
        assert cloud.connect(sdk=False) is made
    finally:
        os.kill(pid, signal.SIGCONT)
        cloud.disconnect()
