"""The task runner: what it refuses, what it installs and in which order, what it hands over to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import runner
from helpers.runner import install, machine, tasks
from helpers.runner.environment import ROOT, Environment
from helpers.runner.machine import CannotRun

LOCK = """# made by: python -m helpers lock
numpy==1.26.4 ; python_full_version < '3.13' \\
    --hash=sha256:aaa
    # via -r requirements.txt
uv==0.13.9 ; python_full_version < '3.13' \\
    --hash=sha256:bbb \\
    --hash=sha256:ccc
    # via -r requirements.txt
zipp==4.1.2 \\
    --hash=sha256:ddd
"""
posix = pytest.mark.skipif(os.name == "nt", reason="Windows cannot replace a process")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A checkout with a lock and no environment; nothing of the real one is reached."""
    root = tmp_path / "course"
    root.mkdir()
    (root / "requirements.lock").write_text(LOCK)
    here = Environment(root, root / ".venv")
    monkeypatch.setattr(Environment, "here", classmethod(lambda cls: here))
    return here


class Fakes:
    """Stands in for every program the installation starts, and remembers what was asked of it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.commands: list[list[str]] = []
        self.codes: dict[str, int] = {}  # what a program ends with, where it is not 0
        self.uv_says = ""
        self.different = ["numpy is missing"]
        self.elsewhere = ()  # kinds that end well and install into another folder

    def kind(self, command) -> str:
        words = [str(word) for word in command]
        if "venv" in words:
            return "venv"
        if words[0] == str(self.environment.program("uv")):
            return "uv"
        if "-c" in words:
            return "whole?"
        return "pip uv" if "course-uv.txt" in words[-1] else "pip"

    def call(self, command, variables, quiet=False) -> int:
        kind, here = self.kind(command), self.environment
        self.commands.append([kind, *map(str, command)])
        if kind == "venv":
            here.programs.mkdir(parents=True)
            here.python.touch()
            (here.folder / "pyvenv.cfg").write_text("version = 3.11.7\n")
        code = self.codes.get(kind, 0)
        if kind == "pip uv" and not code:
            self.block = Path(command[-1]).read_text()
            self.uv_says = "0.13.9"
        if kind in ("uv", "pip") and not code and kind not in self.elsewhere:
            self.different = []
        return code

    @property
    def kinds(self) -> list[str]:
        return [command[0] for command in self.commands]


@pytest.fixture
def fakes(environment, monkeypatch):
    fakes = Fakes(environment)
    monkeypatch.setattr(install, "_call", fakes.call)
    monkeypatch.setattr(install, "_version_of", lambda uv: fakes.uv_says)
    monkeypatch.setattr(install, "pip_settings", lambda environment: {})
    monkeypatch.setattr(Environment, "differences", lambda self: fakes.different)
    return fakes


# -- the installation ---------------------------------------------------------------------------------


def test_first_use_makes_the_environment_with_uv(environment, fakes):
    install.ensure(environment)
    assert fakes.kinds == ["venv", "pip uv", "uv"]
    assert "--require-hashes" in fakes.commands[1] and "--require-hashes" in fakes.commands[2]
    assert fakes.commands[2][-1] == str(environment.lock)
    assert fakes.block.startswith("uv==0.13.9") and fakes.block.count("--hash") == 2
    assert environment.ready()
    environment.lock.write_bytes(LOCK.replace("\n", "\r\n").encode())  # git on Windows
    install.ensure(environment)
    assert len(fakes.commands) == 3


def test_another_lock_is_installed_into_the_same_environment(environment, fakes, capsys):
    install.ensure(environment)
    environment.lock.write_text(LOCK.replace("numpy==1.26.4", "numpy==1.26.5"))
    assert not environment.ready()
    fakes.commands.clear()
    install.ensure(environment)
    assert fakes.kinds == ["whole?", "uv"] and environment.ready()
    assert "have changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("codes", "elsewhere", "kinds", "says"),
    [
        ({"pip uv": 1}, (), ["venv", "pip uv", "pip"], "uv could not be installed"),
        ({"uv": 2}, (), ["venv", "pip uv", "uv", "pip"], "uv ended with code 2"),
        ({}, ("uv",), ["venv", "pip uv", "uv", "pip"], "uv did not install all"),
    ],
)
def test_pip_takes_over_where_uv_fails(environment, fakes, capsys, codes, elsewhere, kinds, says):
    fakes.codes, fakes.elsewhere = codes, elsewhere
    install.ensure(environment)
    assert fakes.kinds == kinds
    assert "--require-hashes" in fakes.commands[-1]
    assert environment.ready() and says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        ({"uv": 1, "pip": 1}, "pip ended with code 1"),
        ({}, "is not as the lock says .numpy is missing.: delete .*venv and run this again"),
    ],
)
def test_a_failed_installation_leaves_no_stamp(environment, fakes, codes, says):
    fakes.codes, fakes.elsewhere = codes, ("uv", "pip")
    with pytest.raises(CannotRun, match=says) as caught:
        install.ensure(environment)
    assert caught.value.code == 1
    assert not environment.ready() and not environment.stamp.exists()


@pytest.mark.parametrize("cut_off_in", ["venv", "pip uv", "uv"])
def test_an_interrupted_installation_is_made_anew(environment, fakes, monkeypatch, cut_off_in):
    def cut_off(command, variables, quiet=False):
        code = fakes.call(command, variables, quiet)
        if fakes.kinds[-1] == cut_off_in:
            raise KeyboardInterrupt
        return code

    monkeypatch.setattr(install, "_call", cut_off)
    with pytest.raises(KeyboardInterrupt):
        install.ensure(environment)
    assert not environment.ready()
    monkeypatch.setattr(install, "_call", fakes.call)
    fakes.commands.clear()
    install.ensure(environment)
    assert fakes.kinds[0] == "venv" and environment.ready()


def test_an_update_that_failed_does_not_keep_the_old_stamp(environment, fakes):
    install.ensure(environment)
    environment.lock.write_text(LOCK + "# more\n")
    fakes.codes = {"uv": 1, "pip": 1}
    with pytest.raises(CannotRun):
        install.ensure(environment)
    environment.lock.write_text(LOCK)  # as installed before: its packages may be gone
    assert not environment.ready()


def test_a_missing_or_short_lock_says_so(environment, capsys):
    with pytest.raises(CannotRun, match="does not name uv"):
        install.locked_block("numpy==1.26.4 \\\n    --hash=sha256:aaa\n", "uv")
    environment.lock.unlink()
    assert runner.main(["lab"]) == 2
    assert "from a fresh copy of the course" in capsys.readouterr().err
    assert not environment.folder.exists()


def test_two_runs_do_not_install_at_once(environment):
    environment.folder.mkdir()
    code = (
        "import sys; from pathlib import Path\n"
        "from helpers.runner.environment import Environment\n"
        "from helpers.runner.install import guarded\n"
        "with guarded(Environment(Path(sys.argv[1]), Path(sys.argv[2]))): print('held', flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(environment.root), str(environment.folder)]
    with install.guarded(environment):
        other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline().startswith("Another run is making the environment")
        assert other.poll() is None
    rest, _ = other.communicate(timeout=60)
    assert rest.split() == ["held"] and other.returncode == 0


@posix
def test_ctrl_c_ends_what_the_installer_started(environment, monkeypatch):
    seen = []

    class Interrupted(subprocess.Popen):
        def wait(self, timeout=None):
            if not seen:
                seen.append(self.pid)
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        install._call([sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ))
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


# -- where packages come from -------------------------------------------------------------------------


def test_pips_mirror_is_uvs_too():
    text = """:env:.index-url='https://env.example/simple'
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
    assert install.for_uv({}, {}) == {}


