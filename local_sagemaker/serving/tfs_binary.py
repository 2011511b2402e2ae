"""The real ``tensorflow_model_server``, where it is on the PATH, behind the same interface as our own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from local_sagemaker.serving.wire import Pool


class Binary:
    """A child process that serves one model over REST.

    Parameters
    ----------
    program : str
        Path of the program.
    base : Path
        Folder of the versions.
    name : str
        What the model is called in paths.
    seconds : float
        How long it may take to load.

    Raises
    ------
    RuntimeError
        It ended, or did not answer in time.
    """

    def __init__(self, program: str, base: Path, name: str, seconds: float = 120) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [
            program,
            f"--rest_api_port={port}",
            "--port=0",
            f"--model_name={name}",
            f"--model_base_path={base.resolve()}",
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self._pool = Pool(port)
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if b'"AVAILABLE"' in self.rest("GET", f"/v1/models/{name}", b"")[1]:
                    threading.Thread(target=self._end_together, daemon=True).start()
                    return
            except OSError:
                time.sleep(0.05)  # it does not listen yet
        code = self._process.poll()
        self._process.kill()
        how = (
            f"ended with code {code}"
            if code is not None
            else f"did not answer within {seconds:g} s"
        )
        raise RuntimeError(f"{program} {how}; its messages stand above")

    def _end_together(self) -> None:
        code = self._process.wait()
        print(f"tensorflow_model_server ended with code {code}", flush=True)
        os._exit(1)

    def rest(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass a request on."""
        status, _, answer = self._pool.request(
            method, path, {"Content-Type": "application/json"}, body
        )
        return status, answer
