"""Seconds of the first cell of a chapter that is opened alone, as on Colab, without its downloads.

The cell clones the course, gets uv, and finds and installs what is missing. Here the course comes
from a git remote of this machine, the packages from an index of empty wheels, and the environment
has pip and other versions of NumPy and pandas, as Colab's. The network is not used.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from helpers import book, files
from helpers.book import ROOT
from helpers.runner import copies

THERE = {"numpy-2.1.0", "pandas-2.2.2"}  # neither is the course's version


def run() -> list[dict]:
    """Run the cell once."""
    with tempfile.TemporaryDirectory() as home:
        command, options, _ = elsewhere(Path(home))
        begin = time.perf_counter()
        subprocess.run(command, check=True, **options)
        seconds = time.perf_counter() - begin
    name = "first cell on Colab: clone, uv, empty wheels"
    return [{"name": name, "value": seconds, "unit": "s", "target": "<= 30 s"}]


def elsewhere(home: Path, needs: str = "") -> tuple[str, dict[str, Any], Path]:
    """Make that place; return the cell's command, how it is run, and where packages are installed.

    The index is in ``home / "index"``. ``needs`` is a requirement of its ``sagemaker``.
    """
    index, remote, venv = (home / name for name in ("index", "remote", "venv"))
    index.mkdir()
    program = str(Path(sys.executable).with_name("uv"))
    uv = f"import os, sys; os.execv({program!r}, ['uv', *sys.argv[1:]])"
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"(?m)^([\w.-]+)(?:\[\w+\])?==([\w.]+)", text):
        wanted = needs if name == "sagemaker" else ""
        wheel(index, version, name, wanted, uv if name == "uv" else "")
    shutil.copytree(ROOT / "binder", remote / "binder")
    shutil.copy(ROOT / "requirements.txt", remote)
    git = ["git", "-C", str(remote), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for step in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "course"]):
        subprocess.run([*git, *step], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    for package in THERE:
        about = "Name: {}\nVersion: {}\n".format(*package.split("-"))
        files.write(site / f"{package}.dist-info" / "METADATA", about)
    with patch.object(book, "repository", lambda: f"file://{remote}"):
        cells = book.read(book.sources(["00"])[0]).cells
    first = next(cell.source for cell in cells if cell.id == copies.ALONE_ID)
    command = re.findall(r"!(.*)", first)[0].replace("{sys.executable}", f"{venv}/bin/python")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}
    env |= {"UV_DEFAULT_INDEX": f"file://{venv}", "UV_FIND_LINKS": str(index)}
    env |= {"PATH": os.environ["PATH"], "HOME": str(home)}
    options = {"shell": True, "cwd": home, "env": env, "capture_output": True, "text": True}
    return command, options, site


def wheel(folder: Path, version: str, name: str = "toy", needs: str = "", code: str = "") -> str:
    """Write a wheel of one module; return its line in a lock."""
    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    members = {
        f"{plain}.py": f"version = {version!r}\n{code}",
        f"{info}/METADATA": about + f"Requires-Dist: {needs}\n" * bool(needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*members, f"{info}/RECORD"))
    path = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in members.items():
            archive.writestr(file, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={version} ; python_full_version >= '3.10' \\\n    --hash=sha256:{digest}\n"
