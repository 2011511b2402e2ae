"""The task runner: what it refuses, what it installs and in which order, what it hands over to."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import files, installed, runner
from helpers.runner import install, machine, tasks
from helpers.runner.environment import (
    GPU_LOCK,
    GUARD,
    LOCK,
    ROOT,
    TESTS_LOCK,
    UNFINISHED,
    Environment,
)
from helpers.runner.machine import CannotRun

TEXT = """# made by: python -m helpers lock
numpy==1.26.4 ; python_full_version < '3.13' \\
    --hash=sha256:aaa
uv==0.13.9 ; python_full_version < '3.13' \\
    --hash=sha256:bbb \\
    --hash=sha256:ccc
    # via -r requirements.txt
"""
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such processes and links")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A checkout with a lock and no environment; nothing of the real one is reached."""
    here = Environment(tmp_path / "course", tmp_path / "course" / ".venv")
    chapter = here.root / "chapters" / tasks.FIRST_CHAPTER
    chapter.parent.mkdir(parents=True)
    chapter.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    (here.root / LOCK).write_text(TEXT)
    monkeypatch.setattr(Environment, "here", classmethod(lambda cls, **chosen: here))
    return here


class Fakes:
    """Stands in for every program the installation starts, and remembers what was asked of it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.commands: list[list[str]] = []
        self.kinds: list[str] = []
        self.codes: dict[str, int] = {}  # what a program ends with, where it is not 0
        self.elsewhere: tuple[str, ...] = ()  # installers that install into another folder
        self.killed_in = self.uv_says = self.log = ""
        self.different = ["numpy is missing"]

    def ask(self, *arguments) -> SimpleNamespace:
        self.kinds.append("whole?")
        return SimpleNamespace(returncode=self.codes.get("whole?", 0))

    def call(self, command, variables) -> int:
        here, last = self.environment, str(command[-1])
        installer = "pip uv" if last.endswith("course-uv.txt") else "pip"
        kind = "uv" if command[0] == str(here.program("uv")) else installer
        if "venv" in command:
            kind = "venv"
            here.programs.mkdir(parents=True)
            for made in (here.folder / "pyvenv.cfg", here.python):
                made.touch()
        self.commands.append([*map(str, command)])
        self.kinds.append(kind)
        code = self.codes.get(kind, 0)
        if kind == "pip uv":
            (here.folder / "course-uv.log").write_text(self.log)
        if kind == "pip uv" and not code:
            self.block, self.uv_says = Path(last).read_text(), "0.13.9"
        elif kind in ("uv", "pip") and "install" in command:
            self.list = Path(last).read_text()
        if kind in ("uv", "pip") and not code and kind not in self.elsewhere:
            self.different = []
        if kind == self.killed_in:
            raise KeyboardInterrupt
        return code


@pytest.fixture
def fakes(environment, monkeypatch):
    fakes = Fakes(environment)
    monkeypatch.setattr(install, "_call", fakes.call)
    monkeypatch.setattr(Environment, "ask", lambda self, *arguments: fakes.ask(*arguments))
    monkeypatch.setattr(install, "_version_of", lambda uv: fakes.uv_says)
    monkeypatch.setattr(install, "pip_settings", lambda environment: {})
    monkeypatch.setattr(Environment, "differences", lambda self: fakes.different)
    return fakes


def test_first_use_installs_with_uv_and_another_lock_updates(environment, fakes):
    install.ensure(environment)
    assert fakes.kinds == ["venv", "pip uv", "uv"] and environment.ready()
    assert "--require-hashes" in fakes.commands[1] and "--require-hashes" in fakes.commands[2]
    assert fakes.commands[2][-1] == str(environment.folder / UNFINISHED)
    assert fakes.block.startswith("uv==0.13.9") and fakes.block.count("--hash") == 2
    (environment.root / LOCK).write_bytes(TEXT.replace("\n", "\r\n").encode())  # git on Windows
    install.ensure(environment)
    assert len(fakes.kinds) == 3
    (environment.root / LOCK).write_text(TEXT.replace("numpy==1.26.4", "numpy==1.26.5"))
    install.ensure(environment)
    assert fakes.kinds[3:] == ["whole?", "uv"] and environment.ready()


def test_a_gpu_gets_its_build_and_tests_their_tools_on_top(environment, fakes, capsys):
    """What is there stays until somebody asks for the other build; a learner's start adds nothing."""
    line = "\n{}==2.21.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{}\n"
    (environment.root / LOCK).write_text(TEXT + line.format("tensorflow-cpu", "c"))
    (environment.root / GPU_LOCK).write_text(line.format("tensorflow", "d"))
    (environment.root / TESTS_LOCK).write_text(line.format("ruff", "e"))
    gpu, tests = replace(environment, gpu=True), replace(environment, tests=True)

    def named(here: Environment, said: str) -> set[str]:
        fakes.different, fakes.kinds = ["tensorflow is missing"], []
        install.ensure(here)
        assert said in capsys.readouterr().out
        return set(re.findall(r"^(tensorflow-cpu|tensorflow|ruff)==", fakes.list, re.MULTILINE))

    assert named(gpu, "3 GB") == {"tensorflow"} and gpu.ready() and not environment.ready()
    assert gpu.variables()["NVIDIA_TF32_OVERRIDE"] == "0"
    assert named(environment, "TensorFlow's other build") == {"tensorflow-cpu"}, "--cpu"
    assert [*install.REMOVE] in [command[1:] for command in fakes.commands]
    assert environment.ready() and not gpu.ready() and not tests.ready()
    both = {"tensorflow-cpu", "ruff"}
    assert named(tests, "only tests need") == both and environment.ready() and tests.ready()
    (environment.root / GPU_LOCK).unlink()
    with pytest.raises(CannotRun, match="requirements-gpu.lock cannot be read"):
        gpu.ready()


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's builds are for Linux")
@pytest.mark.parametrize(
    ("installed_from", "driver", "asked", "gpu"),
    [
        ("", True, None, platform.machine() == "x86_64"),
        ("", False, None, False),
        ("", True, False, False),
        ("", False, True, True),
        (f"0 {LOCK}", True, None, False),
        (f"0 {LOCK}\n0 {GPU_LOCK}", False, None, True),
    ],
)
def test_the_build_is_as_asked_or_as_installed_or_as_the_machine(
    tmp_path, monkeypatch, installed_from, driver, asked, gpu
):
    monkeypatch.setenv("COURSE_VENV", str(tmp_path))
    monkeypatch.setattr(installed, "sees_nvidia", lambda: driver)
    Environment(ROOT, tmp_path).stamp.write_text(installed_from)
    assert Environment.here(gpu=asked).gpu is gpu
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(CannotRun, match="leave out --gpu") if asked else contextlib.nullcontext():
        assert Environment.here(gpu=asked).gpu is (GPU_LOCK in installed_from)


