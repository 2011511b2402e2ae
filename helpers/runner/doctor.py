"""Says what this machine has and misses; installs nothing and asks no network."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence

from helpers.runner import install, machine
from helpers.runner.environment import Environment
from helpers.runner.machine import CannotRun

DATA_CHECK = """
from helpers import data
print(f"latest-small: {len(data.load('latest-small')):,} ratings, checksum as published")
"""


def doctor(environment: Environment, arguments: Sequence[str]) -> int:
    """Print a line a subject and a verdict.

    Returns
    -------
    int
        0 when the course runs or can be installed here, 1 when something of it is damaged, 2 when this
        machine cannot hold it.
    """
    if arguments:
        raise CannotRun(f"doctor takes no arguments, and was given {' '.join(arguments)}.")
    free = shutil.disk_usage(machine.existing_parent(environment.folder)).free
    print(f"Python       {platform.python_version()} at {sys.executable}")
    kind = f"{platform.system()} on {platform.machine()}"
    print(f"Machine      {kind}, {os.cpu_count()} processors, {_memory()}")
    print(f"Disk         {free / 1e9:.1f} GB free for {environment.folder}")
    print(
        f"Packages     {' '.join(machine.missed()) or 'all have a wheel for this platform, MXNet too'}"
    )
    print(f"Environment  {_state(environment)}", flush=True)
    if environment.ready():
        told, code = _data(environment)
        verdict = (
            f"The course is installed here{'' if code == 0 else ', and its data is not whole'}."
        )
    else:
        told = "looked at once the environment is ready"
        try:
            install.preflight(environment)
            verdict, code = "The course can be installed here: python -m helpers lab does it.", 0
        except CannotRun as reason:
            verdict, code = str(reason), reason.code
    print(f"Data         {told}")
    print(verdict)
    return code


def _memory() -> str:
    total = machine.memory_bytes()
    return "memory unknown" if total is None else f"{total / 1e9:.1f} GB of memory"


def _state(environment: Environment) -> str:
    if environment.ready():
        return f"ready, and installed from this requirements.lock: {environment.folder}"
    if environment.installed_hash():
        return (
            f"made from another requirements.lock; the next task updates it: {environment.folder}"
        )
    if environment.version() is not None:
        return f"begun but not finished; the next task finishes it: {environment.folder}"
    return f"not made yet: {environment.folder}"


def _data(environment: Environment) -> tuple[str, int]:
    """What the data room says of the embedded set, and 0 when its checksum is the published one."""
    told = subprocess.run(
        [str(environment.python), "-c", DATA_CHECK],
        cwd=environment.root,
        env=environment.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode == 0:
        return told.stdout.strip(), 0
    return (told.stderr.strip().splitlines() or ["cannot be read"])[-1], 1
