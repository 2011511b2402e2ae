"""The two commands among a reader's own folders, settings and proxies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import files, installed, plots, runner
from helpers.runner import install
from helpers.runner.environment import GUARD, LOCK, ROOT, STAMP, UNFINISHED, Environment
from tests.benchmarks.bench_alone import wheel

WORK = "years of work"


def started(code: str, variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a program with the same interpreter and other variables."""
    command, pipe = [sys.executable, "-c", code, *arguments], subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=pipe, stderr=pipe, text=True)


def said_by(program: subprocess.Popen[str]) -> str:
    told, failure = program.communicate()
    assert program.returncode == 0, failure[-2000:]
    return told


def tree(folder: Path) -> dict[Path, object]:
    """Every file and link below a folder, with content, time and mode."""

    def content(path: Path) -> object:
        return path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()

    found = ((path, path.lstat()) for path in folder.rglob("*"))
    return {path: (content(path), stat.st_mtime_ns, stat.st_mode) for path, stat in found}


def plant(home: Path, kind: str) -> Path:
    """A reader's folder with a thesis in it; where COURSE_VENV points."""
    folder = home / "mine"
    if kind == "file":
        folder.write_text(WORK)
    elif kind == "dangling link":
        folder.symlink_to(home / "unplugged disk")
    else:
        files.write(folder / "lib" / "thesis.txt", WORK)
        files.write(folder / ".hidden", WORK)
    if kind.startswith("environment"):
        files.write(folder / "pyvenv.cfg", f"home = /usr/bin\nversion = {kind.split()[1]}\n")
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable)
    for mark in (GUARD, STAMP, UNFINISHED):  # a run was killed, before the reader used the folder
        if mark in kind:
            (folder / mark).touch()
    if kind == "link":
        (home / "link").symlink_to(folder)
    return {"link": home / "link", "home": home}.get(kind, folder)


KINDS = ["files", "file", "link", "dangling link", "home", GUARD, STAMP, UNFINISHED]
KINDS += ["environment 3.11.7", "environment 3.13.1", "environment 3.8.2"]