@pytest.mark.parametrize(
    ("codes", "elsewhere", "last", "says"),
    [
        ({"pip uv": 1}, (), ["pip uv", "pip"], "uv could not be installed"),
        ({"uv": 2}, (), ["uv", "pip"], "uv ended with code 2"),
        ({}, ("uv",), ["uv", "pip"], "uv did not install all"),
        ({"uv": 1, "pip": 1}, (), ["uv", "pip"], "pip ended with code 1"),
        ({}, ("uv", "pip"), ["uv", "pip"], "not as the lock says (numpy is missing): delete"),
    ],
)
def test_pip_takes_over_where_uv_fails(environment, fakes, capsys, codes, elsewhere, last, says):
    fakes.codes, fakes.elsewhere = codes, elsewhere
    fails = "pip" in codes or "pip" in elsewhere
    with pytest.raises(CannotRun) if fails else contextlib.nullcontext() as caught:
        install.ensure(environment)
    assert fakes.kinds[-2:] == last and "--require-hashes" in fakes.commands[-1]
    assert says in (str(caught.value) if fails else capsys.readouterr().out)
    assert environment.ready() != fails and environment.stamp.exists() != fails
    assert not fails or caught.value.code == 1


def test_a_dead_proxy_is_one_sentence(environment, fakes, capfd):
    fakes.codes, fakes.log = {"pip uv": 1}, "Retry after connection broken by 'ProxyError('Can"
    with pytest.raises(CannotRun, match=r"does not answer \(ProxyError\): look at the network and"):
        install.ensure(environment)
    assert fakes.kinds == ["venv", "pip uv"] and not capfd.readouterr().err


