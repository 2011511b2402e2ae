"""The service of this machine: a lab's that is found, or one that is started."""

from __future__ import annotations

import contextlib
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

from local_sagemaker.errors import CloudError
from local_sagemaker.files import hold, loopback_without_proxy, work_folder, write

ROOT = Path(__file__).resolve().parents[1]
REGION = "us-west-2"
_START_SECONDS = 90.0  # on a machine that does much else; one that dies is noticed at once
_PATIENCE = 30.0  # seconds in which a lab that is busy answers


def state_folder() -> Path | None:
    """Folder of a lab's server: ``COURSE_CLOUD_STATE``, else in the home; None where empty."""
    named = os.environ.get("COURSE_CLOUD_STATE")
    if named is not None:
        return Path(named) if named else None
    return Path.home() / ".recsys-workbook" / "cloud"


@dataclass
class Server:
    """A service and how to talk to it."""

    port: int  # on 127.0.0.1; 0 until `listening`
    token: str  # access key that it lets in
    region: str = REGION
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)  # started here
    work: Path | None = None  # its folder, where it was made here
    set_aside: list[str] = field(default_factory=list)  # a sentence per damaged file of its state

    @property
    def url(self) -> str:
        """Address for ``AWS_ENDPOINT_URL``."""
        return f"http://127.0.0.1:{self.port}"

    def variables(self) -> dict[str, str]:
        """Return the variables that lead boto3, the SDK and the AWS CLI here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.token,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def listening(self) -> Server:
        """Wait until a service that was launched says where it listens; return this.

        A service that does not start raises a CloudError with what it wrote.
        """
        assert self.process is not None and self.process.stdout and self.work
        output, first = self.process.stdout, [b""]
        reader = threading.Thread(target=lambda: first.append(output.readline()), daemon=True)
        reader.start()
        reader.join(_START_SECONDS)
        try:
            said = json.loads(first[-1])
        except ValueError:
            said = {}
        if "port" in said:
            self.port, self.set_aside = said["port"], said["set_aside"]
            return self
        wrote = (self.work / "errors.log").read_text(encoding="utf-8", errors="replace").strip()
        why = said.get("error") or wrote[-1500:] or "it wrote nothing"
        self.process.kill()
        self.stop()
        raise CloudError(f"The SageMaker of this machine did not start: {why}.")

    def alive(self, seconds: float = 2.0, *, ready: bool = False) -> bool:
        """Whether the service answers to the token; with ``ready``, whether all is loaded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        given = {"Authorization": f"AWS {self.token}:-"}
        try:
            connection.request("GET", "/course/health", headers=given)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            known = answer.status == 200 and said.get("service") == "course"
            return known and (said["ready"] or not ready)
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


def launch(*, state: Path | None = None, port: int = 0) -> Server:
    """Start a service that lives as long as this process, in a process of its own; return at once.

    Parameters
    ----------
    state : pathlib.Path, optional
        Folder for what outlives it; None keeps nothing.
    port : int
        0 for any free one.
    """
    token = "COURSE" + secrets.token_hex(16).upper()
    work, lock = work_folder()
    command = [sys.executable, "-m", "local_sagemaker.service", "--work", str(work)]
    command += ["--port", str(port), *(["--state", str(state)] if state else [])]
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    variables = os.environ | {"COURSE_CLOUD_TOKEN": token, "PYTHONPATH": path}
    loopback_without_proxy(variables)
    with lock, (work / "errors.log").open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C in the kernel is not for the service
            # the folder is its own as long as it lives
            pass_fds=() if sys.platform == "win32" else (lock.fileno(),),
        )
    return Server(0, token, REGION, process, work)


def start(*, state: Path | None = None, port: int = 0) -> Server:
    """Start a service and wait until it listens: `launch`, then `Server.listening`."""
    return launch(state=state, port=port).listening()


def find(folder: Path, patience: float = _PATIENCE) -> Server | None:
    """Return the running service of a lab; None where none runs.

    ``folder`` is where the lab keeps its state. A lab that runs, but does not answer for
    ``patience`` seconds, raises a CloudError: it is never taken for none.
    """
    limit = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads((folder / "server.json").read_text(encoding="utf-8"))
            server = Server(int(said["port"]), str(said["token"]), str(said["region"]))
            if server.alive():
                return server
        if not _held(folder / "lock"):
            return None
        if time.monotonic() > limit:
            raise CloudError(
                f"A lab's server keeps its state in {folder}, but does not answer for"
                f" {patience:.0f} s. Wait until it is less busy and run this again, or end it with"
                f" Ctrl-C where it was started. Its log is {folder / 'service.log'}."
            )
        time.sleep(0.1)


def _held(path: Path) -> bool:
    """Whether another process holds a lock."""
    try:
        lock = hold(path) if path.exists() else None
    except OSError:
        return False
    if lock is None:
        return path.exists()
    lock.close()
    return False


def announce(server: Server, folder: Path) -> None:
    """Let kernels find a lab's service; only this user can read how."""
    said = {"port": server.port, "token": server.token, "region": server.region}
    write(folder / "server.json", json.dumps(said), 0o600)


def wait_until_ready(server: Server, seconds: float = _START_SECONDS) -> None:
    """Wait until a service has loaded all it needs; raise a CloudError where it does not."""
    limit = time.monotonic() + seconds
    while not server.alive(ready=True):
        if server.process is not None and server.process.poll() is not None:
            raise CloudError("The SageMaker of this machine ended while it started.")
        if time.monotonic() > limit:
            raise CloudError(
                f"The SageMaker of this machine runs, but does not answer for {seconds:.0f} s: wait"
                " until the machine is less busy and run this again, or restart the kernel."
            )
        time.sleep(0.05)