@pytest.mark.parametrize("task", ["lab", "test", "build", "bench", "cloud", "lock", "doctor"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_the_readers_is_refused_untouched(kind, task, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("COURSE_VENV", str(plant(tmp_path, kind)))
    monkeypatch.setattr(install, "_call", lambda *unused: pytest.fail("started a program"))
    before = tree(tmp_path)
    assert runner.main([task]) == 2
    told = capfd.readouterr()
    said = told.out if task == "doctor" else told.err
    wanted = "an environment that the course did not make" if "env" in kind else "not the course's"
    assert wanted in said and said.endswith("or move it away.\n")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("named", ["~no-such-user/venv", f"/tmp/a{os.pathsep}b"])
def test_a_folder_that_cannot_be_is_refused_in_a_sentence(named, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_VENV", named)
    assert runner.main(["lab"]) == 2 and not Path(named).exists()
    assert re.search("unknown|makes no environment in", capsys.readouterr().err)


def test_what_a_killed_first_run_leaves_counts_as_empty(tmp_path):
    environment = Environment(ROOT, tmp_path)
    (tmp_path / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (tmp_path / "lib64").symlink_to("lib")
    (tmp_path / UNFINISHED).touch()
    assert environment.is_empty()
    (tmp_path / "lib" / "link").symlink_to(tmp_path / "gone")
    assert not environment.is_empty() and not environment.is_ours()


@pytest.mark.parametrize("mark", [STAMP, UNFINISHED, GUARD])
def test_files_beside_the_courses_own_environment_stay(mark, tmp_path, monkeypatch):
    environment = Environment(ROOT, plant(tmp_path, "environment 3.8.2"))
    thesis = environment.folder / "thesis" / "lib" / "chapter.txt"
    files.write(thesis, WORK)
    (environment.folder / mark).touch()
    monkeypatch.setattr(install, "_call", lambda command, *_, **__: "-c" in command)
    install.preflight(environment)
    install.prepare(environment)  # its interpreter is another: it is made anew
    assert not (environment.folder / "bin").exists()
    assert thesis.read_text() == WORK and (environment.folder / ".hidden").read_text() == WORK


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A checkout whose lock has one small package, and every setting that sends it elsewhere."""
    root, elsewhere = tmp_path / "course", tmp_path / "elsewhere"
    root.mkdir()
    files.write(elsewhere / "toy.py", WORK)
    wheel(tmp_path, "2.0")
    nowhere = f"==0.13.9 ; sys_platform == 'amiga' \\\n    --hash=sha256:{'0' * 64}\n"
    files.write(root / "requirements.lock", f"no{nowhere}{wheel(tmp_path, '1.0')}uv{nowhere}")
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    pip, uv = tmp_path / "pip.conf", tmp_path / "uv.toml"
    sources = f"[global]\nno-index = true\nfind-links = {tmp_path}\n"
    files.write(pip, f"{sources}[install]\nprefix = {elsewhere}\nuser = true\n")
    files.write(uv, f'[pip]\ntarget = "{elsewhere}"\n')
    hostile = {"PIP_CONFIG_FILE": pip, "UV_CONFIG_FILE": uv, "UV_CACHE_DIR": tmp_path / "cache"}
    hostile |= dict.fromkeys(["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_PYTHON"], elsewhere)
    hostile |= dict.fromkeys(["HTTPS_PROXY", "HTTP_PROXY"], "http://127.0.0.1:9")  # nobody there
    hostile |= dict.fromkeys(["PIP_DRY_RUN", "PIP_USER", "UV_SYSTEM_PYTHON", "UV_NO_DEPS"], "1")
    for name, value in hostile.items():
        monkeypatch.setenv(name, str(value))
    return Environment(root, tmp_path / "venv"), elsewhere


def test_packages_go_into_the_environment_and_are_repaired(course, capsys):
    """With pip, then with uv, past settings that send packages elsewhere."""
    environment, elsewhere = course
    before, uv = tree(elsewhere), Path(sys.executable).with_name("uv")
    install.ensure(environment)
    assert environment.ready() and "trying with pip" in capsys.readouterr().out
    variables, python = install.package_variables(environment), str(environment.python)
    path = [python, "-c", "import sys; print(*sys.path, sep='\\n')"]
    told = subprocess.run(path, cwd=elsewhere, env=variables, capture_output=True, text=True)
    assert str(environment.root) in told.stdout.splitlines(), "a notebook elsewhere finds helpers"
    other = [python, "-m", "pip", "install", "--quiet", "toy==2.0"]  # what a cell with %pip does
    subprocess.run(other, env=variables, check=True)
    assert environment.differences() == ["toy is 2.0, not 1.0"] and not environment.ready()
    if uv.exists():
        environment.program("uv").symlink_to(uv)
    install.ensure(environment)
    said = capsys.readouterr().out
    assert "(toy is 2.0, not 1.0); repairing it" in said
    assert ("trying with pip" in said) != uv.exists()
    assert environment.ready() and tree(elsewhere) == before
    cfg = environment.folder / "pyvenv.cfg"
    cfg.write_text(cfg.read_text().replace("version = 3.", "version = 3.9"))
    assert "its interpreter is now 3." in environment.differences()[0]
    assert environment.ask("-c", install.MADE).returncode == 1


def test_differences_are_named_and_counted(tmp_path, monkeypatch):
    environment, lock = Environment(tmp_path, tmp_path / "gone"), tmp_path / LOCK
    lock.write_text(
        "numpy==1.0 \\\n    --hash=sha256:0\n"
        "no-such-thing==1.0 ; python_full_version < '4' \\\n    --hash=sha256:0\n"
        "not_here==1.0 ; sys_platform == 'amiga' \\\n    --hash=sha256:0\n"
    )
    assert "its Python does not start" in environment.differences()[0]
    found = installed.differences(lock)
    assert found[0].startswith("numpy is ") and found[0].endswith(", not 1.0")
    assert found[1:] == ["no-such-thing is missing"]
    assert installed.few(["a", "b", "c", "d", "e"]) == "a; b; c; 2 more"
    assert "cannot be read" in installed.differences(tmp_path / "none")[0]
    assert installed.differences() == [], "tests run in the environment of the lock"
    monkeypatch.setattr(installed.sysconfig, "get_path", lambda kind: str(tmp_path))
    for name, version in (("no", "2.0"), ("~o", "1.0")):  # the second: what a cut-off pip leaves
        metadata = f"Name: No.such-Thing\nVersion: {version}\n"
        files.write(tmp_path / f"{name}_such_thing-{version}.dist-info/METADATA", metadata)
    assert "no-such-thing is 2.0, not 1.0" in installed.differences(lock)


HERE = "127.0.0.1,::1,localhost"


@pytest.mark.parametrize(
    ("given", "lower", "upper"),
    [
        ({}, None, None),
        ({"no_proxy": "a.example"}, "a.example", None),  # Python then asks the system
        ({"HTTP_PROXY": "p"}, HERE, HERE),
        ({"http_proxy": "p", "no_proxy": " a, b ,"}, f"a, b,{HERE}", f"a, b,{HERE}"),
        ({"Https_Proxy": "p", "No_Proxy": "a"}, f"a,{HERE}", f"a,{HERE}"),
        ({"ALL_PROXY": "p", "no_proxy": "a", "NO_PROXY": "b"}, f"a,{HERE}", f"b,{HERE}"),
        ({"http_proxy": "p", "NO_PROXY": "localhost"}, "localhost,127.0.0.1,::1", None),
        ({"HTTP_PROXY": "p", "no_proxy": "*"}, "*", None),
    ],
)
def test_proxies_leave_this_machine_alone(given, lower, upper):
    variables = dict(given)
    files.loopback_without_proxy(variables)
    assert variables.get("no_proxy") == lower
    assert upper is None or variables.get("NO_PROXY") == upper
    again = dict(variables)
    files.loopback_without_proxy(again)
    assert again == variables


def test_a_kernel_reaches_the_sagemaker_of_this_machine_past_a_dead_proxy():
    code = """
import boto3
from helpers import cloud
cloud.connect(sdk=False)
print(boto3.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"])
"""
    variables = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    variables |= {"HTTP_PROXY": "http://192.0.2.1:9", "no_proxy": "intranet"}
    variables["COURSE_CLOUD_STATE"] = ""
    assert said_by(started(code, variables)).split()[-1] == "200"


SETTINGS = """
    KERAS_BACKEND=torch TF_USE_LEGACY_KERAS=1 TF_CONFIG={} PYTHONOPTIMIZE=2 PYTHONWARNINGS=error
    PYTHONSAFEPATH=1 PYTHONPATH=/elsewhere JUPYTER_PATH=/elsewhere CONDA_PREFIX=/elsewhere
    MPLBACKEND=TkAgg NPY_PROMOTION_STATE=weak DMLC_ROLE=server PANDAS_COPY_ON_WRITE=1
    SETUPTOOLS_USE_DISTUTILS=stdlib PYTEST_ADDOPTS=--no-such-option NUMBA_BOUNDSCHECK=1
    MXNET_SAFE_ACCUMULATION=1 TF_ENABLE_AUTO_MIXED_PRECISION=1 TF_GPU_ALLOCATOR=no_such_thing
    HTTP_PROXY=http://192.0.2.1:9 https_proxy=http://192.0.2.1:9
"""
HOSTILE = dict(setting.split("=", 1) for setting in SETTINGS.split())
HOME = {
    ".config/matplotlib/matplotlibrc": "text.usetex: True\nfont.family: fantasy\nbackend: TkAgg\n",
    ".ipython/profile_default/startup/00.py": "import pandas, numpy\n"
    "pandas.set_option('display.max_rows', 3)\nnumpy.set_printoptions(precision=1)\n",
    ".ipython/profile_default/ipython_config.py": "raise SystemExit",
}
CELLS = [
    "import numpy as np, pandas as pd, matplotlib.pyplot as plt, urllib.request as r",
    "pd.DataFrame({'a': np.arange(100) / 3, 'b': ['x' * 90] * 100})",
    "np.arange(3) / 3, __debug__, plt.get_backend(), len(plt.subplots()[0].axes)",
    "plt.rcParams['text.usetex'], plt.rcParams['font.family']",
    "not r.getproxies() or bool(r.proxy_bypass('127.0.0.1'))",
]
RUN = """
import json, sys, nbformat, nbclient
cells = [nbformat.v4.new_code_cell(text) for text in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, timeout=300).execute()
for output in [output for cell in notebook.cells for output in cell.outputs]:
    print(output.output_type, output.get("data", {}).get("text/plain"), output.get("text"))
"""


def test_a_kernel_is_the_same_in_a_hostile_home(tmp_path, monkeypatch):
    """What Keras reads is tested where it is imported: with the gates."""
    fonts = Path(plots.mpl.get_cachedir()).parent  # matplotlib says when it has to look for them
    monkeypatch.setenv("XDG_CACHE_HOME", str(fonts))
    for name in ("XDG_CONFIG_HOME", "MPLCONFIGDIR", "IPYTHONDIR", *HOSTILE):
        monkeypatch.delenv(name, raising=False)
    kernels = []
    for home, settings, texts in (("clean", {}, {}), ("hostile", HOSTILE, HOME)):
        for name, value in (settings | {"HOME": str(tmp_path / home)}).items():
            monkeypatch.setenv(name, value)
        for name, text in texts.items():
            files.write(tmp_path / home / name, text)
        variables = Environment(ROOT, tmp_path / f"{home} environment").variables()
        assert not {"NUMBA_BOUNDSCHECK", "MXNET_SAFE_ACCUMULATION", "TF_GPU_ALLOCATOR"} & {
            *variables
        }
        kernels.append(started(RUN, variables, json.dumps(CELLS)))
    clean, hostile = map(said_by, kernels)
    assert hostile == clean and clean.count("execute_result") == len(CELLS) - 1
    with plots.mpl.rc_context({"text.usetex": True}):  # in a kernel that lab did not start
        plots.style()
        assert not plots.mpl.rcParams["text.usetex"]
