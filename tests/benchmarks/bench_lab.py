"""How long a learner waits for ``python -m helpers lab``: the server, a kernel, the first plot.

The environment must be there. A chapter 00 of its own is opened in Chromium and removed again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from helpers.book import ROOT
from helpers.files import free_port
from helpers.publish.tools import chromium
from helpers.runner import copies, tasks
from tests.browser.lab import CHROME_ARGUMENTS, READY, RUN_ALL, wait_until_it_answers

_PLOT = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells
  .flatMap(cell => cell.outputs || []).some(output => output.data && output.data['image/png'])"""


def run() -> list[dict]:
    """Start the task as a learner does, run all cells at once, and wait for the first figure."""
    if not chromium():
        return [{"name": "lab (no Chromium here)", "value": "-", "unit": "", "target": "-"}]
    with tempfile.TemporaryDirectory() as home:
        return _measured(Path(home))


def _measured(home: Path) -> list[dict]:
    port = free_port()
    command = [sys.executable, "-m", "helpers", "lab", "--no-browser", f"--port={port}"]
    command += ["--IdentityProvider.token=bench", "--LabApp.expose_app_in_browser=True"]
    places = ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTER_RUNTIME_DIR")
    env = {**os.environ, **{name: str(home / name) for name in places}}
    env |= {"COURSE_VENV": sys.prefix, "COURSE_PROGRESS": ""}
    own = ROOT / copies.MINE / f"bench_{os.getpid()}.ipynb"
    log = home / "lab.log"
    begin, seconds = time.perf_counter(), {}
    with log.open("w") as out, sync_playwright() as play:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)
        try:
            base = f"http://127.0.0.1:{port}"
            wait_until_it_answers(server, f"{base}/api/status?token=bench", log)
            seconds["from lab to a server that answers"] = time.perf_counter() - begin
            shutil.copy(own.with_name(tasks.FIRST_CHAPTER), own)
            browser = play.chromium.launch(executable_path=chromium(), args=CHROME_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{base}/lab/tree/{copies.MINE}/{own.name}?token=bench")
            page.wait_for_function(READY, timeout=90_000)
            seconds["from lab to a kernel that is ready"] = time.perf_counter() - begin
            page.evaluate(RUN_ALL)
            page.wait_for_function(_PLOT, timeout=90_000)
            seconds["from lab to the first plot, by Run All"] = time.perf_counter() - begin
            browser.close()
        finally:
            server.terminate()
            server.wait(20)
            own.unlink(missing_ok=True)
    targets = ["-", "-", "<= 15 s"]
    return [
        {"name": name, "value": value, "unit": "s", "target": target}
        for (name, value), target in zip(seconds.items(), targets, strict=True)
    ]
