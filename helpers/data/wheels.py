"""Getting files out of a PyPI package without installing it, through whatever installer is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .archives import read_members
from .errors import DataUnavailable

SECONDS = 120  # for one installer; without network it gives up within about twenty
MISSING = ("No module named pip", "No module named uv")


def read_from_wheel(requirement: str, members: list[str]) -> list[bytes]:
    """Fetch a wheel as the machine is set up to (index, mirror, proxy) and read files from it.

    Nothing is installed: the wheel lands in a temporary folder that is removed.
    The caller checks the digests of what it gets.

    Parameters
    ----------
    requirement : str
        Such as ``"recbole==1.2.1"``.
    members : list of str
        Paths inside the wheel.

    Returns
    -------
    list of bytes

    Raises
    ------
    DataUnavailable
        When no installer is here or none can get the wheel.
    DataError
        When the wheel is not a sound archive.
    """
    for command in installers():
        with tempfile.TemporaryDirectory(prefix="recsys-wheel-") as name:
            folder = Path(name)
            said = _run([*command, str(folder), requirement])
            if said is None:
                wheel = next(folder.glob("*.whl"), None)
                if wheel is not None:  # pip leaves the wheel, uv what is in it
                    return read_members(wheel, members)
                missing = [member for member in members if not (folder / member).is_file()]
                if missing:
                    raise DataUnavailable(f"PyPI: {requirement} has no file {missing[0]}")
                return [(folder / member).read_bytes() for member in members]
            if not any(text in said for text in MISSING):
                raise DataUnavailable(
                    f"PyPI: {requirement} could not be fetched ({_last_line(said)})"
                )
    raise DataUnavailable("PyPI: neither pip nor uv is installed here")


def installers() -> list[list[str]]:
    """Commands that fetch one wheel; each takes a folder and a requirement at its end.

    Returns
    -------
    list of list of str
        This environment's pip, uv (environments made by it have no pip), and the
        pip of the Python that this environment was made from.
    """
    pip = ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input"]
    pip += ["--disable-pip-version-check", "--retries", "1", "--timeout", "5", "--dest"]
    uv = [
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build",
        "--python",
        sys.executable,
        "--target",
    ]
    commands = [[sys.executable, "-m", *pip], [sys.executable, "-m", "uv", *uv]]
    if found := shutil.which("uv"):
        commands.append([found, *uv])
    base = getattr(sys, "_base_executable", None)
    if base and Path(base) != Path(sys.executable):
        commands.append([base, "-m", *pip])
    return commands


def _run(command: list[str]) -> str | None:
    """Return None when the command worked, else what it said."""
    quick = {"UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "1", **os.environ}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=quick,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"no result within {SECONDS} s"
    except OSError as error:
        return f"{MISSING[0]}: {error}"
    return None if done.returncode == 0 else done.stderr + done.stdout


def _last_line(said: str) -> str:
    """The installer's last error in one short line, without addresses of indexes."""
    lines = [line.strip(" ×╰─▶│") for line in said.splitlines() if line.strip(" ×╰─▶│")]
    errors = [line for line in lines if line.lower().startswith("error")] or lines or ["no message"]
    words = [word for word in errors[-1].split() if "://" not in word]
    return " ".join(words)[:120]
