"""Makes the environment from the lock: uv into it first, then everything with uv, or with pip where uv fails.

Every file that is installed must have a hash that stands in the lock. The stamp is taken away before
anything changes and written last, so an installation that was cut off is never taken for a whole one;
one that was cut off while packages were written is made anew, since any of them may be half there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.runner import indexes, machine
from helpers.runner.environment import SUPPORTED, Environment
from helpers.runner.guard import GUARD, guarded
from helpers.runner.machine import CannotRun

UNFINISHED = "course-install.unfinished"  # there while packages are written


def ensure(environment: Environment) -> None:
    """Make the environment, or bring it to the lock; nothing to do where both agree.

    Raises
    ------
    CannotRun
        When this machine cannot hold it (before anything is written) or the installation failed.
    """
    if environment.ready():
        return
    preflight(environment)
    with guarded(environment):
        if environment.ready():  # another run made it while this one waited
            return
        _announce(environment)
        _forget(environment)
        prepare(environment)
        install_packages(environment)
        _remember(environment)
    print(f"The environment is ready in {environment.folder}.", flush=True)


def ensure_uv(environment: Environment) -> Path:
    """Make the environment with uv in it and nothing else, unless more is there.

    Returns
    -------
    pathlib.Path
        The program.

    Raises
    ------
    CannotRun
        As `ensure`, and when uv cannot be installed.
    """
    if not environment.ready():
        preflight(environment)
        with guarded(environment):
            prepare(environment)
            if not install_uv(environment):
                raise CannotRun(
                    "uv could not be installed (its message is above), and the lock needs it.", 1
                )
    return environment.program("uv")


def preflight(environment: Environment) -> None:
    """Everything that can be refused before the first byte is written.

    Raises
    ------
    CannotRun
        One sentence on the first thing that is wrong.
    """
    machine.check_platform()
    environment.lock_hash()
    made = environment.version() is not None
    if not made:
        machine.check_venv_module()
        _check_empty(environment)
    machine.check_disk(environment.folder, machine.UPDATE_BYTES if made else machine.NEEDED_BYTES)
    machine.check_writable(environment.folder)


def _check_empty(environment: Environment) -> None:
    folder = environment.folder
    if folder.exists() and (
        not folder.is_dir() or any(path.name != GUARD for path in folder.iterdir())
    ):
        raise CannotRun(
            f"{folder} is there already and is no Python environment, so nothing is written into it:"
            " name a new or empty folder with COURSE_VENV, or move it away."
        )


def _announce(environment: Environment) -> None:
    if environment.installed_hash():
        print(
            "The packages of the course have changed; bringing the environment up to date.",
            flush=True,
        )
    else:
        print(
            f"Making the course's environment in {environment.folder}: about 3.5 GB and a few minutes, once.",
            flush=True,
        )
    for sentence in machine.missed():
        print(sentence, flush=True)


def _forget(environment: Environment) -> None:
    environment.stamp.unlink(missing_ok=True)


def _remember(environment: Environment) -> None:
    unfinished = environment.stamp.with_suffix(".new")
    unfinished.write_text(environment.lock_hash() + "\n", encoding="ascii")
    unfinished.replace(environment.stamp)


def prepare(environment: Environment) -> None:
    """Make an environment that has pip, unless a whole one of a supported Python is there.

    Raises
    ------
    CannotRun
        When Python could not make it.
    """
    whole = environment.version() in SUPPORTED and environment.python.exists()
    whole = whole and not (environment.folder / UNFINISHED).exists()
    if (
        whole
        and _call(environment, [str(environment.python), "-m", "pip", "--version"], quiet=True) == 0
    ):
        return
    for path in environment.folder.iterdir():  # half made, or its Python is gone or too old
        if path.name == GUARD:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if _call(environment, [sys.executable, "-m", "venv", str(environment.folder)]) != 0:
        raise CannotRun(f"Python could not make {environment.folder} (its message is above).", 1)


def install_packages(environment: Environment) -> None:
    """Install what the lock names, with uv if it can be had and works, else with pip.

    Raises
    ------
    CannotRun
        When pip failed too.
    """
    unfinished = environment.folder / UNFINISHED
    with_uv = install_uv(environment)
    unfinished.touch()
    if with_uv:
        command = [
            str(environment.program("uv")),
            "pip",
            "install",
            "--python",
            str(environment.python),
        ]
        command += ["--require-hashes", "-r", str(environment.lock)]
        code = _call(
            environment, command, indexes.for_uv(indexes.pip_settings(environment), os.environ)
        )
        if code == 0:
            unfinished.unlink()
            return
        print(
            f"uv ended with code {code}; trying again with pip, which takes 5 to 12 minutes.",
            flush=True,
        )
    else:
        print(
            "uv could not be installed; going on with pip, which takes 5 to 12 minutes.", flush=True
        )
    code = _pip(environment, environment.lock)
    if code != 0:
        raise CannotRun(
            f"The packages could not be installed (pip ended with code {code}; its message is above):"
            " look at the network connection, then run this again; what was downloaded is kept.",
            1,
        )
    unfinished.unlink()


def install_uv(environment: Environment) -> bool:
    """Install uv into the environment with pip, from the lock; True when it is there.

    pip checks the hash, so this first step is as safe as the rest.
    """
    block = locked_block(environment.lock.read_text(encoding="utf-8"), "uv")
    version = block.split("==")[1].split()[0]
    if _version_of(environment.program("uv")) == version:
        return True
    wanted = environment.folder / "course-uv.txt"
    wanted.write_text(block, encoding="utf-8")
    try:
        done = _pip(environment, wanted, "--quiet", "--no-deps", "--force-reinstall") == 0
    finally:
        wanted.unlink()
    return done and _version_of(environment.program("uv")) == version


def _version_of(uv: Path) -> str:
    """What an installed uv says its version is; empty when there is none or it does not run."""
    try:
        told = subprocess.run([str(uv), "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return "".join(told.stdout.split()[1:2])


def locked_block(lock: str, name: str) -> str:
    """The lines of one package in the lock: its version, its marker and its hashes.

    Raises
    ------
    CannotRun
        When the lock does not name the package.
    """
    lock = lock.replace("\r\n", "\n")
    found = re.search(rf"^{re.escape(name)}==.*(?:\n[ ]+--hash=.*)+", lock, re.MULTILINE)
    if not found:
        raise CannotRun(
            f"requirements.lock does not name {name}: restore it with: git checkout -- requirements.lock"
        )
    return found[0].rstrip("\\") + "\n"


def _pip(environment: Environment, wanted: Path, *options: str) -> int:
    """Install a file of hashed requirements with the environment's own pip."""
    command = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check"]
    command += [*options, "--require-hashes", "-r", str(wanted)]
    return _call(
        environment, command, {"PIP_USER": "0"}
    )  # --user and an environment exclude each other


def _call(
    environment: Environment,
    command: Sequence[str],
    extra: dict[str, str] | None = None,
    quiet: bool = False,
) -> int:
    """Run a command in the environment and wait; its exit code.

    It has a session of its own, so that Ctrl-C reaches this run alone, which then ends the command and all
    that it started, without a traceback of each.
    """
    output = subprocess.DEVNULL if quiet else None
    with subprocess.Popen(
        command,
        cwd=environment.root,
        env=environment.variables() | (extra or {}),
        stdout=output,
        stderr=output,
        start_new_session=True,
        close_fds=os.name == "nt",
    ) as process:
        try:
            return process.wait()
        except BaseException:
            if os.name == "nt":
                process.terminate()
            else:
                os.killpg(process.pid, signal.SIGTERM)
            raise
