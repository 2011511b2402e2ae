"""The two commands among a reader's own folders, settings and proxies."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from helpers import files, installed, runner
from helpers.book import read, sources
from helpers.exercises.source import REGION
from helpers.runner import install
from helpers.runner.environment import GUARD, ROOT, STAMP, UNFINISHED, Environment

WORK = "years of work"
CFG = "home = /usr/bin\nversion = {}\n"


def tree(folder: Path) -> dict[str, object]:
    """Every file and link below a folder, with content and time."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        found[str(path.relative_to(folder))] = (content, status.st_mtime_ns, status.st_mode)
    return found


def plant(home: Path, kind: str) -> Path:
    """A folder of the reader's, with a thesis in it; where COURSE_VENV points."""
    folder = home / "mine"
    work = folder / "lib" / "thesis.txt"
    if kind == "file":
        folder.write_text(WORK)
        return folder
    if kind == "dangling link":
        folder.symlink_to(home / "unplugged disk")
        return folder
    work.parent.mkdir(parents=True)
    work.write_text(WORK)
    (folder / ".hidden").write_text(WORK)
    if kind.startswith("environment"):
        (folder / "pyvenv.cfg").write_text(CFG.format(kind.split()[1]))
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable)
    if kind == "conda":
        (folder / "conda-meta").mkdir()
    if kind == "guard beside work":  # a run that was killed, before the reader used the folder
        (folder / GUARD).touch()
    if kind == "link":
        (home / "link").symlink_to(folder)
        return home / "link"
    return home if kind == "home" else folder


KINDS = ["files", "file", "link", "dangling link", "home", "conda", "guard beside work"]
KINDS += ["environment 3.11.7", "environment 3.13.1", "environment 3.8.2"]


