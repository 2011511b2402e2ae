"""The service of this machine: found (the lab's) or started (this kernel's own), and pointed at."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_sagemaker.errors import CloudError
from local_sagemaker.files import work_folder, write_atomically

ROOT = Path(__file__).resolve().parents[1]
REGION = "us-west-2"
_START_SECONDS = 90.0  # on a machine that does much else; one that dies is noticed at once
_TOKEN_BYTES = 16


def state_folder() -> Path | None:
    """Folder of a lab's server: ``COURSE_CLOUD_STATE``, else in the reader's home; None where empty."""
    named = os.environ.get("COURSE_CLOUD_STATE")
    if named is not None:
        return Path(named) if named else None
    return Path.home() / ".recsys-workbook" / "cloud"


@dataclass
class Server:
    """A running service and how to talk to it.

    Attributes
    ----------
    port : int
        On 127.0.0.1.
    token : str
        Access key that it lets in.
    region : str
        AWS region that it plays.
    process : subprocess.Popen, optional
        Where this process started it.
    work : pathlib.Path, optional
        Its folder, where this process made it.
    """

    port: int
    token: str
    region: str = REGION
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    work: Path | None = None

    @property
    def url(self) -> str:
        """Address for ``AWS_ENDPOINT_URL``."""
        return f"http://127.0.0.1:{self.port}"

    def alive(self, seconds: float = 2.0, *, ready: bool = False) -> bool:
        """Whether the service answers and takes the token; with ``ready``, whether it has all it needs."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(
                "GET", "/course/health", headers={"Authorization": f"AWS {self.token}:-"}
            )
            answer = connection.getresponse()
            said = json.loads(answer.read())
            return (
                answer.status == 200
                and said.get("service") == "course"
                and (said["ready"] or not ready)
            )
        except (OSError, ValueError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End a service that this process started; a lab's goes on."""
        if self.process is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(15)  # jobs have ten seconds to save what they have
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.work is not None:
            shutil.rmtree(self.work, ignore_errors=True)


@dataclass
class Launched:
    """A service that is starting; :meth:`server` waits until it listens."""

    process: subprocess.Popen[bytes]
    work: Path
    token: str
    region: str

    def server(self) -> Server:
        """Return the service once it says where it listens.

        Raises
        ------
        CloudError
            It did not start, with what it wrote.
        """
        hello = _hello(self.process)
        if "port" in hello:
            return Server(hello["port"], self.token, self.region, self.process, self.work)
        wrote = (self.work / "errors.log").read_text(encoding="utf-8", errors="replace").strip()
        self.cancel()
        why = hello.get("error") or wrote[-1500:] or "it wrote nothing"
        raise CloudError(f"The SageMaker of this machine did not start: {why}.")

    def cancel(self) -> None:
        """End it before it listens."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def launch(*, state: Path | None = None, port: int = 0, region: str = REGION) -> Launched:
    """Start a service that lives as long as this process, in a process of its own; returns at once.

    Parameters
    ----------
    state : pathlib.Path, optional
        Folder for what outlives it; None keeps nothing.
    port : int
        0 for any free one.
    region : str
        AWS region that it plays.
    """
    token = "COURSE" + secrets.token_hex(_TOKEN_BYTES).upper()
    work, lock = work_folder()
    command = [
        sys.executable,
        "-m",
        "local_sagemaker.service",
        "--work",
        str(work),
        "--region",
        region,
    ]
    command += ["--port", str(port)] + (["--state", str(state)] if state is not None else [])
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    try:
        with (work / "errors.log").open("wb") as errors:
            process = subprocess.Popen(
                command,
                cwd=work,
                env=os.environ | {"COURSE_CLOUD_TOKEN": token, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C in the kernel is not for the service
                pass_fds=()
                if os.name == "nt"
                else (lock,),  # the folder is its own as long as it lives
            )
    finally:
        os.close(lock)
    return Launched(process, work, token, region)


def start(*, state: Path | None = None, port: int = 0, region: str = REGION) -> Server:
    """Start a service and wait until it listens; the parameters are those of :func:`launch`.

    Raises
    ------
    CloudError
        It did not start, with what it wrote.
    """
    return launch(state=state, port=port, region=region).server()


def _hello(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return what the service says of itself in its first line; empty where it says nothing in time."""
    assert process.stdout is not None
    lines: list[bytes] = []
    output = process.stdout

    def read() -> None:
        lines.append(output.readline())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(_START_SECONDS)
    try:
        return dict(json.loads(lines[0]))
    except (IndexError, ValueError):
        return {}


def find() -> Server | None:
    """Return the lab's running service, if there is one that answers."""
    folder = state_folder()
    if folder is None:
        return None
    try:
        said = json.loads((folder / "server.json").read_text(encoding="utf-8"))
        server = Server(int(said["port"]), str(said["token"]), str(said["region"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if server.alive() else None


def announce(server: Server, folder: Path) -> None:
    """Let kernels find a lab's service; only this user can read how."""
    said = {"port": server.port, "token": server.token, "region": server.region}
    write_atomically(folder / "server.json", json.dumps(said).encode(), 0o600)


_before: dict[str, str] | None = None


def point_here(server: Server) -> None:
    """Point this process at a service: its variables lead there, and nowhere else."""
    global _before
    if _before is None:
        _before = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": server.region,
        "AWS_REGION": server.region,
        "AWS_ACCESS_KEY_ID": server.token,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    forget_sessions()


def forget_sessions() -> None:
    """Let boto3 and the SDK read this process's variables anew: both keep what they read first."""
    boto3 = sys.modules.get("boto3")
    if boto3 is not None:
        boto3.DEFAULT_SESSION = None  # type: ignore[attr-defined]
    utils = sys.modules.get("sagemaker.core.utils.utils")
    if utils is not None:
        utils.SingletonMeta._instances.clear()


def point_away() -> None:
    """Give this process the AWS variables back that it had before."""
    global _before
    if _before is None:
        return
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= _before
    _before = None
    forget_sessions()


def wait_until_ready(server: Server, seconds: float = _START_SECONDS) -> None:
    """Wait until a service has loaded all it needs.

    Raises
    ------
    CloudError
        It does not.
    """
    limit = time.monotonic() + seconds
    while not server.alive(ready=True):
        if time.monotonic() > limit:
            raise CloudError(
                f"The SageMaker of this machine does not answer after {seconds:.0f} s."
            )
        time.sleep(0.05)
