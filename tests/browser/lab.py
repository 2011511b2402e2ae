"""A real JupyterLab on a copy of the course, driven through Chromium."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.files import free_port, write
from helpers.runner import tasks

CHROME_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
CHROME_ARGUMENTS += ["--disable-background-networking", "--disable-component-update"]
CHROME_ARGUMENTS += ["--disable-sync", "--disable-dev-shm-usage"]
READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  return context?.isReady && context.session?.kernel?.connectionStatus === 'connected'
      && context.session.kernel.status === 'idle';
}"""
RUN_ALL = """() => {
  window.ran = null;
  window.jupyterapp.commands.execute('notebook:run-all-cells')
    .then(ok => { window.ran = {ok}; }, error => { window.ran = {error: String(error)}; });
}"""


@contextmanager
def lab_server(folder: Path, home: Path) -> Iterator[tuple[str, str]]:
    """Serve ``folder`` with JupyterLab on 127.0.0.1 as `lab` does; yield its address and token.

    Settings, workspaces and history go to ``home``: the reader's own are not seen or changed.
    """
    port, token = free_port(), secrets.token_hex(8)
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "COURSE_PROGRESS": "progress.json",
        "COURSE_LEDGER": "ledger",
    }
    env = {**os.environ, **{name: str(home / place) for name, place in places.items()}}
    env["PYTHONPATH"] = str(folder)  # the copy's helpers, not those of the environment's checkout
    for name in ("PYTEST_CURRENT_TEST", "COURSE_BUILD"):
        env.pop(name, None)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.news_url=None", "--LabApp.expose_app_in_browser=True"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    places = {"etc/jupyter": "config", "etc/ipython": "ipython/profile_default"}
    for name, content in tasks.SETTINGS.items():
        for prefix, place in places.items():
            if name.startswith(prefix):
                write(home / place / name.removeprefix(f"{prefix}/"), json.dumps(content))
    log_path = home / "lab.log"
    base = f"http://127.0.0.1:{port}"
    with log_path.open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            wait_until_it_answers(server, f"{base}/api/status?token={token}", log_path)
            yield base, token
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_until_it_answers(
    server: subprocess.Popen[bytes], url: str, log: Path, seconds: float = 90
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                raise RuntimeError(f"JupyterLab ended: {log.read_text()[-2000:]}") from None
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer in {seconds} s: {log.read_text()[-2000:]}")


def run_all(page: Any, seconds: float = 300) -> None:
    """Run all cells by JupyterLab's command and wait until the last one has finished."""
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=90_000)
    page.wait_for_function(READY, timeout=90_000)
    page.evaluate(RUN_ALL)
    page.wait_for_function("() => window.ran", timeout=seconds * 1000)
    assert page.evaluate("() => window.ran") == {"ok": True}
