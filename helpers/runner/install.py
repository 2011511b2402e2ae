"""Making and repairing the environment: uv first, then every package with uv, or with pip.

Every file has a hash from the lock. The stamp is removed before anything changes and written last.
Only folders that the course itself has made are changed (`Environment.is_ours`).
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from helpers import files, installed
from helpers.runner import machine
from helpers.runner.environment import GPU_LOCK, GUARD, LOCK, PARTS, ROOT, UNFINISHED, Environment
from helpers.runner.machine import CannotRun

NEEDED_BYTES = 5.5e9  # the environment is 3 GB; the rest is the download and the caches
GPU_BYTES = 6e9  # NVIDIA's libraries are 3 GB more
UPDATE_BYTES = 1.5e9  # an environment that exists and changes a few packages
# the settings of pip that say where packages come from; all others could send them elsewhere
PIP_KEPT = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert"),
    *("client-cert", "timeout", "default-timeout", "retries", "keyring-provider"),
    *("cache-dir", "no-cache-dir", "use-feature", "use-deprecated"),
)
# the same for uv: beginnings of variables
UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
UV_KEPT = (
    *(*UV_INDEXES, "UV_KEYRING", "UV_INSECURE_HOST", "UV_NATIVE_TLS"),
    *("UV_SYSTEM_CERTS", "UV_HTTP", "UV_CACHE_DIR", "UV_NO_CACHE", "UV_OFFLINE"),
    *("UV_CONCURRENT", "UV_NO_PROGRESS"),
)
WHEELS = "wheels"  # beside README, where `pack` puts what is to be installed
YES = ("1", "true", "yes", "on", "y", "t")
SILENT = "-qqq"  # of pip, which beside a log still prints its errors
REMOVE = ("-m", "pip", "uninstall", "--yes", "--quiet", "tensorflow", "tensorflow-cpu")
MADE = "import pip, sys; from helpers import installed; sys.exit(bool(installed.interpreter()))"


def ensure(environment: Environment) -> None:
    """Make the environment, or bring it to the lock."""
    if not environment.ready():
        preflight(environment)
        with guarded(environment):
            if not environment.ready():  # else another run made it while this one waited
                _announce(environment)
                wanted, before = environment.wanted(), environment.installed()
                other_build = before and environment.has_gpu_build() != environment.gpu
                environment.stamp.unlink(missing_ok=True)
                prepare(environment)
                if other_build:  # the two write the same files
                    _call([str(environment.python), *REMOVE], environment.variables())
                install_packages(environment)
                files.write(environment.stamp, "\n".join(sorted(wanted)) + "\n")
        print(f"The environment is ready in {environment.folder}.", flush=True)
    let_it_find_helpers(environment)


def ensure_uv(environment: Environment) -> Path:
    """Return the environment's uv; make an environment with uv alone if there is none."""
    if not environment.ready():
        preflight(environment)
        with guarded(environment):
            prepare(environment)
            if not install_uv(environment, package_variables(environment)):
                raise CannotRun("uv could not be installed (see above), and the lock needs it.", 1)
            (environment.folder / UNFINISHED).unlink(missing_ok=True)
    return environment.program("uv")


def preflight(environment: Environment) -> None:
    """Raise CannotRun, with one sentence, if the environment cannot be made; write nothing."""
    machine.check_platform()
    environment.locks()
    folder = environment.folder
    try:
        ours = environment.is_ours()
        if not ours:
            machine.check_venv_module()
            if os.pathsep in str(folder):
                raise CannotRun(
                    f"{folder} holds a {os.pathsep}, and Python makes no environment in such a"
                    " folder: name another one with COURSE_VENV."
                )
            if not environment.is_empty():
                what = "is there already and is not the course's"
                if (folder / "pyvenv.cfg").exists():
                    what = "is an environment that the course did not make"
                raise CannotRun(
                    f"{folder} {what}, so nothing in it is changed:"
                    " name a new or empty folder with COURSE_VENV, or move it away."
                )
        needed = UPDATE_BYTES if ours else NEEDED_BYTES + GPU_BYTES * environment.gpu
        machine.check_folder(folder, needed)
    except OSError as error:
        raise _no_access(environment, error, 2) from error


def _no_access(environment: Environment, error: OSError, code: int) -> CannotRun:
    said = f"{environment.folder} cannot be used ({error.strerror}: {error.filename})"
    return CannotRun(f"{said}: free some space, or name a folder of yours with COURSE_VENV.", code)


