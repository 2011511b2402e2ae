"""The service of this machine: a lab's that is found, or one that is started."""

import contextlib
import http.client
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from local_sagemaker.errors import CloudError
from local_sagemaker.files import ROOT, hold, loopback_without_proxy, work_folder, write
from local_sagemaker.jobs.environment import client_variables

_START_SECONDS = 90.0  # on a machine that does much else; one that dies is noticed at once
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # knows of no proxy
_PATIENCE = 30.0  # seconds in which a lab that is busy answers


def state_folder() -> Path:
    """Return the folder of a lab's server: ``LOCAL_SAGEMAKER_STATE``, else one in the home."""
    return Path(os.environ.get("LOCAL_SAGEMAKER_STATE") or "~/.local-sagemaker").expanduser()


@dataclass
class Server:
    """A service and how to talk to it."""

    port: int  # on 127.0.0.1; 0 until `listening`
    token: str  # access key that it lets in
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)  # started here
    work: Path | None = None  # its folder, where it was made here
    set_aside: list[str] = field(default_factory=list)  # a sentence per damaged file of its state

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def variables(self) -> dict[str, str]:
        return client_variables(self.url, self.token)

    def listening(self) -> "Server":
        """Wait until a service that was launched says where it listens; a CloudError if never."""
        assert self.process is not None and self.process.stdout and self.work
        output = self.process.stdout
        spoke = select.select([output], [], [], _START_SECONDS)[0]
        said = {}
        with contextlib.suppress(ValueError):  # it said something else, or nothing
            said = json.loads(output.readline() if spoke else b"")
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
        given = {"Authorization": f"AWS {self.token}:-"}
        asked = urllib.request.Request(f"{self.url}/local_sagemaker/health", headers=given)
        try:
            with _DIRECT.open(asked, timeout=seconds) as answer:
                said = json.load(answer)
            return said.get("service") == "local_sagemaker" and (said["ready"] or not ready)
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def stop(self) -> None:
        """End a service that this process started; a lab's goes on."""
        if self.process is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)  # jobs have ten seconds to save what they have
        self.process.kill()
        self.process.wait()
        if self.work is not None:
            shutil.rmtree(self.work, ignore_errors=True)


def launch(*, state: Path | None = None, port: int = 0) -> Server:
    """Start a service that ends with this process, unlike its ``state``; return at once."""
    if sys.platform == "win32":
        raise CloudError("SageMaker on this machine needs Linux or macOS: on Windows, use WSL.")
    token = "LOCAL" + secrets.token_hex(16).upper()
    work, lock = work_folder()
    command = [sys.executable, "-m", "local_sagemaker.service", str(port), str(work)]
    command += [str(state)] if state else []
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    variables = os.environ | {"LOCAL_SAGEMAKER_TOKEN": token, "PYTHONPATH": path}
    loopback_without_proxy(variables)
    with lock, (work / "errors.log").open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=variables | {"MALLOC_ARENA_MAX": "1"},  # else its threads keep 15 MB
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C in the kernel is not for the service
            pass_fds=(lock.fileno(),),  # the folder is its own as long as it lives
        )
    return Server(0, token, process, work)


def find(folder: Path, patience: float = _PATIENCE) -> Server | None:
    """Return the lab's running service or None; a CloudError where it runs, but does not answer."""
    limit = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads((folder / "server.json").read_text(encoding="utf-8"))
            server = Server(int(said["port"]), str(said["token"]))
            if server.alive():
                return server
        if not _held(folder / "lock"):
            return None
        if time.monotonic() > limit:
            said = f"A lab's server keeps {folder}, but does not answer for {patience:.0f} s"
            raise CloudError(f"{said}: run this again when it is less busy, or end it with Ctrl-C.")
        time.sleep(0.1)


def running(folder: Path) -> Server:
    """Return the lab's running service; a CloudError where there is none."""
    if (server := find(folder)) is not None:
        return server
    raise CloudError(f"No server uses {folder}: start one with `python -m local_sagemaker`.")


def _held(path: Path) -> bool:
    with contextlib.suppress(OSError):
        lock = hold(path) if path.exists() else None
        if lock is None:
            return path.exists()
        lock.close()
    return False


def announce(server: Server, folder: Path) -> None:
    write(folder / "server.json", json.dumps({"port": server.port, "token": server.token}), 0o600)


def wait_until_ready(server: Server, seconds: float = _START_SECONDS) -> None:
    """Wait until a service has loaded all it needs; raise a CloudError where it does not."""
    limit = time.monotonic() + seconds
    while not server.alive(ready=True):
        if server.process is not None and server.process.poll() is not None:
            raise CloudError("The SageMaker of this machine ended while it started.")
        if time.monotonic() > limit:
            said = f"The SageMaker of this machine runs, but does not answer for {seconds:.0f} s"
            raise CloudError(f"{said}: run this again when the machine is less busy.")
        time.sleep(0.05)