@pytest.mark.parametrize("task", ["lab", "test", "build", "bench", "cloud", "lock", "doctor"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_the_readers_is_refused_untouched(kind, task, tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("COURSE_VENV", str(plant(home, kind)))
    monkeypatch.setattr(install, "_call", lambda *unused: pytest.fail("started a program"))
    before = tree(home)
    assert runner.main([task]) == 2
    told = capsys.readouterr()
    said = told.out if task == "doctor" else told.err
    wanted = "an environment that the course did not make" if "env" in kind else "not the course's"
    assert wanted in said and said.rstrip().endswith("or move it away.")
    assert tree(home) == before


@pytest.mark.parametrize("mark", [STAMP, UNFINISHED, GUARD])
def test_the_courses_own_folder_is_made_anew_and_the_readers_files_stay(
    mark, tmp_path, monkeypatch
):
    environment = Environment(ROOT, plant(tmp_path, "environment 3.13.1"))
    thesis = environment.folder / "thesis" / "lib" / "chapter.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text(WORK)
    (environment.folder / mark).touch()
    asked = []
    monkeypatch.setattr(install, "_call", lambda command, *unused: asked.append(command[-2]) or 0)
    install.preflight(environment)
    environment.python.unlink()
    install.prepare(environment)
    assert "venv" in asked
    assert not (environment.folder / "bin").exists(), "half an environment"
    assert thesis.read_text() == WORK and (environment.folder / ".hidden").read_text() == WORK


# -- ready means: as the lock says --------------------------------------------------------------------


def wheel(folder: Path, version: str) -> str:
    """Write a wheel of one module; its SHA-256."""
    info = f"toy-{version}.dist-info"
    members = {
        "toy.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record += f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n"
    path = folder / f"toy-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**members, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A checkout whose lock has one small package, and every setting that sends it elsewhere."""
    links, root, elsewhere = tmp_path / "links", tmp_path / "course", tmp_path / "elsewhere"
    for folder in (links, root, elsewhere):
        folder.mkdir()
    (elsewhere / "toy.py").write_text(WORK)
    wheel(links, "2.0")
    mark = "python_full_version >= '3.10'"
    (root / "requirements.lock").write_text(
        f"absent==1.0 ; python_full_version < '3.10' \\\n    --hash=sha256:{'0' * 64}\n"
        f"toy==1.0 ; {mark} \\\n    --hash=sha256:{wheel(links, '1.0')}\n"
        f"uv==0.13.9 ; {mark} and sys_platform == 'none' \\\n    --hash=sha256:{'0' * 64}\n"
    )
    pip, uv = tmp_path / "pip.conf", tmp_path / "uv.toml"
    pip.write_text(
        f"[global]\nno-index = true\nfind-links = {links}\n"
        f"[install]\nprefix = {elsewhere}\nuser = true\n"
    )
    uv.write_text(f'[pip]\ntarget = "{elsewhere}"\n')
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip))
    monkeypatch.setenv("UV_CONFIG_FILE", str(uv))
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.setenv(name, str(elsewhere))
    for name in ("PIP_DRY_RUN", "PIP_USER", "UV_SYSTEM_PYTHON", "UV_NO_VERIFY_HASHES"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return Environment(root, tmp_path / "venv"), elsewhere


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_packages_go_into_the_environment_and_are_repaired(course, installer, monkeypatch, capsys):
    environment, elsewhere = course
    uv = Path(sys.executable).with_name("uv")
    if installer == "uv" and not uv.exists():
        pytest.skip("uv is not installed here")
    before = tree(elsewhere)
    with install.guarded(environment):
        install.prepare(environment)
    (environment.folder / UNFINISHED).unlink()
    if installer == "uv":
        environment.program("uv").symlink_to(uv)
    install.ensure(environment)
    assert environment.ready() and tree(elsewhere) == before
    assert ("pip, which takes" in capsys.readouterr().out) == (installer == "pip")

    def python(*arguments: str) -> str:
        command = [str(environment.python), *arguments]
        variables = install.package_variables(environment)
        run = subprocess.run(command, cwd=elsewhere, env=variables, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    assert python("-P", "-c", "import toy; print(toy.version)").endswith("1.0")
    # a notebook somewhere else finds the course
    found = python("-c", "import sys; print(*sys.path, sep='\\n')")
    assert str(environment.root) in found.splitlines()
    python("-m", "pip", "install", "--quiet", "toy==2.0")  # what a cell with %pip does
    assert environment.differences() == ["toy is 2.0, not 1.0"] and not environment.ready()
    install.ensure(environment)
    assert "(toy is 2.0, not 1.0); repairing it" in capsys.readouterr().out
    assert environment.ready()
    cfg = environment.folder / "pyvenv.cfg"
    cfg.write_text(cfg.read_text().replace("version = 3.", "version = 3.9"))
    assert "its interpreter is now 3." in environment.differences()[0]
    if installer == "pip":
        return
    install.ensure(environment)
    assert environment.ready() and tree(elsewhere) == before


def test_an_interpreter_that_is_gone_is_a_difference(tmp_path):
    environment = Environment(ROOT, tmp_path)
    assert "does not start" in environment.differences()[0]
    environment.programs.mkdir()
    environment.python.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    environment.python.chmod(0o755)
    assert environment.differences() == ["its Python fails (broken)"]


def test_the_check_of_this_environment_takes_under_a_second():
    begin = time.process_time()  # of the processor: other programs do not count
    assert installed.differences() == [], "tests run in the environment of the lock"
    assert time.process_time() - begin < 1


def test_differences_are_named_and_counted(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "numpy==1.0 \\\n    --hash=sha256:0\n"
        "no-such-thing==1.0 ; python_full_version < '4' \\\n    --hash=sha256:0\n"
        "not_here==1.0 ; sys_platform == 'amiga' \\\n    --hash=sha256:0\n"
    )
    found = installed.differences(lock)
    assert found[0].startswith("numpy is ") and found[0].endswith(", not 1.0")
    assert found[1:] == ["no-such-thing is missing"]
    assert installed.few(["a", "b", "c", "d", "e"]) == "a; b; c; 2 more"
    assert "cannot be read" in installed.differences(tmp_path / "none")[0]


# -- proxies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ({}, {}),
        ({"no_proxy": "a.example"}, {"no_proxy": "a.example"}),  # Python then asks the system
        ({"HTTP_PROXY": "p"}, {"no_proxy": "", "NO_PROXY": ""}),
        ({"http_proxy": "p", "no_proxy": " a, b ,"}, {"no_proxy": "a, b,", "NO_PROXY": "a, b,"}),
        ({"Https_Proxy": "p", "No_Proxy": "a"}, {"no_proxy": "a,", "NO_PROXY": "a,"}),
        (
            {"ALL_PROXY": "p", "no_proxy": "a", "NO_PROXY": "b"},
            {"no_proxy": "a,", "NO_PROXY": "b,"},
        ),
    ],
)
def test_proxies_leave_this_machine_alone(given, listed):
    variables = dict(given)
    files.loopback_without_proxy(variables)
    added = "127.0.0.1,::1,localhost" if "p" in given.values() else ""
    assert variables == given | {name: value + added for name, value in listed.items()}
    again = dict(variables)
    files.loopback_without_proxy(again)
    assert again == variables


@pytest.mark.parametrize("no_proxy", ["*", "localhost", "127.0.0.1, .example.com"])
def test_what_a_list_says_already_stays(no_proxy):
    variables = {"HTTP_PROXY": "http://192.0.2.1:9", "no_proxy": no_proxy}
    files.loopback_without_proxy(variables)
    assert variables["no_proxy"].startswith(no_proxy)
    code = (
        "import sys, urllib.request as r; print(r.proxy_bypass('127.0.0.1:80'),"
        "r.proxy_bypass('localhost'), r.proxy_bypass('other.test'), 'http' in r.getproxies())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    ).stdout.split()
    assert [word in ("1", "True") for word in said] == [True, True, no_proxy == "*", True]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_kernel_reaches_the_sagemaker_of_this_machine_past_a_dead_proxy(name):
    code = """
import boto3
from helpers import cloud
cloud.connect(sdk=False)
print(boto3.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"])
"""
    variables = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    variables |= {name: "http://192.0.2.1:9", "no_proxy": "intranet.example"}
    variables["COURSE_CLOUD_STATE"] = ""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert run.stdout.split()[-1:] == ["200"], run.stderr[-1000:]


# -- settings of other programs -----------------------------------------------------------------------

HOSTILE = {
    "KERAS_BACKEND": "torch",
    "TF_USE_LEGACY_KERAS": "1",
    "KERAS_MAX_EPOCHS": "1",
    "TF_CONFIG": "{}",
    "MPLBACKEND": "TkAgg",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONSAFEPATH": "1",
    "PYTHONPATH": "/elsewhere",
    "JUPYTER_PATH": "/elsewhere",
    "CONDA_PREFIX": "/elsewhere",
    "NPY_PROMOTION_STATE": "weak",
    "DMLC_ROLE": "server",
    "SETUPTOOLS_USE_DISTUTILS": "stdlib",
    "PYTEST_ADDOPTS": "--no-such-option",
    "HTTP_PROXY": "http://192.0.2.1:9",
    "https_proxy": "http://192.0.2.1:9",
}
CELLS = [
    "from helpers import gates, plots, interactive\nimport numpy as np, pandas as pd",
    "pd.DataFrame({'a': np.arange(100) / 3, 'b': ['x' * 90] * 100})",
    "np.arange(3) / 3",
    "import matplotlib.pyplot as plt\nplots.style()\nfigure, axes = plt.subplots()\n"
    "axes.plot([1, 2])\nlen(figure.axes), plt.rcParams['text.usetex'], plt.rcParams['font.family']",
    "__debug__, plt.get_backend()",
    "import urllib.request as r\nnot r.getproxies() or bool(r.proxy_bypass('127.0.0.1'))",
]
KERAS = "keras = gates.import_keras()\nkeras.backend.backend(), keras.config.floatx()"
RUN = """
import json, sys, nbformat, nbclient
cells = [nbformat.v4.new_code_cell(text) for text in json.loads(sys.stdin.read())]
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": sys.argv[1]}}).execute()
for cell in notebook.cells:
    for output in cell.outputs:
        data = output.get("data", {})
        print(output.output_type, data.get("text/plain"), data.get("text/html"), output.get("text"))
"""


def hostile_home(home: Path) -> None:
    """A home directory with every file of settings that may reach a kernel."""
    keras = {"backend": "jax", "floatx": "float64", "epsilon": 0.1, "image_data_format": "x"}
    matplotlib = "text.usetex: True\nfont.family: fantasy\nbackend: TkAgg\n"
    startup = (
        "import pandas, numpy\npandas.set_option('display.max_rows', 3)\n"
        "pandas.set_option('display.precision', 1)\nnumpy.set_printoptions(precision=1)\n"
    )
    contents = {
        ".keras/keras.json": json.dumps(keras),
        ".config/matplotlib/matplotlibrc": matplotlib,
        "../matplotlib/matplotlibrc": matplotlib,
        ".ipython/profile_default/startup/00.py": startup,
        ".ipython/profile_default/ipython_kernel_config.py": (
            "get_config().InteractiveShellApp.exec_lines = ['import math', 'raise SystemExit']"
        ),
    }
    for name, text in contents.items():
        files.write(home / name, text)


def test_a_kernel_is_the_same_in_a_hostile_home(tmp_path, monkeypatch):
    said = {}
    for home in ("clean", "hostile"):
        monkeypatch.setenv("HOME", str(tmp_path / home))
        monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))  # fonts are found once
        for name in ("XDG_CONFIG_HOME", "IPYTHONDIR", *HOSTILE):
            monkeypatch.delenv(name, raising=False)
        if home == "hostile":
            hostile_home(tmp_path / home)
            for name, value in HOSTILE.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("IPYTHONDIR", str(tmp_path / home / ".ipython"))
        environment = Environment(ROOT, tmp_path / f"{home} environment")
        run = subprocess.run(
            [sys.executable, "-c", RUN, str(ROOT / "chapters")],
            input=json.dumps([*CELLS, KERAS] if home == "hostile" else CELLS),
            env={**environment.variables(), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr[-2000:]
        said[home] = run.stdout
    keras = "execute_result ('tensorflow', 'float32') None None\n"
    assert said["hostile"] == said["clean"] + keras


# -- for teachers -------------------------------------------------------------------------------------


def test_nbgrader_finds_the_markers_in_code_cells_and_readme_names_its_option():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "nbgrader generate_assignment --no-metadata" in readme
    for source in sources():
        code = [cell.source for cell in read(source).cells if cell.cell_type == "code"]
        text = source.read_text(encoding="utf-8")
        marked = sum(len(REGION.findall(cell)) for cell in code)
        assert marked == text.count("### BEGIN SOLUTION") == text.count("### END SOLUTION")