@contextlib.contextmanager
def guarded(environment: Environment) -> Iterator[None]:
    """Hold a lock on the environment; a closed terminal or a polite kill ends it as Ctrl-C does."""

    def on_wait() -> None:
        print("Another run is making the environment; waiting until it has finished.", flush=True)

    try:
        environment.folder.mkdir(parents=True, exist_ok=True)
        with files.locked(environment.folder / GUARD, on_wait=on_wait) as held:
            if held is not None:  # what is started below keeps the lock if this run is killed
                os.set_inheritable(held.fileno(), True)
            before = {
                number: signal.signal(number, signal.default_int_handler)
                for name in ("SIGTERM", "SIGHUP")
                if (number := getattr(signal, name, None)) is not None  # Windows has no SIGHUP
            }
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
    except OSError as error:
        raise _no_access(environment, error, 1) from error


def _announce(environment: Environment) -> None:
    folder, known = environment.folder, environment.installed()
    why = f"Making the course's environment in {folder}: about 3 GB and a few minutes, once."
    if environment.up_to_date():
        clauses = installed.few(environment.differences())
        why = f"The environment is not as the lock says ({clauses}); repairing it."
    elif known and environment.gpu != environment.has_gpu_build():
        why = "Putting TensorFlow's other build in the place of the one that is here."
    elif replace(environment, tests=False).up_to_date():
        why = "Adding what only tests need: about 0.3 GB."
    elif known:
        why = "The packages of the course have changed; updating the environment."
    print(why, *machine.missed(), sep="\n", flush=True)


def prepare(environment: Environment) -> None:
    """Make an environment that has pip, unless a whole one of a supported Python is there."""
    unfinished = environment.folder / UNFINISHED
    whole = environment.python.exists() and not unfinished.exists()
    if whole and environment.ask("-c", MADE).returncode == 0:
        return
    unfinished.touch()
    environment.stamp.unlink(missing_ok=True)
    for path in (environment.folder / part for part in PARTS):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "venv", str(environment.folder)]
    if _call(command, environment.variables()) != 0:
        raise CannotRun(f"Python could not make {environment.folder} (its message is above).", 1)


def install_packages(environment: Environment) -> None:
    """Install what the lock lists, with uv, or with pip if uv does not work; check the result."""
    before = environment.differences()
    variables = package_variables(environment)
    has_uv = install_uv(environment, variables)
    unfinished = environment.folder / UNFINISHED
    unfinished.write_text(composed(environment.locks()), encoding="utf-8")
    failure = "uv could not be installed"
    if has_uv:
        command = [str(environment.program("uv")), "pip", "install", "--no-config", "--python"]
        command += [str(environment.python), "--require-hashes", "-r", str(unfinished)]
        if variables.get("PIP_NO_INDEX", "").lower() in YES:  # uv has no variable for it
            command.append("--no-index")
        code = _call(command, variables)
        if code == 0 and not environment.differences():
            unfinished.unlink()
            return
        failure = f"uv ended with code {code}" if code else "uv did not install all packages"
    print(f"{failure}; trying with pip, which takes 5 to 12 minutes.", flush=True)
    code = _pip(environment, unfinished, variables)
    different = environment.differences()
    if not different or different == before:  # nothing is half written
        unfinished.unlink()
    if code != 0:
        raise CannotRun(
            f"The packages could not be installed (pip ended with code {code}; see above):"
            " look at the network and its proxy, then run this again; what was downloaded is kept.",
            1,
        )
    if different:
        said = f"The environment is not as the lock says ({installed.few(different)}):"
        raise CannotRun(f"{said} delete {environment.folder} and run this again.", 1)


def composed(locks: Mapping[str, str]) -> str:
    """Return one list of what the locks name; the GPU's TensorFlow takes the other's place."""
    text = "".join(locks.values())
    if GPU_LOCK in locks:
        text = text.replace(locked_block(text, "tensorflow-cpu"), "")
    return text


def let_it_find_helpers(environment: Environment) -> None:
    """Let notebooks in any folder import ``helpers``, by a .pth file in the environment."""
    line = f"import sys; sys.path.append({ascii(str(environment.root))})\n"  # ASCII on any system
    for pattern in ("lib/python3*/site-packages", "Lib/site-packages"):
        for folder in environment.folder.glob(pattern):
            path = folder / "course.pth"
            with contextlib.suppress(OSError):  # a read-only disk
                if not path.exists() or path.read_text(encoding="ascii") != line:
                    files.write(path, line)


def install_uv(environment: Environment, variables: Mapping[str, str]) -> bool:
    """Install uv with pip, from the lock with its hash; return whether it is there."""
    block = locked_block(environment.locks()[LOCK], "uv")
    version = block.split("==")[1].split()[0]
    if _version_of(environment.program("uv")) == version:
        return True
    wanted, log = (environment.folder / f"course-uv.{kind}" for kind in ("txt", "log"))
    wanted.write_text(block, encoding="utf-8")
    log.write_bytes(b"")
    try:
        options = (SILENT, f"--log={log}", "--progress-bar=off", "--no-deps", "--force-reinstall")
        done = _pip(environment, wanted, variables, *options) == 0
        said = "" if done else log.read_text(encoding="utf-8", errors="replace")
    finally:
        wanted.unlink()
        log.unlink()
    if why := re.search(r"connection broken by '(\w+)", said):
        words = "look at the network and its proxy, then run this again."
        raise CannotRun(f"The package index does not answer ({why[1]}): {words}", 1)
    sys.stderr.writelines(re.findall(r"ERROR: .*\n", said))
    return done and _version_of(environment.program("uv")) == version


