"""Tasks: each makes the environment if need be, then hands over to a program in it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from helpers import files, installed
from helpers.runner import copies, install, machine
from helpers.runner.environment import Environment
from helpers.runner.machine import CannotRun

FIRST_CHAPTER = "00_start_here.ipynb"
CODE = ("helpers", "local_sagemaker", "tests", "solutions", "chapters", "scripts", "conftest.py")
# what `test` runs before pytest; an environment or a file of the reader's may be beside the code
CHECKS = {
    "ruff check": ["ruff", "check", *CODE],
    "ruff format": ["ruff", "format", "--check", *CODE],
    "mypy": ["mypy"],
}
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]  # two cores, a file each
NUMBERS = "tests/notebooks/test_numbers.py"  # reads what all the notebooks recorded
# Files of the environment that are made where they are missing: a reader may change them.
SETTINGS = {
    # JupyterLab asks nobody whether it may fetch news
    "etc/jupyter/labconfig/page_config.json": {
        "disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}
    },
    # a notebook that is opened again shows its questions and sliders
    "etc/jupyter/labconfig/default_setting_overrides.json": {
        "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True}
    },
    # a name that an earlier cell makes is explained
    "etc/ipython/ipython_kernel_config.json": {
        "InteractiveShellApp": {
            "exec_lines": [  # a kernel starts at once: helpers are imported when needed
                "get_ipython().set_custom_exc((NameError,), lambda *error, **options: __import__"
                "('helpers.exercises.restart', fromlist=['explain']).explain(*error, **options))"
            ]
        }
    },
}
DATA_CHECK = """
from helpers import data
print(f"latest-small: {len(data.load('latest-small')):,} ratings, checksum as published")
"""


def lab(environment: Environment, arguments: Sequence[str]) -> int:
    """Open JupyterLab on the first chapter's working copy, or on what the arguments name."""
    rest, fresh = [word for one in arguments for word in re.split("(?<=^--fresh)=", one)], []
    if "--fresh" in rest:
        place = rest.index("--fresh")
        while len(rest) > place + 1 and re.fullmatch(r"\d+|take", rest[place + 1]):
            fresh.append(rest.pop(place + 1))
        rest.pop(place)
        if not fresh:
            raise CannotRun("--fresh needs the numbers of chapters, as in: lab --fresh 02.")
    update = "--update" in rest
    rest = [argument for argument in rest if argument != "--update"]
    install.ensure(environment)
    settle(environment.root, environment.folder, fresh, update)
    with _alone(environment.root / copies.MINE / ".lab"):
        return hand_over(environment, ["jupyterlab", *lab_options(environment, rest), *rest])


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock, which the program inherits that is started inside; say if another holds it."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a folder that cannot be written
            if file := files.hold(path):
                os.set_inheritable(stack.enter_context(file).fileno(), True)
            else:
                print("Another lab of this course is open. Both work on the same copies:")
                print("keep each chapter open in one of them only.", flush=True)
        yield


def install_only(environment: Environment, arguments: Sequence[str]) -> int:
    """Make the environment and the working copies, and start nothing."""
    if arguments:
        raise CannotRun(f"install knows --gpu and --cpu, and was given {' '.join(arguments)}.")
    install.ensure(environment)
    settle(environment.root, environment.folder)
    print("All is installed; python -m helpers lab opens the course.")
    return 0


def start(module: str, environment: Environment, arguments: Sequence[str]) -> int:
    """Hand over to a module that does a whole task, or to one of the tasks that it has."""
    install.ensure(environment)
    return hand_over(environment, [*module.split(), *arguments])


def settle(root: Path, prefix: Path, fresh: Sequence[str] = (), update: bool = False) -> None:
    """Write the settings that an environment has not yet, and make the working copies."""
    for name, content in SETTINGS.items():
        if not (prefix / name).exists():
            with contextlib.suppress(OSError):  # an environment on a read-only disk
                files.write(prefix / name, json.dumps(content, indent=2))
    for sentence in copies.make(root, fresh, update):
        print(sentence, flush=True)


def lab_options(environment: Environment, arguments: Sequence[str]) -> list[str]:
    """Return JupyterLab's options: this machine only, no news, updates or extensions from afar."""
    options = {
        "--ServerApp.ip": "127.0.0.1",
        "--ServerApp.root_dir": str(environment.root),
        "--LabApp.news_url": "None",
        "--LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager": "readonly",
    }
    first = [f"{folder}/{FIRST_CHAPTER}" for folder in (copies.MINE, "chapters")]
    there = next((path for path in first if (environment.root / path).exists()), "")
    if there and all(argument.startswith("-") for argument in arguments):
        options["--LabApp.default_url"] = f"/lab/tree/{there}"
    given = {argument.partition("=")[0] for argument in arguments}
    aliases = {"--ip": "--ServerApp.ip", "--notebook-dir": "--ServerApp.root_dir"}
    given |= {aliases[name] for name in given if name in aliases}
    chosen = [f"{name}={value}" for name, value in options.items() if name not in given]
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*chosen, "--allow-root"] if is_root and "--allow-root" not in given else chosen