@pytest.mark.parametrize("killed_in", ["venv", "pip uv", "uv"])
def test_an_interrupted_installation_is_made_anew(environment, fakes, capsys, killed_in):
    fakes.killed_in = killed_in
    assert runner.main(["lab"]) == 130
    assert capsys.readouterr().err == "\nStopped. The same command goes on from here.\n"
    assert not environment.ready()
    fakes.different, fakes.killed_in, fakes.kinds = ["numpy is missing"], "", []
    install.ensure(environment)
    assert fakes.kinds[0] == "venv" and environment.ready()


def test_a_missing_or_short_lock_says_so(environment, capsys):
    with pytest.raises(CannotRun, match="does not name uv"):
        install.locked_block("numpy==1.26.4 \\\n    --hash=sha256:aaa\n", "uv")
    (environment.root / LOCK).unlink()
    assert runner.main(["lab"]) == 2
    assert "from a fresh copy of the course" in capsys.readouterr().err
    assert not environment.folder.exists()


def test_two_runs_do_not_install_at_once(environment, monkeypatch, capsys):
    with install.guarded(environment):
        assert files.hold(environment.folder / GUARD) is None
        monkeypatch.setattr(files.time, "sleep", lambda seconds: pytest.fail("waits"))
        with pytest.raises(pytest.fail.Exception, match="waits"), install.guarded(environment):
            pass
    assert capsys.readouterr().out.startswith("Another run is making the environment; waiting")


@posix
def test_ctrl_c_ends_what_the_installer_started(environment, monkeypatch):
    seen = []

    class Interrupted(subprocess.Popen):
        def wait(self, timeout=None):
            if seen:
                return super().wait(timeout)
            seen.append(self.pid)
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        install._call([sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ))
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_pips_mirror_is_uvs_too():
    text = """
:env:.index-url='https://env.example/simple'
global.index-url='https://file.example/simple'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
install.find-links='/opt/wheels'
global.cert='/etc/ssl/own.pem'
global.trusted-host='mirror.example'
global.default-timeout='180'
"""
    settings = install.parse_settings(text)
    assert install.for_uv(settings, {}) == {
        "UV_DEFAULT_INDEX": "https://env.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/opt/wheels",
        "UV_INSECURE_HOST": "mirror.example",
        "UV_HTTP_TIMEOUT": "180",
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
    }
    # uv would take a package's hashes from an additional index that holds some platforms only
    assert "UV_INDEX" not in install.for_uv(settings, {}, only_main=True)
    # what the reader sets for uv is left as it is
    theirs = {"SSL_CERT_FILE": "b.pem", "UV_INDEX_URL": "https://b.example"}
    assert install.for_uv({"cert": "a.pem", "index-url": "https://a.example"}, theirs) == {}


def refused(environment, fakes, capsys) -> str:
    """What `lab` prints where it must refuse: one line, exit code 2, nothing made, nothing started."""
    assert runner.main(["lab"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and not environment.folder.exists()
    assert fakes.kinds == []
    return told.err


def test_too_little_disk(environment, fakes, capsys, monkeypatch):
    def has(free: float) -> None:
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))

    has(1.234e9)
    told = refused(environment, fakes, capsys)
    assert "1.2 GB free" in told and "5.5 GB" in told and "COURSE_VENV" in told
    assert runner.main(["doctor"]) == 2
    has(6e9)
    install.ensure(environment)
    environment.stamp.write_text("")
    has(2e9)  # enough for an update
    install.ensure(environment)
    assert environment.ready()


