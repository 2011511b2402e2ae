"""Locks with every version and hash: for learners, tests, GPUs, the site. Standard library only."""

from __future__ import annotations

import re
import subprocess
from argparse import ArgumentParser
from collections.abc import Container, Sequence

from helpers import files
from helpers.runner import install
from helpers.runner.environment import GPU_LOCK, LOCK, ROOT, TESTS_LOCK, Environment
from helpers.runner.machine import CannotRun

EVERYWHERE = ("--universal", "--python-version", "3.10")
SITE_LOCK = "requirements-site.lock"
SITE = ("--universal", "--python-version", "3.11")  # Sphinx needs it
# the GPU's libraries have the same versions for every Python
LINUX = ("--python-platform", "x86_64-manylinux_2_28", "--python-version", "3.11")


def main(arguments: Sequence[str]) -> int:
    """Make the four locks; arguments go to uv (``--upgrade``)."""
    _, arguments = ArgumentParser("lock", description=__doc__).parse_known_args(arguments)
    base = _lock(LOCK, [*EVERYWHERE, *arguments, "requirements.txt"])
    # Binder installs before it copies the course if its file names no other
    note = "# Made by python -m helpers lock: requirements.lock, in a place of its own for Binder\n"
    files.write(ROOT / "binder" / "requirements.txt", note + base)
    known = set(base.splitlines())
    _lock(TESTS_LOCK, [*EVERYWHERE, *arguments, "requirements-dev.txt"], base, known)
    _lock(SITE_LOCK, [*SITE, *arguments, "requirements-site.txt"])
    version = re.findall(r"^tensorflow-cpu(==[\d.]+)", base, re.MULTILINE)[0]
    known = {f"{line.split(' ')[0]} \\" for line in known if not line.startswith("tensorflow==")}
    options = [*LINUX, *arguments, "--constraints", LOCK, "-"]
    _lock(GPU_LOCK, options, "", known, f"tensorflow[and-cuda]{version}")
    return 0


def _lock(
    name: str, options: list[str], base: str = "", known: Container[str] = (), given: str = ""
) -> str:
    """Make one lock without the packages whose first lines are known; return its text."""
    environment, path = Environment.here(), ROOT / name
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    command = [str(install.ensure_uv(environment)), "pip", "compile", "--quiet"]
    command += ["--generate-hashes", "--no-python-downloads", "--python", str(environment.python)]
    command += ["--custom-compile-command", "python -m helpers lock", "--output-file", name]
    variables, command = install.package_variables(environment, only_main=True), command + options
    try:
        files.write(path, base + before)  # what it names keeps its version
        done = subprocess.run(command, cwd=ROOT, env=variables, input=given, text=True, check=False)
        text = path.read_text(encoding="utf-8")
    finally:  # whatever stops it
        files.write(path, before)
    if done.returncode != 0:
        raise CannotRun(f"uv could not make {name} (its message is above); it is as it was.", 1)
    for block in re.findall(r"^[a-z0-9].*\n(?: .*\n)*", text, re.MULTILINE):
        text = text.replace(block, "") if block.splitlines()[0] in known else text
    files.write(path, text)
    print(f"{name} is made; the next task installs what changed in it.")
    return text
