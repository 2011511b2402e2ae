"""The README of local_sagemaker, followed word by word in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sagemaker.conftest import TELEMETRY

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.compile(r"^## (?P<title>[^\n]+)$|^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


def blocks() -> dict[str, list[str]]:
    """Return the code of each section."""
    found: dict[str, list[str]] = {}
    title = ""
    for match in BLOCKS.finditer((ROOT / "local_sagemaker" / "README.md").read_text()):
        title = match["title"] or title
        if match["text"]:
            code = match["text"].replace("/path/to/this/repository", str(ROOT))
            found.setdefault(title, []).append(code)
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The second shell of the README: its folder, its first lines and its variables."""
    folder = tmp_path_factory.mktemp("empty")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "COURSE_", "PYTHON"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    variables = kept | {"HOME": str(folder / "home"), "PATH": path}
    telemetry = folder / "sagemaker.yaml"
    telemetry.write_text(TELEMETRY)
    variables["SAGEMAKER_USER_CONFIG_OVERRIDE"] = str(telemetry)
    first, second = blocks()["Start"]
    (folder / "work").mkdir()
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": variables}
    command = ["bash", "-c", first.replace("python -m", "exec python -m")]
    server = subprocess.Popen(command, cwd=folder / "work", **how)
    assert server.stdout is not None
    said = [server.stdout.readline() for _ in range(3)]
    assert "SageMaker runs on this machine" in said[0], said
    yield folder / "work", second, variables
    server.terminate()
    assert server.wait(30) == 0
    server.stdout.close()


def follow(lab, kind: str, code: str) -> str:
    folder, first, variables = lab
    command = code if kind == "bash" else "python example.py"
    (folder / "example.py").write_text(code)
    how = {"env": variables, "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(["bash", "-ec", first + command], cwd=folder, **how)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_boto3_trains_deploys_and_asks(lab):
    (code,) = blocks()["boto3"]
    assert follow(lab, "python", code).splitlines() == ["Completed ", "[3.0, 6.0]"]


def test_the_aws_cli_stores_and_lists(lab):
    aws = shutil.which("aws")
    if not aws or subprocess.run([aws, "--version"], capture_output=True).returncode:
        pytest.skip("the AWS CLI is not installed")
    (code,) = blocks()["AWS CLI"]
    assert "words.txt" in follow(lab, "bash", code)


def test_version_3_of_the_sdk_trains(lab):
    (code,) = blocks()["SDK version 3"]
    assert "/output/model.tar.gz" in follow(lab, "python", code)
