"""Process of one model server: started, asked, stopped."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPMessage
from pathlib import Path

from local_sagemaker.files import ROOT

_MODULES = {
    "tensorflow": "local_sagemaker.serving.tensorflow",
    "script": "local_sagemaker.serving.script",
    "factorization-machines": "local_sagemaker.algorithms.inference factorization-machines",
    "knn": "local_sagemaker.algorithms.inference knn",
}
Texts = Mapping[str, str]  # headers, or variables
Answer = tuple[int, HTTPMessage, bytes]  # status, headers, body
Log = Callable[[str], None]  # gets every line that a server prints, from a thread of its own


class ServerDied(RuntimeError):
    """The process of a model server is gone; the text has the reason and its last lines."""


class ModelServer:
    """One model in a process group of its own, which ends with the one that started it."""

    def __init__(self, kind: str, model_dir: Path, *, environment: Texts, log: Log) -> None:
        self.kind, self.model_dir = kind, Path(model_dir).resolve()
        self.port, self.token = 0, secrets.token_hex(16)
        self._environment = environment  # all of it: the process gets no variables of this one's
        self._log = log
        self._last: deque[str] = deque(maxlen=20)
        self._announced = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._idle: list[HTTPConnection] = []  # open, for the next request
        self._stopped = False

    def start(self) -> None:
        own = {
            "LOCAL_SAGEMAKER_MODEL_DIR": str(self.model_dir),
            "LOCAL_SAGEMAKER_TOKEN": self.token,
            "PYTHONUNBUFFERED": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", *_MODULES[self.kind].split()],
            cwd=ROOT,
            env={**self._environment, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            line = line.rstrip("\n")
            if line == self.token:
                self._last.clear()
            elif line.startswith(self.token):
                self.port = int(line[len(self.token) :])
                self._announced.set()
            else:
                self._last.append(line)
                self._log(line)
        self._announced.set()  # it ended: nothing to wait for

    def wait_ready(self, seconds: float) -> None:
        """Ask ``/ping`` until the answer is 200; else raise `ServerDied` or `TimeoutError`."""
        until = time.monotonic() + seconds
        self._announced.wait(seconds)
        while self.alive and time.monotonic() < until:
            with contextlib.suppress(OSError, HTTPException):  # gone: the next round tells
                if self.port and self._ask("GET", "/ping", b"", {}, 2)[0] == 200:
                    return
            time.sleep(0.02)
        if not self.alive:
            raise self._died("before it answered /ping")
        raise TimeoutError(f"{self._name} did not answer /ping within {seconds:g} s{self._tail()}")

    @property
    def _name(self) -> str:
        return f"the {self.kind} server of {self.model_dir.name}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def invoke(self, body: bytes, headers: Texts, timeout: float = 60) -> Answer:
        """Send one request to ``/invocations``; raise `ServerDied` or `TimeoutError`."""
        try:
            return self._ask("POST", "/invocations", body, headers, timeout)
        except TimeoutError:
            raise TimeoutError(f"{self._name} did not answer within {timeout:g} s") from None
        except (OSError, HTTPException) as broken:
            if self._ended(1):
                raise self._died("while it was asked") from broken
            raise ConnectionError(f"{self._name} closed the connection: {broken}") from broken

    def _ask(self, method: str, path: str, body: bytes, headers: Texts, seconds: float) -> Answer:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = HTTPConnection("127.0.0.1", self.port)  # which knows of no proxy
            connection.connect()
        connection.sock.settimeout(seconds)
        try:
            own = {"Authorization": f"AWS {self.token}:-"}
            connection.request(method, path, body, {**headers, **own})
            answer = connection.getresponse()
            data = answer.read()
        except BaseException:
            connection.close()
            raise
        if not answer.will_close:
            self._idle.append(connection)
        return answer.status, answer.headers, data

    def _ended(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process is not None:
                self._process.wait(seconds)
        return not self.alive

    def _died(self, when: str) -> ServerDied:
        if self._stopped or self._process is None or self._reader is None:
            return ServerDied(f"{self._name} was stopped")
        self._reader.join(1)  # its last lines
        code = self._process.returncode
        how = f"ended with code {code}"
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        return ServerDied(f"{self._name} {how} {when}{self._tail()}")

    def _tail(self) -> str:
        lines = "\n".join(self._last)
        return f"; its last lines:\n{lines}" if lines else "; it printed nothing about it"

    def stop(self) -> None:
        self._stopped = True
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        while self._idle:
            self._idle.pop().close()
        for sent in (signal.SIGTERM, signal.SIGKILL):  # the second is for what it started
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is empty
                os.killpg(process.pid, sent)
            self._ended(2)
        if process.stdin is not None:
            process.stdin.close()
        reader.join(2)


class Pipeline:
    """Model servers in a row: each gets what the one before it answered."""

    def __init__(self, servers: list[ModelServer]) -> None:
        self._servers = servers

    def start(self, seconds: float) -> None:
        """Start all and wait until they answer, as `ModelServer.wait_ready` does for one."""
        until = time.monotonic() + seconds
        for server in self._servers:
            server.start()
        for server in self._servers:
            server.wait_ready(max(0.0, until - time.monotonic()))

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout: float = 60) -> Answer:
        """Send one request through all; the first that does not answer 200 has the last word."""
        passed = {name: value for name, value in headers.items() if name != "Accept"}
        for server in self._servers[:-1]:
            status, answered, body = server.invoke(body, passed, timeout)
            if status != 200:
                return status, answered, body
            passed["Content-Type"] = answered["content-type"]
        return self._servers[-1].invoke(body, {**headers, **passed}, timeout)

    def stop(self) -> None:
        for server in self._servers:
            server.stop()