def test_no_ensurepip_and_no_folder_to_write_in(environment, fakes, capsys, monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert "Nothing can be written" in refused(environment, fakes, capsys)
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    told = refused(environment, fakes, capsys)
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in told


def test_a_disk_that_becomes_full(environment, fakes, monkeypatch):
    def full(*unused, **options):
        raise OSError(28, "No space left on device", "course-install.lock")

    monkeypatch.setattr(install.files, "locked", full)
    with pytest.raises(CannotRun, match="No space left on device: course-install.lock") as caught:
        install.ensure(environment)
    assert caught.value.code == 1


def pretend(monkeypatch, **answers) -> None:
    usual = {"system": "Linux", "machine": "x86_64", "libc_ver": ("glibc", "2.40")}
    for name, answer in (usual | answers).items():
        monkeypatch.setattr(machine.platform, name, lambda answer=answer: answer)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"machine": "riscv64"}, "Linux on riscv64"),
        ({"system": "Windows", "machine": "ARM64"}, "Windows on ARM64"),
        ({"libc_ver": ("glibc", "2.17")}, "glibc 2.17"),
        ({"system": "Darwin", "mac_ver": ("13.6.1", ("", "", ""), "x86_64")}, "macOS 13"),
        ({"python_implementation": "PyPy"}, "64-bit PyPy"),
    ],
)
def test_a_platform_without_wheels(environment, fakes, capsys, monkeypatch, answers, says):
    pretend(monkeypatch, **answers)
    assert says in refused(environment, fakes, capsys)
    monkeypatch.setattr(machine.sysconfig, "get_config_var", lambda name: "x86-linux-musl")
    assert "musl" in refused(environment, fakes, capsys) or "libc_ver" not in answers


def test_what_a_platform_lacks_is_said(monkeypatch):
    monkeypatch.setattr(machine.sys, "version_info", (3, 13))
    pretend(monkeypatch)
    assert "no wheel for Python 3.13" in machine.missed()[0]
    monkeypatch.setattr(machine.sys, "version_info", (3, 11))
    pretend(monkeypatch, machine="aarch64")
    assert machine.missed() == []
    pretend(monkeypatch, system="Windows", machine="AMD64")
    assert "MXNet has no wheel for Windows" in machine.missed()[0]
    pretend(monkeypatch, system="Darwin")
    assert machine.missed() == ["TensorFlow ended Intel Macs with 2.16, so 2.16 is installed here."]