def test_what_is_set_for_uv_outranks_pips_settings():
    settings = {"index-url": "https://pip.example", "extra-index-url": "https://more.example"}
    assert install.for_uv(settings, {"UV_DEFAULT_INDEX": "https://uv.example/simple"}) == {}
    assert install.for_uv({"cert": "a.pem"}, {"SSL_CERT_FILE": "b.pem"}) == {}


# -- what is refused before anything is installed -----------------------------------------------------


def refused(environment, fakes, capsys) -> str:
    """What `lab` prints where it must refuse: one line, exit code 2, nothing made, nothing started."""
    assert runner.main(["lab"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and not environment.folder.exists()
    assert fakes.commands == []
    return told.err


def with_free(monkeypatch, free: float) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


def test_too_little_disk(environment, fakes, capsys, monkeypatch):
    with_free(monkeypatch, 1.234e9)
    told = refused(environment, fakes, capsys)
    assert "1.2 GB free" in told and "5.5 GB" in told and "COURSE_VENV" in told
    assert runner.main(["doctor"]) == 2
    with_free(monkeypatch, 6e9)
    install.ensure(environment)
    environment.stamp.unlink()
    with_free(monkeypatch, 2e9)  # enough for an update
    install.ensure(environment)
    assert environment.ready()


def test_no_ensurepip(environment, fakes, capsys, monkeypatch):
    monkeypatch.setattr(
        machine.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else 1
    )
    told = refused(environment, fakes, capsys)
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in told


def test_a_folder_that_cannot_be_written(environment, fakes, capsys, monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert "Nothing can be written" in refused(environment, fakes, capsys)

    def full(*unused, **options):
        raise OSError(28, "No space left on device", "course-install.lock")

    monkeypatch.undo()
    monkeypatch.setattr(Environment, "ready", lambda self: False)
    monkeypatch.setattr(install.files, "locked", full)
    with pytest.raises(CannotRun, match="No space left on device: course-install.lock") as caught:
        install.ensure(environment)
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("system", "processor", "says"),
    [
        ("Linux", "riscv64", "Linux on riscv64"),
        ("Windows", "ARM64", "Windows on ARM64"),
        ("FreeBSD", "amd64", "FreeBSD on amd64"),
    ],
)
def test_a_platform_without_wheels(
    environment, fakes, capsys, monkeypatch, system, processor, says
):
    monkeypatch.setattr(machine.platform, "system", lambda: system)
    monkeypatch.setattr(machine.platform, "machine", lambda: processor)
    assert says in refused(environment, fakes, capsys)


def test_an_old_macos_glibc_or_another_python(environment, fakes, capsys, monkeypatch):
    monkeypatch.setattr(machine.platform, "libc_ver", lambda: ("glibc", "2.17"))
    monkeypatch.setattr(machine.platform, "system", lambda: "Linux")
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    assert "glibc 2.17" in refused(environment, fakes, capsys)
    monkeypatch.setattr(machine.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(machine.platform, "mac_ver", lambda: ("13.6.1", ("", "", ""), "x86_64"))
    assert "macOS 13" in refused(environment, fakes, capsys)
    monkeypatch.setattr(machine.sysconfig, "get_config_var", lambda name: "x86_64-pc-linux-musl")
    assert "musl" in refused(environment, fakes, capsys)
    monkeypatch.setattr(machine.platform, "python_implementation", lambda: "PyPy")
    assert "64-bit PyPy" in refused(environment, fakes, capsys)


@pytest.mark.parametrize(
    ("system", "processor", "says"),
    [
        ("Linux", "x86_64", ""),
        ("Linux", "aarch64", ""),
        ("Windows", "AMD64", "MXNet has no wheel for Windows"),
        ("Darwin", "arm64", "MXNet has no wheel for Apple Silicon"),
        ("Darwin", "x86_64", "TensorFlow ended Intel Macs with 2.16"),
    ],
)
def test_what_a_platform_lacks_is_said(monkeypatch, system, processor, says):
    monkeypatch.setattr(machine.platform, "system", lambda: system)
    monkeypatch.setattr(machine.platform, "machine", lambda: processor)
    told = " ".join(machine.missed())
    assert says in told and bool(told) == bool(says)


def other_pythons() -> list[Path]:
    """Interpreters on this machine that the course does not run on."""
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    found = [path for place in places for path in place.glob("python[0-9].[0-9]*")]
    found += (Path.home() / ".pyenv" / "versions").glob("*/bin/python[0-9].[0-9]*")
    pattern = re.compile(r"python(\d)\.(\d+)")
    versions = {path: pattern.fullmatch(path.name) for path in found if path.parent.name != "shims"}
    return sorted(
        path
        for path, match in versions.items()
        if match and not (3, 10) <= (int(match[1]), int(match[2])) <= (3, 12)
    )


def test_another_python_is_told_so_in_one_sentence(tmp_path):
    tried = []
    variables = {"COURSE_VENV": str(tmp_path / "venv"), "PYTHONDONTWRITEBYTECODE": "1"}
    sentence = r"This is Python \S+, and the course needs Python 3\.10, 3\.11 or 3\.12 .*\.\n"
    for python in other_pythons():
        told = subprocess.run(
            [str(python), "-m", "helpers", "lab"],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if "needs Python" not in told.stderr and told.returncode != 2:
            continue  # not an interpreter that starts
        assert told.returncode == 2 and told.stdout == "", python
        assert re.fullmatch(sentence, told.stderr)
        assert not (tmp_path / "venv").exists()
        tried.append(python.name)
    if not tried:
        pytest.skip("no Python older than 3.10 or newer than 3.12 on this machine")


def test_the_entry_parses_on_the_oldest_pythons():
    """No function, annotation or f-string, whatever Python is there to try it."""
    for name in ("__main__.py", "__init__.py"):
        text = (ROOT / "helpers" / name).read_text(encoding="ascii")
        assert not re.search(r"""^\s*def |->|\bf["']|:=|^\s*match """, text, re.MULTILINE), name


# -- handing over -------------------------------------------------------------------------------------


@pytest.fixture
def handed(environment, fakes, monkeypatch):
    """What would have replaced this process."""
    handed: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.chdir(environment.root)
    monkeypatch.setattr(
        tasks.os, "execve", lambda path, command, env: handed.append((command, env))
    )
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a process in between"))
    return handed


def start(handed, *arguments):
    with pytest.raises(BaseException):  # noqa: B017 - the stand-in comes back, execve never does
        runner.main(list(arguments))
    return handed[-1]


@posix
@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["build", "--check", "02"], ["-m", "helpers.book", "--check", "02"]),
        (["bench"], ["-m", "tests.benchmarks"]),
        (["test", "-k", "splits"], ["-m", "pytest", "-k", "splits"]),
    ],
)
def test_a_task_becomes_its_module(environment, handed, arguments, module):
    command, variables = start(handed, *arguments)
    assert command == [str(environment.python), *module]
    assert variables["VIRTUAL_ENV"] == str(environment.folder)


@posix
def test_lab_opens_the_first_chapter_on_this_machine_only(environment, handed):
    chapter = environment.root / tasks.FIRST_CHAPTER
    chapter.parent.mkdir()
    chapter.touch()
    command, variables = start(handed, "lab", "--no-browser", "--port=9999")
    assert command[1:3] == ["-m", "jupyterlab"] and command[-2:] == ["--no-browser", "--port=9999"]
    assert "--ServerApp.ip=127.0.0.1" in command
    assert f"--LabApp.default_url=/lab/tree/{tasks.FIRST_CHAPTER}" in command
    assert {"--LabApp.news_url=None", "--LabApp.extension_manager=readonly"} <= set(command)


def test_lab_does_not_ask_about_news(environment):
    tasks.ask_nothing(environment)
    page = environment.folder / "etc/jupyter/labconfig/page_config.json"
    assert tasks.ANNOUNCEMENTS in page.read_text()
    page.write_text("{}")
    tasks.ask_nothing(environment)
    assert page.read_text() == "{}", "a reader's own choice stays"


def test_lab_lets_the_reader_decide(environment, monkeypatch):
    monkeypatch.setattr(tasks.os, "geteuid", lambda: 0, raising=False)
    chapter = environment.root / tasks.FIRST_CHAPTER
    chapter.parent.mkdir()
    chapter.touch()
    options = tasks.lab_options(environment, ["--ip=0.0.0.0", "chapters/02.ipynb"])
    mine = ("--ServerApp.ip", "--LabApp.default_url")
    assert not any(option.startswith(mine) for option in options)
    assert options[-1] == "--allow-root"
    monkeypatch.setattr(tasks.os, "geteuid", lambda: 1000, raising=False)
    assert "--allow-root" not in tasks.lab_options(environment, [])


def test_threads_share_heaps_unless_told_otherwise(environment, monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert environment.variables()["MALLOC_ARENA_MAX"] == "2"
    monkeypatch.setenv("MALLOC_ARENA_MAX", "5")
    assert environment.variables()["MALLOC_ARENA_MAX"] == "5"


def test_windows_has_other_paths(environment, monkeypatch):
    scripts = environment.folder / "Scripts"
    monkeypatch.setattr("helpers.runner.environment.os.name", "nt")
    found = environment.python, environment.program("uv")
    monkeypatch.undo()
    assert found == (scripts / "python.exe", scripts / "uv.exe")


@pytest.mark.parametrize(
    ("codes", "expected", "says"),
    [
        ({}, 0, ""),
        ({"ruff check": 1}, 1, "Failed: ruff check;"),
        ({"ruff format": 1}, 1, "Failed: ruff format;"),
        ({"mypy": 1, "pytest": 5}, 5, "Failed: mypy, pytest;"),
    ],
)
def test_test_runs_everything_and_fails_if_anything_does(
    environment, fakes, monkeypatch, capsys, codes, expected, says
):
    asked = []

    def run(environment, module):
        asked.append(" ".join(module[:2]))
        return codes.get(asked[-1], 0)

    monkeypatch.setattr(tasks, "run", run)
    assert runner.main(["test"]) == expected
    assert asked == ["ruff check", "ruff format", "mypy", "pytest"]
    assert says in capsys.readouterr().err


def test_exit_codes_come_through(environment, monkeypatch):
    monkeypatch.setattr(Environment, "python", property(lambda self: Path(sys.executable)))
    assert tasks.run(environment, ["json.tool", "no such file"]) != 0
    assert tasks.run(environment, ["this"]) == 0


def test_ctrl_c_is_one_sentence(environment, monkeypatch, capsys):
    def stop(*unused):
        raise KeyboardInterrupt

    monkeypatch.setitem(runner.TASKS, "lab", stop)
    assert runner.main(["lab"]) == 130
    assert capsys.readouterr().err == "\nStopped. The same command goes on from here.\n"


def test_an_unknown_task_names_the_known_ones(capsys):
    assert runner.main(["lap"]) == 2
    assert "'lap'; the tasks are lab, test, build" in capsys.readouterr().err
    assert runner.main([]) == 2
    assert runner.main(["--help"]) == 0


# -- doctor -------------------------------------------------------------------------------------------


def test_doctor_tells_the_states_of_an_environment_apart(environment, fakes, capsys, monkeypatch):
    def told(code: int) -> str:
        assert runner.main(["doctor"]) == code
        return capsys.readouterr().out

    said = told(0)
    assert "not made yet" in said and "can be installed here" in said
    assert not environment.folder.exists() and fakes.commands == []
    install.ensure(environment)
    monkeypatch.setattr(tasks, "check_data", lambda here: ("latest-small: 100,004 ratings", 0))
    assert "ready, as requirements.lock says" in told(0)
    monkeypatch.setattr(tasks, "check_data", lambda here: ("ratings.csv.gz: SHA-256 is …", 1))
    assert "its data is not whole" in told(1)
    fakes.different = ["numpy is 2.1.0, not 1.26.4"]
    said = told(1)
    assert "says: numpy is 2.1.0, not 1.26.4;" in said and "lab repairs it" in said
    environment.lock.write_text(LOCK + "# more\n")
    assert "made from another requirements.lock" in told(0)
    environment.stamp.unlink()
    assert "begun but not finished" in told(0)


def test_doctor_checks_the_embedded_data():
    environment = SimpleNamespace(
        python=sys.executable, root=ROOT, variables=lambda: dict(os.environ)
    )
    told, code = tasks.check_data(environment)
    assert (told, code) == ("latest-small: 100,004 ratings, checksum as published", 0)