def _version_of(uv: Path) -> str:
    """Return what an installed uv says its version is; empty if there is none that runs."""
    with contextlib.suppress(OSError):
        told = subprocess.run([str(uv), "--version"], capture_output=True, text=True, check=False)
        return "".join(told.stdout.split()[1:2])
    return ""


def locked_block(lock: str, name: str) -> str:
    """Return the lines of one package in the lock: its version, its marker and its hashes."""
    found = re.search(rf"^{re.escape(name)}==.*(?:\n[ ]+--hash=.*)+", lock, re.MULTILINE)
    if not found:
        words = "take that file from a fresh copy of the course."
        raise CannotRun(f"requirements.lock does not name {name}: {words}")
    return found[0].rstrip("\\") + "\n"


def package_variables(environment: Environment, only_main: bool = False) -> dict[str, str]:
    """Return the variables of pip and uv: the same mirrors, certificates and proxies, no more."""
    settings = pip_settings(environment)
    variables = {
        name: value
        for name, value in environment.variables().items()
        if name.startswith(UV_KEPT) or not name.startswith(("PIP_", "UV_"))
    }
    for key in PIP_KEPT:
        if settings.get(key):
            name = "PIP_" + key.upper().replace("-", "_")
            variables[name] = settings[key].strip().replace("\n", " ")
    if (wheels := environment.root / WHEELS).is_dir():  # a folder made by `pack`: no network
        variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "UV_OFFLINE": "1"}
        settings = {"find-links": str(wheels)}
    return variables | {"PIP_CONFIG_FILE": os.devnull} | for_uv(settings, variables, only_main)


def pip_settings(environment: Environment) -> dict[str, str]:
    """Return what pip's files and PIP_* variables say: ``{"index-url": ...}``."""
    told = environment.ask("-m", "pip", "--disable-pip-version-check", "config", "list")
    return parse_settings(told.stdout) if told.returncode == 0 else {}


def parse_settings(text: str) -> dict[str, str]:
    """Return the output of ``pip config list`` as a table; later sections outrank earlier ones."""
    settings: dict[str, str] = {}
    lines = [line.partition("=") for line in text.splitlines()]
    for section in ("global", "install", ":env:"):
        for key, equals, value in lines:
            if equals and key.startswith(f"{section}."):
                settings[key[len(section) + 1 :].replace("_", "-")] = str(ast.literal_eval(value))
    return settings


def for_uv(
    settings: Mapping[str, str], present: Mapping[str, str], only_main: bool = False
) -> dict[str, str]:
    """Return the variables that make uv look where pip looks; what is set for uv itself stays.

    ``only_main``: no other index, which may hold some platforms only, and uv would lock its hashes.
    """
    wanted = {}
    if not any(present.get(name) for name in UV_INDEXES):
        wanted["UV_DEFAULT_INDEX"] = settings.get("index-url", "")
        if not only_main:
            wanted["UV_INDEX"] = " ".join(settings.get("extra-index-url", "").split())
            wanted["UV_FIND_LINKS"] = ",".join(settings.get("find-links", "").split())
        if wanted.get("UV_INDEX"):
            # pip takes the best of all indexes; this is safe because every file's hash is known
            wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    wanted["UV_INSECURE_HOST"] = " ".join(settings.get("trusted-host", "").split())
    wanted["UV_HTTP_TIMEOUT"] = settings.get("timeout", settings.get("default-timeout", ""))
    wanted["SSL_CERT_FILE"] = settings.get("cert", "")
    wanted["ALL_PROXY"] = settings.get("proxy", "")
    return {name: value for name, value in wanted.items() if value and not present.get(name)}


def _pip(
    environment: Environment, wanted: Path, variables: Mapping[str, str], *options: str
) -> int:
    """Install a file of hashed requirements with the environment's pip; return its exit code."""
    command = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check"]
    return _call([*command, *options, "--require-hashes", "-r", str(wanted)], variables)


def _call(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a command in a session of its own, which Ctrl-C ends whole; return its exit code."""
    errors = subprocess.DEVNULL if SILENT in command else None  # the log has them
    windows = os.name == "nt"
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stderr=errors, start_new_session=True, close_fds=windows
    ) as process:
        try:
            return process.wait()
        except BaseException:
            if windows:
                process.terminate()
            else:
                os.killpg(process.pid, signal.SIGTERM)
            raise