@posix
def test_another_python_is_told_so_in_one_sentence(tmp_path):
    """By whatever Python is here to try it; its syntax is held to that of 2.7."""
    right = tmp_path / "my course" / "bin" / "python"
    right.parent.mkdir(parents=True)
    right.symlink_to(sys.executable)
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += (Path.home() / ".pyenv" / "versions").glob("*/bin")
    wrong = r"python(2\.7|3\.[6-9]|3\.1[4-9])"
    own = {"COURSE_VENV": str(right.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    options = {"cwd": ROOT, "env": os.environ | own, "capture_output": True, "text": True}
    sentence = r"This is Python \S+, and the course needs Python 3\.10, 3\.11, 3\.12 or 3\.13, .*"
    sentence += re.escape(f': this machine has one, so run: "{right}" -m helpers lab.\n')
    for python in [path for folder in folders for path in folder.glob("python[23].*")]:
        if python.parent.name != "shims" and re.fullmatch(wrong, python.name):
            told = subprocess.run([str(python), "-m", "helpers", "lab"], **options)
            assert (told.returncode, told.stdout) == (2, ""), python
            assert re.fullmatch(sentence, told.stderr)
    for name in ("__main__.py", "__init__.py"):
        text = (ROOT / "helpers" / name).read_text(encoding="ascii")
        assert not re.search(r"""^\s*def |->|\bf["']|:=|^\s*match """, text, re.MULTILINE), name


@posix
@pytest.mark.parametrize(
    ("task", "module"),
    [
        ("build --check 02", "helpers.publish build --check 02"),
        ("bench", "tests.benchmarks"),
        ("cloud", "local_sagemaker"),
        ("test -k splits", "pytest -k splits"),
        ("lab --port=9999", "jupyterlab"),
        ("progress mine.csv", "helpers.exercises mine.csv"),
    ],
)
def test_a_task_becomes_its_module(environment, fakes, monkeypatch, capsys, task, module):
    handed = []
    lock = environment.root / "my_course/.lab"

    def execve(path, command, variables):
        handed.extend([command, variables["VIRTUAL_ENV"], variables["LOCAL_SAGEMAKER_STATE"]])
        if "jupyterlab" in command:
            assert files.hold(lock) is None, "JupyterLab holds it while it runs"
        raise OSError(8, "the stand-in comes back")

    monkeypatch.chdir(environment.root)
    monkeypatch.setenv("COURSE_CLOUD_STATE", "/kept")
    monkeypatch.setattr(tasks.os, "execve", execve)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a process in between"))
    assert runner.main(task.split()) == 1
    command, folder, state = handed
    assert (folder, state) == (str(environment.folder), "/kept")
    assert " ".join(command).startswith(f"{environment.python} -m {module}")
    if module == "jupyterlab":
        options = {"--ServerApp.ip=127.0.0.1", "--LabApp.news_url=None", "--port=9999"}
        options.add(f"--LabApp.default_url=/lab/tree/my_course/{tasks.FIRST_CHAPTER}")
        assert options <= set(command)
        assert (environment.root / "my_course" / tasks.FIRST_CHAPTER).exists()
        with files.locked(lock):
            assert runner.main(["lab"]) == 1
        assert "Another lab of this course is open" in capsys.readouterr().out


def test_install_makes_all_ready_and_starts_nothing(environment, fakes, capsys):
    assert runner.main(["install"]) == 0 and environment.ready()
    assert (environment.root / "my_course" / tasks.FIRST_CHAPTER).exists()
    for name in tasks.SETTINGS:
        assert json.loads((environment.folder / name).read_text()) == tasks.SETTINGS[name]
    assert "python -m helpers lab opens the course" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("lab --fresh", "as in: lab --fresh 02"),
        ("lab --fresh 77", "no chapter 77; there are 00"),
        ("lab --fresh=77 take", "no chapter 77; there are 00"),
        ("install --gpuu", "knows --gpu and --cpu, and was given --gpuu"),
        ("lap", "'lap'; the tasks are lab, install, progress"),
    ],
)
def test_what_can_not_be_done_is_named(environment, fakes, capsys, task, words):
    assert runner.main(task.split()) == 2 and words in capsys.readouterr().err
    assert not os.path.lexists(environment.root / "my_course")
    assert (runner.main([]), runner.main(["--help"])) == (2, 0)


def test_lab_does_not_ask_about_news_and_lets_the_reader_decide(environment, monkeypatch):
    tasks.settle(environment.root, environment.folder)
    page = environment.folder / "etc/jupyter/labconfig/page_config.json"
    assert "announcements" in page.read_text()
    page.write_text("{}")
    tasks.settle(environment.root, environment.folder)
    assert page.read_text() == "{}", "a reader's own choice stays"
    monkeypatch.setattr(tasks.os, "geteuid", lambda: 0, raising=False)
    options = tasks.lab_options(environment, ["--ip=0.0.0.0", "chapters/02.ipynb"])
    mine = ("--ServerApp.ip", "--LabApp.default_url")
    assert not any(option.startswith(mine) for option in options)
    assert options[-1] == "--allow-root"
    monkeypatch.setattr(tasks.os, "geteuid", lambda: 1000, raising=False)
    assert "--allow-root" not in tasks.lab_options(environment, [])


