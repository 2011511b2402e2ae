"""The tasks: each makes the environment if need be, then hands over to a program in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from helpers.runner import indexes, install
from helpers.runner.environment import Environment
from helpers.runner.machine import CannotRun

FIRST_CHAPTER = "chapters/00_start_here.ipynb"
# the checks that `test` runs before pytest, and what each is for
CHECKS = {"ruff": ["ruff", "check", "."], "mypy": ["mypy"]}
ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"
LOCK_COMMAND = "python -m helpers lock"


def lab(environment: Environment, arguments: Sequence[str]) -> int:
    """Open JupyterLab on the first chapter, or on the notebook that the arguments name."""
    install.ensure(environment)
    ask_nothing(environment)
    return hand_over(environment, ["jupyterlab", *lab_options(environment, arguments), *arguments])


def ask_nothing(environment: Environment) -> None:
    """Turn JupyterLab's question about news off, in the environment's own settings.

    A reader who turned it on again there is left alone: the file is written once.
    """
    page = environment.folder / "etc" / "jupyter" / "labconfig" / "page_config.json"
    if not page.exists():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(
            json.dumps({"disabledExtensions": {ANNOUNCEMENTS: True}}, indent=2), encoding="utf-8"
        )


def lab_options(environment: Environment, arguments: Sequence[str]) -> list[str]:
    """What JupyterLab is told, less what the reader says differently.

    It listens on this machine only, reads no news, looks for no updates and offers no extensions from
    the network; the folder it shows is the checkout.
    """
    options = {
        "--ServerApp.ip": "127.0.0.1",
        "--ServerApp.root_dir": str(environment.root),
        "--LabApp.news_url": "None",
        "--LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager": "readonly",
    }
    chapter = environment.root / FIRST_CHAPTER
    if chapter.exists() and all(argument.startswith("-") for argument in arguments):
        options["--LabApp.default_url"] = f"/lab/tree/{FIRST_CHAPTER}"
    given = {argument.partition("=")[0] for argument in arguments}
    aliases = {"--ip": "--ServerApp.ip", "--notebook-dir": "--ServerApp.root_dir"}
    given |= {aliases[name] for name in given if name in aliases}
    chosen = [f"{name}={value}" for name, value in options.items() if name not in given]
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*chosen, "--allow-root"] if is_root and "--allow-root" not in given else chosen


def test(environment: Environment, arguments: Sequence[str]) -> int:
    """Run ruff, mypy and pytest; with arguments, pytest alone with them."""
    install.ensure(environment)
    if arguments:
        return hand_over(environment, ["pytest", *arguments])
    steps = {**CHECKS, "pytest": ["pytest"]}
    codes = {name: run(environment, command) for name, command in steps.items()}
    failed = [name for name, code in codes.items() if code != 0]
    if failed:
        print(f"Failed: {', '.join(failed)}; what each found is above.", file=sys.stderr)
    return codes["pytest"] or (1 if failed else 0)


def build(environment: Environment, arguments: Sequence[str]) -> int:
    """Build the notebooks."""
    install.ensure(environment)
    return hand_over(environment, ["helpers.book", *arguments])


def bench(environment: Environment, arguments: Sequence[str]) -> int:
    """Measure what the course promises."""
    install.ensure(environment)
    return hand_over(environment, ["tests.benchmarks", *arguments])


def cloud(environment: Environment, arguments: Sequence[str]) -> int:
    """Serve SageMaker on this machine for a whole lab, until Ctrl-C."""
    install.ensure(environment)
    return hand_over(environment, ["helpers.cloud.lab", *arguments])


def lock(environment: Environment, arguments: Sequence[str]) -> int:
    """Make requirements.lock: every package, version and hash for every platform and Python at once.

    Versions that stand in it are kept where they still fit; ``--upgrade`` looks for newer ones.
    """
    uv = install.ensure_uv(environment)
    command = [str(uv), "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += [
        "--python-version",
        "3.10",
        "--no-python-downloads",
        "--python",
        str(environment.python),
    ]
    command += ["--custom-compile-command", LOCK_COMMAND, "--output-file", environment.lock.name]
    command += [*arguments, "requirements.txt"]
    settings = indexes.for_uv(indexes.pip_settings(environment), os.environ, only_main=True)
    code = subprocess.run(
        command, cwd=environment.root, env=environment.variables() | settings, check=False
    ).returncode
    if code == 0:
        print(f"{environment.lock.name} is made; the next task installs what changed in it.")
    return code


def run(environment: Environment, module: Sequence[str]) -> int:
    """Run a module of the environment and wait for it; its exit code."""
    print(f"== {' '.join(module)}", flush=True)
    command = [str(environment.python), "-m", *module]
    return subprocess.run(
        command, cwd=environment.root, env=environment.variables(), check=False
    ).returncode


def hand_over(environment: Environment, module: Sequence[str]) -> int:
    """Become a module of the environment: its signals, its exit code, no process in between.

    Windows cannot replace a process, so there the module's exit code is waited for.

    Raises
    ------
    CannotRun
        When the environment's Python does not start.
    """
    command = [str(environment.python), "-m", *module]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.chdir(environment.root)
        try:
            os.execve(command[0], command, environment.variables())
        except OSError as error:
            raise CannotRun(
                f"{command[0]} does not start ({error.strerror}):"
                f" delete {environment.folder} and run this again.",
                1,
            ) from error
    with subprocess.Popen(command, cwd=environment.root, env=environment.variables()) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the module got it too and decides what it means
                continue