def test(environment: Environment, arguments: Sequence[str]) -> int:
    """Run ruff, mypy and pytest; with arguments, pytest alone with them.

    ``--full`` adds what takes long: all chapters in a browser, with other answers, under load.
    """
    if "--full" in arguments:
        os.environ["COURSE_FULL"] = "1"
        arguments = [argument for argument in arguments if argument != "--full"]
    if arguments[:1] == ["--python"]:
        return _test_under(environment, arguments[1:])
    install.ensure(environment)
    if arguments:
        return hand_over(environment, ["pytest", *arguments])
    side, notebooks = ["pytest", *SIDE_BY_SIDE], ["chapters", "solutions", "tests/notebooks"]
    steps = {**CHECKS, "pytest": [*side, "tests", "--ignore=tests/notebooks"]}
    codes = {name: run(environment, command) for name, command in steps.items()}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COURSE_LEDGER"] = folder
        codes["notebooks"] = run(environment, [*side, *notebooks, f"--ignore={NUMBERS}"])
        codes["numbers"] = run(environment, ["pytest", NUMBERS])
    failed = [name for name, code in codes.items() if code != 0]
    if failed:
        print(f"Failed: {', '.join(failed)}; what each found is above.", file=sys.stderr)
    return codes["pytest"] or codes["notebooks"] or (1 if failed else 0)


def _test_under(environment: Environment, arguments: Sequence[str]) -> int:
    """Run the unit tests and four chapters under another Python, in an environment of its own."""
    if len(arguments) != 1:
        raise CannotRun("--python needs one version, as in: test --python 3.13.")
    version, root = arguments[0], environment.root
    chapters = sorted(map(str, root.glob("solutions/0[0247]_*.ipynb")))
    part = [] if os.environ.get("COURSE_FULL") else [*SIDE_BY_SIDE, *chapters, "tests/unit"]
    variables = {**os.environ, "COURSE_VENV": str(root / "build" / f"python-{version}")}
    command = [machine.find_python(version), "-m", "helpers", "test", *part]
    return subprocess.run(command, cwd=root, env=variables, check=False).returncode


def doctor(environment: Environment, arguments: Sequence[str]) -> int:
    """Print what this machine has and lacks; install nothing and ask no network.

    Returns 0 if the course runs or can be installed here, 1 if something of it is damaged, 2 if
    this machine cannot hold it.
    """
    if arguments:
        raise CannotRun(f"doctor takes no arguments, and was given {' '.join(arguments)}.")
    known, current = environment.installed(), environment.up_to_date()
    differ = environment.differences() if current else []
    free = shutil.disk_usage(machine.existing_parent(environment.folder)).free
    kind = f"{platform.system()} on {platform.machine()}"
    lacks = " ".join(machine.missed()) or "all have a wheel for this platform, MXNet too"
    print(f"Python       {platform.python_version()} at {sys.executable}")
    print(f"Machine      {kind}, {os.cpu_count()} processors, {machine.memory()}")
    print(f"Disk         {free / 1e9:.1f} GB free for {environment.folder}")
    print(f"Packages     {lacks}")
    data = "looked at once the environment is ready"
    if known and not current:
        state = "made from another requirements.lock; the next task updates it"
    elif differ:
        state = f"not as requirements.lock says: {installed.few(differ)}; the next task repairs it"
    elif known:
        state = "ready, as requirements.lock says"
    elif environment.is_empty():
        state = "not made yet"
    elif environment.is_ours():
        state = "begun but not finished; the next task finishes it"
    else:
        state = "not the course's"
    print(f"Environment  {state}: {environment.folder}", flush=True)
    if current and not differ:
        data, code = check_data(environment)
        verdict = f"The course is installed here{', and its data is not whole' if code else ''}."
    else:
        verdict, code = "The course can be installed here: python -m helpers lab does it.", 0
        if differ:
            verdict, code = "The environment is damaged: python -m helpers lab repairs it.", 1
        try:
            install.preflight(environment)
        except CannotRun as reason:
            verdict, code = str(reason), reason.code
    print(f"TensorFlow   {tensorflow_build(environment)}")
    print(f"Data         {data}")
    print(verdict)
    return code


def tensorflow_build(environment: Environment) -> str:
    """Return in words whether TensorFlow is the build for GPUs, and how many it can use."""
    if not environment.has_gpu_build():
        other = "; an NVIDIA driver is here: install --gpu" if installed.sees_nvidia() else ""
        return f"the build for processors{other}"
    code = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    found = environment.ask("-c", code).stdout.strip() or "0: its import fails"
    return f"the build for GPUs; it can use {found}" + "; --cpu is enough" * (found[0] == "0")


def check_data(environment: Environment) -> tuple[str, int]:
    """Return what the data room says of the embedded ratings, and 0 if their checksum is right."""
    told = environment.ask("-c", DATA_CHECK)
    if told.returncode == 0:
        return told.stdout.strip(), 0
    return (told.stderr.strip().splitlines() or ["cannot be read"])[-1], 1


def publish(module: str, environment: Environment, arguments: Sequence[str]) -> int:
    """Run a module of authors under this Python, whether the environment is there or not."""
    command = [sys.executable, "-m", "helpers.publish", module, *arguments]
    return subprocess.run(command, cwd=environment.root, check=False).returncode


def run(environment: Environment, module: Sequence[str]) -> int:
    """Run a module of the environment and wait for it; return its exit code."""
    print(f"== {' '.join(module)}", flush=True)
    command, variables = [str(environment.python), "-m", *module], environment.variables()
    return subprocess.run(command, cwd=environment.root, env=variables, check=False).returncode


def hand_over(environment: Environment, module: Sequence[str]) -> int:
    """Become a module of the environment; Windows can't, so there its exit code is waited for."""
    command, variables = [str(environment.python), "-m", *module], environment.variables()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.chdir(environment.root)
        try:
            os.execve(command[0], command, variables)
        except OSError as error:
            said = f"{command[0]} does not start ({error.strerror}): delete {environment.folder}"
            raise CannotRun(f"{said} and run this again.", 1) from error
    with subprocess.Popen(command, cwd=environment.root, env=variables) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the module got it too and decides what it means
                continue