def test_test_runs_everything_and_fails_if_anything_does(environment, fakes, monkeypatch, capsys):
    codes: dict[str, int] = {}

    def run(here, module):
        name = next((word for word in module if word.startswith(("tests", "chapters"))), module[-1])
        return codes.setdefault(name if module[0] == "pytest" else " ".join(module[:2]), 0)

    monkeypatch.setattr(tasks, "run", run)
    monkeypatch.setenv("COURSE_LEDGER", "")  # it is set for the notebooks
    assert runner.main(["test"]) == 0
    assert list(codes) == ["ruff check", "ruff format", "mypy", "tests", "chapters", tasks.NUMBERS]
    assert all((ROOT / name).exists() and name != "." for name in tasks.CHECKS["ruff check"][2:])
    codes[tasks.NUMBERS] = 4
    assert runner.main(["test"]) == 1 and "Failed: numbers;" in capsys.readouterr().err
    codes[tasks.NUMBERS] = 0
    said = ("chapters", 3, ", notebooks"), ("tests", 5, ", pytest, notebooks")
    for name, code, failed in (("ruff format", 1, ""), *said):
        codes[name] = code
        assert runner.main(["test"]) == code
        assert f"Failed: ruff format{failed};" in capsys.readouterr().err


def test_a_part_runs_under_another_python(environment, fakes, monkeypatch, capsys):
    assert runner.main(["test", "--python", "9.9"]) == 69
    assert "No Python 9.9 is installed here, so nothing is tested" in capsys.readouterr().err
    assert runner.main(["test", "--python"]) == 2
    monkeypatch.setattr(machine, "find_python", lambda version: sys.executable)
    started = []

    def run(command, **options):
        started.append((command[1:], options["env"]["COURSE_VENV"]))
        return SimpleNamespace(returncode=7)

    monkeypatch.setattr(tasks.subprocess, "run", run)
    assert runner.main(["test", "--python", "3.13"]) == 7
    command = ["-m", "helpers", "test", *tasks.SIDE_BY_SIDE, "tests/unit"]
    assert started == [(command, str(environment.root / "build" / "python-3.13"))]


def test_doctor_tells_the_states_of_an_environment_apart(environment, fakes, capsys, monkeypatch):
    def told(code: int) -> str:
        assert runner.main(["doctor"]) == code
        return capsys.readouterr().out

    said = told(0)
    assert "not made yet" in said and "can be installed here" in said
    assert not environment.folder.exists() and fakes.kinds == []
    install.ensure(environment)
    monkeypatch.setattr(tasks, "check_data", lambda here: ("latest-small: 100,004 ratings", 0))
    said = told(0)
    assert "ready, as requirements.lock says" in said and "build for processors\n" in said
    environment.stamp.write_text(f"0 {GPU_LOCK}")
    answer = SimpleNamespace(stdout="0\n")  # a driver without a GPU that it can use
    monkeypatch.setattr(Environment, "ask", lambda self, *code: answer)
    assert "build for GPUs; it can use 0; --cpu is enough" in told(0)
    environment.stamp.write_text("\n".join(environment.wanted()))
    monkeypatch.setattr(tasks, "check_data", lambda here: ("ratings.csv.gz: SHA-256 is …", 1))
    assert "its data is not whole" in told(1)
    fakes.different = ["numpy is 2.1.0, not 1.26.4"]
    said = told(1)
    assert "says: numpy is 2.1.0, not 1.26.4;" in said and "lab repairs it" in said
    (environment.root / LOCK).write_text(TEXT + "# more\n")
    assert "made from another requirements.lock" in told(0)
    environment.stamp.write_text("")
    assert "begun but not finished" in told(0)
    monkeypatch.undo()
    said = "latest-small: 100,004 ratings, checksum as published"
    assert tasks.check_data(Environment(ROOT, Path(sys.prefix))) == (said, 0)
